// What others renamed: no second copy where there is no room for one, and nothing in the trash of
// what stands under its new name.
#include <algorithm>

#include "support/catch.h"
#include "unit/sync/replica_rig.h"

namespace lansync {
namespace {

constexpr std::size_t kSize = 300'000;

struct RenameRig : ReplicaRig {
  explicit RenameRig(std::uint64_t seed, const DiskLimits& limits = {})
      : ReplicaRig(limits), bytes(random_bytes(kSize, seed)) {
    sender.add("any", bytes);
    (void)remote("old", bytes);
    // Or one delete would be of all that there is.
    for (int i = 0; i < 5; ++i) {
      const Bytes small = random_bytes(100, seed + 100 + static_cast<std::uint64_t>(i));
      sender.add("small" + std::to_string(i), small);
      (void)remote("small" + std::to_string(i), small);
    }
    REQUIRE(settle());
    REQUIRE(fs.contents("old") == bytes);
  }
  void gone(const std::string& path) {
    Entry entry = *replica.index().find(path)->remote;
    entry.kind = EntryKind::kTombstone;
    entry.was = EntryKind::kFile;
    entry.version.raise(78, ++deletes_);
    replica.set_remote(path, std::make_shared<const Entry>(std::move(entry)));
  }
  void leave_free(std::uint64_t bytes_free) {
    fs.set_capacity(0);  // what is used is counted from then on
    fs.set_capacity(fs.used_bytes() + bytes_free);
  }
  std::vector<Bytes> trash() {
    std::vector<Bytes> out;
    const std::vector<DirectoryItem> items = fs.list_trash().value();
    for (const DirectoryItem& item : items) out.push_back(fs.trash_contents(item.name).value());
    return out;
  }
  int fetched() { return requests[digests_of(bytes).content]; }
  void check_moved() {
    CHECK(fs.contents("new") == bytes);
    CHECK_FALSE(fs.contents("old"));
    CHECK(replica.index().trash().items().size() == trash().size());
    CHECK(fs.temp_names().empty());
    CHECK(fetched() == 1);
    CHECK(replica.problems().empty());
    CHECK(violations == 0);
  }

  Bytes bytes;

