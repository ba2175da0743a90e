// What happens on a disk without an event of its own: directories that take each other's names, and
// rules that go.
#include <string>

#include "sim/world.h"
#include "support/catch.h"

using namespace lansync;
using namespace lansync::sim;

namespace {

// Far from the next rescan, which would find everything.
NodeOptions watched_only() {
  NodeOptions options;
  options.rescan = 1h;
  return options;
}

struct Pair {
  explicit Pair(std::uint64_t seed)
      : world(seed), a(world.add("a", watched_only())), b(world.add("b", watched_only())) {}
  void settle() {
    const bool fine = world.converge(60s);
    INFO(world.verdict());
    REQUIRE(fine);
  }
  World world;
  SimNode& a;
  SimNode& b;
};

}  // namespace

TEST_CASE("a directory that takes another's name: what only the old one held goes on all nodes") {
  Pair pair(1);
  pair.a.write("site/kept.html", "k");
  pair.a.write("site/old/only.html", "o");
  pair.a.write("site.new/kept.html", "new");
  pair.world.start_all();
  pair.settle();
  REQUIRE(pair.a.rename("site", "site.old"));
  REQUIRE(pair.a.rename("site.new", "site"));
  pair.settle();
  CHECK(pair.b.text("site/kept.html") == "new");
  CHECK_FALSE(pair.b.has("site/old/only.html"));
  CHECK(pair.b.text("site.old/old/only.html") == "o");
}

TEST_CASE("a directory that is made anew within the quiet time of the old one's delete is empty") {
  Pair pair(2);
  pair.a.write("d/x", "x");
  pair.a.write("d/e/y", "y");
  pair.a.write("other", "o");
  pair.world.start_all();
  pair.settle();
  // As `mv d /elsewhere` is seen: one event for the directory, none for what is in it.
  for (const std::string& path : pair.a.disk().files_below("d"))
    pair.world.oracle().on_superseded(*pair.a.disk().contents(path));
  pair.a.disk().take_away("d");
  REQUIRE(pair.a.make_folder("d"));
  pair.settle();
  CHECK(pair.b.has("d"));
  CHECK_FALSE(pair.b.has("d/x"));
  CHECK_FALSE(pair.b.has("d/e"));
}

TEST_CASE("what ignore rules hid is looked at when they go, however they go") {
  for (int how = 0; how < 8; ++how) {
    INFO("way " << how);
    Pair pair(10 + static_cast<std::uint64_t>(how));
    pair.a.write(".lansyncignore", "*.log\n");
    pair.a.write("b.txt", "b");
    pair.world.start_all();
    pair.settle();
    pair.a.write("a.log", "hidden");
    pair.world.run_for(5s);
    CHECK_FALSE(pair.b.has("a.log"));
    switch (how) {
      case 0:
        REQUIRE(pair.a.erase(".lansyncignore"));
        break;
      case 1:
        REQUIRE(pair.b.erase(".lansyncignore"));
        break;
      case 2:
        REQUIRE(pair.a.rename(".lansyncignore", "rules.old"));
        break;
      case 3:
        REQUIRE(pair.b.write(".lansyncignore", "*.tmp\n"));
        break;
      case 4:
        REQUIRE(pair.a.erase(".lansyncignore"));
        REQUIRE(pair.a.make_folder(".lansyncignore"));
        break;
      case 5:
        REQUIRE(pair.a.erase(".lansyncignore"));
        REQUIRE(pair.a.link(".lansyncignore", "b.txt"));
        break;
      case 6:
        REQUIRE(pair.a.write("other.rules", "*.tmp\n"));
        pair.settle();
        REQUIRE(pair.a.rename("other.rules", ".lansyncignore"));
        break;
      default:
        pair.a.kill();
        REQUIRE(pair.a.erase(".lansyncignore"));
        pair.a.start();
        break;
    }
    pair.world.run_for(20s);
    pair.settle();
    CHECK(pair.b.text("a.log") == "hidden");
  }
}

TEST_CASE("directories that only a negated rule lets through follow a rename and a delete") {
  for (std::uint64_t seed = 20; seed < 24; ++seed) {
    Pair pair(seed);
    pair.a.write(".lansyncignore", "*\n!*/\n!*.txt\n");
    pair.a.write("d1/x.txt", "x");
    pair.a.write("d2/y.txt", "y");
    pair.world.start_all();
    pair.settle();
    SimNode& who = seed % 2 == 0 ? pair.a : pair.b;
    REQUIRE(who.rename("d1", "e1"));
    REQUIRE(who.erase("d2"));
    pair.settle();
    for (SimNode* node : {&pair.a, &pair.b}) {
      CHECK(node->text("e1/x.txt") == "x");
      CHECK_FALSE(node->has("d1"));
      CHECK_FALSE(node->has("d2"));
    }
  }
}

// One event tells of a directory that goes, and none of what is in it.
TEST_CASE("what is not synced in a directory is named where it is now, and not where it was") {
  Pair pair(30);
  for (const char* path : {"gone", "moved", "stays"}) {
    pair.a.write(str(path, "/file"), path);
    pair.a.make_pipe(str(path, "/sub/pipe"));
  }
  pair.world.start_all();
  pair.world.run_for(10s);
  const auto& problems = pair.a.node().replica().problems();
  REQUIRE(problems.size() == 3);
  pair.world.oracle().on_superseded(*pair.a.disk().contents("gone/file"));
  pair.a.disk().take_away("gone");
  REQUIRE(pair.a.rename("moved", "there"));
  pair.world.run_for(10s);
  CHECK(problems.size() == 2);
  CHECK(problems.contains("stays/sub/pipe"));
  CHECK(problems.contains("there/sub/pipe"));
  // A file in its place.
  REQUIRE(pair.a.rename("there", "here"));
  REQUIRE(pair.a.write("there", "a file"));
  pair.world.run_for(10s);
  CHECK(problems.size() == 2);
  CHECK(problems.contains("here/sub/pipe"));
}
