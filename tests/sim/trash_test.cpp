// Where disk, trash and index could part: at every operation at which a node may die or its disk
// may fail. Ages that a jumping clock must not change.
#include <algorithm>
#include <map>
#include <set>
#include <string>

#include "sim/world.h"
#include "support/catch.h"

using namespace lansync;
using namespace lansync::sim;

namespace {

void settle(World& world, Duration limit = 90s) {
  const bool fine = world.converge(limit);
  INFO(world.verdict());
  REQUIRE(fine);
}

// The names in a node's trash on its disk, and those that its index has on its own disk.
std::set<std::string> in_trash(const SimNode& node) {
  std::set<std::string> names;
  for (const auto& [name, bytes] : node.disk().trash_files()) names.insert(name);
  return names;
}
std::set<std::string> listed(SimNode& node) {
  std::set<std::string> names;
  for (const auto& [name, row] : node.store().contents().trash) names.insert(name);
  return names;
}

// Ends of a run: killed, powered off, or a disk that fails once and goes on.
enum class Fault { kKill, kPower, kError, kNoSpace };

bool ends_it(Fault fault) { return fault == Fault::kKill || fault == Fault::kPower; }

struct Outcome {
  bool happened = false;
  std::size_t trashed = 0;
};

// b applies deletes, new versions and a directory that becomes a file; at its n-th operation on the
// disk from the first of them, that happens to it.
Outcome apply_with_fault(Fault fault, std::uint64_t n) {
  INFO("fault " << static_cast<int>(fault) << " at operation " << n);
  NodeOptions options;
  options.max_deletes = MaxDeletes{};
  World world(900 + n);
  SimNode& a = world.add("a", options);
  SimNode& b = world.add("b", options);
  for (int i = 0; i < 12; ++i) a.write("gone/" + std::to_string(i), "old " + std::to_string(i));
  for (int i = 0; i < 8; ++i) a.write("new/" + std::to_string(i), "before " + std::to_string(i));
  a.write("swapped/in/side", "deep");
  a.start();
  REQUIRE(world.run_until([&] { return a.role() == Role::kServer; }, 10s));
  b.start();
  settle(world);
  a.erase("gone");
  for (int i = 0; i < 8; ++i) a.write("new/" + std::to_string(i), "after " + std::to_string(i));
  a.erase("swapped");
  a.write("swapped", "a file now");
  Outcome out;
  bool begun = false;
  std::uint64_t left = n;
  b.set_on_operation([&](const std::string& operation, const std::string&) {
    if (begun || operation != "open_temp") return;
    begun = true;
    if (ends_it(fault)) b.kill_after_operations(n, fault == Fault::kPower);
  });
  b.disk().set_failing([&](const std::string&) -> std::optional<Error> {
    if (ends_it(fault) || !begun || left == 0 || --left > 0) return std::nullopt;
    out.happened = true;
    if (fault == Fault::kNoSpace) return Error{ErrorCode::kNoSpace, "no space left"};
    return Error{ErrorCode::kIo, "input/output error"};
  });
  world.run_until([&] { return !b.running() || (out.happened && !ends_it(fault)); }, 30s);
  // All of it is done: what would come now is another batch, or a rescan.
  if (b.running()) b.kill_after_operations(0, false);
  if (!b.running()) {
    out.happened = true;
    world.run_for(1s);
    b.start();
  }
  settle(world);
  b.set_on_operation({});
  b.disk().set_failing({});
  world.run_for(20s);
  CHECK(in_trash(b) == listed(b));
  for (const auto& [name, row] : b.store().contents().trash) {
    INFO(name);
    CHECK(row.content.size() == 32);
    CHECK(row.path.find("leftover") == std::string::npos);
  }
  // Nothing of it passed for somebody's edit or delete.
  CHECK(b.node().status().held_deletes == 0);
  CHECK(b.node().conflicts().empty());
  const ShortId own = short_id(b.node().replica().node());
  for (const auto& [path, record] : b.node().replica().index().paths()) {
    if (!record.local) continue;
    INFO(path << ", by " << record.local->author_name);
    CHECK(record.local->version.count_of(own) == 0);
  }
  // All that was displaced is there, under its old bytes.
  std::multiset<std::string> texts;
  for (const auto& [name, bytes] : b.disk().trash_files())
    texts.insert(std::string(as_text(bytes)));
  for (int i = 0; i < 12; ++i) CHECK(texts.count("old " + std::to_string(i)) == 1);
  for (int i = 0; i < 8; ++i) CHECK(texts.count("before " + std::to_string(i)) >= 1);
  CHECK(texts.count("deep") == 1);
  out.trashed = texts.size();
  return out;
}

void apply_with_fault_everywhere(Fault fault) {
  int happened = 0;
  for (std::uint64_t n = 1; n < 400; n += n < 60 ? 3 : 5) {
    const Outcome out = apply_with_fault(fault, n);
    if (!out.happened) break;
    ++happened;
  }
  CHECK(happened > 20);
}

}  // namespace

