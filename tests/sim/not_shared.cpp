#include "sim/not_shared.h"

#include <algorithm>

#include "base/rel_path.h"
#include "sync/hashing.h"

namespace lansync::sim {

namespace {

bool stands_somewhere(const Entry& entry, const std::vector<NotShared::Folder>& folders) {
  for (const NotShared::Folder& folder : folders) {
    for (const auto& [path, seen] : *folder.tree) {
      if (seen.kind != FileKind::kFile || seen.bytes.size() != entry.size) continue;
      if (content_id_of(seen.bytes) == entry.content) return true;
    }
  }
  return false;
}

bool is_missing_in_one(const std::string& path, const std::vector<NotShared::Folder>& folders) {
  return std::any_of(folders.begin(), folders.end(),
                     [&](const NotShared::Folder& folder) { return !folder.tree->contains(path); });
}

bool is_leaf_in_one(const std::string& path, const std::vector<NotShared::Folder>& folders) {
  return std::any_of(folders.begin(), folders.end(), [&](const NotShared::Folder& folder) {
    const auto at = folder.tree->find(path);
    return at != folder.tree->end() && at->second.kind != FileKind::kDirectory;
  });
}

}  // namespace

NotShared::NotShared(const std::vector<Folder>& folders, const std::string& rules,
                     const Missed& missed) {
  if (!rules.empty()) rules_ = IgnoreRules::parse(rules);
  std::uint64_t limit = 0;
  for (const Folder& folder : folders) {
    if (folder.max_file_size == 0) continue;
    limit = limit == 0 ? folder.max_file_size : std::min(limit, folder.max_file_size);
  }
  for (const Folder& folder : folders) {
    for (const std::string& path : apart(folder, limit)) {
      own_.insert(path);
      // It keeps the directories that it is in where the group has a file or link by now. Where the
      // group has nothing, one that holds what was never synced is kept as an edit; but a file that
      // grew too large is synced still as it was, and the delete of it waits for that very file.
      // (Seeds 5971, 8872.)
      const bool large = limit != 0 && folder.tree->at(path).bytes.size() > limit;
      for (std::string above(parent_path(path)); !above.empty();
           above = std::string(parent_path(above))) {
        if (is_leaf_in_one(above, folders) || (large && is_missing_in_one(above, folders)))
          own_.insert(above);
      }
    }
  }
  // A person deleted it, or the disk damaged it, before anybody else had it, and then a reject
  // wanted it back: it stays listed and comes when its holder does (DESIGN, Deletes), and what
  // stands in its place meanwhile is each disk's own. (Seeds 1681, 2367, 2472.)
  for (const auto& [path, entry] : missed) {
    if (!stands_somewhere(*entry, folders)) own_.insert(path);
  }
}

bool NotShared::ignores(const std::string& path, const SeenFile& seen) const {
  return rules_ && rules_->ignored(path, seen.kind == FileKind::kDirectory);
}

// Rules may name a path as a file and not as a directory, or the other way round: what stands there
// keeps the group's version from its place. (Seeds 6113, 7267: all but folders and *.txt.)
std::set<std::string> NotShared::apart(const Folder& folder, std::uint64_t limit) const {
  std::set<std::string> out;
  for (const auto& [path, seen] : *folder.tree) {
    const bool large = limit != 0 && seen.bytes.size() > limit;
    if (seen.kind == FileKind::kOther || large || ignores(path, seen)) out.insert(path);
  }
  return out;
}

bool NotShared::covers(const std::string& path, const SeenFile& seen) const {
  if (ignores(path, seen)) return true;
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
