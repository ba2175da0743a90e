#include "discovery/discovery.h"

#include <algorithm>
#include <map>

#include "support/catch.h"

using namespace lansync;

namespace {

struct QuietLog final : Log {
  void write(LogLevel, std::string_view) override {}
};

// Everything that was broadcast.
struct Air final : BeaconSocket {
  std::vector<Bytes> sent;
  void broadcast(ByteView datagram) override {
    sent.emplace_back(datagram.begin(), datagram.end());
  }
};

NodeId node_id(std::uint32_t number) {
  NodeId id;
  for (int i = 0; i < 4; ++i) id.bytes[i] = static_cast<std::uint8_t>(number >> (24 - 8 * i));
  id.bytes[15] = 1;
  return id;
}

BootId boot_id(std::uint8_t number) {
  BootId id;
  id.bytes.fill(number);
  return id;
}

BeaconKey group_key(std::uint8_t fill = 5) {
  BeaconKey key;
  key.bytes.fill(fill);
  return key;
}

const Instant kStart = Instant{} + 1000s;
const GroupTag kGroup = group_tag("lansync");

// What another node would send.
Beacon other(std::uint32_t number, std::uint64_t counter = 1, std::uint8_t boot = 9) {
  Beacon beacon;
  beacon.group = kGroup;
  beacon.node = node_id(number);
  beacon.boot = boot_id(boot);
  beacon.counter = counter;
  beacon.port = 27801;
  return beacon;
}

struct Fixture {
  Air air;
  Prng random{1};
  QuietLog log;
  Discovery discovery;
  Instant now = kStart;
  std::vector<Duration> sent_at;  // since kStart

  explicit Fixture(std::uint8_t number = 1)
      : discovery({kGroup, node_id(number), boot_id(number)}, air, random, log) {
    Beacon self;
    self.port = 27801;
    discovery.set_self(self, now);
  }
  void as_hub() {
    Beacon self;
    self.port = 27801;
    self.role = Role::kServer;
    discovery.set_self(self, now);
  }
  void note_sent() {
    while (sent_at.size() < air.sent.size()) sent_at.push_back(now - kStart);
  }
  // Obeys deadline() alone: what the node's loop does.
  void run_until(Instant end) {
    note_sent();
    int turns = 0;
    while (discovery.deadline() <= end) {
      REQUIRE(++turns < 100000);
      now = std::max(now, discovery.deadline());
      discovery.tick(now);
      note_sent();
    }
    now = end;
  }
  void hear(const Beacon& beacon, const std::optional<BeaconKey>& key = std::nullopt,
            std::uint32_t ip = 0x0A000002, std::uint32_t interface = 0) {
    discovery.on_datagram({ip, kBeaconPort}, encode_beacon(beacon, key), now, interface);
    note_sent();
  }
  int events(DiscoveryEvent::Kind kind) {
    int count = 0;
    for (const DiscoveryEvent& event : discovery.take_events()) count += event.kind == kind;
    return count;
  }
};

}  // namespace

TEST_CASE("a start is a burst, then each 5 s for a minute, then each 30 s give or take a quarter") {
  Fixture f;
  f.discovery.start(f.now);
  f.run_until(kStart + 10min);
  REQUIRE(f.sent_at.size() > 20);
  CHECK(f.sent_at[0] == 0ms);
  CHECK(f.sent_at[1] == 150ms);
  CHECK(f.sent_at[2] == 400ms);
  CHECK(f.sent_at[3] == 1000ms);
  for (std::size_t i = 4; i < 16; ++i) CHECK(f.sent_at[i] - f.sent_at[i - 1] == 5s);
  CHECK(f.sent_at[15] == 61s);
  bool jittered = false;
  for (std::size_t i = 16; i < f.sent_at.size(); ++i) {
    Duration gap = f.sent_at[i] - f.sent_at[i - 1];
    CHECK(gap >= 22500ms);
    CHECK(gap <= 37500ms);
    jittered = jittered || gap != 30s;
  }
  CHECK(jittered);
  // Counters rise by one with every beacon: what replay protection and expiry rest on.
  for (std::size_t i = 0; i < f.air.sent.size(); ++i)
    CHECK(decode_beacon(f.air.sent[i])->counter == i + 1);
}

