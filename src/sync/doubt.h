// An index that may not be this folder's: copied with part of it, taken from another disk, older
// than what the group knows. What such an index has and the disk lacks was deleted by nobody: it is
// absent here, and wanted (DESIGN, Identity: a new key and a first join).
//
// Invariant: the doubt is in index.db, so that it outlasts a kill, until a whole scan has passed.
// Driven by Replica.
#pragma once

#include <string>

#include "sync/index.h"

namespace lansync {

inline constexpr const char* kDoubtMeta = "missing_doubted";

inline bool doubts_missing(const Index& index) { return index.meta(kDoubtMeta) == "1"; }
inline void begin_doubt(Index& index) { index.set_meta(kDoubtMeta, "1"); }
inline void end_doubt(Index& index) {
  if (doubts_missing(index)) index.set_meta(kDoubtMeta, "0");
}

}  // namespace lansync
