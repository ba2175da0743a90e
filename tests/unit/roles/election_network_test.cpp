// Several Elections on one simulated LAN: the times that a user sees, on the virtual clock.
#include "election_network.h"

#include "support/catch.h"

namespace lansync::test {
namespace {

using Setup = ElectionNetwork::Setup;

Setup with_role(ManualRole manual) {
  Setup setup;
  setup.manual = manual;
  return setup;
}

#define REQUIRE_NET(net, ...) \
  do {                        \
    INFO((net).describe());   \
    REQUIRE(__VA_ARGS__);     \
  } while (false)
#define CHECK_WITHIN(net, condition, limit)                          \
  do {                                                               \
    bool came = (net).run_until([&] { return (condition); }, limit); \
    INFO((net).describe());                                          \
    REQUIRE(came);                                                   \
  } while (false)

TEST_CASE("three nodes that start together have one hub within 1.5 s") {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    INFO("seed " << seed);
    ElectionNetwork net(seed);
    for (int i = 0; i < 3; ++i) net.add();
    net.start_all();
    CHECK_WITHIN(net, net.one_hub(), 1500ms);
    REQUIRE_NET(net, net.hub() == 0);
    net.run_for(30s);
    REQUIRE_NET(net, net.one_hub());
    REQUIRE_NET(net, net.changes().size() == 1);
  }
}

TEST_CASE("nodes that start together agree although one beacon in five is lost") {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    INFO("seed " << seed);
    ElectionNetwork net(seed, 20);
    for (int i = 0; i < 9; ++i) net.add();
    net.start_all();
    CHECK_WITHIN(net, net.one_hub(), 4s);
    net.run_for(30s);
    REQUIRE_NET(net, net.one_hub());
  }
}

TEST_CASE("a node that starts later joins within 1 s, however good its rank") {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    ElectionNetwork net(seed);
    for (int i = 0; i < 3; ++i) net.add();
    Setup better;
    better.disk_log2 = 12;
    better.has_data = true;
    int late = net.add(better);
    for (int i = 0; i < 3; ++i) net.start(i);
    net.run_for(100s);
    REQUIRE_NET(net, net.hub() == 0);
    net.start(late);
    CHECK_WITHIN(net, net.one_hub(), 1s);
    net.run_for(60s);
    REQUIRE_NET(net, net.hub() == 0);
    REQUIRE_NET(net, net.at(late).role() == Role::kClient);
  }
}

TEST_CASE("a killed hub is replaced within 4 s, and comes back as a client") {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    INFO("seed " << seed);
    ElectionNetwork net(seed);
    for (int i = 0; i < 4; ++i) net.add();
    net.start_all();
    CHECK_WITHIN(net, net.one_hub(), 1500ms);
    net.run_for(30s);
    int old = net.hub();
    net.kill(old);
    net.run_for(100ms);
    CHECK_WITHIN(net, net.one_hub(), 3900ms);
    int next = net.hub();
    REQUIRE(next != old);
    net.run_for(10s);
    net.start(old);
    CHECK_WITHIN(net, net.one_hub(), 1s);
    REQUIRE_NET(net, net.hub() == next);
    net.run_for(30s);
    REQUIRE_NET(net, net.one_hub());
    REQUIRE_NET(net, net.hub() == next);
  }
}

TEST_CASE("a hub that is killed in a group of two leaves the other as hub within 4 s") {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    ElectionNetwork net(seed);
    net.add();
    net.add();
    net.start_all();
    net.run_for(10s);
    net.kill(net.hub());
    net.run_for(50ms);
    CHECK_WITHIN(net, net.one_hub(), 4s);
  }
}

TEST_CASE("a hub that exits is replaced within 1 s") {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    INFO("seed " << seed);
    ElectionNetwork net(seed);
    for (int i = 0; i < 5; ++i) net.add();
    net.start_all();
    net.run_for(10s);
    int old = net.hub();
    net.leave(old);
    net.run_for(1ms);
    CHECK_WITHIN(net, net.one_hub(), 1s);
    net.run_for(20s);
    REQUIRE_NET(net, net.one_hub());
    REQUIRE_NET(net, net.changes().size() == 3);
  }
}

