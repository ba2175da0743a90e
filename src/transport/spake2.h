// SPAKE2 over P-256 with SHA-256, HKDF and HMAC (RFC 9382; its appendix B is the test). One object
// is one run: it holds a fresh secret scalar and may be finished once. Invariant: whatever the peer
// sent, the result tells nothing about the password but whether both had the same.
// Driven by Handshake. Nothing of it knows the messages; replacing the PAKE means replacing this.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>

#include "base/bytes.h"
#include "base/random.h"
#include "transport/crypto.h"
#include "transport/password.h"

namespace lansync {

// An uncompressed point: 04 | x32 | y32.
using PakeShare = std::array<std::uint8_t, 65>;

// RFC 9382's roles: A is the initiator, B the responder.
enum class PakeSide : std::uint8_t { kA, kB };

// What both sides have after a run with the same password. Wiped when it goes.
struct PakeSecrets {
  std::array<std::uint8_t, 16> ke{};   // input of the session keys
  std::array<std::uint8_t, 16> kca{};  // confirmation keys
  std::array<std::uint8_t, 16> kcb{};
  Hash32 confirm_a{};  // HMAC(KcA, TT): what A sends, and B expects
  Hash32 confirm_b{};

  PakeSecrets() = default;
  PakeSecrets(const PakeSecrets&) = default;
  PakeSecrets& operator=(const PakeSecrets&) = default;
  ~PakeSecrets();
};

class Spake2 {
 public:
  // Draws 40 bytes from `random` (more only if they give 0, which happens once in 2^256).
  Spake2(PakeSide side, const PasswordKey& key, RandomSource& random);
  Spake2(Spake2&&) noexcept;
  Spake2& operator=(Spake2&&) noexcept;
  ~Spake2();

  const PakeShare& share() const;
  // nullopt if `peer_share` is no point of the curve, is infinity, equals our own share, or gives a
  // shared point at infinity. `aad` is bound into the confirmation keys. Requires: called once.
  std::optional<PakeSecrets> finish(ByteView peer_share, ByteView id_a, ByteView id_b,
                                    ByteView aad);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace lansync
