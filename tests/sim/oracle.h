// What must hold whatever happened (DESIGN, Invariants; reliability.md §1), judged from outside the
// nodes: from what people wrote and what stands on the disks.
//
// I1: bytes that a person wrote and that nobody who had them before his eyes overwrote or deleted
// stand in the folder at the end, under their name or as a conflict copy. I2: bytes at a name are
// bytes that somebody wrote. I4: one conflict copy a loser, none of a copy. Its parts judge the
// rest: what may stand at each path (history.h), what was taken away (trash_watch.h), and how much
// of it (delete_watch.h), unless a person said so (run_watch.h). Driven by SimNode (what people and
// nodes do) and World (checks).
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "sim/delete_watch.h"
#include "sim/disk.h"
#include "sim/history.h"
#include "sim/run_watch.h"
#include "sim/trash_watch.h"

namespace lansync::sim {

class SimNode;

class Oracle {
 public:
  // A person gave a path these bytes. `final`: not one of several steps of one save.
  void on_written(const std::string& node, const std::string& path, const Bytes& bytes);
  // A person saw these bytes at a path and overwrote or deleted them.
  void on_superseded(const Bytes& bytes);
  // The machine that held the only copy was wiped, by the test.
  void forgive(const Bytes& bytes);
  void on_renamed(const Bytes& bytes, const std::string& to);
  // A file got its real name by a node's hand.
  void on_installed(const std::string& node, const std::string& path, const Bytes& bytes);

  // Somebody overwrote or deleted it, knowing it.
  bool superseded(const SeenFile& what) const;

  // All machines were off for so long, by every clock but the world's.
  void on_time_passed(Duration by);
  // The disk of `node` shows something else at `path`; a node's hand took `what` from there.
  void on_changed(SimNode& node, const std::string& path, bool by_person, Instant when);
  void on_displaced(SimNode& node, const std::string& path, const SeenFile& what,
                    const std::string& trash, Instant when);

  History& history() { return history_; }
  TrashWatch& trash() { return trash_; }
  DeleteWatch& deletes() { return deletes_; }
  RunWatch& runs() { return runs_; }

  // Every file of a tree is something that somebody wrote.
  void check_whole(const std::string& node, const SeenTree& tree);
  // After convergence, on the tree that all have.
  void check_final(const SeenTree& tree);
  void violation(std::string text);
  const std::vector<std::string>& violations() const { return violations_; }

 private:
  using Key = std::uint64_t;  // of bytes
  struct Written {
    std::string where;            // for the message
    std::set<std::string> paths;  // that a person gave these bytes
    bool superseded = false;
  };
  static Key key_of(const Bytes& bytes);

  std::map<Key, Written> written_;
  std::vector<std::string> violations_;
  History history_;
  TrashWatch trash_{[this](std::string text) { violation(std::move(text)); }};
  DeleteWatch deletes_{[this](std::string text) { violation(std::move(text)); }};
  RunWatch runs_{history_, deletes_};
};

}  // namespace lansync::sim
