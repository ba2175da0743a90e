// One Fetcher and any number of Providers, joined by in-order queues that a test can bend: cut,
// corrupt, stop. No threads and no time: everything moves in step().
#pragma once

#include <algorithm>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/random.h"
#include "support/manual_executor.h"
#include "support/memory_file_system.h"
#include "sync/fetcher.h"
#include "sync/hashing.h"
#include "sync/provider.h"

namespace lansync {

class ManualClock : public Clock {
 public:
  Instant now() const override { return now_; }
  WallTime wall() const override {
    return {1'800'000'000'000'000'000 + now_.time_since_epoch().count() * 1000};
  }
  void advance(Duration by) { now_ += by; }

 private:
  Instant now_{1000s};
};

inline Bytes random_bytes(std::size_t size, std::uint64_t seed) {
  Bytes bytes(size);
  Prng(seed).fill(bytes);
  return bytes;
}

struct Packet {
  enum Kind { kBegin, kChunk, kHole, kEnd, kBlock } kind = kBegin;
  std::uint32_t transfer = 0;
  std::string name;
  std::uint64_t size = 0;
  std::uint64_t number = 0;
  Bytes bytes;
  TransferResult result;
  ByteRange range;
};

// A node that serves its folder to one receiver.
class Sender : public ContentLocator, public ContentSink {
 public:
  explicit Sender(const Clock& clock) : provider(fs, executor, clock, *this, *this) {
    provider.set_on_changed([this](const std::string& path) { changed.push_back(path); });
  }
  WantedContent add(const std::string& path, ByteView bytes) {
    fs.write_file(path, bytes);
    const ContentDigests digests = digests_of(bytes);
    known[digests.content] = {path, *fs.stat(path), digests.md5, bytes.size(), {}};
    return {digests.content, bytes.size(), digests.md5, path};
  }

  std::optional<LocatedContent> locate(const ContentId& content, const std::string&) override {
    auto at = known.find(content);
    if (at == known.end()) return std::nullopt;
    return at->second;
  }
  bool has_room(SourceId) override { return queue.size() < room; }
  void begin(SourceId, std::uint32_t transfer, const std::string& name,
             std::uint64_t size) override {
    queue.push_back({Packet::kBegin, transfer, name, size, 0, {}, {}, {}});
  }
  void chunk(SourceId, std::uint32_t transfer, std::uint64_t number, ByteView bytes) override {
    queue.push_back(
        {Packet::kChunk, transfer, "", 0, number, Bytes(bytes.begin(), bytes.end()), {}, {}});
  }
  void hole(SourceId, std::uint32_t transfer, ByteRange range) override {
    queue.push_back({Packet::kHole, transfer, "", 0, 0, {}, {}, range});
  }
  void end(SourceId, const TransferResult& result) override {
    queue.push_back({Packet::kEnd, result.transfer, "", 0, 0, {}, result, {}});
  }

  BlockRoute route(SourceId, std::uint32_t, std::size_t) override {
    if (!carrier_up) return BlockRoute::kChunks;
    return carried.size() < carrier_room ? BlockRoute::kBlock : BlockRoute::kWait;
  }
  Via block(SourceId, std::uint32_t transfer, std::uint64_t first, Bytes data) override {
    carried.push_back({Packet::kBlock, transfer, "", 0, first, std::move(data), {}, {}});
    return kVia;
  }
  // What was on its way by the carrier goes out in chunks, before what comes after it.
  void carrier_down() {
    carrier_up = false;
    std::deque<Packet> again;
    for (const Packet& packet : carried) {
      for (std::size_t at = 0; at < packet.bytes.size(); at += kContentChunk) {
        const std::size_t end = std::min<std::size_t>(at + kContentChunk, packet.bytes.size());
        Bytes part(packet.bytes.begin() + static_cast<std::ptrdiff_t>(at),
                   packet.bytes.begin() + static_cast<std::ptrdiff_t>(end));
        again.push_back({Packet::kChunk,
                         packet.transfer,
                         "",
                         0,
                         packet.number + at / kContentChunk,
                         std::move(part),
                         {},
                         {}});
      }
    }
    carried.clear();
    // The begin of a transfer stands in the session's queue before anything of it.
    auto end = std::find_if(queue.begin(), queue.end(),
                            [](const Packet& packet) { return packet.kind == Packet::kEnd; });
    queue.insert(end, again.begin(), again.end());
  }