TEST_CASE("a node killed at any point of a batch lists all of its trash and makes no edit of it") {
  apply_with_fault_everywhere(Fault::kKill);
}

TEST_CASE("a power cut at any point of a batch leaves trash and list the same, and no edit") {
  apply_with_fault_everywhere(Fault::kPower);
}

TEST_CASE("a disk that fails at any point of a batch leaves trash and list the same, and no edit") {
  apply_with_fault_everywhere(Fault::kError);
}

TEST_CASE(
    "a disk that is full at any point of a batch leaves trash and list the same, and no edit") {
  apply_with_fault_everywhere(Fault::kNoSpace);
}

// A program that writes as many bytes as there were and restores the time of the file (`touch -r`),
// while something else is on its way to that path.
TEST_CASE("bytes of the same size under a restored time are examined before they are replaced") {
  for (const std::string what : {"edit", "delete", "chmod", "drop"}) {
    for (bool heard : {true, false}) {
      INFO(what << (heard ? ", its event heard" : ", its event lost"));
      NodeOptions quick;
      quick.settle = 100ms;
      NodeOptions slow;
      slow.settle = 4s;
      slow.on_demand = what == "drop";
      World world(77);
      SimNode& a = world.add("a", quick);
      SimNode& b = world.add("b", slow);
      a.write("letter", "dear mother");
      a.start();
      REQUIRE(world.run_until([&] { return a.role() == Role::kServer; }, 10s));
      b.start();
      REQUIRE(world.run_until([&] { return b.in_sync(); }, 30s));
      if (slow.on_demand) b.get("letter");
      REQUIRE(world.run_until([&] { return b.text("letter") == "dear mother"; }, 30s));
      settle(world);
      if (!heard) b.options().lost_hints = 1'000'000;
      REQUIRE(b.rewrite("letter", "dear sister"));
      world.run_for(20ms);
      if (what == "edit") a.write("letter", "dear father, long");
      if (what == "delete") a.erase("letter");
      if (what == "chmod") a.chmod("letter", 0600);
      if (what == "drop") b.drop("letter");
      world.run_for(40s);
      settle(world);
      std::set<std::string> texts;
      for (const auto& [path, file] : a.disk().tree()) {
        if (file.kind == FileKind::kFile) texts.insert(std::string(as_text(file.bytes)));
      }
      CHECK(texts.contains("dear sister"));
      CHECK(b.text("letter").size() > 0);
    }
  }
}

// ---- clocks ------------------------------------------------------------------------------------

namespace {

constexpr Duration kDay = 24h;

NodeOptions calm() {
  NodeOptions options;
  options.rescan = 2h;
  return options;
}

void stop_and_wait(World& world, SimNode& node) {
  node.stop();
  REQUIRE(world.run_until([&] { return !node.running(); }, 5s));
}

}  // namespace

TEST_CASE("a delete stays one whatever year the clock of its machine or of the hub shows") {
  for (const Duration by : {-47 * 365 * kDay, 500 * kDay}) {
    INFO("clocks off by " << by.count() / kDay.count() << " days");
    World world(31);
    SimNode& a = world.add("a", calm());
    SimNode& b = world.add("b", calm());
    SimNode& c = world.add("c", calm());
    a.write("keep", "kept");
    a.write("gone", "to be deleted");
    world.start_all();
    settle(world);
    stop_and_wait(world, c);
    if (by < Duration{0}) a.clock().step(by);
    a.erase("gone");
    world.run_for(10s);
    if (by > Duration{0}) {
      a.clock().step(by);
      b.clock().step(by);
    }
    // An hour: whoever keeps house does it now.
    world.run_for(65min);
    c.start();
    settle(world);
    CHECK_FALSE(a.has("gone"));
    CHECK_FALSE(b.has("gone"));
    CHECK_FALSE(c.has("gone"));
    CHECK(c.text("keep") == "kept");
    CHECK(c.node().status().state == NodeState::kInSync);
  }
}

