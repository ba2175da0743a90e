// Two machines, the ordinary things.
#include <cstdio>
#include <cstdlib>

#include "sim/world.h"
#include "support/catch.h"

using namespace lansync;
using namespace lansync::sim;

namespace {

struct Pair {
  explicit Pair(std::uint64_t seed) : world(seed), a(world.add("a")), b(world.add("b")) {
    // LANSYNC_SIM_TRACE=1: what happens, line by line.
    if (std::getenv("LANSYNC_SIM_TRACE") != nullptr) {
      world.trace().set_sink([](const std::string& line) { std::puts(line.c_str()); });
    }
  }
  // Starts both and waits until they are one group.
  void meet() {
    world.start_all();
    settle();
  }
  void settle(Duration limit = 60s) {
    const bool fine = world.converge(limit);
    INFO(world.verdict());
    REQUIRE(fine);
  }
  World world;
  SimNode& a;
  SimNode& b;
};

int copies_in(const SeenTree& tree) {
  int copies = 0;
  for (const auto& [path, seen] : tree) copies += path.find(" (conflict ") != std::string::npos;
  return copies;
}

}  // namespace

TEST_CASE("a file that one node has is soon on the other") {
  Pair pair(1);
  pair.a.write("hello.txt", "hello");
  pair.meet();
  CHECK(pair.b.text("hello.txt") == "hello");
}

TEST_CASE("edits, renames, folders, links, modes and deletes all arrive") {
  Pair pair(2);
  pair.meet();
  pair.a.write("d/e/one", "1");
  pair.a.write("two", "2");
  pair.b.link("link", "two");
  pair.settle();
  CHECK(pair.b.text("d/e/one") == "1");
  pair.a.rename("d", "moved");
  pair.b.chmod("two", 0600);
  pair.a.make_folder("empty");
  pair.settle();
  CHECK(pair.b.text("moved/e/one") == "1");
  CHECK_FALSE(pair.b.has("d"));
  CHECK(pair.a.disk().tree().at("two").mode == 0600);
  CHECK(pair.b.has("empty"));
  pair.b.erase("moved");
  pair.b.erase("link");
  pair.settle();
  CHECK_FALSE(pair.a.has("moved"));
  CHECK_FALSE(pair.a.has("link"));
}

TEST_CASE("a rename sends no content") {
  Pair pair(3);
  pair.a.write("film", std::string(300'000, 'x'));
  pair.meet();
  const std::uint64_t before = pair.a.payload_sent() + pair.b.payload_sent();
  pair.a.rename("film", "films/film");
  pair.settle();
  CHECK(pair.b.has("films/film"));
  CHECK(pair.a.payload_sent() + pair.b.payload_sent() == before);
}

TEST_CASE("what differs at the first meeting is kept twice, and nothing else is") {
  Pair pair(4);
  pair.a.write("same", "same");
  pair.world.run_for(1s);
  pair.b.write("same", "same");
  pair.a.write("f", "of a");
  pair.b.write("f", "of b");
  pair.meet();
  CHECK(copies_in(pair.a.disk().tree()) == 1);
  CHECK(pair.a.disk().tree().size() == 3);
}

TEST_CASE("an edit beats a delete, whoever is hub") {
  for (const bool a_edits : {true, false}) {
    Pair pair(5);
    pair.a.write("f", "v1");
    pair.meet();
    pair.world.partition({"a"}, {"b"});
    (a_edits ? pair.a : pair.b).write("f", "v2");
    (a_edits ? pair.b : pair.a).erase("f");
    pair.world.run_for(20s);
    pair.world.heal();
    pair.settle(120s);
    CHECK(pair.a.text("f") == "v2");
    CHECK(pair.b.text("f") == "v2");
  }
}

TEST_CASE("a file that is saved again and again goes out when it rests") {
  Pair pair(6);
  pair.meet();
  const std::uint64_t before = pair.a.payload_sent() + pair.b.payload_sent();
  for (int i = 0; i < 40; ++i) {
    pair.a.write("busy", std::string(1000, 'a') + std::to_string(i));
    pair.world.run_for(100ms);
  }
  CHECK_FALSE(pair.b.has("busy"));
  pair.settle();
  CHECK(pair.b.has("busy"));
  // Once, although it was written forty times.
  CHECK(pair.a.payload_sent() + pair.b.payload_sent() - before == 1002);
}

TEST_CASE("a hub that is asked to stop hands over at once, and the other goes on") {
  Pair pair(7);
  pair.a.write("f", "v1");
  pair.meet();
  SimNode& hub = is_hub(pair.a.role()) ? pair.a : pair.b;
  SimNode& other = &hub == &pair.a ? pair.b : pair.a;
  hub.stop();
  CHECK(pair.world.run_until([&] { return is_hub(other.role()); }, 1500ms));
  CHECK(pair.world.run_until([&] { return !hub.running(); }, 2s));
  other.write("g", "while it was away");
  pair.world.run_for(10s);
  hub.start();
  pair.settle();
  CHECK(hub.text("g") == "while it was away");
}

TEST_CASE("what the watcher loses is found by the rescan") {
  Pair pair(8);
  pair.a.options().lost_hints = 1'000'000;
  pair.b.options().lost_hints = 1'000'000;
  pair.meet();
  pair.a.write("unseen", "text");
  CHECK(pair.world.run_until([&] { return pair.b.has("unseen"); }, 60s));
  pair.settle();
}

TEST_CASE("a wall clock that is wrong or jumps changes nothing but times") {
  Pair pair(9);
  pair.b.clock().step(-24h * 365);
  pair.meet();
  pair.a.write("f", "v1");
  pair.settle();
  pair.a.clock().step(-6h);
  pair.b.write("f", "v2");
  pair.settle();
  pair.a.clock().step(12h);
  pair.a.write("f", "v3");
  pair.settle();
  CHECK(pair.b.text("f") == "v3");
}
