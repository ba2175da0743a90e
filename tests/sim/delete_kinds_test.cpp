// Deletes that look like something else: what takes the place of a file without being one, and
// copies that are deleted as well.
#include <functional>
#include <map>
#include <string>

#include "sim/world.h"
#include "support/catch.h"

using namespace lansync;
using namespace lansync::sim;

namespace {

constexpr int kFiles = 100;

std::string name_of(int i, const std::string& folder = "d") { return str(folder, '/', i); }

std::uint64_t held(SimNode& node) { return node.node().status().held_deletes; }

int files_of(const SimNode& node, const std::string& folder = "d") {
  int there = 0;
  for (int i = 0; i < kFiles; ++i)
    there += node.text(name_of(i, folder)) == str("text ", i) ? 1 : 0;
  return there;
}

// Two nodes with a hundred files; the one that deletes is not the hub.
struct Story {
  explicit Story(std::uint64_t seed, const std::string& limit = "50%")
      : world(seed), a(add("a", limit)), b(add("b", limit)) {
    for (int i = 0; i < kFiles; ++i) a.write(name_of(i), str("text ", i));
    world.start_all();
    settle();
  }
  SimNode& add(const std::string& name, const std::string& limit) {
    NodeOptions options;
    options.max_deletes = parse_max_deletes(limit).value();
    return world.add(name, options);
  }
  void settle() {
    const bool fine = world.converge(180s);
    INFO(world.verdict());
    REQUIRE(fine);
  }
  bool until(const std::function<bool()>& predicate) { return world.run_until(predicate, 60s); }
  SimNode& author() { return is_hub(a.role()) ? b : a; }
  SimNode& other() { return is_hub(a.role()) ? a : b; }

  World world;
  SimNode& a;
  SimNode& b;
};

struct Kind {
  const char* what;
  std::function<void(SimNode&, int)> put;
  bool has_files = false;
};
const Kind kKinds[] = {
    {"a directory", [](SimNode& node, int i) { node.make_folder(name_of(i)); }},
    {"a directory with a file in it",
     [](SimNode& node, int i) {
       node.make_folder(name_of(i));
       node.write(name_of(i) + "/new", str("new ", i));
     },
     true},
    {"a link", [](SimNode& node, int i) { node.link(name_of(i), "elsewhere"); }},
};

// a lets everything go, b holds what is beyond its limit.
struct OneBounded {
  explicit OneBounded(std::uint64_t seed) : world(seed) {
    for (int i = 0; i < kFiles; ++i) a.write(name_of(i), str("text ", i));
    world.start_all();
    REQUIRE(world.converge(60s));
  }
  static NodeOptions unbounded() {
    NodeOptions options;
    options.max_deletes = parse_max_deletes("100%").value();
    return options;
  }
  World world;
  SimNode& a = world.add("a", unbounded());
  SimNode& b = world.add("b");
};

}  // namespace

TEST_CASE("what takes a deleted file's place and is no file leaves the delete one that counts") {
  for (const Kind& kind : kKinds) {
    for (const bool confirmed : {false, true}) {
      INFO(kind.what << ", confirmed " << confirmed);
      Story story(301);
      SimNode& author = story.author();
      SimNode& other = story.other();
      for (int i = 0; i < kFiles; ++i) {
        author.erase(name_of(i));
        kind.put(author, i);
      }
      CHECK(story.until([&] { return held(author) == kFiles; }));
      story.world.run_for(30s);
      CHECK(held(author) == kFiles);
      CHECK(files_of(other) == kFiles);
      if (confirmed) {
        author.confirm_deletes("", [](const Result<ActionReport>&) {});
      } else {
        author.reject();
      }
      story.settle();
      CHECK(held(author) == 0);
      CHECK(held(other) == 0);
      const bool kept = !confirmed && !other.has(name_of(0) + "/new");
      CHECK(files_of(other) == (kept ? kFiles : 0));
      CHECK(files_of(author) == (kept ? kFiles : 0));
    }
  }
}

