// An index that is lost, copied or set back: whatever became of it, nothing a person wrote is lost
// and nothing that was deleted comes back unasked.
#include <algorithm>

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

void stop_and_wait(World& world, SimNode& node) {
  node.stop();
  REQUIRE(world.run_until([&] { return !node.running(); }, 2s));
}

// Another machine with a copy of that one's disk: its index says the same machine and inode.
SimNode& clone(World& world, const std::string& name, SimNode& original) {
  SimNode& copy = world.node(name);
  copy.options().place = original.name();
  copy.restore(original.backup());
  return copy;
}

bool same_id(SimNode& a, SimNode& b) {
  return a.node().replica().node() == b.node().replica().node();
}

}  // namespace

TEST_CASE("a node that lost its index joins anew: equal files stay, its edits are kept") {
  World world(200);
  world.add("a");
  world.add("b");
  world.node("a").write("same", "same");
  world.node("a").write("edited", "v1");
  world.start_all();
  require_converged(world);
  SimNode& b = world.node("b");
  stop_and_wait(world, b);
  b.lose_index();
  b.write("edited", "v2 by b");
  b.write("extra", "only b has it");
  world.run_for(5s);
  b.start();
  require_converged(world);
  CHECK(world.node("a").text("extra") == "only b has it");
  CHECK(world.node("a").disk().tree().size() == 4);  // and the conflict copy of "edited"
}

TEST_CASE("a folder that was copied with its .lansync gets an identity of its own") {
  World world(201);
  world.add("a");
  world.add("b");
  world.add("c");
  world.node("a").write("f", "v1");
  world.node("a").start();
  world.node("b").start();
  REQUIRE(world.run_until([&] { return world.converged(); }, 60s));
  // c is a machine to which a's whole folder was copied, running or not.
  world.node("c").restore(world.node("a").backup());
  world.node("c").start();
  require_converged(world);
  CHECK(world.node("a").node().replica().node() != world.node("c").node().replica().node());
  world.node("c").write("f", "v2 by the copy");
  require_converged(world);
  world.node("a").write("f", "v3 by the first");
  require_converged(world);
  CHECK(world.node("c").text("f") == "v3 by the first");
}

TEST_CASE("a machine that was set back to an old backup loses no later edit of anybody") {
  World world(202);
  world.add("a");
  world.add("b");
  SimNode& a = world.node("a");
  SimNode& b = world.node("b");
  a.write("f", "v1");
  a.write("gone", "to be deleted");
  world.start_all();
  require_converged(world);
  const SimNode::Backup backup = a.backup();
  a.write("f", "v2");
  b.write("g", "new");
  a.erase("gone");
  require_converged(world);
  stop_and_wait(world, a);
  b.write("f", "v3");
  world.run_for(10s);
  a.restore(backup);
  a.start();
  require_converged(world);
  CHECK(a.text("f") == "v3");
  CHECK(a.text("g") == "new");
  CHECK_FALSE(b.has("gone"));
  a.write("f", "v4, after the backup came back");
  require_converged(world);
  CHECK(b.text("f") == "v4, after the backup came back");
}

TEST_CASE("edits made on a machine that was set back are told from those it had made before") {
  World world(203);
  world.add("a");
  world.add("b");
  SimNode& a = world.node("a");
  a.write("f", "v1");
  world.start_all();
  require_converged(world);
  const SimNode::Backup backup = a.backup();
  a.write("f", "v2");
  require_converged(world);
  stop_and_wait(world, a);
  a.restore(backup);
  a.write("f", "another v2");
  world.run_for(2s);
  a.start();
  require_converged(world);
  // Both stand: one under the name, one as a copy.
  CHECK(world.node("b").disk().tree().size() == 2);
}

TEST_CASE(
    "two machines of one cloned disk that run at once go on under two ids, and lose nothing") {
  for (std::uint64_t seed = 210; seed < 214; ++seed) {
    World world(seed);
    for (const char* name : {"a", "b", "c"}) world.add(name);
    SimNode& a = world.node("a");
    a.write("f", "v1");
    a.write("untouched", "v1");
    a.start();
    world.node("c").start();
    REQUIRE(world.run_until([&] { return world.converged(); }, 60s));
    SimNode& b = clone(world, "b", a);
    b.write("f", "v2 by the clone");
    b.start();
    a.write("f", "v2 by the original");
    world.run_for(1s);
    b.write("g", "by the clone");
    a.write("g", "by the original");
    require_converged(world);
    CHECK_FALSE(same_id(a, b));
    CHECK(world.node("c").disk().tree().size() == 5);  // f and g twice, and what nobody touched
    b.write("f", "v3 by the clone");
    require_converged(world);
    CHECK(a.text("f") == "v3 by the clone");
  }
}

