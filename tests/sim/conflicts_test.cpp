// Conflicts in which bytes once went astray, or copies were made without end.
#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include "sim/pair.h"
#include "sim/what_is_told.h"
#include "sim/world.h"
#include "support/catch.h"
#include "sync/hashing.h"

using namespace lansync;
using namespace lansync::sim;

TEST_CASE("a file that gives way to a directory is copied before it goes, on the hub as well") {
  for (std::uint64_t seed = 1; seed <= 12; ++seed) {
    INFO("seed " << seed);
    World world(seed);
    SimNode& a = world.add("a");
    SimNode& b = world.add("b");
    SimNode& c = world.add("c");
    a.write("d/x", "x");
    a.start();
    REQUIRE(world.run_until([&] { return is_hub(a.role()); }, 10s));
    world.start_all();
    REQUIRE(world.converge(60s));
    world.partition({"b"}, {"a", "c"});
    world.run_for(5s);
    c.erase("d");
    c.write("d", "a file now");
    b.write("d/r", "made meanwhile");
    world.run_for(10s);
    world.heal();
    const bool fine = world.converge(120s);
    INFO(world.verdict());
    CHECK(fine);
    CHECK(a.text("d/r") == "made meanwhile");
    CHECK(copies_in(a).size() == 1);
  }
}

TEST_CASE("an edit on an on-demand hub alone, and one of whoever comes back: both are kept") {
  for (std::uint64_t seed = 1; seed <= 6; ++seed) {
    INFO("seed " << seed);
    NodeOptions some;
    some.on_demand = true;
    World world(seed);
    SimNode& a = world.add("a");
    SimNode& b = world.add("b", some);
    a.write("f", "theirs");
    world.start_all();
    REQUIRE(world.converge(60s));
    a.stop();
    REQUIRE(world.run_until([&] { return !a.running() && is_hub(b.role()); }, 20s));
    b.write("f", "made where it is absent");
    world.run_for(10s);
    if (seed % 2 == 0) {
      b.kill();
      b.start();
      world.run_for(10s);
    }
    a.write("f", "theirs, edited while it was off");
    a.start();
    const bool fine = world.converge(120s);
    INFO(world.verdict());
    CHECK(fine);
    CHECK(a.text("f") == "theirs, edited while it was off");
    REQUIRE(copies_in(a).size() == 1);
    CHECK(a.text(copies_in(a).front()) == "made where it is absent");
  }
}

TEST_CASE("what is made where one's own earlier version is absent is kept beside it") {
  for (const bool moved : {false, true}) {
    INFO((moved ? "moved there" : "written there"));
    NodeOptions some;
    some.on_demand = true;
    World world(7);
    SimNode& a = world.add("a");
    SimNode& b = world.add("b", some);
    world.start_all();
    REQUIRE(world.converge(60s));
    b.write("f", "the first");
    if (moved) b.write("g", "the second, moved");
    REQUIRE(world.converge(60s));
    bool dropped = false;
    b.drop("f", [&](const std::string& why) { dropped = why.empty(); });
    REQUIRE(world.run_until([&] { return dropped; }, 30s));
    REQUIRE_FALSE(b.has("f"));
    if (moved) {
      REQUIRE(b.rename("g", "f"));
    } else {
      REQUIRE(b.write("f", "the second"));
    }
    const bool fine = world.converge(60s);
    INFO(world.verdict());
    CHECK(fine);
    CHECK(a.text("f") == "the first");
    REQUIRE(copies_in(a).size() == 1);
    CHECK(a.text(copies_in(a).front()).starts_with("the second"));
  }
}

TEST_CASE("two programs that save one file again and again leave two copies of each at most") {
  World world(3);
  SimNode& a = world.add("a");
  SimNode& b = world.add("b");
  a.write("f", "begin");
  world.start_all();
  REQUIRE(world.converge(60s));
  for (int i = 0; i < 24; ++i) {
    a.save("f", "a saves " + std::to_string(i));
    b.save("f", "b saves " + std::to_string(i));
    world.run_for(5s);
  }
  REQUIRE(world.run_until([&] { return world.converged(); }, 60s));
  const std::vector<std::string> copies = copies_in(a);
  CHECK(copies.size() >= 2);
  CHECK(copies.size() <= 4);
  CHECK(copies == copies_in(b));
  // All that lost is somewhere yet.
  std::size_t trashed = 0;
  for (const auto& [name, bytes] : a.disk().trash_files())
    trashed += name.find(" (conflict ") != std::string::npos ? 1 : 0;
  CHECK(trashed + copies.size() >= 20);
}

