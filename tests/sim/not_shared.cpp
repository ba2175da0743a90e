#include "sim/not_shared.h"

#include <algorithm>

#include "base/rel_path.h"

namespace lansync::sim {

NotShared::NotShared(const std::vector<Folder>& folders, const std::string& rules) {
  if (!rules.empty()) rules_ = IgnoreRules::parse(rules);
  std::uint64_t limit = 0;
  for (const Folder& folder : folders) {
    if (folder.max_file_size == 0) continue;
    limit = limit == 0 ? folder.max_file_size : std::min(limit, folder.max_file_size);
  }
  for (const Folder& folder : folders) {
    for (const auto& [path, seen] : *folder.tree) {
      const bool large = limit != 0 && seen.bytes.size() > limit;
      if (seen.kind == FileKind::kOther || large) own_.insert(path);
    }
  }
}

bool NotShared::covers(const std::string& path, const SeenFile& seen) const {
  if (rules_ && rules_->ignored(path, seen.kind == FileKind::kDirectory)) return true;
  if (own_.empty()) return false;
  for (std::string at = path; !at.empty(); at = std::string(parent_path(at))) {
    if (own_.contains(at)) return true;
  }
  return false;
}

SeenTree NotShared::without(SeenTree tree) const {
  if (!rules_ && own_.empty()) return tree;
  std::erase_if(tree, [this](const auto& named) { return covers(named.first, named.second); });
  return tree;
}

}  // namespace lansync::sim
