// Three and more machines: starting together, lossy links, partitions, hubs that die.
#include "sim/world.h"
#include "support/catch.h"

using namespace lansync;
using namespace lansync::sim;

namespace {

void require_converged(World& world, Duration limit = 120s) {
  const bool fine = world.converge(limit);
  INFO(world.verdict());
  REQUIRE(fine);
}

int copies_in(const SeenTree& tree) {
  int copies = 0;
  for (const auto& [path, seen] : tree) copies += path.find(" (conflict ") != std::string::npos;
  return copies;
}

SimNode& hub_of(World& world) {
  for (SimNode* node : world.running()) {
    if (is_hub(node->role())) return *node;
  }
  FAIL("nobody is hub");
  return *world.nodes().front();
}

SimNode& client_of(World& world) {
  for (SimNode* node : world.running()) {
    if (!is_hub(node->role())) return *node;
  }
  FAIL("nobody is client");
  return *world.nodes().front();
}

void add_nodes(World& world, int count) {
  for (int i = 0; i < count; ++i) world.add(std::string(1, static_cast<char>('a' + i)));
}

}  // namespace

TEST_CASE("three nodes that start at the same instant agree on one hub within seconds") {
  World world(20);
  add_nodes(world, 3);
  for (SimNode* node : world.nodes()) node->write("of " + node->name(), node->name());
  world.start_all();
  const auto one_hub = [&] {
    int hubs = 0;
    int clients = 0;
    for (SimNode* node : world.running()) {
      hubs += is_hub(node->role());
      clients += node->role() == Role::kClient;
    }
    return hubs == 1 && clients == 2;
  };
  CHECK(world.run_until(one_hub, 4s));
  require_converged(world);
  CHECK(world.node("c").text("of a") == "a");
}