TEST_CASE("after a partition of 20 s the larger side's hub stays, and nothing flaps") {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    INFO("seed " << seed);
    ElectionNetwork net(seed);
    for (int i = 0; i < 5; ++i) net.add();
    net.start_all();
    net.run_for(10s);
    REQUIRE_NET(net, net.hub() == 0);
    net.partition({0, 0, 1, 1, 1});
    CHECK_WITHIN(net, net.one_hub({2, 3, 4}), 4s);
    net.run_for(16s);
    REQUIRE_NET(net, net.hubs().size() == 2);
    int larger = net.hubs()[1];
    net.heal();
    CHECK_WITHIN(net, net.one_hub(), 5s);
    REQUIRE_NET(net, net.hub() == larger);
    std::size_t changes = net.changes().size();
    net.run_for(60s);
    REQUIRE_NET(net, net.one_hub());
    REQUIRE_NET(net, net.changes().size() == changes);
  }
}

TEST_CASE("three sides of a split become one group again") {
  for (std::uint64_t seed = 1; seed <= 12; ++seed) {
    INFO("seed " << seed);
    ElectionNetwork net(seed, 5);
    for (int i = 0; i < 9; ++i) net.add();
    net.start_all();
    net.run_for(10s);
    net.partition({0, 0, 1, 1, 1, 2, 2, 2, 2});
    net.run_for(30s);
    REQUIRE_NET(net, net.hubs().size() == 3);
    net.heal();
    CHECK_WITHIN(net, net.one_hub(), 10s);
    // The two sides that meet first make one that is larger than the third.
    REQUIRE_NET(net, net.hub() != 0);
    net.run_for(60s);
    REQUIRE_NET(net, net.one_hub());
  }
}

TEST_CASE("a client that lost only its own cable is a hub alone and steps down after it") {
  for (std::uint64_t seed = 1; seed <= 12; ++seed) {
    INFO("seed " << seed);
    ElectionNetwork net(seed);
    for (int i = 0; i < 4; ++i) net.add();
    net.start_all();
    net.run_for(10s);
    net.partition({0, 0, 0, 1});
    CHECK_WITHIN(net, net.one_hub({3}), 6s);
    net.run_for(60s);
    REQUIRE_NET(net, net.one_hub({0, 1, 2}));
    net.heal();
    CHECK_WITHIN(net, net.one_hub(), 5s);
    REQUIRE_NET(net, net.hub() == 0);
  }
}

TEST_CASE("a client that lost the hub alone does not claim while others have it") {
  for (std::uint64_t seed = 1; seed <= 12; ++seed) {
    INFO("seed " << seed);
    ElectionNetwork net(seed);
    for (int i = 0; i < 4; ++i) net.add();
    net.start_all();
    net.run_for(10s);
    net.cut(0, 1);  // the first of the roster
    net.run_for(8s);
    REQUIRE_NET(net, net.hubs() == std::vector<int>{0});
    REQUIRE_NET(net, net.at(1).seeking());
    REQUIRE_NET(net, net.at(1).seek_reason(net.now()).find("n0") != std::string::npos);
    net.mend(0, 1);
    CHECK_WITHIN(net, net.one_hub(), 5s);
    REQUIRE_NET(net, net.hub() == 0);
    REQUIRE_NET(net, net.changes().size() == 1);
  }
}

TEST_CASE("a node between two that cannot reach each other becomes their proxy") {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    INFO("seed " << seed);
    ElectionNetwork net(seed);
    for (int i = 0; i < 3; ++i) net.add();
    net.cut(0, 1);
    net.start_all();
    CHECK_WITHIN(net, net.one_hub() && net.hub() == 2, 60s);
    REQUIRE_NET(net, net.at(2).role() == Role::kProxy);
    net.run_for(120s);
    REQUIRE_NET(net, net.one_hub());
    REQUIRE_NET(net, net.hub() == 2);
  }
}

