// What people are told of their files: by the log of each node, and by its status.
#include <algorithm>
#include <string>
#include <vector>

#include "roles/folded_saves.h"
#include "sim/what_is_told.h"
#include "sim/world.h"
#include "support/catch.h"

using namespace lansync;
using namespace lansync::sim;

namespace {

// A hub and a member whose programs save one file; what the member saves loses.
struct Savers {
  explicit Savers(std::uint64_t seed) : world(seed) {
    NodeOptions first;
    first.role = ManualRole::kServer;
    a = &world.add("a", first);
    b = &world.add("b");
    a->write("[1] f*", "begin");
    world.start_all();
    settle();
  }
  // What is folded lies in the trash: the oracle of lost bytes is not asked.
  void settle() {
    REQUIRE(world.run_until([&] { return world.converged(); }, 60s));
  }
  void save() {
    // The member's goes out when the hub's is the group's already, and was made without it.
    a->save("[1] f*", str("a saves ", ++saved));
    world.run_for(300ms);
    b->save("[1] f*", str("b saves ", saved));
    world.run_for(5s);
  }
  void save_until(std::size_t copies) {
    for (int i = 0; i < 20 && copies_in(*a).size() < copies; ++i) save();
    settle();
    REQUIRE(copies_in(*a).size() == copies);
  }
  World world;
  SimNode* a = nullptr;
  SimNode* b = nullptr;
  int saved = 0;
};

// Lines from info up that tell of no file.
std::size_t plumbing(SimNode& node) {
  std::size_t lines = node.said("");
  for (const char* what : {"changed here: ", "came from ", "got mode or time from ",
                           "deleted here: ", "deleted by ", "kept twice after a conflict, "})
    lines -= node.said(what);
  return lines;
}

constexpr const char* kAgain = "is saved again and again";

}  // namespace

TEST_CASE("a node's log names each file that came, went, changed or conflicted, and no plumbing") {
  World world(41);
  NodeOptions first;
  first.role = ManualRole::kServer;
  SimNode& a = world.add("a", first);
  SimNode& b = world.add("b");
  SimNode& c = world.add("c");
  a.write("f", "begin");
  a.write("old", "old");
  world.start_all();
  REQUIRE(world.converge(60s));
  world.run_for(5s);
  std::vector<std::size_t> before;
  for (SimNode* node : world.nodes()) before.push_back(plumbing(*node));

  b.write("new", "by b");
  world.run_for(5s);
  CHECK(b.said("changed here: new") == 1);
  CHECK(a.said("came from b: new") == 1);
  CHECK(c.said("came from b: new") == 1);
  c.chmod("new", 0600);
  world.run_for(5s);
  CHECK(a.said("got mode or time from c: new") == 1);
  a.erase("old");
  world.run_for(5s);
  CHECK(a.said("deleted here: old") == 1);
  CHECK(b.said("deleted by a, now in the trash: old") == 1);
  CHECK(c.said("deleted by a, now in the trash: old") == 1);

  b.write("f", "b has this");
  c.write("f", "c has that");
  REQUIRE(world.converge(60s));
  world.run_for(5s);
  const std::vector<std::string> copies = copies_in(a);
  REQUIRE(copies.size() == 1);
  const std::string loser = copies[0].find("conflict b") != std::string::npos ? "b" : "c";
  for (SimNode* node : world.nodes()) {
    INFO(node->name());
    CHECK(node->said(str("kept twice after a conflict, what ", loser, " had as: ", copies[0])) ==
          1);
    CHECK(node->said(str("came from ", loser, ": ", copies[0])) == 0);
  }
  for (std::size_t i = 0; i < before.size(); ++i) CHECK(plumbing(*world.nodes()[i]) == before[i]);
  // Somebody goes on with the copy: that is an edit like any other.
  b.write(copies[0], "merged by hand");
  REQUIRE(world.converge(60s));
  world.run_for(5s);
  CHECK(a.said(str("came from b: ", copies[0])) == 1);
}

