// What once left a node `syncing` for ever: each wait has an end, or is said and is nobody else's
// affair.
#include <string>

#include "sim/rest.h"
#include "sim/world.h"
#include "support/catch.h"

using namespace lansync;
using namespace lansync::sim;

namespace {

struct Pair {
  explicit Pair(std::uint64_t seed) : world(seed), a(world.add("a")), b(world.add("b")) {
    world.start_all();
    settle();
  }
  void settle(Duration limit = 120s) {
    const bool fine = world.converge(limit);
    INFO(world.verdict());
    REQUIRE(fine);
  }
  SimNode& member() { return is_hub(a.role()) ? b : a; }
  SimNode& hub() { return is_hub(a.role()) ? a : b; }

  World world;
  SimNode& a;
  SimNode& b;
};

}  // namespace

// The file waited for the delete of d/sub to go out, and the group had gone past that delete: it
// had made something in there.
TEST_CASE("a file takes a directory's name while others make something below it") {
  for (const bool at_hub : {false, true}) {
    for (const Duration after : {0ms, 1000ms, 1900ms, 2100ms, 2500ms, 3500ms}) {
      CAPTURE(at_hub, after.count());
      Pair pair(1);
      SimNode& replaces = at_hub ? pair.hub() : pair.member();
      SimNode& makes = at_hub ? pair.member() : pair.hub();
      makes.write("d/sub/old", "old");
      pair.settle();
      replaces.erase("d/sub");
      pair.world.run_for(after);
      makes.write("d/sub/new", "new");
      replaces.erase("d");
      replaces.write("d", "a file now");
      pair.settle();
      CHECK(makes.text("d/sub/new") == "new");
      CHECK(replaces.text("d/sub/new") == "new");
    }
  }
}