TEST_CASE(
    "a directory goes with what was held in it, also if a file stood in its place for a while") {
  Story story(302);
  SimNode& author = story.author();
  SimNode& other = story.other();
  author.erase("d");
  author.write("d", "a file in its place");
  CHECK(story.until([&] { return held(author) == kFiles; }));
  story.world.run_for(10s);
  author.rename("d", "moved");
  CHECK(story.until([&] { return other.text("moved") == "a file in its place"; }));
  story.world.run_for(30s);
  CHECK(held(author) == kFiles);
  CHECK(files_of(other) == kFiles);
  author.confirm_deletes("", [](const Result<ActionReport>&) {});
  story.settle();
  for (SimNode* node : {&author, &other}) {
    CHECK_FALSE(node->has("d"));
    CHECK(node->text("moved") == "a file in its place");
    CHECK(held(*node) == 0);
  }
}

TEST_CASE("what takes a deleted file's place and goes as well is a delete of the file") {
  for (const Kind& kind : kKinds) {
    for (const Duration between : {Duration(500ms), Duration(20s)}) {
      INFO(kind.what);
      Story story(302);
      SimNode& author = story.author();
      SimNode& other = story.other();
      for (int i = 0; i < kFiles; ++i) {
        author.erase(name_of(i));
        kind.put(author, i);
      }
      story.world.run_for(between);
      for (int i = 0; i < kFiles; ++i) {
        if (author.has(name_of(i) + "/new")) author.erase(name_of(i) + "/new");
        author.erase(name_of(i));
      }
      author.erase("d");
      CHECK(story.until([&] { return held(author) == kFiles; }));
      story.world.run_for(30s);
      CHECK(files_of(other) == kFiles);
      author.reject();
      story.settle();
      CHECK(files_of(author) == kFiles);
      CHECK(files_of(other) == kFiles);
    }
  }
}

TEST_CASE("a node holds what would take the place of its own files, whoever's it is") {
  for (const Kind& kind : kKinds) {
    for (const bool confirmed : {false, true}) {
      INFO(kind.what << ", confirmed " << confirmed);
      // These come in more than one message, and who went on in them keeps them.
      if (kind.has_files) continue;
      OneBounded pair(303);
      World& world = pair.world;
      SimNode& a = pair.a;
      SimNode& b = pair.b;
      for (int i = 0; i < kFiles; ++i) {
        a.erase(name_of(i));
        kind.put(a, i);
      }
      CHECK(world.run_until([&] { return held(b) == kFiles; }, 60s));
      world.run_for(30s);
      CHECK(files_of(b) == kFiles);
      if (confirmed) {
        b.confirm_deletes("", [](const Result<ActionReport>&) {});
      } else {
        b.reject();
      }
      const bool fine = world.converge(180s);
      INFO(world.verdict());
      REQUIRE(fine);
      CHECK(held(b) == 0);
      const bool kept = !confirmed && !a.has(name_of(0) + "/new");
      CHECK(files_of(a) == (kept ? kFiles : 0));
      CHECK(files_of(b) == (kept ? kFiles : 0));
    }
  }
}

TEST_CASE("a held directory in a file's place is held after a restart of its author") {
  Story story(304);
  SimNode& author = story.author();
  SimNode& other = story.other();
  for (int i = 0; i < kFiles; ++i) {
    author.erase(name_of(i));
    author.make_folder(name_of(i));
  }
  REQUIRE(story.until([&] { return held(author) == kFiles; }));
  story.world.run_for(10s);
  author.kill();
  story.world.run_for(10s);
  author.start();
  REQUIRE(story.until([&] { return held(author) == kFiles; }));
  story.world.run_for(30s);
  CHECK(files_of(other) == kFiles);
  author.confirm_deletes("", [](const Result<ActionReport>&) {});
  story.settle();
  CHECK(files_of(other) == 0);
  CHECK(other.has(name_of(7)));
}