TEST_CASE("before start and after goodbye nothing is sent") {
  Fixture f;
  f.run_until(kStart + 5min);
  f.as_hub();
  f.hear([] {
    Beacon b = other(2);
    b.flags = Beacon::kSeek;
    return b;
  }());
  f.run_until(kStart + 6min);
  CHECK(f.air.sent.empty());
  f.discovery.start(f.now);
  f.run_until(f.now + 100ms);
  f.discovery.goodbye(f.now);
  std::size_t count = f.air.sent.size();
  CHECK((decode_beacon(f.air.sent.back())->flags & Beacon::kGoodbye) != 0);
  f.run_until(f.now + 10min);
  CHECK(f.air.sent.size() == count);
}

TEST_CASE("a changed role is announced at once, but not twice within 100 ms") {
  Fixture f;
  f.discovery.start(f.now);
  f.run_until(kStart + 20s);
  std::size_t before = f.air.sent.size();
  f.now = kStart + 20500ms;
  f.as_hub();
  CHECK(f.air.sent.size() == before + 1);
  CHECK(decode_beacon(f.air.sent.back())->role == Role::kServer);
  Beacon self;
  self.port = 27801;
  self.role = Role::kClient;
  f.now += 10ms;
  f.discovery.set_self(self, f.now);
  CHECK(f.air.sent.size() == before + 1);
  f.run_until(kStart + 20600ms);
  REQUIRE(f.air.sent.size() == before + 2);
  CHECK(decode_beacon(f.air.sent.back())->role == Role::kClient);
  // What roles do not act on (term, sequence) waits for the next beacon.
  self.term = 9;
  f.discovery.set_self(self, f.now);
  f.run_until(f.now + 300ms);
  CHECK(f.air.sent.size() == before + 2);
}

TEST_CASE("a hub answers seekers within 100 ms, four times a second at most") {
  Fixture f;
  f.discovery.start(f.now);
  f.as_hub();
  f.run_until(kStart + 61500ms);
  std::size_t before = f.sent_at.size();
  Beacon seeker = other(2);
  seeker.flags = Beacon::kSeek;
  f.hear(seeker);
  f.run_until(f.now + 100ms);
  REQUIRE(f.sent_at.size() == before + 1);
  // A thousand seekers over ten seconds: two answers a second would do, forty are the bound.
  for (std::uint32_t i = 0; i < 1000; ++i) {
    seeker.node = node_id(100 + i);
    f.hear(seeker);
    f.run_until(f.now + 10ms);
  }
  f.run_until(f.now + 1s);
  for (std::size_t i = before; i + 4 < f.sent_at.size(); ++i)
    CHECK(f.sent_at[i + 4] - f.sent_at[i] >= 1s);
  CHECK(f.sent_at.size() - before > 20);
}

TEST_CASE("a node that is no hub does not answer seekers") {
  Fixture f;
  f.discovery.start(f.now);
  f.run_until(kStart + 62s);
  std::size_t before = f.sent_at.size();
  Beacon seeker = other(2);
  seeker.flags = Beacon::kSeek;
  f.hear(seeker);
  f.run_until(f.now + 2s);
  CHECK(f.sent_at.size() == before);
}

TEST_CASE("a hub that lost a node beacons each 3 s for 10 minutes") {
  Fixture f;
  f.discovery.start(f.now);
  f.run_until(kStart + 100s);
  std::size_t before = f.sent_at.size();
  f.discovery.search_lost(f.now);
  f.run_until(kStart + 100s + 10min - 1s);
  CHECK(f.sent_at.size() - before == 200);
  f.run_until(kStart + 100s + 20min);
  CHECK(f.sent_at.back() - f.sent_at[f.sent_at.size() - 2] >= 22500ms);
}

TEST_CASE("ten thousand forged nodes leave 64 candidates and do not push out who was heard twice") {
  Fixture f;
  f.discovery.set_key(group_key());
  f.hear(other(50, 1), group_key());
  f.hear(other(60, 1));
  f.hear(other(60, 2));
  for (std::uint32_t i = 0; i < 10000; ++i) {
    Beacon forged = other(1000 + i);
    forged.role = Role::kServer;
    f.hear(forged, std::nullopt, 0x0A010000 + i);
    CHECK(f.discovery.neighbours().size() <= Discovery::kMaxCandidates + 1);
  }
  CHECK(f.discovery.neighbours().size() == Discovery::kMaxCandidates + 1);
  CHECK(f.discovery.find(node_id(50)) != nullptr);
  CHECK(f.discovery.find(node_id(60)) != nullptr);
  CHECK(f.discovery.counters().limited > 9000);
  CHECK(f.discovery.take_events().size() <= Discovery::kMaxEvents);
  CHECK(f.air.sent.empty());
}

