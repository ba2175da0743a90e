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
  ManualClock clock;
  MemoryFileSystem fs;
  ManualExecutor executor;
  ForgetfulStore store;
  NoLog log;
  Prng random{5};
  Fetcher fetcher{fs, executor, clock};
  Replica replica{Replica::Options{}, fs, store, executor, fetcher, random, clock, log};
  replica.start(left, false, clock.now());
  return replica.held_deletes();
}

}  // namespace

TEST_CASE("deletes that a kill left unpushed are counted again, and held if they are many") {
  CHECK(held_after_start({}) == 60);
  CHECK(held_after_start({.files = 50}) == 0);
  CHECK(held_after_start({.run = 0}) == 0);  // renames
  CHECK(held_after_start({.agreed = true}) == 0);
}

}  // namespace lansync
