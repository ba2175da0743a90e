// The folder as sync sees it: everything below one root, nothing outside it.
//
// Implemented by platform (openat2, RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS for every parent, then
// *at() calls with one component) and by the simulator (in memory, drops what was not synced on a
// crash). Called on worker threads; every method is thread-safe. Paths have passed
// validate_relpath, or are "" for the root itself. Temp names and trash names are made by sync and
// contain no '/' (trash paths may).
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "sync/disk_limits.h"

namespace lansync {

enum class FileKind : std::uint8_t { kFile, kDirectory, kSymlink, kOther };

// What lstat tells. Two equal stats mean "not touched since" as far as a stat can tell; the device
// is not compared, because a disk gets another number with the next port or mount.
// ctime cannot be set back, so a program that restores size and mtime shows all the same.
struct FileStat {
  FileKind kind = FileKind::kOther;
  std::uint16_t mode = 0;  // & 0777
  std::uint64_t size = 0;
  std::int64_t mtime_ns = 0;
  std::int64_t ctime_ns = 0;
  std::uint64_t inode = 0;
  std::uint64_t device = 0;
  bool operator==(const FileStat& o) const {
    return same_file_bytes(o) && mode == o.mode && ctime_ns == o.ctime_ns;
  }
  // Equal but for ctime and mode: what a rename or a link of our own leaves alone. Says nothing of
  // whether somebody wrote to it: before something is replaced or removed, the whole is compared.
  bool same_file_bytes(const FileStat& o) const {
    return kind == o.kind && size == o.size && mtime_ns == o.mtime_ns && inode == o.inode;
  }
};

struct DirectoryItem {
  std::string name;  // as on disk: may be invalid UTF-8, may hold control bytes
  FileStat stat;
};

// A contiguous part of a file. `end` is exclusive.
struct ByteRange {
  std::uint64_t begin = 0;
  std::uint64_t end = 0;
  bool operator==(const ByteRange&) const = default;
};

class ReadFile {
 public:
  virtual ~ReadFile() = default;
  // Up to out.size() bytes at `offset`; 0 at the end.
  virtual Result<std::size_t> read(std::uint64_t offset, std::span<std::uint8_t> out) = 0;
  // fstat of the open file: compared before and after a read.
  virtual Result<FileStat> stat() = 0;
  // What is read next comes from the disk and not from memory, as far as the system can tell: rot
  // on a disk does not show in the page cache.
  virtual void drop_cache() {}
};

class TempFile {
 public:
  virtual ~TempFile() = default;
  virtual Status write(std::uint64_t offset, ByteView bytes) = 0;
  virtual Result<std::size_t> read(std::uint64_t offset, std::span<std::uint8_t> out) = 0;
  virtual Status set_size(std::uint64_t size) = 0;
  // Sets mode and mtime on the open file: they arrive with the content, in one rename.
  virtual Status set_metadata(std::uint16_t mode, std::int64_t mtime_ns) = 0;
  // fsync. After an error the file is worthless (dirty pages may be gone): discard it, never retry.
  virtual Status sync() = 0;
};

class FileSystem {
 public:
  virtual ~FileSystem() = default;

  // What this disk cannot hold; the same from the first call to the last.
  virtual DiskLimits limits() const { return {}; }
  // Ok while the root and its .lansync are those that were opened at start (same device and inode).
  virtual Status check_root() = 0;
  virtual Result<FileStat> stat(const std::string& path) = 0;
  // Children, unsorted; `.lansync` of the root left out. Does not follow links.
  virtual Result<std::vector<DirectoryItem>> list(const std::string& path) = 0;
  virtual Result<std::string> read_link(const std::string& path) = 0;
  // Regular files only (O_NONBLOCK | O_NOFOLLOW and fstat: a fifo put in its place does not hang
  // us).
  virtual Result<std::unique_ptr<ReadFile>> open_file(const std::string& path) = 0;
  // Whether anybody has the regular file at `path` open for writing. An error: it cannot be told
  // (not our file, a file system without leases).
  virtual Result<bool> has_writer(const std::string& path) {
    return Error{ErrorCode::kUnsupported, "cannot tell who writes " + path};
  }
  virtual Result<std::uint64_t> free_bytes() = 0;  // for this user, below the root
  virtual Result<std::uint64_t> total_bytes() = 0;