TEST_CASE("one host that makes up nodes takes no other host's place, however often it says them") {
  Fixture f;
  for (int second = 0; second < 20; ++second) {
    for (std::uint32_t i = 0; i < 200; ++i) {
      Beacon forged = other(1000 + i % 50, static_cast<std::uint64_t>(second) * 200 + i + 1);
      forged.role = Role::kServer;
      for (std::uint32_t host = 0; host < 4; ++host)
        f.hear(forged, std::nullopt, 0x0A0000F0 + host);
    }
    if (second == 10) f.hear(other(60, 1), std::nullopt, 0x0A000003);
    f.run_until(f.now + 1s);
  }
  CHECK(f.discovery.find(node_id(60)) != nullptr);
  std::map<std::uint32_t, std::size_t> rows;
  for (const auto& [node, neighbour] : f.discovery.neighbours()) ++rows[neighbour.address.ip];
  for (const auto& [ip, count] : rows) CHECK(count <= Discovery::kMaxEachHost);
}

TEST_CASE("untagged beacons are looked at a few hundred times a second, tagged ones always") {
  Fixture f;
  f.discovery.set_key(group_key());
  for (std::uint64_t i = 0; i < 100'000; ++i) {
    f.hear(other(static_cast<std::uint32_t>(1000 + i)), std::nullopt,
           0x0A010000 + static_cast<std::uint32_t>(i % 5000));
    if (i % 1000 == 0) f.run_until(f.now + 100ms);
  }
  const std::uint64_t looked_at = 100'000 - f.discovery.counters().limited;
  const HostBudget::Limit all = Discovery::kAllHosts;
  CHECK(looked_at <= static_cast<std::uint64_t>(all.burst + 11 * (Duration(1s) / all.interval)));
  f.hear(other(2, 1), group_key());
  CHECK(f.discovery.find(node_id(2)) != nullptr);
}

TEST_CASE("while a session lives only its boot's beacons count, and no goodbye ends it") {
  Fixture f;
  f.discovery.set_key(group_key());
  f.hear(other(2, 1, 9), group_key());
  f.discovery.session_up(node_id(2), boot_id(9));
  f.discovery.take_events();
  // What was recorded of the start before, played again: a beacon, then its goodbye.
  f.hear(other(2, 7, 8), group_key());
  Beacon leaving = other(2, 8, 8);
  leaving.flags = Beacon::kGoodbye;
  f.hear(leaving, group_key());
  CHECK(f.discovery.find(node_id(2))->beacon.boot == boot_id(9));
  CHECK(f.discovery.take_events().empty());
  // Nor one of this start: the session itself says when it ends.
  leaving = other(2, 2, 9);
  leaving.flags = Beacon::kGoodbye;
  f.hear(leaving, group_key());
  CHECK(f.events(DiscoveryEvent::Kind::kGoodbye) == 0);
  CHECK(f.discovery.find(node_id(2)) != nullptr);
  // With the session it is gone; had it gone on, it would be there still.
  f.discovery.session_down(node_id(2));
  CHECK(f.events(DiscoveryEvent::Kind::kGoodbye) == 1);
  CHECK(f.discovery.find(node_id(2)) == nullptr);
  f.discovery.session_up(node_id(2), boot_id(9));
  f.hear(other(2, 3, 9), group_key());
  f.discovery.session_down(node_id(2));
  CHECK(f.events(DiscoveryEvent::Kind::kGoodbye) == 0);
  leaving.counter = 4;
  f.hear(leaving, group_key());
  CHECK(f.events(DiscoveryEvent::Kind::kGoodbye) == 1);
}

TEST_CASE("a member that was killed and is back is answered while its old session is not closed") {
  Fixture f;
  f.as_hub();
  f.discovery.set_key(group_key());
  f.discovery.start(f.now);
  f.run_until(f.now + 3s);
  f.discovery.session_up(node_id(2), boot_id(9));
  const std::size_t before = f.air.sent.size();
  Beacon back = other(2, 1, 10);
  back.flags = Beacon::kSeek;
  f.hear(back, group_key());
  f.run_until(f.now + 100ms);
  CHECK(f.air.sent.size() == before + 1);
}

