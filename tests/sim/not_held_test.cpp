// What the hub cannot have itself (larger than its --max-file-size, a pipe in its place, no links
// on its disk): published all the same, without a copy of its own; the others get it from its
// author.
#include <string>

#include "base/bytes.h"
#include "sim/rest.h"
#include "sim/world.h"
#include "support/catch.h"

using namespace lansync;
using namespace lansync::sim;

namespace {

NodeOptions options_of(ManualRole role, std::uint64_t max_file_size = 0) {
  NodeOptions options;
  options.role = role;
  options.max_file_size = max_file_size;
  return options;
}

const std::string kLarge(5000, 'l');
const std::string kOther(6000, 'o');

// `hub` is the hub while it runs; `a` and `b` can hold everything.
struct Trio {
  explicit Trio(std::uint64_t seed, std::uint64_t max_file_size = 0)
      : world(seed),
        hub(world.add("hub", options_of(ManualRole::kServer, max_file_size))),
        a(world.add("a")),
        b(world.add("b")) {
    world.start_all();
    settle();
    REQUIRE(is_hub(hub.role()));
  }
  void settle() {
    const bool fine = world.converge(180s);
    INFO(world.verdict());
    INFO(world.difference());
    REQUIRE(fine);
  }
  void restart(SimNode& node) {
    node.stop();
    REQUIRE(world.run_until([&] { return !node.running(); }, 5s));
    node.start();
  }
  // a writes what the hub does not take while b is off, and leaves before b is back.
  void author_leaves_with(const std::string& path) {
    b.stop();
    world.run_for(5s);
    a.write(path, kLarge);
    settle();
    a.stop();
    world.run_for(5s);
    b.start();
  }
  // All are in sync, the hub but for `path`, which it names; nobody was refused anything.
  void require_held_by_others(const std::string& path) {
    settle();
    for (SimNode* one : world.running()) {
      CAPTURE(one->name());
      INFO(world.difference());
      CHECK(one->in_sync());
      const StatusReport status = one->node().status();
      CHECK(status.state == NodeState::kInSync);
      CHECK(status.pending_files == 0);
      CHECK(status.reason.find("did not take it") == std::string::npos);
    }
    CHECK(hub.node().replica().problems().contains(path));
    CHECK(hub.node().hub().describe_candidates().empty());
    CHECK(world.rest());
  }
  World world;
  SimNode& hub;
  SimNode& a;
  SimNode& b;
};

std::size_t copies_of(SimNode& node, const std::string& text) {
  std::size_t copies = 0;
  for (const auto& [path, seen] : node.disk().tree()) copies += as_text(seen.bytes) == text;
  return copies;
}

}  // namespace

TEST_CASE("a file above the hub's --max-file-size reaches the others, and follows its edits") {
  Trio trio(1, 1000);
  trio.a.write("grows", "small");
  trio.settle();
  CHECK(trio.hub.text("grows") == "small");
  trio.a.write("grows", kLarge);
  trio.a.write("d/new", kOther);
  trio.a.write("small", "small");
  trio.require_held_by_others("d/new");
  CHECK(trio.b.text("grows") == kLarge);
  CHECK(trio.b.text("d/new") == kOther);
  CHECK(trio.hub.text("grows") == "small");
  CHECK_FALSE(trio.hub.has("d/new"));
  CHECK(trio.hub.text("small") == "small");
  // By another than its author; and down to what the hub can hold.
  trio.b.write("d/new", kOther + kOther);
  trio.b.write("grows", "small again");
  trio.require_held_by_others("d/new");
  CHECK(trio.a.text("d/new") == kOther + kOther);
  CHECK(trio.hub.text("grows") == "small again");
  // A delete, a rename.
  trio.b.erase("d/new");
  trio.settle();
  CHECK_FALSE(trio.a.has("d/new"));
  CHECK_FALSE(trio.hub.node().replica().problems().contains("d/new"));
}

TEST_CASE("a hub whose limit is raised fetches what it could not have") {
  Trio trio(2, 1000);
  trio.a.write("f", kLarge);
  trio.require_held_by_others("f");
  trio.hub.options().max_file_size = 0;
  trio.restart(trio.hub);
  trio.settle();
  CHECK(trio.hub.text("f") == kLarge);
  CHECK(trio.hub.node().replica().problems().empty());
}

TEST_CASE("a hub that restarts still knows what it does not hold, and brings nobody an older one") {
  Trio trio(3, 1000);
  trio.a.write("grows", "small");
  trio.settle();
  trio.a.write("grows", kLarge);
  trio.a.write("new", kOther);
  trio.require_held_by_others("new");
  // Alone with its own word.
  trio.a.stop();
  trio.b.stop();
  trio.world.run_for(5s);
  trio.restart(trio.hub);
  REQUIRE(trio.world.run_until([&] { return trio.hub.in_sync(); }, 60s));
  trio.b.start();
  trio.require_held_by_others("new");
  CHECK(trio.b.text("grows") == kLarge);
  CHECK(trio.hub.text("grows") == "small");
  CHECK(trio.hub.node().hub().seq() > 0);
  trio.a.start();
  trio.require_held_by_others("new");
}

