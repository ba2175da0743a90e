// A set of bytes of one file, as sorted, disjoint, non-adjacent half-open ranges: what was asked
// for, what has come, what is on disk. Invariant: ranges() is always in that canonical form.
//
// Made for few ranges: content is asked for in runs, so a set holds one or two of them, and the
// worst a peer can do is the 1024 ranges of one request.
#pragma once

#include <cstdint>
#include <vector>

#include "sync/file_system.h"

namespace lansync {

class RangeSet {
 public:
  RangeSet() = default;
  // The whole of [begin, end).
  RangeSet(std::uint64_t begin, std::uint64_t end) { add(begin, end); }

  void add(std::uint64_t begin, std::uint64_t end);
  void add(const RangeSet& other);
  void remove(std::uint64_t begin, std::uint64_t end);
  void remove(const RangeSet& other);
  void clear() { ranges_.clear(); }

  // Every byte of [begin, end) is in the set.
  bool contains(std::uint64_t begin, std::uint64_t end) const;
  // How many bytes of [begin, end) are in the set.
  std::uint64_t overlap(std::uint64_t begin, std::uint64_t end) const;
  std::uint64_t total() const;
  // Where the bytes from `at` on end that are in the set; `at` itself if that one is not.
  std::uint64_t end_of_run(std::uint64_t at) const;
  bool empty() const { return ranges_.empty(); }
  // What [0, size) has and this has not.
  RangeSet missing_of(std::uint64_t size) const;
  RangeSet intersection(const RangeSet& other) const;
  // The part of it in [begin, end).
  RangeSet within(std::uint64_t begin, std::uint64_t end) const;
  // Takes the first bytes out, and gives them: at most `max_bytes` and `max_ranges`, cut only at
  // multiples of `unit` (one unit is always given, whatever max_bytes says).
  RangeSet take_front(std::uint64_t max_bytes, std::size_t max_ranges, std::uint64_t unit);
  const std::vector<ByteRange>& ranges() const { return ranges_; }
  bool operator==(const RangeSet&) const = default;

 private:
  std::vector<ByteRange> ranges_;
};

}  // namespace lansync
