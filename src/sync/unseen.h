// What a node made by itself and nobody has seen was deleted by nobody: it goes out, however long
// the node was away (DESIGN, Joining). That it agrees with itself on it, as its own hub, says
// nothing. Pure.
#pragma once

#include <cstdint>
#include <vector>

#include "sync/planner.h"

namespace lansync {

// `shared`: the last of `own` counts that another node knows (EditCounter::shared).
inline void push_unseen(std::vector<Operation>& operations, ShortId own, std::uint64_t shared) {
  for (Operation& operation : operations) {
    if (operation.kind == OperationKind::kHold && operation.entry->version.count_of(own) > shared)
      operation.kind = OperationKind::kPush;
  }
}

}  // namespace lansync
