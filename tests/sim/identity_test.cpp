// An index that is lost, copied or set back: whatever became of it, nothing a person wrote is lost
// and nothing that was deleted comes back unasked.
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
