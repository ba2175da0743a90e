// The names of the index as a disk that does not tell case sees them.
//
// Invariant: as of the last take(), each live path under its folded form. Nothing is kept for a
// disk that tells case. Driven by the replica, before it plans and before it judges what was seen.
#pragma once

#include <optional>
#include <string>
#include <unordered_map>

#include "sync/index.h"

namespace lansync {

class FoldedNames {
 public:
  void take(const Index& index);
  // Another live path that is the same name there.
  std::optional<std::string> twin_of(const std::string& path) const;

 private:
  std::unordered_multimap<std::string, std::string> by_form_;
};

}  // namespace lansync
