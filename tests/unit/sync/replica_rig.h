// One Replica with its Fetcher, over a folder in memory, and senders that it may fetch from. No
// threads; time moves a little with each step().
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "sync/replica.h"
#include "unit/sync/transfer_rig.h"

namespace lansync {

class NoLog final : public Log {
 public:
  void write(LogLevel, std::string_view) override {}
  bool enabled(LogLevel) const override { return false; }
};

// Remembers nothing: no test here starts anew.
class ForgetfulStore final : public IndexStore {
 public:
  Result<LoadedIndex> load() override { return LoadedIndex{}; }
  Status commit(const IndexBatch&) override { return {}; }
  Status add_history(const std::vector<HistoryRow>&) override { return {}; }
  Result<std::vector<HistoryRow>> load_history(std::int64_t) override {
    return std::vector<HistoryRow>{};
  }
};

class ReplicaRig {
 public:
  explicit ReplicaRig(const DiskLimits& limits = {}, MaxDeletes max_deletes = default_max_deletes())
      : fs(limited(limits)),
        fetcher(fs, executor, clock),
        replica(options(max_deletes), fs, store, executor, fetcher, random, clock, log) {
    fetcher.load_partials();
    fetcher.add_source(1);
    replica.set_sources({1});
    LoadedIndex nothing;
    replica.start(nothing, true, clock.now());
    settle();
    replica.remote_known(clock.now());
    settle();
  }

  // What the hub says of `path`. Its bytes are not given to the sender by this.
  EntryPtr remote(const std::string& path, ByteView bytes) {
    const ContentDigests digests = digests_of(bytes);
    Entry entry;
    entry.size = bytes.size();
    entry.mtime_ns = 1'600'000'000'000'000'000;
    entry.content = digests.content;
    entry.md5 = digests.md5;
    entry.version.raise(77, ++count_);
    entry.author = 77;
    auto shared = std::make_shared<const Entry>(std::move(entry));
    replica.set_remote(path, shared);
    return shared;
  }
  // Makes one round of everything; false if nothing moved.
  bool step() {
    bool moved = false;
    clock.advance(10ms);
    replica.pump(clock.now());
    fetcher.tick(clock.now());
    for (auto& [id, request] : fetcher.take_requests()) {
      moved = true;
      ++requests[request.content];
      if (!sender.provider.on_request(id, request)) ++violations;
    }
    while (executor.run_one()) moved = true;
    sender.provider.pump();
    while (sender.executor.run_one()) moved = true;
    sender.provider.pump();
    while (!sender.queue.empty()) {
      Packet packet = std::move(sender.queue.front());
      sender.queue.pop_front();
      moved = true;
      deliver(packet);
    }
    return moved;
  }
  // Rounds until all that the hub said is here; false if that takes suspiciously long.
  bool settle(int rounds = 2000) {
    int still = 0;
    for (int i = 0; i < rounds && still < 50; ++i) {
      // Retries wait for seconds: with nothing else to do, time goes by.
      if (step() || !replica.in_sync()) {
        still = 0;
        if (!replica.in_sync()) clock.advance(100ms);
      } else {
        ++still;
      }
    }
    return replica.in_sync();
  }

  ManualClock clock;
  MemoryFileSystem fs;
  ManualExecutor executor;
  ForgetfulStore store;
  NoLog log;
  Prng random{5};
  Sender sender{clock};
  Fetcher fetcher;
  Replica replica;
  std::map<ContentId, int> requests;
  int violations = 0;

 private:
  static MemoryFileSystem limited(const DiskLimits& limits) {
    MemoryFileSystem fs;
    fs.set_limits(limits);
    return fs;
  }
  static Replica::Options options(MaxDeletes max_deletes) {
    Replica::Options options;
    options.max_deletes = max_deletes;
    options.node_name = "here";
    options.rescan = 10h;
    return options;
  }
  void deliver(const Packet& packet) {
    bool fine = true;
    switch (packet.kind) {
      case Packet::kBegin:
        fine = fetcher.on_begin(1, packet.transfer, packet.size);
        break;
      case Packet::kChunk:
        fine = fetcher.on_chunk(1, packet.transfer, packet.number, packet.bytes);
        break;
      case Packet::kHole:
        fine = fetcher.on_hole(1, packet.transfer, packet.range);
        break;
      case Packet::kEnd:
        fine = fetcher.on_end(1, packet.result);
        break;
      case Packet::kBlock:
        break;
    }
    if (!fine) ++violations;
  }

  std::uint64_t count_ = 0;
};

}  // namespace lansync