TEST_CASE("a run of deletes can be taken back for a day, whatever year its machine's clock shows") {
  World world(35);
  SimNode& a = world.add("a", calm());
  SimNode& b = world.add("b", calm());
  a.write("keep", "kept");
  a.write("gone", "to be deleted");
  world.start_all();
  settle(world);
  a.clock().step(-47 * 365 * kDay);
  a.erase("gone");
  settle(world);
  const Replica& replica = b.node().replica();
  ByteWriter run;
  run.u64(replica.index().find("gone")->local->run);
  world.oracle().history().on_undone("gone");
  std::string refused = "no answer";
  b.node().reject(to_hex(run.bytes()), [&](const Result<RejectReport>& report) {
    refused = report ? "" : report.error().detail;
  });
  world.run_until([&] { return refused.empty() && a.has("gone"); }, 60s);
  CHECK(refused == "");
  CHECK(a.text("gone") == "to be deleted");
}

TEST_CASE("a clock that jumps by weeks empties no trash, running or not, alone or not") {
  for (const bool restarts : {false, true}) {
    for (const bool alone : {false, true}) {
      INFO((restarts ? "restarts, " : "runs on, ") << (alone ? "alone" : "with another"));
      World world(32);
      SimNode& a = world.add("a", calm());
      SimNode& b = world.add("b", calm());
      a.write("f", "first");
      world.start_all();
      settle(world);
      a.write("f", "second");
      settle(world);
      REQUIRE(b.disk().trash_files().size() == 1);
      if (alone) stop_and_wait(world, a);
      if (restarts) stop_and_wait(world, b);
      b.clock().step(40 * kDay);
      if (restarts) b.start();
      world.run_for(65min);
      CHECK(b.disk().trash_files().size() == 1);
      if (restarts) stop_and_wait(world, b);
      b.clock().step(-40 * kDay);
      if (restarts) b.start();
      world.run_for(65min);
      CHECK(b.disk().trash_files().size() == 1);
      CHECK(listed(b) == in_trash(b));
    }
  }
}

TEST_CASE("trash goes after thirty days that a node has seen, or that the others saw it away") {
  World world(33);
  SimNode& a = world.add("a", calm());
  SimNode& b = world.add("b", calm());
  a.write("f", "first");
  world.start_all();
  settle(world);
  a.write("f", "second");
  settle(world);
  REQUIRE(b.disk().trash_files().size() == 1);
  stop_and_wait(world, b);
  a.freeze(31 * kDay);
  world.run_for(31 * kDay + 2s);
  b.start();
  settle(world);
  world.run_for(65min);
  CHECK(b.disk().trash_files().empty());
  CHECK(listed(b).empty());
}

namespace {

// Three in sync; then c is by itself for that long, in use, while the others delete "gone".
struct Absence {
  explicit Absence(bool used, Duration how_long)
      : world(34), a(world.add("a", calm())), b(world.add("b", calm())), c(world.add("c", calm())) {
    a.write("keep", "kept");
    a.write("gone", "deleted while c was away");
    world.start_all();
    settle(world);
    if (used) {
      world.partition({"c"}, {"a", "b"});
    } else {
      stop_and_wait(world, c);
    }
    world.run_for(10s);
    a.erase("gone");
    if (used) c.write("mine", "made alone");
    world.run_for(10s);
    for (SimNode* node : {&a, &b, &c}) {
      if (node->running()) node->freeze(how_long);
    }
    world.run_for(how_long + 2s);
    world.run_for(65min);
    if (used) c.write("again", "and again");
    world.run_for(10s);
    world.heal();
    if (!used) c.start();
  }
  bool held() {
    return world.run_until(
        [&] { return c.running() && c.node().status().state == NodeState::kHeld; }, 60s);
  }
  World world;
  SimNode& a;
  SimNode& b;
  SimNode& c;
};

std::size_t planned_held(SimNode& node) {
  std::size_t held = 0;
  for (const PlanReport& row : node.node().plan()) held += row.action == "held" ? 1 : 0;
  return held;
}

}  // namespace

