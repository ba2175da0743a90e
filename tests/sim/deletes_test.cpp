// Runs of deletes over whole groups: what holds them, what counts, what a person's word does.
#include <algorithm>
#include <set>
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
  SimNode& add(const std::string& name, const std::string& limit = "50%") {
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
std::string run_of(SimNode& node) {
  for (const HoldReport& hold : node.node().holds())
    if (hold.kind == HoldKind::kDeletes) return hold.run;
  return "none";
}
// How many were let go; 0: it was refused.
std::uint64_t confirm(Group& group, SimNode& node, const std::string& run = "") {
  std::optional<std::uint64_t> done;
  node.confirm_deletes(
      run, [&](const Result<ActionReport>& result) { done = result ? result->count : 0; });
  REQUIRE(group.until([&] { return done.has_value(); }));
  return *done;
}
struct Rejected {
  int back = 0;
  int left = 0;
  int missing = 0;
  bool refused = false;
};
Rejected reject(Group& group, SimNode& node, const std::string& run = "") {
  std::optional<Rejected> done;
  node.reject(run, [&](const Result<RejectReport>& result) {
    done.emplace();
    done->refused = !result;
    if (!result) return;
    for (const RejectRow& row : result->rows) {
      done->back += row.outcome == RejectOutcome::kBack ? 1 : 0;
      done->left += row.outcome == RejectOutcome::kLeft ? 1 : 0;
      done->missing += row.outcome == RejectOutcome::kMissing ? 1 : 0;
    }
  });
  REQUIRE(group.until([&] { return done.has_value(); }, 5min));
  return *done;
}
SimNode& hub_of(std::vector<SimNode*> nodes) {
  for (SimNode* node : nodes)
    if (node->role() == Role::kServer) return *node;
  FAIL("no hub");
  return *nodes.front();
}

// Three nodes of 220 files, of which one that is not the hub deletes 150, ten a second, until the
// rest of them is held there.
struct HeldAtMember {
  explicit HeldAtMember(std::uint64_t seed) : group(seed) {
    SimNode& a = group.add("a");
    SimNode& b = group.add("b");
    SimNode& c = group.add("c");
    fill(a, 220);
    group.world.start_all();
    group.settle();
    hub = &hub_of({&a, &b, &c});
    author = hub == &a ? &b : &a;
    third = hub == &c ? &b : &c;
    for (int i = 0; i < 150; ++i) {
      author->erase(name_of(i));
      group.world.run_for(100ms);
    }
    REQUIRE(group.until([&] { return state_of(*author) == NodeState::kHeld; }));
  }
  Group group;
  SimNode* hub = nullptr;
  SimNode* author = nullptr;
  SimNode* third = nullptr;
};

}  // namespace

TEST_CASE("a run of deletes that was rejected and is made once more is held once more") {
  Group group(201);
  SimNode& a = group.add("a", "100%");
  SimNode& b = group.add("b");
  fill(a, 100);
  group.world.start_all();
  group.settle();
  for (int round = 0; round < 3; ++round) {
    INFO("round " << round);
    erase(a, 0, 100);
    REQUIRE(group.until([&] { return held(b) == 100; }));
    group.world.run_for(10s);
    CHECK(count_of(b, 100) == 100);
    CHECK(reject(group, b).missing == 0);
    group.settle();
    CHECK(count_of(a, 100) == 100);
    group.world.run_for(90s);
  }
}

