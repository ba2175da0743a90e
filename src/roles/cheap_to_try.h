// Whether what cannot stand on a node's disk may be tried again for everybody who waits for it.
#pragma once

#include "sync/replica.h"

namespace lansync {

// Of what is large the content is fetched for each try: that waits for its time.
inline bool cheap_to_try(const Replica& replica) {
  constexpr std::uint64_t kLittle = 16'000'000;
  if (replica.obstacles().empty()) return false;
  std::uint64_t bytes = 0;
  for (const auto& [path, reason] : replica.problems()) {
    const PathRecord* record = replica.index().find(path);
    if (record && record->remote && replica.obstacles().contains(path))
      bytes = sum_of(bytes, record->remote->size);
  }
  return bytes <= kLittle;
}

}  // namespace lansync
