#include "sniff/reliable_stream.h"

#include <algorithm>
#include <utility>

#include "transport/session.h"

namespace lansync::sniff {
namespace {

// A map's node and a vector: many pieces of a byte each are to count as what they cost.
constexpr std::size_t kPieceOverhead = 128;

bool plausible(const enet_wire::Command& command, const enet_wire::FragmentFields& f) {
  return f.count > 0 && f.number < f.count && f.count <= f.total &&
         f.total <= kMaxMessageBytes + 64 && f.offset <= f.total &&
         command.data.size() <= f.total - f.offset &&
         static_cast<std::uint16_t>(f.start + f.number) == command.sequence;
}

}  // namespace

// How far after the expected one; negative: it was there before.
std::int64_t ReliableStream::ahead(std::uint16_t sequence) const {
  return static_cast<std::int16_t>(sequence - static_cast<std::uint16_t>(next_));
}

ReliableStream::Taken ReliableStream::take(const enet_wire::Command& command) {
  const std::int64_t distance = ahead(command.sequence);
  if (distance < 0) return Taken::kRepeated;
  Piece piece;
  if (command.type == enet_wire::kSendFragment) {
    piece.fragment = enet_wire::fragment_fields(command);
    if (!plausible(command, *piece.fragment)) return Taken::kRefused;
  }
  const std::uint64_t at = next_ + static_cast<std::uint64_t>(distance);
  if (pieces_.contains(at)) return Taken::kRepeated;
  piece.data.assign(command.data.begin(), command.data.end());
  held_bytes_ += piece.data.size() + kPieceOverhead;
  pieces_.emplace(at, std::move(piece));
  return Taken::kNew;
}

void ReliableStream::acknowledged(std::uint16_t sequence) {
  const std::int64_t distance = ahead(sequence);
  if (distance < 0 || distance > static_cast<std::int64_t>(kMaxSpan)) return;
  const std::uint64_t at = next_ + static_cast<std::uint64_t>(distance);
  if (!pieces_.contains(at)) acknowledged_.insert(at);
}

bool ReliableStream::gone(std::uint64_t sequence) const {
  return finished_ || acknowledged_.contains(sequence) ||
         (!pieces_.empty() && pieces_.rbegin()->first - next_ > kMaxSpan);
}

void ReliableStream::forget(std::map<std::uint64_t, Piece>::iterator at) {
  held_bytes_ -= at->second.data.size() + kPieceOverhead;
  pieces_.erase(at);
}

void ReliableStream::lose_first() {
  if (auto first = pieces_.find(next_); first != pieces_.end()) forget(first);
  acknowledged_.erase(next_);
  ++next_;
  ++lost_;
}

std::optional<StreamRecord> ReliableStream::next() {
  for (;;) {
    auto first = pieces_.find(next_);
    if (first == pieces_.end()) {
      if ((pieces_.empty() && !acknowledged_.contains(next_)) || !gone(next_)) return std::nullopt;
      lose_first();
      continue;
    }
    const auto& fragment = first->second.fragment;
    if (!fragment) return join(1);
    if (fragment->number != 0) {  // its beginning was lost
      lose_first();
      continue;
    }
    std::uint32_t have = 1;
    while (have < fragment->count && pieces_.contains(next_ + have)) ++have;
    if (have == fragment->count) return join(have);
    if (!gone(next_ + have)) return std::nullopt;
    lose_first();
  }
}

// Takes `count` pieces off the front as one record.
StreamRecord ReliableStream::join(std::uint32_t count) {
  StreamRecord record;
  record.lost = std::exchange(lost_, 0U);
  std::uint32_t total = 0;
  for (std::uint32_t i = 0; i < count; ++i) {
    auto at = pieces_.find(next_);
    Piece& piece = at->second;
    if (i == 0) total = piece.fragment ? piece.fragment->total : 0;
    const bool fits = piece.fragment
                          ? piece.fragment->number == i && piece.fragment->count == count &&
                                piece.fragment->total == total &&
                                piece.fragment->offset == record.bytes.size()
                          : count == 1;
    if (!fits) record.broken = true;
    if (!record.broken)
      record.bytes.insert(record.bytes.end(), piece.data.begin(), piece.data.end());
    forget(at);
    acknowledged_.erase(next_);
    ++next_;
  }
  if (total != 0 && record.bytes.size() != total) record.broken = true;
  return record;
}

void ReliableStream::drop_held() {
  if (pieces_.empty()) return;
  const std::uint64_t end = pieces_.rbegin()->first + 1;
  lost_ += static_cast<std::uint32_t>(end - next_);
  next_ = end;
  pieces_.clear();
  held_bytes_ = 0;
  acknowledged_.clear();
}

}  // namespace lansync::sniff
