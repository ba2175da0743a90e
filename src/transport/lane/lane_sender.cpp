#include "transport/lane/lane_sender.h"

#include <algorithm>

#include "base/assert.h"
#include "base/log.h"

namespace lansync {
namespace {

constexpr std::uint64_t kMaxReorderPackets = 4096;
constexpr std::int64_t kMaxReorderUs = 100'000;
// Two readings of the clock around a burst may differ by this without meaning anything.
constexpr std::int64_t kMinPatienceUs = 1000;

std::uint64_t rounded(std::uint16_t count) { return count * kLaneChunkBytes; }

}  // namespace

std::uint64_t LaneSender::room() const { return window() - std::min(held_bytes_, window()); }

std::uint64_t LaneSender::window() const {
  return rate_.min_rtt_us() >= kLaneLongTripUs ? kLaneLongWindow : ContentCarrier::kWindowBytes;
}

void LaneSender::send(ContentBlock block) {
  LS_ASSERT(!block.data.empty() && block.data.size() <= kMaxBlockChunks * kLaneChunkBytes);
  LS_ASSERT(block.first >> 56 == 0);
  held_bytes_ += block.data.size();
  Block entry;
  entry.count =
      static_cast<std::uint16_t>((block.data.size() + kLaneChunkBytes - 1) / kLaneChunkBytes);
  entry.block = std::move(block);
  blocks_.push_back(std::move(entry));
}

LaneSender::Block* LaneSender::open_block(std::uint16_t number) {
  auto offset = static_cast<std::uint16_t>(number - base_);
  return offset < begun_count_ ? &blocks_[offset] : nullptr;
}

LaneData LaneSender::describe(const Block& block, std::uint16_t number, std::uint8_t index) const {
  LaneData data;
  data.block = number;
  data.transfer = block.block.transfer;
  data.first = block.block.first;
  data.count = block.count;
  data.index = index;
  ByteView bytes(block.block.data);
  std::size_t from = index * kLaneChunkBytes;
  data.content = bytes.subspan(from, std::min(kLaneChunkBytes, bytes.size() - from));
  return data;
}

bool LaneSender::begin_block() {
  if (begun_count_ == blocks_.size() || begun_count_ >= kLaneBlockWindow) return false;
  std::uint64_t bytes = rounded(blocks_[begun_count_].count);
  if (begun_ + bytes > limit_) return false;
  begun_ += bytes;
  ++begun_count_;
  return true;
}

bool LaneSender::has_chunk() {
  while (!again_.empty()) {
    Block* block = open_block(again_.front().block);
    if (block != nullptr && !block->reported[again_.front().index]) return true;
    again_.pop();
  }
  if (begun_count_ > 0 && blocks_[begun_count_ - 1].sent < blocks_[begun_count_ - 1].count)
    return true;
  return begin_block();
}

std::optional<LaneData> LaneSender::next_chunk() {
  if (!has_chunk()) return std::nullopt;
  if (!again_.empty()) {
    Chunk chunk = again_.front();
    again_.pop();
    ++resent_;
    return describe(*open_block(chunk.block), chunk.block, chunk.index);
  }
  Block& block = blocks_[begun_count_ - 1];
  auto number = static_cast<std::uint16_t>(base_ + begun_count_ - 1);
  return describe(block, number, static_cast<std::uint8_t>(block.sent++));
}

bool LaneSender::wants_credit() const {
  return begun_count_ < blocks_.size() && begun_count_ < kLaneBlockWindow &&
         begun_ + rounded(blocks_[begun_count_].count) > limit_;
}

LaneSender::Packet& LaneSender::note(std::uint64_t number, std::int64_t now) {
  LS_ASSERT(number == next_);
  if (next_ - oldest_ >= packets_.size() && packets_.size() < kLaneNumberWindow * 2) {
    std::vector<Packet> wider(packets_.size() * 2);
    for (std::uint64_t n = next_ - packets_.size(); n != next_; ++n)
      wider[n & (wider.size() - 1)] = packet(n);
    packets_ = std::move(wider);
  }
  // Reports and probes are not held back by number_free(): a peer that makes us send those without
  // end costs itself the oldest packet that is not reported.
  for (; next_ - oldest_ >= packets_.size(); ++oldest_)
    if (packet(oldest_).fate == Fate::kFlying) lose(packet(oldest_));
  ++next_;
  tail_ = std::max(tail_, next_ - std::min<std::uint64_t>(next_, packets_.size()));
  Packet& sent = packet(number);
  sent = Packet();
  sent.sent_us = now;
  return sent;
}

void LaneSender::note_data(std::uint64_t number, const LaneData& data, std::int64_t now) {
  Packet& sent = note(number, now);
  sent.mark = rate_.on_sent(now, in_flight_);
  sent.block = data.block;
  sent.index = data.index;
  sent.bytes = static_cast<std::uint16_t>(data.content.size() + kLaneMaxDatagram - kLaneChunkBytes);
  sent.kind = Kind::kData;
  sent.fate = Fate::kFlying;
  in_flight_ += sent.bytes;
}

void LaneSender::note_probe(std::uint64_t number, std::int64_t now) {
  Packet& sent = note(number, now);
  sent.kind = Kind::kProbe;
  sent.fate = Fate::kFlying;
}

void LaneSender::note_report(std::uint64_t number, std::int64_t now) { note(number, now); }

void LaneSender::take_chunk(const Packet& sent, std::vector<Delivered>& delivered) {
  Block* block = open_block(sent.block);
  if (block == nullptr || block->reported[sent.index]) return;
  block->reported[sent.index] = true;
  delivered_bytes_ += sent.bytes - (kLaneMaxDatagram - kLaneChunkBytes);
  if (++block->there < block->count) return;
  std::uint64_t bytes = block->block.data.size();
  delivered.push_back({block->block.transfer, bytes});
  held_bytes_ -= bytes;
  block->block.data = Bytes();
  while (begun_count_ > 0 && blocks_.front().there == blocks_.front().count) {
    blocks_.pop_front();
    --begun_count_;
    ++base_;
  }
}

void LaneSender::take_packet(std::uint64_t number, std::int64_t now,
                             std::vector<Delivered>& delivered) {
  Packet& sent = packet(number);
  if (sent.fate == Fate::kLost) {
    // It was only late: as far as this packets overtake each other here.
    std::uint64_t behind = largest_ - std::min(largest_, number);
    reorder_packets_ = std::clamp(behind + behind / 2, reorder_packets_,
                                  std::max(reorder_packets_, kMaxReorderPackets));
    std::int64_t late = now - sent.sent_us - std::max<std::int64_t>(rate_.smoothed_rtt_us(), 0);
    reorder_us_ = std::clamp<std::int64_t>(late, reorder_us_, std::max(reorder_us_, kMaxReorderUs));
    if (sent.kind == Kind::kData) rate_.on_spurious();
  } else if (sent.kind == Kind::kData) {
    in_flight_ -= sent.bytes;
    rate_.on_delivered(sent.mark, sent.sent_us, sent.bytes);
  }
  sent.fate = Fate::kReported;
  if (sent.kind == Kind::kData) take_chunk(sent, delivered);
}

void LaneSender::take_credit(const LaneReport& report) { limit_ = std::max(limit_, report.credit); }

LaneSender::Outcome LaneSender::on_report(const LaneReport& report, std::int64_t now,
                                          std::vector<Delivered>& delivered) {
  Outcome outcome;
  if (report.largest >= next_) {
    outcome.broken = str("lane: reported number ", report.largest, ", sent ", next_);
    return outcome;
  }
  if (report.floor > floor_) {
    outcome.broken = str("lane: reported floor ", report.floor, ", told ", floor_);
    return outcome;
  }
  if (report.floor == floor_) {
    if (report.credit > begun_ + kLaneLongWindow) {
      outcome.broken = str("lane: credit for ", report.credit, " bytes, begun ", begun_);
      return outcome;
    }
    outcome.floor_known = true;
    take_credit(report);
  }
  std::int64_t rtt_us = -1;
  bool newest = !heard_ || report.largest > largest_;
  if (newest && report.largest >= tail_ && packet(report.largest).fate == Fate::kFlying)
    rtt_us = now - packet(report.largest).sent_us - report.delay_us;
  for (std::size_t i = 0; i < report.range_count; ++i) {
    const LaneRange& range = report.ranges[i];
    if (range.end <= tail_) break;
    for (std::uint64_t n = std::max(range.begin, tail_); n < range.end; ++n) {
      if (packet(n).fate == Fate::kReported) continue;
      take_packet(n, now, delivered);
      outcome.progress = true;
    }
  }
  if (newest) largest_ = report.largest;
  heard_ = true;
  find_lost(now);
  rate_.end_report(now, rtt_us < 0 ? -1 : rtt_us, in_flight_);
  return outcome;
}

std::int64_t LaneSender::patience_us() const {
  std::int64_t rtt = rate_.smoothed_rtt_us();
  return rtt + std::max(rtt / 8, kMinPatienceUs) + reorder_us_;
}

void LaneSender::lose(Packet& sent) {
  sent.fate = Fate::kLost;
  if (sent.kind != Kind::kData) return;
  in_flight_ -= sent.bytes;
  again_.push({sent.block, sent.index});
}

void LaneSender::find_lost(std::int64_t now) {
  loss_deadline_us_ = 0;
  std::int64_t patience = patience_us();
  for (; oldest_ != next_; ++oldest_) {
    Packet& sent = packet(oldest_);
    if (sent.fate != Fate::kFlying) continue;
    // Only what was sent after it and came tells that it did not.
    if (!heard_ || oldest_ >= largest_) break;
    if (largest_ - oldest_ < reorder_packets_ && now - sent.sent_us < patience) {
      loss_deadline_us_ = sent.sent_us + patience;
      break;
    }
    if (sent.kind == Kind::kData) rate_.on_lost(sent.sent_us);
    lose(sent);
  }
  // Those found lost are looked for a while longer, to learn of reordering.
  while (tail_ < oldest_ &&
         (packet(tail_).fate == Fate::kReported || now - packet(tail_).sent_us > 3 * patience))
    ++tail_;
}

void LaneSender::take_back(std::size_t count) {
  for (std::uint64_t n = next_ - std::min<std::uint64_t>(count, next_ - oldest_); n != next_; ++n)
    if (packet(n).fate == Fate::kFlying) lose(packet(n));
}

std::vector<ContentBlock> LaneSender::give_up() {
  std::vector<ContentBlock> undelivered;
  for (Block& block : blocks_)
    if (block.there < block.count) undelivered.push_back(std::move(block.block));
  blocks_.clear();
  base_ = 0;
  begun_count_ = 0;
  held_bytes_ = begun_ = limit_ = 0;
  again_.clear();
  in_flight_ = 0;
  floor_ = oldest_ = tail_ = next_;
  loss_deadline_us_ = 0;
  rate_ = LaneRate();
  return undelivered;
}

}  // namespace lansync
