// The handshake of one session, M1 to M4, fixed binary on channel 0 (reliability.md §4.1, step 2):
//   M1 A->B  01 | ver | suites | node_idA16 | boot_idA8 | rA32 | pA65          124 bytes
//   M2 B->A  02 | ver | suite  | node_idB16 | boot_idB8 | rB32 | pB65          124 bytes
//   M3 A->B  03 | cA32      M4 B->A  04 | cB32                                  33 bytes
// A responder that cannot go on answers with a prefix of M2: 2 bytes (it speaks another version) or
// 27 (M1 came from its own node id). Nothing else is ever said about a failure.
// Invariant: established() only after the peer proved the password, and identities, versions,
// suites and shares of both sides are what both sides saw. Driven by the endpoint: one object a
// connection; after a failure it answers nothing more.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "base/bytes.h"
#include "base/ids.h"
#include "base/random.h"
#include "base/role.h"
#include "transport/key_schedule.h"
#include "transport/password.h"

namespace lansync {

inline constexpr std::size_t kHandshakeHelloBytes = 124;   // M1, M2
inline constexpr std::size_t kHandshakeConfirmBytes = 33;  // M3, M4
inline constexpr std::size_t kMaxHandshakeBytes = kHandshakeHelloBytes;

enum class HandshakeRole : std::uint8_t { kInitiator, kResponder };

enum class HandshakeFailure : std::uint8_t {
  kWrongPassword,  // every failure of the cryptography: one word, so that it tells nothing
  kProtocol,       // the peer speaks another version: peer_version()
  kSelf,           // the peer has our node id: ourselves, or (other peer_boot()) a copy of us
  kMalformed,      // length, type, suite or order is not what the protocol has
};
const char* to_string(HandshakeFailure failure);

struct HandshakeConfig {
  NodeId node;
  BootId boot;
  std::string group;
  PasswordKey password;
  std::uint8_t suites = 1;  // offered_suites(cpu_has_aes())
  std::uint8_t version = kProtocolVersion;
};

class Handshake {
 public:
  struct Step {
    std::optional<Bytes> send;  // to send, also when `failure` is set (then close after it)
    bool established = false;
    std::optional<HandshakeFailure> failure;
  };

  Handshake(HandshakeRole role, HandshakeConfig config, RandomSource& random);
  Handshake(Handshake&&) noexcept;
  Handshake& operator=(Handshake&&) noexcept;
  ~Handshake();

  // M1. Initiator only, once.
  Bytes start();
  // One packet of channel 0. The responder may get sealed records of the initiator only after it
  // sent M4, the initiator may get them only after M4 (on channel 0; see the note at
  // established()).
  Step on_message(ByteView message);

  // Keys are agreed. NB channels are not ordered among each other: the responder must send nothing
  // but M4 until the first record of the initiator opened, or a record on another channel could
  // overtake M4.
  bool established() const;
  // Initiator: M3 is out and M4 not in. If the peer closes now, it did not like our password.
  bool awaits_confirmation() const;
  // Requires: established().
  const SessionKeys& keys() const;
  // What M1 or M2 said; proven only once established.
  const NodeId& peer_node() const;
  const BootId& peer_boot() const;
  // The version in the peer's M1 or M2; 0 before.
  int peer_version() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace lansync