TEST_CASE("hubs change between nodes that cannot hold a file: it stays, and reaches a newcomer") {
  World world(4);
  SimNode& first = world.add("first", options_of(ManualRole::kServer, 1000));
  SimNode& second = world.add("second", options_of(ManualRole::kServer, 1000));
  SimNode& author = world.add("author", options_of(ManualRole::kClient));
  first.start();
  REQUIRE(world.run_until([&] { return is_hub(first.role()); }, 20s));
  second.start();
  author.start();
  REQUIRE(world.converge(60s));
  author.write("f", kLarge);
  REQUIRE(world.converge(60s));
  SimNode& old_hub = is_hub(first.role()) ? first : second;
  SimNode& new_hub = &old_hub == &first ? second : first;
  old_hub.kill();
  REQUIRE(world.run_until([&] { return is_hub(new_hub.role()); }, 30s));
  SimNode& late = world.add("late", options_of(ManualRole::kClient));
  late.start();
  REQUIRE(world.converge(120s));
  CHECK(late.text("f") == kLarge);
  CHECK(new_hub.in_sync());
  old_hub.start();
  REQUIRE(world.converge(60s));
}

TEST_CASE("a pipe on the hub stands in nobody else's way: files, links, directories") {
  Trio trio(5);
  for (const char* path : {"file", "link", "directory"}) trio.hub.make_pipe(path);
  trio.world.run_for(5s);
  trio.a.write("file", "text");
  trio.a.link("link", "file");
  trio.a.write("directory/sub/f", "below");
  trio.require_held_by_others("file");
  CHECK(trio.b.text("file") == "text");
  CHECK(trio.b.has("link"));
  CHECK(trio.b.text("directory/sub/f") == "below");
  for (const char* path : {"file", "link", "directory"}) trio.hub.erase(path);
  trio.settle();
  CHECK(trio.hub.text("file") == "text");
  CHECK(trio.hub.text("directory/sub/f") == "below");
  CHECK(trio.hub.node().replica().problems().empty());
}

TEST_CASE("links reach the others by a hub whose disk makes none") {
  World world(6);
  SimNode& hub = world.add("hub", options_of(ManualRole::kServer));
  SimNode& a = world.add("a");
  SimNode& b = world.add("b");
  DiskLimits exfat;
  exfat.keeps_modes = exfat.makes_links = exfat.tells_case = false;
  hub.disk().set_limits(exfat);
  world.start_all();
  a.write("d/f", "text");
  REQUIRE(world.run_until([&] { return b.text("d/f") == "text"; }, 30s));
  a.link("d/link", "f");
  a.write("D/f", "case");
  REQUIRE(world.run_until([&] { return b.has("d/link") && b.text("D/f") == "case"; }, 60s));
  REQUIRE(world.run_until([&] { return hub.in_sync() && a.in_sync() && b.in_sync(); }, 60s));
  CHECK(hub.node().replica().problems().contains("d/link"));
  CHECK(hub.text("d/f") == "text");
  a.erase("d/link");
  REQUIRE(world.run_until([&] { return !b.has("d/link"); }, 60s));
  CHECK(world.run_until([&] { return !hub.node().replica().problems().contains("d/link"); }, 10s));
}

TEST_CASE("two members in conflict on what the hub cannot hold: both are kept by both") {
  for (const bool pipe : {false, true}) {
    CAPTURE(pipe);
    Trio trio(7, pipe ? 0 : 1000);
    if (pipe) trio.hub.make_pipe("f");
    trio.world.run_for(5s);
    trio.world.unplug("b");
    trio.world.run_for(5s);
    trio.a.write("f", kLarge);
    trio.b.write("f", kOther);
    trio.world.run_for(10s);
    trio.world.plug("b");
    trio.settle();
    CHECK(trio.world.run_until(
        [&] {
          return trio.a.text("f") == kLarge && trio.b.text("f") == kLarge &&
                 copies_of(trio.a, kOther) == 1 && copies_of(trio.b, kOther) == 1;
        },
        60s));
    INFO(trio.world.difference());
    CHECK(trio.a.in_sync());
    CHECK(trio.b.in_sync());
    CHECK(trio.world.rest());
  }
}

