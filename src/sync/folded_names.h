// The names of the index as a disk that does not tell case, or forms of accents, sees them.
//
// Invariant: as of the last take(), each live path under its folded form. Nothing is kept for a
// disk that tells them all. Driven by the replica, before it plans and before it judges what was
// seen.
#pragma once

#include <optional>
#include <string>
#include <unordered_map>

#include "sync/disk_limits.h"
#include "sync/index.h"

namespace lansync {

class FoldedNames {
 public:
  void take(const Index& index, const DiskLimits& limits);
  // Another live path that is the same name there.
  std::optional<std::string> twin_of(const std::string& path) const;

 private:
  DiskLimits limits_;
  std::unordered_multimap<std::string, std::string> by_form_;
};

}  // namespace lansync