TEST_CASE("one edit that two machines found, with the folder copied between, has one copy") {
  World world(4);
  NodeOptions first;
  first.role = ManualRole::kServer;
  SimNode& a = world.add("a", first);
  SimNode& b = world.add("b");
  SimNode& c = world.add("c");
  a.write("f", "begin");
  world.start_all();
  REQUIRE(world.converge(60s));
  world.partition({"b"}, {"a", "c"});
  world.partition({"c"}, {"a", "b"});
  world.run_for(5s);
  a.write("f", "by a");
  b.write("f", "the same");
  world.run_for(3s);
  c.write("f", "the same");
  world.run_for(5s);
  world.heal();
  REQUIRE(world.run_until([&] { return world.converged(); }, 120s));
  CHECK(a.text("f") == "by a");
  CHECK(copies_in(a).size() == 1);
}

TEST_CASE("three nodes that save ten files in turn: nobody is asked about copies that went") {
  World world(5);
  NodeOptions careful;
  careful.max_deletes = *parse_max_deletes("5");
  for (const char* name : {"a", "b", "c"}) world.add(name, careful);
  SimNode& a = world.node("a");
  world.start_all();
  REQUIRE(world.converge(60s));
  for (int turn = 0; turn < 6; ++turn) {
    for (SimNode* node : world.nodes())
      for (int n = 0; n < 10; ++n)
        node->write(str("hot-", n, ".txt"), str(turn, " ", node->name(), " ", n));
    world.run_for(700ms);
  }
  REQUIRE(world.run_until([&] { return world.converged(); }, 120s));
  for (SimNode* node : world.nodes()) CHECK(node->node().replica().held_deletes() == 0);
  // What each of them saved last stands there, under the name or in a copy.
  std::set<std::string> texts;
  for (const auto& [path, seen] : a.disk().tree()) texts.insert(a.text(path));
  for (SimNode* node : world.nodes())
    for (int n = 0; n < 10; ++n) CHECK(texts.contains(str(5, " ", node->name(), " ", n)));
  std::size_t trashed = 0;
  for (const auto& [name, bytes] : a.disk().trash_files())
    trashed += name.find(" (conflict ") != std::string::npos ? 1 : 0;
  CHECK(trashed > 20);  // else few were replaced by later ones
}

TEST_CASE("a conflict copy that is put back under its name loses no bytes if it loses once more") {
  const bool on_the_hub = GENERATE(false, true);
  const bool written_to = GENERATE(false, true);
  INFO((on_the_hub ? "on the hub" : "on a member") << (written_to ? ", written to" : ""));
  World world(6);
  NodeOptions first;
  first.role = ManualRole::kServer;
  SimNode& a = world.add("a", first);
  SimNode& b = world.add("b");
  a.write("t", "begin");
  world.start_all();
  REQUIRE(world.converge(60s));
  world.partition({"a"}, {"b"});
  world.run_for(5s);
  a.write("t", "by a");
  b.write("t", "by b");
  world.run_for(5s);
  world.heal();
  REQUIRE(world.converge(60s));
  REQUIRE(copies_in(b).size() == 1);
  const std::string copy = copies_in(b).front();
  if (written_to) {
    b.write(copy, "by b, mended");
    REQUIRE(world.converge(60s));
  }
  SimNode& mender = on_the_hub ? a : b;
  SimNode& other = on_the_hub ? b : a;
  const std::string mended = mender.text(copy);
  other.write("t", "once more");
  world.run_for(1ms);
  REQUIRE(mender.rename(copy, "t"));
  const bool fine = world.converge(60s);
  INFO(world.verdict());
  CHECK(fine);
  std::vector<std::string> texts{a.text("t")};
  for (const std::string& one : copies_in(a)) texts.push_back(a.text(one));
  CHECK(std::count(texts.begin(), texts.end(), "once more") == 1);
  CHECK(std::count(texts.begin(), texts.end(), mended) == 1);
}

