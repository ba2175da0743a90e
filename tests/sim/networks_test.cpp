// Machines that sleep for hours, lose their cable, roam and flap: where time is long.
#include "base/log.h"
#include "sim/world.h"
#include "support/catch.h"

using namespace lansync;
using namespace lansync::sim;

namespace {

constexpr Duration kBack = 5s;  // in sync so soon after the network, or the machine, is back

void require_converged(World& world, Duration limit = 120s) {
  const bool fine = world.converge(limit);
  INFO(world.verdict());
  REQUIRE(fine);
}

std::vector<SimNode*> hubs_of(World& world) {
  std::vector<SimNode*> hubs;
  for (SimNode* node : world.running())
    if (is_hub(node->role())) hubs.push_back(node);
  return hubs;
}

SimNode& hub_of(World& world) {
  REQUIRE(hubs_of(world).size() == 1);
  return *hubs_of(world).front();
}

SimNode& client_of(World& world) {
  for (SimNode* node : world.running())
    if (node->role() == Role::kClient) return *node;
  FAIL("nobody is client");
  return *world.nodes().front();
}

void start_group(World& world, int count) {
  for (int i = 0; i < count; ++i) world.add(std::string(1, static_cast<char>('a' + i)));
  world.node("a").write("f", "v1");
  world.start_all();
  require_converged(world);
}

// In sync, and below the hub that the others have.
bool is_back(World& world, SimNode& node, SimNode& hub) {
  return node.in_sync() && node.node().election().hub() == hub.node().election().hub() &&
         hubs_of(world).size() == 1;
}

}  // namespace

TEST_CASE("a client that slept for hours is in sync within seconds, and the hub stays") {
  for (const Duration slept : {Duration(15s), Duration(20min), Duration(2h)}) {
    World world(300);
    start_group(world, 3);
    SimNode& hub = hub_of(world);
    SimNode& client = client_of(world);
    const std::uint64_t term = hub.node().election().term();
    client.freeze(slept);
    world.run_for(slept - 5s);
    hub.write("meanwhile", "m");
    world.run_for(5s);
    INFO("slept for " << to_string(slept));
    CHECK(world.run_until([&] { return client.has("meanwhile") && is_back(world, client, hub); },
                          kBack));
    CHECK(is_hub(hub.role()));
    CHECK(hub.node().election().term() == term);
    require_converged(world);
  }
}

TEST_CASE("a hub that slept listens first: the group that went on keeps its hub and its term") {
  for (const Duration slept : {Duration(4s), Duration(30s), Duration(20min), Duration(2h)}) {
    World world(310);
    start_group(world, 4);
    SimNode& old_hub = hub_of(world);
    old_hub.freeze(slept);
    SimNode* next = nullptr;
    // The sleeper still thinks that it is hub.
    REQUIRE(world.run_until(
        [&] {
          for (SimNode* node : hubs_of(world))
            if (node != &old_hub) next = node;
          return next != nullptr;
        },
        slept));
    const std::uint64_t term = next->node().election().term();
    next->write("meanwhile", "m");
    world.run_for(slept);
    INFO("slept for " << to_string(slept));
    CHECK(world.run_until(
        [&] { return old_hub.has("meanwhile") && is_back(world, old_hub, *next); }, kBack));
    CHECK(next->node().election().term() == term);
    require_converged(world);
  }
}

TEST_CASE("a cable that was out: back within seconds, and nobody else notices") {
  World world(320);
  start_group(world, 4);
  SimNode& hub = hub_of(world);
  SimNode& client = client_of(world);
  const std::uint64_t term = hub.node().election().term();
  for (const Duration out : {Duration(500ms), Duration(3s), Duration(20s), Duration(20min)}) {
    world.unplug(client.name());
    world.run_for(out / 2);
    client.write("offline " + to_string(out), "o");
    hub.write("online " + to_string(out), "n");
    world.run_for(out / 2);
    world.plug(client.name());
    INFO("out for " << to_string(out));
    // An edit rests for its settle time (0.5 s here) before it goes anywhere.
    CHECK(world.run_until(
        [&] {
          return client.has("online " + to_string(out)) && hub.has("offline " + to_string(out)) &&
                 is_back(world, client, hub);
        },
        kBack));
    CHECK(hub.node().election().term() == term);
  }
  require_converged(world);
}

