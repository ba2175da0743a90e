// Whoever made `version` had seen each edit that `entry` consists of: what else is in the entry's
// vector are decisions of hubs, and versions that lost to it and have another name. Pure; asked by
// the hub (settlement) and by who plans against it (planner).
#pragma once

#include "base/entry.h"

namespace lansync {

inline bool has_seen_all(const VersionVector& version, const Entry& entry) {
  return has_seen(version, entry.edits.content) && has_seen(version, entry.edits.mode) &&
         has_seen(version, entry.edits.mtime);
}

}  // namespace lansync
