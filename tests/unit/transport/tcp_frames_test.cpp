#include "transport/tcp_frames.h"

#include <cstring>

#include "base/random.h"
#include "support/catch.h"

namespace lansync {
namespace {

SessionKeys some_keys(Suite suite) {
  Hash32 th{};
  th.fill(0x22);
  return derive_session_keys(suite, Bytes(16, 0x11), th);
}

CarrierPeer side(bool initiator, Suite suite = Suite::kAes256Gcm) {
  CarrierPeer peer;
  peer.session = initiator ? 1 : 2;
  peer.own.fill(initiator ? 0xA1 : 0xB2);
  peer.theirs.fill(initiator ? 0xB2 : 0xA1);
  peer.keys = some_keys(suite);
  peer.initiator = initiator;
  return peer;
}

Bytes content(std::size_t size, std::uint64_t seed) {
  Bytes out(size);
  Prng prng(seed);
  prng.fill(out);
  return out;
}

template <typename Event>
std::vector<Event> only(std::vector<CarrierEvent> events) {
  std::vector<Event> out;
  for (CarrierEvent& event : events)
    if (auto* one = std::get_if<Event>(&event)) out.push_back(std::move(*one));
  return out;
}

struct Pair {
  explicit Pair(Suite suite = Suite::kAes256Gcm) : a(side(true, suite)), b(side(false, suite)) {}

  void connect() {
    Bytes from_a = a.opening();
    REQUIRE(b.opens(from_a));
    Bytes from_b = b.opening();
    REQUIRE(b.attach(from_a));
    REQUIRE(a.attach(from_b));
  }
  // Bytes that `from` wants to send, in pieces of `piece`.
  static std::size_t move(TcpConnection& from, TcpConnection& to, std::size_t piece = 100'000) {
    Bytes out(64 * 1024);
    std::size_t total = 0;
    Bytes wire;
    while (std::size_t size = from.produce(out)) {
      wire.insert(wire.end(), out.begin(), out.begin() + static_cast<std::ptrdiff_t>(size));
      total += size;
    }
    Bytes waiting;
    for (std::size_t at = 0; at < wire.size(); at += piece) {
      std::size_t end = std::min(wire.size(), at + piece);
      waiting.insert(waiting.end(), wire.begin() + static_cast<std::ptrdiff_t>(at),
                     wire.begin() + static_cast<std::ptrdiff_t>(end));
      std::size_t used = to.on_bytes(waiting, Instant{1s});
      waiting.erase(waiting.begin(), waiting.begin() + static_cast<std::ptrdiff_t>(used));
    }
    return total;
  }