TEST_CASE("deletes held at the receiver whose files and links are made again are held no more") {
  Group group(202);
  SimNode& a = group.add("a", "100%");
  SimNode& b = group.add("b");
  auto install = [&] {
    fill(a, 60);
    for (int i = 0; i < 60; ++i) a.link("bin" + std::to_string(i), "one target");
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

TEST_CASE("reject brings back the whole run, also what had gone out before the limit was reached") {
  for (bool by_author : {true, false}) {
    INFO("at the author " << by_author);
    Group group(203);
    SimNode& a = group.add("a");
    SimNode& b = group.add("b");
    SimNode& c = group.add("c");
    fill(a, 220);
    group.world.start_all();
    group.settle();
    SimNode& hub = hub_of({&a, &b, &c});
    SimNode& author = &hub == &a ? b : a;
    SimNode& third = &hub == &c ? b : c;
    // Ten a second: half of them are everybody's before the limit is reached.
    for (int i = 0; i < 200; ++i) {
      author.erase(name_of(i));
      group.world.run_for(100ms);
    }
    REQUIRE(group.until([&] { return state_of(author) == NodeState::kHeld; }));
    group.world.run_for(5s);
    CHECK(count_of(third, 220) < 180);
    CHECK(count_of(third, 220) > 100);
    const std::string run = run_of(author);
    const Rejected done = reject(group, by_author ? author : third, run);
    CHECK(done.missing == 0);
    CHECK(done.back > 0);
    group.settle();
    for (SimNode* node : {&a, &b, &c}) {
      CHECK(count_of(*node, 220) == 220);
      CHECK(held(*node) == 0);
      CHECK(node->text(name_of(5)) == "text 5");
    }
  }
}

TEST_CASE("a rename beside a held run goes through, and stays when the run is undone") {
  Group group(204);
  SimNode& a = group.add("a");
  SimNode& b = group.add("b");
  fill(a, 120);
  a.write("k/one", "first of k");
  a.write("k/two", "second of k");
  a.write("k2", "k2");
  group.world.start_all();
  group.settle();
  erase(a, 0, 100);
  REQUIRE(group.until([&] { return held(a) == 100; }));
  a.rename("k2", "renamed");
  a.rename("k", "moved");
  REQUIRE(group.until(
      [&] { return b.has("renamed") && !b.has("k2") && b.has("moved/two") && !b.has("k"); }));
  CHECK(held(a) == 100);
  CHECK(reject(group, a).missing == 0);
  group.settle();
  CHECK(count_of(b, 120) == 120);
  for (SimNode* node : {&a, &b}) {
    CHECK_FALSE(node->has("k2"));
    CHECK_FALSE(node->has("k"));
    CHECK(node->text("renamed") == "k2");
    CHECK(node->text("moved/one") == "first of k");
  }
}

TEST_CASE("with a limit of 0 one delete is held, and confirm lets it go") {
  Group group(205);
  SimNode& a = group.add("a", "0");
  SimNode& b = group.add("b", "0%");
  fill(a, 3);
  a.make_folder("empty");
  group.world.start_all();
  group.settle();
  a.erase(name_of(0));
  REQUIRE(group.until([&] { return held(a) == 1; }));
  CHECK(confirm(group, a) == 1);
  group.settle();
  CHECK(count_of(b, 3) == 2);
  CHECK(held(b) == 0);
  a.erase("empty");
  REQUIRE(group.until([&] { return held(a) == 1; }));
  group.world.run_for(5s);
  CHECK(b.has("empty"));
  a.rename(name_of(1), "renamed");
  REQUIRE(group.until([&] { return b.has("renamed") && !b.has(name_of(1)); }));
  CHECK(reject(group, a).missing == 0);
  group.settle();
  CHECK(a.has("empty"));
}

TEST_CASE("confirm lifts the hold everywhere, also under a later hub and for a node that was off") {
  Group group(206);
  SimNode& a = group.add("a");
  SimNode& b = group.add("b");
  SimNode& c = group.add("c");
  fill(a, 200);
  group.world.start_all();
  group.settle();
  SimNode& hub = hub_of({&a, &b, &c});
  SimNode& author = &hub == &a ? b : a;
  SimNode& late = &hub == &c ? b : c;
  late.kill();
  erase(author, 0, 180);
  REQUIRE(group.until([&] { return held(author) == 180; }));
  CHECK(confirm(group, author) == 180);
  REQUIRE(group.until([&] { return count_of(hub, 200) == 20; }));
  CHECK(held(hub) == 0);
  // The author is gone and the hub another when the last one hears of it.
  group.world.run_for(10s);
  author.kill();
  late.start();
  REQUIRE(group.until([&] { return count_of(late, 200) == 20; }));
  CHECK(held(late) == 0);
  hub.kill();
  author.start();
  group.settle();
  hub.start();
  group.settle();
  for (SimNode* node : {&a, &b, &c}) {
    CHECK(count_of(*node, 200) == 20);
    CHECK(held(*node) == 0);
  }
}

TEST_CASE("what joins a run after status showed it stays held when that is confirmed") {
  Group group(207);
  SimNode& a = group.add("a");
  SimNode& b = group.add("b");
  fill(a, 200);
  group.world.start_all();
  group.settle();
  erase(a, 0, 120);
  REQUIRE(group.until([&] { return held(a) == 120; }));
  a.node().note_shown();
  erase(a, 120, 150);
  group.world.run_for(3s);
  CHECK(held(a) == 150);
  CHECK(confirm(group, a) == 120);
  REQUIRE(group.until([&] { return count_of(b, 200) == 80; }));
  group.world.run_for(10s);
  CHECK(count_of(b, 200) == 80);
  CHECK(held(a) == 30);
  a.node().note_shown();
  CHECK(confirm(group, a) == 30);
  group.settle();
  CHECK(count_of(b, 200) == 50);
}

TEST_CASE("a held run survives a restart of its author at any step, and so does the word on it") {
  for (bool undo : {true, false}) {
    INFO("reject " << undo);
    Group group(208);
    SimNode& a = group.add("a");
    SimNode& b = group.add("b");
    SimNode& c = group.add("c");
    fill(a, 220);
    group.world.start_all();
    group.settle();
    SimNode& hub = hub_of({&a, &b, &c});
    SimNode& author = &hub == &a ? b : a;
    for (int i = 0; i < 130; ++i) {
      author.erase(name_of(i));
      group.world.run_for(100ms);
    }
    REQUIRE(group.until([&] { return state_of(author) == NodeState::kHeld; }));
    group.world.run_for(2s);
    const std::uint64_t number = held(author);
    const std::string run = run_of(author);
    author.kill();
    group.world.run_for(5s);
    author.start();
    REQUIRE(group.until([&] { return author.in_sync() || state_of(author) == NodeState::kHeld; }));
    group.world.run_for(5s);
    CHECK(held(author) == number);
    CHECK(run_of(author) == run);
    if (undo) {
      bool asked = false;
      author.reject(run, [&](const Result<RejectReport>&) { asked = true; });
      group.world.run_for(300ms);
      author.kill();
      group.world.run_for(3s);
      author.start();
      group.settle(2min);
      if (!asked && count_of(author, 220) < 220) {
        // It died before the word was durable.
        CHECK(reject(group, author, run).missing == 0);
        group.settle();
      }
      for (SimNode* node : {&a, &b, &c}) CHECK(count_of(*node, 220) == 220);
    } else {
      CHECK(confirm(group, author, run) == number);
      author.kill();
      author.start();
      group.settle();
      for (SimNode* node : {&a, &b, &c}) CHECK(count_of(*node, 220) == 90);
    }
    for (SimNode* node : {&a, &b, &c}) CHECK(held(*node) == 0);
  }
}

TEST_CASE("what a receiver holds is held after its restart, though it is few that are left") {
  Group group(209);
  SimNode& a = group.add("a", "100%");
  SimNode& b = group.add("b");
  fill(a, 220);
  group.world.start_all();
  group.settle();
  for (int i = 0; i < 130; ++i) {
    a.erase(name_of(i));
    group.world.run_for(100ms);
  }
  REQUIRE(group.until([&] { return state_of(b) == NodeState::kHeld; }));
  group.world.run_for(5s);
  const int there = count_of(b, 220);
  CHECK(there > 90);
  b.kill();
  b.start();
  group.world.run_for(30s);
  CHECK(count_of(b, 220) == there);
  CHECK(state_of(b) == NodeState::kHeld);
  CHECK(reject(group, b).missing == 0);
  group.settle();
  for (SimNode* node : {&a, &b}) CHECK(count_of(*node, 220) == 220);
}

TEST_CASE("a run held at the receiver is undone or let go there when its author is gone") {
  for (bool undo : {true, false}) {
    INFO("reject " << undo);
    Group group(210);
    SimNode& a = group.add("a", "100%");
    SimNode& b = group.add("b", "100%");
    SimNode& c = group.add("c");
    fill(a, 200);
    group.world.start_all();
    group.settle();
    SimNode& author = a.role() == Role::kServer ? b : a;
    SimNode& other = &author == &a ? b : a;
    if (c.role() == Role::kServer) return;  // then nobody publishes it: another story
    erase(author, 0, 150);
    REQUIRE(group.until([&] { return held(c) == 150 && count_of(other, 200) == 50; }));
    author.kill();
    if (undo) {
      const Rejected done = reject(group, c);
      CHECK(done.missing == 0);
      CHECK(done.back == 150);
      REQUIRE(group.until([&] { return count_of(other, 200) == 200; }));
    } else {
      CHECK(confirm(group, c) == 150);
      REQUIRE(group.until([&] { return count_of(c, 200) == 50; }));
    }
    author.start();
    group.settle();
    for (SimNode* node : {&a, &b, &c}) {
      CHECK(count_of(*node, 200) == (undo ? 200 : 50));
      CHECK(held(*node) == 0);
    }
  }
}

TEST_CASE("a run that was rejected while its author was off is undone there when it comes back") {
  HeldAtMember three(211);
  Group& group = three.group;
  SimNode& author = *three.author;
  SimNode& third = *three.third;
  group.world.run_for(2s);
  const std::string run = run_of(author);
  author.kill();
  group.world.run_for(5s);
  CHECK(reject(group, third, run).missing == 0);
  group.world.run_for(20s);
  CHECK(count_of(third, 220) == 220);
  author.start();
  group.settle();
  CHECK(held(author) == 0);
  for (SimNode* node : three.group.world.nodes()) CHECK(count_of(*node, 220) == 220);
}

TEST_CASE("names that live again are left alone, and what nobody has is missing until it comes") {
  HeldAtMember three(212);
  Group& group = three.group;
  SimNode& hub = *three.hub;
  SimNode& author = *three.author;
  SimNode& third = *three.third;
  // With what comes back, fewer than the limit are gone at the author: the word names the run.
  const std::string run = run_of(author);
  author.write(name_of(0), "written anew");
  author.write(name_of(149), "this one too");
  group.world.run_for(5s);
  // The one whose trash has what had gone out is off, and the hub's trash is lost.
  third.kill();
  for (const auto& [name, item] : std::map(hub.node().replica().index().trash().items())) {
    if (hub.has(item.path)) continue;
    hub.node().trash_restore({item.path, {}}, [](const Result<std::vector<TrashReport>>&) {});
  }
  group.world.run_for(20s);
  const Rejected done = reject(group, author, run);
  CHECK_FALSE(done.refused);
  CHECK(done.left >= 1);
  third.start();
  group.settle();
  for (SimNode* node : three.group.world.nodes()) {
    CHECK(count_of(*node, 220) == 220);
    CHECK(node->text(name_of(0)) == "written anew");
    CHECK(node->text(name_of(149)) == "this one too");
    CHECK(held(*node) == 0);
  }
}

TEST_CASE("two nodes that delete different halves hold theirs, and each word is on its own run") {
  Group group(213);
  SimNode& a = group.add("a", "40");
  SimNode& b = group.add("b", "40");
  SimNode& c = group.add("c", "40");
  fill(a, 200);
  group.world.start_all();
  group.settle();
  erase(a, 0, 100);
  erase(b, 100, 200);
  REQUIRE(group.until([&] { return held(a) == 100 && held(b) == 100; }));
  CHECK(run_of(a) != run_of(b));
  CHECK(confirm(group, a) == 100);
  REQUIRE(group.until([&] { return count_of(c, 200) == 100; }));
  CHECK(held(b) == 100);
  CHECK(reject(group, b).missing == 0);
  group.settle();
  for (SimNode* node : {&a, &b, &c}) {
    CHECK(count_of(*node, 200) == 100);
    CHECK(node->has(name_of(150)));
    CHECK(held(*node) == 0);
  }
}

TEST_CASE("an edit elsewhere beats a held delete, which is none any more") {
  Group group(214);
  SimNode& a = group.add("a");
  SimNode& b = group.add("b");
  fill(a, 100);
  group.world.start_all();
  group.settle();
  erase(a, 0, 80);
  REQUIRE(group.until([&] { return held(a) == 80; }));
  b.write(name_of(3), "edited meanwhile");
  REQUIRE(group.until([&] { return a.text(name_of(3)) == "edited meanwhile"; }));
  CHECK(held(a) == 79);
  CHECK(confirm(group, a) == 79);
  group.settle();
  CHECK(count_of(b, 100) == 21);
  CHECK(a.text(name_of(3)) == "edited meanwhile");
}

TEST_CASE("what somebody makes in a directory whose delete is held comes, and beats that delete") {
  Group group(221);
  SimNode& a = group.add("a");
  SimNode& b = group.add("b");
  fill(a, 100);
  a.write("deep/er/file", "file");
  group.world.start_all();
  group.settle();
  SimNode& hub = hub_of({&a, &b});
  for (SimNode* author : {&hub, &hub == &a ? &b : &a}) {
    SimNode& other = author == &a ? b : a;
    erase(*author, 0, 100);
    for (const char* name : {"d0", "d1", "d2", "d3", "deep/er/file", "deep/er", "deep"})
      author->erase(name);
    // The second time also what was made the first time.
    REQUIRE(group.until([&] { return held(*author) >= 101; }));
    group.world.run_for(5s);
    const std::uint64_t before = held(*author);
    const std::string made = "of " + author->name();
    other.write("deep/er/" + made, "new");
    other.write("d1/" + made, "new");
    CHECK(group.until([&] { return author->has("deep/er/" + made) && author->has("d1/" + made); }));
    CHECK(held(*author) == before);
    CHECK(count_of(other, 100) == 100);
    author->reject();
    group.settle();
    CHECK(count_of(*author, 100) == 100);
    CHECK(author->text("deep/er/file") == "file");
  }
}

TEST_CASE("a held delete that is undone is no edit, and makes no conflict with one elsewhere") {
  for (const bool restarted : {false, true}) {
    for (const bool at_hub : {false, true}) {
      INFO("at the hub " << at_hub << ", restarted " << restarted);
      Group group(220);
      SimNode& a = group.add("a");
      SimNode& b = group.add("b");
      fill(a, 100);
      group.world.start_all();
      group.settle();
      SimNode& hub = hub_of({&a, &b});
      SimNode& member = &hub == &a ? b : a;
      SimNode& author = at_hub ? hub : member;
      SimNode& other = at_hub ? member : hub;
      erase(author, 0, 80);
      REQUIRE(group.until([&] { return held(author) == 80; }));
      group.world.run_for(10s);
      if (restarted) {
        author.kill();
        author.start();
        REQUIRE(group.until([&] { return author.in_sync() || held(author) == 80; }));
        group.world.run_for(10s);
      }
      for (int i = 0; i < 80; ++i) author.write(name_of(i), "text " + std::to_string(i));
      other.write(name_of(3), "edited meanwhile");
      group.settle();
      CHECK(held(author) == 0);
      for (SimNode* node : {&a, &b}) {
        CHECK(count_of(*node, 100) == 100);
        CHECK(node->text(name_of(3)) == "edited meanwhile");
        CHECK(node->node().status().conflicts == 0);
      }
    }
  }
}

TEST_CASE("a directory that becomes a file counts with all that was in it") {
  Group group(215);
  SimNode& a = group.add("a");
  SimNode& b = group.add("b");
  for (int i = 0; i < 100; ++i) a.write("photos/" + std::to_string(i), std::to_string(i));
  group.world.start_all();
  group.settle();
  for (int i = 0; i < 100; ++i) a.erase("photos/" + std::to_string(i));
  a.erase("photos");
  a.write("photos", "a file now");
  REQUIRE(group.until([&] { return held(a) >= 100; }));
  group.world.run_for(20s);
  int there = 0;
  for (int i = 0; i < 100; ++i) there += b.has("photos/" + std::to_string(i)) ? 1 : 0;
  CHECK(there == 100);
}

TEST_CASE("files that came and went while a run was open do not count") {
  Group group(216);
  SimNode& a = group.add("a");
  SimNode& b = group.add("b");
  fill(a, 60);
  group.world.start_all();
  group.settle();
  a.erase(name_of(0));
  // A build that makes its files anew for minutes: each is in sync, then gone.
  for (int round = 0; round < 30; ++round) {
    for (int i = 0; i < 5; ++i)
      a.write(str("build/", round, '-', i), str("object ", round, ' ', i));
    group.world.run_for(5s);
    for (int i = 0; i < 5; ++i) a.erase(str("build/", round, '-', i));
    group.world.run_for(5s);
    REQUIRE(state_of(a) != NodeState::kHeld);
    REQUIRE(state_of(b) != NodeState::kHeld);
  }
  group.settle();
}

TEST_CASE("a large file that is deleted while it is on its way to the hub stays deleted") {
  Group group(217);
  SimNode& a = group.add("a");
  SimNode& b = group.add("b");
  fill(a, 3);
  group.world.start_all();
  group.settle();
  SimNode& hub = hub_of({&a, &b});
  SimNode& author = &hub == &a ? b : a;
  for (const std::uint64_t part : {std::uint64_t{1}, std::uint64_t{100'000}}) {
    const std::uint64_t sent = author.payload_sent();
    author.write("large", std::string(1'000'000, static_cast<char>('a' + part % 7)));
    REQUIRE(group.until([&] { return author.payload_sent() >= sent + part; }));
    REQUIRE_FALSE(hub.has("large"));
    author.erase("large");
    group.settle();
    CHECK_FALSE(hub.has("large"));
    CHECK_FALSE(author.has("large"));
  }
}

TEST_CASE("deletes that went out because their author became hub are not held, but count") {
  Group group(218);
  SimNode& a = group.add("a");
  SimNode& b = group.add("b");
  fill(a, 100);
  group.world.start_all();
  group.settle();
  SimNode& hub = hub_of({&a, &b});
  SimNode& author = &hub == &a ? b : a;
  hub.kill();
  erase(author, 0, 45);
  REQUIRE(group.until([&] { return author.role() == Role::kServer && author.in_sync(); }));
  erase(author, 45, 60);
  REQUIRE(group.until([&] { return held(author) > 0; }));
  group.world.run_for(5s);
  CHECK(held(author) == 15);
  hub.start();
  REQUIRE(group.until([&] { return count_of(hub, 100) == 55; }));
  CHECK(reject(group, author).missing == 0);
  group.settle();
  CHECK(count_of(hub, 100) == 100);
}

TEST_CASE("held deletes of what becomes ignored are held no more, and nobody deletes anything") {
  Group group(219);
  SimNode& a = group.add("a");
  SimNode& b = group.add("b");
  fill(a, 100);
  group.world.start_all();
  group.settle();
  erase(a, 0, 80);
  REQUIRE(group.until([&] { return held(a) == 80; }));
  a.write(".lansyncignore", "d[0-9]/\n");
  CHECK(group.until([&] { return held(a) == 0 && a.in_sync() && b.in_sync(); }, 2min));
  CHECK(count_of(b, 100) == 100);
}
