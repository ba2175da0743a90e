// Disks that hold less than the group: names that differ in case alone, modes, times, links.
#include "sync/disk_limits.h"

#include <algorithm>

#include "support/catch.h"
#include "sync/hashing.h"
#include "unit/sync/replica_rig.h"

namespace lansync {
namespace {

DiskLimits folding() {
  DiskLimits limits;
  limits.tells_case = false;
  return limits;
}

DiskLimits without_modes() {
  DiskLimits limits;
  limits.keeps_modes = false;
  limits.makes_links = false;
  limits.mtime_step_ns = 2'000'000'000;
  return limits;
}

EntryPtr gone(const EntryPtr& before) {
  auto entry = std::make_shared<Entry>();
  entry->kind = EntryKind::kTombstone;
  entry->was = before->kind;
  entry->content = before->content;
  entry->version = before->version;
  entry->version.raise(77, before->version.count_of(77) + 1000);
  entry->author = 77;
  return entry;
}

EntryPtr directory() {
  auto entry = std::make_shared<Entry>();
  entry->kind = EntryKind::kDirectory;
  entry->mode = 0755;
  entry->version.raise(78, 1);
  return entry;
}

bool settled(ReplicaRig& rig) {
  for (int i = 0; i < 3000; ++i) {
    rig.step();
    rig.clock.advance(50ms);
  }
  return rig.replica.caught_up();
}

}  // namespace

TEST_CASE(
    "letters of any alphabet are one name in both of their forms, and half a pair is itself") {
  DiskLimits limits;
  limits.tells_forms = false;
  const auto one_name = [&](const char* composed, const char* decomposed) {
    return fold_name(composed, limits) == fold_name(decomposed, limits);
  };
  CHECK(one_name("caf\xC3\xA9", "cafe\xCC\x81"));
  CHECK(one_name("\xEA\xB0\x80", "\xE1\x84\x80\xE1\x85\xA1"));  // Hangul
  CHECK(one_name("\xD0\xB9", "\xD0\xB8\xCC\x86"));              // Cyrillic
  CHECK_FALSE(one_name("e", "e\xCC\x81"));
  CHECK(fold_name("\xED\xA0\x80", limits) == "\xED\xA0\x80");
}

TEST_CASE("names that differ in case alone have one folded form, and no others") {
  CHECK(fold_name("Readme.TXT") == fold_name("readme.txt"));
  CHECK(fold_name("\xC3\x84RGER") == fold_name("\xC3\xA4rger"));
  CHECK(fold_name("\xD0\x9F\xD0\xA0") == fold_name("\xD0\xBF\xD1\x80"));
  CHECK(fold_name("a/b") != fold_name("a_b"));
  CHECK(fold_name("\xF0\x9F\x98\x80x") == "\xF0\x9F\x98\x80x");
  CHECK(fold_name("cut\xC3") != fold_name("cut"));
}

TEST_CASE("a rename that changes case alone is one rename where the disk does not tell case") {
  ReplicaRig rig(folding());
  const Bytes bytes = random_bytes(3000, 1);
  rig.sender.add("any", bytes);
  const EntryPtr before = rig.remote("Readme.txt", bytes);
  REQUIRE(rig.settle());
  (void)rig.remote("README.txt", bytes);
  rig.replica.set_remote("Readme.txt", gone(before));
  REQUIRE(settled(rig));
  CHECK(rig.fs.paths() == std::vector<std::string>{"README.txt"});
  CHECK(rig.fs.contents("README.txt") == bytes);
  rig.replica.rescan(rig.clock.now());
  REQUIRE(settled(rig));
  CHECK(rig.replica.to_push().empty());
  CHECK(rig.fs.contents("README.txt") == bytes);
}

TEST_CASE("a directory is renamed by case with all that is in it") {
  ReplicaRig rig(folding());
  const Bytes bytes = random_bytes(3000, 1);
  rig.sender.add("any", bytes);
  const EntryPtr old_directory = directory();
  rig.replica.set_remote("docs", old_directory);
  const EntryPtr old_file = rig.remote("docs/one", bytes);
  REQUIRE(rig.settle());
  rig.replica.set_remote("Docs", directory());
  (void)rig.remote("Docs/one", bytes);
  rig.replica.set_remote("docs/one", gone(old_file));
  rig.replica.set_remote("docs", gone(old_directory));
  REQUIRE(settled(rig));
  CHECK(rig.fs.paths() == std::vector<std::string>{"Docs", "Docs/one"});
  rig.replica.rescan(rig.clock.now());
  REQUIRE(settled(rig));
  CHECK(rig.replica.to_push().empty());
  CHECK(rig.fs.contents("Docs/one") == bytes);
}

TEST_CASE("two files of the group that are one name here: the second is named and not written") {
  ReplicaRig rig(folding());
  const Bytes first = random_bytes(3000, 1);
  const Bytes second = random_bytes(3000, 2);
  rig.sender.add("one", first);
  rig.sender.add("two", second);
  const EntryPtr before = rig.remote("a.txt", first);
  REQUIRE(rig.settle());
  (void)rig.remote("A.txt", second);
  REQUIRE(settled(rig));
  CHECK(rig.fs.contents("a.txt") == first);
  CHECK(rig.replica.to_push().empty());
  REQUIRE(rig.replica.problems().contains("A.txt"));
  CHECK(rig.replica.problems().at("A.txt").find("a.txt") != std::string::npos);
  rig.replica.rescan(rig.clock.now());
  REQUIRE(settled(rig));
  CHECK(rig.replica.to_push().empty());
  // The first goes: there is room for the second.
  rig.replica.set_remote("a.txt", gone(before));
  REQUIRE(settled(rig));
  CHECK(rig.fs.paths() == std::vector<std::string>{"A.txt"});
  CHECK(rig.fs.contents("A.txt") == second);
}

TEST_CASE("a disk without modes and with coarse times says nothing of them") {
  ReplicaRig rig(without_modes());
  const Bytes bytes = random_bytes(3000, 1);
  rig.sender.add("any", bytes);
  const ContentDigests digests = digests_of(bytes);
  auto entry = std::make_shared<Entry>();
  entry->size = bytes.size();
  entry->mode = 0600;
  entry->mtime_ns = 1'600'000'001'234'567'890;
  entry->content = digests.content;
  entry->md5 = digests.md5;
  entry->version.raise(77, 1);
  rig.replica.set_remote("secret", entry);
  REQUIRE(rig.settle());
  // Touched, but not changed: read again.
  const std::int64_t shown = rig.fs.stat("secret")->mtime_ns;
  rig.fs.write_file("secret", bytes);
  (void)rig.fs.set_metadata("secret", 0777, shown, *rig.fs.stat("secret"));
  rig.replica.rescan(rig.clock.now());
  REQUIRE(settled(rig));
  CHECK(rig.replica.to_push().empty());
  // An edit is one, with the mode that the group has.
  rig.fs.write_file("secret", random_bytes(3000, 2));
  rig.fs.write_file("new", random_bytes(30, 3));
  rig.replica.rescan(rig.clock.now());
  (void)settled(rig);
  CHECK(rig.replica.to_push() == std::set<std::string>{"new", "secret"});
  CHECK(rig.replica.index().find("secret")->local->mode == 0600);
  CHECK(rig.replica.index().find("new")->local->mode == 0644);
}

TEST_CASE("a link that a disk cannot make is not synced there, and all else is") {
  ReplicaRig rig(without_modes());
  auto link = std::make_shared<Entry>();
  link->kind = EntryKind::kSymlink;
  link->mode = 0777;
  link->target = "somewhere";
  link->content = content_id_of(as_bytes("somewhere"));
  link->version.raise(77, 1);
  rig.replica.set_remote("link", link);
  REQUIRE(settled(rig));
  CHECK(rig.replica.problems().contains("link"));
  CHECK(rig.replica.in_sync());
}

TEST_CASE("disk limits: an accent in its letter and one beside it are one name where forms are") {
  DiskLimits limits;
  CHECK(fold_name("caf\xC3\xA9", limits) != fold_name("cafe\xCC\x81", limits));
  CHECK(fold_name("Cafe", limits) != fold_name("cafe", limits));
  limits.tells_forms = false;
  CHECK(fold_name("caf\xC3\xA9", limits) == fold_name("cafe\xCC\x81", limits));
  CHECK(fold_name("Caf\xC3\xA9", limits) != fold_name("caf\xC3\xA9", limits));
  // Two marks, Greek, kana, Hangul.
  CHECK(fold_name("\xE1\xBA\xA5", limits) == fold_name("a\xCC\x82\xCC\x81", limits));
  CHECK(fold_name("\xCE\xAC", limits) == fold_name("\xCE\xB1\xCC\x81", limits));
  CHECK(fold_name("\xE3\x81\x8C", limits) == fold_name("\xE3\x81\x8B\xE3\x82\x99", limits));
  CHECK(fold_name("\xEA\xB0\x81", limits) ==
        fold_name("\xE1\x84\x80\xE1\x85\xA1\xE1\x86\xA8", limits));
  limits.tells_case = false;
  CHECK(fold_name("CAF\xC3\x89", limits) == fold_name("cafe\xCC\x81", limits));
}

TEST_CASE("disk limits: names, kinds and sizes that a disk cannot hold are known without a try") {
  DiskLimits fat;
  fat.makes_links = fat.keeps_ends = false;
  fat.reserves_names = true;
  fat.refused = "\\:*?\"<>|";
  fat.name_bytes = 143;
  fat.file_bytes = 0xFFFFFFFF;
  Entry file;
  for (const char* name :
       {"a:b", "d/what?", "end.", "end ", "CON", "nul.txt", "d/Com1", "lpt9.a.b"})
    CHECK(why_not_held(fat, name, file).has_value());
  for (const char* name : {"a:b/c", "con/fine", "console", "com0", "com10", ".hidden", "a.b"})
    CHECK_FALSE(why_not_held(fat, name, file).has_value());
  CHECK(why_not_held(fat, std::string(144, 'n'), file));
  CHECK_FALSE(why_not_held(fat, std::string(143, 'n'), file));
  file.size = 0xFFFFFFFF;
  CHECK_FALSE(why_not_held(fat, "f", file));
  ++file.size;
  CHECK(why_not_held(fat, "f", file));
  CHECK_FALSE(why_not_held({}, "a:b", file));
  CHECK(describe(fat).size() == 6);
  CHECK(describe({}).empty());
}

TEST_CASE(
    "two forms of one name meet on a disk that takes them for one: reported, none written over") {
  DiskLimits limits;
  limits.tells_forms = false;
  ReplicaRig rig(limits);
  const Bytes composed = random_bytes(100, 1);
  const Bytes decomposed = random_bytes(100, 2);
  rig.sender.add("one", composed);
  rig.sender.add("two", decomposed);
  (void)rig.remote("caf\xC3\xA9", composed);
  REQUIRE(settled(rig));
  (void)rig.remote("cafe\xCC\x81", decomposed);
  CHECK(settled(rig));
  CHECK(rig.replica.problems().contains("cafe\xCC\x81"));
  CHECK(rig.replica.to_push().empty());
  CHECK(rig.fs.contents("caf\xC3\xA9") == composed);
}

}  // namespace lansync
