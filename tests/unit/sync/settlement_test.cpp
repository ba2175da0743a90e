#include "sync/settlement.h"

#include <map>
#include <set>

#include "base/log.h"
#include "base/random.h"
#include "support/catch.h"
#include "sync/conflict_name.h"
#include "sync/hashing.h"

namespace lansync {
namespace {

constexpr ShortId kNode = 100;
constexpr ShortId kHub = settling_id(kNode);
constexpr std::uint64_t kNext = 50;

VersionVector vector(std::vector<VersionVector::Part> parts) {
  return VersionVector(std::move(parts));
}

EntryPtr file(const std::string& bytes, VersionVector version) {
  auto entry = std::make_shared<Entry>();
  entry->content = content_id_of(as_bytes(bytes));
  entry->size = bytes.size();
  entry->mtime_ns = 5;
  entry->version = std::move(version);
  entry->author = 1;
  entry->author_name = "desk";
  entry->edited = *parse_time("2026-11-21T12:30:05Z");
  return entry;
}
EntryPtr with_metadata(const EntryPtr& entry, std::uint16_t mode, std::int64_t mtime_ns) {
  auto changed = std::make_shared<Entry>(*entry);
  changed->mode = mode;
  changed->mtime_ns = mtime_ns;
  return changed;
}
EntryPtr of_kind(EntryKind kind, VersionVector version, const std::string& target = "") {
  auto entry = std::make_shared<Entry>(*file(target, std::move(version)));
  entry->kind = kind;
  entry->size = 0;
  entry->mtime_ns = 0;
  entry->target = target;
  if (!entry->is_symlink()) entry->content = ContentId{};
  return entry;
}
EntryPtr directory(VersionVector version) {
  return of_kind(EntryKind::kDirectory, std::move(version));
}
EntryPtr tombstone(VersionVector version) {
  return of_kind(EntryKind::kTombstone, std::move(version));
}
EntryPtr with_edits(const EntryPtr& entry, const LastEdits& edits) {
  auto changed = std::make_shared<Entry>(*entry);
  changed->edits = edits;
  return changed;
}

struct Hub {
  std::map<std::string, EntryPtr> tree;
  bool live_children = false;
  Settlement push(const std::string& path, const EntryPtr& pushed) {
    HubView view = look();
    return settle({path, *pushed}, view.lookup(path), view);
  }
  HubView look() {
    return {kNode, kNext, live_children, [this](const std::string& name) {
              auto found = tree.find(name);
              return found == tree.end() ? nullptr : found->second;
            }};
  }
};

const std::string kCopy = "f (conflict desk 2026-11-21 12.30.05).txt";

TEST_CASE("what the hub does not know is taken as it is") {
  Hub hub;
  EntryPtr pushed = file("x", vector({{1, 1}}));
  Settlement s = hub.push("f.txt", pushed);
  CHECK(s.kind == SettlementKind::kAccept);
  CHECK(s.entry->version == pushed->version);
  CHECK(s.changed);
  CHECK(s.content_needed);
  CHECK(!s.count_used);
  CHECK(!hub.push("gone", tombstone(vector({{1, 2}}))).content_needed);
}

TEST_CASE("a newer version is taken, an equal or older one is answered with the hub's") {
  Hub hub;
  hub.tree["f.txt"] = file("x", vector({{1, 1}, {2, 1}}));
  Settlement newer = hub.push("f.txt", file("y", vector({{1, 2}, {2, 1}})));
  CHECK(newer.kind == SettlementKind::kAccept);
  CHECK(newer.content_needed);
  Settlement older = hub.push("f.txt", file("w", vector({{1, 1}})));
  CHECK(older.kind == SettlementKind::kHave);
  CHECK(older.entry == hub.tree["f.txt"]);
  CHECK(!older.changed);
  Settlement equal = hub.push("f.txt", file("x", vector({{1, 1}, {2, 1}})));
  CHECK(equal.kind == SettlementKind::kHave);
  CHECK(!equal.changed);
  CHECK(!equal.mismatch);
}

TEST_CASE("new metadata of the same bytes needs no content") {
  Hub hub;
  hub.tree["f.txt"] = file("x", vector({{1, 1}}));
  Settlement s = hub.push("f.txt", with_metadata(file("x", vector({{1, 2}})), 0600, 9));
  CHECK(s.kind == SettlementKind::kAccept);
  CHECK(s.changed);
  CHECK(!s.content_needed);
}

TEST_CASE("concurrent edits: the hub's keeps the name, the pushed one becomes the copy") {
  Hub hub;
  hub.tree["f.txt"] = file("mine", vector({{1, 1}, {2, 1}}));
  EntryPtr pushed = file("theirs", vector({{1, 2}}));
  Settlement s = hub.push("f.txt", pushed);
  CHECK(s.kind == SettlementKind::kConflict);
  CHECK(s.entry->content == hub.tree["f.txt"]->content);
  CHECK(s.entry->version == vector({{1, 2}, {2, 1}, {kHub, kNext}}));
  CHECK(s.count_used);
  CHECK(!s.content_needed);
  CHECK(!s.hub_lost);
  CHECK(s.copy_path == kCopy);
  REQUIRE(s.copy);
  CHECK(same_on_disk(*s.copy, *pushed));
  CHECK(s.copy->author_name == "desk");
}

TEST_CASE("two hubs that settle the same conflict apart make the same copy") {
  EntryPtr loser = file("theirs", vector({{1, 2}}));
  Hub one;
  Hub two;
  one.tree["f.txt"] = file("a", vector({{2, 1}}));
  two.tree["f.txt"] = file("b", vector({{3, 7}}));
  Settlement a = one.push("f.txt", loser);
  Settlement b = two.push("f.txt", loser);
  CHECK(a.copy_path == b.copy_path);
  CHECK(a.copy->version == b.copy->version);
  CHECK(same_on_disk(*a.copy, *b.copy));
}

TEST_CASE("a name that is taken by other bytes gets the content id; by the same bytes, nothing") {
  Hub hub;
  hub.tree["f.txt"] = file("mine", vector({{2, 1}}));
  EntryPtr pushed = file("theirs", vector({{1, 1}}));
  hub.tree[kCopy] = file("theirs", vector({{9, 9}}));
  Settlement same = hub.push("f.txt", pushed);
  CHECK(same.copy_path == kCopy);
  CHECK(!same.copy);
  hub.tree[kCopy] = file("other", vector({{9, 9}}));
  Settlement other = hub.push("f.txt", pushed);
  CHECK(other.copy_path ==
        "f (conflict desk 2026-11-21 12.30.05 " + to_hex(pushed->content).substr(0, 8) + ").txt");
  CHECK(other.copy);
}

TEST_CASE("a version that a conflict copy keeps already gives the name to the other") {
  Hub hub;
  const EntryPtr lost = file("x", vector({{1, 1}}));
  hub.tree["f.txt"] = lost;
  hub.tree[kCopy] =
      make_conflict_copy("f.txt", *lost, [](const std::string&) { return EntryPtr(); })->entry;
  const EntryPtr pushed = file("y", vector({{2, 1}}));
  Settlement s = hub.push("f.txt", pushed);
  CHECK(s.hub_lost);
  CHECK(s.content_needed);
  CHECK(!s.copy);
  CHECK(s.entry->content == pushed->content);
  CHECK(s.entry->version.compare(lost->version) == Order::kNewer);
  CHECK(s.entry->version.compare(pushed->version) == Order::kNewer);
  // Somebody wrote to the copy, and goes on with it: nothing may count on it.
  auto written = std::make_shared<Entry>(*hub.tree[kCopy]);
  written->version = VersionVector::merged(written->version, vector({{7, 3}}));
  hub.tree[kCopy] = written;
  s = hub.push("f.txt", pushed);
  CHECK(!s.hub_lost);
  CHECK(s.entry->content == lost->content);
  // Both are kept: the hub's stays.
  hub.tree[kCopy] = file("x", vector({{9, 1}}));
  auto later = std::make_shared<Entry>(*pushed);
  later->author_name = "lap";
  hub.tree["f (conflict lap 2026-11-21 12.30.05).txt"] = file("y", vector({{8, 1}}));
  CHECK(!hub.push("f.txt", later).hub_lost);
}

TEST_CASE("what has lost a name and is kept beside it does not beat the delete of the winner") {
  const EntryPtr lost = file("x", vector({{1, 1}}));
  const EntryPtr gone = tombstone(vector({{2, 1}, {3, 1}}));
  const EntryPtr copy =
      make_conflict_copy("f.txt", *lost, [](const std::string&) { return EntryPtr(); })->entry;
  for (const bool kept : {false, true}) {
    Hub hub;
    if (kept) hub.tree[kCopy] = copy;
    hub.tree["f.txt"] = gone;
    const Settlement late = hub.push("f.txt", lost);
    CHECK(late.entry->is_tombstone() == kept);
    CHECK(late.entry->version.covers(lost->version));
    CHECK(late.entry->version.covers(gone->version));
    hub.tree["f.txt"] = lost;
    const Settlement early = hub.push("f.txt", gone);
    CHECK(early.entry->is_tombstone() == kept);
    CHECK(early.entry->version.covers(lost->version));
  }
}

TEST_CASE("a copy whose every name was deleted is newer than the tombstone it replaces") {
  Hub hub;
  hub.tree["f.txt"] = file("mine", vector({{2, 1}}));
  EntryPtr pushed = file("theirs", vector({{1, 1}}));
  for (int i = 0; i < 3; ++i) {
    Settlement s = hub.push("f.txt", pushed);
    REQUIRE(s.copy);
    CHECK(hub.tree.count(s.copy_path) == 0);
    VersionVector gone = s.copy->version;
    gone.raise(7, 1);
    hub.tree[s.copy_path] = tombstone(gone);
  }
  Settlement last = hub.push("f.txt", pushed);
  REQUIRE(last.copy);
  CHECK(last.copy_path == kCopy);
  CHECK(last.copy->version.compare(hub.tree[kCopy]->version) == Order::kNewer);
}

TEST_CASE("the copy of a conflict copy is named without a second suffix") {
  Hub hub;
  hub.tree[kCopy] = file("mine", vector({{2, 1}}));
  Settlement s = hub.push(kCopy, file("theirs", vector({{1, 1}})));
  CHECK(s.kind == SettlementKind::kConflict);
  CHECK(s.copy_path != kCopy);
  CHECK(s.copy_path.find("(conflict") == s.copy_path.rfind("(conflict"));
}

TEST_CASE("concurrent versions of the same bytes merge their vectors, without a copy or a count") {
  Hub hub;
  hub.tree["f.txt"] = file("x", vector({{1, 1}}));
  Settlement s = hub.push("f.txt", file("x", vector({{2, 1}})));
  CHECK(s.kind == SettlementKind::kHave);
  CHECK(s.changed);
  CHECK(s.entry->version == vector({{1, 1}, {2, 1}}));
  CHECK(!s.count_used);
  CHECK(!s.copy);
}

TEST_CASE("what only one side changed is no conflict") {
  const Edit first{1, 1};
  const Edit my{2, 1};
  const Edit their{1, 2};
  Hub hub;
  VersionVector mine = vector({{1, 1}, {2, 1}});
  VersionVector theirs = vector({{1, 2}});
  const auto edited = [](const std::string& bytes, const VersionVector& version, LastEdits edits,
                         std::uint16_t mode, std::int64_t mtime_ns) {
    return with_edits(with_metadata(file(bytes, version), mode, mtime_ns), edits);
  };
  SECTION("they the content, the hub the mode") {
    hub.tree["f"] = edited("old", mine, {first, my, first}, 0600, 1);
    Settlement s = hub.push("f", edited("new", theirs, {their, first, their}, 0644, 2));
    CHECK(s.kind == SettlementKind::kAccept);
    CHECK(s.content_needed);
    CHECK(s.entry->content == file("new", {})->content);
    CHECK(s.entry->mode == 0600);
    CHECK(s.entry->mtime_ns == 2);
    CHECK(s.entry->edits == LastEdits{their, my, their});
  }
  SECTION("they the mode, the hub the content") {
    hub.tree["f"] = edited("new", mine, {my, first, my}, 0644, 2);
    Settlement s = hub.push("f", edited("old", theirs, {first, their, first}, 0600, 1));
    CHECK(s.kind == SettlementKind::kHave);
    CHECK(s.changed);
    CHECK(s.entry->content == file("new", {})->content);
    CHECK(s.entry->mode == 0600);
    CHECK(s.entry->mtime_ns == 2);
    CHECK(s.entry->edits == LastEdits{my, their, my});
  }
  SECTION("both the mode: the hub's") {
    hub.tree["f"] = edited("old", mine, {first, my, first}, 0600, 1);
    Settlement s = hub.push("f", edited("old", theirs, {first, their, their}, 0640, 3));
    CHECK(s.kind == SettlementKind::kHave);
    CHECK(s.entry->mode == 0600);
    CHECK(s.entry->mtime_ns == 3);
  }
  SECTION("both the content: a conflict") {
    hub.tree["f"] = edited("a", mine, {my, first, first}, 0644, 1);
    CHECK(hub.push("f", edited("b", theirs, {their, first, first}, 0644, 1)).kind ==
          SettlementKind::kConflict);
  }
  SECTION("of which nothing is known is changed") {
    hub.tree["f"] = file("old", mine);
    CHECK(hub.push("f", file("b", theirs)).kind == SettlementKind::kConflict);
  }
  SECTION("two hubs decided differently on the same two: a conflict") {
    hub.tree["f"] = edited("a", vector({{1, 2}, {2, 1}, {8, 1}}), {my, first, first}, 0644, 1);
    EntryPtr other = edited("b", vector({{1, 2}, {2, 1}, {9, 1}}), {their, first, first}, 0644, 1);
    CHECK(hub.push("f", other).kind == SettlementKind::kConflict);
  }
  SECTION("a link that took the file's place has no mode to give, nor takes one") {
    auto link = std::make_shared<Entry>(*of_kind(EntryKind::kSymlink, theirs, "t"));
    link->mode = 0777;
    hub.tree["f"] = edited("old", mine, {first, my, first}, 0600, 1);
    Settlement s = hub.push("f", with_edits(link, {their, their, their}));
    CHECK(s.kind == SettlementKind::kAccept);
    CHECK(s.entry->is_symlink());
    CHECK(s.entry->mode == 0777);
  }
}

TEST_CASE("a revert to earlier bytes is an edit like any other") {
  // Both knew "x" and then "y"; one went back to "x", the other changed the mode of "y".
  Hub hub;
  hub.tree["f"] = with_edits(file("x", vector({{1, 2}, {2, 1}})), {{2, 1}, {1, 1}, {1, 1}});
  auto chmod = with_metadata(file("y", vector({{1, 3}})), 0600, 5);
  Settlement s = hub.push("f", with_edits(chmod, {{1, 2}, {1, 3}, {1, 1}}));
  CHECK(s.kind == SettlementKind::kHave);
  CHECK(s.entry->content == file("x", {})->content);
  CHECK(s.entry->mode == 0600);
}

TEST_CASE("a directory in the place of a file whose bytes its author had seen leaves no copy") {
  Hub hub;
  const Edit first{1, 1};
  auto chmod = with_metadata(file("x", vector({{1, 1}, {2, 1}})), 0600, 5);
  hub.tree["f"] = with_edits(chmod, {first, {2, 1}, first});
  EntryPtr made = with_edits(directory(vector({{1, 2}})), {{1, 2}, {1, 2}, {1, 2}});
  CHECK(hub.push("f", made).kind == SettlementKind::kAccept);
  hub.tree["f"] = with_edits(chmod, {{2, 1}, {2, 1}, first});
  CHECK(hub.push("f", made).kind == SettlementKind::kConflict);
}

TEST_CASE("an edit's part is what it changed, and the rest keeps the edits that it had") {
  Entry before = *file("x", vector({{1, 1}}));
  note_edits(before, nullptr, VersionVector());
  CHECK(before.edits == LastEdits{{1, 1}, {1, 1}, {1, 1}});
  Entry touched = before;
  touched.version = vector({{1, 1}, {2, 7}});
  touched.mtime_ns = 99;
  note_edits(touched, &before, before.version);
  CHECK(touched.edits == LastEdits{{1, 1}, {1, 1}, {2, 7}});
  Entry link = *of_kind(EntryKind::kSymlink, vector({{1, 1}, {2, 8}}), "t");
  note_edits(link, &before, before.version);
  CHECK(link.edits == LastEdits{{2, 8}, {2, 8}, {2, 8}});
}

TEST_CASE("an edit beats a delete, whoever made it, and covers both") {
  Hub hub;
  hub.tree["f"] = file("x", vector({{1, 1}, {2, 1}}));
  Settlement kept = hub.push("f", tombstone(vector({{1, 2}})));
  CHECK(kept.kind == SettlementKind::kHave);
  CHECK(kept.entry->is_file());
  CHECK(kept.entry->version == vector({{1, 2}, {2, 1}, {kHub, kNext}}));
  hub.tree["f"] = tombstone(vector({{1, 1}, {2, 1}}));
  Settlement back = hub.push("f", file("y", vector({{1, 2}})));
  CHECK(back.kind == SettlementKind::kAccept);
  CHECK(back.content_needed);
  CHECK(back.entry->version == vector({{1, 2}, {2, 1}, {kHub, kNext}}));
}

TEST_CASE("a delete by whoever had seen each edit of what stands ends it, whatever was decided") {
  // The author of 1:4 deletes it, and has not heard yet that it won over 2:3.
  const Edit edit{1, 4};
  EntryPtr settled = with_edits(file("x", vector({{1, 4}, {2, 3}, {kHub, 7}})), {edit, edit, edit});
  EntryPtr deleted = tombstone(vector({{1, 5}}));
  const VersionVector both = vector({{1, 5}, {2, 3}, {kHub, kNext}});
  SECTION("a delete that is pushed") {
    Hub hub;
    hub.tree["f.txt"] = settled;
    Settlement done = hub.push("f.txt", deleted);
    CHECK(done.kind == SettlementKind::kAccept);
    REQUIRE(done.entry->is_tombstone());
    CHECK(done.entry->version == both);
  }
  SECTION("one that the hub has, against a decision of another hub") {
    Hub hub;
    hub.tree["f.txt"] = deleted;
    Settlement done = hub.push("f.txt", settled);
    CHECK(done.kind == SettlementKind::kHave);
    CHECK(done.changed);
    REQUIRE(done.entry->is_tombstone());
    CHECK(done.entry->version == both);
  }
  SECTION("any edit that it had not seen keeps the file: of bytes, mode or time") {
    for (int part = 0; part < 3; ++part) {
      LastEdits edits{edit, edit, edit};
      (part == 0 ? edits.content : part == 1 ? edits.mode : edits.mtime) = {2, 3};
      Hub hub;
      hub.tree["f.txt"] = with_edits(settled, edits);
      CHECK(hub.push("f.txt", deleted).entry->is_file());
    }
  }
  SECTION("a directory with something in it stays") {
    Hub hub;
    hub.live_children = true;
    hub.tree["f.txt"] = with_edits(directory(settled->version), {edit, edit, edit});
    CHECK(hub.push("f.txt", deleted).entry->is_directory());
  }
}

TEST_CASE("two deletes are one, in the run of the hub's") {
  Hub hub;
  auto ours = std::make_shared<Entry>(*tombstone(vector({{1, 1}})));
  ours->run = 7;
  hub.tree["f"] = ours;
  auto theirs = std::make_shared<Entry>(*tombstone(vector({{2, 1}})));
  theirs->run = 8;
  Settlement s = hub.push("f", theirs);
  CHECK(s.kind == SettlementKind::kHave);
  CHECK(s.entry->run == 7);
  CHECK(s.entry->version == vector({{1, 1}, {2, 1}}));
}

TEST_CASE("a directory that is kept beside the file that it had ended is in no run any more") {
  auto ends = [](VersionVector version) {
    auto entry = std::make_shared<Entry>(*directory(std::move(version)));
    entry->edits = {Edit{2, 1}, Edit{2, 1}, Edit{2, 1}};
    entry->run = 7;
    return entry;
  };
  const Edit first{1, 1};
  Hub hub;
  hub.live_children = true;
  hub.tree["f.txt"] = ends(vector({{1, 1}, {2, 1}}));
  // Who rejects the run keeps the file by a version that has seen the directory.
  EntryPtr kept = with_edits(file("x", vector({{1, 1}, {2, 1}, {3, 1}})), {first, first, first});
  Settlement s = hub.push("f.txt", kept);
  CHECK(s.kind == SettlementKind::kConflict);
  CHECK(s.entry->is_directory());
  CHECK(s.entry->run == 0);
  CHECK(s.copy_path == kCopy);

  // A decision came between.
  hub.tree["f.txt"] = ends(vector({{1, 1}, {2, 1}, {kHub, 4}}));
  s = hub.push("f.txt", kept);
  CHECK(s.kind == SettlementKind::kConflict);
  CHECK(s.entry->is_directory());
  CHECK(s.entry->run == 0);
  CHECK(s.copy_path == kCopy);

  // Who had not seen it leaves it the delete that it is.
  hub.tree["f.txt"] = ends(vector({{1, 1}, {2, 1}}));
  s = hub.push("f.txt", with_edits(file("x", vector({{1, 1}, {3, 1}})), {first, {3, 1}, first}));
  CHECK(s.kind == SettlementKind::kHave);
  CHECK(s.entry->is_directory());
  CHECK(s.entry->run == 7);
}

TEST_CASE("a directory keeps its name against a file, whoever's it is") {
  Hub hub;
  hub.tree["f.txt"] = directory(vector({{1, 1}}));
  Settlement s = hub.push("f.txt", file("theirs", vector({{2, 1}})));
  CHECK(s.kind == SettlementKind::kConflict);
  CHECK(s.entry->is_directory());
  CHECK(s.copy_path == kCopy);
  CHECK(!s.hub_lost);

  hub.tree["f.txt"] = file("mine", vector({{1, 1}}));
  s = hub.push("f.txt", directory(vector({{2, 1}})));
  CHECK(s.kind == SettlementKind::kConflict);
  CHECK(s.entry->is_directory());
  CHECK(s.hub_lost);
  CHECK(!s.content_needed);
  CHECK(same_content(*s.copy, *hub.tree["f.txt"]));
}

TEST_CASE("a symlink conflicts like a file, and its copy is a symlink") {
  Hub hub;
  hub.tree["f.txt"] = file("mine", vector({{1, 1}}));
  Settlement s = hub.push("f.txt", of_kind(EntryKind::kSymlink, vector({{2, 1}}), "else"));
  CHECK(s.kind == SettlementKind::kConflict);
  REQUIRE(s.copy);
  CHECK(s.copy->is_symlink());
  CHECK(s.copy->target == "else");
}

TEST_CASE("a directory with something in it is neither deleted nor replaced") {
  Hub hub;
  hub.live_children = true;
  hub.tree["f.txt"] = directory(vector({{1, 1}}));
  Settlement deleted = hub.push("f.txt", tombstone(vector({{1, 2}})));
  CHECK(deleted.kind == SettlementKind::kHave);
  CHECK(deleted.entry->is_directory());
  CHECK(deleted.entry->version == vector({{1, 2}, {kHub, kNext}}));
  Settlement replaced = hub.push("f.txt", file("x", vector({{1, 2}})));
  CHECK(replaced.kind == SettlementKind::kConflict);
  CHECK(replaced.entry->is_directory());
  CHECK(replaced.copy_path == kCopy);
  hub.live_children = false;
  CHECK(hub.push("f.txt", file("x", vector({{1, 2}}))).kind == SettlementKind::kAccept);
}

TEST_CASE("equal vectors with different content are concurrent, and said") {
  Hub hub;
  hub.tree["f.txt"] = file("mine", vector({{1, 1}}));
  Settlement s = hub.push("f.txt", file("theirs", vector({{1, 1}})));
  CHECK(s.mismatch);
  CHECK(s.kind == SettlementKind::kConflict);
  CHECK(s.entry->version == vector({{1, 1}, {kHub, kNext}}));
}

VersionVector vector_of(std::size_t parts) {
  std::vector<VersionVector::Part> all;
  for (ShortId id = 1000; id < 1000 + parts; ++id) all.push_back({id, 1});
  return VersionVector(all);
}

TEST_CASE("a vector that claims decisions the hub never made keeps the hub from none") {
  for (std::uint64_t claimed : {kNext, kNext + 1, kCountLimit - 1}) {
    Hub hub;
    hub.tree["f"] = file("mine", vector({{1, 1}}));
    EntryPtr theirs = file("theirs", vector({{2, 1}, {kHub, claimed}}));
    Settlement s = hub.push("f", theirs);
    REQUIRE(s.kind == SettlementKind::kConflict);
    CHECK(s.entry->version.compare(theirs->version) == Order::kNewer);
    CHECK(s.entry->version.compare(hub.tree["f"]->version) == Order::kNewer);
    CHECK(s.entry->version.count_of(kHub) == claimed);
    // A directory above it that a member claims to have deleted by the hub's decision.
    hub.tree["d"] = tombstone(vector({{2, 1}, {kHub, claimed}}));
    auto above = revive_ancestors("d/f", hub.look());
    REQUIRE(above);
    CHECK((*above)[0].entry->version.compare(hub.tree["d"]->version) == Order::kNewer);
  }
}

TEST_CASE("nothing is settled by a version that is longer than others take") {
  Hub hub;
  hub.tree["f"] = file("mine", vector({{1, 1}}));
  Settlement s = hub.push("f", file("theirs", vector_of(kMaxVectorFromOutside - 1)));
  CHECK(s.kind == SettlementKind::kRefuse);
  CHECK(!s.count_used);
  CHECK(!s.reason.empty());
  CHECK(hub.push("f", file("theirs", vector_of(kMaxVectorFromOutside - 2)))
            .entry->version.parts()
            .size() == kMaxVectorFromOutside);
  hub.tree["d"] = tombstone(vector_of(kMaxVectorFromOutside));
  CHECK_FALSE(revive_ancestors("d/f", hub.look()));
  hub.tree["d"] = tombstone(vector_of(kMaxVectorFromOutside - 1));
  CHECK(revive_ancestors("d/f", hub.look()));
}

TEST_CASE("a conflict copy finds a name that is neither taken nor the loser's own") {
  // A file under the very name that the last resort has for its content, the other names taken.
  EntryPtr loser = file("theirs", vector({{2, 1}}));
  const ContentId second = content_id_of(ByteView(loser->content.bytes));
  const std::string path =
      conflict_name("f.txt", "h", loser->edited, second, ConflictNameStep::kFullId);
  std::set<std::string> taken;
  auto lookup = [&](const std::string& name) -> EntryPtr {
    return taken.contains(name) ? file("a prank", vector({{9, 1}})) : nullptr;
  };
  for (int i = 0; i < 5; ++i) {
    auto copy = make_conflict_copy(path, *loser, lookup);
    REQUIRE(copy);
    CHECK(copy->path != path);
    REQUIRE(copy->entry);
    CHECK(taken.insert(copy->path).second);
  }
  // A deleted one, whose tombstone leaves no room, is passed over.
  const std::string first =
      make_conflict_copy("f.txt", *loser, [](const std::string&) { return EntryPtr(); })->path;
  auto crowded = make_conflict_copy("f.txt", *loser, [&](const std::string& name) {
    return name == first ? tombstone(vector_of(kMaxVectorFromOutside)) : nullptr;
  });
  REQUIRE(crowded);
  CHECK(crowded->path != first);
}

TEST_CASE("a decision of the hub does not cover an edit of its own that it has not settled") {
  Hub hub;
  hub.tree["f"] = file("mine", vector({{1, 1}}));
  EntryPtr unsettled = file("not yet pushed", vector({{1, 1}, {kNode, kNext - 1}}));
  Settlement s = hub.push("f", file("theirs", vector({{2, 1}})));
  CHECK(s.count_used);
  CHECK(s.entry->version.compare(unsettled->version) == Order::kConcurrent);
}

TEST_CASE("what is accepted gets its directories back, and a file in their place makes room") {
  Hub hub;
  hub.tree["a"] = directory(vector({{1, 1}}));
  hub.tree["a/b"] = tombstone(vector({{2, 3}}));
  hub.tree["a/b/f.txt"] = file("mine", vector({{3, 1}}));
  auto above = revive_ancestors("a/b/f.txt/d/leaf", hub.look());
  REQUIRE(above);
  const std::vector<AncestorChange>& changes = *above;
  REQUIRE(changes.size() == 3);
  CHECK(changes[0].path == "a/b");
  CHECK(changes[0].entry->is_directory());
  CHECK(changes[0].entry->version == vector({{2, 3}, {kHub, kNext}}));
  CHECK(changes[0].copy_path.empty());
  CHECK(changes[1].path == "a/b/f.txt");
  CHECK(changes[1].entry->version == vector({{3, 1}, {kHub, kNext + 1}}));
  CHECK(changes[1].copy_path == "a/b/" + kCopy);
  REQUIRE(changes[1].copy);
  CHECK(changes[1].copy->is_file());
  CHECK(changes[2].path == "a/b/f.txt/d");
  CHECK(changes[2].entry->version == vector({{kHub, kNext + 2}}));
  CHECK(revive_ancestors("top", hub.look())->empty());
}

// Small enough to enumerate: every pair of kinds, contents and orders of vectors.
TEST_CASE("whatever is pushed, the outcome covers what was known and keeps the losing bytes") {
  const std::vector<VersionVector> versions = {vector({{1, 1}}), vector({{1, 2}}), vector({{2, 1}}),
                                               vector({{1, 1}, {2, 1}}), vector({{1, 2}, {3, 1}})};
  std::vector<EntryPtr> all;
  for (const VersionVector& v : versions) {
    for (const char* bytes : {"x", "y", "z"}) all.push_back(file(bytes, v));
    all.push_back(with_metadata(file("x", v), 0600, 77));
    all.push_back(directory(v));
    all.push_back(tombstone(v));
    all.push_back(of_kind(EntryKind::kSymlink, v, "t"));
    all.push_back(of_kind(EntryKind::kSetting, v));
  }
  EntryPtr first = file("x", vector({{1, 1}}));
  const auto known = [&](const EntryPtr& entry) {
    auto changed = std::make_shared<Entry>(*entry);
    const bool later = entry->version.compare(first->version) == Order::kNewer;
    Entry before = *first;
    note_edits(before, nullptr, VersionVector());
    note_edits(*changed, later ? &before : nullptr, later ? first->version : VersionVector());
    return EntryPtr(changed);
  };
  for (const EntryPtr& my_form : all) {
    for (const EntryPtr& their_form : all) {
      for (int variant = 0; variant < 4; ++variant) {
        const EntryPtr mine = (variant & 2) != 0 ? known(my_form) : my_form;
        const EntryPtr theirs = (variant & 2) != 0 ? known(their_form) : their_form;
        Hub hub;
        hub.live_children = (variant & 1) != 0 && mine->is_directory();
        hub.tree["f.txt"] = mine;
        Settlement s = hub.push("f.txt", theirs);
        REQUIRE(s.kind != SettlementKind::kRefuse);
        CHECK(s.entry->version.covers(mine->version));
        CHECK(s.entry->version.covers(theirs->version));
        CHECK(s.changed == (s.entry != mine));
        CHECK((s.kind == SettlementKind::kConflict) == !s.copy_path.empty());
        bool fetches = s.entry->is_file() && !same_content(*s.entry, *mine);
        CHECK(s.content_needed == fetches);
        if (hub.live_children) CHECK(s.entry->is_directory());
        // Bytes that the other side did not know are somewhere.
        auto kept = [&](const EntryPtr& e, const EntryPtr& other) {
          bool unknown_bytes =
              (e->is_file() || e->is_symlink()) && !has_seen(other->version, e->edits.content);
          return !unknown_bytes || same_content(*s.entry, *e) ||
                 (s.copy && same_content(*s.copy, *e));
        };
        bool setting = mine->kind == EntryKind::kSetting || theirs->kind == EntryKind::kSetting;
        Order order = theirs->version.compare(mine->version);
        if (order != Order::kNewer && !setting) CHECK(kept(mine, theirs));
        if (order != Order::kOlder && !setting) CHECK(kept(theirs, mine));
      }
    }
  }
}

}  // namespace
}  // namespace lansync
