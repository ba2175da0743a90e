// The simulator's own means: what scenarios draw has to be there, or a seed proves nothing.
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <string>

#include "sim/world.h"
#include "support/catch.h"

using namespace lansync;
using namespace lansync::sim;

namespace {

void tell(World& world) {
  if (std::getenv("LANSYNC_SIM_TRACE") == nullptr) return;
  world.trace().set_sink([](const std::string& line) { std::puts(line.c_str()); });
}

void settle(World& world) {
  const bool fine = world.converge(120s);
  INFO(world.verdict());
  REQUIRE(fine);
}

// What a download says of its way.
std::string carrier_of(World& world, SimNode& node, const std::string& name,
                       const std::string& peer) {
  std::optional<Result<DownloadReport>> answer;
  node.download({name, peer, CarrierChoice::kAuto, true},
                [&](const Result<DownloadReport>& result) { answer = result; });
  world.run_until([&] { return answer.has_value(); }, 60s);
  if (!answer) return "no answer";
  return *answer ? (*answer)->carrier : (*answer).error().detail;
}

}  // namespace

TEST_CASE("large content goes by the carrier that a simulated node asks for") {
  for (const CarrierChoice choice : {CarrierChoice::kLane, CarrierChoice::kTcp}) {
    World world(11);
    tell(world);
    NodeOptions options;
    options.carriers = true;
    options.carrier = choice;
    world.add("a", options);
    world.add("b", options);
    LinkFaults faults;
    faults.loss = 10'000;
    world.network().set_all(faults);
    world.node("a").write("f", std::string(3'000'000, 'x') + "end");
    world.start_all();
    settle(world);
    CHECK(world.node("b").text("f").ends_with("xend"));
    CHECK(carrier_of(world, world.node("b"), "f", "a") == to_string(choice));
  }
}

TEST_CASE("a carrier that does not get through leaves content to the sessions") {
  World world(12);
  tell(world);
  NodeOptions options;
  options.carriers = true;
  world.add("a", options);
  world.add("b", options);
  world.node("a").write("f", std::string(2'000'000, 'y'));
  world.start_all();
  world.run_for(500ms);
  // In the middle of it, and long enough for sessions and streams to break.
  world.partition({"a"}, {"b"});
  world.run_for(15s);
  world.heal();
  settle(world);
  CHECK(world.node("b").text("f").size() == 2'000'000);
}

TEST_CASE("of two LANs one is enough") {
  World world(13);
  tell(world);
  NodeOptions options;
  options.second_lan = true;
  for (const char* name : {"a", "b", "c"}) world.add(name, options);
  world.start_all();
  world.node("a").write("f", "one");
  settle(world);
  for (const int lan : {0, 1}) {
    world.cut_lan("b", lan, true);
    world.run_for(5s);
    world.node("b").write("f", str("from b without LAN ", lan));
    settle(world);
    world.cut_lan("b", lan, false);
    world.run_for(5s);
  }
  CHECK(world.node("c").text("f") == "from b without LAN 1");
}

TEST_CASE("a power cut takes what people did not sync, and nothing else") {
  int lost = 0;
  int torn = 0;
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    EventQueue queue;
    SimClock clock(queue);
    SimDisk disk(clock, seed);
    const Bytes synced(20, 's');
    const Bytes fresh(20, 'f');
    const Bytes changed(20, 'c');
    REQUIRE(disk.write("synced", synced));
    REQUIRE(disk.write("overwritten", Bytes(20, 'o')));
    queue.advance_to(queue.now() + 60s);
    disk.set_unsynced(1'000'000);
    REQUIRE(disk.write("unsynced", fresh));
    REQUIRE(disk.write("overwritten", changed));
    const SimDisk::PowerLoss loss = disk.power_cut();
    CHECK(disk.contents("synced") == synced);
    REQUIRE(disk.contents("overwritten").has_value());
    const std::size_t gone = (disk.contents("unsynced") == fresh ? 0u : 1u) +
                             (disk.contents("overwritten") == changed ? 0u : 1u);
    CHECK(loss.lost.size() == gone);
    lost += loss.lost.empty() ? 0 : 1;
    torn += loss.torn.empty() ? 0 : 1;
  }
  CHECK(lost > 0);
  CHECK(lost < 40);
  CHECK(torn > 0);
}

TEST_CASE("what nobody synced is on the disk half a minute later") {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    EventQueue queue;
    SimClock clock(queue);
    SimDisk disk(clock, seed);
    disk.set_unsynced(1'000'000);
    REQUIRE(disk.write("f", Bytes(20, 'n')));
    queue.advance_to(queue.now() + 60s);
    REQUIRE(disk.write("g", Bytes(20, 'g')));
    (void)disk.power_cut();
    CHECK(disk.contents("f") == Bytes(20, 'n'));
  }
}

TEST_CASE("a directory that cannot be entered is no delete") {
  World world(14);
  tell(world);
  world.add("a");
  world.add("b");
  world.start_all();
  world.node("a").write("d/f", "text");
  settle(world);
  world.node("b").set_readable("d", false);
  world.node("b").rescan();
  world.run_for(60s);
  CHECK(world.node("a").has("d/f"));
  world.node("b").set_readable("d", true);
  settle(world);
  CHECK(world.node("a").text("d/f") == "text");
}

TEST_CASE("what is ignored, and a pipe, stand where they were made and are not compared") {
  World world(15);
  tell(world);
  world.add("a");
  world.add("b");
  world.node("a").write(".lansyncignore", "*.o\n");
  world.start_all();
  settle(world);
  world.oracle().history().exempt("");
  world.node("a").write("x.o", "of a");
  world.node("b").write("x.o", "of b");
  world.node("b").make_pipe("pipe");
  world.node("b").write("f", "shared");
  settle(world);
  CHECK(world.node("a").text("x.o") == "of a");
  CHECK(world.node("b").text("x.o") == "of b");
  CHECK(world.node("a").text("f") == "shared");
  CHECK_FALSE(world.node("a").has("pipe"));
}

TEST_CASE("a node whose index cannot be written for a while comes to rest afterwards") {
  World world(16);
  tell(world);
  world.add("a");
  world.add("b");
  world.start_all();
  world.node("a").write("f", "one");
  settle(world);
  world.node("b").set_commit_errors(1'000'000);
  world.node("a").write("f", "two");
  world.node("b").write("g", "of b");
  world.run_for(15s);
  world.node("b").make_whole();
  settle(world);
  CHECK(world.node("b").text("f") == "two");
  CHECK(world.node("a").text("g") == "of b");
}
