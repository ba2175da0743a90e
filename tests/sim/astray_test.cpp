// Bytes that were nowhere in the end, copies of what nobody contested, and paths that never came to
// rest: each was found by a seed of lansync-sim.
#include <algorithm>
#include <string>
#include <vector>

#include "base/log.h"
#include "sim/world.h"
#include "support/catch.h"

using namespace lansync;
using namespace lansync::sim;

namespace {

struct Group {
  explicit Group(std::uint64_t seed) : world(seed) {}
  SimNode& add(const char* name, bool server = false, bool on_demand = false) {
    NodeOptions options;
    if (server) options.role = ManualRole::kServer;
    options.on_demand = on_demand;
    return world.add(name, options);
  }
  void settle(Duration limit = 120s) {
    const bool fine = world.converge(limit);
    INFO(world.verdict());
    REQUIRE(fine);
  }
  void apart(const char* one, const char* other) {
    world.partition({one}, {other});
    world.run_for(5s);
  }
  void get(SimNode& node, const std::string& path) {
    bool done = false;
    node.get(path, [&](const std::string& why_not) { done = why_not.empty(); });
    REQUIRE(world.run_until([&] { return done; }, 30s));
  }
  void drop(SimNode& node, const std::string& path) {
    bool done = false;
    node.drop(path, [&](const std::string& why_not) { done = why_not.empty(); });
    REQUIRE(world.run_until([&] { return done; }, 30s));
  }
  // b keeps content on demand, and has written and dropped its `f`: a has the bytes.
  SimNode& with_a_dropped_file() {
    add("a", true);
    SimNode& b = add("b", false, true);
    world.start_all();
    settle();
    b.write("f", "the first");
    settle();
    drop(b, "f");
    return b;
  }
  World world;
};

// Of the conflict copies too.
std::size_t places_of(SimNode& node, const std::string& text) {
  std::size_t count = 0;
  for (const auto& [path, seen] : node.disk().tree())
    count += seen.kind == FileKind::kFile && node.text(path) == text ? 1 : 0;
  return count;
}

std::size_t copies_in(SimNode& node) {
  std::size_t count = 0;
  for (const auto& [path, seen] : node.disk().tree())
    count += path.find(" (conflict ") != std::string::npos ? 1 : 0;
  return count;
}

}  // namespace

TEST_CASE("an on-demand hub keeps the bytes of its own edit that lost") {
  Group group(1);
  SimNode& a = group.add("a");
  SimNode& b = group.add("b", false, true);
  a.write("f", "theirs");
  a.write("the same bytes", "theirs");
  group.world.start_all();
  group.settle();
  group.get(b, "the same bytes");
  group.settle();
  group.apart("a", "b");
  REQUIRE(group.world.run_until([&] { return is_hub(b.role()); }, 20s));
  b.write("f", "made where it is absent");
  group.world.run_for(10s);
  group.world.heal();
  group.settle();
  CHECK(places_of(a, "made where it is absent") == 1);
  CHECK(a.text("f") == "theirs");
}

TEST_CASE(
    "what is made where one's own earlier version is absent, and deleted, takes nothing along") {
  Group group(2);
  SimNode& b = group.with_a_dropped_file();
  SimNode& a = group.world.node("a");
  group.apart("a", "b");
  b.write("f", "the second");
  group.world.run_for(3s);
  const bool deletes = GENERATE(true, false);
  if (deletes) {
    b.erase("f");
  } else {
    b.write("f", "the third");
  }
  group.world.run_for(5s);
  group.world.heal();
  group.settle();
  CHECK(places_of(a, "the first") == 1);
  CHECK(places_of(a, "the third") == (deletes ? 0 : 1));
}

TEST_CASE(
    "one's own dropped file of which another set the mode is kept beside what is made there") {
  Group group(3);
  SimNode& b = group.with_a_dropped_file();
  SimNode& a = group.world.node("a");
  a.chmod("f", 0600);
  group.settle();
  b.write("f", "the second");
  group.settle();
  CHECK(places_of(a, "the first") == 1);
  CHECK(places_of(a, "the second") == 1);
}

TEST_CASE(
    "the pusher of a file that gives way to a directory leaves: its bytes come back with it") {
  for (int step = 0; step < 60; ++step) {
    INFO("step " << step);
    Group group(4);
    SimNode& a = group.add("a", true);
    SimNode& b = group.add("b");
    SimNode& c = group.add("c");
    a.write("d/x", "x");
    group.world.start_all();
    group.settle();
    const std::string large(2'000'000, 'b');
    b.erase("d");
    b.write("d", large);
    group.world.run_for((step % 4) * 15ms);
    c.write("d/r", "made meanwhile");
    group.world.run_for(480ms + (step / 4) * 15ms);
    b.kill();
    group.world.run_for(10s);
    b.start();
    group.settle();
    CHECK(places_of(a, large) == 1);
    CHECK(a.text("d/r") == "made meanwhile");
  }
}

