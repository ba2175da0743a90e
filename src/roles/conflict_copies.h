// Conflict copies of one path that the group has already: bytes that stand there are kept once, and
// an author whose versions lose again and again (one file, saved each few seconds on two nodes)
// leaves two copies and not one a save (DESIGN, Conflicts).
//
// Invariant: only copies of one author and one path are folded, from the third within an hour on,
// and only those that nobody has touched. What is known is read from the index each time. Driven by
// Hub.
#pragma once

#include <optional>
#include <string>

#include "base/entry.h"
#include "sync/replica.h"

namespace lansync {

struct Fold {
  std::string previous;
  EntryPtr entry;
};
// The copy in whose place `copy`, which has just been made, comes.
std::optional<Fold> fold_of(const Index& index, const std::string& copy);
// Its delete, by the next of this hub's counts. Null: somebody has touched it, and it stays.
EntryPtr tombstone_of(Replica& replica, const Fold& fold);

}  // namespace lansync
