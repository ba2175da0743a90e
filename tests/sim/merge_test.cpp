// Versions that meet after they went their own ways: what merges, and what one person did in one
// go.
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string>
#include <vector>

#include "sim/world.h"
#include "support/catch.h"

using namespace lansync;
using namespace lansync::sim;

namespace {

constexpr std::int64_t kLongAgo = 1'500'000'000'000'000'000;

struct Apart {
  explicit Apart(std::uint64_t seed, int count = 3) : world(seed) {
    // LANSYNC_SIM_TRACE=1: what happens, line by line.
    if (std::getenv("LANSYNC_SIM_TRACE") != nullptr) {
      world.trace().set_sink([](const std::string& line) { std::puts(line.c_str()); });
    }
    for (int i = 0; i < count; ++i) world.add(std::string(1, static_cast<char>('a' + i)));
  }
  SimNode& operator[](const std::string& name) { return world.node(name); }
  void settle(Duration limit = 120s) {
    const bool fine = world.converge(limit);
    INFO(world.verdict());
    REQUIRE(fine);
  }
  int copies() {
    int count = 0;
    for (const auto& [path, seen] : world.nodes().front()->disk().tree())
      count += path.find(" (conflict ") != std::string::npos;
    return count;
  }
  std::uint16_t mode(const std::string& name, const std::string& path) {
    return world.node(name).disk().seen(path)->mode;
  }
  std::int64_t mtime(const std::string& name, const std::string& path) {
    return world.node(name).disk().seen(path)->mtime_ns;
  }

  World world;
};

}  // namespace

TEST_CASE("two nodes alone: one changes mode or time, the other the content, and both stay") {
  for (std::uint64_t seed = 1; seed <= 4; ++seed) {
    for (const bool restart : {false, true}) {
      Apart group(seed, 2);
      const std::string edits = seed % 2 == 0 ? "a" : "b";
      const std::string sets = seed % 2 == 0 ? "b" : "a";
      group["a"].write("chmodded", "old");
      group["a"].write("touched", "old");
      group["a"].write("of both", "old");
      group.world.start_all();
      group.settle();
      group.world.partition({"a"}, {"b"});
      group.world.run_for(10s);
      group[sets].chmod("chmodded", 0600);
      group[sets].touch("touched", kLongAgo);
      group[sets].chmod("of both", 0640);
      for (const char* path : {"chmodded", "touched", "of both"})
        group[edits].write(path, str("new ", path));
      group.world.run_for(20s);
      group[edits].touch("of both", kLongAgo);
      group.world.run_for(20s);
      if (restart) {
        for (SimNode* node : group.world.nodes()) {
          node->kill();
          node->start();
        }
        group.world.run_for(20s);
      }
      group.world.heal();
      group.settle();
      CHECK(group.copies() == 0);
      for (const char* name : {"a", "b"}) {
        for (const char* path : {"chmodded", "touched", "of both"})
          CHECK(group[name].text(path) == str("new ", path));
        CHECK(group.mode(name, "chmodded") == 0600);
        CHECK(group.mode(name, "of both") == 0640);
        CHECK(group.mtime(name, "of both") == kLongAgo);
      }
    }
  }
}

TEST_CASE("three parts: mode, time and content of one file change in one each") {
  for (std::uint64_t seed = 1; seed <= 3; ++seed) {
    Apart group(seed);
    group["a"].write("f", "old");
    group.world.start_all();
    group.settle();
    group.world.partition({"a"}, {"b", "c"});
    group.world.partition({"b"}, {"c"});
    group.world.run_for(10s);
    group["a"].chmod("f", 0600);
    group["b"].touch("f", kLongAgo);
    group["c"].write("f", "new");
    group.world.run_for(20s);
    group.world.heal();
    group.settle();
    CHECK(group.copies() == 0);
    CHECK(group["b"].text("f") == "new");
    CHECK(group.mode("c", "f") == 0600);
  }
}

// Each part agrees with somebody meanwhile, so no two sides have a common tree left.
TEST_CASE("a chain of hubs: what was agreed with one is not news to another") {
  for (std::uint64_t seed = 1; seed <= 3; ++seed) {
    Apart group(seed, 4);
    group["a"].write("f", "old");
    group.world.start_all();
    group.settle();
    const auto cut_in_two = [&](const std::set<std::string>& some,
                                const std::set<std::string>& others) {
      group.world.heal();
      group.world.partition(some, others);
      group.world.run_for(20s);
    };
    cut_in_two({"a"}, {"b", "c", "d"});
    group["a"].chmod("f", 0600);
    group.world.run_for(10s);
    cut_in_two({"a", "d"}, {"b", "c"});
    group["b"].write("f", "new");
    group.world.run_for(10s);
    cut_in_two({"a", "d", "b"}, {"c"});
    group["c"].touch("f", kLongAgo);
    group.world.run_for(10s);
    group.world.heal();
    group.settle();
    CHECK(group.copies() == 0);
    CHECK(group["d"].text("f") == "new");
    CHECK(group.mode("c", "f") == 0600);
  }
}