TEST_CASE("a node that was away for over a year holds what the hub does not know, until confirm") {
  for (const bool used : {true, false}) {
    for (const bool restarted : {false, true}) {
      INFO((used ? "used alone" : "off") << (restarted ? ", then restarted" : ""));
      Absence absence(used, 16 * 30 * kDay);
      SimNode& c = absence.c;
      REQUIRE(absence.held());
      absence.world.run_for(30s);
      if (restarted) {
        stop_and_wait(absence.world, c);
        c.start();
        REQUIRE(absence.held());
        absence.world.run_for(30s);
      }
      // One truth: status, plan, and what confirm lets go.
      CHECK(c.node().status().state == NodeState::kHeld);
      CHECK(c.node().replica().held_absent().size() == 1);
      CHECK(planned_held(c) == 1);
      CHECK_FALSE(c.in_sync());
      CHECK_FALSE(absence.a.has("gone"));
      CHECK(c.text("gone") == "deleted while c was away");
      if (used) CHECK(absence.a.text("mine") == "made alone");
      std::uint64_t went = 0;
      absence.world.oracle().history().on_undone("gone");
      c.node().confirm(HoldKind::kAbsence, "", [&](const Result<ActionReport>& answer) {
        if (answer) went = answer->count;
      });
      CHECK(went == 1);
      settle(absence.world);
      CHECK(absence.a.text("gone") == "deleted while c was away");
      CHECK(planned_held(c) == 0);
      // In sync now: from here on it is not away any more.
      stop_and_wait(absence.world, c);
      c.start();
      settle(absence.world);
      CHECK(c.node().replica().held_absent().empty());
    }
  }
}

// Whatever makes the question void ends the hold, on that node alone or in the group.
TEST_CASE("what is held for a long absence is held no more once it is another matter") {
  enum class By { kEdit, kChmod, kRename, kIgnored, kIgnoredThere, kMadeThere, kOtherKind };
  for (const By by : {By::kEdit, By::kChmod, By::kRename, By::kIgnored, By::kIgnoredThere,
                      By::kMadeThere, By::kOtherKind}) {
    INFO("way " << static_cast<int>(by));
    Absence absence(false, 16 * 30 * kDay);
    SimNode& a = absence.a;
    SimNode& c = absence.c;
    REQUIRE(absence.held());
    absence.world.oracle().history().on_undone("gone");
    switch (by) {
      case By::kEdit:
        REQUIRE(c.write("gone", "edited after all"));
        break;
      case By::kChmod:
        REQUIRE(c.chmod("gone", 0600));
        break;
      case By::kRename:
        REQUIRE(c.rename("gone", "here"));
        break;
      case By::kIgnored:
        REQUIRE(c.write(".lansyncignore", "gone\n"));
        break;
      case By::kIgnoredThere:
        REQUIRE(a.write(".lansyncignore", "gone\n"));
        break;
      case By::kMadeThere:
        REQUIRE(a.write("gone", "made anew"));
        break;
      case By::kOtherKind:
        REQUIRE(c.erase("gone"));
        REQUIRE(c.write("gone/in/it", "a folder now"));
        break;
    }
    absence.world.run_for(40s);
    CHECK(c.node().replica().held_absent().empty());
    CHECK(planned_held(c) == 0);
    CHECK(c.node().status().state == NodeState::kInSync);
    // What c had is somewhere in a folder, unless its person replaced it.
    const std::string before = "deleted while c was away";
    std::set<std::string> texts;
    for (const auto& [path, file] : c.disk().tree()) {
      if (file.kind == FileKind::kFile) texts.insert(std::string(as_text(file.bytes)));
    }
    const bool replaced = by == By::kEdit || by == By::kOtherKind;
    CHECK(texts.contains(before) == !replaced);
    if (by == By::kEdit) CHECK(a.text("gone") == "edited after all");
    if (by == By::kRename) CHECK(a.text("here") == before);
    if (by == By::kOtherKind) CHECK(a.text("gone/in/it") == "a folder now");
    if (by == By::kMadeThere) CHECK(texts.contains("made anew"));
  }
}

TEST_CASE("what is held for a long absence may be deleted there, and is nobody's any more") {
  Absence absence(false, 16 * 30 * kDay);
  REQUIRE(absence.held());
  absence.c.erase("gone");
  settle(absence.world);
  CHECK(absence.c.node().replica().held_absent().empty());
  CHECK_FALSE(absence.a.has("gone"));
}

TEST_CASE("a node that was away for months knows of the deletes, and holds nothing") {
  Absence absence(true, 10 * 30 * kDay);
  settle(absence.world);
  CHECK_FALSE(absence.c.has("gone"));
  CHECK(absence.a.text("mine") == "made alone");
  CHECK(absence.c.node().status().state == NodeState::kInSync);
}
