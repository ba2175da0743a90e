// Two machines, the ordinary things.
#include "sim/world.h"
#include "support/catch.h"

using namespace lansync;
using namespace lansync::sim;

TEST_CASE("a file that one node has is soon on the other") {
  World world(1);
  world.add("a");
  world.add("b");
  world.node("a").write("hello.txt", "hello");
  world.start_all();
  const bool fine = world.converge(30s);
  INFO(world.verdict());
  CHECK(fine);
  CHECK(world.node("b").text("hello.txt") == "hello");
}
