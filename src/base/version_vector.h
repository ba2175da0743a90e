// Which edits a version has seen. Decides newer, older, concurrent; never a clock, never mtime.
//
// A sorted array of (short node id, count). Immutable use: a version's vector changes only by
// making a new version, and every way in which one grows is bounded: what comes from outside by
// kMaxVectorFromOutside, what is made here by next().
#pragma once

#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "base/ids.h"

namespace lansync {

// DESIGN, Versions. What a member may send, and so what a node sends: a longer one is its sender's
// fault. Bounds a peer's entry to 10 KiB of vector.
inline constexpr std::size_t kMaxVectorFromOutside = 512;
// Of one that stays here: an edit of a version that came with 512 parts is still an edit.
inline constexpr std::size_t kMaxVectorSize = 1024;
// Counts are below it, whoever made them, so that one more never wraps.
inline constexpr std::uint64_t kCountLimit = std::uint64_t{1} << 62;

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
  // Sets the count of `id`. False, and nothing changed, if that is no rise or `count` no count.
  bool raise(ShortId id, std::uint64_t count);
  // `before` and an edit more: number `count` of `id`. A member can write any count beside any id;
  // where `before` claims that edit already, the new one goes under an id derived from `id`, so
  // that nobody's claim stops another's edits. nullopt: it would have more than `max_parts`, or
  // the derived ids are claimed as well.
  static std::optional<VersionVector> next(const VersionVector& before, ShortId id,
                                           std::uint64_t count, std::size_t max_parts);
  // More parts than another node takes.
  bool too_long_for_others() const { return parts_.size() > kMaxVectorFromOutside; }
  // The least vector that covers both.
  static VersionVector merged(const VersionVector& a, const VersionVector& b);

  bool empty() const { return parts_.empty(); }
  const std::vector<Part>& parts() const { return parts_; }
  bool operator==(const VersionVector&) const = default;

 private:
  std::vector<Part> parts_;
};

}  // namespace lansync
