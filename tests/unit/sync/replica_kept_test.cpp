// Which deletes of others are none to ask about, because what is deleted stands as a conflict copy,
// and which are.
#include "support/catch.h"
#include "sync/conflict_name.h"
#include "unit/sync/replica_rig.h"

namespace lansync {
namespace {

constexpr int kFiles = 5;  // more than go unasked

struct KeptRig : ReplicaRig {
  KeptRig() : ReplicaRig({}, parse_max_deletes("4").value()) {
    for (int i = 0; i < kFiles; ++i) give(name(i), i);
    REQUIRE(settle());
  }
  static std::string name(int i) { return "f" + std::to_string(100 + i); }
  // As the version of that many seconds after the others.
  static std::string copy(int i, int seconds) {
    return conflict_name(name(i), "mallory", WallTime{seconds * 1'000'000'000ll}, {},
                         ConflictNameStep::kPlain);
  }
  void give(const std::string& path, int content) {
    const Bytes bytes = random_bytes(50, static_cast<std::uint64_t>(content) + 1);
    sender.add(path, bytes);
    (void)remote(path, bytes);
  }
  void replace(const std::string& path, EntryKind kind) {
    Entry entry = *replica.index().find(path)->remote;
    entry.kind = kind;
    entry.was = EntryKind::kFile;
    entry.mode = kind == EntryKind::kDirectory ? 0755 : 0;
    entry.size = 0;
    entry.md5 = Md5{};
    if (kind == EntryKind::kDirectory) entry.content = ContentId{};
    entry.version.raise(78, ++changes_);
    replica.set_remote(path, std::make_shared<const Entry>(std::move(entry)));
  }
  int files_of(std::uint64_t content) {
    const Bytes bytes = random_bytes(50, content + 1);
    int found = 0;
    for (const auto& [path, record] : replica.index().paths())
      found += record.live() && fs.contents(path) == bytes ? 1 : 0;
    return found;
  }

 private:
  std::uint64_t changes_ = 0;
};

}  // namespace

// One that is held and rejected takes the name again, and loses it again, for as long as somebody
// rejects. (Simulator's seed 10251.)
TEST_CASE("files that lost their names to directories and are kept as copies are not asked about") {
  KeptRig rig;
  for (int i = 0; i < kFiles; ++i) rig.give(KeptRig::copy(i, 1), i);
  REQUIRE(rig.settle());
  rig.clock.advance(2min);
  for (int i = 0; i < kFiles; ++i) rig.replace(KeptRig::name(i), EntryKind::kDirectory);
  rig.settle();
  CHECK(rig.replica.held_deletes() == 0);
  CHECK(rig.replica.in_sync());
  for (int i = 0; i < kFiles; ++i) CHECK(rig.files_of(static_cast<std::uint64_t>(i)) == 1);
}

TEST_CASE("who renames files to conflict copies and folds these away has deleted them") {
  KeptRig rig;
  for (int i = 0; i < kFiles; ++i) {
    rig.give(KeptRig::copy(i, 1), i);
    rig.replace(KeptRig::name(i), EntryKind::kTombstone);
  }
  REQUIRE(rig.settle());
  CHECK(rig.replica.held_deletes() == 0);
  for (int i = 0; i < kFiles; ++i) {
    rig.give(KeptRig::copy(i, 2), 1000 + i);
    rig.replace(KeptRig::copy(i, 1), EntryKind::kTombstone);
  }
  rig.settle();
  CHECK(rig.replica.held_deletes() == kFiles);
  for (int i = 0; i < kFiles; ++i) CHECK(rig.files_of(static_cast<std::uint64_t>(i)) == 1);
}

}  // namespace lansync
