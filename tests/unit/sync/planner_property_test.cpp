// After CanopyCheck (Dropbox): random trees that are perturbed apart, plans carried out in shuffled
// order and cut off at random, until nobody has anything to do. Then the invariants must hold.
// A seed that ever failed is pinned by name.
#include "support/catch.h"
#include "unit/sync/sync_world.h"

namespace lansync {
namespace {

using test::SyncWorld;

constexpr int kRoundsMax = 200;
constexpr std::uint64_t kSeeds = 150;  // 5 s in a Debug build; 400 passed when this was written

void check(SyncWorld& world, std::uint64_t seed) {
  int rounds = world.settle_down(kRoundsMax);
  INFO("seed " << seed << ", " << rounds << " rounds, " << world.conflicts() << " conflicts");
  CHECK(rounds < kRoundsMax);
  CHECK(world.broken_invariant() == "");
}

TEST_CASE("three trees that were perturbed apart converge, and no bytes are lost") {
  std::size_t conflicts = 0;
  for (std::uint64_t seed = 1; seed <= kSeeds; ++seed) {
    SyncWorld world(seed, 3);
    for (int i = 0; i < 12; ++i) world.edit();
    check(world, seed);
    for (int i = 0; i < 15; ++i) world.edit();
    check(world, seed);
    conflicts += world.conflicts();
  }
  // The seeds did meet what they are here for.
  CHECK(conflicts > kSeeds / 4);
}

TEST_CASE("edits in the middle of plans that are cut off lose nothing") {
  for (std::uint64_t seed = 1; seed <= kSeeds; ++seed) {
    SyncWorld world(seed, 4);
    for (int i = 0; i < 80; ++i) {
      world.edit();
      world.round(true);
    }
    check(world, seed);
  }
}

TEST_CASE("nodes that never met join, and keep all that either had") {
  for (std::uint64_t seed = 1; seed <= kSeeds; ++seed) {
    SyncWorld world(seed, 2);
    for (int i = 0; i < 40; ++i) world.edit();
    check(world, seed);
  }
}

TEST_CASE("a hub that takes over with an old tree loses nothing") {
  for (std::uint64_t seed = 1; seed <= kSeeds; ++seed) {
    SyncWorld world(seed, 4);
    for (int i = 0; i < 60; ++i) {
      world.edit();
      world.round(true);
      if (i % 7 == 0) world.change_hub();
    }
    check(world, seed);
  }
}

TEST_CASE("a node that wants no content keeps its own, and deletes nothing of the others'") {
  for (std::uint64_t seed = 1; seed <= kSeeds; ++seed) {
    SyncWorld world(seed, 3);
    world.nodes[2].wants_all = false;
    for (int i = 0; i < 60; ++i) {
      world.edit();
      world.round(true);
    }
    check(world, seed);
  }
}

}  // namespace
}  // namespace lansync
