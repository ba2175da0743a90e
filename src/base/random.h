// Randomness is passed in. The program hands over the kernel's, a simulation a seeded generator.
#pragma once

#include <cstdint>
#include <span>

#include "base/ids.h"
#include "base/time.h"

namespace lansync {

class RandomSource {
 public:
  virtual ~RandomSource() = default;
  virtual void fill(std::span<std::uint8_t> out) = 0;

  std::uint64_t next();
  // Uniform in [0, bound). Requires: bound > 0. Masked rejection: the standard distributions give
  // other values on other libraries, and a seed has to mean the same everywhere.
  std::uint64_t below(std::uint64_t bound);
  // True with probability numerator / denominator.
  bool chance(std::uint64_t numerator, std::uint64_t denominator);
  // Uniform in [duration * (100 - percent) / 100, duration * (100 + percent) / 100].
  Duration jitter(Duration duration, int percent);
  template <typename Bytes>
  Bytes id() {
    Bytes value;
    fill(value.bytes);
    return value;
  }
};

// xoshiro256** (Blackman, Vigna 2018), seeded by splitmix64. For simulations and tests; never for
// keys.
class Prng final : public RandomSource {
 public:
  explicit Prng(std::uint64_t seed);
  void fill(std::span<std::uint8_t> out) override;
  // A generator whose stream does not depend on how much of ours was drawn after the fork.
  Prng fork();

 private:
  std::uint64_t step();
  std::uint64_t state_[4];
};

}  // namespace lansync