TEST_CASE("without a session the eight starts proven before the last are old, others are hints") {
  Fixture f;
  f.discovery.set_key(group_key());
  for (std::uint8_t boot = 1; boot <= 10; ++boot) {
    f.discovery.session_up(node_id(2), boot_id(boot));
    f.discovery.session_down(node_id(2));
  }
  for (std::uint8_t boot = 2; boot <= 9; ++boot) {
    f.hear(other(2, 100, boot), group_key());
    CHECK(f.discovery.find(node_id(2)) == nullptr);
  }
  f.hear(other(2, 1, 10), group_key());
  REQUIRE(f.discovery.find(node_id(2)) != nullptr);
  f.hear(other(2, 1, 77), group_key());
  CHECK(f.discovery.find(node_id(2))->beacon.boot == boot_id(77));
}

TEST_CASE("what is remembered of starts is bounded, and keeps those with a session") {
  BootHistory history;
  history.session_up(node_id(1), boot_id(1));
  for (std::uint32_t i = 2; i < 6000; ++i) {
    history.session_up(node_id(i), boot_id(1));
    history.session_down(node_id(i));
  }
  CHECK(history.size() <= BootHistory::kMaxNodes);
  CHECK(history.alive(node_id(1)));
  CHECK_FALSE(history.counts(node_id(1), boot_id(2)));
}

TEST_CASE("an untagged node id at two hosts keeps its first place, the other is a hint to dial") {
  Fixture f;
  f.hear(other(2, 1, 1), std::nullopt, 0x0A000002);
  f.discovery.take_events();
  Beacon forged = other(2, 5000, 2);
  forged.role = Role::kServer;
  f.hear(forged, std::nullopt, 0x0A000003);
  std::vector<DiscoveryEvent> events = f.discovery.take_events();
  REQUIRE(events.size() == 1);
  CHECK(events[0].kind == DiscoveryEvent::Kind::kHint);
  CHECK(events[0].address == Address{0x0A000003, 27801});
  CHECK(f.discovery.find(node_id(2))->address.ip == 0x0A000002);
  CHECK(f.discovery.find(node_id(2))->beacon.role == Role::kNone);
}

TEST_CASE("candidates leave room again when they expire, are promoted or say goodbye") {
  Fixture f;
  f.discovery.set_key(group_key());
  for (std::uint32_t i = 0; i < 64; ++i) {
    f.hear(other(100 + i, 1), std::nullopt, 0x0A000100 + i);
    f.hear(other(100 + i, 2), std::nullopt, 0x0A000100 + i);
  }
  f.hear(other(500));
  CHECK(f.discovery.find(node_id(500)) == nullptr);
  f.hear(other(100, 3), group_key(), 0x0A000100);  // now a member
  Beacon leaving = other(101, 3);
  leaving.flags = Beacon::kGoodbye;
  f.hear(leaving, std::nullopt, 0x0A000101);
  f.hear(other(500));
  f.hear(other(501));
  CHECK(f.discovery.find(node_id(500)) != nullptr);
  CHECK(f.discovery.find(node_id(501)) != nullptr);
  CHECK(f.discovery.neighbours().size() == 65);
  f.run_until(f.now + 16s);
  CHECK(f.discovery.neighbours().empty());
}

TEST_CASE("a tagged beacon that is played again changes nothing") {
  Fixture f;
  f.discovery.set_key(group_key());
  f.hear(other(2, 7), group_key());
  f.discovery.take_events();
  f.now += 5s;
  f.hear(other(2, 6), group_key(), 0x0A0000FF);
  CHECK(f.discovery.counters().replayed == 1);
  CHECK(f.discovery.take_events().empty());
  CHECK(f.discovery.find(node_id(2))->last_heard == kStart);
  CHECK(f.discovery.find(node_id(2))->address.ip == 0x0A000002);
  // Nor after it has expired, nor the beacons of a start that was before.
  f.hear(other(2, 1, 10), group_key());
  f.hear(other(2, 7), group_key());
  CHECK(f.discovery.find(node_id(2))->beacon.boot == boot_id(10));
  f.run_until(f.now + 10min);
  CHECK(f.discovery.neighbours().empty());
  f.hear(other(2, 1, 10), group_key());
  CHECK(f.discovery.neighbours().empty());
}

