// Ed25519 (RFC 8032) over OpenSSL: the key pair that a node is, and the check of what others
// signed.
//
// Invariant: verify() accepts only keys that encode a point canonically and are not of small order.
// OpenSSL alone takes both, and a signature under a small-order key is good for many messages, so
// that nobody could be held to what "he" signed. Pure; keys come from the random source that is
// passed in. Driven by the handshake (identity) and by roles (confirmations, witnesses).
#pragma once

#include <array>
#include <cstdint>

#include "base/bytes.h"
#include "base/ids.h"
#include "base/random.h"

namespace lansync {

using KeySeed = std::array<std::uint8_t, 32>;  // the private key as RFC 8032 §5.1.5 has it

class SigningKey {
 public:
  static SigningKey generate(RandomSource& random);
  explicit SigningKey(const KeySeed& seed);
  SigningKey(const SigningKey&) = default;
  SigningKey& operator=(const SigningKey&) = default;
  ~SigningKey();  // wipes

  const KeySeed& seed() const { return seed_; }  // for index.db alone
  const PublicKey& public_key() const { return public_key_; }
  // Deterministic: the same message has the same signature (RFC 8032 §5.1.6).
  Signature sign(ByteView message) const;

 private:
  KeySeed seed_;
  PublicKey public_key_;
};

// Encodes a point canonically (y < p, x = 0 only with sign 0), and not one of the eight points
// whose order divides 8. Whether the point is on the curve shows when a signature is checked.
bool acceptable_key(const PublicKey& key);
// True if `key` is acceptable and `signature` is its signature of `message`.
bool verify_signature(const PublicKey& key, ByteView message, const Signature& signature);
// The node that has this key.
NodeId node_id_of(const PublicKey& key);

}  // namespace lansync
