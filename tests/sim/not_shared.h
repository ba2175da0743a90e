// What stands in the folders of a world and is not to be the same everywhere: what the rules of
// .lansyncignore name, pipes, and files above somebody's --max-file-size.
//
// Invariant: a path is shared by all nodes or by none. A look at the disks of one moment; made by
// World when it compares.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "sim/disk.h"
#include "sync/ignore_rules.h"

namespace lansync::sim {

class NotShared {
 public:
  struct Folder {
    const SeenTree* tree;
    std::uint64_t max_file_size;  // 0: no limit
  };
  // `rules`: the text of .lansyncignore, the same in all of them.
  NotShared(const std::vector<Folder>& folders, const std::string& rules);

  bool covers(const std::string& path, const SeenFile& seen) const;
  SeenTree without(SeenTree tree) const;

 private:
  std::optional<IgnoreRules> rules_;
  std::set<std::string> own_;  // and what is below
};

}  // namespace lansync::sim
