// Nodes that know everything and hold what was asked for.

#include "sim/world.h"
#include "support/catch.h"

using namespace lansync;
using namespace lansync::sim;

namespace {

NodeOptions on_demand() {
  NodeOptions options;
  options.on_demand = true;
  return options;
}

// `full` keeps everything, `some` what was asked for.
struct Group {
  explicit Group(std::uint64_t seed)
      : world(seed), full(world.add("full")), some(world.add("some", on_demand())) {}
  void meet() {
    world.start_all();
    settle();
  }
  void settle(Duration limit = 90s) {
    const bool fine = world.converge(limit);
    INFO(world.verdict());
    REQUIRE(fine);
  }
  // "" or why not; "no answer" if none came.
  std::string ask(SimNode& node, void (SimNode::*command)(const std::string&, SimNode::Answer),
                  const std::string& path, Duration limit = 90s) {
    std::optional<std::string> answer;
    (node.*command)(path, [&](const std::string& why_not) { answer = why_not; });
    world.run_until([&] { return answer.has_value(); }, limit);
    return answer.value_or("no answer");
  }
  void restart(SimNode& node, bool demand) {
    node.stop();
    REQUIRE(world.run_until([&] { return !node.running(); }, 5s));
    node.options().on_demand = demand;
    node.start();
  }
  World world;
  SimNode& full;
  SimNode& some;
};

}  // namespace

TEST_CASE("an on-demand node knows all, holds folders and links, and files once asked for") {
  Group group(1);
  group.full.write("d/e/f", "content");
  group.full.link("l", "d/e/f");
  group.meet();
  CHECK(group.some.has("d/e"));
  CHECK(group.some.has("l"));
  CHECK_FALSE(group.some.has("d/e/f"));
  const StatusReport status = group.some.node().status();
  CHECK(status.files == 1);
  CHECK(status.absent_files == 1);
  CHECK(status.absent_bytes == 7);
  CHECK(status.pending_files == 0);
  CHECK(group.ask(group.some, &SimNode::get, "d") == "");
  CHECK(group.some.text("d/e/f") == "content");
  group.settle();
  CHECK(group.some.node().status().absent_files == 0);
}

TEST_CASE("a fetched file follows its updates, and its edits and deletes go to all") {
  Group group(2);
  group.full.write("a", "1");
  group.full.write("b", "1");
  group.full.write("c", "1");
  group.meet();
  REQUIRE(group.ask(group.some, &SimNode::get, "a") == "");
  REQUIRE(group.ask(group.some, &SimNode::get, "b") == "");
  group.full.write("a", "2");
  group.full.write("c", "2");
  group.settle();
  CHECK(group.some.text("a") == "2");
  CHECK_FALSE(group.some.has("c"));
  group.some.write("a", "3");
  group.some.erase("b");
  group.settle();
  CHECK(group.full.text("a") == "3");
  CHECK_FALSE(group.full.has("b"));
  CHECK(group.full.text("c") == "2");
}

TEST_CASE("drop frees the space and keeps the entry, also through restarts of either node") {
  Group group(3);
  group.full.write("d/one", "1");
  group.full.write("d/two", "2");
  group.meet();
  REQUIRE(group.ask(group.some, &SimNode::get, "d") == "");
  CHECK(group.ask(group.some, &SimNode::drop, "d") == "");
  CHECK_FALSE(group.some.has("d/one"));
  CHECK(group.some.has("d"));
  group.settle();
  group.restart(group.some, true);
  group.settle();
  group.restart(group.full, false);
  group.settle();
  CHECK_FALSE(group.some.has("d/one"));
  CHECK(group.full.text("d/one") == "1");
  CHECK(group.ask(group.some, &SimNode::get, "d/one") == "");
  CHECK(group.some.text("d/one") == "1");
}

