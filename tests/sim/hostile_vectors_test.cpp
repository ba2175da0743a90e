// What a member can do with version vectors: claim other nodes' edits, fill a vector up, go beyond
// the numbers. It may cost the path that it was done to; never a node, another path or a restart.
#include <algorithm>
#include <limits>
#include <string>
#include <vector>

#include "base/rel_path.h"
#include "sim/hostile_member.h"
#include "support/catch.h"
#include "support/raw_message.h"
#include "sync/hashing.h"
#include "sync/index.h"
#include "sync/settlement.h"

using namespace lansync;
using namespace lansync::sim;

namespace {

using Parts = std::vector<VersionVector::Part>;

constexpr std::uint64_t kLimit = std::uint64_t{1} << 62;
constexpr std::uint64_t kAll = std::numeric_limits<std::uint64_t>::max();

Parts strangers(std::size_t count) {
  Parts parts;
  for (std::uint64_t id = 1; id <= count; ++id) parts.push_back({id << 32, 1});
  return parts;
}

ShortId short_of(SimNode& node) { return short_id(node.node().replica().node()); }

EntryPtr entry_of(SimNode& node, const std::string& path) {
  const PathRecord* record = node.node().replica().index().find(path);
  return record ? record->local : nullptr;
}

// A version of the file that stands there with the same bytes and another mode: nobody has to fetch
// anything. It covers what the node has, and claims `more` besides.
EntryPtr touched(SimNode& node, const std::string& path, const Parts& more) {
  Entry entry = *entry_of(node, path);
  Parts parts = entry.version.parts();
  parts.insert(parts.end(), more.begin(), more.end());
  entry.version = VersionVector(parts);
  entry.mode = entry.mode == 0600 ? 0640 : 0600;
  return std::make_shared<const Entry>(entry);
}

EntryPtr made(EntryKind kind, const Parts& parts) {
  Entry entry;
  entry.kind = kind;
  entry.mode = kind == EntryKind::kDirectory ? 0755 : 0;
  entry.version = VersionVector(parts);
  entry.author_name = "mallory";
  return std::make_shared<const Entry>(entry);
}

// Every row that the node has written can be read, and nothing else was written.
void require_readable(SimNode& node) {
  LoadedIndex loaded = *node.store().load();
  Index index;
  const std::vector<std::string> unreadable = index.load(loaded);
  INFO(node.name() << ": " << (unreadable.empty() ? "" : printable(unreadable.front(), 100)));
  REQUIRE(unreadable.empty());
}

enum class As { kMember, kHub };

// One node with a file, and the member against it: as a client of the node that is hub, or as a hub
// that says it has more members.
struct Against {
  explicit Against(std::uint64_t seed, As how) : world(seed), victim(world.add("a")), as(how) {
    world.add("b");
    victim.write("f", "by a person");
    victim.write("other", "by a person too");
    victim.start();
    REQUIRE(world.run_until([&] { return victim.in_sync() && is_hub(victim.role()); }, 30s));
    mallory = std::make_unique<HostileMember>(world, 100, seed);
    if (as == As::kHub) {
      mallory->hello().role = Role::kServer;
      mallory->hello().members = 50;
      mallory->hello().term = 9;
    }
    come();
  }

  void come() {
    mallory->dial(victim);
    bool here = world.run_until([&] { return mallory->greeted(victim); }, 30s);
    if (as == As::kHub) {
      world.run_for(1s);
      mallory->claim(victim);
      here = world.run_until([&] { return mallory->followed_by(victim); }, 30s);
    }
    INFO(world.difference());
    REQUIRE(here);
    if (as == As::kMember) {
      mallory->join(victim);
    } else {
      mallory->answer_index_get(victim);
    }
    world.run_for(2s);
    // Hearing that the group is empty it pushed all that it has.
    if (as == As::kHub) publish_all();
  }

  // As a hub that takes everything.
  void publish_all() {
    const auto* push = mallory->last<Push>(victim);
    if (push == nullptr) return;
    Done done;
    for (const PushItem& item : push->items) done.published.push_back({item.name, item.entry});
    mallory->send(victim, done);
    world.run_for(2s);
  }

