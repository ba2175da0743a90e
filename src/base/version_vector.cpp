#include "base/version_vector.h"

#include <algorithm>

namespace lansync {
namespace {

constexpr int kDerivedIds = 8;

// splitmix64: any fixed function will do, as whoever can claim one id can claim them all.
ShortId derived_id(ShortId id, int step) {
  std::uint64_t z = id + static_cast<std::uint64_t>(step) * 0x9e3779b97f4a7c15u;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

}  // namespace

VersionVector::VersionVector(std::vector<Part> parts) : parts_(std::move(parts)) {
  std::sort(parts_.begin(), parts_.end());
  std::vector<Part> kept;
  for (const Part& part : parts_) {
    if (part.count == 0) continue;
    // Sorted by (id, count): of a doubled id the last one has the highest count.
    if (!kept.empty() && kept.back().id == part.id) {
      kept.back() = part;
    } else {
      kept.push_back(part);
    }
  }
  parts_ = std::move(kept);
}

Order VersionVector::compare(const VersionVector& other) const {
  bool more = false;
  bool less = false;
  auto a = parts_.begin();
  auto b = other.parts_.begin();
  while (a != parts_.end() || b != other.parts_.end()) {
    if (b == other.parts_.end() || (a != parts_.end() && a->id < b->id)) {
      more = true;
      ++a;
    } else if (a == parts_.end() || b->id < a->id) {
      less = true;
      ++b;
    } else {
      more = more || a->count > b->count;
      less = less || a->count < b->count;
      ++a;
      ++b;
    }
  }
  if (more && less) return Order::kConcurrent;
  if (more) return Order::kNewer;
  return less ? Order::kOlder : Order::kEqual;
}

std::uint64_t VersionVector::count_of(ShortId id) const {
  auto at = std::lower_bound(parts_.begin(), parts_.end(), id,
                             [](const Part& part, ShortId wanted) { return part.id < wanted; });
  return at != parts_.end() && at->id == id ? at->count : 0;
}

bool VersionVector::raise(ShortId id, std::uint64_t count) {
  if (count >= kCountLimit || count <= count_of(id)) return false;
  auto at = std::lower_bound(parts_.begin(), parts_.end(), id,
                             [](const Part& part, ShortId wanted) { return part.id < wanted; });
  if (at != parts_.end() && at->id == id) {
    at->count = count;
  } else {
    parts_.insert(at, Part{id, count});
  }
  return true;
}

std::optional<VersionVector> VersionVector::next(const VersionVector& before, ShortId id,
                                                 std::uint64_t count, std::size_t max_parts) {
  VersionVector version = before;
  bool raised = version.raise(id, count);
  for (int step = 1; step <= kDerivedIds && !raised; ++step) {
    raised = version.raise(derived_id(id, step), count);
  }
  if (!raised || version.parts().size() > max_parts) return std::nullopt;
  return version;
}

VersionVector VersionVector::merged(const VersionVector& a, const VersionVector& b) {
  std::vector<Part> parts = a.parts_;
  parts.insert(parts.end(), b.parts_.begin(), b.parts_.end());
  return VersionVector(std::move(parts));
}

}  // namespace lansync
