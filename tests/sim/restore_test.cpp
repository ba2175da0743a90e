// `trash --restore`: what comes back, over what, and what is left alone.
#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "sim/world.h"
#include "support/catch.h"

using namespace lansync;
using namespace lansync::sim;

namespace {

struct Pair {
  explicit Pair(std::uint64_t seed) : world(seed), a(world.add("a")), b(world.add("b")) {}
  void settle() {
    const bool fine = world.converge(60s);
    INFO(world.verdict());
    REQUIRE(fine);
  }
  // What came back, or why not.
  struct Answer {
    std::vector<std::string> paths;
    std::string error;
  };
  Answer restore(SimNode& node, const std::string& path,
                 std::optional<WallTime> time = std::nullopt) {
    world.oracle().history().on_undone(path);
    std::optional<Answer> answer;
    node.node().trash_restore({path, time}, [&](const Result<std::vector<TrashReport>>& rows) {
      answer.emplace();
      if (!rows) answer->error = rows.error().detail;
      if (rows)
        for (const TrashReport& row : *rows) answer->paths.push_back(row.path);
    });
    world.run_until([&] { return answer.has_value(); }, 60s);
    REQUIRE(answer);
    return *answer;
  }
  World world;
  SimNode& a;
  SimNode& b;
};

}  // namespace

TEST_CASE("a version that whoever restores has not seen is left alone where the trash lies") {
  Pair pair(1);
  pair.a.write("d/f", "first");
  pair.a.write("d/g", "first g");
  pair.world.start_all();
  pair.settle();
  // In b's trash.
  pair.a.erase("d");
  pair.settle();
  // At b they live again, and a does not know of that.
  REQUIRE(pair.b.write("d/f", "made anew by b"));
  REQUIRE(pair.b.write("d/g", "made anew by b, too"));
  const Pair::Answer answer = pair.restore(pair.a, "d");
  pair.settle();
  for (SimNode* node : {&pair.a, &pair.b}) {
    CHECK(node->text("d/f") == "made anew by b");
    CHECK(node->text("d/g") == "made anew by b, too");
  }
  // Nor what a named file has become meanwhile.
  REQUIRE(pair.b.write("d/f", "the next of b's"));
  (void)pair.restore(pair.a, "d/f");
  pair.settle();
  CHECK(pair.a.text("d/f") == "the next of b's");
  CHECK(pair.b.text("d/f") == "the next of b's");
}

TEST_CASE("a directory that is brought back has its empty directories, with their modes") {
  Pair pair(2);
  pair.a.write("d/sub/f", "f");
  pair.a.make_folder("d/empty");
  pair.a.make_folder("d/deep/er/empty");
  pair.a.chmod("d/empty", 0750);
  pair.world.start_all();
  pair.settle();
  const SeenTree before = pair.a.disk().tree();
  pair.a.erase("d");
  pair.settle();
  SECTION("where it was deleted") {
    const Pair::Answer answer = pair.restore(pair.a, "d");
    CHECK(answer.error == "");
    CHECK(std::count(answer.paths.begin(), answer.paths.end(), "d/empty") == 1);
    CHECK(std::count(answer.paths.begin(), answer.paths.end(), "d/deep/er/empty") == 1);
  }
  SECTION("and elsewhere") { CHECK(pair.restore(pair.b, "d").error == ""); }
  pair.world.run_until([&] { return pair.world.converged(); }, 60s);
  for (SimNode* node : {&pair.a, &pair.b}) {
    const SeenTree now = node->disk().tree();
    REQUIRE(now.size() == before.size());
    for (const auto& [path, seen] : before) {
      INFO(path);
      REQUIRE(now.contains(path));
      CHECK(now.at(path).mode == seen.mode);
      CHECK(now.at(path).bytes == seen.bytes);
    }
  }
}

