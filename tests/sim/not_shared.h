// What stands in the folders of a world and is not to be the same everywhere: what the rules of
// .lansyncignore name, pipes, files above somebody's --max-file-size, directories that hold such
// things where others have a file, and paths of which a node says that nobody has the group's
// version, where no disk has it.
//
// Invariant: a path is shared by all nodes or by none. A look at the disks of one moment; made by
// World when it compares.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/entry.h"
#include "sim/disk.h"
#include "sync/ignore_rules.h"

namespace lansync::sim {

class NotShared {
 public:
  struct Folder {
    const SeenTree* tree;
    std::uint64_t max_file_size;  // 0: no limit
  };
  // `rules`: the text of .lansyncignore, the same in all of them. `missed`: what a node says that
  // nobody has.
  using Missed = std::vector<std::pair<std::string, EntryPtr>>;
  NotShared(const std::vector<Folder>& folders, const std::string& rules, const Missed& missed);

  bool covers(const std::string& path, const SeenFile& seen) const;
  SeenTree without(SeenTree tree) const;

 private:
  bool ignores(const std::string& path, const SeenFile& seen) const;
  // What stands in `folder` and is shared by nobody.
  std::set<std::string> apart(const Folder& folder, std::uint64_t limit) const;

  std::optional<IgnoreRules> rules_;
  std::set<std::string> own_;  // and what is below
};

}  // namespace lansync::sim
