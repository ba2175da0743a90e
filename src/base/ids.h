// Identities and digests as types of their own, so that a boot id is never passed for a node id.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace lansync {

// Fixed bytes with a tag. Ordered bytewise, so that "the lower node id" is the same everywhere.
template <typename Tag, std::size_t N>
struct TaggedBytes {
  static constexpr std::size_t kSize = N;
  std::array<std::uint8_t, N> bytes{};
  auto operator<=>(const TaggedBytes&) const = default;
  bool is_zero() const { return *this == TaggedBytes{}; }
};

// The first 16 bytes of the SHA-256 of the node's public key (transport/ed25519.h). The key lives
// in index.db and nowhere else.
using NodeId = TaggedBytes<struct NodeIdTag, 16>;
// 8 random bytes a start, never stored: tells a restart from a long silence.
using BootId = TaggedBytes<struct BootIdTag, 8>;
// An Ed25519 public key in RFC 8032's encoding: who a node is. A signature under it, R | S.
using PublicKey = TaggedBytes<struct PublicKeyTag, 32>;
using Signature = TaggedBytes<struct SignatureTag, 64>;
// MD5 of content: closes a transfer. Never used as an identity: collisions can be made at will.
using Md5 = TaggedBytes<struct Md5Tag, 16>;
// SHA-256 of content: what "the same bytes" means.
using ContentId = TaggedBytes<struct ContentIdTag, 32>;

// 32 random bytes minted by the first hub: authenticates beacons. Not derived from the password, so
// beacons give a listener nothing to guess against.
using BeaconKey = TaggedBytes<struct BeaconKeyTag, 32>;

// The author's place in version vectors: the first 8 bytes of a node id, big-endian (64 random
// bits: among a million nodes that ever lived a collision has probability 3e-8).
using ShortId = std::uint64_t;

inline ShortId short_id(const NodeId& id) {
  ShortId value = 0;
  for (int i = 0; i < 8; ++i) value = value << 8 | id.bytes[i];
  return value;
}

// Lower-case hex of any bytes.
std::string to_hex(std::span<const std::uint8_t> bytes);
template <typename Tag, std::size_t N>
std::string to_hex(const TaggedBytes<Tag, N>& value) {
  return to_hex(std::span<const std::uint8_t>(value.bytes));
}
// Exactly 2*out.size() hex digits of either case; false otherwise, `out` then unspecified.
bool from_hex(std::string_view text, std::span<std::uint8_t> out);

// A hash for unordered lookups (never iterated into an output). The bytes are uniform already.
struct TaggedBytesHash {
  template <typename Tag, std::size_t N>
  std::size_t operator()(const TaggedBytes<Tag, N>& value) const {
    static_assert(N >= 8);
    std::size_t h = 0;
    for (int i = 0; i < 8; ++i) h = h << 8 | value.bytes[i];
    return h;
  }
};

}  // namespace lansync