TEST_CASE("what nobody else keeps is not dropped, nor what is not on the hub yet") {
  Group group(4);
  group.some.write("alone", "mine");
  group.some.start();
  REQUIRE(group.world.run_until([&] { return group.some.in_sync(); }, 10s));
  CHECK(group.ask(group.some, &SimNode::drop, "alone") != "");
  CHECK(group.some.text("alone") == "mine");
  group.full.start();
  group.settle();
  CHECK(group.full.text("alone") == "mine");
  group.some.write("alone", "changed");
  CHECK(group.ask(group.some, &SimNode::drop, "alone") != "");
  group.settle();
  CHECK(group.full.text("alone") == "changed");
  CHECK(group.ask(group.some, &SimNode::drop, "alone") == "");
  CHECK_FALSE(group.some.has("alone"));
  CHECK(group.ask(group.full, &SimNode::drop, "alone") != "");
}

TEST_CASE("a change of kind keeps what is there, and a full replica gets the rest") {
  Group group(5);
  group.full.write("a", "1");
  group.meet();
  group.restart(group.full, true);
  group.settle();
  CHECK(group.full.text("a") == "1");
  CHECK_FALSE(group.some.has("a"));
  group.restart(group.some, false);
  group.settle();
  CHECK(group.some.text("a") == "1");
}

TEST_CASE("a file made where an absent one stands is kept beside it") {
  Group group(6);
  group.full.write("a", "theirs");
  group.meet();
  group.some.write("a", "mine");
  group.settle();
  CHECK(group.full.text("a") == "theirs");
  int copies = 0;
  for (const auto& [path, seen] : group.full.disk().tree()) {
    copies += path.find(" (conflict some ") != std::string::npos;
  }
  CHECK(copies == 1);
}

TEST_CASE("a folder that is removed on an on-demand node comes back for what was not in it") {
  Group group(7);
  group.full.write("d/here", "1");
  group.full.write("d/absent", "2");
  group.meet();
  REQUIRE(group.ask(group.some, &SimNode::get, "d/here") == "");
  group.some.erase("d");
  group.settle();
  CHECK(group.full.text("d/absent") == "2");
  CHECK_FALSE(group.full.has("d/here"));
  CHECK(group.some.has("d"));
}

TEST_CASE("the full replica becomes hub when it has caught up with an on-demand one") {
  Group group(8);
  group.some.write("a", "1");
  group.some.start();
  REQUIRE(group.world.run_until([&] { return is_hub(group.some.role()); }, 10s));
  group.full.start();
  group.settle();
  REQUIRE(group.world.run_until([&] { return is_hub(group.full.role()); }, 10s));
  group.settle();
}

TEST_CASE("an on-demand hub takes what is pushed before it says that it is the group's") {
  Group group(9);
  SimNode& other = group.world.add("other", on_demand());
  group.some.start();
  REQUIRE(group.world.run_until([&] { return is_hub(group.some.role()); }, 10s));
  other.start();
  REQUIRE(group.world.run_until([&] { return other.in_sync(); }, 10s));
  other.write("a", "1");
  other.write("b", "b");
  REQUIRE(group.world.run_until([&] { return group.some.text("a") == "1"; }, 20s));
  REQUIRE(group.world.run_until([&] { return group.world.converged(); }, 20s));
  // The pusher is gone for good: the group has lost nothing.
  other.power_cut();
  group.full.start();
  REQUIRE(group.world.run_until([&] { return group.full.text("a") == "1"; }, 60s));
}

TEST_CASE("content that only one on-demand node holds reaches a full replica through another") {
  Group group(10);
  SimNode& other = group.world.add("other", on_demand());
  group.full.write("a", "1");
  group.world.start_all();
  group.settle();
  REQUIRE(group.ask(group.some, &SimNode::get, "a") == "");
  group.full.stop();
  REQUIRE(group.world.run_until([&] { return !group.full.running(); }, 5s));
  REQUIRE(group.world.run_until([&] { return is_hub(group.some.role()) || is_hub(other.role()); },
                                20s));
  SimNode& late = group.world.add("late");
  late.start();
  REQUIRE(group.world.run_until([&] { return late.text("a") == "1"; }, 120s));
}

