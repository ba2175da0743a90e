// One folder, taken by one node: made if missing, its .lansync private, locked while we live.
//
// Invariant: while a RootGuard exists no other lansync has this folder, and same_root() tells
// whether the path still leads to the directory that was opened (an unmounted disk looks like an
// empty folder, and must not become a run of deletes). Driven by app at start; the file system is
// built on it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/result.h"
#include "platform/posix.h"

namespace lansync {

struct DirectoryIdentity {
  std::uint64_t device = 0;
  std::uint64_t inode = 0;
  bool operator==(const DirectoryIdentity&) const = default;
};

// What of a directory is the same after the next mount, where its file system keeps that.
struct LastingIdentity {
  std::uint64_t inode = 0;
  std::int64_t birth_ns = 0;
};

class RootGuard {
 public:
  // Makes DIR and DIR/.lansync{,/tmp,/trash} (0700) and takes the lock. kRefused: a folder that
  // should not be one (`force` overrides); kBusy: another node has it, the text names its pid.
  static Result<RootGuard> open(const std::string& directory, bool force);

  const std::string& path() const { return path_; }  // absolute, links resolved
  std::string private_path() const { return path_ + "/.lansync"; }
  int root_fd() const { return root_.get(); }
  int private_fd() const { return private_.get(); }
  DirectoryIdentity root_identity() const { return root_identity_; }
  // Of .lansync, for the index: a copied folder shows here (DESIGN, Identity). None on file systems
  // that number their files anew with each mount, or keep no time of birth.
  std::optional<LastingIdentity> lasting_identity() const;
  std::optional<LastingIdentity> lasting_root() const;  // the folder's own
  Status same_root() const;

 private:
  Status take_lock();

  std::string path_;
  UniqueFd root_;
  UniqueFd private_;
  UniqueFd lock_;
  DirectoryIdentity root_identity_;
  DirectoryIdentity private_identity_;
};

}  // namespace lansync
