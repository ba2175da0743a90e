// What once left a node `syncing` for ever: each wait has an end, or is said and is nobody else's
// affair.
#include <string>

#include "sim/pair.h"
#include "sim/rest.h"

using namespace lansync;
using namespace lansync::sim;

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

TEST_CASE("a pipe that took a file's place is read once, and not at each scan") {
  Pair pair(3);
  SimNode& member = pair.member();
  member.write("x", "a file");
  pair.settle();
  member.erase("x");
  member.make_pipe("x");
  pair.world.run_for(30s);
  CHECK(pair.world.rest());
  CHECK(member.node().replica().problems().contains("x"));
  member.erase("x");
  member.write("x", "a file again");
  pair.settle();
  CHECK(pair.hub().text("x") == "a file again");
}

// Each was told "not yet" by the other for ever; and with "gone" both would have asked for ever.
TEST_CASE("a file that a reject asks for and nobody has is listed, and comes with its holder") {
  World world(4);
  NodeOptions options;
  options.max_deletes = parse_max_deletes("0").value();
  SimNode& a = world.add("a", options);
  SimNode& b = world.add("b", options);
  SimNode& c = world.add("c", options);
  world.start_all();
  a.write("f", "only c will have it");
  a.write("other", "stays");
  REQUIRE(world.converge(60s));
  c.stop();
  world.run_for(5s);
  for (SimNode* one : {&a, &b}) one->erase("f");
  REQUIRE(world.run_until(
      [&] {
        return a.node().status().state == NodeState::kHeld &&
               b.node().status().state == NodeState::kHeld;
      },
      60s));
  for (SimNode* one : {&a, &b}) one->reject();
  CHECK(world.run_until([&] { return a.in_sync() && b.in_sync(); }, 4min));
  for (SimNode* one : {&a, &b}) {
    CAPTURE(one->name());
    const StatusReport status = one->node().status();
    CHECK(status.state == NodeState::kInSync);
    CHECK(status.reason.find("nobody who is here has this content") != std::string::npos);
    CHECK_FALSE(one->has("f"));
  }
  c.start();
  REQUIRE(world.converge(60s));
  CHECK(a.text("f") == "only c will have it");
  CHECK(a.node().replica().problems().empty());
}

TEST_CASE("a mode that somebody sets just after a directory was made is seen") {
  Pair pair(5);
  SimNode& member = pair.member();
  int left = 1;
  member.set_on_operation([&](const std::string& operation, const std::string& subject) {
    // The look that follows the making of it.
    if (operation != "stat" || subject != "d" || !member.has("d") || left-- <= 0) return;
    member.chmod("d", 0700);
  });
  pair.hub().make_folder("d");
  pair.settle();
  CHECK(left <= 0);
  CHECK(pair.hub().disk().seen("d")->mode == 0700);
}

TEST_CASE("a directory that somebody removes or renames just after it was made stays so") {
  for (const bool renamed : {false, true}) {
    INFO("renamed " << renamed);
    Pair pair(5);
    SimNode& member = pair.member();
    int left = 1;
    member.set_on_operation([&](const std::string& operation, const std::string& subject) {
      // The look that follows the making of it.
      if (operation != "stat" || subject != "d/g" || !member.has("d/g") || left-- <= 0) return;
      if (renamed) {
        member.rename("d/g", "d/h");
      } else {
        member.erase("d/g");
      }
    });
    pair.hub().make_folder("d/g");
    pair.settle();
    CHECK(left <= 0);
    CHECK_FALSE(pair.hub().has("d/g"));
    CHECK(pair.hub().has("d/h") == renamed);
  }
}

TEST_CASE("a directory that stays for a pipe in it is kept when its parent is one again") {
  Pair pair(6);
  SimNode& hub = pair.hub();
  SimNode& member = pair.member();
  member.write("d/sub/x", "x");
  pair.settle();
  member.erase("d");
  member.link("d", "elsewhere");
  hub.make_pipe("d/sub/pipe");
  pair.world.run_for(30s);
  hub.write("d/new", "new");
  pair.settle();
  CHECK(member.text("d/new") == "new");
  CHECK(pair.world.rest());
}

// Seed 3628: only an event below it, or another stat of its own, was a reason to try again.
TEST_CASE("a directory waits for a pipe in it to go, and no event tells of that: a scan does") {
  Pair pair(7);
  SimNode& hub = pair.hub();
  SimNode& member = pair.member();
  hub.write("d/e/x", "x");
  pair.settle();
  member.make_pipe("d/e/pipe");
  pair.world.run_for(5s);
  hub.erase("d");
  hub.write("d", "a file");
  pair.world.run_for(30s);
  REQUIRE(member.node().replica().problems().contains("d/e"));
  member.options().lost_hints = 1'000'000;
  member.erase("d/e/pipe");
  pair.settle();
  CHECK(member.text("d") == "a file");
  CHECK(pair.world.rest());
}