TEST_CASE("a stranger cannot speak for a member, nor say its goodbye") {
  Fixture f;
  f.discovery.set_key(group_key());
  f.hear(other(2, 7), group_key());
  Beacon forged = other(2, 100);
  forged.port = 6666;
  f.hear(forged);
  f.hear(forged, group_key(77));
  forged.flags = Beacon::kGoodbye;
  f.hear(forged);
  REQUIRE(f.discovery.find(node_id(2)) != nullptr);
  CHECK(f.discovery.find(node_id(2))->address.port == 27801);
  CHECK(f.events(DiscoveryEvent::Kind::kGoodbye) == 0);
  Beacon leaving = other(2, 8);
  leaving.flags = Beacon::kGoodbye;
  f.hear(leaving, group_key());
  CHECK(f.discovery.find(node_id(2)) == nullptr);
  auto events = f.discovery.take_events();
  REQUIRE(events.size() == 1);
  CHECK(events[0].kind == DiscoveryEvent::Kind::kGoodbye);
  CHECK(events[0].tag_valid);
}

TEST_CASE("after the group's key changed a member with the old one stays known as a candidate") {
  Fixture f;
  f.discovery.set_key(group_key(1));
  f.hear(other(2, 20), group_key(1));
  f.discovery.set_key(group_key(2));
  f.now += 5s;
  f.hear(other(2, 21), group_key(1));
  REQUIRE(f.discovery.find(node_id(2)) != nullptr);
  CHECK(f.discovery.find(node_id(2))->last_heard == f.now);
  CHECK_FALSE(f.discovery.find(node_id(2))->beacon.tag_valid);
}

TEST_CASE("a neighbour expires after three of its periods, a young one sooner") {
  Fixture f;
  f.hear(other(2, 3));
  f.hear(other(3, 40));
  f.run_until(kStart + 14900ms);
  CHECK(f.discovery.neighbours().size() == 2);
  f.run_until(kStart + 15s);
  CHECK(f.discovery.find(node_id(2)) == nullptr);
  CHECK(f.discovery.find(node_id(3)) != nullptr);
  f.run_until(kStart + 112s);
  CHECK(f.discovery.find(node_id(3)) != nullptr);
  f.run_until(kStart + 113s);
  CHECK(f.discovery.neighbours().empty());
  CHECK(f.events(DiscoveryEvent::Kind::kExpired) == 2);
}

TEST_CASE("our own beacons are not neighbours, also just after the node id changed") {
  Fixture f;
  f.discovery.start(f.now);
  Bytes own = f.air.sent.back();
  f.discovery.on_datagram({0x7F000001, kBeaconPort}, own, f.now);
  f.discovery.set_node(node_id(9), f.now);
  f.discovery.on_datagram({0x7F000001, kBeaconPort}, own, f.now);
  f.discovery.on_datagram({0x7F000001, kBeaconPort}, f.air.sent.back(), f.now);
  CHECK(decode_beacon(f.air.sent.back())->node == node_id(9));
  CHECK(f.discovery.neighbours().empty());
  CHECK(f.discovery.counters().received == 0);
  CHECK_FALSE(f.discovery.take_own_id_heard());
}

TEST_CASE("our id from elsewhere is a hint to dial its sender, once in 10 s, whatever is sent") {
  Fixture f;
  f.discovery.set_key(group_key());
  int hints = 0;
  for (std::uint64_t i = 0; i < 24'000; ++i) {
    f.now += 1ms;
    const auto key = i % 2 ? std::optional(group_key()) : std::nullopt;
    f.hear(other(1, i, static_cast<std::uint8_t>(i % 200)), key);
    hints += f.discovery.take_own_id_heard() ? 1 : 0;
  }
  CHECK(hints == 3);
  CHECK(f.discovery.neighbours().empty());
  f.now += 10s;
  f.hear(other(1, 1));
  const auto hint = f.discovery.take_own_id_heard();
  REQUIRE(hint);
  CHECK(hint->port == other(1, 1).port);
  CHECK_FALSE(f.discovery.take_own_id_heard());
}

TEST_CASE("one node heard on two paths is one neighbour and keeps its address") {
  Fixture f;
  f.discovery.set_key(group_key());
  const std::uint32_t wired = 0x0A000002;
  const std::uint32_t radio = 0x0A000102;
  f.hear(other(2, 1), group_key(), wired);
  for (std::uint64_t counter = 2; counter < 6; ++counter) {
    f.hear(other(2, counter), group_key(), radio);
    f.hear(other(2, counter), group_key(), wired);
    CHECK(f.discovery.find(node_id(2))->address.ip == wired);
  }
  CHECK(f.discovery.neighbours().size() == 1);
  CHECK(f.discovery.counters().replayed == 0);
  // The cable is pulled: the other path takes over.
  f.hear(other(2, 6), group_key(), radio);
  CHECK(f.discovery.find(node_id(2))->address.ip == radio);
}