TEST_CASE("a file that is saved again and again is said once, with the line for .lansyncignore") {
  Savers savers(42);
  savers.save_until(2);
  CHECK(savers.a->said(kAgain) == 0);
  for (int i = 0; i < 12; ++i) savers.save();
  savers.settle();
  CHECK(copies_in(*savers.a).size() == 2);
  CHECK(savers.a->said(kAgain) == 1);
  StatusReport report = savers.a->node().status();
  CHECK(report.state == NodeState::kInSync);
  CHECK(holds(report.reason, kAgain));
  const std::string line = "/\\[1] f\\*";
  CHECK(holds(report.reason, str("put the line ", line, " into .lansyncignore")));
  // The file is synced, and so is what was made of it.
  CHECK(report.reason.find("not synced") == std::string::npos);
  CHECK(savers.a->node().replica().problems().empty());
  // Advice that was followed is given no more, and does what it says.
  savers.a->write(".lansyncignore", line + "\n");
  savers.settle();
  CHECK(savers.a->node().status().reason.find(kAgain) == std::string::npos);
  savers.a->write("[1] f*", "a's own");
  savers.a->write("1 f", "everybody's");
  savers.settle();
  CHECK(savers.b->text("[1] f*") != "a's own");
  CHECK(savers.b->text("1 f") == "everybody's");
}

TEST_CASE("a conflict copy that somebody wrote to gives way to no later one") {
  Savers savers(43);
  savers.save_until(2);
  const std::string last = copies_in(*savers.a).back();
  savers.a->write(last, "mended by hand");
  savers.settle();
  for (int i = 0; i < 8; ++i) savers.save();
  savers.settle();
  CHECK(savers.a->text(last) == "mended by hand");
  CHECK(savers.b->text(last) == "mended by hand");
  CHECK(copies_in(*savers.a).size() == 3);
}

TEST_CASE("versions that lose more than an hour apart keep a copy each") {
  Savers savers(44);
  for (int i = 0; i < 3; ++i) {
    savers.save_until(static_cast<std::size_t>(2 * (i + 1)));
    savers.world.run_for(61min);
  }
  CHECK(savers.a->said(kAgain) == 0);
  CHECK(copies_in(*savers.a).size() == 6);
}

TEST_CASE("a folder that is read at the start has a total, a rate and a time left") {
  World world(45);
  SimNode& a = world.add("a");
  for (int i = 0; i < 4000; ++i) a.write(str("d", i / 100, "/", i), str("text ", i));
  world.run_for(1min);  // nobody is at them any more
  a.start();
  a.executor().set_slowness(40);
  bool rate = false;
  std::uint64_t total = 0;
  for (int i = 0; i < 600; ++i) {
    world.run_for(100ms);
    StatusReport report = a.node().status();
    if (report.state == NodeState::kSeeking) continue;
    if (report.state != NodeState::kSyncing) break;
    if (!holds(report.reason, "reading the folder")) break;
    CHECK(report.total_files >= report.left_files);
    CHECK(report.total_files <= 4100);
    if (report.left_files > 0) CHECK(report.total_files >= total);
    total = std::max(total, report.total_files);
    rate |= report.files_per_second > 0 && report.seconds_left.has_value();
  }
  CHECK(rate);
  CHECK(total > 2000);
  REQUIRE(world.run_until([&] { return a.node().status().state == NodeState::kInSync; }, 60s));
  CHECK(a.node().status().left_files == 0);
}

TEST_CASE("the line of .lansyncignore for a path means that path alone") {
  for (const std::string path :
       {"f", "d/f", "#f", "!f", "a*b", "a?b", "[ab]", "a\\b", "f ", "f  ", " f", "**/x"}) {
    INFO(path);
    const IgnoreRules rules = IgnoreRules::parse(ignore_line(path) + "\n");
    CHECK(rules.ignored(path, false));
    for (const std::string other : {"e/f", "axb", "a", "b", "ab", "x", "q/x", "e/d/f"})
      if (other != path) CHECK_FALSE(rules.ignored(other, false));
  }
}

TEST_CASE("whoever's deletes the hub holds is told where they wait, and for whose word") {
  World world(611);
  NodeOptions first;
  first.role = ManualRole::kServer;
  SimNode& hub = world.add("a", first);
  SimNode& b = world.add("b");
  SimNode& c = world.add("c");
  for (int i = 0; i < 200; ++i) hub.write(str("d/", i), str("text ", i));
  world.start_all();
  REQUIRE(world.run_until([&] { return world.converged(); }, 60s));
  for (int i = 0; i < 80; ++i) b.erase(str("d/", i));
  for (int i = 80; i < 160; ++i) c.erase(str("d/", i));
  REQUIRE(world.run_until([&] { return hub.node().status().held_deletes == 160; }, 30s));
  world.run_for(3s);
  for (SimNode* author : {&b, &c}) {
    const StatusReport status = author->node().status();
    CHECK(status.state == NodeState::kSyncing);
    CHECK(
        holds(status.reason, "80 deletes that were made here are held on a until a person there"));
    const std::vector<PlanReport> plan = author->node().plan();
    CHECK(std::all_of(plan.begin(), plan.end(), [](const PlanReport& row) {
      return row.why.find("held on a") != std::string::npos;
    }));
  }
  CHECK_FALSE(holds(hub.node().status().reason, "made here"));
  hub.confirm();
  REQUIRE(world.run_until([&] { return world.converged(); }, 60s));
  for (SimNode* author : {&b, &c}) {
    CHECK(author->node().status().reason.empty());
    CHECK_FALSE(author->has("d/0"));
  }
}

