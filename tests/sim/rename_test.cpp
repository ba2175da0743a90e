// Renames of others on a disk with and without room for a second copy, and the node's end or a
// disk's failure at each operation of that.
#include <set>
#include <string>

#include "sim/world.h"
#include "support/catch.h"

using namespace lansync;
using namespace lansync::sim;

namespace {

void settle(World& world, Duration limit = 120s) {
  const bool fine = world.converge(limit);
  INFO(world.verdict());
  REQUIRE(fine);
}

std::string text_of(int i) { return std::string(40'000 + static_cast<std::size_t>(i), 'm'); }
Bytes content_of(int i) {
  const std::string text = text_of(i);
  return {text.begin(), text.end()};
}
std::string name_of(const std::string& directory, int i) { return directory + std::to_string(i); }

enum class Fault { kNone, kKill, kPower, kError, kNoSpace };
bool ends_it(Fault fault) { return fault == Fault::kKill || fault == Fault::kPower; }

struct Story {
  Fault fault = Fault::kNone;
  std::uint64_t n = 0;  // at this operation of the disk
  bool full = false;
  bool at_the_hub = false;
  bool onto_another = false;
};

// a renames four files, one of them over another; what becomes of them on b's disk? True: the fault
// happened.
bool rename_with_fault(const Story& story) {
  INFO("fault " << static_cast<int>(story.fault) << " at operation " << story.n
                << (story.full ? ", full" : "") << (story.at_the_hub ? ", at the hub" : ""));
  World world(700 + story.n);
  SimNode& a = world.add("a");
  SimNode& b = world.add("b");
  for (int i = 0; i < 4; ++i) a.write(name_of("old/", i), text_of(i));
  a.write("over", "what stands there");
  for (int i = 0; i < 10; ++i) a.write(name_of("stays/", i), "stays " + std::to_string(i));
  SimNode& first = story.at_the_hub ? b : a;
  SimNode& second = story.at_the_hub ? a : b;
  first.start();
  REQUIRE(world.run_until([&] { return first.role() == Role::kServer; }, 10s));
  second.start();
  settle(world);
  if (story.full) b.disk().fill_up(60'000);
  for (int i = 0; i < 4; ++i) {
    const std::string to = i == 3 && story.onto_another ? "over" : name_of("new/", i);
    REQUIRE(a.rename(name_of("old/", i), to));
  }
  bool happened = false;
  bool begun = false;
  std::uint64_t left = story.n;
  b.set_on_operation([&](const std::string& operation, const std::string&) {
    if (begun || (operation != "copy_to_temp" && operation != "open_trash")) return;
    begun = true;
    if (ends_it(story.fault)) b.kill_after_operations(story.n, story.fault == Fault::kPower);
  });
  b.disk().set_failing([&](const std::string&) -> std::optional<Error> {
    if (story.fault == Fault::kNone || ends_it(story.fault)) return std::nullopt;
    if (!begun || left == 0 || --left > 0) return std::nullopt;
    happened = true;
    if (story.fault == Fault::kNoSpace) return Error{ErrorCode::kNoSpace, "no space left"};
    return Error{ErrorCode::kIo, "input/output error"};
  });
  world.run_until([&] { return !b.running() || (happened && !ends_it(story.fault)); }, 30s);
  if (b.running()) b.kill_after_operations(0, false);
  if (!b.running()) {
    happened = true;
    world.run_for(1s);
    b.start();
  }
  settle(world);
  b.set_on_operation({});
  b.disk().set_failing({});
  world.run_for(20s);
  CHECK(b.node().status().held_deletes == 0);
  CHECK(b.node().conflicts().empty());
  for (int i = 0; i < 4; ++i) {
    const std::string to = i == 3 && story.onto_another ? "over" : name_of("new/", i);
    INFO(to);
    CHECK_FALSE(b.disk().contents(name_of("old/", i)));
    CHECK(b.disk().contents(to) == content_of(i));
    CHECK(a.disk().contents(to) == content_of(i));
  }
  // Nothing of it passed for an edit of b's: it would have a count of its own.
  const ShortId own = short_id(b.node().replica().node());
  for (const auto& [path, record] : b.node().replica().index().paths()) {
    INFO(path << ", by " << (record.local ? record.local->author_name : ""));
    if (record.local) CHECK(record.local->version.count_of(own) == 0);
  }
  std::multiset<std::string> lies;
  for (const auto& [name, bytes] : b.disk().trash_files()) lies.insert(std::string(as_text(bytes)));
  CHECK(lies.count("what stands there") == (story.onto_another ? 1 : 0));
  if (story.fault == Fault::kNone) CHECK(lies.size() == (story.onto_another ? 1 : 0));
  return happened;
}

}  // namespace

TEST_CASE("files that others rename need room once, and leave nothing in the trash") {
  for (const bool full : {false, true}) {
    for (const bool at_the_hub : {false, true}) {
      for (const bool onto_another : {false, true})
        rename_with_fault({Fault::kNone, 0, full, at_the_hub, onto_another});
    }
  }
}

TEST_CASE("a node that ends at any point of a rename knows its own work again") {
  for (const Fault fault : {Fault::kKill, Fault::kPower}) {
    for (const bool full : {false, true}) {
      int happened = 0;
      for (std::uint64_t n = 1; n < 120; n += n < 60 ? 2 : 5) {
        if (!rename_with_fault({fault, n, full, n % 4 == 1, true})) break;
        ++happened;
      }
      CHECK(happened > 10);
    }
  }
}

TEST_CASE("a disk that fails at any point of a rename loses nothing of it") {
  for (const Fault fault : {Fault::kError, Fault::kNoSpace}) {
    for (const bool full : {false, true}) {
      for (std::uint64_t n = 1; n < 80; n += 3)
        rename_with_fault({fault, n, full, n % 2 == 1, true});
    }
  }
}

// The bytes go from the trash to the new name, and keep what they had there until it is set. What
// our own hand left half done went out as an edit, over the setting that had just come.
TEST_CASE("a renamed file whose mode cannot be set at once is nobody's edit of its mode") {
  World world(790);
  SimNode& a = world.add("a");
  SimNode& b = world.add("b");
  a.write("old", text_of(0));
  a.write("stays", "stays");
  world.start_all();
  settle(world);
  b.disk().fill_up(10'000);
  int left = 2;
  b.disk().set_failing([&](const std::string& operation) -> std::optional<Error> {
    if (operation != "set_metadata" || left == 0) return std::nullopt;
    --left;
    return Error{ErrorCode::kDenied, "permission denied"};
  });
  REQUIRE(a.rename("old", "new"));
  a.chmod("new", 0600);
  settle(world);
  CHECK(left < 2);
  for (SimNode* node : {&a, &b}) {
    CAPTURE(node->name());
    REQUIRE(node->has("new"));
    CHECK(node->disk().seen("new")->mode == 0600);
  }
}