TEST_CASE("an empty directory comes back by its own name") {
  Pair pair(3);
  pair.a.make_folder("alone");
  pair.world.start_all();
  pair.settle();
  pair.b.erase("alone");
  pair.settle();
  CHECK(pair.restore(pair.a, "alone").error == "");
  pair.world.run_until([&] { return pair.b.has("alone"); }, 60s);
  CHECK(pair.b.has("alone"));
}

TEST_CASE("what is asked to come back twice comes back once, and nothing for what it displaced") {
  Pair pair(4);
  pair.a.write("f", "first");
  pair.world.start_all();
  pair.settle();
  SimNode& author = GENERATE(true, false) ? pair.a : pair.b;
  REQUIRE(author.write("f", "second, and wrong"));
  pair.settle();
  CHECK(pair.restore(pair.a, "f").error == "");
  pair.world.run_until([&] { return pair.world.converged(); }, 60s);
  CHECK(pair.a.text("f") == "first");
  CHECK(pair.b.text("f") == "first");
  CHECK(pair.restore(pair.a, "f").error.find("NAME@TIME") != std::string::npos);
  pair.world.run_until([&] { return pair.world.converged(); }, 60s);
  CHECK(pair.a.text("f") == "first");
  // Another edit is another matter.
  REQUIRE(pair.b.write("f", "third"));
  pair.world.run_until([&] { return pair.a.text("f") == "third"; }, 60s);
  CHECK(pair.restore(pair.a, "f").error == "");
  pair.world.run_until([&] { return pair.world.converged(); }, 60s);
  CHECK(pair.b.text("f") == "first");
}

TEST_CASE("what is written while a restore is under way is left alone") {
  Pair pair(6);
  pair.a.write("f", "first");
  pair.world.start_all();
  pair.settle();
  REQUIRE(pair.a.write("f", "second"));
  pair.settle();
  LinkFaults far;
  far.delay = 400ms;
  far.jitter = 0s;
  pair.world.network().set_all(far);
  std::string answer;
  pair.a.node().trash_restore({"f", std::nullopt},
                              [&](const Result<std::vector<TrashReport>>& rows) {
                                answer = rows ? "it came back" : rows.error().detail;
                              });
  // The question is on its way to b.
  pair.a.write("f", "third");
  pair.world.run_until([&] { return !answer.empty(); }, 20s);
  CHECK(answer.find("another version meanwhile") != std::string::npos);
  CHECK(pair.a.text("f") == "third");
  pair.world.heal();
  pair.settle();
  CHECK(pair.b.text("f") == "third");
}

TEST_CASE("a version of the trash's owner that whoever restores has not got yet is left alone") {
  Pair pair(7);
  pair.a.write("f", "first");
  pair.world.start_all();
  pair.settle();
  // The hub asks, so that a member's next version is only on its way to it.
  SimNode& hub = pair.a.role() == Role::kServer ? pair.a : pair.b;
  SimNode& owner = &hub == &pair.a ? pair.b : pair.a;
  REQUIRE(hub.write("f", "second"));
  pair.settle();
  LinkFaults far;
  far.delay = 400ms;
  far.jitter = 0s;
  pair.world.network().set_all(far);
  REQUIRE(owner.write("f", "third"));
  auto has_version = [&] {
    const PathRecord* record = owner.node().replica().index().find("f");
    return record->local->size == 5 && record->local != record->synced;
  };
  pair.world.run_until(has_version, 20s);
  REQUIRE(has_version());
  std::string answer;
  hub.node().trash_restore({"f", std::nullopt}, [&](const Result<std::vector<TrashReport>>& rows) {
    answer = rows ? "it came back" : rows.error().detail;
  });
  pair.world.run_until([&] { return !answer.empty(); }, 20s);
  CHECK(answer.find("is there by now") != std::string::npos);
  pair.world.heal();
  pair.settle();
  CHECK(hub.text("f") == "third");
  CHECK(owner.text("f") == "third");
}
