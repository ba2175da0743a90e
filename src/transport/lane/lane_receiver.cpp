#include "transport/lane/lane_receiver.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "base/assert.h"
#include "base/log.h"

namespace lansync {

bool LaneNumbers::fresh(std::uint64_t number) const {
  if (!any_ || number > largest_) return true;
  if (largest_ - number >= kLaneNumberWindow) return false;
  return (word(number) >> (number % 64) & 1) == 0;
}

void LaneNumbers::mark(std::uint64_t number) {
  if (!any_ || number > largest_) {
    // Bits between hold what was there a window ago.
    std::uint64_t from = any_ ? largest_ + 1 : 0;
    if (number - from >= kLaneNumberWindow) {
      bits_.fill(0);
    } else {
      for (std::uint64_t n = from; n <= number;) {
        if (n % 64 == 0 && n + 64 <= number) {
          word(n) = 0;
          n += 64;
        } else {
          word(n) &= ~(std::uint64_t{1} << (n % 64));
          ++n;
        }
      }
    }
    largest_ = number;
    any_ = true;
  }
  word(number) |= std::uint64_t{1} << (number % 64);
}

std::uint64_t LaneNumbers::run_down(std::uint64_t number, std::uint64_t low, bool received) const {
  std::uint64_t length = 0;
  std::uint64_t left = number - low + 1;
  while (left > 0) {
    std::uint64_t bits = received ? word(number) : ~word(number);
    auto here = static_cast<unsigned>(number % 64 + 1);
    // Shifted so that `number` is the highest bit; below it zeros come in, which end the run.
    auto ones = static_cast<std::uint64_t>(std::countl_one(bits << (64 - here)));
    ones = std::min<std::uint64_t>({ones, here, left});
    length += ones;
    if (ones < here) break;
    left -= ones;
    number -= ones;  // wraps below 0 only when nothing is left
  }
  return length;
}

std::size_t LaneNumbers::ranges(std::span<LaneRange> out) const {
  if (!any_) return 0;
  std::uint64_t low = largest_ < kLaneNumberWindow ? 0 : largest_ - kLaneNumberWindow + 1;
  std::size_t count = 0;
  std::uint64_t end = largest_ + 1;
  while (count < out.size()) {
    std::uint64_t run = run_down(end - 1, low, true);
    out[count++] = {end - run, end};
    end -= run;
    if (end == low) break;
    end -= run_down(end - 1, low, false);
    if (end == low) break;
  }
  return count;
}

std::optional<std::string> LaneAssembler::begin(std::unique_ptr<Assembly>& slot,
                                                const LaneData& data) {
  std::uint64_t bytes = data.count * kLaneChunkBytes;
  if (begun_ + bytes > limit_)
    return str("lane: began ", begun_ + bytes, " bytes of blocks, may begin ", limit_);
  begun_ += bytes;
  slot = std::make_unique<Assembly>();
  slot->transfer = data.transfer;
  slot->first = data.first;
  slot->count = data.count;
  slot->missing = data.count;
  slot->data.resize(bytes);
  return std::nullopt;
}

std::optional<std::string> LaneAssembler::on_data(const LaneData& data, std::uint64_t number,
                                                  std::optional<ContentBlock>& done) {
  if (number < floor_) return std::nullopt;  // given up by its sender; late
  // A number is at most kLaneNumberWindow old, so a block is at most as many behind: the sign of
  // the 16-bit difference is the right one.
  auto ahead = static_cast<std::int16_t>(static_cast<std::uint16_t>(data.block - base_));
  if (ahead < 0) {
    ++duplicates_;
    return std::nullopt;
  }
  auto offset = static_cast<std::size_t>(ahead);
  if (offset >= kLaneBlockWindow)
    return str("lane: block ", data.block, " is ", offset, " ahead of the oldest open one");
  if (offset >= blocks_.size()) blocks_.resize(offset + 1);
  std::unique_ptr<Assembly>& slot = blocks_[offset];
  if (!slot) {
    if (auto wrong = begin(slot, data)) return wrong;
  } else if (slot->transfer != data.transfer || slot->first != data.first ||
             slot->count != data.count) {
    return str("lane: block ", data.block, " has two descriptions");
  }
  if (slot->here[data.index]) {
    ++duplicates_;
    return std::nullopt;
  }
  slot->here[data.index] = true;
  std::memcpy(slot->data.data() + data.index * kLaneChunkBytes, data.content.data(),
              data.content.size());
  if (data.index + 1 == data.count) slot->last_size = data.content.size();
  if (--slot->missing > 0) return std::nullopt;

  // The difference between whole chunks and what came needs no credit from anybody.
  std::uint64_t spare = kLaneChunkBytes - slot->last_size;
  limit_ += spare;
  slot->data.resize(slot->data.size() - spare);
  held_ += slot->data.size();
  done = ContentBlock{slot->transfer, slot->first, std::move(slot->data)};
  slot->data = Bytes();
  while (!blocks_.empty() && blocks_.front() && blocks_.front()->missing == 0) {
    blocks_.pop_front();
    ++base_;
  }
  return std::nullopt;
}

void LaneAssembler::raise_floor(std::uint64_t floor) {
  if (floor <= floor_) return;
  floor_ = floor;
  blocks_.clear();
  base_ = 0;
  begun_ = 0;
  limit_ = window_ - std::min(held_, window_);
}

void LaneAssembler::widen() {
  if (window_ == kLaneLongWindow) return;
  limit_ += kLaneLongWindow - window_;
  window_ = kLaneLongWindow;
}

void LaneAssembler::credit(std::uint64_t bytes) {
  // A carrier that was opened anew may be told of blocks that the one before gave out.
  bytes = std::min(bytes, held_);
  held_ -= bytes;
  limit_ += bytes;
}

}  // namespace lansync