TEST_CASE("its author leaves before anybody had it: the others say so, and it comes with him") {
  Trio trio(8, 1000);
  trio.author_leaves_with("f");
  CHECK(trio.world.run_until([&] { return trio.b.in_sync(); }, 180s));
  const StatusReport status = trio.b.node().status();
  INFO(status.reason);
  CHECK(status.state == NodeState::kInSync);
  CHECK(status.reason.find("f: ") != std::string::npos);
  CHECK(status.reason.find("nobody who is here has this content") != std::string::npos);
  CHECK(status.reason.find("made on a") != std::string::npos);
  CHECK(trio.world.rest());
  trio.a.start();
  CHECK(trio.world.run_until([&] { return trio.b.text("f") == kLarge; }, 60s));
  trio.require_held_by_others("f");
}

// Seed 4908: a scan that saw the older one took back what was said, till the next try.
TEST_CASE("who shows an older version of what nobody here has goes on saying so") {
  Trio trio(11, 1000);
  trio.a.write("f", "small");
  trio.settle();
  trio.author_leaves_with("f");
  REQUIRE(trio.world.run_until([&] { return trio.b.in_sync(); }, 180s));
  for (int look = 0; look < 20; ++look) {
    trio.world.run_for(10s);
    const StatusReport status = trio.b.node().status();
    INFO(status.reason);
    CHECK(status.reason.find("nobody who is here has this content") != std::string::npos);
  }
  trio.a.start();
  CHECK(trio.world.run_until([&] { return trio.b.text("f") == kLarge; }, 60s));
  trio.require_held_by_others("f");
}

TEST_CASE(
    "a large file that nobody but its author holds is got on request, and by on-demand hubs") {
  World world(9);
  SimNode& hub = world.add("hub", options_of(ManualRole::kServer, 1000));
  SimNode& author = world.add("author");
  NodeOptions demand;
  demand.on_demand = true;
  SimNode& some = world.add("some", demand);
  world.start_all();
  author.write("f", kLarge);
  REQUIRE(world.converge(60s));
  CHECK_FALSE(some.has("f"));
  std::optional<std::string> answer;
  some.get("f", [&](const std::string& why_not) { answer = why_not; });
  CHECK(world.run_until([&] { return answer.has_value(); }, 60s));
  CHECK(answer == "");
  CHECK(some.text("f") == kLarge);
  CHECK(hub.in_sync());
}

TEST_CASE("a hub edits or removes the older one that it still shows: the group's is kept") {
  Trio trio(10, 1000);
  for (const char* path : {"edited", "removed"}) trio.a.write(path, "small");
  trio.settle();
  for (const char* path : {"edited", "removed"}) trio.a.write(path, kLarge + path);
  trio.require_held_by_others("edited");
  trio.hub.write("edited", "by the hub");
  trio.hub.erase("removed");
  trio.world.run_for(30s);
  trio.settle();
  for (SimNode* one : {&trio.a, &trio.b}) {
    CHECK(one->text("edited") == kLarge + "edited");
    CHECK(one->text("removed") == kLarge + "removed");
    CHECK(copies_of(*one, "by the hub") == 1);
  }
}

TEST_CASE(
    "what the hub cannot hold and nobody else has: its author says so, until a third has it") {
  World world(11);
  SimNode& hub = world.add("hub", options_of(ManualRole::kServer, 1000));
  SimNode& author = world.add("author");
  SimNode& third = world.add("third");
  hub.start();
  REQUIRE(world.run_until([&] { return is_hub(hub.role()); }, 20s));
  author.start();
  REQUIRE(world.converge(60s));
  author.write("film", kLarge);
  author.write("small", "s");
  world.run_for(10s);
  REQUIRE(hub.text("small") == "s");
  const auto require_said = [&] {
    const StatusReport status = author.node().status();
    INFO(status.reason);
    CHECK(status.state == NodeState::kSyncing);
    CHECK(status.reason.find("1 file is on no other machine yet: hub cannot hold it") == 0);
    CHECK(status.only_here == 1);
    REQUIRE(status.peers.size() >= 1);
    CHECK(status.peers.front().behind.files == 1);
    CHECK(status.peers.front().behind.why.find("cannot hold") != std::string::npos);
  };
  require_said();
  // Nor is it forgotten over a restart of either.
  author.stop();
  world.run_for(5s);
  author.start();
  world.run_for(10s);
  require_said();
  // The hub itself has nothing that others miss.
  CHECK(hub.node().status().only_here == 0);
  third.start();
  REQUIRE(world.run_until([&] { return third.text("film") == kLarge; }, 60s));
  world.run_for(2s);
  for (SimNode* one : {&author, &third}) {
    INFO(one->node().status().reason);
    CHECK(one->node().status().state == NodeState::kInSync);
    CHECK(one->node().status().only_here == 0);
  }
  // A copy that stands elsewhere stands there also when its node is off.
  third.stop();
  world.run_for(10s);
  CHECK(author.node().status().only_here == 0);
  author.write("film", kLarge + "2");
  world.run_for(10s);
  require_said();
  // What it leaves behind is said at its end.
  CHECK(author.node().stop()->message.find("1 file is on no other machine yet") !=
        std::string::npos);
}
