#include "support/catch.h"
#include "unit/transport/endpoint_rig.h"

using namespace lansync;
using namespace lansync::test;

namespace {

// What message `number` of a test looks like: its own number, then bytes that depend on it.
Bytes numbered(std::uint32_t number, std::size_t size) {
  ByteWriter out;
  out.u32(number);
  while (out.bytes().size() < size) out.u8(static_cast<std::uint8_t>(number * 31 + 7));
  return out.take();
}

std::uint32_t number_of(ByteView bytes) { return ByteReader(bytes).u32(); }

// Numbers of the packets that came on one channel, in the order in which they came.
std::vector<std::uint32_t> numbers_on(const Node& node, Channel channel) {
  std::vector<std::uint32_t> out;
  for (const auto& packet : node.packets)
    if (packet.channel == channel) out.push_back(number_of(packet.bytes));
  return out;
}

std::vector<std::uint32_t> first_numbers(std::uint32_t count) {
  std::vector<std::uint32_t> out;
  for (std::uint32_t i = 0; i < count; ++i) out.push_back(i);
  return out;
}

// Still the same session, and it still carries: a number there and back.
bool carries(Node& a, Node& b) {
  if (!a.connected() || !b.connected()) return false;
  const std::size_t before_a = a.packets.size();
  const std::size_t before_b = b.packets.size();
  a.endpoint->send(a.session(), Channel::kMessages, numbered(1, 100));
  b.endpoint->send(b.session(), Channel::kMessages, numbered(2, 100));
  return drive({&a, &b},
               [&] { return a.packets.size() > before_a && b.packets.size() > before_b; });
}

}  // namespace

TEST_CASE("a dial ends in one session on each side, with the other's identity") {
  Node a(1), b(2);
  REQUIRE(join(a, b));
  const SessionInfo& at_a = a.sessions.begin()->second;
  const SessionInfo& at_b = b.sessions.begin()->second;
  CHECK(at_a.node == b.id());
  CHECK(at_a.key == b.options.signer.public_key());
  CHECK(at_a.boot == b.options.boot);
  CHECK(at_a.address == b.address());
  CHECK(at_a.outgoing);
  CHECK(at_b.node == a.id());
  CHECK(at_b.key == a.options.signer.public_key());
  CHECK(at_b.address == a.address());
  CHECK_FALSE(at_b.outgoing);
  CHECK(a.failed.empty());
  REQUIRE(a.keylog.size() == 1);
  CHECK(a.keylog == b.keylog);
  REQUIRE(a.endpoint->session_keys(a.session()) != nullptr);
  CHECK(*a.endpoint->session_keys(a.session()) == *b.endpoint->session_keys(b.session()));
}

TEST_CASE("messages of every size arrive in order on every channel, both ways at once") {
  Node a(1), b(2);
  REQUIRE(join(a, b));
  const std::size_t sizes[] = {4, 100, 1000, 1369, 1400, 5000, 70000, kMaxMessageBytes};
  std::uint32_t sent = 0;
  for (int round = 0; round < 5; ++round) {
    for (std::size_t size : sizes) {
      for (int channel = 0; channel < kChannelCount; ++channel) {
        REQUIRE(a.endpoint->send(a.session(), static_cast<Channel>(channel), numbered(sent, size)));
        REQUIRE(b.endpoint->send(b.session(), static_cast<Channel>(channel), numbered(sent, size)));
      }
      ++sent;
    }
  }
  REQUIRE(drive(
      {&a, &b},
      [&] {
        return a.packets.size() == sent * kChannelCount && b.packets.size() == sent * kChannelCount;
      },
      20s));
  for (int channel = 0; channel < kChannelCount; ++channel) {
    CHECK(numbers_on(a, static_cast<Channel>(channel)) == first_numbers(sent));
    CHECK(numbers_on(b, static_cast<Channel>(channel)) == first_numbers(sent));
  }
  for (const auto& packet : b.packets)
    REQUIRE(packet.bytes == numbered(number_of(packet.bytes), packet.bytes.size()));
  REQUIRE(drive({&a, &b}, [&] { return a.endpoint->queued(a.session()) == 0; }));
  CHECK(a.downs.empty());
}

TEST_CASE("what is too large, or for no session, is not taken") {
  Node a(1), b(2);
  REQUIRE(join(a, b));
  CHECK_FALSE(a.endpoint->send(a.session(), Channel::kMessages, Bytes(kMaxMessageBytes + 1)));
  CHECK_FALSE(a.endpoint->send(a.session() + 100, Channel::kMessages, Bytes(10)));
  CHECK(a.endpoint->queued(a.session() + 100) == 0);
  REQUIRE(a.endpoint->send(a.session(), Channel::kContent, Bytes{}));
  REQUIRE(drive({&a, &b}, [&] { return b.packets.size() == 1; }));
  CHECK(b.packets[0].bytes.empty());
}

