// The conflict copies of one path that the group has: found by their names in the index.
//
// Pure: reads the index each time. Driven by the hub, that folds them, and by whoever hears of a
// fold.
#pragma once

#include <functional>
#include <string>

#include "base/entry.h"
#include "sync/conflict_name.h"
#include "sync/index.h"

namespace lansync {

// Calls `visit` with each conflict copy of `path` that the group has or had, with its entry.
void visit_copies(const Index& index, const std::string& path,
                  const std::function<void(const std::string&, const EntryPtr&)>& visit);

// `path` is a conflict copy, as `is` there, and another copy of the same path by the same author is
// as late or later: a delete of it is what folding does (DESIGN, Conflicts), which no person did
// and nobody is to be asked about. (Three nodes that saved ten files in turn had 40 such deletes
// held.) Who forges one gets rid of old copies only, into the trash, and never of the last.
bool has_later_copy(const Index& index, const std::string& path, const Entry& is);

// A conflict copy of `path` that is on this disk with the bytes that `is` has there; "": none.
std::string copy_that_keeps(const Index& index, const std::string& path, const Entry& is);

// The version in it is the one that the conflict copy was made of: a copy that somebody wrote to,
// and that lost in its turn, keeps the name's time. (Simulator's seed 1169.)
bool is_as_made(const ConflictNameParts& told, const Entry& there);

}  // namespace lansync
