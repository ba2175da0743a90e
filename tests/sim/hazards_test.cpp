// Disks that fill, syncs that fail, files that never rest: what takes long, or what a small tmpfs
// cannot be made to do.
#include <algorithm>
#include <string>

#include "sim/world.h"
#include "support/catch.h"

using namespace lansync;
using namespace lansync::sim;

namespace {

std::string text_of(std::size_t size, char letter) { return std::string(size, letter); }

struct Pair {
  explicit Pair(std::uint64_t seed, const NodeOptions& options = {})
      : world(seed), a(world.add("a", options)), b(world.add("b", options)) {}
  void settle(Duration limit = 60s) {
    const bool fine = world.converge(limit);
    INFO(world.verdict());
    REQUIRE(fine);
  }
  bool until(const std::function<bool()>& predicate, Duration limit = 60s) {
    return world.run_until(predicate, limit);
  }
  World world;
  SimNode& a;
  SimNode& b;
};

std::string reason_of(SimNode& node) { return node.node().status().reason; }
NodeState state_of(SimNode& node) { return node.node().status().state; }

bool mentions(const std::string& text, const std::string& word) {
  return text.find(word) != std::string::npos;
}

bool has_problem(SimNode& node, const std::string& path) {
  return node.node().replica().problems().contains(path);
}

}  // namespace