TEST_CASE("of files and their fresh copies that are all deleted, all count") {
  for (const Duration copied : {0s, 3s, 15s}) {
    for (const Duration between : {0s, 4s, 15s}) {
      INFO("deleted " << copied.count() << " us after the copy, the copies " << between.count());
      Story story(305);
      SimNode& author = story.author();
      SimNode& other = story.other();
      for (int i = 0; i < kFiles; ++i) author.write(name_of(i, "e"), str("text ", i));
      story.world.run_for(copied);
      for (int i = 0; i < kFiles; ++i) author.erase(name_of(i));
      story.world.run_for(between);
      for (int i = 0; i < kFiles; ++i) author.erase(name_of(i, "e"));
      // What was let go as a rename is in the other's trash, and the copies still stand there.
      CHECK(story.until([&] { return held(author) >= kFiles; }));
      story.world.run_for(30s);
      CHECK(std::max(files_of(other), files_of(other, "e")) == kFiles);
      author.reject();
      story.settle();
      CHECK(std::max(files_of(author), files_of(author, "e")) == kFiles);
    }
  }
}

TEST_CASE("what is moved twice and then deleted counts once") {
  for (const Duration between : {0s, 4s}) {
    Story story(306);
    SimNode& author = story.author();
    for (int i = 0; i < 40; ++i) author.rename(name_of(i), name_of(i, "e"));
    story.world.run_for(between);
    for (int i = 0; i < 40; ++i) author.rename(name_of(i, "e"), name_of(i, "f"));
    story.world.run_for(between);
    for (int i = 0; i < 40; ++i) author.erase(name_of(i, "f"));
    story.settle();
    CHECK(held(author) == 0);
    CHECK(files_of(story.other()) == kFiles - 40);
  }
}

TEST_CASE("reject names what a run had put into a file's place before it was held") {
  for (const bool deleted : {true, false}) {
    for (const Kind& kind : kKinds) {
      INFO((deleted ? "deleted" : kind.what));
      if (kind.has_files) continue;
      OneBounded pair(307);
      World& world = pair.world;
      SimNode& a = pair.a;
      SimNode& b = pair.b;
      constexpr int kEarly = 10;
      for (int i = 0; i < kFiles; ++i) {
        a.erase(name_of(i));
        if (!deleted) kind.put(a, i);
        if (i + 1 == kEarly) world.run_for(10s);
      }
      CHECK(world.run_until([&] { return held(b) == kFiles - kEarly; }, 60s));
      std::map<RejectOutcome, int> rows;
      bool done = false;
      b.reject("", [&](const Result<RejectReport>& report) {
        done = true;
        if (!report) return;
        for (const RejectRow& row : report->rows) ++rows[row.outcome];
      });
      world.run_until([&] { return done; }, 120s);
      // A name that lives again is left alone; the rest of the run is undone.
      CHECK(rows[RejectOutcome::kLeft] == (deleted ? 0 : kEarly));
      CHECK(rows[RejectOutcome::kBack] == (deleted ? kFiles : kFiles - kEarly));
      CHECK(rows[RejectOutcome::kMissing] == 0);
      const bool fine = world.converge(180s);
      INFO(world.verdict());
      CHECK(fine);
      for (SimNode* node : {&a, &b}) CHECK(files_of(*node) == (deleted ? kFiles : kFiles - kEarly));
    }
  }
}

// Each node that rejects keeps its file against the directory, which the hub keeps because of what
// is in it: the directory must not stay the delete that it was, or it is rejected again for ever.
TEST_CASE("a rejected run that put a folder with a file into a file's place ends with both kept") {
  World world(308);
  NodeOptions strict;
  strict.max_deletes = parse_max_deletes("0").value();
  SimNode& hub = world.add("a", OneBounded::unbounded());
  SimNode& author = world.add("b", OneBounded::unbounded());
  SimNode& c = world.add("c", strict);
  SimNode& d = world.add("d", strict);
  hub.start();
  world.run_for(3s);
  world.start_all();
  hub.write("f", "a file");
  hub.write("other", "stays");
  REQUIRE(world.converge(60s));
  REQUIRE(is_hub(hub.role()));
  author.erase("f");
  author.write("f/new", "new");
  CHECK(world.run_until([&] { return held(c) > 0 && held(d) > 0; }, 60s));
  world.run_for(30s);
  for (SimNode* node : {&c, &d}) node->reject();
  const bool fine = world.converge(180s);
  INFO(world.verdict());
  REQUIRE(fine);
  for (SimNode* node : world.nodes()) {
    CHECK(node->text("f/new") == "new");
    CHECK(held(*node) == 0);
  }
}

