// SHA-256, HMAC, HKDF, constant-time comparison and wiping over OpenSSL, which no other header
// shows. Invariant: none of these fails for any input; an OpenSSL error here is our own bug and
// aborts. Driven by the handshake, the cookie and the key schedule.
#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string_view>

#include "base/bytes.h"

namespace lansync {

using Hash32 = std::array<std::uint8_t, 32>;

// Of all parts, one after the other, without a separator: fixed lengths are the caller's business.
Hash32 sha256(std::initializer_list<ByteView> parts);
Hash32 hmac_sha256(ByteView key, std::initializer_list<ByteView> parts);
// RFC 5869. An empty salt means 32 zero bytes, as the RFC has it.
Hash32 hkdf_extract(ByteView salt, ByteView ikm);
// At most 255 * 32 bytes.
void hkdf_expand(ByteView prk, ByteView info, std::span<std::uint8_t> out);

// False for different lengths; takes the same time wherever the first difference stands.
bool equal_constant_time(ByteView a, ByteView b);
// Overwrites in a way that no optimiser removes.
void wipe(std::span<std::uint8_t> secret);

}  // namespace lansync
