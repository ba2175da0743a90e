// The receiving half of a lane: which numbers came (a replayed one is dropped, a report names
// them), and blocks put together from chunks in any order, within the credit given.
//
// Invariant: a block is given out once and whole, and blocks begun and not yet credited never take
// more than the window (ContentCarrier::kWindowBytes, more on a long line). Driven by
// LaneConnection.
#pragma once

#include <array>
#include <bitset>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "transport/content_carrier.h"
#include "transport/lane/lane_packet.h"

namespace lansync {

// The newest kLaneNumberWindow numbers as bits; everything older counts as seen.
class LaneNumbers {
 public:
  bool any() const { return any_; }
  std::uint64_t largest() const { return largest_; }
  bool fresh(std::uint64_t number) const;
  // Requires: fresh.
  void mark(std::uint64_t number);
  // Newest first; as many as there is room for. Returns their number.
  std::size_t ranges(std::span<LaneRange> out) const;

 private:
  static constexpr std::size_t kWords = kLaneNumberWindow / 64;
  std::uint64_t& word(std::uint64_t number) { return bits_[number / 64 % kWords]; }
  std::uint64_t word(std::uint64_t number) const { return bits_[number / 64 % kWords]; }
  // How many numbers from `number` down to `low` are all received (or all not), at most.
  std::uint64_t run_down(std::uint64_t number, std::uint64_t low, bool received) const;

  std::array<std::uint64_t, kWords> bits_{};
  std::uint64_t largest_ = 0;
  bool any_ = false;
};

class LaneAssembler {
 public:
  // Sets `done` if a block became whole. A text: the sender broke a rule.
  std::optional<std::string> on_data(const LaneData& data, std::uint64_t number,
                                     std::optional<ContentBlock>& done);
  // The sender gave up what it began before: what is partial is dropped, counts begin anew.
  void raise_floor(std::uint64_t floor);
  std::uint64_t floor() const { return floor_; }
  // The owner has done with so many bytes of blocks given out.
  void credit(std::uint64_t bytes);
  // The line is long: from now on the window is kLaneLongWindow.
  void widen();
  // What may be begun since the floor, in all; in whole chunks, as sender and receiver both count.
  std::uint64_t limit() const { return limit_; }
  std::uint64_t begun() const { return begun_; }
  std::uint64_t duplicates() const { return duplicates_; }

 private:
  struct Assembly {
    std::uint32_t transfer = 0;
    std::uint64_t first = 0;
    std::uint16_t count = 0;
    std::uint16_t missing = 0;  // chunks; 0: given out
    std::size_t last_size = kLaneChunkBytes;
    std::bitset<kMaxBlockChunks> here;
    Bytes data;
  };
  std::optional<std::string> begin(std::unique_ptr<Assembly>& slot, const LaneData& data);

  std::deque<std::unique_ptr<Assembly>> blocks_;  // from base_ on; null: nothing of it came yet
  std::uint16_t base_ = 0;                        // the oldest block that is not whole
  std::uint64_t floor_ = 0;
  std::uint64_t begun_ = 0;
  std::uint64_t window_ = ContentCarrier::kWindowBytes;
  std::uint64_t limit_ = window_;
  std::uint64_t held_ = 0;  // given out and not credited
  std::uint64_t duplicates_ = 0;
};

}  // namespace lansync