  // ---- temp files, in .lansync/tmp -------------------------------------------------------------
  virtual Result<std::unique_ptr<TempFile>> create_temp(const std::string& name) = 0;  // truncates
  virtual Result<std::unique_ptr<TempFile>> open_temp(const std::string& name) = 0;    // must exist
  virtual Result<std::vector<DirectoryItem>> list_temp() = 0;
  virtual Status remove_temp(const std::string& name) = 0;
  // `name` becomes a copy of the file at `path`: a reflink where the file system can, else copied.
  virtual Status copy_to_temp(const std::string& path, const std::string& name) = 0;
  // The same from a file in the trash.
  virtual Status copy_trash_to_temp(const std::string& trash_name, const std::string& name) = 0;

  // ---- changing what a person sees -------------------------------------------------------------
  // Puts temp file `name` at `path`, atomically for a reader. `expected` is what must be there now:
  // nullopt = nothing (RENAME_NOREPLACE). Otherwise the old file goes to `trash_name` (empty: is
  // dropped, only for content kept elsewhere) and never disappears from under `path` in between
  // (RENAME_EXCHANGE). kChanged, and nothing done, if something else is there or it was touched
  // since (ctime too, here and below); kExists if expected nothing and something is. Returns the
  // stat of what is at `path` now.
  virtual Result<FileStat> install_temp(const std::string& name, const std::string& path,
                                        const std::optional<FileStat>& expected,
                                        const std::string& trash_name) = 0;
  // The file or symlink at `path` goes to the trash if it is still `expected` (kChanged otherwise).
  virtual Status move_to_trash(const std::string& path, const FileStat& expected,
                               const std::string& trash_name) = 0;
  virtual Status make_directory(const std::string& path,
                                std::uint16_t mode) = 0;  // kExists if there
  // Removes an empty directory; kChanged if something is in it (a child that sync does not know).
  virtual Status remove_directory(const std::string& path) = 0;
  // Makes or atomically replaces a symlink; `expected` as in install_temp.
  virtual Result<FileStat> make_symlink(const std::string& target, const std::string& path,
                                        const std::optional<FileStat>& expected,
                                        const std::string& trash_name) = 0;
  // Two names that the disk takes for one: what is under `from` is shown under `to` from now on, in
  // one rename(2). kChanged if it is not `expected` (a directory: not that inode).
  virtual Status rename_fold(const std::string& from, const std::string& to,
                             const FileStat& expected) {
    (void)to, (void)expected;
    return Error{ErrorCode::kUnsupported, "cannot rename " + from};
  }
  virtual Result<FileStat> set_metadata(const std::string& path, std::uint16_t mode,
                                        std::optional<std::int64_t> mtime_ns,
                                        const FileStat& expected) = 0;
  // Moves a whole file or symlink from the trash to `path` (nothing may be there).
  virtual Status restore_from_trash(const std::string& trash_name, const std::string& path) = 0;
  // The same for a file that stands where others renamed it to: kChanged, and nothing done, if what
  // lies there is not `expected`. Returns the stat of what is at `path` now.
  virtual Result<FileStat> install_trash(const std::string& trash_name, const std::string& path,
                                         const FileStat& expected) = 0;
  virtual Status remove_trash(const std::string& trash_name) = 0;
  // Every file and symlink in the trash by its name there, unsorted: all of them, or an error.
  virtual Result<std::vector<DirectoryItem>> list_trash() = 0;
  virtual Result<std::unique_ptr<ReadFile>> open_trash(const std::string& trash_name) = 0;
  virtual Result<std::string> read_trash_link(const std::string& trash_name) = 0;

  // Everything written before is durable afterwards (syncfs): one call for a batch of small files.
  virtual Status sync_all() = 0;
};

}  // namespace lansync