  TcpConnection a;
  TcpConnection b;
};

// Sealed by hand, as a member that does not keep the rules would.
struct Rogue {
  Rogue() : sealer(side(false)), victim(side(true)) {
    Bytes ours = opening();
    (void)victim.opening();
    REQUIRE(victim.attach(ours));
    victim.take_events();
  }
  Bytes opening(std::uint64_t credit = ContentCarrier::kWindowBytes) {
    ByteWriter out;
    out.raw(as_bytes("LST1"));
    out.raw(CarrierId(side(false).own));
    out.u64(sealer.next());
    Bytes bytes = out.take();
    bytes.resize(TcpConnection::kOpeningBytes);
    ByteWriter hello;
    hello.u8(1);
    hello.u64(credit);
    sealer.seal(TcpSealed::kHello, hello.bytes(), bytes.data() + TcpConnection::kPreambleBytes);
    return bytes;
  }
  void say(const Bytes& plain, TcpSealed kind = TcpSealed::kControl) {
    Bytes record(plain.size() + kTcpRecordOverhead);
    sealer.seal(kind, plain, record.data());
    victim.on_bytes(record, Instant{1s});
  }
  void report(std::uint64_t delivered, std::uint64_t credit) {
    ByteWriter out;
    out.u8(3);
    out.u64(delivered);
    out.u64(credit);
    say(out.bytes());
  }
  void block(std::uint64_t first, std::uint32_t size) {
    ByteWriter out;
    out.u8(2);
    out.u32(7);
    out.u64(first);
    out.u32(size);
    say(out.bytes());
  }
  bool refused() {
    auto violations = only<CarrierViolation>(victim.take_events());
    return violations.size() == 1 && !victim.up() && violations[0].session == 1;
  }
  TcpSealer sealer;
  TcpConnection victim;
};

}  // namespace

TEST_CASE("tcp: blocks arrive whole and as they were, whatever pieces the stream comes in") {
  for (Suite suite : {Suite::kAes256Gcm, Suite::kChaCha20Poly1305})
    for (std::size_t piece : {1UL, 2UL, 17UL, 1019UL, 65536UL}) {
      Pair pair(suite);
      pair.connect();
      std::vector<Bytes> sent;
      for (std::size_t size : {1UL, 999UL, 1000UL, 1001UL, 25'600UL}) {
        sent.push_back(content(size, size));
        pair.a.send({3, size, sent.back()});
      }
      Pair::move(pair.a, pair.b, piece);
      auto got = only<BlockReceived>(pair.b.take_events());
      REQUIRE(got.size() == sent.size());
      for (std::size_t i = 0; i < sent.size(); ++i) {
        CHECK(got[i].session == 2);
        CHECK(got[i].block.transfer == 3);
        CHECK(got[i].block.first == sent[i].size());
        CHECK(got[i].block.data == sent[i]);
      }
      CHECK(only<BlockDelivered>(pair.a.take_events()).empty());
      Pair::move(pair.b, pair.a, piece);
      auto delivered = only<BlockDelivered>(pair.a.take_events());
      REQUIRE(delivered.size() == sent.size());
      CHECK(delivered[4].bytes == 25'600);
      CHECK(pair.a.take_undelivered().empty());
    }
}

TEST_CASE("tcp: the receiver's credit holds the sender back, and lets it go on") {
  Pair pair;
  pair.connect();
  REQUIRE(pair.a.room() == ContentCarrier::kWindowBytes);
  std::uint64_t sent = 0;
  while (pair.a.room() >= 256'000) {
    pair.a.send({1, sent / 1000, Bytes(256'000, 7)});
    sent += 256'000;
    Pair::move(pair.a, pair.b);
    Pair::move(pair.b, pair.a);
  }
  CHECK(sent <= ContentCarrier::kWindowBytes);
  CHECK(only<BlockReceived>(pair.b.take_events()).size() == sent / 256'000);
  std::uint64_t before = pair.a.room();
  pair.b.credit(512'000);
  Pair::move(pair.b, pair.a);
  CHECK(pair.a.room() == before + 512'000);
}

TEST_CASE("tcp: what was not delivered comes back when the stream breaks, and goes by the next") {
  Pair pair;
  pair.connect();
  pair.a.send({1, 0, content(3000, 1)});
  Pair::move(pair.a, pair.b);
  Pair::move(pair.b, pair.a);
  pair.a.send({1, 3, content(256'000, 2)});
  pair.a.send({1, 259, content(256'000, 3)});
  Bytes part(100'000);
  std::size_t size = pair.a.produce(part);
  pair.b.on_bytes(ByteView(part).first(size), Instant{});
  pair.a.take_events();
  pair.b.take_events();
  pair.a.detach("the line was cut");
  pair.b.detach("the line was cut");
  auto changed = only<CarrierChanged>(pair.a.take_events());
  REQUIRE(changed.size() == 1);
  CHECK(changed[0].status.state == CarrierState::kBlocked);
  CHECK(changed[0].status.why == "the line was cut");
  REQUIRE(changed[0].undelivered.size() == 2);
  CHECK(changed[0].undelivered[0].data == content(256'000, 2));
  CHECK(changed[0].undelivered[1].data == content(256'000, 3));
  CHECK(pair.a.room() == 0);

  pair.connect();
  // The first 3000 bytes were taken and not credited: they still count.
  CHECK(pair.a.room() == ContentCarrier::kWindowBytes - 3000);
  pair.a.send(std::move(changed[0].undelivered[0]));
  Pair::move(pair.a, pair.b);
  auto got = only<BlockReceived>(pair.b.take_events());
  REQUIRE(got.size() == 1);
  CHECK(got[0].block.data == content(256'000, 2));
}

TEST_CASE("tcp: an opening is good once, for its own ids and keys only") {
  Pair pair;
  Bytes first = pair.a.opening();
  CHECK(pair.b.opens(first));
  CHECK(TcpConnection::opening_id(first) == side(true).own);
  for (std::size_t i = 0; i < first.size(); ++i) {
    Bytes other = first;
    other[i] ^= 1;
    CHECK_FALSE(pair.b.opens(other));
    CHECK_FALSE(pair.b.opens(ByteView(first).first(i)));
  }
  CarrierPeer wrong = side(false);
  wrong.keys.prk[0] ^= 1;
  CHECK_FALSE(TcpConnection(wrong).opens(first));
  // To the sender itself, as an attacker would reflect it.
  CHECK_FALSE(pair.a.opens(first));

  REQUIRE(pair.b.attach(first));
  pair.b.detach("cut");
  CHECK_FALSE(pair.b.opens(first));
  Bytes second = pair.a.opening();
  CHECK(pair.b.opens(second));
  CHECK(std::memcmp(first.data() + 12, second.data() + 12, 8) != 0);
}

TEST_CASE("tcp: a stream with one bit changed gives nothing from there on") {
  for (std::size_t at : {0UL, 1UL, 5UL, 40UL, 600UL, 1070UL, 2500UL}) {
    Pair pair;
    pair.connect();
    pair.b.take_events();
    pair.a.send({1, 0, content(3000, 1)});
    Bytes out(8000);
    std::size_t size = pair.a.produce(out);
    REQUIRE(size > at);
    out[at] ^= 4;
    pair.b.on_bytes(ByteView(out).first(size), Instant{});
    auto events = pair.b.take_events();
    bool waits = at == 0 || at == 1;  // a longer record may be wanted than has come
    CHECK((waits || !pair.b.up()));
    CHECK(only<BlockReceived>(std::move(events)).empty());
  }
}

TEST_CASE("tcp: a member that breaks the rules is refused") {
  SECTION("more than the credit") {
    Rogue rogue;
    for (int i = 0; i < 33 && rogue.victim.up(); ++i) {
      rogue.block(0, 256'000);
      for (int chunk = 0; chunk < 256 && rogue.victim.up(); ++chunk)
        rogue.say(Bytes(1000, 1), TcpSealed::kChunk);
    }
    CHECK(rogue.refused());
  }
  SECTION("an empty block, a huge one, one beyond every file") {
    for (auto [first, size] : {std::pair<std::uint64_t, std::uint32_t>{0, 0},
                               {0, 256'001},
                               {0, 0xFFFFFFFF},
                               {~0ULL, 1000},
                               {(1ULL << 62) / 1000, 256'000}}) {
      Rogue rogue;
      rogue.block(first, size);
      CHECK(rogue.refused());
    }
  }
  SECTION("delivery of what was not sent, or of half a block") {
    for (std::uint64_t delivered : {1ULL, 999ULL, 1000ULL, 3000ULL, ~0ULL}) {
      Rogue rogue;
      rogue.victim.send({1, 0, Bytes(2000, 1)});
      Bytes out(1100);
      REQUIRE(rogue.victim.produce(out) > 0);  // the first chunk does not fit any more
      rogue.report(delivered, ContentCarrier::kWindowBytes);
      CHECK(rogue.refused());
    }
  }
  SECTION("credit that shrinks, or runs over") {
    for (std::uint64_t credit : {0UL, 1000UL, ContentCarrier::kWindowBytes + 1, ~0UL}) {
      Rogue rogue;
      rogue.report(0, credit);
      CHECK(rogue.refused());
    }
  }
  SECTION("records of no known type, and too long ones") {
    for (int type : {0, 1, 4, 255}) {
      Rogue rogue;
      rogue.say(Bytes(9, static_cast<std::uint8_t>(type)));
      CHECK(rogue.refused());
    }
    Rogue rogue;
    rogue.say(Bytes(18, 3));
    CHECK_FALSE(rogue.victim.up());
  }
  SECTION("a million reports take no memory") {
    Rogue rogue;
    for (int i = 0; i < 100'000; ++i) rogue.report(0, ContentCarrier::kWindowBytes);
    CHECK(rogue.victim.up());
    CHECK(rogue.victim.take_events().empty());
  }
}

TEST_CASE("tcp: a hello may not grant more than the window") {
  Rogue rogue;
  TcpConnection other(side(true));
  CHECK(other.opens(rogue.opening(ContentCarrier::kWindowBytes)));
  CHECK_FALSE(other.opens(rogue.opening(ContentCarrier::kWindowBytes + 1)));
}

}  // namespace lansync