TEST_CASE("a hub that slept is not put back over the group that went on") {
  for (std::uint64_t seed = 1; seed <= 12; ++seed) {
    INFO("seed " << seed);
    ElectionNetwork net(seed);
    for (int i = 0; i < 4; ++i) net.add();
    net.start_all();
    net.run_for(10s);
    net.sleep(0, 120s);
    net.run_for(120s);
    CHECK_WITHIN(net, net.one_hub(), 6s);
    REQUIRE_NET(net, net.hub() == 1);
    net.run_for(30s);
    REQUIRE_NET(net, net.one_hub());
  }
}

TEST_CASE("a client that slept finds its hub again and nobody changes role") {
  for (std::uint64_t seed = 1; seed <= 12; ++seed) {
    INFO("seed " << seed);
    ElectionNetwork net(seed);
    for (int i = 0; i < 4; ++i) net.add();
    net.start_all();
    net.run_for(10s);
    net.sleep(2, 100s);
    net.run_for(100s);
    CHECK_WITHIN(net, net.one_hub(), 10s);
    net.run_for(30s);
    REQUIRE_NET(net, net.hub() == 0);
    REQUIRE_NET(net, net.changes().size() == 1);
  }
}

TEST_CASE("200 nodes that start together open sessions to the best only") {
  ElectionNetwork net(7);
  for (int i = 0; i < 200; ++i) net.add();
  net.start_all();
  CHECK_WITHIN(net, net.one_hub(), 2s);
  REQUIRE_NET(net, net.hub() == 0);
  REQUIRE_NET(net, net.dials() < 400);
}

TEST_CASE("--role client never becomes hub, and says why it has none") {
  ElectionNetwork net(1);
  int client = net.add(with_role(ManualRole::kClient));
  net.start_all();
  net.run_for(30s);
  REQUIRE_NET(net, net.hubs().empty());
  REQUIRE_NET(net, net.at(client).role() == Role::kNone);
  REQUIRE_NET(net, net.refusal(client).find("--role client") != std::string::npos);
  int other = net.add();
  net.start(other);
  CHECK_WITHIN(net, net.one_hub(), 2s);
  REQUIRE_NET(net, net.hub() == other);
  net.kill(other);
  net.run_for(30s);
  REQUIRE_NET(net, net.hubs().empty());
}

TEST_CASE("two servers get an automatic proxy, and after its death the next") {
  for (std::uint64_t seed = 1; seed <= 12; ++seed) {
    INFO("seed " << seed);
    ElectionNetwork net(seed);
    net.add(with_role(ManualRole::kServer));
    net.add(with_role(ManualRole::kServer));
    net.add();
    net.add();
    net.start_all();
    CHECK_WITHIN(net, net.one_hub(), 2s);
    REQUIRE_NET(net, net.hub() == 2);
    REQUIRE_NET(net, net.at(2).role() == Role::kProxy);
    net.run_for(20s);
    REQUIRE_NET(net, net.hub() == 2);
    net.kill(2);
    net.run_for(100ms);
    CHECK_WITHIN(net, net.one_hub(), 4s);
    REQUIRE_NET(net, net.hub() == 3);
    REQUIRE_NET(net, net.at(3).role() == Role::kProxy);
    net.run_for(20s);
    net.kill(3);
    net.run_for(100ms);
    CHECK_WITHIN(net, net.one_hub(), 4s);
    REQUIRE_NET(net, net.hub() == 0);
    REQUIRE_NET(net, net.at(0).role() == Role::kServer);
  }
}

