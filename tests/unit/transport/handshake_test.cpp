#include "transport/handshake.h"

#include "support/catch.h"
#include "unit/transport/security_support.h"

namespace lansync {
namespace {

using test::agree;
using test::node_config;

// Two sides, stopped after M2, M3 or M4 so that a test can spoil what comes next.
struct Pair {
  explicit Pair(HandshakeConfig a_config = node_config(1),
                HandshakeConfig b_config = node_config(2))
      : a(HandshakeRole::kInitiator, std::move(a_config), random),
        b(HandshakeRole::kResponder, std::move(b_config), random) {}
  Prng random{5};
  Handshake a;
  Handshake b;
};

TEST_CASE("two nodes with one password agree on keys and know each other") {
  Pair p;
  Bytes m1 = p.a.start();
  CHECK(m1.size() == kHandshakeHelloBytes);
  auto m2 = p.b.on_message(m1);
  REQUIRE(m2.send);
  CHECK(m2.send->size() == kHandshakeHelloBytes);
  CHECK_FALSE(p.a.awaits_confirmation());
  auto m3 = p.a.on_message(*m2.send);
  REQUIRE(m3.send);
  CHECK(m3.send->size() == kHandshakeConfirmBytes);
  CHECK(p.a.awaits_confirmation());
  CHECK_FALSE(p.b.agreed());
  auto m4 = p.b.on_message(*m3.send);
  REQUIRE(m4.send);
  CHECK(m4.agreed);
  auto end = p.a.on_message(*m4.send);
  CHECK(end.agreed);
  CHECK_FALSE(end.send);
  CHECK(p.a.keys() == p.b.keys());
  CHECK(p.a.keys().k_ab != p.a.keys().k_ba);
  CHECK_FALSE(p.a.proven());
  CHECK_FALSE(p.b.on_proof(p.a.proof().bytes));
  CHECK_FALSE(p.a.on_proof(p.b.proof().bytes));
  CHECK(p.a.proven());
  CHECK(p.b.proven());
  CHECK(p.a.peer_key() == node_config(2).signer.public_key());
  CHECK(p.b.peer_node() == node_id_of(node_config(1).signer.public_key()));
  CHECK(p.b.peer_boot() == node_config(1).boot);
}

TEST_CASE("no two handshakes have the same keys") {
  Prng random(9);
  auto one = agree(random, node_config(1), node_config(2));
  auto two = agree(random, node_config(1), node_config(2));
  REQUIRE(one);
  REQUIRE(two);
  CHECK(one->a.k_ab != two->a.k_ab);
  CHECK(one->a.sid != two->a.sid);
}

TEST_CASE("AES is taken only if both offer it") {
  Prng random(9);
  CHECK(agree(random, node_config(1, 7, 3), node_config(2, 7, 3))->a.suite == Suite::kAes256Gcm);
  CHECK(agree(random, node_config(1, 7, 1), node_config(2, 7, 3))->a.suite ==
        Suite::kChaCha20Poly1305);
  CHECK(agree(random, node_config(1, 7, 3), node_config(2, 7, 1))->b.suite ==
        Suite::kChaCha20Poly1305);
}

TEST_CASE("a wrong password is found by the responder at M3, and M4 never comes") {
  Pair p(node_config(1, 7), node_config(2, 8));
  auto m2 = p.b.on_message(p.a.start());
  auto m3 = p.a.on_message(*m2.send);
  REQUIRE(m3.send);
  auto end = p.b.on_message(*m3.send);
  CHECK(end.failure == HandshakeFailure::kWrongPassword);
  CHECK_FALSE(end.send);
  CHECK_FALSE(end.agreed);
  CHECK(p.a.awaits_confirmation());
}

TEST_CASE("another group is as good as another password") {
  Prng random(3);
  HandshakeConfig other = node_config(2);
  other.group = "elsewhere";
  CHECK_FALSE(agree(random, node_config(1), other));
}

TEST_CASE("any bit changed on the way in any message ends the handshake") {
  for (int spoiled = 1; spoiled <= 4; ++spoiled) {
    std::size_t size = spoiled <= 2 ? kHandshakeHelloBytes : kHandshakeConfirmBytes;
    // Every byte of the headers, every fourth of the rest: a run costs a millisecond.
    for (std::size_t at = 0; at < size; at += at < 43 ? 1 : 4) {
      Pair p;
      auto pass = [&](int number, Bytes message) {
        if (number == spoiled) message[at] ^= 0x10;
        return message;
      };
      auto m2 = p.b.on_message(pass(1, p.a.start()));
      if (!m2.send || m2.failure) continue;
      auto m3 = p.a.on_message(pass(2, *m2.send));
      if (!m3.send || m3.failure) continue;
      auto m4 = p.b.on_message(pass(3, *m3.send));
      if (!m4.send || m4.failure) continue;
      REQUIRE(spoiled == 4);
      auto end = p.a.on_message(pass(4, *m4.send));
      REQUIRE(end.failure);
      REQUIRE_FALSE(p.a.agreed());
    }
  }
}

TEST_CASE("a message that is cut or too long at any stage is malformed") {
  for (std::size_t size = 0; size < kHandshakeHelloBytes; ++size) {
    Pair p;
    Bytes m1 = p.a.start();
    m1.resize(size);
    REQUIRE(p.b.on_message(m1).failure == HandshakeFailure::kMalformed);
  }
  Pair p;
  Bytes m1 = p.a.start();
  m1.push_back(0);
  CHECK(p.b.on_message(m1).failure == HandshakeFailure::kMalformed);
  Pair q;
  auto m2 = q.b.on_message(q.a.start());
  m2.send->resize(43);
  CHECK(q.a.on_message(*m2.send).failure == HandshakeFailure::kMalformed);
  Pair r;
  auto m3 = r.a.on_message(*r.b.on_message(r.a.start()).send);
  m3.send->push_back(0);
  CHECK(r.b.on_message(*m3.send).failure == HandshakeFailure::kMalformed);
}

TEST_CASE("another protocol version is named on both sides, whatever the length of its M1") {
  HandshakeConfig newer = node_config(1);
  newer.version = 9;
  Pair p(newer, node_config(2));
  Bytes m1 = p.a.start();
  m1.resize(300);
  auto answer = p.b.on_message(m1);
  CHECK(answer.failure == HandshakeFailure::kProtocol);
  CHECK(p.b.peer_version() == 9);
  REQUIRE(answer.send);
  auto end = p.a.on_message(*answer.send);
  CHECK(end.failure == HandshakeFailure::kProtocol);
  CHECK(p.a.peer_version() == kProtocolVersion);
}

// Both have agreed on keys; what comes next are the proofs.
struct Agreed {
  explicit Agreed(HandshakeConfig a = node_config(1), HandshakeConfig b = node_config(2))
      : pair(std::move(a), std::move(b)) {
    auto m3 = pair.a.on_message(*pair.b.on_message(pair.a.start()).send);
    pair.a.on_message(*pair.b.on_message(*m3.send).send);
    REQUIRE(pair.a.agreed());
    REQUIRE(pair.b.agreed());
  }
  Pair pair;
};

TEST_CASE("who knows the password and names another's key does not get past the proof") {
  // The liar's messages carry the key of node 1; it has only its own to sign with.
  Agreed honest;
  const Signature right = honest.pair.a.proof();
  Agreed forged;
  Prng random(77);
  const SigningKey own = SigningKey::generate(random);
  CHECK(forged.pair.b.on_proof(own.sign(as_bytes("lansync/2 identity")).bytes) ==
        HandshakeFailure::kIdentity);
  CHECK_FALSE(forged.pair.b.proven());
  // Nor with what the true owner once signed, or the other side has just signed.
  Prng later(6);
  Handshake a(HandshakeRole::kInitiator, node_config(1), later);
  Handshake b(HandshakeRole::kResponder, node_config(2), later);
  a.on_message(*b.on_message(*a.on_message(*b.on_message(a.start()).send).send).send);
  REQUIRE(b.agreed());
  CHECK(b.on_proof(right.bytes) == HandshakeFailure::kIdentity);
  Agreed copies(node_config(1), [] {
    HandshakeConfig copy = node_config(1);
    copy.boot.bytes.fill(77);
    return copy;
  }());
  CHECK(copies.pair.b.on_proof(copies.pair.b.proof().bytes) == HandshakeFailure::kIdentity);
}

TEST_CASE("any bit changed in a proof, and any other length, is refused") {
  for (std::size_t bit = 0; bit < 8 * Signature::kSize; bit += 5) {
    Agreed p;
    Signature proof = p.pair.a.proof();
    proof.bytes[bit / 8] ^= static_cast<std::uint8_t>(1 << bit % 8);
    REQUIRE(p.pair.b.on_proof(proof.bytes) == HandshakeFailure::kIdentity);
  }
  for (std::size_t size : {0U, 63U, 65U}) {
    Agreed p;
    REQUIRE(p.pair.b.on_proof(Bytes(size)) == HandshakeFailure::kMalformed);
  }
}

TEST_CASE("a key that is no good key is refused before anything is computed with it") {
  PublicKey zeros;
  PublicKey one;
  one.bytes[0] = 1;
  PublicKey above_p;
  above_p.bytes.fill(0xff);
  for (const PublicKey& bad : {zeros, one, above_p}) {
    Pair p;
    Bytes m1 = p.a.start();
    std::copy(bad.bytes.begin(), bad.bytes.end(), m1.begin() + 3);
    auto answer = p.b.on_message(m1);
    CHECK(answer.failure == HandshakeFailure::kMalformed);
    CHECK_FALSE(answer.send);
    Pair q;
    Bytes m2 = *q.b.on_message(q.a.start()).send;
    std::copy(bad.bytes.begin(), bad.bytes.end(), m2.begin() + 3);
    CHECK(q.a.on_message(m2).failure == HandshakeFailure::kMalformed);
  }
}

TEST_CASE("our own key under another boot id is a copy, and goes on to prove itself") {
  HandshakeConfig copy = node_config(1);
  copy.boot.bytes.fill(77);
  Agreed p(node_config(1), copy);
  CHECK_FALSE(p.pair.b.on_proof(p.pair.a.proof().bytes));
  CHECK_FALSE(p.pair.a.on_proof(p.pair.b.proof().bytes));
  CHECK(p.pair.a.peer_node() == p.pair.b.peer_node());
  CHECK(p.pair.a.peer_boot() == copy.boot);
}

TEST_CASE("our own key and boot id are ourselves: refused, and both sides learn it") {
  Pair p(node_config(1), node_config(1));
  auto answer = p.b.on_message(p.a.start());
  CHECK(answer.failure == HandshakeFailure::kSelf);
  REQUIRE(answer.send);
  CHECK(p.a.on_message(*answer.send).failure == HandshakeFailure::kSelf);
}

TEST_CASE("an M1 reflected to its sender is refused") {
  Pair p;
  Bytes m1 = p.a.start();
  CHECK(p.a.on_message(m1).failure == HandshakeFailure::kMalformed);
  Pair q;
  m1 = q.a.start();
  m1[0] = 2;
  CHECK(q.a.on_message(m1).failure == HandshakeFailure::kSelf);
}

TEST_CASE("a recorded handshake played again does not get past M2") {
  Pair p;
  Bytes m1 = p.a.start();
  auto m3 = p.a.on_message(*p.b.on_message(m1).send);
  Prng later(99);
  Handshake again(HandshakeRole::kResponder, node_config(2), later);
  REQUIRE(again.on_message(m1).send);
  CHECK(again.on_message(*m3.send).failure == HandshakeFailure::kWrongPassword);
}

TEST_CASE("messages out of order are malformed, and nothing is answered afterwards") {
  Pair p;
  Bytes m1 = p.a.start();
  Bytes m3(kHandshakeConfirmBytes);
  m3[0] = 3;
  CHECK(p.b.on_message(m3).failure == HandshakeFailure::kMalformed);
  auto after = p.b.on_message(m1);
  CHECK(after.failure == HandshakeFailure::kMalformed);
  CHECK_FALSE(after.send);
}

TEST_CASE("a suite that nobody offered is refused") {
  Pair p(node_config(1, 7, 1), node_config(2));
  auto m2 = p.b.on_message(p.a.start());
  for (int suite : {0, 2, 3, 4, 255}) {
    Prng random(5);
    Handshake a(HandshakeRole::kInitiator, node_config(1, 7, 1), random);
    a.start();
    Bytes bad = *m2.send;
    bad[2] = static_cast<std::uint8_t>(suite);
    CHECK(a.on_message(bad).failure == HandshakeFailure::kMalformed);
  }
  Pair q;
  Bytes m1 = q.a.start();
  m1[2] = 2;  // without the mandatory one
  CHECK(q.b.on_message(m1).failure == HandshakeFailure::kMalformed);
}

}  // namespace
}  // namespace lansync
