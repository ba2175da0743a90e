#include "roles/folded_saves.h"

#include <algorithm>

#include "base/log.h"

namespace lansync {

std::string ignore_line(const std::string& path) {
  std::string line = "/";
  for (const char c : path) {
    if (c == '*' || c == '?' || c == '[' || c == '\\') line += '\\';
    line += c;
  }
  // Spaces at the end of a line are no part of it.
  if (line.back() == ' ') line.insert(line.size() - 1, 1, '\\');
  return line;
}

bool FoldedSaves::note(const std::string& path, const std::string& author, std::int64_t now_ns) {
  std::erase_if(folds_, [&](const auto& fold) { return now_ns - fold.second.at_ns > kLifeNs; });
  if (auto at = folds_.find(path); at != folds_.end()) {
    at->second.at_ns = now_ns;
    return false;
  }
  if (folds_.size() >= kMaxPaths) {
    folds_.erase(std::min_element(folds_.begin(), folds_.end(), [](const auto& a, const auto& b) {
      return a.second.at_ns < b.second.at_ns;
    }));
  }
  folds_[path] = {author, now_ns};
  return true;
}

std::string FoldedSaves::text(const Index& index, std::int64_t now_ns) const {
  const std::pair<const std::string, Fold>* last = nullptr;
  for (const auto& fold : folds_) {
    if (now_ns - fold.second.at_ns > kLifeNs) continue;
    const PathRecord* record = index.find(fold.first);
    if (!record || !record->known() || record->known()->is_tombstone()) continue;
    if (!last || last->second.at_ns < fold.second.at_ns) last = &fold;
  }
  if (!last) return {};
  return str(printable(last->first),
             " is saved again and again on two nodes, and each time one of ",
             "them loses: of what ", printable(last->second.author, 64),
             " saved, the first and the last are kept as conflict copies. If it need not be the ",
             "same everywhere, put the line ", printable(ignore_line(last->first)),
             " into .lansyncignore");
}

}  // namespace lansync