TEST_CASE("get says why when nobody that is here holds it") {
  Group group(11);
  group.full.write("a", "1");
  group.meet();
  group.full.stop();
  REQUIRE(group.world.run_until([&] { return is_hub(group.some.role()); }, 20s));
  CHECK(group.ask(group.some, &SimNode::get, "a").find("no node") != std::string::npos);
  CHECK(group.ask(group.some, &SimNode::get, "b").find("no file") != std::string::npos);
  REQUIRE(group.world.run_until([&] { return group.some.in_sync(); }, 5s));
}

TEST_CASE("a node that dies while it drops files deletes none of them elsewhere") {
  for (std::uint64_t operations = 1; operations < 24; ++operations) {
    Group group(20 + operations);
    for (char name = 'a'; name < 'e'; ++name) group.full.write(std::string(1, name), "x");
    group.full.write("g/f", "y");
    group.meet();
    for (const char* name : {"a", "b", "c", "d"}) {
      REQUIRE(group.ask(group.some, &SimNode::get, name) == "");
    }
    group.settle();
    group.some.kill_after_operations(operations, operations % 2 == 0);
    for (const char* name : {"a", "b", "c", "d"}) group.some.drop(name);
    group.world.run_for(5s);
    group.some.kill();
    group.some.start();
    group.settle();
    for (const char* name : {"a", "b", "c", "g/f"}) CHECK(group.full.has(name));
  }
}

TEST_CASE("the folder's rules are fetched by an on-demand node unasked, obeyed there, and stay") {
  Group group(40);
  group.full.write(".lansyncignore", "*.log\n");
  group.full.write("f", "content");
  group.meet();
  CHECK(group.some.text(".lansyncignore") == "*.log\n");
  CHECK_FALSE(group.some.has("f"));
  group.some.write("x.log", "noise");
  group.settle();
  CHECK_FALSE(group.full.has("x.log"));
  CHECK(group.ask(group.some, &SimNode::drop, ".lansyncignore").find("rules") != std::string::npos);
  group.full.save(".lansyncignore", "*.tmp\n");
  group.settle();
  CHECK(group.some.text(".lansyncignore") == "*.tmp\n");
}

TEST_CASE(
    "an on-demand node knows a file while a hub that never saw it is there without its holder") {
  Group group(41);
  SimNode& late = group.world.add("late");
  group.meet();
  late.stop();
  group.world.run_for(5s);
  group.full.write("f", "content");
  group.settle();
  group.full.stop();
  group.world.run_for(5s);
  late.start();
  REQUIRE(group.world.run_until([&] { return is_hub(late.role()) && group.some.in_sync(); }, 60s));
  CHECK(group.some.node().status().absent_files == 1);
  const std::string why = group.ask(group.some, &SimNode::get, "f");
  CHECK(why.find("made on full") != std::string::npos);
  group.restart(group.some, true);
  REQUIRE(group.world.run_until([&] { return group.some.in_sync(); }, 60s));
  CHECK(group.some.node().status().absent_files == 1);
  group.full.start();
  group.settle();
  CHECK(late.text("f") == "content");
  CHECK(group.ask(group.some, &SimNode::get, "f") == "");
}

TEST_CASE("bytes of an on-demand node that lose a conflict stay on it till they are dropped") {
  for (const bool hub_cannot : {false, true}) {
    CAPTURE(hub_cannot);
    Group group(42);
    group.full.options().role = ManualRole::kServer;
    if (hub_cannot) group.full.options().max_file_size = 1000;
    SimNode& other = group.world.add("other");
    group.meet();
    const std::string mine(2000, 'm');
    group.world.unplug("some");
    group.world.run_for(5s);
    other.write("f", std::string(3000, 'o'));
    group.some.write("f", mine);
    group.world.run_for(5s);
    group.world.plug("some");
    group.settle();
    std::string copy;
    for (const auto& [path, seen] : group.some.disk().tree())
      if (path.find(" (conflict some ") != std::string::npos && as_text(seen.bytes) == mine)
        copy = path;
    REQUIRE(!copy.empty());
    CHECK(other.text(copy) == mine);
    CHECK(group.full.has(copy) == !hub_cannot);
    const std::string dropped = group.ask(group.some, &SimNode::drop, copy);
    CHECK((dropped == "") == !hub_cannot);
    group.settle();
    CHECK(group.some.has(copy) == hub_cannot);
  }
}
