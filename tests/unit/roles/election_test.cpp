// Each rule of DESIGN's Self-assignment, on one Election whose world is played by the test.
#include "election_fixture.h"
#include "support/catch.h"

namespace lansync::test {
namespace {

TEST_CASE("rank orders by manual role, replica, data, last sync, disk, then the lower id") {
  Rank base;
  base.node = node_id(5);
  auto with = [&](auto change) {
    Rank rank = base;
    rank.node = node_id(9);
    change(rank);
    return rank;
  };
  REQUIRE(outranks(base, with([](Rank&) {})));
  std::vector<Rank> rising = {with([](Rank& r) { r.manual = ManualRole::kClient; }),
                              with([](Rank& r) { r.full_replica = false; }),
                              base,
                              with([](Rank& r) { r.disk_log2 = 1; }),
                              with([](Rank& r) { r.seq = 1; }),
                              with([](Rank& r) { r.term = 1; }),
                              with([](Rank& r) { r.has_data = true; }),
                              with([](Rank& r) { r.manual = ManualRole::kServer; }),
                              with([](Rank& r) { r.manual = ManualRole::kProxy; })};
  for (std::size_t i = 0; i < rising.size(); ++i)
    for (std::size_t j = 0; j < rising.size(); ++j)
      REQUIRE(outranks(rising[i], rising[j]) == (i > j));
}

TEST_CASE("a node that hears nobody is server after the seek time and says so") {
  Fixture f;
  f.run(480ms);
  REQUIRE(f.election.role() == Role::kNone);
  f.run(100ms);
  REQUIRE(f.election.role() == Role::kServer);
  REQUIRE(f.election.why_role() == "nobody else was heard within 500ms");
  REQUIRE(f.all<BecomeHubAction>().size() == 1);
}

TEST_CASE("no claim is made before its term is durable") {
  Fixture f;
  f.durable = false;
  f.run(5s);
  REQUIRE(f.all<PersistTermAction>().size() == 1);
  REQUIRE(f.all<BecomeHubAction>().empty());
  f.election.term_durable(f.all<PersistTermAction>()[0].term, f.now);
  f.take();
  REQUIRE(f.all<BecomeHubAction>().size() == 1);
}

TEST_CASE("a hub that is heard is dialled at once, and not doubled while it does not answer") {
  Fixture f;
  f.beacon(peer(60, Role::kServer), false);
  REQUIRE(f.dials_to(60) == 1);
  for (int i = 0; i < 10; ++i) {
    f.run(3s);
    f.election.on_dial_failed(node_id(60), {}, DialFailure::kNoAnswer, f.now);
    f.beacon(peer(60, Role::kServer), false);
  }
  REQUIRE(f.election.role() == Role::kNone);
  REQUIRE(f.election.seeking());
  std::string why = f.election.seek_reason(f.now);
  REQUIRE(why.find("n60") != std::string::npos);
  REQUIRE(why.find("27800") != std::string::npos);
  REQUIRE(why.find("27801") != std::string::npos);
}

TEST_CASE("a hub with another password does not keep a node from being server") {
  Fixture f;
  f.beacon(peer(60, Role::kServer), false);
  f.run(100ms);
  f.election.on_dial_failed(node_id(60), {}, DialFailure::kWrongPassword, f.now);
  f.run(600ms);
  REQUIRE(f.election.role() == Role::kServer);
  // Somebody was heard.
  REQUIRE(f.election.why_role() ==
          "nobody that takes this node into the group was heard within 500ms");
  for (int i = 0; i < 100; ++i) {
    f.run(100ms);
    f.beacon(peer(60, Role::kServer), false);
  }
  REQUIRE(f.dials_to(60) <= 2);
}

TEST_CASE("a candidate that completes no handshake is out of the order") {
  Fixture f;
  f.beacon(peer(10), true);
  f.run(300ms);
  REQUIRE(f.dials_to(10) == 1);
  f.beacon(peer(10), true);
  f.run(600ms);
  REQUIRE(f.election.role() == Role::kServer);
}

TEST_CASE("only the best candidate is dialled, and its claim is followed") {
  Fixture f;
  for (int i = 10; i < 30; ++i) f.beacon(peer(i), true);
  f.run(300ms);
  REQUIRE(f.all<DialAction>().size() == 1);
  REQUIRE(f.dials_to(10) == 1);
  f.facts(peer(10));
  f.run(300ms);
  REQUIRE(f.election.seeking());
  f.election.on_claim(node_id(10), 1, 1, f.now);
  f.take();
  REQUIRE(f.election.hub() == node_id(10));
  REQUIRE(f.all<FollowAction>().size() == 1);
}

TEST_CASE("a claim outside a session counts for nothing") {
  Fixture f;
  f.beacon(peer(10), true);
  f.election.on_claim(node_id(10), 9, 1, f.now);
  f.election.on_claim(node_id(11), 9, 1, f.now);
  f.take();
  REQUIRE(!f.election.hub());
}

TEST_CASE("members obey the highest term, and the better rank among equal ones") {
  Fixture f;
  f.join(20, {});
  f.facts(peer(30));
  f.election.on_claim(node_id(30), 5, 1, f.now);
  f.take();
  REQUIRE(f.election.hub() == node_id(20));
  REQUIRE(f.all<TellHubHeardAction>().size() == 1);
  f.facts(peer(10));
  f.election.on_claim(node_id(10), 5, 1, f.now);
  f.take();
  REQUIRE(f.election.hub() == node_id(10));
  f.election.on_claim(node_id(30), 6, 1, f.now);
  f.take();
  REQUIRE(f.election.hub() == node_id(30));
}

TEST_CASE(
    "a silent hub is lost after 2 s; the first of the roster asks three others, then claims") {
  Fixture f;
  f.join(20, {50, 60, 61, 62, 63});
  f.run(10s, true);
  f.actions.clear();
  f.run(1900ms);
  REQUIRE(f.election.hub() == node_id(20));
  f.run(150ms);
  REQUIRE(f.election.seeking());
  REQUIRE(f.all<DialAction>().size() == 3);
  REQUIRE(f.all<SeekAction>().at(0).hub_lost);
  f.run(300ms);
  REQUIRE(f.election.seeking());  // nobody answered: the whole patience
  f.run(250ms);
  REQUIRE(f.election.role() == Role::kServer);
  REQUIRE(f.election.why_role() == "n20 went silent; next in its roster");
}

TEST_CASE("a hi that was overtaken by its sender's claim does not undo the claim") {
  Fixture f;
  f.facts(peer(10));
  f.election.on_claim(node_id(10), 7, 1, f.now);
  f.take();
  f.facts(peer(10));
  REQUIRE(f.election.hub() == node_id(10));
  PeerFacts stepped_down = peer(10, Role::kClient);
  stepped_down.term = 7;
  f.facts(stepped_down);
  REQUIRE(!f.election.hub());
}

TEST_CASE("nobody claims while a node that it reaches has a live session with the hub") {
  Fixture f;
  f.join(20, {50, 60});
  f.run(2100ms);
  PeerFacts other = peer(60, Role::kClient);
  other.hub = node_id(20);
  other.hub_term = 5;
  other.hub_live = true;
  f.facts(other);
  f.run(10s);
  REQUIRE(f.election.seeking());
  REQUIRE(f.election.seek_reason(f.now).find("n60 has n20 as its hub") == 0);
  REQUIRE(f.dials_to(20) >= 1);
  other.hub = NodeId{};
  other.hub_live = false;
  f.facts(other);
  f.run(100ms);
  REQUIRE(f.election.role() == Role::kServer);
}

TEST_CASE("who is not first dials the first, and after 500 ms without a session the next") {
  Fixture f;
  f.join(20, {60, 61, 50});
  f.run(2050ms);
  REQUIRE(f.dials_to(60) == 1);
  REQUIRE(f.dials_to(61) == 0);
  f.run(500ms);
  REQUIRE(f.dials_to(61) == 1);
  f.facts(peer(61));
  f.run(300ms);
  REQUIRE(f.election.seeking());
  f.election.on_claim(node_id(61), 6, 1, f.now);
  f.take();
  REQUIRE(f.election.hub() == node_id(61));
}

TEST_CASE("the successor that a leaving hub names claims at once; others go to it") {
  Fixture f;
  f.join(20, {60, 50});
  f.election.on_bye(node_id(20), node_id(50), f.now);
  f.take();
  REQUIRE(f.election.role() == Role::kServer);
  Fixture other;
  other.join(20, {60, 50});
  other.election.on_bye(node_id(20), node_id(60), other.now);
  other.take();
  REQUIRE(other.dials_to(60) == 1);
  other.run(1500ms);
  REQUIRE(other.election.seeking());
}

TEST_CASE("of two hubs that meet the one with more members claims, the other waits for that") {
  Fixture f;
  f.run(600ms);
  f.facts(f.member(60));
  f.facts(f.member(61));
  PeerFacts other = peer(10, Role::kServer);
  other.members = 2;
  f.actions.clear();
  f.facts(other);
  REQUIRE(f.all<BecomeHubAction>().size() == 1);
  REQUIRE(f.all<BecomeHubAction>()[0].term == 6);
  Fixture g;
  g.run(600ms);
  g.actions.clear();
  other.members = 2;
  g.facts(other);
  g.run(2s);
  REQUIRE(g.election.role() == Role::kServer);
  REQUIRE(g.all<BecomeHubAction>().empty());
  g.election.on_claim(node_id(10), 6, 2, g.now);
  g.take();
  REQUIRE(g.all<StepDownAction>().size() == 1);
  REQUIRE(g.all<StepDownAction>()[0].successor == node_id(10));
  REQUIRE(g.election.hub() == node_id(10));
}

TEST_CASE("a hub that slept counts itself alone until it knows better") {
  Fixture f;
  f.run(600ms);
  for (int i = 60; i < 66; ++i) f.facts(f.member(i));
  REQUIRE(f.election.members() == 7);
  f.now += 600s;
  f.election.on_stall(f.now, 600s);
  PeerFacts other = peer(70, Role::kServer);
  other.members = 6;
  f.facts(other);
  f.election.on_claim(node_id(70), 6, 6, f.now);
  f.take();
  REQUIRE(f.election.hub() == node_id(70));
}

TEST_CASE("after a stall the silence of the hub counts anew") {
  Fixture f;
  f.join(20, {50});
  f.now += 60s;
  f.election.on_stall(f.now, 60s);
  f.election.tick(f.now);
  f.take();
  REQUIRE(f.election.hub() == node_id(20));
  f.run(1900ms);
  REQUIRE(f.election.hub() == node_id(20));
  f.run(200ms);
  REQUIRE(f.election.hub() != node_id(20));
}

TEST_CASE("a hub hands over to a member whose manual role comes first, once that is in sync") {
  Fixture f;
  f.run(600ms);
  PeerFacts server = f.member(60);
  server.rank.manual = ManualRole::kServer;
  server.in_sync = false;
  f.facts(server);
  f.run(3s);
  REQUIRE(f.all<StepDownAction>().empty());
  server.in_sync = true;
  f.facts(server);
  REQUIRE(f.all<StepDownAction>().size() == 1);
  REQUIRE(f.all<StepDownAction>()[0].successor == node_id(60));
  REQUIRE(f.election.role() == Role::kClient);
}

TEST_CASE("a better-ranked automatic member does not depose a hub") {
  Fixture f;
  f.run(600ms);
  PeerFacts better = f.member(10);
  better.rank.has_data = true;
  f.facts(better);
  f.run(10s);
  REQUIRE(f.all<StepDownAction>().empty());
}

TEST_CASE("an automatic hub with two servers is a proxy, and stays one while one is left") {
  Fixture f;
  f.run(600ms);
  for (int i : {60, 61}) {
    PeerFacts server = f.member(i);
    server.rank.manual = ManualRole::kServer;
    server.in_sync = false;
    f.facts(server);
  }
  REQUIRE(f.election.role() == Role::kProxy);
  f.election.on_session_down(node_id(60), f.now);
  f.run(20s);
  REQUIRE(f.election.role() == Role::kProxy);
  f.election.on_session_down(node_id(61), f.now);
  f.run(20s);
  REQUIRE(f.election.role() == Role::kServer);
}

TEST_CASE("the roster is by rank, without clients, and puts automatic nodes before two servers") {
  Fixture f;
  f.run(600ms);
  auto add = [&](int number, ManualRole manual) {
    PeerFacts m = f.member(number);
    m.rank.manual = manual;
    m.in_sync = false;
    f.facts(m);
  };
  add(62, ManualRole::kAuto);
  add(60, ManualRole::kClient);
  add(61, ManualRole::kServer);
  REQUIRE(f.election.succession() == std::vector<NodeId>{node_id(61), node_id(62)});
  add(63, ManualRole::kServer);
  REQUIRE(f.election.succession() == std::vector<NodeId>{node_id(62), node_id(61), node_id(63)});
  REQUIRE(f.election.successor() == node_id(62));
}

TEST_CASE("a hub that changed three times within a minute waits before it claims again") {
  Fixture f;
  f.run(600ms);
  f.facts(peer(10));
  f.election.on_claim(node_id(10), 20, 9, f.now);  // 2
  f.take();
  f.election.on_bye(node_id(10), node_id(50), f.now);  // 3
  f.take();
  REQUIRE(f.election.role() == Role::kServer);
  f.election.on_claim(node_id(10), 40, 9, f.now);  // 4
  f.take();
  f.election.on_session_down(node_id(10), f.now);
  Instant since = f.now;
  f.run(2200ms);
  while (f.election.seeking() && f.now - since < 20s) f.run(10ms);
  REQUIRE(f.now - since >= 4s);
  REQUIRE(f.now - since <= 7s);
}

TEST_CASE("strangers' beacons cost four dials a second, and one a node in 10 s") {
  Fixture f;
  for (int second = 0; second < 5; ++second) {
    for (int i = 100; i < 250; ++i) f.beacon(peer(i, Role::kServer), false, false);
    f.run(1s);
  }
  REQUIRE(f.all<DialAction>().size() <= 24);
  for (int i = 100; i < 250; ++i) REQUIRE(f.dials_to(i) <= 1);
}

TEST_CASE("a client tells its hub of another, not more than once in 3 s") {
  Fixture f;
  f.join(20, {});
  for (int i = 0; i < 60; ++i) {
    f.run(100ms, true);
    f.beacon(peer(10, Role::kServer), false);
  }
  REQUIRE(f.all<TellHubHeardAction>().size() >= 2);
  REQUIRE(f.all<TellHubHeardAction>().size() <= 3);
  REQUIRE(f.election.hub() == node_id(20));
}

TEST_CASE("a beacon or facts under our own node id change nothing") {
  Fixture f;
  f.run(600ms);
  f.actions.clear();
  PeerFacts clone = peer(50, Role::kServer);
  f.beacon(clone, false);
  f.facts(clone);
  f.election.on_claim(node_id(50), 99, 9, f.now);
  f.take();
  REQUIRE(f.actions.empty());
  REQUIRE(f.election.role() == Role::kServer);
}

TEST_CASE("tables stay bounded under made-up nodes") {
  Fixture f;
  f.join(20, {50});
  Prng random(1);
  for (std::size_t i = 0; i < Election::kMaxPeers + 500; ++i) {
    PeerFacts forged = peer(1);
    forged.rank.node = random.id<NodeId>();
    f.beacon(forged, false, false);
  }
  REQUIRE(f.election.peer_count() <= Election::kMaxPeers);
  REQUIRE(f.election.hub() == node_id(20));
}

TEST_CASE("every input is legal in every state") {
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    Prng random(seed);
    Fixture f(static_cast<ManualRole>(random.below(4)));
    auto some = [&] { return static_cast<int>(45 + random.below(10)); };
    for (int step = 0; step < 400; ++step) {
      PeerFacts facts = peer(some(), static_cast<Role>(random.below(4)));
      facts.rank.manual = static_cast<ManualRole>(random.below(4));
      facts.hub = random.chance(1, 2) ? node_id(some()) : facts.hub;
      facts.hub_live = random.chance(1, 2);
      facts.in_sync = random.chance(1, 2);
      std::uint64_t term = static_cast<std::uint32_t>(random.below(20));
      facts.unanswered = random.chance(1, 4);
      if (random.chance(1, 8)) facts.hub_term = facts.term = random.next() >> random.below(64);
      if (random.chance(1, 8)) term = random.next() >> random.below(64);
      switch (random.below(16)) {
        case 0:
          f.election.on_beacon(facts, random.chance(1, 2), random.chance(1, 2), f.now);
          break;
        case 1:
          f.election.on_goodbye(node_id(some()), f.now);
          break;
        case 2:
          f.election.on_expired(node_id(some()), f.now);
          break;
        case 3:
          f.election.on_hub_hint(node_id(some()), facts.address, f.now);
          break;
        case 4:
        case 5:
          f.election.on_facts(facts, f.now);
          break;
        case 6:
          f.election.on_session_down(node_id(some()), f.now);
          break;
        case 7:
          f.election.on_dial_failed(node_id(some()), {}, DialFailure::kNoAnswer, f.now);
          break;
        case 8:
          f.election.on_claim(node_id(some()), term, 2, f.now);
          break;
        case 9:
          f.election.on_bye(node_id(some()), node_id(some()), f.now);
          break;
        case 10:
          f.election.on_roster(node_id(some()), term, static_cast<std::uint32_t>(term),
                               {{facts.rank.node, {}, "x", {}}}, f.now);
          break;
        case 11:
          f.election.on_stall(f.now, 1s * static_cast<std::int64_t>(random.below(20)));
          break;
        case 12:
          f.election.on_in_sync(random.chance(1, 2), f.now);
          break;
        case 13:
          f.election.set_stuck(random.chance(1, 4), f.now);
          break;
        case 14:
          f.election.set_unanswered(random.chance(1, 2), f.now);
          break;
        case 15:
          f.election.on_stranger_hint(facts.address, f.now);
          break;
      }
      f.take();
      f.run(Duration(static_cast<std::int64_t>(random.below(300000))));
      REQUIRE((f.election.hub() == node_id(50)) == is_hub(f.election.role()));
      REQUIRE(!(f.election.seeking() && f.election.hub()));
    }
  }
}

}  // namespace
}  // namespace lansync::test
