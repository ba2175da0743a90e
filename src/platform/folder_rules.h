// Which folders a node does not take (CONTRACT, "The node"): `/`, a home directory itself, system
// directories, a folder within or around another node's folder.
//
// Invariant: the answer depends on the facts that are passed in only. Driven by root_guard before
// it creates anything; --force-dir skips it.
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace lansync {

struct FolderFacts {
  std::string path;                       // absolute, no links in it, no "/" at its end
  std::vector<std::string> other_names;   // of the same directory, by bind mounts
  std::vector<std::string> homes;         // home directories known by name
  std::optional<std::string> node_above;  // a directory above that holds .lansync
  std::optional<std::string> node_below;  // one below
};

// nullopt: fine. Otherwise one line that says why and what to do.
std::optional<std::string> why_folder_is_refused(const FolderFacts& facts);

// Looks at the disk. `path` need not exist. The look below it ends after 50,000 entries or 8
// levels: a disk of photos must not cost minutes at the first start (later starts skip it).
FolderFacts gather_folder_facts(const std::string& path);

}  // namespace lansync