// A person was told of a hundred; that sixty of them live by others' edits is no word on the rest.
TEST_CASE("edits elsewhere that beat most of a held run leave the rest of it held") {
  for (const bool held_by_author : {true, false}) {
    for (const bool restart : {false, true}) {
      INFO((held_by_author ? "held by its author" : "held by another")
           << (restart ? ", restarted" : ""));
      Story story(9, held_by_author ? "50%" : "100%");
      SimNode& third = story.add("c", held_by_author ? "100%" : "50%");
      third.start();
      story.settle();
      SimNode& holder = held_by_author ? story.author() : third;
      SimNode& editor = story.other();
      for (int i = 0; i < kFiles; ++i) story.author().erase(name_of(i));
      REQUIRE(story.until([&] { return held(holder) == kFiles; }));
      for (int i = 0; i < 60; ++i) editor.write(name_of(i), str("edited ", i));
      REQUIRE(story.until([&] { return held(holder) == kFiles - 60; }));
      story.world.run_for(10s);
      if (restart) {
        holder.stop();
        REQUIRE(story.until([&] { return !holder.running(); }));
        story.world.run_for(2s);
        holder.start();
        story.world.run_for(20s);
      }
      CHECK(held(holder) == kFiles - 60);
      CHECK(files_of(third) == kFiles - 60);
      holder.confirm();
      story.settle();
      CHECK(files_of(third) == 0);
      CHECK(third.text(name_of(59)) == "edited 59");
    }
  }
}

// They waited behind the deletes, which may be for days. (Whoever had edited read that the hub was
// syncing.)
TEST_CASE("edits of what a hub holds the deletes of reach everybody, and beat these") {
  for (const bool by_the_hub : {false, true}) {
    INFO((by_the_hub ? "edited on the hub" : "edited on a third"));
    World world(11);
    NodeOptions careful;
    careful.max_deletes = parse_max_deletes("50%").value();
    careful.role = ManualRole::kServer;
    NodeOptions free;
    free.max_deletes = MaxDeletes{};
    SimNode& hub = world.add("hub", careful);
    SimNode& author = world.add("author", free);
    SimNode& third = world.add("third", free);
    for (int i = 0; i < kFiles; ++i) hub.write(name_of(i), str("text ", i));
    world.start_all();
    REQUIRE(world.converge(60s));
    for (int i = 0; i < kFiles; ++i) author.erase(name_of(i));
    REQUIRE(world.run_until([&] { return held(hub) == kFiles; }, 60s));
    (by_the_hub ? hub : third).write(name_of(7), "edited");
    const auto there = [&](SimNode& node) { return node.text(name_of(7)) == "edited"; };
    CHECK(world.run_until([&] { return there(hub) && there(third) && there(author); }, 60s));
    CHECK(held(hub) == kFiles - 1);
    hub.confirm();
    REQUIRE(world.converge(180s));
    CHECK(there(author));
    CHECK(files_of(hub) == 0);
  }
}

// A rename is one where the new name is the group's as well.
TEST_CASE("a file that moves to where nothing is synced is deleted for the group, and counts") {
  const std::string deep = [] {
    std::string path;
    for (int i = 0; i < 66; ++i) path += "e/";
    return path;
  }();
  struct Place {
    const char* what;
    std::function<std::string(int)> name;
  };
  const Place places[] = {
      {"an ignored directory", [](int i) { return str("build/", i); }},
      {"an ignored name", [](int i) { return str(name_of(i), ".o"); }},
      {"a name that is none", [](int i) { return str(name_of(i), "\xFF"); }},
      {"too deep", [&](int i) { return str(deep, i); }},
  };
  std::uint64_t seed = 70;
  for (const Place& place : places) {
    INFO(place.what);
    Story story(++seed);
    SimNode& author = story.author();
    SimNode& other = story.other();
    author.write(".lansyncignore", "build/\n*.o\n");
    story.settle();
    for (int i = 0; i < 80; ++i) {
      story.world.oracle().on_superseded(*author.disk().contents(name_of(i)));
      REQUIRE(author.rename(name_of(i), place.name(i)));
    }
    CHECK(story.until([&] { return held(author) == 80; }));
    story.world.run_for(10s);
    CHECK(files_of(other) == kFiles);
  }
}
