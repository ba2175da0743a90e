// Deletes as one replica sees them: in numbers, with directories, and of others.
#include <algorithm>

#include "support/catch.h"
#include "unit/sync/replica_rig.h"

namespace lansync {
namespace {

std::string name_of(int i) { return "d/" + std::to_string(1'000'000 + i); }

EntryPtr entry_of(EntryKind kind, std::uint64_t count) {
  auto entry = std::make_shared<Entry>();
  entry->kind = kind;
  entry->mode = kind == EntryKind::kTombstone ? 0 : 0644;
  entry->size = kind == EntryKind::kFile ? 1 : 0;
  entry->version.raise(7, count);
  return entry;
}

// A node whose index knows a directory of so many files that are not there any more.
struct Emptied {
  explicit Emptied(int files) {
    Index index;
    index.set_local("d", entry_of(EntryKind::kDirectory, 1), FileStat{});
    index.set_synced("d", index.find("d")->local);
    const EntryPtr file = entry_of(EntryKind::kFile, 1);
    for (int i = 0; i < files; ++i) {
      index.set_local(name_of(i), file, FileStat{});
      index.set_synced(name_of(i), file);
    }
    LoadedIndex left;
    left.rows = index.take_batch().rows;
    replica.start(left, false, clock.now());
  }
  void step() {
    clock.advance(10ms);
    replica.pump(clock.now());
    for (int i = 0; i < 64 && executor.run_one(); ++i) {
    }
  }
  ManualClock clock;
  MemoryFileSystem fs;
  ManualExecutor executor;
  ForgetfulStore store;
  NoLog log;
  Prng random{5};
  Fetcher fetcher{fs, executor, clock};
  Replica replica{Replica::Options{}, fs, store, executor, fetcher, random, clock, log};
};

int tombstones_of(const Replica& replica) {
  int count = 0;
  for (const auto& [path, record] : replica.index().paths())
    count += record.local && record.local->is_tombstone() ? 1 : 0;
  return count;
}

}  // namespace

TEST_CASE("a directory of 50,000 files that is missing is counted before one delete goes out") {
  constexpr int kFiles = 50'000;
  Emptied node(kFiles);
  std::uint64_t most_at_once = 0;
  std::uint64_t before = 0;
  bool known = false;
  for (int i = 0; i < 20'000 && tombstones_of(node.replica) < kFiles + 1; ++i) {
    for (int k = 0; k < 50; ++k) {
      node.step();
      const std::uint64_t held = node.replica.held_deletes();
      most_at_once = std::max(most_at_once, held - std::min(held, before));
      before = held;
      CHECK(node.replica.push_order().empty());
      if (!known && node.replica.scanned()) {
        known = true;
        for (const auto& [path, record] : node.replica.index().paths()) {
          if (record.synced) node.replica.index().set_remote(path, record.synced);
        }
        node.replica.remote_known(node.clock.now());
      }
    }
  }
  CHECK(tombstones_of(node.replica) == kFiles + 1);
  CHECK(node.replica.held_deletes() == kFiles);
  CHECK(node.replica.to_push().empty());
  // In portions: the node answers in between. (Below the limit nothing counts as held.)
  CHECK(most_at_once <= kFiles / 2 + 10'000);
}

}  // namespace lansync
