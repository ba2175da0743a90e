// The handshake of one session (DESIGN, Security): M1 to M4, fixed binary on channel 0, then one
// sealed record each way.
//   M1 A->B  01 | ver | suites | keyA32 | boot_idA8 | rA32 | pA65              140 bytes
//   M2 B->A  02 | ver | suite  | keyB32 | boot_idB8 | rB32 | pB65              140 bytes
//   M3 A->B  03 | cA32      M4 B->A  04 | cB32                                  33 bytes
//   A->B, then B->A: the sealed proof, Ed25519("lansync/2 identity" | 'A' or 'B' | th)  64 bytes
// A responder that cannot go on answers with a prefix of M2: 2 bytes (it speaks another version) or
// 43 (M1 came from itself: its own key and boot id). Nothing else is ever said about a failure.
// Invariant: proven() only after the peer proved the password *and* its key; until then nothing may
// follow from whom it says it is. Keys, boot ids, versions, suites and shares of both sides are
// what both sides saw. Driven by the endpoint, which seals and opens: one object a connection;
// after a failure it answers nothing more.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "base/bytes.h"
#include "base/ids.h"
#include "base/random.h"
#include "base/role.h"
#include "transport/ed25519.h"
#include "transport/key_schedule.h"
#include "transport/password.h"

namespace lansync {

inline constexpr std::size_t kHandshakeHelloBytes = 140;   // M1, M2
inline constexpr std::size_t kHandshakeConfirmBytes = 33;  // M3, M4
inline constexpr std::size_t kMaxHandshakeBytes = kHandshakeHelloBytes;

enum class HandshakeRole : std::uint8_t { kInitiator, kResponder };

enum class HandshakeFailure : std::uint8_t {
  kWrongPassword,  // every failure of the cryptography: one word, so that it tells nothing
  kProtocol,       // the peer speaks another version: peer_version()
  kSelf,           // the peer is this very start of this node
  kMalformed,      // length, type, suite, key or order is not what the protocol has
  kIdentity,       // it knows the password and has not the key that it named
};
const char* to_string(HandshakeFailure failure);

struct HandshakeConfig {
  SigningKey signer;
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
    bool agreed = false;        // the session keys are there
    std::optional<HandshakeFailure> failure;
  };

  Handshake(HandshakeRole role, HandshakeConfig config, RandomSource& random);
  Handshake(Handshake&&) noexcept;
  Handshake& operator=(Handshake&&) noexcept;
  ~Handshake();

  // M1. Initiator only, once.
  Bytes start();
  // One packet of channel 0, until agreed().
  Step on_message(ByteView message);

  // Keys are agreed: the peer knows the password. Whoever it is comes next, sealed.
  bool agreed() const;
  // Initiator: M3 is out and M4 not in. If the peer closes now, it did not like our password.
  bool awaits_confirmation() const;
  // Requires: agreed().
  const SessionKeys& keys() const;
  // Our proof. The initiator sends it first, the responder when the initiator's was good: so
  // nothing of either channel can come before it. Requires: agreed().
  Signature proof() const;
  // The peer's, as it came out of its first record. nullopt: it holds, and the peer is proven.
  // Requires: agreed(); called once.
  std::optional<HandshakeFailure> on_proof(ByteView record);
  bool proven() const;

  // What M1 or M2 said; claims until proven().
  const PublicKey& peer_key() const;
  NodeId peer_node() const;
  const BootId& peer_boot() const;
  // The version in the peer's M1 or M2; 0 before.
  int peer_version() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace lansync