TEST_CASE("the ways to a neighbour are bounded, and those that went quiet are dropped") {
  Fixture f;
  f.discovery.set_key(group_key());
  for (std::uint32_t ip = 1; ip <= 9; ++ip) f.hear(other(2, 1), group_key(), ip, ip);
  CHECK(f.discovery.find(node_id(2))->paths.size() == Discovery::kMaxPaths);
  CHECK(f.discovery.find(node_id(2))->address.ip == 1);
  // A new address (DHCP): it is the one to dial from its first beacon on.
  f.hear(other(2, 2), group_key(), 77, 1);
  CHECK(f.discovery.find(node_id(2))->address.ip == 77);
  f.hear(other(2, 3), group_key(), 77, 1);
  f.hear(other(2, 4), group_key(), 77, 1);
  CHECK(f.discovery.find(node_id(2))->paths.size() == 1);
}

TEST_CASE("when an interface goes, the ways over it are forgotten at once, but never the last") {
  Fixture f;
  f.discovery.set_key(group_key());
  f.hear(other(2, 1), group_key(), 100, 1);
  f.hear(other(2, 1), group_key(), 200, 2);
  CHECK(f.discovery.find(node_id(2))->address.ip == 100);
  f.discovery.take_events();
  f.discovery.set_interfaces({2});
  CHECK(f.events(DiscoveryEvent::Kind::kMoved) == 1);
  CHECK(f.discovery.find(node_id(2))->address.ip == 200);
  f.discovery.set_interfaces({});
  CHECK(f.discovery.find(node_id(2))->address.ip == 200);
}

TEST_CASE("a beacon tells whom its sender hears, so that who is not heard can know") {
  Fixture f;
  f.discovery.start(f.now);
  CHECK(decode_beacon(f.air.sent.back())->heard == 0);
  f.hear(other(2));
  f.run_until(f.now + 1s);
  const std::uint64_t filter = decode_beacon(f.air.sent.back())->heard;
  CHECK(hears(filter, node_id(2)) == true);
  CHECK(hears(filter, node_id(0x05060000)) == false);
  CHECK_FALSE(hears(~std::uint64_t{0}, node_id(9)).has_value());
  f.run_until(f.now + 3min);
  CHECK(decode_beacon(f.air.sent.back())->heard == 0);
}

TEST_CASE("foreign groups, garbage and other versions are told apart") {
  Fixture f;
  Beacon foreign = other(2);
  foreign.group = group_tag("elsewhere");
  f.hear(foreign);
  CHECK(f.discovery.counters().other_group == 1);
  f.discovery.on_datagram({1, 2}, as_bytes("garbage"), f.now);
  CHECK(f.discovery.counters().rejected == 1);
  for (std::uint32_t i = 0; i < 1000; ++i) {
    Beacon newer = other(3);
    newer.version = kProtocolVersion + 1;
    f.hear(newer, std::nullopt, 0x0A000000 + i);
  }
  CHECK(f.discovery.other_versions().size() == Discovery::kMaxOtherVersions);
  CHECK(f.discovery.other_versions().begin()->second.version == kProtocolVersion + 1);
  CHECK(f.discovery.neighbours().empty());
  f.run_until(f.now + 10min);
  CHECK(f.discovery.other_versions().empty());
}

TEST_CASE("two nodes that start together know each other within 500 ms though a beacon is lost") {
  Fixture a;
  Fixture b(2);
  a.discovery.start(kStart);
  // b starts 120 ms later: a's first beacon reached nobody, b's second is lost.
  a.run_until(kStart + 120ms);
  b.now = kStart + 120ms;
  b.discovery.start(b.now);
  std::size_t from_a = 1;
  std::size_t from_b = 0;
  for (Instant now = kStart + 120ms; now <= kStart + 500ms; now += 1ms) {
    a.run_until(now);
    b.run_until(now);
    for (; from_a < a.air.sent.size(); ++from_a)
      b.discovery.on_datagram({1, kBeaconPort}, a.air.sent[from_a], now);
    for (; from_b < b.air.sent.size(); ++from_b)
      if (from_b != 1) a.discovery.on_datagram({2, kBeaconPort}, b.air.sent[from_b], now);
  }
  CHECK(a.discovery.find(node_id(2)) != nullptr);
  CHECK(b.discovery.find(node_id(1)) != nullptr);
}