TEST_CASE("a wrong password gives no session, and both sides say so") {
  Node a(1, key_of(7)), b(2, key_of(8));
  a.endpoint->dial(b.address());
  REQUIRE(drive({&a, &b}, [&] { return !a.failed.empty() && !b.refused.empty(); }));
  CHECK(a.failed[0].failure == DialFailure::kWrongPassword);
  CHECK(a.failed[0].address == b.address());
  CHECK(b.refused[0].failure == DialFailure::kWrongPassword);
  CHECK(b.refused[0].address == a.address());
  CHECK(a.ups == 0);
  CHECK(b.ups == 0);
  CHECK(b.endpoint->counters().auth_failures == 1);
}

TEST_CASE("another group is a wrong password") {
  Node a(1);
  Node b(2);
  b.endpoint.reset();
  b.options.group = "other";
  b.endpoint = std::move(*EnetEndpoint::open(b.options, b, b.random, b.log));
  a.endpoint->dial(b.address());
  REQUIRE(drive({&a, &b}, [&] { return !a.failed.empty(); }));
  CHECK(a.failed[0].failure == DialFailure::kWrongPassword);
}

TEST_CASE("guesses from one address are refused after three") {
  Node b(2, key_of(8));
  for (std::uint8_t i = 0; i < 3; ++i) {
    Node a(static_cast<std::uint8_t>(10 + i), key_of(7));
    a.endpoint->dial(b.address());
    REQUIRE(drive({&a, &b}, [&] { return !a.failed.empty(); }));
    CHECK(a.failed[0].failure == DialFailure::kWrongPassword);
  }
  Node fourth(30, key_of(7));
  fourth.endpoint->dial(b.address());
  REQUIRE(drive({&fourth, &b}, [&] { return !fourth.failed.empty(); }));
  CHECK(fourth.failed[0].failure == DialFailure::kBusy);
}

TEST_CASE("a dial to nobody fails within two seconds") {
  Node a(1);
  RawSocket silent;
  const Instant begin = real_now();
  a.endpoint->dial(silent.address());
  a.endpoint->dial(silent.address());  // the second does nothing
  REQUIRE(drive({&a}, [&] { return !a.failed.empty(); }));
  CHECK(a.failed[0].failure == DialFailure::kNoAnswer);
  CHECK(real_now() - begin < 2s);
  CHECK(real_now() - begin > 1s);
  run_for({&a}, 100ms);
  CHECK(a.failed.size() == 1);
}

TEST_CASE("a dial that gets a cookie and no handshake says so") {
  Node a(1);
  RawSocket half;
  CookieIssuer issuer(a.random);
  a.endpoint->dial(half.address());
  const auto answer = [&] {
    Address from;
    Bytes bytes;
    while (half.receive(from, bytes)) {
      auto packet = decode_cookie(bytes);
      if (!packet || !std::holds_alternative<CookieHello>(*packet)) continue;
      const CookieNonce nonce = std::get<CookieHello>(*packet).nonce;
      half.send(from, encode_cookie(CookieChallenge{nonce, issuer.issue(from, nonce, real_now())}));
    }
  };
  REQUIRE(drive(
      {&a}, [&] { return !a.failed.empty(); }, 5s, answer));
  CHECK(a.failed[0].failure == DialFailure::kNoHandshake);
}

TEST_CASE("a dial to oneself says so") {
  Node a(1);
  a.endpoint->dial(a.address());
  REQUIRE(drive({&a}, [&] { return !a.failed.empty(); }));
  CHECK(a.failed[0].failure == DialFailure::kSelf);
  CHECK(a.ups == 0);
}

TEST_CASE("a second dial to a session's address does nothing") {
  Node a(1), b(2);
  REQUIRE(join(a, b));
  a.endpoint->dial(b.address());
  b.endpoint->dial(a.address());
  run_for({&a, &b}, 300ms);
  CHECK(a.ups == 1);
  CHECK(b.ups == 1);
  CHECK(a.failed.empty());
  CHECK(b.failed.empty());
}

