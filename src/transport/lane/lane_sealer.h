// Seals and opens the lane's datagrams: nonce = 4 zero bytes | number8, additional data = the 10
// bytes of tag and number.
//
// Invariant: a packet number is used once under a key. LaneSealer owns the number; it only rises,
// nothing can set it, and a key belongs to one LaneSealer (its id8 is fresh each opening). Driven
// by LaneConnection; the sniffer opens with LaneOpener.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>

#include "base/bytes.h"
#include "transport/content_carrier.h"
#include "transport/key_schedule.h"

struct evp_cipher_ctx_st;

namespace lansync {

struct LaneCipherFree {
  void operator()(evp_cipher_ctx_st* context) const;
};
using LaneCipher = std::unique_ptr<evp_cipher_ctx_st, LaneCipherFree>;

// The key of the lane of `sender`, which sent M1 or did not.
Key32 lane_key(const SessionKeys& keys, bool sender_is_initiator, const CarrierId& sender);

class LaneSealer {
 public:
  LaneSealer(Suite suite, const Key32& key, const CarrierId& own);
  std::uint64_t next_number() const { return next_; }
  // `datagram` holds the body from byte 10 on and has 16 bytes to spare at its end; becomes the
  // datagram. Returns its number.
  std::uint64_t seal(std::span<std::uint8_t> datagram);

 private:
  LaneCipher cipher_;
  std::uint8_t tag_[4];
  std::uint64_t next_ = 0;
};

class LaneOpener {
 public:
  LaneOpener(Suite suite, const Key32& key);
  // In place: the body, type first. nullopt: forged, damaged or cut; the bytes are then garbage.
  std::optional<ByteView> open(std::span<std::uint8_t> datagram);

 private:
  LaneCipher cipher_;
};

}  // namespace lansync