TEST_CASE("two alone that both change the content keep both, once, and the mode of a third") {
  Apart group(5);
  group["a"].write("f", "old");
  group.world.start_all();
  group.settle();
  group.world.partition({"a"}, {"b", "c"});
  group.world.partition({"b"}, {"c"});
  group.world.run_for(10s);
  group["a"].write("f", "a's");
  group["b"].write("f", "b's");
  group["c"].chmod("f", 0600);
  group.world.run_for(20s);
  group.world.heal();
  group.settle();
  CHECK(group.copies() == 1);
  CHECK(group.mode("b", "f") == 0600);
}

namespace {

// What one person does to the directory `d`, which holds something, or to the file or link `f`.
struct Swap {
  const char* name;
  std::function<void(SimNode&)> act;
  const char* path;  // that is something else afterwards
};

const std::vector<Swap>& swaps() {
  static const std::vector<Swap> all = {
      {"directory to link",
       [](SimNode& at) {
         at.erase("d");
         at.link("d", "e");
       },
       "d"},
      {"directory to file",
       [](SimNode& at) {
         at.erase("d");
         at.write("d", "a file now");
       },
       "d"},
      {"a file moved over a directory",
       [](SimNode& at) {
         at.erase("d");
         at.rename("f", "d");
       },
       "d"},
      {"a link moved over a directory",
       [](SimNode& at) {
         at.erase("d");
         at.rename("l", "d");
       },
       "d"},
      {"directory moved away, a link in its place",
       [](SimNode& at) {
         at.rename("d", "moved");
         at.link("d", "moved");
       },
       "d"},
      {"file to directory",
       [](SimNode& at) {
         at.erase("f");
         at.write("f/in/it", "x");
       },
       "f"},
      {"file to link",
       [](SimNode& at) {
         at.erase("f");
         at.link("f", "e");
       },
       "f"},
      {"link to directory",
       [](SimNode& at) {
         at.erase("l");
         at.write("l/in/it", "x");
       },
       "l"},
      {"link to file",
       [](SimNode& at) {
         at.erase("l");
         at.write("l", "no link");
       },
       "l"},
      {"a directory in a directory to a file",
       [](SimNode& at) {
         at.erase("d/sub");
         at.write("d/sub", "a file now");
       },
       "d/sub"},
  };
  return all;
}

}  // namespace

TEST_CASE(
    "one person who puts something else in the place of a directory, file or link makes no copy") {
  enum class Other { kHere, kOff, kCutOff, kRestarts };
  for (const Swap& swap : swaps()) {
    for (const Other other : {Other::kHere, Other::kOff, Other::kCutOff, Other::kRestarts}) {
      for (const bool by_a : {true, false}) {
        Apart group(static_cast<std::uint64_t>(other) * 2 + by_a + 1, 2);
        for (const char* path : {"d/one", "d/two", "d/sub/three", "d/sub/deep/four", "e/five", "f"})
          group["a"].write(path, str("bytes of ", path));
        group["a"].link("l", "e");
        group.world.start_all();
        group.settle();
        INFO(swap.name << ", " << static_cast<int>(other) << ", " << by_a);
        SimNode& person = group[by_a ? "a" : "b"];
        SimNode& away = group[by_a ? "b" : "a"];
        if (other == Other::kOff) away.kill();
        if (other == Other::kCutOff) group.world.partition({"a"}, {"b"});
        if (other != Other::kHere) group.world.run_for(10s);
        swap.act(person);
        if (other == Other::kRestarts) {
          person.kill();
          person.start();
        }
        if (other != Other::kHere) group.world.run_for(20s);
        if (other == Other::kOff) away.start();
        group.world.heal();
        group.settle();
        CHECK(group.copies() == 0);
        CHECK(away.disk().seen(swap.path)->kind == person.disk().seen(swap.path)->kind);
      }
    }
  }
}

TEST_CASE("a file edited on both sides while it was ignored is kept twice when the rule goes") {
  for (const bool by_a : {true, false}) {
    for (const bool had_it : {true, false}) {
      // With a third its bytes of before would be a version of their own.
      Apart group(by_a ? 1 : 2, had_it ? 2 : 3);
      if (had_it) group["a"].write("notes", "of before");
      group.world.start_all();
      group.settle();
      group["a"].write(".lansyncignore", "notes\n");
      group.settle();
      group["a"].write("notes", "a's");
      group["b"].write("notes", "b's");
      group.settle();
      SimNode& person = group[by_a ? "a" : "b"];
      SimNode& other = group[by_a ? "b" : "a"];
      person.write(".lansyncignore", "nothing\n");
      group.settle();
      CHECK(group.copies() == 1);
      const std::string kept = person.text("notes");
      CHECK((kept == "a's" || kept == "b's"));
      CHECK(other.text("notes") == kept);
    }
  }
}