TEST_CASE("a renewed session has new keys and takes the old one's place on both sides") {
  Node a(1), b(2);
  REQUIRE(join(a, b));
  for (int turn = 1; turn <= 3; ++turn) {
    const SessionId old = a.session();
    a.endpoint->renew(old);
    REQUIRE(drive({&a, &b}, [&] { return a.ups == turn + 1 && b.ups == turn + 1; }));
    REQUIRE(drive({&a, &b}, [&] { return a.connected() && b.connected(); }));
    CHECK(a.session() != old);
    CHECK(a.downs.back() == CloseReason::kReplaced);
    CHECK(b.downs.back() == CloseReason::kReplaced);
    CHECK(a.keylog.size() == static_cast<std::size_t>(turn) + 1);
    CHECK(a.keylog.back() != a.keylog.front());
    CHECK(carries(a, b));
  }
  // Only who opened it renews it.
  b.endpoint->renew(b.session());
  run_for({&a, &b}, 300ms);
  CHECK(b.ups == 4);
  CHECK(a.failed.empty());
  CHECK(b.failed.empty());
}

TEST_CASE("a renewal that nobody answers leaves the session as it is") {
  Node a(1), b(2);
  REQUIRE(join(a, b));
  const SessionId old = a.session();
  a.endpoint->renew(old);
  // The dial's own time is 1.5 s; the other side stands still for longer than that.
  REQUIRE(drive({&a}, [&] { return !a.failed.empty(); }));
  CHECK(a.session() == old);
  CHECK(carries(a, b));
}

TEST_CASE("closing sends what was queued before, and both sides hear of it") {
  Node a(1), b(2);
  REQUIRE(join(a, b));
  for (std::uint32_t i = 0; i < 1000; ++i)
    REQUIRE(a.endpoint->send(a.session(), Channel::kMessages, numbered(i, 1000)));
  const SessionId id = a.session();
  a.endpoint->close(id);
  CHECK_FALSE(a.endpoint->send(id, Channel::kMessages, Bytes(10)));
  CHECK_FALSE(a.endpoint->idle());
  REQUIRE(drive({&a, &b}, [&] { return !b.downs.empty(); }));
  CHECK(a.downs == std::vector{CloseReason::kLocal});
  CHECK(b.downs == std::vector{CloseReason::kRemote});
  CHECK(numbers_on(b, Channel::kMessages) == first_numbers(1000));
  CHECK(drive(
      {&a, &b}, [&] { return a.endpoint->idle(); }, 1s));
  // And again: the address is free for a new session at once.
  CHECK(join(a, b));
}

TEST_CASE("closing does not wait for one who takes nothing") {
  Node a(1), b(2);
  REQUIRE(join(a, b));
  a.endpoint->send(a.session(), Channel::kMessages, Bytes(100000));
  a.endpoint->close(a.session());
  const Instant begin = real_now();
  REQUIRE(drive(
      {&a}, [&] { return a.endpoint->idle(); }, 1s));
  CHECK(real_now() - begin < 500ms);
}

TEST_CASE("a violation ends the session at once") {
  Node a(1), b(2);
  REQUIRE(join(a, b));
  const auto before = a.endpoint->counters().rejected;
  a.endpoint->violation(a.session(), "a message that\nlies");
  REQUIRE(drive({&a, &b}, [&] { return !a.downs.empty() && !b.downs.empty(); }));
  CHECK(a.downs == std::vector{CloseReason::kPeerViolation});
  CHECK(b.downs == std::vector{CloseReason::kRemote});
  CHECK(a.endpoint->counters().rejected > before);
  REQUIRE(a.log.lines.size() == 1);
  CHECK(a.log.lines[0].find('\n') == std::string::npos);
}

TEST_CASE("ending a session within its own callback is safe") {
  Node a(1), b(2);
  REQUIRE(join(a, b));
  int taken = 0;
  b.taker = [&](SessionId id, Channel, ByteView) {
    ++taken;
    b.endpoint->violation(id, "enough");
  };
  for (std::uint32_t i = 0; i < 50; ++i)
    a.endpoint->send(a.session(), Channel::kMessages, numbered(i, 100));
  REQUIRE(drive({&a, &b}, [&] { return !b.downs.empty() && !a.downs.empty(); }));
  CHECK(taken == 1);
}

