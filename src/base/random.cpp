#include "base/random.h"

#include "base/assert.h"

namespace lansync {

std::uint64_t RandomSource::next() {
  std::uint8_t bytes[8];
  fill(bytes);
  std::uint64_t value = 0;
  for (std::uint8_t byte : bytes) value = value << 8 | byte;
  return value;
}

std::uint64_t RandomSource::below(std::uint64_t bound) {
  LS_ASSERT(bound > 0);
  std::uint64_t mask = bound - 1;
  for (int shift = 1; shift < 64; shift *= 2) mask |= mask >> shift;
  for (;;) {
    std::uint64_t value = next() & mask;
    if (value < bound) return value;
  }
}

bool RandomSource::chance(std::uint64_t numerator, std::uint64_t denominator) {
  return below(denominator) < numerator;
}

Duration RandomSource::jitter(Duration duration, int percent) {
  LS_ASSERT(percent >= 0 && percent <= 100);
  auto spread = static_cast<std::uint64_t>(duration.count() / 100 * percent);
  auto offset =
      static_cast<std::int64_t>(below(2 * spread + 1)) - static_cast<std::int64_t>(spread);
  return duration + Duration(offset);
}

namespace {
std::uint64_t splitmix64(std::uint64_t& state) {
  std::uint64_t z = (state += 0x9e3779b97f4a7c15u);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}
std::uint64_t rotate_left(std::uint64_t x, int k) { return (x << k) | (x >> (64 - k)); }
}  // namespace

Prng::Prng(std::uint64_t seed) {
  for (std::uint64_t& word : state_) word = splitmix64(seed);
}

std::uint64_t Prng::step() {
  std::uint64_t result = rotate_left(state_[1] * 5, 7) * 9;
  std::uint64_t t = state_[1] << 17;
  state_[2] ^= state_[0];
  state_[3] ^= state_[1];
  state_[1] ^= state_[2];
  state_[0] ^= state_[3];
  state_[2] ^= t;
  state_[3] = rotate_left(state_[3], 45);
  return result;
}

void Prng::fill(std::span<std::uint8_t> out) {
  std::size_t at = 0;
  while (at < out.size()) {
    std::uint64_t word = step();
    for (int i = 0; i < 8 && at < out.size(); ++i, ++at) {
      out[at] = static_cast<std::uint8_t>(word >> (56 - 8 * i));
    }
  }
}

Prng Prng::fork() { return Prng(step()); }

}  // namespace lansync
