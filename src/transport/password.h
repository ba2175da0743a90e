// From a group's password to the scalar w that SPAKE2 mixes into its shares (reliability.md §4.1).
// Invariant: 0 < w < the order of P-256, a function of (password, group) alone, the same on every
// node. The open group is the same code with an empty password. Driven once, at start.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "base/bytes.h"
#include "base/result.h"

namespace lansync {

// The scalar w, 32 bytes big-endian. Wiped when it goes; copies are wiped too.
class PasswordKey {
 public:
  explicit PasswordKey(const std::array<std::uint8_t, 32>& w) : w_(w) {}
  PasswordKey(const PasswordKey&) = default;
  PasswordKey& operator=(const PasswordKey&) = default;
  ~PasswordKey();
  ByteView bytes() const { return w_; }

 private:
  std::array<std::uint8_t, 32> w_;
};

// scrypt (N = 2^15, r = 8, p = 1) of 40 bytes, mod the order: about 90 ms and 32 MiB, so once a
// start and not on a path that anybody waits for. Fails only if that memory is not to be had.
Result<PasswordKey> derive_password_key(std::string_view password, std::string_view group);

}  // namespace lansync
