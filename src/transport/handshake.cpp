#include "transport/handshake.h"

#include <algorithm>
#include <cstring>

#include "base/assert.h"
#include "transport/crypto.h"
#include "transport/spake2.h"

namespace lansync {
namespace {

constexpr std::size_t kVersionPrefix = 2;
constexpr std::size_t kIdentityPrefix = 3 + PublicKey::kSize + BootId::kSize;

// M1 and M2 have one layout.
struct HelloMessage {
  std::uint8_t type = 0;
  std::uint8_t version = 0;
  std::uint8_t suites = 0;
  PublicKey key;
  BootId boot;
  HandshakeRandom random{};
  PakeShare share{};
};

Bytes encode_hello(const HelloMessage& hello) {
  ByteWriter out;
  out.u8(hello.type);
  out.u8(hello.version);
  out.u8(hello.suites);
  out.raw(hello.key);
  out.raw(hello.boot);
  out.raw(ByteView(hello.random));
  out.raw(ByteView(hello.share));
  return out.take();
}

// Requires: exactly kHandshakeHelloBytes.
HelloMessage decode_hello(ByteView bytes) {
  ByteReader in(bytes);
  HelloMessage hello;
  hello.type = in.u8();
  hello.version = in.u8();
  hello.suites = in.u8();
  hello.key = in.id<PublicKey>();
  hello.boot = in.id<BootId>();
  ByteView random = in.raw(hello.random.size());
  ByteView share = in.raw(hello.share.size());
  LS_ASSERT(in.finished());
  std::memcpy(hello.random.data(), random.data(), random.size());
  std::memcpy(hello.share.data(), share.data(), share.size());
  return hello;
}

// "lansync/2 A" | group | key | boot | random: the name under which a side enters the transcript.
Bytes identity(char side, std::string_view group, const HelloMessage& hello) {
  ByteWriter out;
  out.raw(as_bytes("lansync/2 "));
  out.u8(static_cast<std::uint8_t>(side));
  out.raw(as_bytes(group));
  out.raw(hello.key);
  out.raw(hello.boot);
  out.raw(ByteView(hello.random));
  return out.take();
}

// What a side signs: its role keeps one side's proof from serving as the other's.
Bytes proof_text(HandshakeRole role, const Hash32& th) {
  ByteWriter out;
  out.raw(as_bytes("lansync/2 identity"));
  out.u8(role == HandshakeRole::kInitiator ? 'A' : 'B');
  out.raw(ByteView(th));
  return out.take();
}

HandshakeRole other_role(HandshakeRole role) {
  return role == HandshakeRole::kInitiator ? HandshakeRole::kResponder : HandshakeRole::kInitiator;
}

Bytes encode_confirm(std::uint8_t type, const Hash32& confirm) {
  ByteWriter out;
  out.u8(type);
  out.raw(ByteView(confirm));
  return out.take();
}

}  // namespace

const char* to_string(HandshakeFailure failure) {
  switch (failure) {
    case HandshakeFailure::kWrongPassword:
      return "wrong password";
    case HandshakeFailure::kProtocol:
      return "another protocol version";
    case HandshakeFailure::kSelf:
      return "this node itself";
    case HandshakeFailure::kMalformed:
      return "malformed handshake";
    case HandshakeFailure::kIdentity:
      return "not the key that it named";
  }
  return "?";
}

struct Handshake::State {
  enum class Phase : std::uint8_t {
    kIdle,     // initiator before M1, responder waiting for it
    kAwaitM2,  // initiator
    kAwaitM3,  // responder
    kAwaitM4,  // initiator
    kAgreed,   // the keys are there, the peer's proof is not
    kProven,
    kFailed,
  };

  State(HandshakeRole r, HandshakeConfig c, RandomSource& s)
      : role(r), config(std::move(c)), random(s) {}

  HandshakeRole role;
  HandshakeConfig config;
  RandomSource& random;
  Phase phase = Phase::kIdle;
  HelloMessage own;
  HelloMessage peer;
  int peer_version = 0;
  Bytes m1;
  Bytes m2;
  std::optional<Spake2> pake;
  std::optional<PakeSecrets> secrets;
  Suite suite = Suite::kChaCha20Poly1305;
  SessionKeys keys;
  Hash32 th{};  // SHA-256(M1 | M2 | M3 | M4)

