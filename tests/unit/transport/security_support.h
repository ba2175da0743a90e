// What the tests of the handshake, the records and the filter share: hex, randomness with a script,
// a pair of nodes that share a password, and ENet datagrams made by hand.
#pragma once

#include <algorithm>
#include <optional>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/random.h"
#include "transport/enet_tuning.h"
#include "transport/handshake.h"

namespace lansync::test {

inline Bytes hex(std::string_view text) {
  Bytes out(text.size() / 2);
  if (!from_hex(text, out)) out.clear();
  return out;
}

// Gives the scripted bytes, then zeros.
class ScriptedRandom final : public RandomSource {
 public:
  explicit ScriptedRandom(Bytes script) : script_(std::move(script)) {}
  void fill(std::span<std::uint8_t> out) override {
    for (std::uint8_t& byte : out) byte = at_ < script_.size() ? script_[at_++] : std::uint8_t{0};
  }

 private:
  Bytes script_;
  std::size_t at_ = 0;
};

// A scalar as its 40 random bytes.
inline Bytes wide(std::string_view scalar_hex) {
  Bytes out(8);
  Bytes scalar = hex(scalar_hex);
  out.insert(out.end(), scalar.begin(), scalar.end());
  return out;
}

// Made without scrypt, which takes 90 ms.
inline PasswordKey key_of(std::uint8_t seed) {
  std::array<std::uint8_t, 32> w{};
  w.fill(seed);
  w[0] = 0;  // below the order
  return PasswordKey(w);
}

inline HandshakeConfig node_config(std::uint8_t id, std::uint8_t password = 7,
                                   std::uint8_t suites = kAllSuites) {
  KeySeed seed{};
  seed.fill(id);
  HandshakeConfig config{SigningKey(seed), {},     "lansync",
                         key_of(password), suites, kProtocolVersion};
  config.boot.bytes.fill(static_cast<std::uint8_t>(id + 100));
  return config;
}

// A whole handshake; nullopt if it fails anywhere.
struct Agreed {
  SessionKeys a;
  SessionKeys b;
};
inline std::optional<Agreed> agree(RandomSource& random, HandshakeConfig a, HandshakeConfig b) {
  Handshake one(HandshakeRole::kInitiator, std::move(a), random);
  Handshake two(HandshakeRole::kResponder, std::move(b), random);
  Bytes message = one.start();
  for (int i = 0; i < 2; ++i) {
    auto answer = two.on_message(message);
    if (answer.failure || !answer.send) return std::nullopt;
    auto next = one.on_message(*answer.send);
    if (next.failure) return std::nullopt;
    if (next.send) message = *next.send;
  }
  if (!one.agreed() || !two.agreed()) return std::nullopt;
  if (two.on_proof(one.proof().bytes) || one.on_proof(two.proof().bytes)) return std::nullopt;
  return Agreed{one.keys(), two.keys()};
}

// ENet's datagram: header with sent time and checksum (not a right one: ENet checks it, not us).
class Datagram {
 public:
  explicit Datagram(std::uint16_t peer) {
    out_.u16(static_cast<std::uint16_t>(0x8000 | peer));
    out_.u16(0);
    out_.u32(0);
  }
  Datagram& command(std::uint8_t type, std::uint8_t channel, std::uint16_t sequence) {
    out_.u8(static_cast<std::uint8_t>(0x80 | type));
    out_.u8(channel);
    out_.u16(sequence);
    return *this;
  }
  Datagram& u16(std::uint16_t value) {
    out_.u16(value);
    return *this;
  }
  Datagram& u32(std::uint32_t value) {
    out_.u32(value);
    return *this;
  }
  Datagram& zeros(std::size_t count) {
    out_.raw(Bytes(count));
    return *this;
  }
  Datagram& connect(std::uint32_t connect_id, std::uint32_t mtu = kEnetMtu) {
    command(2, 0xFF, 1).u32(0).u32(mtu).u32(65536).u32(3).zeros(20).u32(connect_id).u32(0);
    return *this;
  }
  Datagram& verify_connect() { return command(3, 0xFF, 1).zeros(40); }
  Datagram& ack() { return command(1, 0, 1).u32(0); }
  Datagram& ping() { return command(5, 0xFF, 1); }
  Datagram& disconnect() { return command(4, 0xFF, 1).u32(0); }
  Datagram& reliable(std::uint8_t channel, std::uint16_t sequence, std::size_t size) {
    return command(6, channel, sequence).u16(static_cast<std::uint16_t>(size)).zeros(size);
  }
  Datagram& fragment(std::uint32_t count, std::uint32_t number, std::uint32_t total,
                     std::uint32_t offset, std::size_t size) {
    command(8, 1, 1).u16(1).u16(static_cast<std::uint16_t>(size));
    return u32(count).u32(number).u32(total).u32(offset).zeros(size);
  }
  const Bytes& bytes() const { return out_.bytes(); }

 private:
  ByteWriter out_;
};

}  // namespace lansync::test
