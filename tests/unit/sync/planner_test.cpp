#include "sync/planner.h"

#include <algorithm>
#include <set>

#include "support/catch.h"
#include "sync/hashing.h"
#include "unit/sync/sync_world.h"

namespace lansync {
namespace {

using Kind = OperationKind;

EntryPtr make(EntryKind kind, const std::string& bytes, std::vector<VersionVector::Part> version) {
  auto entry = std::make_shared<Entry>();
  entry->kind = kind;
  entry->version = VersionVector(std::move(version));
  if (kind == EntryKind::kFile || kind == EntryKind::kSymlink)
    entry->content = content_id_of(as_bytes(bytes));
  if (kind == EntryKind::kFile) entry->size = bytes.size();
  if (kind == EntryKind::kSymlink) entry->target = bytes;
  return entry;
}
EntryPtr file(const std::string& bytes, std::vector<VersionVector::Part> version) {
  return make(EntryKind::kFile, bytes, std::move(version));
}
EntryPtr dir(std::vector<VersionVector::Part> version) {
  return make(EntryKind::kDirectory, "", std::move(version));
}
EntryPtr gone(std::vector<VersionVector::Part> version) {
  return make(EntryKind::kTombstone, "", std::move(version));
}
EntryPtr touched(const EntryPtr& entry, std::vector<VersionVector::Part> version) {
  auto changed = std::make_shared<Entry>(*entry);
  changed->mtime_ns += 1;
  changed->version = VersionVector(std::move(version));
  return changed;
}

Kind kind_of(EntryPtr local, EntryPtr remote, EntryPtr synced, bool wanted = true) {
  return plan_path("p", {local, remote, synced, wanted}).kind;
}

const EntryPtr kOld = file("old", {{1, 1}});
const EntryPtr kNew = file("new", {{1, 1}, {2, 1}});
const EntryPtr kOther = file("other", {{1, 2}});
const EntryPtr kGone = gone({{1, 1}, {2, 1}});

TEST_CASE("one path: what three trees say is done") {
  CHECK(kind_of(nullptr, nullptr, nullptr) == Kind::kNone);
  CHECK(kind_of(kOld, kOld, kOld) == Kind::kNone);
  CHECK(kind_of(kOld, kOld, nullptr) == Kind::kAgree);
  CHECK(kind_of(kOld, kNew, kOld) == Kind::kFetch);
  CHECK(kind_of(nullptr, kNew, nullptr) == Kind::kFetch);
  CHECK(kind_of(nullptr, dir({{1, 1}}), nullptr) == Kind::kMakeDirectory);
  CHECK(kind_of(nullptr, make(EntryKind::kSymlink, "t", {{1, 1}}), nullptr) == Kind::kMakeSymlink);
  CHECK(kind_of(kOld, kGone, kOld) == Kind::kDelete);
  CHECK(kind_of(nullptr, kGone, nullptr) == Kind::kAgree);
  CHECK(kind_of(nullptr, kGone, kGone) == Kind::kNone);
  CHECK(kind_of(kOld, touched(kOld, {{1, 1}, {2, 1}}), kOld) == Kind::kSetMetadata);
  CHECK(kind_of(kNew, kOld, kOld) == Kind::kPush);
  CHECK(kind_of(kGone, kOld, kOld) == Kind::kPush);
  CHECK(kind_of(kNew, kOther, kOld) == Kind::kPush);
  CHECK(kind_of(kNew, nullptr, nullptr) == Kind::kPush);
  // Whatever the synced tree says: a hub that was set back gets it again.
  CHECK(kind_of(kNew, nullptr, kNew) == Kind::kPush);
}

TEST_CASE("a merged vector over the same bytes touches no disk") {
  CHECK(kind_of(kOld, file("old", {{1, 1}, {3, 4}}), kOld) == Kind::kAgree);
}

TEST_CASE("a delete of what the hub does not know is pushed: the file may be on its way there") {
  CHECK(kind_of(kGone, nullptr, kOld) == Kind::kPush);
  CHECK(kind_of(kGone, nullptr, nullptr) == Kind::kPush);
}

TEST_CASE("a first join adopts equal bytes, pushes differing ones, deletes nothing") {
  EntryPtr mine = file("same", {{7, 1}});
  EntryPtr theirs = file("same", {{1, 4}});
  Operation adopt = plan_path("p", {mine, theirs, nullptr});
  CHECK(adopt.kind == Kind::kAdopt);
  CHECK(adopt.entry == theirs);
  CHECK(!adopt.set_metadata);
  CHECK(plan_path("p", {mine, touched(theirs, {{1, 4}}), nullptr}).set_metadata);
  CHECK(kind_of(mine, file("differs", {{1, 4}}), nullptr) == Kind::kPush);
  CHECK(kind_of(gone({{7, 2}}), theirs, nullptr) == Kind::kFetch);
}

TEST_CASE("equal vectors with different content are pushed and counted") {
  bool mismatch = false;
  CHECK(plan_path("p", {kOld, file("other", {{1, 1}}), kOld}, {}, &mismatch).kind == Kind::kPush);
  CHECK(mismatch);
  // Metadata alone: the hub's.
  mismatch = false;
  EntryPtr other_time = touched(kOld, {{1, 1}});
  CHECK(plan_path("p", {kOld, other_time, kOld}, {}, &mismatch).kind == Kind::kSetMetadata);
  CHECK(!mismatch);
}

TEST_CASE("content that is not wanted here is noted, and its absence is no delete") {
  CHECK(kind_of(nullptr, kNew, nullptr, false) == Kind::kNote);
  CHECK(kind_of(nullptr, kNew, kOld, false) == Kind::kNote);
  CHECK(kind_of(nullptr, kNew, kNew, false) == Kind::kNone);
  CHECK(kind_of(nullptr, kNew, kNew, true) == Kind::kFetch);
  CHECK(kind_of(nullptr, dir({{1, 1}}), nullptr, false) == Kind::kMakeDirectory);
  // Deleted here, and edited elsewhere without knowing of that: it is back, but not its content.
  CHECK(kind_of(kGone, file("new", {{1, 2}, {2, 1}, {3, 1}}), kOld, false) == Kind::kNote);
  // Made where its content is absent: no successor of it.
  CHECK(kind_of(file("mine", {{9, 1}}), kNew, kNew, false) == Kind::kPush);
  // The hub does not know it, and nobody here has its bytes: known till its holder is back.
  CHECK(kind_of(nullptr, nullptr, kOld, false) == Kind::kNone);
  CHECK(plan_path("p", {nullptr, nullptr, kOld, false}, {.long_away = true}).kind == Kind::kForget);
  CHECK(kind_of(nullptr, gone({{1, 2}}), kOld, false) == Kind::kAgree);
  // What is on the disk is kept up to date.
  CHECK(kind_of(kOld, kNew, kOld, false) == Kind::kFetch);
  CHECK(kind_of(kOld, kOld, kOld, false) == Kind::kNone);
}

TEST_CASE("after more than a year away, unchanged files that the hub lacks are held") {
  PlanOptions away{.long_away = true};
  CHECK(plan_path("p", {kOld, nullptr, kOld}, away).kind == Kind::kHold);
  CHECK(plan_path("p", {kNew, nullptr, kOld}, away).kind == Kind::kPush);
  CHECK(plan_path("p", {kOld, kNew, kOld}, away).kind == Kind::kFetch);
}

test::Node node(const test::Tree& local, const test::Tree& remote) {
  test::Node made;
  made.local = local;
  made.synced = local;
  made.remote = remote;
  return made;
}

std::vector<std::string> lines(const std::vector<Operation>& operations) {
  std::vector<std::string> text;
  for (const Operation& op : operations) {
    text.push_back(std::string(to_string(op.kind)) + " " + op.path +
                   (op.replaces ? " (swap)" : ""));
  }
  return text;
}
using Lines = std::vector<std::string>;

TEST_CASE("directories come before what is in them, deletes last and deep first") {
  test::Node n =
      node({{"old", dir({{1, 1}})}, {"old/f", kOld}, {"old/g", kOld}}, {{"a", dir({{1, 1}})},
                                                                        {"a/b", dir({{1, 1}})},
                                                                        {"a/b/f", kNew},
                                                                        {"old", kGone},
                                                                        {"old/f", kGone},
                                                                        {"old/g", kGone}});
  Plan p = plan(n, {"old", "a/b/f", "old/g", "a/b", "old/f", "a", "a"});
  CHECK(lines(p.operations) == Lines{"make-directory a", "make-directory a/b", "fetch a/b/f",
                                     "delete old/f", "delete old/g", "delete old"});
  CHECK(p.blocked.empty());
}

TEST_CASE("a missing parent that the hub knows is made, though nobody asked for it") {
  test::Node n = node({}, {{"a", dir({{1, 1}})}, {"a/b", dir({{1, 1}})}, {"a/b/f", kNew}});
  CHECK(lines(plan(n, {"a/b/f"}).operations) ==
        Lines{"make-directory a", "make-directory a/b", "fetch a/b/f"});
}

TEST_CASE("a parent that the hub does not have blocks what is below it") {
  test::Node n = node({}, {{"a/b/f", kNew}});
  Plan p = plan(n, {"a/b/f"});
  CHECK(p.operations.empty());
  REQUIRE(p.blocked.size() == 1);
  CHECK(p.blocked[0].because == "a/b");
}

TEST_CASE("a directory becomes a file after all that is in it went away") {
  test::Node n =
      node({{"d", dir({{1, 1}})}, {"d/e", dir({{1, 1}})}, {"d/e/f", kOld}, {"x", kOld}},
           {{"d", file("now", {{1, 1}, {2, 1}})}, {"d/e", kGone}, {"d/e/f", kGone}, {"x", kGone}});
  CHECK(lines(plan(n, {"d", "d/e", "d/e/f", "x"}).operations) ==
        Lines{"delete d/e/f", "delete d/e", "fetch d (swap)", "delete x"});
}

TEST_CASE("a file becomes a directory before what is in it comes") {
  test::Node n = node({{"d", kOld}}, {{"d", dir({{1, 1}, {2, 1}})}, {"d/f", kNew}});
  CHECK(lines(plan(n, {"d", "d/f"}).operations) == Lines{"make-directory d (swap)", "fetch d/f"});
}

TEST_CASE("a directory that holds something of ours is kept and reported") {
  for (const EntryPtr& over : {kGone, file("now", {{1, 1}, {2, 1}})}) {
    test::Node n = node({{"d", dir({{1, 1}})}, {"d/f", kOld}}, {{"d", over}, {"d/f", kGone}});
    n.local["d/mine"] = file("mine", {{9, 1}});
    Plan p = plan(n, {"d", "d/f", "d/mine"});
    CHECK(lines(p.operations).front().substr(0, 4) != "fetc");
    auto ops = lines(p.operations);
    CHECK(std::set<std::string>(ops.begin(), ops.end()) ==
          std::set<std::string>{"delete d/f", "push d/mine"});
    REQUIRE(p.blocked.size() == 1);
    CHECK(p.blocked[0].operation.path == "d");
    CHECK(p.blocked[0].because == "d/mine");
  }
}

TEST_CASE("pushed deletes go before the file that takes the directory's place at the hub") {
  test::Node n = node({}, {{"d", dir({{1, 1}})}, {"d/f", kOld}, {"x", kOld}});
  n.local = {{"d", file("now", {{1, 1}, {2, 1}})}, {"d/f", kGone}, {"x", kGone}};
  n.synced = n.remote;
  CHECK(lines(plan(n, {"x", "d", "d/f"}).operations) == Lines{"push d/f", "push d", "push x"});
}

TEST_CASE("mismatches are counted once for each path") {
  test::Node n = node({{"p", kOld}}, {{"p", file("other", {{1, 1}})}});
  CHECK(plan(n, {"p", "p"}).mismatches == 1);
}

}  // namespace
}  // namespace lansync
