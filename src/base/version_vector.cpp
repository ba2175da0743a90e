#include "base/version_vector.h"

#include <algorithm>

#include "base/assert.h"

namespace lansync {

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

void VersionVector::raise(ShortId id, std::uint64_t count) {
  auto at = std::lower_bound(parts_.begin(), parts_.end(), id,
                             [](const Part& part, ShortId wanted) { return part.id < wanted; });
  if (at != parts_.end() && at->id == id) {
    LS_ASSERT(count > at->count);
    at->count = count;
  } else {
    LS_ASSERT(count > 0);
    parts_.insert(at, Part{id, count});
  }
}

VersionVector VersionVector::merged(const VersionVector& a, const VersionVector& b) {
  std::vector<Part> parts = a.parts_;
  parts.insert(parts.end(), b.parts_.begin(), b.parts_.end());
  return VersionVector(std::move(parts));
}

}  // namespace lansync