TEST_CASE("an automatic hub hands over to a server that was started later, once it is in sync") {
  for (std::uint64_t seed = 1; seed <= 12; ++seed) {
    INFO("seed " << seed);
    ElectionNetwork net(seed);
    net.add();
    net.add();
    int server = net.add(with_role(ManualRole::kServer));
    int second = net.add(with_role(ManualRole::kServer));
    int proxy = net.add(with_role(ManualRole::kProxy));
    net.start(0);
    net.start(1);
    net.run_for(10s);
    net.start(server);
    CHECK_WITHIN(net, net.one_hub() && net.hub() == server, 4s);
    net.run_for(10s);
    net.start(second);
    // Two servers and no proxy: the best of the automatic ones stands in front of them.
    CHECK_WITHIN(net, net.one_hub() && net.hub() < 2 && net.at(net.hub()).role() == Role::kProxy,
                 4s);
    net.run_for(70s);
    net.start(proxy);
    CHECK_WITHIN(net, net.one_hub() && net.hub() == proxy, 4s);
    REQUIRE_NET(net, net.at(proxy).role() == Role::kProxy);
    net.run_for(60s);
    REQUIRE_NET(net, net.hub() == proxy);
  }
}

TEST_CASE("of several --role proxy the best-ranked acts") {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    ElectionNetwork net(seed);
    net.add();
    net.add(with_role(ManualRole::kServer));
    net.add(with_role(ManualRole::kProxy));
    net.add(with_role(ManualRole::kProxy));
    net.start_all();
    CHECK_WITHIN(net, net.one_hub(), 2s);
    REQUIRE_NET(net, net.hub() == 2);
    net.run_for(10s);
    net.kill(2);
    net.run_for(100ms);
    CHECK_WITHIN(net, net.one_hub(), 4s);
    REQUIRE_NET(net, net.hub() == 3);
  }
}

TEST_CASE("every mix of manual roles settles on the hub that the rules name") {
  for (int mix = 0; mix < 256; ++mix) {
    INFO("mix " << mix);
    ElectionNetwork net(static_cast<std::uint64_t>(mix) + 1);
    int counts[4] = {};
    int first[4] = {-1, -1, -1, -1};
    for (int i = 0; i < 4; ++i) {
      int manual = (mix >> (2 * i)) & 3;
      net.add(with_role(static_cast<ManualRole>(manual)));
      if (counts[manual]++ == 0) first[manual] = i;
    }
    int expected = counts[2]                     ? first[2]
                   : counts[1] >= 2 && counts[0] ? first[0]
                   : counts[1]                   ? first[1]
                                                 : first[0];
    net.start_all();
    net.run_for(8s);
    INFO(net.describe());
    if (expected < 0) {
      REQUIRE_NET(net, net.hubs().empty());
      continue;
    }
    REQUIRE_NET(net, net.one_hub());
    REQUIRE_NET(net, net.hub() == expected);
  }
}

TEST_CASE("a hub that hears nobody's answers is not doubled") {
  ElectionNetwork net(3);
  net.add();
  net.add();
  net.start(0);
  net.run_for(10s);
  net.cut_one_way(1, 0);
  net.start(1);
  // Node 1 hears the hub only when that beacons by itself: until then it believes itself alone.
  net.run_for(100s);
  INFO(net.describe());
  REQUIRE_NET(net, net.hubs().size() == 1);
  REQUIRE_NET(net, net.at(1).seek_reason(net.now()).find("27801") != std::string::npos);
}

TEST_CASE("forged beacons of better candidates delay a start by seconds, not for good") {
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    ElectionNetwork net(seed);
    for (int i = 0; i < 3; ++i) net.add();
    net.start_all();
    Prng random(seed);
    for (int i = 0; i < 64; ++i) {
      PeerFacts forged;
      forged.rank.node = random.id<NodeId>();
      forged.rank.manual = ManualRole::kProxy;
      forged.rank.has_data = true;
      forged.boot = random.id<BootId>();
      forged.address = {0xC0000200U + static_cast<std::uint32_t>(i), 1};
      net.forge_beacon(forged, true);
    }
    CHECK_WITHIN(net, net.one_hub(), 5s);
    REQUIRE_NET(net, net.dials() < 40);
  }
}

}  // namespace
}  // namespace lansync::test
