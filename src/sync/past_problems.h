// What was reported of a directory's content, once that is not there any more: of a directory that
// goes, or takes another name, one event tells, and none of what is in it.
#pragma once

#include <map>
#include <set>
#include <string>

#include "sync/index.h"
#include "sync/obstacles.h"

namespace lansync {

// Drops the problems below `directory` that nobody saw there now, but for those of what the index
// knows: these go when their path is looked at.
inline void drop_problems_below(const std::string& directory, const std::set<std::string>& seen,
                                const Index& index, const Obstacles& obstacles,
                                std::map<std::string, std::string>& problems) {
  const std::string prefix = directory + '/';
  auto at = problems.lower_bound(prefix);
  while (at != problems.end() && at->first.starts_with(prefix)) {
    const PathRecord* record = index.find(at->first);
    const bool known =
        record && (record->live() || (record->remote && !record->remote->is_tombstone()));
    if (known || seen.contains(at->first) || obstacles.stands(at->first)) {
      ++at;
    } else {
      at = problems.erase(at);
    }
  }
}

}  // namespace lansync
