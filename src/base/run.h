// A run: one start of a node to its end. Which runs made a node's counts tells a node that was
// killed from a copy of its index at work elsewhere, or an old one put back (DESIGN, Identity).
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/ids.h"

namespace lansync {

// 8 random bytes a start; unlike a boot id it is kept.
using StartId = TaggedBytes<struct StartIdTag, 8>;

struct Run {
  std::uint64_t first = 0;  // its counts begin here
  StartId id;
  StartId before;  // its predecessor; zeros: none
  bool operator==(const Run&) const = default;
};

// What a node keeps of its past and states: of older runs it is only known that they were its own.
inline constexpr std::size_t kMaxRuns = 256;

}  // namespace lansync
