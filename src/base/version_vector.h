// Which edits a version has seen. Decides newer, older, concurrent; never a clock, never mtime.
//
// A sorted array of (short node id, count), at most kMaxVectorSize. Immutable use: a version's
// vector changes only by making a new version.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "base/ids.h"

namespace lansync {

// DESIGN, Versions. 1024 authors of one path; bounds a peer's entry to 16 KiB of vector.
inline constexpr std::size_t kMaxVectorSize = 1024;

enum class Order { kEqual, kNewer, kOlder, kConcurrent };

class VersionVector {
 public:
  struct Part {
    ShortId id;
    std::uint64_t count;
    auto operator<=>(const Part&) const = default;
  };

  VersionVector() = default;
  // Requires nothing: sorts, drops zero counts, keeps the highest count of a doubled id.
  explicit VersionVector(std::vector<Part> parts);

  // What this is, seen from `other`: kNewer = this covers other and more.
  Order compare(const VersionVector& other) const;
  bool covers(const VersionVector& other) const {
    Order order = compare(other);
    return order == Order::kEqual || order == Order::kNewer;
  }
  std::uint64_t count_of(ShortId id) const;
  // Sets the count of `id`. Requires: count > count_of(id).
  void raise(ShortId id, std::uint64_t count);
  // The least vector that covers both.
  static VersionVector merged(const VersionVector& a, const VersionVector& b);

  bool empty() const { return parts_.empty(); }
  const std::vector<Part>& parts() const { return parts_; }
  bool operator==(const VersionVector&) const = default;

 private:
  std::vector<Part> parts_;
};

}  // namespace lansync
