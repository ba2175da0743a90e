// What a Replica makes of the index that an earlier run left.
#include "support/catch.h"
#include "sync/index.h"
#include "unit/sync/replica_rig.h"

namespace lansync {
namespace {

struct Deleted {
  int files = 60;
  RunId run = 5;
  bool agreed = false;  // the hub has heard of it
};

struct Started {
  FileSystem& fs;
  ManualClock clock{};
  ManualExecutor executor{};
  ForgetfulStore store{};
  NoLog log{};
  Prng random{5};
  Fetcher fetcher{fs, executor, clock};
  Replica replica{Replica::Options{}, fs, store, executor, fetcher, random, clock, log};
};

// Held deletes of a node that was killed right after the deletes came into its index.
std::uint64_t held_after_start(const Deleted& what) {
  Index index;
  for (int n = 0; n < what.files; ++n) {
    auto file = std::make_shared<Entry>();
    file->size = 1;
    file->version.raise(7, 1);
    auto gone = std::make_shared<Entry>();
    gone->kind = EntryKind::kTombstone;
    gone->run = what.run;
    gone->was = EntryKind::kFile;
    gone->version = file->version;
    gone->version.raise(7, 2);
    const std::string path = str("file", n);
    index.set_synced(path, what.agreed ? gone : file);
    index.set_local(path, gone, FileStat{});
  }
  LoadedIndex left;
  left.rows = index.take_batch().rows;
  MemoryFileSystem fs;
  Started started{fs};
  started.replica.start(left, false, started.clock.now());
  return started.replica.held_deletes();
}

// A disk that can be mounted again, where it gets another device number.
class Removable final : public MemoryFileSystem {
 public:
  void mount_again() { ++mounts_; }
  std::uint64_t opened() const { return opened_; }

  Result<FileStat> stat(const std::string& path) override {
    auto stat = MemoryFileSystem::stat(path);
    if (stat) stat->device += mounts_;
    return stat;
  }
  Result<std::vector<DirectoryItem>> list(const std::string& path) override {
    auto items = MemoryFileSystem::list(path);
    if (items)
      for (DirectoryItem& item : *items) item.stat.device += mounts_;
    return items;
  }
  Result<std::unique_ptr<ReadFile>> open_file(const std::string& path) override {
    if (path != IgnoreRules::kFileName) ++opened_;
    return MemoryFileSystem::open_file(path);
  }

 private:
  std::uint64_t mounts_ = 0;
  std::uint64_t opened_ = 0;
};

// One start after the other over that disk, each with what the one before left.
struct Starts {
  LoadedIndex run(bool fresh) {
    Started started{fs};
    ManualClock& clock = started.clock;
    Replica& replica = started.replica;
    clock.advance(1h);
    replica.start(left, fresh, clock.now());
    for (int i = 0; i < 2000; ++i) {
      clock.advance(100ms);
      replica.pump(clock.now());
      while (started.executor.run_one()) {
      }
    }
    CHECK(replica.scanned());
    CHECK(replica.index().totals().files == 2);
    LoadedIndex next;
    Index copy;
    for (const auto& [path, record] : replica.index().paths())
      copy.set_local(path, record.local, record.stat);
    next.rows = copy.take_batch().rows;
    return next;
  }
  Removable fs;
  LoadedIndex left;
};

}  // namespace

TEST_CASE("a disk that is mounted again has another number, and nothing on it is read anew") {
  Starts starts;
  starts.fs.write_file("a", as_bytes("text of a"));
  starts.fs.write_file("d/b", as_bytes("text of b"));
  starts.left = starts.run(true);
  CHECK(starts.fs.opened() >= 2);
  const std::uint64_t before = starts.fs.opened();
  for (int mount = 0; mount < 3; ++mount) {
    starts.fs.mount_again();
    starts.left = starts.run(false);
    CHECK(starts.fs.opened() == before);
  }
  // What was changed while it was away is.
  starts.fs.mount_again();
  starts.fs.write_file("a", as_bytes("another a"));
  starts.left = starts.run(false);
  CHECK(starts.fs.opened() > before);
  CHECK(starts.fs.opened() <= before + 2);
}

TEST_CASE("deletes that a kill left unpushed are counted again, and held if they are many") {
  CHECK(held_after_start({}) == 60);
  CHECK(held_after_start({.files = 50}) == 0);
  CHECK(held_after_start({.run = 0}) == 0);  // renames
  CHECK(held_after_start({.agreed = true}) == 0);
}

}  // namespace lansync
