// Which edit last changed each part of an entry, so that two versions of it merge part by part:
// what the other side had seen before it made its version is not a change against it.
//
// That is a three-way merge without its base. A base would have to be what both sides last had in
// common, and a node that is its own hub for a while, a chain of hubs, or a group in three parts
// all lose it (each agrees with somebody); this travels with the entry. Invariant: an edit is in
// the vector of the entry that names it; one that is not known has the count 0, and nobody has seen
// it.
#pragma once

#include <cstdint>

#include "base/ids.h"
#include "base/version_vector.h"

namespace lansync {

struct Edit {
  ShortId id = 0;
  std::uint64_t count = 0;
  auto operator<=>(const Edit&) const = default;
};

struct LastEdits {
  Edit content;  // kind and bytes
  Edit mode;
  Edit mtime;
  bool operator==(const LastEdits&) const = default;
};

inline bool has_seen(const VersionVector& version, const Edit& edit) {
  return edit.count != 0 && version.count_of(edit.id) >= edit.count;
}

// The edit that made `after` of `before`.
inline Edit edit_between(const VersionVector& before, const VersionVector& after) {
  for (const VersionVector::Part& part : after.parts()) {
    if (part.count > before.count_of(part.id)) return {part.id, part.count};
  }
  return {};
}

}  // namespace lansync
