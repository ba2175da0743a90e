// The kernel's randomness (getrandom): keys, node ids, jitter.
#pragma once

#include "base/random.h"

namespace lansync {

class OsRandom final : public RandomSource {
 public:
  // Never returns short or fewer bits than asked: without randomness there are no safe keys, so a
  // failure ends the process.
  void fill(std::span<std::uint8_t> out) override;
};

}  // namespace lansync