TEST_CASE("a cloned disk that worked alone, run after run, loses no edit of its original") {
  for (std::uint64_t seed = 220; seed < 228; ++seed) {
    World world(seed);
    for (const char* name : {"a", "b", "c"}) world.add(name);
    SimNode& a = world.node("a");
    a.write("f", "v1");
    a.write("untouched", "v1");
    a.start();
    world.node("c").start();
    REQUIRE(world.run_until([&] { return world.converged(); }, 60s));
    stop_and_wait(world, a);
    SimNode& b = clone(world, "b", a);
    // The original goes on in the group; the clone is elsewhere, hub of itself, and edits more.
    world.partition({"b"}, {"a", "c"});
    a.start();
    b.start();
    a.write("f", "v2 by the original");
    for (int turn = 0; turn < 5; ++turn) {
      b.write("f", "by the clone, " + std::to_string(turn));
      world.run_for(5s);
    }
    stop_and_wait(world, b);
    b.write("f", "by the clone, between its runs");
    b.start();
    world.run_for(10s);
    stop_and_wait(world, b);
    // One after the other: the original is off when the clone comes to the group.
    if (seed % 2 == 0) stop_and_wait(world, a);
    world.heal();
    b.start();
    require_converged(world);
    INFO("seed " << seed);
    CHECK(world.node("c").disk().tree().size() == 3);
    if (!a.running()) a.start();
    require_converged(world);
    CHECK_FALSE(same_id(a, b));
    CHECK(world.node("c").disk().tree().size() == 3);
  }
}

TEST_CASE("a node that is killed in the midst of its edits, again and again, keeps its key") {
  for (std::uint64_t seed = 240; seed < 246; ++seed) {
    INFO("seed " << seed);
    World world(seed);
    for (const char* name : {"a", "b", "c"}) world.add(name);
    world.start_all();
    require_converged(world);
    // The hub once, a client else.
    SimNode& victim = world.node(seed == 240 ? "a" : "b");
    const NodeId key = victim.node().replica().node();
    Prng random(seed);
    for (int turn = 0; turn < 12; ++turn) {
      const std::string name = "k" + std::to_string(turn);
      victim.write(name, name);
      // Settle time is 500 ms: about when the version is made, pushed, committed.
      world.run_for(Duration(300'000 + random.below(400'000)));
      victim.kill();
      world.run_for(Duration(random.below(1'500'000)));
      victim.start();
      REQUIRE(victim.node().replica().node() == key);
    }
    require_converged(world);
    CHECK(victim.node().replica().node() == key);
    for (int turn = 0; turn < 12; ++turn) CHECK(world.node("c").has("k" + std::to_string(turn)));
  }
}

TEST_CASE(
    "a clone that comes while its original is at work is told, and the original keeps its key") {
  World world(250);
  for (const char* name : {"a", "b", "c"}) world.add(name);
  world.node("c").options().role = ManualRole::kServer;
  world.node("c").start();
  SimNode& a = world.node("a");
  a.write("f", "v1");
  a.start();
  REQUIRE(world.run_until([&] { return world.converged(); }, 60s));
  const NodeId key = a.node().replica().node();
  SimNode& b = clone(world, "b", a);
  b.write("f", "by the clone");
  b.start();
  require_converged(world);
  CHECK(a.node().replica().node() == key);
  CHECK(b.node().replica().node() != key);
  CHECK(a.text("f") == "by the clone");
}