  Step fail(HandshakeFailure failure, std::optional<Bytes> send = std::nullopt);
  void make_own(std::uint8_t type, std::uint8_t suites);
  std::optional<HandshakeFailure> read_hello(std::uint8_t type, ByteView message);
  bool finish_pake();
  void derive(ByteView m3, ByteView m4);
  Step on_m1(ByteView message);
  Step on_m2(ByteView message);
  Step on_m3(ByteView message);
  Step on_m4(ByteView message);
};

Handshake::Step Handshake::State::fail(HandshakeFailure failure, std::optional<Bytes> send) {
  phase = Phase::kFailed;
  pake.reset();
  secrets.reset();
  return {std::move(send), false, failure};
}

void Handshake::State::make_own(std::uint8_t type, std::uint8_t suites) {
  pake.emplace(role == HandshakeRole::kInitiator ? PakeSide::kA : PakeSide::kB, config.password,
               random);
  own.type = type;
  own.version = config.version;
  own.suites = suites;
  own.key = config.signer.public_key();
  own.boot = config.boot;
  random.fill(own.random);
  own.share = pake->share();
}

// Fills `peer` as far as the message goes. The version comes first, at its fixed place, because a
// message of another version may have any length.
std::optional<HandshakeFailure> Handshake::State::read_hello(std::uint8_t type, ByteView message) {
  if (message.size() < kVersionPrefix || message[0] != type) return HandshakeFailure::kMalformed;
  peer_version = message[1];
  if (message[1] != config.version) return HandshakeFailure::kProtocol;
  bool refusal = type == 2 && message.size() == kIdentityPrefix;
  if (message.size() != kHandshakeHelloBytes && !refusal) return HandshakeFailure::kMalformed;
  ByteReader in(message.subspan(3));
  peer.key = in.id<PublicKey>();
  peer.boot = in.id<BootId>();
  // Our key in another start is a copy of this folder, or we ourselves before a restart: it goes
  // on, and whoever it is has to prove the key first.
  if (peer.key == config.signer.public_key() && peer.boot == config.boot)
    return HandshakeFailure::kSelf;
  if (!acceptable_key(peer.key)) return HandshakeFailure::kMalformed;
  if (refusal) return HandshakeFailure::kMalformed;
  peer = decode_hello(message);
  return std::nullopt;
}

bool Handshake::State::finish_pake() {
  bool initiator = role == HandshakeRole::kInitiator;
  Bytes id_a = identity('A', config.group, initiator ? own : peer);
  Bytes id_b = identity('B', config.group, initiator ? peer : own);
  secrets = pake->finish(peer.share, id_a, id_b, sha256({m1, m2}));
  pake.reset();
  return secrets.has_value();
}

void Handshake::State::derive(ByteView m3, ByteView m4) {
  th = sha256({m1, m2, m3, m4});
  keys = derive_session_keys(suite, secrets->ke, th);
  bool initiator = role == HandshakeRole::kInitiator;
  keys.ra = initiator ? own.random : peer.random;
  keys.rb = initiator ? peer.random : own.random;
  secrets.reset();
  phase = Phase::kAgreed;
}

Handshake::Step Handshake::State::on_m1(ByteView message) {
  if (auto failure = read_hello(1, message)) {
    std::optional<Bytes> answer;
    if (*failure == HandshakeFailure::kProtocol) answer = Bytes{2, config.version};
    if (*failure == HandshakeFailure::kSelf) {
      ByteWriter out;
      out.u8(2);
      out.u8(config.version);
      out.u8(0);
      out.raw(config.signer.public_key());
      out.raw(config.boot);
      answer = out.take();
    }
    return fail(*failure, std::move(answer));
  }
  std::uint8_t common = peer.suites & config.suites & kAllSuites;
  // ChaCha20 is mandatory: who does not offer it does not speak this protocol.
  if ((peer.suites & 1) == 0 || common == 0) return fail(HandshakeFailure::kMalformed);
  suite = (common & 2) != 0 ? Suite::kAes256Gcm : Suite::kChaCha20Poly1305;
  m1.assign(message.begin(), message.end());
  make_own(2, static_cast<std::uint8_t>(suite));
  m2 = encode_hello(own);
  if (!finish_pake()) return fail(HandshakeFailure::kWrongPassword);
  phase = Phase::kAwaitM3;
  return {m2, false, std::nullopt};
}

Handshake::Step Handshake::State::on_m2(ByteView message) {
  if (auto failure = read_hello(2, message)) return fail(*failure);
  bool one = peer.suites == 1 || peer.suites == 2;
  if (!one || (peer.suites & config.suites) == 0) return fail(HandshakeFailure::kMalformed);
  suite = static_cast<Suite>(peer.suites);
  m2.assign(message.begin(), message.end());
  if (!finish_pake()) return fail(HandshakeFailure::kWrongPassword);
  phase = Phase::kAwaitM4;
  return {encode_confirm(3, secrets->confirm_a), false, std::nullopt};
}

Handshake::Step Handshake::State::on_m3(ByteView message) {
  if (message.size() != kHandshakeConfirmBytes || message[0] != 3)
    return fail(HandshakeFailure::kMalformed);
  if (!equal_constant_time(message.subspan(1), secrets->confirm_a))
    return fail(HandshakeFailure::kWrongPassword);
  Bytes m4 = encode_confirm(4, secrets->confirm_b);
  derive(message, m4);
  return {std::move(m4), true, std::nullopt};
}

Handshake::Step Handshake::State::on_m4(ByteView message) {
  if (message.size() != kHandshakeConfirmBytes || message[0] != 4)
    return fail(HandshakeFailure::kMalformed);
  if (!equal_constant_time(message.subspan(1), secrets->confirm_b))
    return fail(HandshakeFailure::kWrongPassword);
  Bytes m3 = encode_confirm(3, secrets->confirm_a);
  derive(m3, message);
  return {std::nullopt, true, std::nullopt};
}

Handshake::Handshake(HandshakeRole role, HandshakeConfig config, RandomSource& random)
    : state_(std::make_unique<State>(role, std::move(config), random)) {
  LS_ASSERT((state_->config.suites & 1) != 0 && (state_->config.suites & ~kAllSuites) == 0);
}

Handshake::Handshake(Handshake&&) noexcept = default;
Handshake& Handshake::operator=(Handshake&&) noexcept = default;
Handshake::~Handshake() = default;

Bytes Handshake::start() {
  LS_ASSERT(state_->role == HandshakeRole::kInitiator && state_->phase == State::Phase::kIdle);
  state_->make_own(1, state_->config.suites);
  state_->m1 = encode_hello(state_->own);
  state_->phase = State::Phase::kAwaitM2;
  return state_->m1;
}

Handshake::Step Handshake::on_message(ByteView message) {
  switch (state_->phase) {
    case State::Phase::kIdle:
      if (state_->role == HandshakeRole::kResponder) return state_->on_m1(message);
      break;
    case State::Phase::kAwaitM2:
      return state_->on_m2(message);
    case State::Phase::kAwaitM3:
      return state_->on_m3(message);
    case State::Phase::kAwaitM4:
      return state_->on_m4(message);
    case State::Phase::kAgreed:
    case State::Phase::kProven:
    case State::Phase::kFailed:
      break;
  }
  return state_->fail(HandshakeFailure::kMalformed);
}

bool Handshake::agreed() const {
  return state_->phase == State::Phase::kAgreed || state_->phase == State::Phase::kProven;
}
bool Handshake::proven() const { return state_->phase == State::Phase::kProven; }
bool Handshake::awaits_confirmation() const { return state_->phase == State::Phase::kAwaitM4; }

const SessionKeys& Handshake::keys() const {
  LS_ASSERT(agreed());
  return state_->keys;
}

Signature Handshake::proof() const {
  LS_ASSERT(agreed());
  return state_->config.signer.sign(proof_text(state_->role, state_->th));
}

std::optional<HandshakeFailure> Handshake::on_proof(ByteView record) {
  LS_ASSERT(state_->phase == State::Phase::kAgreed);
  Signature signature;
  if (record.size() != signature.bytes.size())
    return state_->fail(HandshakeFailure::kMalformed).failure;
  std::copy(record.begin(), record.end(), signature.bytes.begin());
  const Bytes text = proof_text(other_role(state_->role), state_->th);
  if (!verify_signature(state_->peer.key, text, signature))
    return state_->fail(HandshakeFailure::kIdentity).failure;
  state_->phase = State::Phase::kProven;
  return std::nullopt;
}

const PublicKey& Handshake::peer_key() const { return state_->peer.key; }
NodeId Handshake::peer_node() const { return node_id_of(state_->peer.key); }
const BootId& Handshake::peer_boot() const { return state_->peer.boot; }
int Handshake::peer_version() const { return state_->peer_version; }

}  // namespace lansync