TEST_CASE("two to five nodes converge under loss, duplicates and disorder") {
  for (const std::uint32_t percent : {1u, 5u, 20u}) {
    for (int count = 2; count <= 5; ++count) {
      World world(100 * percent + static_cast<std::uint64_t>(count));
      LinkFaults faults;
      faults.loss = percent * 10'000;
      faults.duplicated = 20'000;
      faults.reordered = 50'000;
      world.network().set_all(faults);
      add_nodes(world, count);
      for (SimNode* node : world.nodes())
        node->write(node->name(), std::string(70'000, node->name()[0]));
      world.start_all();
      world.run_for(10s);
      for (SimNode* node : world.nodes()) node->write(node->name() + ".2", "later");
      world.run_for(30s);
      INFO(percent << " % loss, " << count << " nodes");
      // The links stay as bad as they are: sync must work on them.
      CHECK(world.run_until([&] { return world.converged(); }, 180s));
      world.heal();
      require_converged(world);
    }
  }
}

TEST_CASE(
    "after a partition with edits on both sides the trees are equal and each loser is kept once") {
  World world(30);
  add_nodes(world, 4);
  world.node("a").write("f", "base");
  world.node("a").write("only-left", "base");
  world.start_all();
  require_converged(world);
  world.partition({"a", "b"}, {"c", "d"});
  world.run_for(5s);
  world.node("a").write("f", "left");
  world.node("a").write("only-left", "left");
  world.node("d").write("f", "right");
  world.node("c").write("new-right", "right");
  world.run_for(30s);
  CHECK(world.node("b").text("f") == "left");
  CHECK(world.node("c").text("f") == "right");
  world.heal();
  require_converged(world);
  const SeenTree tree = world.node("a").disk().tree();
  CHECK(copies_in(tree) == 1);
  CHECK(world.node("d").text("only-left") == "left");
  CHECK(world.node("a").text("new-right") == "right");
}

TEST_CASE("a three-way split with three versions of one file leaves one winner and two copies") {
  World world(31);
  add_nodes(world, 3);
  world.node("a").write("f", "base");
  world.start_all();
  require_converged(world);
  world.partition({"a"}, {"b", "c"});
  world.partition({"b"}, {"c"});
  for (SimNode* node : world.nodes()) node->write("f", "version of " + node->name());
  world.run_for(30s);
  world.heal();
  require_converged(world);
  CHECK(copies_in(world.node("a").disk().tree()) == 2);
}

TEST_CASE("a hub that dies in the middle of a push loses nothing of it") {
  for (std::uint64_t operations = 1; operations < 40; operations += 3) {
    World world(40 + operations);
    add_nodes(world, 3);
    world.start_all();
    require_converged(world);
    SimNode& hub = hub_of(world);
    SimNode& pusher = client_of(world);
    for (int i = 0; i < 5; ++i) {
      pusher.write("f" + std::to_string(i), std::string(20'000, static_cast<char>('a' + i)));
    }
    hub.kill_after_operations(operations, operations % 2 == 0);
    world.run_for(20s);
    if (hub.running()) hub.kill();
    hub.start();
    INFO("after " << operations << " operations");
    require_converged(world);
    CHECK(hub.has("f4"));
  }
}

TEST_CASE("a client that dies or loses power during a fetch catches up") {
  for (std::uint64_t operations = 1; operations < 40; operations += 3) {
    World world(60 + operations);
    add_nodes(world, 2);
    world.start_all();
    require_converged(world);
    SimNode& hub = hub_of(world);
    SimNode& client = client_of(world);
    hub.write("large", std::string(700'000, 'l'));
    hub.write("small", "s");
    client.kill_after_operations(operations, operations % 2 == 1);
    world.run_for(10s);
    if (client.running()) client.kill();
    client.start();
    INFO("after " << operations << " operations");
    require_converged(world);
    CHECK(client.has("large"));
  }
}

TEST_CASE("a hub that vanishes is followed by another, and joins it when it is back") {
  World world(80);
  add_nodes(world, 3);
  world.node("a").write("f", "v1");
  world.start_all();
  require_converged(world);
  SimNode& hub = hub_of(world);
  hub.kill();
  CHECK(world.run_until(
      [&] {
        int hubs = 0;
        for (SimNode* node : world.running()) hubs += is_hub(node->role());
        return hubs == 1;
      },
      6s));
  client_of(world).write("f", "v2");
  world.run_for(10s);
  hub.start();
  require_converged(world);
  CHECK(hub.text("f") == "v2");
}

TEST_CASE("one-way silence heals") {
  World world(81);
  add_nodes(world, 3);
  world.node("a").write("f", "v1");
  world.start_all();
  require_converged(world);
  world.partition({"a"}, {"b", "c"}, true);
  world.node("a").write("g", "of a");
  world.node("b").write("h", "of b");
  world.run_for(30s);
  world.heal();
  require_converged(world);
  CHECK(world.node("c").text("g") == "of a");
  CHECK(world.node("a").text("h") == "of b");
}

TEST_CASE("a machine that stood still for a while goes on as if nothing had been") {
  World world(82);
  add_nodes(world, 3);
  world.start_all();
  require_converged(world);
  hub_of(world).freeze(15s);
  client_of(world).write("f", "while it slept");
  world.run_for(20s);
  require_converged(world);
}

TEST_CASE("sessions get new keys after their time, and nobody notices") {
  World world(240);
  NodeOptions options;
  options.session_life = 20s;
  for (const char* name : {"a", "b", "c"}) world.add(name, options);
  world.node("a").write("f", "v1");
  world.start_all();
  REQUIRE(world.converge(60s));
  auto hub_of_node = [](SimNode& node) { return node.node().election().hub(); };
  const auto hub = hub_of_node(world.node("a"));
  const std::uint64_t term = world.node("a").node().status().term;
  auto handshakes = [&] {
    std::uint64_t all = 0;
    for (SimNode* node : world.nodes()) all += node->handshakes();
    return all;
  };
  const std::uint64_t before = handshakes();
  auto another_hub = [&] {
    for (SimNode* node : world.nodes())
      if (hub_of_node(*node) != hub) return true;
    return false;
  };
  for (int turn = 0; turn < 30; ++turn) {
    world.node(turn % 2 == 0 ? "b" : "c").write("g" + std::to_string(turn), "new");
    CHECK_FALSE(world.run_until(another_hub, 4s));
  }
  // Two sessions, some five lives, both ends of each.
  CHECK(handshakes() - before >= 16);
  CHECK(handshakes() - before <= 40);
  require_converged(world);
  CHECK(world.node("a").node().status().term == term);
}