TEST_CASE("simultaneous dials leave the session that the lower id opened") {
  for (std::uint8_t round = 0; round < 12; ++round) {
    Node a(1, key_of(7), static_cast<std::uint8_t>(round + 1));
    Node b(2, key_of(7), static_cast<std::uint8_t>(round + 1));
    a.endpoint->dial(b.address());
    // The one begins a little later in some rounds, so that handshakes meet at different points.
    if (round % 3 != 0) {
      for (int i = 0; i < round; ++i) {
        (round % 2 ? a : b).endpoint->service(real_now());
        if (round % 3 == 1) (round % 2 ? b : a).endpoint->service(real_now());
      }
    }
    b.endpoint->dial(a.address());
    REQUIRE(drive({&a, &b}, [&] { return a.connected() && b.connected(); }));
    run_for({&a, &b}, 150ms);
    CAPTURE(static_cast<int>(round));
    REQUIRE(a.connected());
    REQUIRE(b.connected());
    CHECK(a.sessions.begin()->second.outgoing != b.sessions.begin()->second.outgoing);
    CHECK(a.failed.empty());
    CHECK(b.failed.empty());
    for (CloseReason reason : a.downs) CHECK(reason == CloseReason::kReplaced);
    for (CloseReason reason : b.downs) CHECK(reason == CloseReason::kReplaced);
    CHECK(carries(a, b));
  }
}

TEST_CASE("a node that started again has a session beside its old one, for others to judge") {
  Node hub(1);
  auto old = std::make_unique<Node>(2, key_of(7), 1);
  REQUIRE(join(*old, hub));
  const std::uint16_t port = old->endpoint->port();
  old.reset();  // no goodbye
  Node fresh(2, key_of(7), 2, port);
  fresh.endpoint->dial(hub.address());
  REQUIRE(drive({&hub, &fresh}, [&] { return fresh.connected() && hub.ups == 2; }));
  CHECK(hub.downs.empty());
  REQUIRE(hub.sessions.size() == 2);
  hub.endpoint->close(hub.sessions.begin()->first);
  REQUIRE(drive({&hub, &fresh}, [&] { return hub.connected(); }));
  CHECK(hub.sessions.begin()->second.boot == fresh.options.boot);
  CHECK(carries(hub, fresh));
}

TEST_CASE("a session with a copy of this node comes up, for both to see which start the other is") {
  Node original(1, key_of(7), 1);
  Node copy(1, key_of(7), 2);
  REQUIRE(join(original, copy));
  CHECK(original.sessions.begin()->second.node == copy.id());
  CHECK(original.sessions.begin()->second.boot == copy.options.boot);
  CHECK(original.id() == copy.id());
  CHECK(carries(original, copy));
}

TEST_CASE("three nodes have three sessions") {
  Node a(1), b(2), c(3);
  a.endpoint->dial(b.address());
  b.endpoint->dial(c.address());
  c.endpoint->dial(a.address());
  REQUIRE(drive({&a, &b, &c}, [&] {
    return a.sessions.size() == 2 && b.sessions.size() == 2 && c.sessions.size() == 2;
  }));
}

TEST_CASE("a port that is taken is an error that says so") {
  Node a(1);
  EndpointOptions options = a.options;
  options.port = a.endpoint->port();
  auto second = EnetEndpoint::open(options, a, a.random, a.log);
  REQUIRE_FALSE(second.has_value());
  CHECK(second.error().code == ErrorCode::kBusy);
}

TEST_CASE("content of 100 MB comes in order with a bounded queue") {
  Node a(1), b(2);
  REQUIRE(join(a, b));
  constexpr std::uint32_t kPackets = 100'000;
  std::uint32_t sent = 0;
  std::uint32_t received = 0;
  bool in_order = true;
  b.taker = [&](SessionId, Channel, ByteView bytes) {
    in_order = in_order && number_of(bytes) == received && bytes.size() == 1000;
    ++received;
  };
  std::size_t most = 0;
  const SessionId id = a.session();
  REQUIRE(drive(
      {&a, &b}, [&] { return received == kPackets; }, 60s,
      [&] {
        while (sent < kPackets && a.endpoint->queued(id) < 300)
          a.endpoint->send(id, Channel::kContent, numbered(sent++, 1000));
        most = std::max(most, a.endpoint->queued(id));
      }));
  CHECK(in_order);
  CHECK(most <= 300);
}

TEST_CASE("urgent messages pass a long queue of content") {
  Node a(1), b(2);
  REQUIRE(join(a, b));
  for (std::uint32_t i = 0; i < 20'000; ++i)
    a.endpoint->send(a.session(), Channel::kContent, numbered(i, 1000));
  a.endpoint->send(a.session(), Channel::kHandshake, numbered(7, 10));
  REQUIRE(drive(
      {&a, &b}, [&] { return b.packets.size() == 20'001; }, 20s));
  std::size_t at = 0;
  while (b.packets[at].channel != Channel::kHandshake) ++at;
  CHECK(at < 2000);
}
