// What cannot stand on one node's disk: reported there, tried again ever more rarely, and nobody
// else's affair.
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
  // `at` says that `path` is not synced here, is in sync but for it, and is at rest.
  void require_not_synced(SimNode& at, const std::string& path) {
    world.run_for(60s);
    INFO(world.difference());
    CHECK(at.node().replica().problems().contains(path));
    CHECK(a.in_sync());
    CHECK(b.in_sync());
    const RestSample before = sample_rest(at);
    world.run_for(60s);
    const RestSample after = sample_rest(at);
    CHECK(after.planned - before.planned <= 2);
    CHECK(after.changes - before.changes <= 4);
    CHECK(after.turns - before.turns < 3000);
    // Others go on.
    CHECK(a.write("meanwhile", str("after ", before.turns)));
    CHECK(world.run_until([&] { return a.text("meanwhile") == b.text("meanwhile"); }, 20s));
  }

  World world;
  SimNode& a;
  SimNode& b;
  SimNode& member() { return is_hub(a.role()) ? b : a; }
  SimNode& hub() { return is_hub(a.role()) ? a : b; }
};

}  // namespace

TEST_CASE("a pipe stands where the group has a file: reported, and the file comes when it goes") {
  Pair pair(1);
  SimNode& member = pair.member();
  SimNode& hub = pair.hub();
  member.make_pipe("x");
  pair.world.run_for(5s);
  hub.write("x", "a file");
  pair.require_not_synced(member, "x");
  member.erase("x");
  pair.settle();
  CHECK(member.text("x") == "a file");
}

TEST_CASE("a pipe stands where the group has a directory: what is below it waits with it") {
  Pair pair(2);
  SimNode& member = pair.member();
  SimNode& hub = pair.hub();
  member.make_pipe("x");
  pair.world.run_for(5s);
  hub.write("x/one", "1");
  hub.write("x/sub/two", "2");
  pair.require_not_synced(member, "x");
  member.erase("x");
  pair.settle();
  CHECK(member.text("x/sub/two") == "2");
}

TEST_CASE("a pipe stands where the group has a link") {
  Pair pair(3);
  SimNode& member = pair.member();
  member.make_pipe("x");
  pair.world.run_for(5s);
  pair.hub().link("x", "target");
  pair.require_not_synced(member, "x");
  member.erase("x");
  pair.settle();
}

TEST_CASE("an own file above --max-file-size stands where the group has a file") {
  Pair pair(4);
  SimNode& member = pair.member();
  SimNode& hub = pair.hub();
  member.kill();
  member.options().max_file_size = 1000;
  member.start();
  pair.settle();
  member.write("x", std::string(5000, 'x'));
  pair.world.run_for(5s);
  hub.write("x", "small");
  pair.require_not_synced(member, "x");
  CHECK(member.text("x").size() == 5000);
  member.erase("x");
  pair.settle();
  CHECK(member.text("x") == "small");
}

TEST_CASE("a file that grew above --max-file-size here is changed elsewhere") {
  Pair pair(5);
  SimNode& member = pair.member();
  SimNode& hub = pair.hub();
  member.kill();
  member.options().max_file_size = 1000;
  member.start();
  hub.write("x", "small");
  pair.settle();
  member.write("x", std::string(5000, 'x'));
  pair.world.run_for(5s);
  hub.write("x", "other");
  pair.require_not_synced(member, "x");
  CHECK(member.text("x").size() == 5000);
  member.write("x", "small again");
  pair.settle();
}

TEST_CASE("ignored files stand in a directory that became a file elsewhere") {
  for (const bool at_hub : {false, true}) {
    Pair pair(6);
    SimNode& keeps = at_hub ? pair.hub() : pair.member();
    SimNode& other = at_hub ? pair.member() : pair.hub();
    other.write(".lansyncignore", "*.o\n");
    other.write("x/main.c", "int main;");
    pair.settle();
    keeps.write("x/main.o", "object");
    pair.world.run_for(5s);
    other.erase("x");
    other.write("x", "a file now");
    pair.world.run_for(60s);
    CHECK(keeps.text("x/main.o") == "object");
    CHECK(keeps.node().replica().problems().contains("x"));
    const RestSample before = sample_rest(keeps);
    pair.world.run_for(60s);
    const RestSample after = sample_rest(keeps);
    CHECK(after.planned - before.planned <= 20);
    CHECK(after.turns - before.turns < 3000);
    CHECK((at_hub || keeps.in_sync()));
    keeps.erase("x/main.o");
    pair.settle();
    CHECK(keeps.text("x") == "a file now");
  }
}

TEST_CASE("ignored files stand deep in a directory that became a file elsewhere: no copy of it") {
  Pair pair(11);
  SimNode& keeps = pair.member();
  SimNode& other = pair.hub();
  other.write(".lansyncignore", "*.o\n");
  other.write("x/sub/deep/main.c", "int main;");
  pair.settle();
  keeps.write("x/sub/deep/main.o", "object");
  pair.world.run_for(5s);
  other.erase("x");
  other.write("x", "a file now");
  pair.require_not_synced(keeps, "x");
  CHECK(other.text("x") == "a file now");
  keeps.erase("x/sub/deep/main.o");
  pair.settle();
  CHECK(keeps.text("x") == "a file now");
}

TEST_CASE("a directory with ignored files that was deleted elsewhere is kept, and said") {
  Pair pair(7);
  SimNode& keeps = pair.member();
  SimNode& other = pair.hub();
  other.write(".lansyncignore", "*.o\n");
  other.write("x/main.c", "int main;");
  pair.settle();
  keeps.write("x/main.o", "object");
  pair.world.run_for(5s);
  other.erase("x");
  pair.settle();
  CHECK(keeps.text("x/main.o") == "object");
  CHECK(pair.world.rest());
}

TEST_CASE("an unreadable file stands where the group has another") {
  Pair pair(8);
  SimNode& member = pair.member();
  SimNode& hub = pair.hub();
  member.write("x", "somebody's");
  member.set_readable("x", false);
  pair.world.run_for(5s);
  hub.write("x", "a file");
  pair.require_not_synced(member, "x");
  member.set_readable("x", true);
  pair.settle();
}

TEST_CASE(
    "the hub's disk cannot take what a member pushes: refused with the reason, and no storm") {
  Pair pair(9);
  SimNode& hub = pair.hub();
  SimNode& member = pair.member();
  hub.make_pipe("x");
  pair.world.run_for(5s);
  member.write("x", "a file");
  pair.world.run_for(60s);
  CHECK(hub.node().replica().problems().contains("x"));
  StatusReport status = member.node().status();
  CHECK(status.reason.find("x: the hub did not take it") != std::string::npos);
  const RestSample before = sample_rest(hub);
  pair.world.run_for(60s);
  const RestSample after = sample_rest(hub);
  CHECK(after.turns - before.turns < 4000);
  CHECK(after.planned - before.planned < 60);
  hub.erase("x");
  pair.settle();
  CHECK(hub.text("x") == "a file");
}

TEST_CASE("an own file above --max-file-size is read once, and not at each scan") {
  Pair pair(10);
  SimNode& member = pair.member();
  member.kill();
  member.options().max_file_size = 1000;
  member.start();
  pair.settle();
  member.write("x", std::string(5000, 'x'));
  pair.settle();
  CHECK(pair.world.rest());
  CHECK(member.node().replica().problems().contains("x"));
}
