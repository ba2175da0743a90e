#include "sync/range_set.h"

#include <algorithm>

#include "base/assert.h"

namespace lansync {

namespace {

// The first range that ends at or after `position`.
template <typename Ranges>
auto first_ending_from(Ranges& ranges, std::uint64_t position) {
  return std::lower_bound(
      ranges.begin(), ranges.end(), position,
      [](const ByteRange& range, std::uint64_t value) { return range.end < value; });
}

}  // namespace

void RangeSet::add(std::uint64_t begin, std::uint64_t end) {
  LS_ASSERT(begin <= end);
  if (begin == end) return;
  auto first = first_ending_from(ranges_, begin);
  auto last = first;
  while (last != ranges_.end() && last->begin <= end) {
    begin = std::min(begin, last->begin);
    end = std::max(end, last->end);
    ++last;
  }
  if (first == last) {
    ranges_.insert(first, {begin, end});
    return;
  }
  *first = {begin, end};
  ranges_.erase(first + 1, last);
}

void RangeSet::add(const RangeSet& other) {
  for (const ByteRange& range : other.ranges_) add(range.begin, range.end);
}

void RangeSet::remove(std::uint64_t begin, std::uint64_t end) {
  LS_ASSERT(begin <= end);
  if (begin == end) return;
  auto it = first_ending_from(ranges_, begin);
  while (it != ranges_.end() && it->begin < end) {
    const ByteRange old = *it;
    if (old.end <= begin) {
      ++it;
      continue;
    }
    if (old.begin < begin && old.end > end) {
      it->end = begin;
      ranges_.insert(it + 1, {end, old.end});
      return;
    }
    if (old.begin < begin) {
      it->end = begin;
      ++it;
    } else if (old.end > end) {
      it->begin = end;
      return;
    } else {
      it = ranges_.erase(it);
    }
  }
}

void RangeSet::remove(const RangeSet& other) {
  for (const ByteRange& range : other.ranges_) remove(range.begin, range.end);
}

RangeSet RangeSet::within(std::uint64_t begin, std::uint64_t end) const {
  RangeSet part;
  for (auto it = first_ending_from(ranges_, begin); it != ranges_.end() && it->begin < end; ++it) {
    const std::uint64_t from = std::max(begin, it->begin);
    const std::uint64_t to = std::min(end, it->end);
    if (from < to) part.ranges_.push_back({from, to});
  }
  return part;
}

RangeSet RangeSet::intersection(const RangeSet& other) const {
  RangeSet common;
  for (const ByteRange& range : other.ranges_) common.add(within(range.begin, range.end));
  return common;
}

bool RangeSet::contains(std::uint64_t begin, std::uint64_t end) const {
  if (begin >= end) return begin == end;
  auto it = first_ending_from(ranges_, end);
  return it != ranges_.end() && it->begin <= begin;
}

std::uint64_t RangeSet::overlap(std::uint64_t begin, std::uint64_t end) const {
  std::uint64_t bytes = 0;
  for (auto it = first_ending_from(ranges_, begin); it != ranges_.end() && it->begin < end; ++it) {
    const std::uint64_t from = std::max(begin, it->begin);
    const std::uint64_t to = std::min(end, it->end);
    if (from < to) bytes += to - from;
  }
  return bytes;
}

std::uint64_t RangeSet::end_of_run(std::uint64_t at) const {
  for (const ByteRange& range : ranges_)
    if (range.begin <= at && at < range.end) return range.end;
  return at;
}

std::uint64_t RangeSet::total() const {
  std::uint64_t bytes = 0;
  for (const ByteRange& range : ranges_) bytes += range.end - range.begin;
  return bytes;
}

RangeSet RangeSet::missing_of(std::uint64_t size) const {
  RangeSet missing(0, size);
  for (const ByteRange& range : ranges_) missing.remove(range.begin, range.end);
  return missing;
}

RangeSet RangeSet::take_front(std::uint64_t max_bytes, std::size_t max_ranges, std::uint64_t unit) {
  LS_ASSERT(unit > 0);
  RangeSet taken;
  while (!ranges_.empty() && taken.ranges_.size() < max_ranges) {
    const ByteRange range = ranges_.front();
    std::uint64_t end = range.end;
    if (range.end - range.begin > max_bytes) {
      // Down to a border of units, but past the one that range.begin lies in.
      end = (range.begin + max_bytes) / unit * unit;
      if (end <= range.begin) {
        if (!taken.empty()) break;
        end = std::min(range.end, (range.begin / unit + 1) * unit);
      }
    }
    taken.add(range.begin, end);
    remove(range.begin, end);
    if (end - range.begin >= max_bytes) break;
    max_bytes -= end - range.begin;
  }
  return taken;
}

}  // namespace lansync