namespace {

constexpr int kContested = 4;

std::string contested(int i) { return "d/" + std::to_string(i); }

// No row of the index says that bytes are here which are not, and what lies in the trash is listed.
void check_rows(SimNode& node) {
  for (const auto& [path, record] : node.node().replica().index().paths()) {
    if (!record.live() || !record.local->is_file()) continue;
    INFO(node.name() << ": " << path);
    const auto seen = node.disk().seen(path);
    REQUIRE(seen);
    CHECK(digests_of(seen->bytes).content == record.local->content);
  }
  std::set<std::string> lies;
  std::set<std::string> listed;
  for (const auto& [name, bytes] : node.disk().trash_files()) lies.insert(name);
  for (const auto& [name, row] : node.store().contents().trash) listed.insert(name);
  CHECK(lies == listed);
}

// Hub and member edit the same files at once, and at its n-th operation on the disk from the first
// copy on the hub has no power. False: it was done by then.
bool conflict_without_power(std::uint64_t n, Duration off, ManualRole role) {
  INFO("the hub loses power at operation " << n << ", for " << to_string(off));
  World world(4000 + n);
  NodeOptions options;
  options.role = role;
  SimNode& hub = world.add("hub");
  SimNode& member = world.add("member", options);
  for (int i = 0; i < kContested; ++i) hub.write(contested(i), str("both ", i));
  hub.start();
  REQUIRE(world.run_until([&] { return hub.role() == Role::kServer; }, 10s));
  member.start();
  REQUIRE(world.converge(60s));
  bool begun = false;
  hub.set_on_operation([&](const std::string& operation, const std::string&) {
    if (begun || operation != "open_temp") return;
    begun = true;
    hub.kill_after_operations(n, true);
  });
  for (int i = 0; i < kContested; ++i) {
    hub.write(contested(i), str("the hub's ", i));
    member.write(contested(i), str("the member's, longer ", i));
  }
  world.run_until([&] { return !hub.running(); }, 15s);
  // All of it is done: what would come now is another batch.
  if (hub.running()) hub.kill_after_operations(0, false);
  const bool happened = !hub.running();
  hub.set_on_operation({});
  if (happened) {
    world.run_for(off);
    hub.start();
  }
  const bool fine = world.converge(120s);
  INFO(world.verdict());
  REQUIRE(fine);
  for (SimNode* node : {&hub, &member}) {
    std::multiset<std::string> texts;
    std::multiset<std::string> copies;
    for (const auto& [path, file] : node->disk().tree()) {
      if (file.kind != FileKind::kFile) continue;
      const std::string text(as_text(file.bytes));
      texts.insert(text);
      if (path.find(" (conflict ") != std::string::npos) copies.insert(text);
    }
    for (int i = 0; i < kContested; ++i) {
      for (const std::string& text : {str("the hub's ", i), str("the member's, longer ", i)}) {
        INFO(text);
        CHECK(texts.count(text) >= 1);
        CHECK(copies.count(text) <= 1);
      }
    }
    // One that was hub meanwhile settled it with its own version in the first place.
    if (role == ManualRole::kClient) CHECK(texts.size() == 2 * kContested);
    check_rows(*node);
  }
  return happened;
}

}  // namespace

TEST_CASE(
    "a hub that loses power at any point of a conflict keeps both versions, one copy of each") {
  // It goes on as the hub; and the member has been one meanwhile.
  for (const ManualRole role : {ManualRole::kClient, ManualRole::kAuto}) {
    for (const Duration off : {Duration(500ms), Duration(10s)}) {
      std::uint64_t points = 0;
      while (points < 200 && conflict_without_power(points + 1, off, role)) ++points;
      CHECK(points > 20);
      CHECK(points < 200);
    }
  }
}

TEST_CASE("who deletes on the hub what has just won a conflict leaves the name to the other") {
  Pair pair(3);
  SimNode& hub = pair.hub();
  SimNode& member = pair.member();
  hub.write("f", "first");
  pair.settle();
  member.pause();
  REQUIRE(member.write("f", "the member's"));
  REQUIRE(hub.write("f", "the hub's"));
  pair.world.run_for(5s);
  LinkFaults far;
  far.delay = 300ms;
  far.jitter = 0s;
  pair.world.network().set_all(far);
  // The member's edit is pushed, and on its way into a conflict copy, when the delete is noticed.
  REQUIRE(hub.erase("f"));
  pair.world.run_for(100ms);
  member.resume();
  pair.settle();
  for (SimNode* node : {&hub, &member}) {
    CHECK(node->text("f") == "the member's");
    CHECK(copies_in(*node).empty());
  }
}
