#include "transport/intercept_filter.h"

#include "support/catch.h"
#include "transport/session.h"
#include "unit/transport/security_support.h"

namespace lansync {
namespace {

using test::Datagram;

const Address kPeer{0x0A000002, 27801};
const Instant kStart{Duration(1h)};

struct Rig {
  Prng random{3};
  InterceptFilter filter{random};
  Instant now = kStart;

  bool passes(const Datagram& datagram, const Address& from = kPeer) {
    return filter.inspect(from, datagram.bytes(), now).action == FilterAction::kPass;
  }
  // The stranger's side of the cookie exchange; the reply to LSA1, if any.
  FilterVerdict cookie(const Address& from, const std::optional<BeaconKey>& key = std::nullopt) {
    CookieNonce nonce = random.id<CookieNonce>();
    auto reply = filter.inspect(from, encode_cookie(CookieHello{nonce}), now);
    REQUIRE(reply.action == FilterAction::kReply);
    auto challenge = std::get<CookieChallenge>(*decode_cookie(reply.reply));
    CHECK(challenge.nonce == nonce);
    CookieAnswer answer{nonce, challenge.cookie, {}};
    if (key) answer.proof = make_member_proof(*key, nonce, challenge.cookie);
    return filter.inspect(from, encode_cookie(answer), now);
  }
  bool connects(const Address& from, std::uint32_t id = 1) {
    return passes(Datagram(0xFFF).connect(id), from);
  }
};

TEST_CASE("CONNECT passes only after a cookie, and only for 10 s") {
  Rig rig;
  CHECK_FALSE(rig.connects(kPeer));
  CHECK(rig.filter.counters().rejected == 1);
  CHECK(rig.cookie(kPeer).action == FilterAction::kDrop);
  CHECK(rig.connects(kPeer));
  CHECK_FALSE(rig.connects({kPeer.ip, 1}));
  rig.now += 11s;
  CHECK_FALSE(rig.connects(kPeer, 2));
}

TEST_CASE("who asks for thousands of cookies gets fifty a second, and others theirs") {
  Rig rig;
  const auto answered = [&](std::uint32_t ip, std::uint16_t port) {
    const CookieHello hello{rig.random.id<CookieNonce>()};
    return rig.filter.inspect({ip, port}, encode_cookie(hello), rig.now).action ==
           FilterAction::kReply;
  };
  int eve = 0, anna = 0;
  for (int ms = 0; ms < 10'000; ++ms, rig.now += 1ms) {
    for (int i = 0; i < 10; ++i) eve += answered(0x0A000009, static_cast<std::uint16_t>(ms));
    if (ms % 250 == 0) anna += answered(kPeer.ip, kPeer.port);
  }
  CHECK(eve <= 128 + 500);
  CHECK(anna == 40);
  // From so many addresses that none has asked before: the answers have a limit in all.
  int all = 0;
  for (int ms = 0; ms < 1000; ++ms, rig.now += 1ms)
    for (std::uint32_t i = 0; i < 10; ++i)
      all += answered(0x0A010000 + static_cast<std::uint32_t>(ms) * 10 + i, 1);
  CHECK(all >= 2000);
  CHECK(all <= 3000);
}

TEST_CASE("a CONNECT that ENet repeats counts once") {
  Rig rig;
  rig.cookie(kPeer);
  for (int i = 0; i < 10; ++i) CHECK(rig.connects(kPeer, 7));
  CHECK(rig.filter.half_open() == 1);
}

TEST_CASE("a forged or old cookie opens nothing") {
  Rig rig;
  CookieAnswer answer;
  CHECK(rig.filter.inspect(kPeer, encode_cookie(answer), rig.now).action == FilterAction::kDrop);
  CHECK(rig.filter.counters().rejected == 1);
  CHECK_FALSE(rig.connects(kPeer));
}

TEST_CASE("a CONNECT with a large MTU, with company, or to a peer's slot is dropped") {
  Rig rig;
  rig.cookie(kPeer);
  CHECK_FALSE(rig.passes(Datagram(0xFFF).connect(1, InterceptFilter::kMaxMtu + 1)));
  CHECK_FALSE(rig.passes(Datagram(0xFFF).connect(1).ping()));
  CHECK_FALSE(rig.passes(Datagram(0xFFF).ping()));
  CHECK_FALSE(rig.passes(Datagram(0).connect(1)));
  CHECK(rig.passes(Datagram(0xFFF).connect(1, InterceptFilter::kMaxMtu)));
}

TEST_CASE("before authentication only what a handshake needs passes") {
  Rig rig;
  CHECK_FALSE(rig.passes(Datagram(0).ack()));
  rig.cookie(kPeer);
  REQUIRE(rig.connects(kPeer));
  CHECK(rig.passes(Datagram(0).ack()));
  CHECK(rig.passes(Datagram(0).ping()));
  CHECK(rig.passes(Datagram(0).disconnect()));
  CHECK(rig.passes(Datagram(0).ack().reliable(0, 1, 140)));
  // What ENet sends by itself together with M1.
  CHECK(rig.passes(Datagram(0).command(10, 0xFF, 2).zeros(8).reliable(0, 1, 140)));
  CHECK(rig.passes(Datagram(0).command(11, 0xFF, 2).zeros(12)));
  CHECK(rig.passes(Datagram(0).reliable(0, 16, 256)));
  CHECK_FALSE(rig.passes(Datagram(0).reliable(0, 17, 256)));
  CHECK_FALSE(rig.passes(Datagram(0).reliable(0, 16, 257)));
  CHECK_FALSE(rig.passes(Datagram(0).reliable(0, 1, 0)));
  CHECK_FALSE(rig.passes(Datagram(0).reliable(1, 1, 10)));
  CHECK_FALSE(rig.passes(Datagram(0).fragment(2, 0, 2000, 0, 1000)));
  CHECK_FALSE(rig.passes(Datagram(0).verify_connect()));
  // One forbidden command spoils its datagram.
  CHECK_FALSE(rig.passes(Datagram(0).ack().reliable(1, 1, 10)));
}

TEST_CASE("a session may send messages and content, but nothing unreliable and nothing empty") {
  Rig rig;
  rig.cookie(kPeer);
  REQUIRE(rig.connects(kPeer));
  rig.filter.on_authenticated(kPeer);
  CHECK(rig.filter.half_open() == 0);
  CHECK(rig.passes(Datagram(0).reliable(2, 60000, 1029).ack()));
  CHECK(rig.passes(Datagram(0).fragment(200, 3, 256 * 1024, 4000, 1200)));
  CHECK_FALSE(rig.passes(Datagram(0).reliable(3, 1, 10)));
  CHECK_FALSE(rig.passes(Datagram(0).reliable(0xFF, 1, 10)));
  CHECK_FALSE(rig.passes(Datagram(0).reliable(1, 1, 0)));
  CHECK_FALSE(rig.passes(Datagram(0).command(7, 0, 1).u16(0).u16(0)));
  CHECK_FALSE(rig.passes(Datagram(0).command(9, 0, 1).u16(0).u16(0)));
  CHECK_FALSE(rig.passes(Datagram(0).command(12, 0, 1).zeros(20)));
  CHECK_FALSE(rig.passes(Datagram(0).connect(4)));
  CHECK_FALSE(rig.passes(Datagram(0).command(0, 0, 1)));
  CHECK_FALSE(rig.passes(Datagram(0).command(13, 0, 1)));
}

TEST_CASE("a fragment that claims what cannot be is dropped") {
  Rig rig;
  rig.filter.on_authenticated(kPeer);
  CHECK(rig.passes(Datagram(0).fragment(2, 0, 2000, 0, 1000)));
  CHECK_FALSE(rig.passes(Datagram(0).fragment(0, 0, 2000, 0, 1000)));
  CHECK_FALSE(rig.passes(Datagram(0).fragment(2, 2, 2000, 0, 1000)));
  CHECK_FALSE(rig.passes(Datagram(0).fragment(2001, 0, 2000, 0, 1000)));
  CHECK_FALSE(rig.passes(Datagram(0).fragment(2, 0, 2000, 1001, 1000)));
  CHECK_FALSE(rig.passes(Datagram(0).fragment(2, 0, 2000, 0xFFFFFFFF, 1000)));
  CHECK_FALSE(rig.passes(Datagram(0).fragment(2, 0, 256 * 1024 + 17, 0, 1000)));
  CHECK_FALSE(rig.passes(Datagram(0).fragment(1048576, 0, 0x02000000, 0, 1000)));
}

TEST_CASE("a datagram may be as long as the MTU and the checksum, which ENet does not count") {
  Rig rig;
  rig.filter.on_authenticated(kPeer);
  Datagram empty(0);
  empty.reliable(1, 5, 0);
  const std::size_t room = 1252 - empty.bytes().size();
  Datagram full(0);
  full.reliable(1, 5, room);
  REQUIRE(full.bytes().size() == 1252);
  CHECK(rig.passes(full));
  CHECK_FALSE(rig.passes(Datagram(0).reliable(1, 5, room + 1)));
}

TEST_CASE("a datagram that is cut at any byte, compressed, empty or too large is dropped") {
  Rig rig;
  rig.filter.on_authenticated(kPeer);
  Datagram whole(0);
  whole.ack().reliable(1, 5, 40);
  REQUIRE(rig.passes(whole));
  for (std::size_t cut = 0; cut < whole.bytes().size(); ++cut) {
    if (cut == 16) continue;  // after the whole ACK
    ByteView part = ByteView(whole.bytes()).first(cut);
    REQUIRE(rig.filter.inspect(kPeer, part, rig.now).action == FilterAction::kDrop);
  }
  Bytes compressed = whole.bytes();
  compressed[0] |= 0x40;
  CHECK(rig.filter.inspect(kPeer, compressed, rig.now).action == FilterAction::kDrop);
  CHECK_FALSE(rig.passes(Datagram(0)));
  CHECK_FALSE(rig.passes(Datagram(0).reliable(1, 1, 1400)));
  Datagram many(0);
  for (int i = 0; i < 33; ++i) many.ping();
  CHECK_FALSE(rig.passes(many));
}

TEST_CASE("at most 4 half-open handshakes an address and 16 in all, the rest is told to wait") {
  Rig rig;
  for (std::uint16_t port = 1; port <= 4; ++port) {
    Address from{kPeer.ip, port};
    rig.cookie(from);
    CHECK(rig.connects(from));
  }
  auto busy = rig.cookie({kPeer.ip, 5});
  CHECK(busy.action == FilterAction::kReply);
  CHECK(std::holds_alternative<CookieBusy>(*decode_cookie(busy.reply)));
  CHECK_FALSE(rig.connects({kPeer.ip, 5}));
  for (std::uint32_t ip = 1; ip <= 12; ++ip) {
    rig.cookie({ip, 1});
    CHECK(rig.connects({ip, 1}));
  }
  CHECK(rig.filter.half_open() == 16);
  CHECK(rig.cookie({77, 1}).action == FilterAction::kReply);
  // They go when their time is up, or when they are closed.
  rig.filter.on_closed({1, 1}, false, rig.now);
  CHECK(rig.filter.half_open() == 15);
  CHECK(rig.cookie({77, 1}).action == FilterAction::kDrop);
  rig.now += 7s;
  CHECK_FALSE(rig.passes(Datagram(0).ack(), {2, 1}));
  CHECK(rig.filter.half_open() == 0);
}

TEST_CASE("20 handshakes a second for strangers, while members still get in") {
  Rig rig;
  BeaconKey key;
  key.bytes.fill(9);
  rig.filter.set_beacon_key(key);
  int strangers = 0;
  for (std::uint32_t ip = 1; ip <= 200; ++ip) {
    rig.cookie({ip, 1});
    if (!rig.connects({ip, 1})) continue;
    ++strangers;
    CHECK_FALSE(rig.filter.proven_member({ip, 1}, rig.now));
    rig.filter.on_closed({ip, 1}, false, rig.now);
  }
  CHECK(strangers == 20);
  for (std::uint32_t ip = 1001; ip <= 1200; ++ip) {
    rig.cookie({ip, 1}, key);
    CHECK(rig.connects({ip, 1}));
    CHECK(rig.filter.proven_member({ip, 1}, rig.now));
  }
  CHECK(rig.filter.half_open() == 200);
  CHECK(rig.cookie({1201, 1}, key).action == FilterAction::kReply);
}

TEST_CASE("a proof under another key is no proof, and no crime") {
  Rig rig;
  BeaconKey key;
  key.bytes.fill(9);
  rig.filter.set_beacon_key(key);
  key.bytes.fill(8);
  rig.cookie(kPeer, key);
  CHECK(rig.connects(kPeer));
  CHECK_FALSE(rig.filter.proven_member(kPeer, rig.now));
}

TEST_CASE("a dial asks for a cookie, answers it, and lets the peer answer the CONNECT") {
  Rig a, b;
  Address at_b{0x0A000001, 27801};  // a, as b sees it
  BeaconKey key;
  key.bytes.fill(9);
  a.filter.set_beacon_key(key);
  b.filter.set_beacon_key(key);
  Bytes hello = a.filter.begin_dial(kPeer, a.now);
  CHECK(a.filter.begin_dial(kPeer, a.now) == hello);
  CHECK_FALSE(a.filter.take_dial_event());
  auto challenge = b.filter.inspect(at_b, hello, b.now);
  CHECK(a.filter.inspect({9, 9}, challenge.reply, a.now).action == FilterAction::kDrop);
  CHECK_FALSE(a.filter.take_dial_event());
  a.filter.inspect(kPeer, challenge.reply, a.now);
  a.filter.inspect(kPeer, challenge.reply, a.now);
  auto event = a.filter.take_dial_event();
  REQUIRE(event);
  CHECK(event->kind == DialEvent::Kind::kCookie);
  CHECK(event->address == kPeer);
  CHECK_FALSE(a.filter.take_dial_event());
  b.filter.inspect(at_b, event->packet, b.now);
  CHECK(b.connects(at_b));
  CHECK(b.filter.proven_member(at_b, b.now));

  CHECK_FALSE(a.passes(Datagram(0).verify_connect()));
  a.filter.expect_answer(kPeer, a.now);
  CHECK(a.passes(Datagram(0).verify_connect()));
  CHECK(a.passes(Datagram(0).reliable(0, 1, 140)));
  CHECK(a.passes(Datagram(0).reliable(0, 2, 33).reliable(1, 1, 400)));  // M4 and a first record
  for (int i = 0; i < 60; ++i) a.passes(Datagram(0).reliable(1, 1, 1200));
  CHECK_FALSE(a.passes(Datagram(0).reliable(1, 1, 1200)));  // but not without end
  a.filter.on_authenticated(kPeer);
  CHECK(a.passes(Datagram(0).reliable(1, 1, 1200)));
}

TEST_CASE("a dial that is refused is told so once, and may ask again") {
  Rig rig;
  Bytes hello = rig.filter.begin_dial(kPeer, rig.now);
  CookieNonce nonce = std::get<CookieHello>(*decode_cookie(hello)).nonce;
  rig.filter.inspect(kPeer, encode_cookie(CookieChallenge{nonce, {}}), rig.now);
  REQUIRE(rig.filter.take_dial_event());
  for (int i = 0; i < 3; ++i) rig.filter.inspect(kPeer, encode_cookie(CookieBusy{nonce}), rig.now);
  auto event = rig.filter.take_dial_event();
  REQUIRE(event);
  CHECK(event->kind == DialEvent::Kind::kBusy);
  CHECK_FALSE(rig.filter.take_dial_event());
  rig.filter.begin_dial(kPeer, rig.now);
  rig.filter.inspect(kPeer, encode_cookie(CookieChallenge{nonce, {}}), rig.now);
  CHECK(rig.filter.take_dial_event());
  rig.filter.end_dial(kPeer);
  CHECK(rig.filter.begin_dial(kPeer, rig.now) != hello);
}

TEST_CASE("our own question coming back means that the address is ours") {
  Rig rig;
  Bytes hello = rig.filter.begin_dial(kPeer, rig.now);
  CHECK(rig.filter.inspect({0x7F000001, 27801}, hello, rig.now).action == FilterAction::kDrop);
  auto event = rig.filter.take_dial_event();
  REQUIRE(event);
  CHECK(event->kind == DialEvent::Kind::kSelf);
  CHECK(event->address == kPeer);
}

TEST_CASE("dials are bounded") {
  Rig rig;
  for (std::uint32_t ip = 1; ip <= 1024; ++ip)
    REQUIRE_FALSE(rig.filter.begin_dial({ip, 1}, rig.now).empty());
  CHECK(rig.filter.begin_dial({5000, 1}, rig.now).empty());
}

TEST_CASE("after a close the last acknowledgements pass for 5 s") {
  Rig rig;
  rig.filter.on_authenticated(kPeer);
  rig.filter.on_closed(kPeer, true, rig.now);
  CHECK(rig.passes(Datagram(0).ack()));
  CHECK(rig.passes(Datagram(0).disconnect()));
  CHECK_FALSE(rig.passes(Datagram(0).reliable(1, 40, 1000)));
  rig.now += 6s;
  CHECK_FALSE(rig.passes(Datagram(0).ack()));
}

TEST_CASE("of two sessions at one address the other lives on") {
  Rig rig;
  rig.filter.on_authenticated(kPeer);
  rig.filter.on_authenticated(kPeer);
  rig.filter.on_closed(kPeer, true, rig.now);
  rig.now += 10s;
  CHECK(rig.passes(Datagram(0).reliable(1, 40, 1000)));
}

TEST_CASE("random datagrams get no slot and leave nothing behind") {
  Rig rig;
  rig.filter.on_authenticated(kPeer);
  Bytes noise;
  for (int i = 0; i < 100'000; ++i) {
    noise.resize(rig.random.below(80));
    rig.random.fill(noise);
    Address from{static_cast<std::uint32_t>(rig.random.below(1000)), 1};
    auto action = rig.filter.inspect(from, noise, rig.now).action;
    if (action == FilterAction::kPass) FAIL("random bytes from nobody passed");
    rig.filter.inspect(kPeer, noise, rig.now);
  }
  CHECK(rig.filter.half_open() == 0);
}

}  // namespace
}  // namespace lansync
