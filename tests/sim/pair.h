// Two nodes that have met, for stories of what one of them cannot have.
#pragma once

#include <cstdint>

#include "sim/world.h"
#include "support/catch.h"

namespace lansync::sim {

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

}  // namespace lansync::sim
