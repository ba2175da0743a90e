// Runs of deletes over whole groups: what holds them, what counts, what a person's word does.
#include <algorithm>
#include <string>
#include <vector>

#include "sim/world.h"
#include "support/catch.h"

using namespace lansync;
using namespace lansync::sim;

namespace {

std::string name_of(int i) { return "d" + std::to_string(i % 4) + "/" + std::to_string(i); }

struct Group {
  explicit Group(std::uint64_t seed) : world(seed) {}
  SimNode& add(const std::string& name, const std::string& limit) {
    NodeOptions options;
    options.max_deletes = parse_max_deletes(limit).value();
    return world.add(name, options);
  }
  void settle(Duration limit = 60s) {
    const bool fine = world.converge(limit);
    INFO(world.verdict());
    REQUIRE(fine);
  }
  bool until(const std::function<bool()>& predicate, Duration limit = 60s) {
    return world.run_until(predicate, limit);
  }
  World world;
};

void fill(SimNode& node, int files) {
  for (int i = 0; i < files; ++i) node.write(name_of(i), "text " + std::to_string(i));
}
void erase(SimNode& node, int first, int last) {
  for (int i = first; i < last; ++i) node.erase(name_of(i));
}
int count_of(const SimNode& node, int files) {
  int there = 0;
  for (int i = 0; i < files; ++i) there += node.has(name_of(i)) ? 1 : 0;
  return there;
}
NodeState state_of(SimNode& node) { return node.node().status().state; }
std::uint64_t held(SimNode& node) { return node.node().status().held_deletes; }

}  // namespace

TEST_CASE("a run of deletes that was rejected and is made once more is held once more") {
  Group group(201);
  SimNode& a = group.add("a", "100%");
  SimNode& b = group.add("b", "50%");
  fill(a, 100);
  group.world.start_all();
  group.settle();
  for (int round = 0; round < 3; ++round) {
    INFO("round " << round);
    erase(a, 0, 100);
    REQUIRE(group.until([&] { return held(b) == 100; }));
    group.world.run_for(10s);
    CHECK(count_of(b, 100) == 100);
    REQUIRE(b.node().reject());
    group.settle();
    CHECK(count_of(a, 100) == 100);
    group.world.run_for(90s);
  }
}

TEST_CASE("deletes held at the receiver whose files and links are made again are held no more") {
  Group group(202);
  SimNode& a = group.add("a", "100%");
  SimNode& b = group.add("b", "50%");
  auto install = [&] {
    fill(a, 60);
    for (int i = 0; i < 60; ++i) a.link("bin" + std::to_string(i), name_of(i));
    a.make_folder("empty");
  };
  install();
  group.world.start_all();
  group.settle();
  erase(a, 0, 60);
  for (int i = 0; i < 60; ++i) a.erase("bin" + std::to_string(i));
  a.erase("empty");
  REQUIRE(group.until([&] { return held(b) == 120; }));
  install();
  group.settle();
  CHECK(held(b) == 0);
  CHECK(state_of(b) == NodeState::kInSync);
  CHECK(count_of(b, 60) == 60);
}