  Message message_of(const std::string& path, const EntryPtr& entry) const {
    if (as == As::kMember) return Push{{{path, entry}}};
    Update update;
    update.term = 9;
    update.seq = 2;
    update.entries = {{path, entry}};
    return update;
  }
  void give(const std::string& path, const EntryPtr& entry) {
    if (!mallory->connected(victim)) come();
    mallory->send(victim, message_of(path, entry));
    world.run_for(3s);
  }
  void give_vector(const std::string& path, const Parts& parts) {
    if (!mallory->connected(victim)) come();
    // Without the last edits: those of before would be refused for being in no such vector.
    Entry entry = *touched(victim, path, {});
    entry.edits = {};
    RawValue raw = raw_of(message_of(path, std::make_shared<const Entry>(entry)));
    set_vectors(raw, parts);
    mallory->send_raw(victim, bytes_of(raw));
    world.run_for(3s);
  }
  // The member is gone, another comes: all that people wrote is there, on both.
  void go_on(bool without_f = false) {
    mallory.reset();
    world.run_for(5s);
    world.node("b").start();
    world.node("b").write("new", "by b");
    victim.write("later", "by a");
    const bool fine = world.run_until(
        [&] {
          return victim.text("new") == "by b" && world.node("b").text("later") == "by a" &&
                 (without_f || world.node("b").has("f")) && world.node("b").has("other");
        },
        120s);
    INFO(world.difference());
    REQUIRE(fine);
    require_readable(victim);
    require_readable(world.node("b"));
  }

  void restart() {
    require_readable(victim);
    victim.kill();
    victim.start();
    world.run_for(5s);
    REQUIRE(entry_of(victim, "f") != nullptr);
  }

  World world;
  SimNode& victim;
  As as;
  std::unique_ptr<HostileMember> mallory;
};

const char* name_of(As as) { return as == As::kMember ? "as a member" : "as a hub"; }

}  // namespace

