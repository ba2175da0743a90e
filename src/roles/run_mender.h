// Brings back what a rejected run of deletes had deleted in the group already (DESIGN, Deletes):
// each node undoes what it holds of the run, and the hub sees to the rest, from its own trash, its
// members', or a copy that stands in its folder under another name.
//
// Invariant: only what the run's own tombstone still stands for is touched; a name that lives again
// is left alone. What nobody connected has is looked for again when somebody comes. Driven by
// roles/node on the control thread; works on the hub alone.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "roles/run_decisions.h"
#include "roles/undo.h"
#include "sync/replica.h"

namespace lansync {

class RunMender {
 public:
  RunMender(Replica& replica, Undo& undo, const RunDecisions& decisions, const UndoLinks& links);

  // A run was rejected, a node came, this one became hub: look again.
  void wake(Instant now);
  // The group has a new version of `path`.
  void on_settled(const std::string& path, Instant now);
  void tick(Instant now);
  Instant deadline() const { return running_ ? kNever : next_; }

 private:
  void look(Instant now);
  void bring(RunId run, std::vector<FoundTrash> found);
  void copy_from_folder(const std::string& path, const Entry& gone);

  Replica& replica_;
  Undo& undo_;
  const RunDecisions& decisions_;
  const UndoLinks& links_;
  Instant next_ = kNever;
  int tries_ = 0;
  bool running_ = false;
};

}  // namespace lansync
