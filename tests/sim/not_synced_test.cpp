// What cannot stand on one node's disk: reported there, tried again ever more rarely, and nobody
// else's affair.
#include <string>

#include "sim/may_not_replace.h"
#include "sim/pair.h"
#include "sim/rest.h"

using namespace lansync;
using namespace lansync::sim;

namespace {

struct Two : Pair {
  using Pair::Pair;
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
};

}  // namespace

TEST_CASE("a pipe stands where the group has a file: reported, and the file comes when it goes") {
  Two pair(1);
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
  Two pair(2);
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
  Two pair(3);
  SimNode& member = pair.member();
  member.make_pipe("x");
  pair.world.run_for(5s);
  pair.hub().link("x", "target");
  pair.require_not_synced(member, "x");
  member.erase("x");
  pair.settle();
}

TEST_CASE("an own file above --max-file-size stands where the group has a file") {
  Two pair(4);
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
  Two pair(5);
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

// Asked for what its index says, the hub said "changed" at each try, and everybody waited for ever.
TEST_CASE(
    "a file that became one that is not synced before anybody had it is waited for by nobody") {
  for (const bool pipe : {false, true}) {
    INFO((pipe ? "a pipe" : "above --max-file-size"));
    Two pair(14);
    for (SimNode* node : {&pair.a, &pair.b}) {
      node->kill();
      node->options().max_file_size = 1000;
    }
    pair.world.start_all();
    pair.settle();
    SimNode& holds = pair.hub();
    SimNode& wants = pair.member();
    wants.kill();
    holds.write("x", "small");
    pair.world.run_for(10s);
    if (pipe) {
      holds.erase("x");
      holds.make_pipe("x");
    } else {
      holds.write("x", std::string(5000, 'x'));
    }
    pair.world.run_for(10s);
    wants.start();
    INFO(pair.world.difference());
    CHECK(pair.world.run_until([&] { return wants.settled(); }, 90s));
    CHECK(wants.node().replica().problems().contains("x"));
    CHECK_FALSE(wants.has("x"));
    holds.erase("x");
    holds.write("x", "small again");
    pair.settle();
    CHECK(wants.text("x") == "small again");
  }
}

TEST_CASE("ignored files stand in a directory that became a file elsewhere") {
  for (const bool at_hub : {false, true}) {
    Two pair(6);
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
  Two pair(11);
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
  Two pair(7);
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
  Two pair(8);
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

TEST_CASE("the hub's disk cannot take what a member pushes: named there, and no storm") {
  Two pair(9);
  SimNode& hub = pair.hub();
  SimNode& member = pair.member();
  hub.make_pipe("x");
  pair.world.run_for(5s);
  member.write("x", "a file");
  pair.require_not_synced(hub, "x");
  INFO(member.node().status().reason);
  CHECK(member.node().status().reason.find("did not take it") == std::string::npos);
  hub.erase("x");
  pair.settle();
  CHECK(hub.text("x") == "a file");
}

TEST_CASE("an own file above --max-file-size is read once, and not at each scan") {
  Two pair(10);
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

TEST_CASE("a name that one disk cannot hold is not synced there, and is after a rename") {
  for (const bool at_hub : {false, true}) {
    CAPTURE(at_hub);
    World world(12);
    NodeOptions hub_options;
    hub_options.role = ManualRole::kServer;
    SimNode& hub = world.add("hub", hub_options);
    SimNode& member = world.add("member");
    SimNode& third = world.add("third");
    DiskLimits fat;
    fat.refused = ":?";
    fat.keeps_ends = false;
    fat.file_bytes = 4000;
    (at_hub ? hub : member).disk().set_limits(fat);
    SimNode& cannot = at_hub ? hub : member;
    SimNode& other = at_hub ? member : hub;
    world.start_all();
    other.write("12:30/notes", "text");
    other.write("end.", "dot");
    other.write("film", std::string(5000, 'f'));
    other.write("fine", "fine");
    REQUIRE(world.run_until([&] { return cannot.text("fine") == "fine"; }, 60s));
    REQUIRE(world.run_until([&] { return third.text("12:30/notes") == "text"; }, 60s));
    REQUIRE(world.run_until([&] { return third.text("film").size() == 5000; }, 60s));
    for (SimNode* one : world.running())
      CHECK(world.run_until([&] { return one->in_sync(); }, 60s));
    for (const char* path : {"12:30", "end.", "film"})
      CHECK(cannot.node().replica().problems().contains(path));
    CHECK(world.rest());
    other.rename("12:30", "12.30");
    other.rename("end.", "end");
    REQUIRE(world.run_until([&] { return cannot.text("12.30/notes") == "text"; }, 60s));
    REQUIRE(world.run_until([&] { return cannot.text("end") == "dot"; }, 60s));
    CHECK(world.run_until([&] { return cannot.in_sync(); }, 60s));
    CHECK_FALSE(cannot.node().replica().problems().contains("12:30"));
  }
}

TEST_CASE(
    "what kept a file away is mended: seen by an event, by `wait`, or within a minute or so") {
  Two pair(15);
  SimNode& member = pair.member();
  pair.hub().write("f", "base");
  pair.settle();
  int edit = 0;
  // Long enough for the tries to be rare.
  const auto keep_away = [&](MayNotReplace& kept) {
    kept.begin();
    pair.hub().write("f", str("edit ", ++edit));
    pair.world.run_for(6min);
    REQUIRE(member.text("f") != pair.hub().text("f"));
    REQUIRE(member.in_sync());
    kept.end();
  };
  MayNotReplace kept(member, "f");
  SECTION("`chattr -i`, `chmod`: its attributes changed") {
    keep_away(kept);
    pair.world.run_for(5s);
    CHECK(member.text("f") == "base");
    // One event, and nothing but its ctime is other than it was.
    member.touch("f", member.disk().tree().at("f").mtime_ns);
    pair.world.run_for(5s);
    CHECK(member.text("f") == "edit 1");
  }
  SECTION("somebody waits") {
    keep_away(kept);
    bool done = false;
    (void)member.node().wait(WaitAsk{0, false}, [&](const Result<StatusReport>&) { done = true; });
    CHECK(pair.world.run_until([&] { return done; }, 10s));
    CHECK(member.text("f") == "edit 1");
  }
  SECTION("nothing tells of it") {
    keep_away(kept);
    pair.world.run_for(70s);
    CHECK(member.text("f") == "edit 1");
  }
  pair.settle();
}