TEST_CASE("whose deletes a member holds is told by whom, and so are the hub and the others") {
  World world(612);
  NodeOptions first;
  first.role = ManualRole::kServer;
  NodeOptions careful;
  careful.max_deletes = parse_max_deletes("5").value();
  SimNode& hub = world.add("a", first);
  SimNode& author = world.add("b");
  SimNode& holder = world.add("c", careful);
  for (int i = 0; i < 100; ++i) hub.write(str("d/", i), str("text ", i));
  world.start_all();
  REQUIRE(world.run_until([&] { return world.converged(); }, 60s));
  for (int i = 0; i < 20; ++i) author.erase(str("d/", i));
  REQUIRE(world.run_until([&] { return holder.node().status().held_deletes == 20; }, 30s));
  world.run_for(5s);
  for (SimNode* node : {&hub, &author}) {
    const std::string reason = node->node().status().reason;
    INFO(node->name());
    CHECK(holds(reason, "c is behind by 20 files: it waits for a person's word there"));
  }
  holder.confirm();
  REQUIRE(world.run_until([&] { return world.converged(); }, 60s));
  world.run_for(10s);
  for (SimNode* node : {&hub, &author}) CHECK(node->node().status().reason.empty());
}

TEST_CASE("a hub that is alone waits for nothing to come that nobody has") {
  World world(613);
  SimNode& full = world.add("full");
  NodeOptions demand;
  demand.on_demand = true;
  SimNode& some = world.add("some", demand);
  full.write("one", "1");
  full.write("two", "2");
  world.start_all();
  REQUIRE(world.run_until([&] { return world.converged(); }, 60s));
  full.stop();
  some.stop();
  REQUIRE(world.run_until([&] { return !full.running() && !some.running(); }, 10s));
  some.options().on_demand = false;
  some.start();
  world.run_for(30s);
  const StatusReport report = some.node().status();
  CHECK(holds(report.reason, "2 files are on no node that is here: start one that has them"));
  for (const PlanReport& row : some.node().plan()) {
    INFO(row.path << ": " << row.why);
    CHECK(holds(row.why, "start one that does"));
  }
}

TEST_CASE("a node that is paused says at its end what is on no other machine") {
  World world(614);
  NodeOptions first;
  first.role = ManualRole::kServer;
  SimNode& a = world.add("a", first);
  SimNode& b = world.add("b");
  a.write("f", "1");
  world.start_all();
  REQUIRE(world.run_until([&] { return world.converged(); }, 60s));
  for (SimNode* node : {&b, &a}) {
    INFO(node->name());
    node->pause();
    world.run_for(1s);
    CHECK(node->node().status().only_here == 0);
    node->write("new by " + node->name(), "2");
    node->write("f", "3 by " + node->name());
    world.run_for(10s);
    CHECK(node->node().status().only_here == 2);
    CHECK(holds(node->node().stop()->message, "2 files are on no other machine yet"));
    REQUIRE(world.run_until([&] { return !node->running(); }, 10s));
    node->start();
    world.run_for(1s);
    node->resume();
    REQUIRE(world.run_until([&] { return world.converged(); }, 60s));
  }
}

TEST_CASE("whoever rejects where nothing is held is told what brings deleted files back") {
  World world(615);
  SimNode& a = world.add("a");
  a.write("f", "1");
  world.start_all();
  REQUIRE(world.run_until([&] { return a.in_sync(); }, 60s));
  std::string said;
  a.reject("",
           [&](const Result<RejectReport>& result) { said = result ? "" : result.error().detail; });
  world.run_for(5s);
  CHECK(holds(said, "no deletes are held"));
  CHECK(holds(said, "lansync trash --restore NAME"));
}
