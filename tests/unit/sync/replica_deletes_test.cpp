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

// A directory of so many files that the group has as well.
void add_directory(Index& index, int files) {
  index.set_local("d", entry_of(EntryKind::kDirectory, 1), FileStat{});
  index.set_synced("d", index.find("d")->local);
  const EntryPtr file = entry_of(EntryKind::kFile, 1);
  for (int i = 0; i < files; ++i) {
    index.set_local(name_of(i), file, FileStat{});
    index.set_synced(name_of(i), file);
  }
}

LoadedIndex directory_of(int files) {
  Index index;
  add_directory(index, files);
  LoadedIndex left;
  left.rows = index.take_batch().rows;
  return left;
}

// What a node that starts anew finds.
class RememberingStore final : public IndexStore {
 public:
  Result<LoadedIndex> load() override {
    LoadedIndex left;
    for (const auto& [path, row] : rows_) left.rows.push_back(row);
    left.meta = meta_;
    return left;
  }
  Status commit(const IndexBatch& batch) override {
    for (const IndexRow& row : batch.rows) rows_[row.path] = row;
    for (const auto& [key, value] : batch.meta) meta_[key] = value;
    return {};
  }
  Status add_history(const std::vector<HistoryRow>&) override { return {}; }
  Result<std::vector<HistoryRow>> load_history(std::int64_t) override {
    return std::vector<HistoryRow>{};
  }

 private:
  std::map<std::string, IndexRow> rows_;
  std::map<std::string, std::string> meta_;
};

// A node whose index knows a directory of so many files that are not there any more.
struct Emptied {
  explicit Emptied(int files) : Emptied(directory_of(files), {}) {}
  Emptied(const LoadedIndex& left, const Replica::Options& with) : options(with) {
    replica.start(left, false, clock.now());
  }
  // The hub says that it has what was agreed on.
  void meet_hub() {
    for (const auto& [path, record] : replica.index().paths()) {
      if (record.synced) replica.index().set_remote(path, record.synced);
    }
    replica.remote_known(clock.now());
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
  RememberingStore store;
  NoLog log;
  Prng random{5};
  Fetcher fetcher{fs, executor, clock};
  Replica::Options options;
  Replica replica{options, fs, store, executor, fetcher, random, clock, log};
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
        node.meet_hub();
      }
    }
  }
  CHECK(tombstones_of(node.replica) == kFiles + 1);
  CHECK(node.replica.held_deletes() == kFiles);
  CHECK(node.replica.to_push().empty());
  // In portions: the node answers in between. (Below the limit nothing counts as held.)
  CHECK(most_at_once <= kFiles / 2 + 10'000);
}

// By hand with 600,000, more than half of what counts are reserved: the same figures for a turn.
TEST_CASE(
    "a directory of 60,000 files that is moved out of a running node goes in portions, held") {
  constexpr int kFiles = 60'000;
  constexpr std::uint64_t kMostInATurn = 10'000;
  Replica::Options each;
  each.max_deletes = *parse_max_deletes("0");  // so that what is heard of counts as held at once
  Emptied node({}, each);
  for (int i = 0; i < 100 && !node.replica.scanned(); ++i) node.step();
  REQUIRE(node.replica.scanned());
  add_directory(node.replica.index(), kFiles);
  node.meet_hub();
  node.step();
  node.replica.on_hint({"d", FileEvent::kDelete}, node.clock.now());
  // A turn of the node, in work: what it counts, and what it makes.
  std::uint64_t held = 0;
  std::uint64_t live = kFiles;
  std::uint64_t most_counted = 0;
  std::uint64_t most_made = 0;
  for (int i = 0; i < 20'000 && (live > 0 || held < kFiles); ++i) {
    node.step();
    const std::uint64_t held_now = node.replica.held_deletes();
    const std::uint64_t live_now = node.replica.index().totals().files;
    most_counted = std::max(most_counted, held_now - std::min(held, held_now));
    most_made = std::max(most_made, live - std::min(live, live_now));
    held = held_now;
    live = live_now;
    REQUIRE(node.replica.push_order().empty());
  }
  CHECK(live == 0);
  CHECK(held == kFiles);
  CHECK(tombstones_of(node.replica) == kFiles + 1);
  CHECK(most_counted <= kMostInATurn);
  CHECK(most_made <= kMostInATurn);
}

TEST_CASE("deletes beyond what a guard keeps of each go out after a restart no more than before") {
  constexpr int kFiles = 300;
  Replica::Options few;
  few.max_tracked_deletes = 100;
  Emptied node(directory_of(kFiles), few);
  bool met = false;
  for (int i = 0; i < 2000 && tombstones_of(node.replica) < kFiles + 1; ++i) {
    node.step();
    if (!met && node.replica.scanned()) {
      met = true;
      node.meet_hub();
    }
  }
  REQUIRE(tombstones_of(node.replica) == kFiles + 1);
  for (int i = 0; i < 1000; ++i) node.step();
  CHECK(node.replica.held_deletes() == kFiles);
  CHECK(node.replica.push_order().empty());

  Emptied again(*node.store.load(), few);
  for (int i = 0; i < 100 && !again.replica.scanned(); ++i) again.step();
  REQUIRE(again.replica.scanned());
  again.meet_hub();
  for (int i = 0; i < 1000; ++i) again.step();
  CHECK(tombstones_of(again.replica) == kFiles + 1);
  CHECK(again.replica.held_deletes() == kFiles);
  CHECK(again.replica.push_order().empty());
}

// Seed 3153: the node was its own hub when it deleted the file, and took its own word for the next
// hub's: the file stood on that one disk for good.
TEST_CASE("what a reject brings back is pushed to a hub that never heard of it") {
  ReplicaRig rig({}, parse_max_deletes("0").value());
  const Bytes bytes = random_bytes(500, 1);
  rig.sender.add("f", bytes);
  const EntryPtr entry = rig.remote("f", bytes);
  REQUIRE(rig.settle());
  REQUIRE(rig.fs.contents("f") == bytes);
  rig.replica.remote_unknown();
  rig.fs.remove("f");
  rig.replica.on_hint({"f", FileEvent::kDelete}, rig.clock.now());
  for (int i = 0; i < 500; ++i) rig.step();
  REQUIRE(rig.replica.held_deletes() == 1);
  // Another hub, which lists nothing.
  rig.replica.remote_known(rig.clock.now());
  rig.step();
  REQUIRE(rig.replica.to_push().empty());
  rig.replica.take_run_back(rig.replica.held_runs().front().run.run);
  for (int i = 0; i < 500; ++i) rig.step();
  CHECK(rig.fs.contents("f") == bytes);
  CHECK(rig.replica.to_push().contains("f"));
  CHECK(rig.replica.index().find("f")->local->version == entry->version);
}

}  // namespace lansync