TEST_CASE("who claims the last edits of another node's id stops none of its edits") {
  for (As as : {As::kMember, As::kHub}) {
    for (std::uint64_t claimed : {std::uint64_t{1'000'000'000}, kLimit - 1}) {
      INFO(name_of(as) << ", " << claimed);
      Against story(70, as);
      SimNode& victim = story.victim;
      const ShortId own = short_of(victim);
      const EntryPtr forged = touched(victim, "f", {{own, claimed}, {settling_id(own), claimed}});
      story.give("f", forged);
      victim.write("f", "edited after it");
      story.world.run_for(5s);
      victim.erase("other");
      victim.write("other", "made anew");
      story.world.run_for(5s);
      REQUIRE(entry_of(victim, "f")->size == 15);
      story.restart();
      victim.write("f", "and after a restart");
      story.world.run_for(5s);
      REQUIRE(entry_of(victim, "f")->size == 19);
      story.go_on();
      CHECK(story.world.node("b").text("f") == "and after a restart");
    }
  }
}

TEST_CASE("a count that is none drops its sender, and nothing of its message is used") {
  for (As as : {As::kMember, As::kHub}) {
    for (std::uint64_t count : {kLimit, kLimit + 1, std::uint64_t{1} << 63, kAll}) {
      INFO(name_of(as) << ", " << count);
      Against story(71, as);
      const std::uint64_t rejected = story.victim.node().status().counters.rejected;
      story.give_vector("f", {{short_of(story.victim), count}});
      CHECK_FALSE(story.mallory->connected(story.victim));
      CHECK(story.victim.node().status().counters.rejected > rejected);
      CHECK(entry_of(story.victim, "f")->mode == 0644);
      story.victim.write("f", "edited after it");
      story.world.run_for(5s);
      story.restart();
      story.go_on();
      CHECK(story.world.node("b").text("f") == "edited after it");
    }
  }
}

TEST_CASE("a vector that is too long drops its sender, and the longest one costs its path alone") {
  for (As as : {As::kMember, As::kHub}) {
    for (std::size_t parts : {512, 513, 1023, 1024, 1025}) {
      INFO(name_of(as) << ", " << parts);
      Against story(72, as);
      const bool taken = parts <= 512;
      Parts all = entry_of(story.victim, "f")->version.parts();
      Parts more = strangers(parts - all.size());
      all.insert(all.end(), more.begin(), more.end());
      std::sort(all.begin(), all.end());
      story.give_vector("f", all);
      CHECK(story.mallory->connected(story.victim) == taken);
      CHECK((entry_of(story.victim, "f")->mode == 0600) == taken);
      story.victim.write("f", "edited after it");
      story.world.run_for(5s);
      const auto& problems = story.victim.node().replica().problems();
      CHECK((problems.contains("f") && problems.at("f") == kTooManyAuthors) == taken);
      CHECK(story.mallory->connected(story.victim) == taken);
      story.restart();
      story.world.run_for(60s);
      CHECK(story.victim.node().replica().problems().contains("f") == taken);
      CHECK(story.victim.text("f") == "edited after it");
      // The group's version is the one that was edited here: nobody has its bytes any more.
      story.go_on(taken);
      if (!taken) CHECK(story.world.node("b").text("f") == "edited after it");
      CHECK(story.world.run_until([&] { return story.victim.in_sync(); }, 60s));
      // A name of its own, as the problem says, and nothing is in the way.
      story.victim.rename("f", "f of my own");
      CHECK(story.world.run_until(
          [&] { return story.world.node("b").text("f of my own") == "edited after it"; }, 60s));
    }
  }
}

TEST_CASE("a deleted directory whose vector is full costs what is put there, and nothing else") {
  Against story(73, As::kMember);
  story.give("d", made(EntryKind::kTombstone, strangers(512)));
  story.give("e", made(EntryKind::kDirectory, strangers(512)));
  REQUIRE(story.mallory->connected(story.victim));
  story.world.node("b").make_folder("d");
  story.world.node("b").write("d/below", "text");
  story.victim.make_folder("d");
  story.victim.write("d/mine", "text");
  story.victim.write("e/fine", "text");
  story.victim.erase("e/fine");
  story.victim.erase("e");
  story.world.run_for(20s);
  story.restart();
  story.go_on();
  CHECK(story.world.node("b").text("d/below") == "text");
  CHECK(story.victim.text("d/mine") == "text");
}

TEST_CASE("two full vectors that meet at a hub are settled by neither, and the node goes on") {
  Against story(74, As::kMember);
  Parts ours = strangers(512);
  Parts theirs;
  for (const VersionVector::Part& part : ours) theirs.push_back({part.id + 1, 1});
  for (EntryKind kind : {EntryKind::kTombstone, EntryKind::kDirectory}) {
    const std::string path = kind == EntryKind::kTombstone ? "gone" : "dir";
    story.give(path, made(kind, ours));
    story.give(path, made(kind, theirs));
    const auto* verdict = story.mallory->last<Verdict>(story.victim);
    REQUIRE(verdict != nullptr);
    CHECK(verdict->kind == VerdictKind::kRefuse);
    CHECK(verdict->items[0].detail == kTooManyAuthors);
  }
  CHECK(story.mallory->connected(story.victim));
  story.restart();
  story.go_on();
}

TEST_CASE("many paths of the longest names and vectors are taken in, and the node goes on") {
  Against story(75, As::kMember);
  std::string deep = "d";
  for (int level = 1; level < 63; ++level) deep += "/d";
  REQUIRE(!broken_path_rule(deep + "/f"));
  for (int batch = 0; batch < 40; ++batch) {
    Push push;
    for (int i = 0; i < 20; ++i) {
      std::string name = std::to_string(batch * 20 + i);
      name.resize(255, 'n');
      Parts parts = strangers(500);
      push.items.push_back({name, made(EntryKind::kDirectory, parts)});
    }
    if (batch == 0) push.items.push_back({deep + "/f", made(EntryKind::kDirectory, strangers(2))});
    REQUIRE(story.mallory->send(story.victim, push));
    story.world.run_for(200ms);
  }
  story.world.run_for(10s);
  CHECK(story.mallory->connected(story.victim));
  CHECK(story.victim.has(deep + "/f"));
  story.give(deep + "/f/f", made(EntryKind::kDirectory, strangers(2)));
  CHECK_FALSE(story.victim.has(deep + "/f/f"));
  story.restart();
  story.go_on();
  CHECK(story.world.run_until([&] { return story.world.node("b").has(deep + "/f"); }, 60s));
}

TEST_CASE("who names a content that is here with another size is dropped") {
  for (As as : {As::kMember, As::kHub}) {
    INFO(name_of(as));
    Against story(76, as);
    Entry entry = *touched(story.victim, "f", {{5, 1}});
    entry.size = std::uint64_t{1} << 62;
    story.give("f", std::make_shared<const Entry>(entry));
    CHECK_FALSE(story.mallory->connected(story.victim));
    CHECK(entry_of(story.victim, "f")->mode == 0644);
    story.restart();
    story.go_on();
    CHECK(story.world.node("b").text("f") == "by a person");
  }
}
