#include "sync/folded_names.h"

namespace lansync {

void FoldedNames::take(const Index& index, const DiskLimits& limits) {
  limits_ = limits;
  by_form_.clear();
  for (const auto& [path, record] : index.paths()) {
    if (record.live()) by_form_.emplace(fold_name(path, limits_), path);
  }
}

std::optional<std::string> FoldedNames::twin_of(const std::string& path) const {
  const auto [begin, end] = by_form_.equal_range(fold_name(path, limits_));
  for (auto at = begin; at != end; ++at) {
    if (at->second != path) return at->second;
  }
  return std::nullopt;
}

}  // namespace lansync