TEST_CASE("a switch that starts anew takes all cables at once: one hub within seconds") {
  for (std::uint64_t seed = 330; seed < 340; ++seed) {
    World world(seed);
    start_group(world, 5);
    for (SimNode* node : world.nodes()) world.unplug(node->name());
    world.run_for(30s);
    for (SimNode* node : world.nodes()) node->write("alone " + node->name(), node->name());
    world.run_for(10s);
    for (SimNode* node : world.nodes()) world.plug(node->name());
    INFO("seed " << seed);
    CHECK(world.run_until([&] { return world.converged(); }, kBack));
    require_converged(world);
    CHECK(world.node("a").text("alone e") == "e");
  }
}

TEST_CASE("a link that flaps for a minute ends as if it had not") {
  for (std::uint64_t seed = 340; seed < 346; ++seed) {
    World world(seed);
    start_group(world, 3);
    SimNode& hub = hub_of(world);
    SimNode& client = client_of(world);
    Prng random(seed);
    for (int i = 0; i < 20; ++i) {
      world.unplug(client.name());
      world.run_for(Duration(static_cast<std::int64_t>(random.below(4'000'000))));
      client.write("down " + std::to_string(i), "d");
      world.plug(client.name());
      world.run_for(Duration(static_cast<std::int64_t>(random.below(2'000'000))));
      hub.write("up " + std::to_string(i), "u");
    }
    INFO("seed " << seed);
    CHECK(world.run_until([&] { return is_back(world, client, hub) && world.converged(); }, 10s));
    CHECK(is_hub(hub.role()));
    require_converged(world);
    CHECK(hub.has("down 19"));
  }
}

TEST_CASE("a laptop that roams between two networks carries the files of both") {
  World world(350);
  start_group(world, 5);
  const std::set<std::string> home{"a", "b"};
  const std::set<std::string> work{"c", "d"};
  world.partition(home, work);
  world.unplug("e");
  world.run_for(10s);
  for (int day = 0; day < 4; ++day) {
    const bool at_work = day % 2 == 1;
    world.node("a").write("home " + std::to_string(day), "h");
    world.node("d").write("work " + std::to_string(day), "w");
    world.run_for(3s);
    world.plug("e");
    world.partition({"e"}, at_work ? home : work);
    INFO("day " << day);
    CHECK(world.run_until(
        [&] {
          return world.node("e").in_sync() &&
                 world.node("e").has((at_work ? "work " : "home ") + std::to_string(day));
        },
        kBack));
    world.run_for(3min);
    world.unplug("e");
    world.run_for(30s);
  }
  CHECK(world.node("a").has("work 1"));
  CHECK(world.node("d").has("home 2"));
  world.plug("e");
  world.heal();
  require_converged(world);
}

TEST_CASE("a slow line with a short queue fills a folder in about the time that its bytes take") {
  for (std::uint64_t seed = 1; seed <= 3; ++seed) {
    INFO("seed " << seed);
    World world(seed);
    SimNode& a = world.add("a");
    SimNode& b = world.add("b");
    LinkFaults slow;
    slow.bytes_per_second = 250'000;  // and 200 ms of it wait at most
    slow.loss = 10'000;               // 1 %
    slow.delay = 5ms;
    world.network().set_all(slow);
    for (int n = 0; n < 200; ++n)
      a.write(str("photos/", n),
              std::string(2000 + static_cast<std::size_t>(n) * 97, 'p') + std::to_string(n));
    a.start();
    REQUIRE(world.run_until([&] { return a.in_sync(); }, 30s));
    b.start();
    // 2.3 MB take 9.4 s.
    CHECK(world.run_until([&] { return world.converged(); }, 30s));
    CHECK(world.network().counters().bytes < 5'000'000);
  }
}