TEST_CASE("a known file that cannot be read for a while follows the group when it can") {
  for (const bool deleted : {false, true}) {
    INFO((deleted ? "deleted" : "changed"));
    Group group(5);
    SimNode& a = group.add("a", true);
    SimNode& b = group.add("b");
    a.write("x", "old");
    group.world.start_all();
    group.settle();
    b.set_readable("x", false);
    group.world.run_for(5s);
    if (deleted) {
      a.erase("x");
    } else {
      a.write("x", "new");
    }
    group.world.run_for(3500ms);
    b.set_readable("x", true);
    group.settle();
    CHECK(b.has("x") != deleted);
  }
}

// The group goes on while it cannot be read, and what stands there is no version of now: nothing
// said so, all were in sync, and it stayed. (Simulator's seed 13263.)
TEST_CASE("a file that was being installed at a kill, and cannot be read then, follows the group") {
  int killed_between = 0;
  for (std::uint64_t n = 1; n <= 12; ++n) {
    INFO("killed at operation " << n);
    Group group(5);
    SimNode& a = group.add("a", true);
    SimNode& b = group.add("b");
    group.world.start_all();
    group.settle();
    bool begun = false;
    b.set_on_operation([&](const std::string& operation, const std::string&) {
      if (begun || operation != "open_temp") return;
      begun = true;
      b.kill_after_operations(n, false);
    });
    a.write("x", "old");
    group.world.run_for(5s);
    b.set_on_operation({});
    if (b.running()) continue;
    const bool there = b.has("x");
    killed_between += there ? 1 : 0;
    if (there) b.set_readable("x", false);
    b.start();
    group.world.run_for(1s);
    a.write("x", "new");
    group.world.run_for(5s);
    if (there) b.set_readable("x", true);
    group.settle();
    CHECK(b.text("x") == "new");
    CHECK(copies_in(b) == 0);
  }
  CHECK(killed_between > 0);
}

TEST_CASE("bytes that a disk lost before anybody had them hold up nothing") {
  for (const bool known : {false, true}) {
    INFO((known ? "of a file that the group has" : "of a new file"));
    Group group(6);
    SimNode& a = group.add("a", true);
    SimNode& b = group.add("b");
    if (known) a.write("f", "old");
    group.world.start_all();
    group.settle();
    group.apart("a", "b");
    b.write("f", "what nobody else has");
    group.world.run_for(5s);
    REQUIRE(b.rot("f"));
    group.world.heal();
    group.settle();
    CHECK(a.text("f") == b.text("f"));
    CHECK(copies_in(a) == 0);
  }
}

TEST_CASE("a file of another's is replaced by a directory with something in it: no copy of it") {
  for (std::uint64_t seed = 1; seed <= 8; ++seed) {
    INFO("seed " << seed);
    Group group(seed);
    SimNode& a = group.add("a", true);
    SimNode& b = group.add("b");
    a.write("m/f", "a file");
    group.world.start_all();
    group.settle();
    b.erase("m/f");
    group.world.run_for((seed - 1) * 20ms);
    b.write("m/f/p", "in a directory");
    group.settle();
    CHECK(a.text("m/f/p") == "in a directory");
    CHECK(copies_in(a) == 0);
  }
}

TEST_CASE("a folder that is renamed keeps its mode, also with conflict copies in it") {
  for (std::uint64_t seed = 1; seed <= 6; ++seed) {
    INFO("seed " << seed);
    Group group(seed);
    SimNode& a = group.add("a", true);
    SimNode& b = group.add("b");
    for (int i = 0; i < 40; ++i)
      a.write(str("d/f", i), str("begin ", i, std::string(200'000, 'x')));
    group.world.start_all();
    group.settle();
    group.apart("a", "b");
    a.write("d/f0", "by a");
    b.write("d/f0", "by b");
    group.world.run_for(5s);
    group.world.heal();
    group.settle();
    REQUIRE(copies_in(a) == 1);
    b.chmod("d", 0700);
    group.settle();
    REQUIRE(b.rename("d", "h"));
    group.settle();
    CHECK(copies_in(a) == 1);
    CHECK(a.disk().seen("h")->mode == 0700);
  }
}

TEST_CASE("who replaces a directory in which absent files live, and becomes hub, keeps them") {
  Group group(8);
  SimNode& a = group.add("a");
  SimNode& b = group.add("b");
  SimNode& c = group.add("c", false, true);
  a.write("d/e/p", "held");
  a.write("d/e/q", "absent at c");
  a.start();
  REQUIRE(group.world.run_until([&] { return is_hub(a.role()); }, 10s));
  group.world.start_all();
  group.settle();
  group.get(c, "d/e/p");
  group.settle();
  group.world.partition({"c"}, {"a", "b"});
  group.world.run_for(1ms);
  c.erase("d");
  c.write("d", "a file");
  group.world.run_for(10s);
  REQUIRE(is_hub(c.role()));
  b.kill();
  a.kill();
  a.start();
  group.world.heal();
  b.start();
  REQUIRE(group.world.run_until([&] { return group.world.converged(); }, 120s));
  CHECK(a.text("d/e/q") == "absent at c");
  CHECK(places_of(a, "a file") == 1);
}
