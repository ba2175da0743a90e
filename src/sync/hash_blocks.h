// MD5 and SHA-256 of the same bytes in one pass, for processors with SHA instructions: MD5 is one
// long chain of additions that leaves most of the processor idle, and SHA-256 fits into the gaps.
// Measured on one core: MD5 alone 0.76 GB/s, SHA-256 alone 1.25, one after the other 0.47, and both
// in here 0.78.
//
// Invariant: the same digests as OpenSSL's, whatever the pieces. Driven by ContentHasher.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "base/bytes.h"
#include "sync/hashing.h"

namespace lansync {

// The processor can do it.
bool has_dual_hash();

class DualHasher {
 public:
  DualHasher() { reset(); }
  // Requires: has_dual_hash().
  void update(ByteView bytes);
  ContentDigests finish();
  void reset();

 private:
  std::array<std::uint32_t, 4> md5_{};
  std::array<std::uint32_t, 8> sha_{};
  std::array<std::uint8_t, 64> tail_{};
  std::size_t tail_size_ = 0;
  std::uint64_t total_ = 0;
};

}  // namespace lansync