TEST_CASE(
    "a disk that is full at any point leaves no partial file, touches no target, and goes on") {
  for (const char* point : {"create_temp", "write", "sync_all", "install_temp"}) {
    INFO("no space at " << point);
    Pair pair(11);
    pair.a.write("old.txt", "old");
    pair.a.write("gone.txt", "gone");
    pair.world.start_all();
    pair.settle();
    bool full = true;
    pair.b.disk().set_failing([&](const std::string& operation) {
      return full && operation == point ? std::optional(Error{ErrorCode::kNoSpace, "no space left"})
                                        : std::nullopt;
    });
    pair.a.write("old.txt", text_of(100'000, 'n'));
    pair.a.write("new.txt", "new");
    REQUIRE(pair.until(
        [&] { return has_problem(pair.b, "old.txt") || mentions(reason_of(pair.b), "space"); }));
    // A hub that is full hands over, which takes a moment.
    CHECK(pair.until([&] { return state_of(pair.b) == NodeState::kSyncing; }, 5s));
    // What needs no room goes on: deletes here, and what this node has to tell.
    if (std::string(point) != "sync_all") {
      pair.a.erase("gone.txt");
      REQUIRE(pair.until([&] { return !pair.b.has("gone.txt"); }));
    }
    pair.b.write("mine.txt", "mine");
    REQUIRE(pair.until([&] { return pair.a.text("mine.txt") == "mine"; }));
    pair.world.run_for(60s);
    CHECK(pair.b.text("old.txt") == "old");
    CHECK_FALSE(pair.b.has("new.txt"));
    full = false;
    const Instant freed = pair.world.now();
    REQUIRE(pair.until([&] { return pair.b.text("new.txt") == "new"; }, 30s));
    CHECK(pair.world.now() - freed <= 15s);
    pair.settle();
    CHECK(pair.b.text("old.txt").size() == 100'000);
    pair.world.run_for(5min);
    CHECK(pair.b.disk().temp_names().empty());
  }
}

TEST_CASE("after a sync that failed the content is fetched anew, never trusted") {
  Pair pair(12);
  pair.world.start_all();
  pair.settle();
  int failures = 1;
  pair.b.disk().set_failing([&](const std::string& operation) {
    if (operation != "sync_all" || failures == 0) return std::optional<Error>();
    --failures;
    return std::optional(Error{ErrorCode::kIo, "input/output error"});
  });
  const std::uint64_t before = pair.a.payload_sent();
  pair.a.write("f.txt", text_of(5000, 'f'));
  pair.settle();
  CHECK(pair.b.text("f.txt") == text_of(5000, 'f'));
  CHECK(failures == 0);
  CHECK(pair.a.payload_sent() - before == 10'000);
}

TEST_CASE(
    "a first pull that would not fit is held with both figures and begins when there is room") {
  Pair pair(13);
  for (int i = 0; i < 10; ++i) {
    pair.a.write("d/" + std::to_string(i), text_of(100'000, static_cast<char>('a' + i)));
  }
  pair.b.write("own.txt", "own");
  pair.b.disk().set_capacity(600'000);
  pair.a.start();
  REQUIRE(pair.until([&] { return pair.a.in_sync(); }));
  pair.b.start();
  REQUIRE(pair.until([&] { return state_of(pair.b) == NodeState::kHeld; }));
  CHECK(mentions(reason_of(pair.b), "976.5 KiB"));
  // What helps here alone: an ignore rule would be obeyed by everybody.
  CHECK(mentions(reason_of(pair.b), "--on-demand"));
  CHECK_FALSE(mentions(reason_of(pair.b), ".lansyncignore"));
  REQUIRE(pair.until([&] { return pair.a.text("own.txt") == "own"; }));
  pair.world.run_for(60s);
  CHECK_FALSE(pair.b.has("d/0"));
  CHECK_FALSE(pair.b.in_sync());
  pair.b.disk().set_capacity(6'000'000);
  const Instant freed = pair.world.now();
  REQUIRE(pair.until([&] { return pair.b.has("d/9"); }, 30s));
  CHECK(pair.world.now() - freed <= 6s);
  pair.settle();

  // Only the first: a later one that does not fit is a disk that fills.
  pair.b.disk().set_capacity(1'500'000);
  for (int i = 0; i < 10; ++i) {
    pair.a.write("e/" + std::to_string(i), text_of(90'000, static_cast<char>('A' + i)));
  }
  REQUIRE(pair.until([&] { return mentions(reason_of(pair.b), "room"); }));
  CHECK(state_of(pair.b) == NodeState::kSyncing);
  REQUIRE(pair.until([&] { return pair.b.has("e/0"); }));
  pair.b.disk().set_capacity(6'000'000);
  pair.settle();
}

TEST_CASE("a hub without room hands over to a member that has it, once") {
  NodeOptions hub;
  hub.role = ManualRole::kAuto;
  World world(14);
  SimNode& a = world.add("a", hub);
  SimNode& b = world.add("b", hub);
  SimNode& c = world.add("c", hub);
  a.disk().set_capacity(300'000);
  a.start();
  REQUIRE(world.run_until([&] { return a.role() == Role::kServer; }, 10s));
  b.start();
  c.start();
  REQUIRE(world.converge(30s));
  REQUIRE(a.role() == Role::kServer);
  b.write("large", text_of(1'000'000, 'l'));
  REQUIRE(world.run_until([&] { return c.has("large"); }, 60s));
  CHECK(a.role() == Role::kClient);
  CHECK(c.text("large") == text_of(1'000'000, 'l'));
  const std::uint64_t term = b.node().status().term;
  world.run_for(10min);
  CHECK(b.node().status().term == term);
  CHECK(a.role() == Role::kClient);
  b.write("small", "s");
  REQUIRE(world.run_until([&] { return a.has("small") && c.has("small"); }, 30s));
  a.disk().set_capacity(9'000'000);
  const bool fine = world.converge(60s);
  INFO(world.verdict());
  CHECK(fine);
}

TEST_CASE("a full disk in the whole group keeps its hub") {
  NodeOptions options;
  World world(15);
  SimNode& a = world.add("a", options);
  SimNode& b = world.add("b", options);
  a.disk().set_capacity(300'000);
  b.disk().set_capacity(1'200'000);
  a.start();
  REQUIRE(world.run_until([&] { return a.role() == Role::kServer; }, 10s));
  b.start();
  REQUIRE(world.converge(30s));
  b.write("large", text_of(1'000'000, 'l'));
  a.write("other", text_of(250'000, 'o'));
  world.run_for(5min);
  const bool one = (a.role() == Role::kServer) != (b.role() == Role::kServer);
  CHECK(one);
  const std::uint64_t term = a.node().status().term;
  CHECK(term <= 4);
  world.run_for(10min);
  CHECK(a.node().status().term == term);
}

TEST_CASE("a file that is written to all the time goes out after ten times settle-max, and so on") {
  NodeOptions options;
  options.settle = 2s;
  options.settle_max = 60s;
  Pair pair(16, options);
  pair.world.start_all();
  pair.settle();
  REQUIRE(pair.a.write("log", "line\n"));
  const Instant began = pair.world.now();
  std::vector<Instant> versions;
  std::string last;
  while (pair.world.now() - began < 25min) {
    pair.a.append("log", "line\n");
    pair.world.run_for(700ms);
    if (pair.b.text("log") == last) continue;
    last = pair.b.text("log");
    CHECK(last.size() % 5 == 0);
    versions.push_back(pair.world.now());
  }
  REQUIRE(versions.size() == 2);
  CHECK(versions[0] - began >= 600s);
  CHECK(versions[0] - began <= 605s);
  CHECK(versions[1] - versions[0] <= 605s);
  pair.settle(5min);
  CHECK(pair.b.text("log") == pair.a.text("log"));
}

TEST_CASE("a file that changes at each read is listed as busy and goes out when it rests") {
  NodeOptions options;
  options.settle = 2s;
  options.settle_max = 60s;
  Pair pair(17, options);
  pair.world.start_all();
  pair.settle();
  bool restless = true;
  pair.a.set_on_operation([&](const std::string& operation, const std::string& subject) {
    if (restless && operation == "read" && subject == "image") pair.a.append("image", "x");
  });
  REQUIRE(pair.a.write("image", "x"));
  const Instant began = pair.world.now();
  while (pair.world.now() - began < 15min) {
    pair.a.append("image", "y");
    pair.world.run_for(900ms);
  }
  CHECK_FALSE(pair.b.has("image"));
  CHECK(state_of(pair.a) == NodeState::kSyncing);
  CHECK(mentions(reason_of(pair.a), "image"));
  CHECK(mentions(reason_of(pair.a), "busy"));
  restless = false;
  pair.settle(5min);
  CHECK(pair.b.text("image") == pair.a.text("image"));
  CHECK_FALSE(has_problem(pair.a, "image"));
}

TEST_CASE("deletes that sync itself carries out are never held as a person's") {
  NodeOptions free;
  free.max_deletes = MaxDeletes{};
  World world(18);
  SimNode& a = world.add("a", free);
  SimNode& b = world.add("b");
  for (int i = 0; i < 200; ++i) a.write("d/" + std::to_string(i), std::to_string(i));
  world.start_all();
  REQUIRE(world.converge(30s));
  a.erase("d");
  REQUIRE(world.run_until([&] { return state_of(b) == NodeState::kHeld; }, 20s));
  for (const auto& held : b.node().replica().held_runs()) CHECK(held.theirs);
  b.confirm();
  world.run_for(20s);
  CHECK(a.node().status().held_deletes == 0);
  CHECK(b.node().status().held_deletes == 0);
  CHECK_FALSE(b.has("d"));
  const bool fine = world.converge(60s);
  INFO(world.verdict());
  CHECK(fine);
}