 private:
  std::uint64_t deletes_ = 0;
};

}  // namespace

TEST_CASE("a rename needs no room for a second copy, and leaves nothing in the trash") {
  for (const std::uint64_t free : {std::uint64_t{1} << 30, std::uint64_t{kSize / 3}}) {
    for (const bool old_name_first : {false, true}) {
      for (const bool apart : {false, true}) {
        INFO(free << (old_name_first ? " old name first" : "") << (apart ? " apart" : ""));
        RenameRig rig(1);
        rig.leave_free(free);
        auto old_name = [&] { rig.gone("old"); };
        auto new_name = [&] { (void)rig.remote("new", rig.bytes); };
        old_name_first ? old_name() : new_name();
        for (int i = 0; apart && i < 40; ++i) rig.step();
        old_name_first ? new_name() : old_name();
        REQUIRE(rig.settle());
        rig.check_moved();
        CHECK(rig.trash().empty());
      }
    }
  }
}

TEST_CASE("renames one after the other leave nothing in the trash") {
  RenameRig rig(2);
  std::string at = "old";
  for (int i = 0; i < 6; ++i) {
    const std::string next = i == 5 ? "new" : "name" + std::to_string(i);
    if (i % 2 == 0) rig.gone(at);
    for (int n = 0; i % 2 == 0 && n < 60; ++n) rig.step();
    (void)rig.remote(next, rig.bytes);
    if (i % 2 == 1) rig.gone(at);
    REQUIRE(rig.settle());
    at = next;
  }
  rig.check_moved();
  CHECK(rig.trash().empty());
}

TEST_CASE("what a rename replaces is in the trash, and what was renamed is not") {
  for (const std::uint64_t free : {std::uint64_t{1} << 30, std::uint64_t{kSize / 3}}) {
    INFO(free);
    RenameRig rig(3);
    const Bytes other = random_bytes(1000, 33);
    rig.sender.add("other", other);
    (void)rig.remote("new", other);
    REQUIRE(rig.settle());
    rig.leave_free(free);
    Entry over = *rig.replica.index().find("new")->remote;
    const Entry& was = *rig.replica.index().find("old")->remote;
    over.content = was.content;
    over.md5 = was.md5;
    over.size = was.size;
    over.mode = 0600;
    over.version.raise(79, 1);
    rig.replica.set_remote("new", std::make_shared<const Entry>(over));
    rig.gone("old");
    REQUIRE(rig.settle());
    rig.check_moved();
    CHECK(rig.trash() == std::vector<Bytes>{other});
    CHECK(rig.fs.stat("new").value().mode == 0600);
  }
}

TEST_CASE("a copy of a file that stays is none that may take the file") {
  RenameRig rig(4);
  rig.leave_free(kSize / 3);
  (void)rig.remote("new", rig.bytes);
  for (int i = 0; i < 400; ++i) {
    rig.step();
    rig.clock.advance(50ms);
  }
  CHECK(rig.fs.contents("old") == rig.bytes);
  CHECK_FALSE(rig.fs.contents("new"));
  CHECK_FALSE(rig.replica.problems().empty());
  // The old name goes after all: now it is a rename.
  rig.gone("old");
  REQUIRE(rig.settle());
  CHECK(rig.fs.contents("new") == rig.bytes);
  CHECK(rig.trash().empty());
}

TEST_CASE("what was deleted is brought to another name where there is no room for a copy of it") {
  RenameRig rig(5);
  rig.gone("old");
  REQUIRE(rig.settle());
  CHECK(rig.trash() == std::vector<Bytes>{rig.bytes});
  // Too long ago to be its other half.
  rig.clock.advance(2h);
  rig.leave_free(kSize / 3);
  (void)rig.remote("new", rig.bytes);
  REQUIRE(rig.settle());
  rig.check_moved();
}

TEST_CASE("whoever writes to the new name meanwhile does not write over what was renamed") {
  RenameRig rig(6);
  const Bytes edited = random_bytes(2000, 66);
  bool done = false;
  rig.fs.set_fault([&](const std::string& operation, const std::string& subject) {
    if (!done && operation == "stat" && subject == "new" && rig.fs.contents("new") == rig.bytes &&
        !rig.fs.contents("old")) {
      done = true;
      rig.fs.write_file("new", edited);
    }
    return std::optional<Error>();
  });
  (void)rig.remote("new", rig.bytes);
  rig.gone("old");
  for (int i = 0; i < 300; ++i) rig.step();
  REQUIRE(done);
  CHECK(rig.fs.contents("new") == edited);
  CHECK_FALSE(rig.fs.contents("old"));
  CHECK(rig.trash() == std::vector<Bytes>{rig.bytes});
}

TEST_CASE("a delete that is no half of a rename keeps its bytes, also where they stand elsewhere") {
  RenameRig rig(7);
  (void)rig.remote("new", rig.bytes);
  REQUIRE(rig.settle());
  rig.clock.advance(5min);
  rig.step();
  rig.gone("old");
  REQUIRE(rig.settle());
  CHECK(rig.fs.contents("new") == rig.bytes);
  CHECK(rig.trash() == std::vector<Bytes>{rig.bytes});
}

TEST_CASE("a write to the new name that its stat does not show leaves the old one's bytes") {
  DiskLimits coarse;
  coarse.mtime_step_ns = 1'000'000'000;
  RenameRig rig(9, coarse);
  (void)rig.remote("new", rig.bytes);
  REQUIRE(rig.settle());
  const FileStat before = *rig.fs.stat("new");
  const Bytes edited = random_bytes(kSize, 10);
  rig.fs.rewrite_file("new", edited);
  REQUIRE(*rig.fs.stat("new") == before);
  rig.gone("old");
  REQUIRE(rig.settle());
  CHECK(rig.fs.contents("new") == edited);
  CHECK(rig.trash() == std::vector<Bytes>{rig.bytes});
}

TEST_CASE("a rename on a disk that fails now and then loses nothing and comes through") {
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    RenameRig rig(8);
    rig.leave_free(seed % 2 == 0 ? kSize / 3 : 1 << 30);
    Prng luck(seed);
    int faults = 12;
    rig.fs.set_fault([&](const std::string& operation, const std::string&) -> std::optional<Error> {
      static const std::vector<std::string> kHurt = {"copy_to_temp",  "install_temp",
                                                     "install_trash", "move_to_trash",
                                                     "sync_all",      "open_trash"};
      if (std::find(kHurt.begin(), kHurt.end(), operation) == kHurt.end()) return std::nullopt;
      if (faults == 0 || luck.below(3) != 0) return std::nullopt;
      --faults;
      return Error{luck.below(2) == 0 ? ErrorCode::kIo : ErrorCode::kNoSpace, "the disk failed"};
    });
    (void)rig.remote("new", rig.bytes);
    INFO("seed " << seed);
    if (seed % 3 == 0) (void)rig.settle(500);
    rig.gone("old");
    CHECK(rig.settle(20'000));
    CHECK(rig.fs.contents("new") == rig.bytes);
    CHECK_FALSE(rig.fs.contents("old"));
  }
}

}  // namespace lansync
