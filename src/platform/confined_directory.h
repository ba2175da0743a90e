// A directory below which paths are opened so that no symlink, "..", or mount trick leads outside.
//
// Invariant: every descriptor handed out is for something that was below the directory when it was
// opened, reached through real directories only (reliability.md F24: a check before the use can be
// raced; the kernel's own walk cannot). Parents are not cached: a cached descriptor of a directory
// that was since moved out of the folder would write outside of it, and openat2 costs about 1 us.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "platform/posix.h"
#include "sync/file_system.h"

struct stat;

namespace lansync {

// Kernel and file system features that a test can switch off, to run the ways around them.
struct FileSystemLimits {
  bool no_openat2 = false;
  bool no_exchange = false;   // RENAME_EXCHANGE
  bool no_noreplace = false;  // RENAME_NOREPLACE
  bool no_hard_links = false;
  bool no_reflink = false;
  bool no_copy_range = false;
};

FileStat to_file_stat(const struct stat& st);
// fstatat without following a link. `shown` is the name for the error text. A directory that is the
// root of a mount has a device unlike any other: what is below it is not this folder's.
Result<FileStat> stat_at(int directory_fd, const char* name, std::string_view shown);

// The directory that holds a path's last part, and that part.
struct ParentHandle {
  UniqueFd owned;  // invalid for the root itself, whose descriptor is borrowed
  int fd = -1;
  std::string name;
};

class ConfinedDirectory {
 public:
  ConfinedDirectory() = default;
  ConfinedDirectory(UniqueFd fd, bool no_openat2) : fd_(std::move(fd)), no_openat2_(no_openat2) {}

  int fd() const { return fd_.get(); }
  // A second look at names that have passed validate_relpath already: parts that are empty, ".",
  // "..", over-long or hold a NUL are kRefused. One missed check upstream must not be an escape.
  static Status check_parts(std::string_view path);
  Result<ParentHandle> open_parent(const std::string& path) const;
  // O_PATH unless `flags` says otherwise; always O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC. "" is the
  // directory itself.
  Result<UniqueFd> open_directory(const std::string& path, int flags) const;
  // Makes the missing directories above `path` (0700): for the trash, which is ours alone.
  Status make_parents(const std::string& path) const;

 private:
  int walk(const std::string& path, int flags) const;

  UniqueFd fd_;
  bool no_openat2_ = false;
};

}  // namespace lansync
