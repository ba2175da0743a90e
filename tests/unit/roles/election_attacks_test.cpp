// What strangers' beacons and hostile members do to the election: hold it up for seconds at most,
// drive no terms up, depose nobody, and make nothing flap (DESIGN, Self-assignment; Security).
#include "election_fixture.h"
#include "roles/term.h"
#include "support/catch.h"

namespace lansync::test {
namespace {

constexpr std::uint64_t kEnd = ~std::uint64_t{0};

PeerFacts rival(int number, std::uint64_t term, std::uint32_t members = 1) {
  PeerFacts facts = peer(number, Role::kServer);
  facts.hub_term = facts.term = term;
  facts.members = members;
  return facts;
}

// ---- terms

TEST_CASE("a member's claim far above the live hub's term deposes nobody and moves no term") {
  for (std::uint64_t term : {std::uint64_t{0xEFFFFFFF}, kLargestTerm, kLargestTerm + 1, kEnd - 1,
                             kEnd, std::uint64_t{5 + kTermStep + 1}}) {
    INFO(term);
    Fixture member;
    member.join(20, {30, 31});
    member.facts(peer(30));
    member.claim(30, term, 4'000'000'000);
    member.facts(rival(30, term, 4'000'000'000));
    member.run(10s, true);
    REQUIRE(member.election.hub() == node_id(20));
    REQUIRE(member.election.highest_term() == 5);

    Fixture hub;
    hub.run(600ms);
    hub.facts(hub.member(60));
    for (int i = 0; i < 20; ++i) {
      hub.claim(60, term, 4'000'000'000);
      hub.facts(rival(60, term, 4'000'000'000));
      hub.run(1s);
    }
    REQUIRE(hub.election.hub() == node_id(50));
    REQUIRE(hub.election.term() < 10);
  }
}

TEST_CASE("what a node states of terms is taken by nobody who has a hub") {
  Fixture f;
  f.join(20, {30});
  PeerFacts mad = peer(30);
  mad.term = 5 + kTermStep;
  for (int i = 0; i < 100; ++i) f.facts(mad);
  REQUIRE(f.election.highest_term() == 5);
  Fixture hub;
  hub.run(600ms);
  for (int i = 0; i < 100; ++i) hub.facts(mad);
  REQUIRE(hub.election.highest_term() == 1);
}

TEST_CASE("a claim within the step deposes a hub, and whoever joins takes its term") {
  Fixture f;
  f.join(20, {});
  f.facts(peer(30));
  f.claim(30, 5 + kTermStep);
  REQUIRE(f.election.hub() == node_id(30));
  REQUIRE(f.election.highest_term() == 5 + kTermStep);
  // A hub of a group that counts lower is joined like any other once ours is gone.
  f.down(20);
  f.election.on_bye(node_id(30), NodeId{}, f.now);
  f.take();
  f.facts(rival(10, 3));
  REQUIRE(f.election.hub() == node_id(10));
  REQUIRE(f.election.highest_term() == 3);
}

TEST_CASE("a term that nobody can count to is no hub's, also where there is none") {
  Fixture f;
  f.facts(rival(10, kEnd));
  f.claim(10, kEnd);
  f.run(5s);
  REQUIRE(f.election.role() == Role::kServer);
  REQUIRE(f.election.term() == 1);
}

TEST_CASE("after the largest term numbers begin anew") {
  Fixture f;
  f.facts(rival(10, kLargestTerm));
  REQUIRE(f.election.hub() == node_id(10));
  f.election.on_bye(node_id(10), NodeId{}, f.now);
  f.down(10);
  f.run(5s);
  REQUIRE(f.election.role() == Role::kServer);
  REQUIRE(f.election.term() == 1);
}

TEST_CASE("of two hubs whose terms are far apart the higher one comes down or yields") {
  auto high_hub = [] {
    Election::Options options = Fixture::options(ManualRole::kAuto);
    options.term = 90'000;
    return options;
  };
  Fixture stays(high_hub());
  stays.run(600ms);
  stays.facts(stays.member(60));
  stays.facts(stays.member(61));
  stays.facts(rival(10, 7, 2));
  REQUIRE(stays.election.hub() == node_id(50));
  REQUIRE(stays.election.term() == 8);
  Fixture yields(high_hub());
  yields.run(600ms);
  yields.facts(rival(10, 7, 2));
  REQUIRE(yields.election.hub() == node_id(10));
  REQUIRE(yields.election.term() == 7);
  // The lower one waits for that: who says to be so far above may be lying.
  Fixture waits;
  waits.run(600ms);
  waits.facts(rival(10, 90'000, 5));
  waits.run(10s);
  REQUIRE(waits.election.hub() == node_id(50));
  REQUIRE(waits.election.term() == 1);
}

// ---- goodbyes

TEST_CASE("a goodbye beacon ends nothing while the session with the hub lives") {
  Fixture f;
  f.join(20, {});
  f.run(1s, true);
  f.election.on_goodbye(node_id(20), f.now);
  f.take();
  REQUIRE(f.election.hub() == node_id(20));
  f.down(20);
  f.election.on_goodbye(node_id(20), f.now);
  f.take();
  REQUIRE(f.election.hub() != node_id(20));
}

// ---- beacons of hubs

TEST_CASE("an untagged hub that never answers counts for nothing after 3 s, and is named") {
  Fixture f;
  for (int i = 0; i < 40; ++i) {
    f.beacon(peer(10, Role::kServer), false, false);
    f.run(100ms);
    if (i == 20) f.fail(10, DialFailure::kNoAnswer);
    if (i < 29) REQUIRE(f.election.role() == Role::kNone);
  }
  REQUIRE(f.election.role() == Role::kServer);
  REQUIRE(f.election.kept_out(f.now).find("n10") != std::string::npos);
  REQUIRE(f.election.kept_out(f.now).find("27801") != std::string::npos);
  f.facts(f.member(60));
  REQUIRE(f.election.kept_out(f.now).empty());
}

TEST_CASE("a tagged hub that does not answer is waited for") {
  Fixture f;
  for (int i = 0; i < 100; ++i) {
    f.beacon(peer(10, Role::kServer), false, true);
    f.run(100ms);
    if (i % 20 == 15) f.fail(10, DialFailure::kNoAnswer);
  }
  REQUIRE(f.election.role() == Role::kNone);
  REQUIRE(f.election.seek_reason(f.now).find("n10") != std::string::npos);
}

TEST_CASE(
    "a hub whose cookie came and whose handshake gets no answer is waited for, but not by two") {
  Fixture f;
  auto hear = [&](int steps) {
    for (int i = 0; i < steps; ++i) {
      f.beacon(peer(10, Role::kServer), false, false);
      f.run(100ms);
      if (i % 20 == 15) f.fail(10, DialFailure::kNoHandshake);
    }
  };
  hear(100);
  REQUIRE(f.election.role() == Role::kNone);
  REQUIRE(f.election.seek_reason(f.now).find("n10") != std::string::npos);
  // Somebody else who looks for a hub is dialled meanwhile, and with it we are a group.
  f.beacon(peer(60), true, false);
  f.run(300ms);
  REQUIRE(f.dials_to(60) == 1);
  f.facts(peer(60));
  hear(30);
  REQUIRE(f.election.role() == Role::kServer);
}

TEST_CASE(
    "a hub that is busy is told as busy, never as behind a firewall, and dialled again soon") {
  Fixture f;
  int failed = 0;
  for (int i = 0; i < 60; ++i) {
    f.beacon(peer(10, Role::kServer), false, false);
    f.run(100ms);
    if (f.dials_to(10) == failed) continue;
    ++failed;
    f.fail(10, DialFailure::kBusy);
  }
  std::string why = f.election.seek_reason(f.now);
  INFO(why);
  REQUIRE(f.election.role() == Role::kNone);
  REQUIRE(why.find("n10") != std::string::npos);
  REQUIRE(why.find("asked again") != std::string::npos);
  REQUIRE(why.find("27801") == std::string::npos);
  REQUIRE(f.election.silent(f.now).empty());
  REQUIRE(f.dials_to(10) >= 4);
}

TEST_CASE("a hub alone does not give its role up for strangers' better hubs") {
  Fixture f;
  f.run(600ms);
  REQUIRE(f.election.role() == Role::kServer);
  for (int i = 0; i < 200; ++i) {
    PeerFacts better = peer(10, Role::kServer);
    better.rank.manual = ManualRole::kProxy;
    f.beacon(better, false, false);
    f.run(100ms);
    if (i % 20 == 15) f.fail(10, DialFailure::kNoAnswer);
    REQUIRE(f.election.role() == Role::kServer);
  }
}

TEST_CASE("strangers' beacons of servers make nobody a proxy") {
  Fixture f;
  for (int i = 10; i < 14; ++i) {
    PeerFacts server = peer(i);
    server.rank.manual = ManualRole::kServer;
    f.beacon(server, true, false);
  }
  f.run(4s);
  REQUIRE(f.election.role() == Role::kServer);
}

TEST_CASE("who sends beacons of many nodes does not keep us from the node beside it") {
  Fixture f;
  int sent = 100;
  for (int i = 0; i < 30; ++i) {
    for (int k = 0; k < 5; ++k) {
      PeerFacts forged = peer(sent++ % 50 + 100, Role::kServer);
      forged.rank.node.bytes[1] = static_cast<std::uint8_t>(sent >> 8);
      forged.rank.node.bytes[2] = static_cast<std::uint8_t>(sent);
      forged.address = {0x0A0000FE, static_cast<std::uint16_t>(1000 + sent)};
      f.beacon(forged, false, false);
    }
    if (i == 12) f.beacon(peer(60, Role::kServer), false, false);
    f.run(100ms);
  }
  REQUIRE(f.dials_to(60) >= 1);
}

TEST_CASE("an address behind a node id that somebody else has too is dialled once in 10 s") {
  Fixture f;
  const Address other{77, 27801};
  int dials = 0;
  for (int i = 0; i < 190; ++i) {
    f.election.on_stranger_hint(other, f.now);
    f.run(100ms);
  }
  for (const DialAction& dial : f.all<DialAction>()) dials += dial.address == other;
  REQUIRE(dials == 2);
}

// ---- a whole LAN

struct Attack {
  std::uint64_t seed;
  ElectionNetwork net;
  Prng random;
  std::uint64_t made = 0;

  explicit Attack(std::uint64_t number) : seed(number), net(number), random(number) {
    net.begin_without_keys();
  }

  void forge(bool new_id) {
    PeerFacts forged;
    forged.rank.node = random.id<NodeId>();
    if (!new_id) forged.rank.node.bytes = {0x01, static_cast<std::uint8_t>(random.below(4))};
    // Sometimes in the name of a node that is there.
    if (random.chance(1, 5))
      forged.rank.node =
          net.id(static_cast<int>(random.below(static_cast<std::uint64_t>(net.count()))));
    forged.rank.manual = random.chance(1, 2) ? ManualRole::kProxy : ManualRole::kServer;
    forged.rank.has_data = true;
    forged.rank.term = random.next();
    forged.rank.seq = random.next();
    forged.boot = random.id<BootId>();
    forged.name = str("forged ", ++made);
    forged.address = {0xC0000200U + static_cast<std::uint32_t>(random.below(8)),
                      static_cast<std::uint16_t>(1 + random.below(60000))};
    forged.role = random.chance(2, 3) ? Role::kServer : Role::kNone;
    net.forge_beacon(forged, random.chance(1, 2));
  }

  void run(Duration duration, Duration gap, bool new_ids) {
    for (Duration done{}; done < duration; done += gap) {
      forge(new_ids);
      net.run_for(gap);
    }
  }
};

TEST_CASE(
    "no flood of forged hubs and candidates keeps fresh nodes from a hub, nor makes it flap") {
  for (std::uint64_t seed = 1; seed <= 12; ++seed) {
    const Duration gap = seed % 3 == 0   ? Duration(10ms)
                         : seed % 3 == 1 ? Duration(300ms)
                                         : Duration(60ms);
    Attack attack(seed);
    if (seed % 4 == 0)
      for (std::uint32_t i = 0; i < 8; ++i) attack.net.answer_half_at(0xC0000200U + i);
    int nodes = 2 + static_cast<int>(seed % 3);
    for (int i = 0; i < nodes; ++i) attack.net.add();
    attack.net.start_all();
    attack.run(15s, gap, seed % 2 == 0);
    INFO("seed " << seed << "\n" << attack.net.describe());
    REQUIRE(attack.net.one_hub());
    std::size_t changes = attack.net.changes().size();
    attack.run(60s, gap, seed % 2 == 0);
    INFO(attack.net.describe());
    REQUIRE(attack.net.one_hub());
    REQUIRE(attack.net.changes().size() == changes);
  }
}

TEST_CASE("beside a flood of forged hubs a group that lost its hub has another within seconds") {
  for (std::uint64_t seed = 1; seed <= 8; ++seed) {
    Attack attack(seed);
    for (int i = 0; i < 3; ++i) attack.net.add();
    attack.net.start_all();
    attack.net.run_for(5s);
    INFO("seed " << seed << "\n" << attack.net.describe());
    REQUIRE(attack.net.one_hub());
    attack.net.kill(attack.net.hub());
    attack.run(8s, 100ms, true);
    INFO(attack.net.describe());
    REQUIRE(attack.net.one_hub());
  }
}

TEST_CASE("a member that states mad terms all the time keeps the group's hub and its numbers") {
  for (std::uint64_t seed = 1; seed <= 6; ++seed) {
    ElectionNetwork net(seed);
    for (int i = 0; i < 4; ++i) net.add();
    net.start_all();
    net.run_for(5s);
    REQUIRE(net.one_hub());
    const int hub = net.hub();
    const int liar = hub == 3 ? 2 : 3;
    const std::uint64_t before = net.at(hub).term();
    Prng random(seed);
    for (int i = 0; i < 60; ++i) {
      const std::uint64_t term =
          random.chance(1, 2) ? kEnd - random.below(3) : std::uint64_t{0xEFFFFFFF};
      for (int to = 0; to < net.count(); ++to) {
        if (to == liar) continue;
        PeerFacts mad = net.facts_of(liar);
        mad.role = Role::kServer;
        mad.hub = mad.rank.node;
        mad.hub_term = mad.term = term;
        mad.members = 4'000'000'000;
        // Only who has a session with it hears it.
        if (to == hub) {
          net.at(to).on_facts(mad, net.now());
          net.at(to).on_claim(mad.rank.node, term, mad.members, net.now());
        }
      }
      net.run_for(500ms);
      INFO(net.describe());
      REQUIRE(net.hubs() == std::vector<int>{hub});
      REQUIRE(net.at(hub).term() == before);
    }
  }
}

// ---- hubs that are of no use

TEST_CASE("a hub that cannot commit names a successor, and does not claim while others are there") {
  Fixture f;
  f.run(600ms);
  f.facts(f.member(60));
  f.facts(f.member(61));
  f.actions.clear();
  f.election.set_stuck(true, f.now);
  f.take();
  REQUIRE(f.all<StepDownAction>().size() == 1);
  REQUIRE(f.all<StepDownAction>()[0].successor == node_id(60));
  f.run(20s);
  REQUIRE(f.all<PersistTermAction>().empty());
  // Alone it is as good a hub as none.
  f.down(60);
  f.down(61);
  f.run(20s);
  REQUIRE(f.election.role() == Role::kServer);
}

TEST_CASE("a hub without members stays it though it cannot commit") {
  Fixture f;
  f.run(600ms);
  f.election.set_stuck(true, f.now);
  f.run(20s);
  REQUIRE(f.election.role() == Role::kServer);
  f.facts(f.member(60));
  f.run(1s);
  REQUIRE(f.all<StepDownAction>().size() == 1);
}

TEST_CASE("a hub that gives no verdicts is lost when two others say the same, and not before") {
  Fixture f;
  f.join(20, {50, 60, 61, 62});
  f.run(1s, true);
  f.actions.clear();
  f.election.set_unanswered(true, f.now);
  f.take();
  f.run(300ms, true);
  REQUIRE(f.dials_to(60) == 1);
  REQUIRE(f.dials_to(61) == 1);
  REQUIRE(f.dials_to(62) == 1);
  auto follower = [](int number, bool unanswered) {
    PeerFacts facts = peer(number, Role::kClient);
    facts.hub = node_id(20);
    facts.hub_term = 5;
    facts.hub_live = true;
    facts.unanswered = unanswered;
    return facts;
  };
  f.facts(follower(60, true));
  f.facts(follower(61, false));
  f.run(5s, true);
  REQUIRE(f.election.hub() == node_id(20));
  f.facts(follower(62, true));
  // The hub still speaks, and 61 has a live session with it: it holds up nobody.
  f.run(3s, true);
  REQUIRE(f.election.role() == Role::kServer);
  REQUIRE(f.election.term() == 6);
  REQUIRE(f.election.why_role().find("verdict") != std::string::npos);
  // Its beacons and its word do not bring us back below it.
  f.beacon(peer(20, Role::kServer), false);
  f.facts(rival(20, 5, 4));
  f.run(5s);
  REQUIRE(f.election.hub() == node_id(50));
}

TEST_CASE("a hub that a carrier still hears is not lost, and its session is looked after") {
  Fixture f;
  f.join(20, {60});
  for (int i = 0; i < 50; ++i) {
    f.election.on_hub_carried(f.now);
    f.run(100ms);
  }
  REQUIRE(f.election.hub() == node_id(20));
  f.run(2100ms);
  REQUIRE(f.election.hub() != node_id(20));
}

}  // namespace
}  // namespace lansync::test
