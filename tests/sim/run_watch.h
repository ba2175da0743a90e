// What people said of runs of deletes, for the judges: what they let go may be deleted once on each
// machine without counting as unasked, and what they took back may live again.
//
// Invariant: a word is about the paths that nodes name as that run's and nothing else: of any other
// path it excuses nothing. Driven by SimNode, before the node hears the word.
#pragma once

#include <functional>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/entry.h"
#include "base/time.h"
#include "sim/delete_watch.h"
#include "sim/history.h"

namespace lansync::sim {

class SimNode;

class RunWatch {
 public:
  RunWatch(History& history, DeleteWatch& deletes) : history_(history), deletes_(deletes) {}
  void set_running(std::function<std::vector<SimNode*>()> running) {
    running_ = std::move(running);
  }

  // A person at `node` lets go what it holds of that run, or of all ("").
  void on_confirmed(SimNode& node, const std::string& run);
  // Undoes that run, or all that the node holds: in the whole group.
  void on_rejected(SimNode& node, const std::string& run, Instant now);
  // What it alone knows of runs may be spoken of while it is off.
  void on_ending(SimNode& node);
  // What was taken back comes again piece by piece: the hub looks for what nobody had at once again
  // 1, 3, 10, and 30 s later (RunMender), and says in between that it is in sync. (Seeds 409, 415,
  // 620: a file came 15 s after that.)
  bool mending(Instant now) const { return now < mended_at_; }
  // Before the verdict: what joined a run after it was taken back.
  void look();

 private:
  static std::set<RunId> named(SimNode& node, const std::string& run);
  void undo(RunId run, SimNode& node);

  History& history_;
  DeleteWatch& deletes_;
  std::function<std::vector<SimNode*>()> running_ = [] { return std::vector<SimNode*>{}; };
  std::map<RunId, std::set<std::string>> of_those_off_;
  std::set<RunId> rejected_;
  Instant mended_at_{};
};

}  // namespace lansync::sim