TEST_CASE(
    "a node that is set back twice within the hour stays out, says why, and goes on by itself") {
  World world(251);
  world.add("a");
  world.add("b");
  world.node("b").options().role = ManualRole::kServer;
  SimNode& a = world.node("a");
  a.write("f", "v1");
  world.start_all();
  require_converged(world);
  NodeId key = a.node().replica().node();
  for (int turn = 0; turn < 2; ++turn) {
    stop_and_wait(world, a);
    const SimNode::Backup backup = a.backup();
    // A run that the backup does not know.
    a.start();
    require_converged(world);
    stop_and_wait(world, a);
    a.restore(backup);
    a.write("g" + std::to_string(turn), "after it was set back");
    a.start();
    if (turn > 0) break;
    require_converged(world);
    CHECK(a.node().replica().node() != key);
    key = a.node().replica().node();
  }
  world.run_for(30s);
  CHECK(a.node().replica().node() == key);
  const StatusReport status = a.node().status();
  CHECK(status.state == NodeState::kError);
  CHECK(status.reason.find("new key") != std::string::npos);
  CHECK_FALSE(world.node("b").has("g1"));
  // A restart does not shorten it.
  stop_and_wait(world, a);
  a.start();
  world.run_for(50min);
  CHECK_FALSE(world.node("b").has("g1"));
  world.run_for(10min);
  require_converged(world);
  CHECK(a.node().replica().node() != key);
  CHECK(world.node("b").text("g1") == "after it was set back");
}

TEST_CASE("nodes of two protocol versions name each other, and say that they do not sync") {
  World world(230);
  for (const char* name : {"old", "new", "other"}) world.add(name);
  world.node("new").options().protocol = kProtocolVersion + 1;
  world.node("old").write("f", "of the old");
  world.node("new").write("g", "of the new");
  world.start_all();
  world.run_for(30s);
  struct Side {
    const char* name;
    int theirs;
    const char* where;
  };
  for (const Side& side : {Side{"old", kProtocolVersion + 1, "lansync here"},
                           Side{"other", kProtocolVersion + 1, "lansync here"},
                           Side{"new", kProtocolVersion, "lansync there"}}) {
    INFO(side.name);
    Node& node = world.node(side.name).node();
    auto peers = node.peers();
    auto refused = std::find_if(peers.begin(), peers.end(), [](const PeerReport& peer) {
      return peer.state == PeerState::kRefused;
    });
    REQUIRE(refused != peers.end());
    CHECK(refused->protocol == side.theirs);
    CHECK(refused->why.find(side.where) != std::string::npos);
    CHECK(node.status().reason.find(refused->why) != std::string::npos);
  }
  CHECK(world.node("other").text("f") == "of the old");
  CHECK_FALSE(world.node("other").has("g"));
  CHECK_FALSE(world.node("new").has("f"));
}

namespace {

// Files and directories of which some are not in a copy, an old index, another directory.
void fill(SimNode& node) {
  for (int i = 0; i < 30; ++i) node.write(str("d/", i), str("text ", i));
  node.write("kept", "kept");
}

bool has_all(SimNode& node) {
  for (int i = 0; i < 30; ++i)
    if (!node.has(str("d/", i))) return false;
  return node.has("kept");
}

}  // namespace

TEST_CASE("what a copied folder lacks was deleted by nobody: it comes, at once or after a kill") {
  for (const bool alone_first : {false, true}) {
    for (const bool killed : {false, true}) {
      INFO((alone_first ? "alone first" : "with company") << (killed ? ", killed" : ""));
      World world(231);
      SimNode& a = world.add("a");
      SimNode& b = world.add("b");
      SimNode& c = world.add("c");
      fill(a);
      a.start();
      b.start();
      REQUIRE(world.run_until([&] { return world.converged(); }, 60s));
      c.restore(b.backup());
      c.erase("d");
      if (alone_first) {
        stop_and_wait(world, a);
        stop_and_wait(world, b);
      }
      c.start();
      if (killed) {
        world.run_for(300ms);
        c.kill();
        c.start();
      }
      world.run_for(20s);
      if (alone_first) {
        a.start();
        b.start();
      }
      require_converged(world);
      CHECK(has_all(a));
      CHECK(has_all(b));
      CHECK(has_all(c));
      CHECK(c.node().status().held_deletes == 0);
    }
  }
}

TEST_CASE("what an old index has and the disk lacks was deleted by nobody") {
  World world(232);
  SimNode& a = world.add("a");
  SimNode& b = world.add("b");
  a.write("kept", "kept");
  world.start_all();
  require_converged(world);
  const auto early = b.backup();
  fill(a);
  require_converged(world);
  const auto backup = b.backup();
  b.write("later", "later");
  require_converged(world);
  stop_and_wait(world, b);
  b.restore({early.disk, backup.index});
  b.start();
  require_converged(world);
  CHECK(has_all(a));
  CHECK(has_all(b));
  CHECK(b.text("later") == "later");
}