  static constexpr Via kVia = 1;
  MemoryFileSystem fs;
  ManualExecutor executor;
  bool carrier_up = false;
  std::size_t carrier_room = 32;  // blocks
  std::deque<Packet> carried;
  std::map<ContentId, LocatedContent> known;
  std::size_t room = 300;
  std::deque<Packet> queue;
  std::vector<std::string> changed;
  Provider provider;
};

class TransferRig {
 public:
  TransferRig() { start(); }

  Sender& sender(SourceId id) {
    auto& place = senders[id];
    if (!place) {
      place = std::make_unique<Sender>(clock);
      if (fetcher) fetcher->add_source(id);
    }
    return *place;
  }
  void start() {
    fetcher = std::make_unique<Fetcher>(fs, executor, clock, options);
    fetcher->load_partials();
    for (auto& [id, node] : senders) fetcher->add_source(id);
  }
  // kill -9 of the receiver: jobs that did not run never do.
  void kill() {
    received_before += fetcher->counters().payload_received;
    executor.forget_all();
    fetcher.reset();
    for (auto& [id, node] : senders) {
      node->provider.on_source_down(id);
      node->executor.run_all();
      node->queue.clear();
    }
  }
  void cut(SourceId id) {
    senders.at(id)->queue.clear();
    senders.erase(id);
    fetcher->remove_source(id);
  }

  // One round: requests go out, every job runs, each sender's queue empties (at most `packets`).
  bool step(std::size_t packets = 1u << 30) {
    bool moved = false;
    for (auto& [id, request] : fetcher->take_requests()) {
      moved = true;
      requests.push_back({id, request});
      if (!senders.at(id)->provider.on_request(id, request)) ++refused;
    }
    while (executor.run_one()) moved = true;
    for (auto& [id, node] : senders) {
      node->provider.pump();
      while (node->executor.run_one()) moved = true;
      node->provider.pump();
      for (std::size_t i = 0; i < packets && !node->carried.empty(); ++i) {
        // Blocks keep no order, among themselves or with the session.
        const std::size_t at = mix.below(node->carried.size());
        Packet packet = std::move(node->carried[at]);
        node->carried.erase(node->carried.begin() + static_cast<std::ptrdiff_t>(at));
        if (bend) bend(id, packet);
        if (!deliver(id, packet)) ++violations;
        moved = true;
      }
      for (std::size_t i = 0; i < packets && !node->queue.empty(); ++i) {
        Packet packet = std::move(node->queue.front());
        node->queue.pop_front();
        if (bend) bend(id, packet);
        if (!deliver(id, packet)) ++violations;
        moved = true;
      }
    }
    for (FinishedContent& done : fetcher->take_finished()) {
      moved = true;
      if (done.status) {
        results[done.content] = *fs.temp_contents(done.temp_name);
        if (!keep_temps) {
          (void)fs.remove_temp(done.temp_name);
          fetcher->release(done.content);
        }
      } else {
        failures.push_back(std::move(done));
      }
    }
    return moved;
  }
  bool deliver(SourceId id, const Packet& packet) {
    switch (packet.kind) {
      case Packet::kBegin:
        return fetcher->on_begin(id, packet.transfer, packet.size);
      case Packet::kChunk:
        return fetcher->on_chunk(id, packet.transfer, packet.number, packet.bytes);
      case Packet::kHole:
        return fetcher->on_hole(id, packet.transfer, packet.range);
      case Packet::kEnd:
        return fetcher->on_end(id, packet.result);
      case Packet::kBlock:
        blocks_received += packet.bytes.size();
        return fetcher->on_block(id, packet.transfer, packet.number, packet.bytes, Sender::kVia);
    }
    return false;
  }
  // Until nothing moves any more; false if that takes suspiciously long.
  bool settle(int rounds = 100000) {
    for (int i = 0; i < rounds; ++i)
      if (!step()) return true;
    return false;
  }
  std::uint64_t received() const {
    return received_before + (fetcher ? fetcher->counters().payload_received : 0);
  }

  ManualClock clock;
  MemoryFileSystem fs;
  ManualExecutor executor;
  FetcherOptions options;
  std::map<SourceId, std::unique_ptr<Sender>> senders;
  std::unique_ptr<Fetcher> fetcher;
  std::function<void(SourceId, Packet&)> bend;
  std::vector<std::pair<SourceId, RangeRequest>> requests;
  std::map<ContentId, Bytes> results;
  std::vector<FinishedContent> failures;
  bool keep_temps = false;
  Prng mix{7};
  std::uint64_t blocks_received = 0;
  int violations = 0;
  int refused = 0;
  std::uint64_t received_before = 0;
};

}  // namespace lansync
