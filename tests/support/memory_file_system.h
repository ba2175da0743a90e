// A folder in memory, with the meaning of sync/file_system.h: inodes, change times, temp files and
// a trash. Deterministic: inode numbers count up, times come from a clock that the test sets.
// Invariant: what a method refuses, it leaves as it was.
//
// Not thread-safe: made for executors that run one job at a time. Reads and writes can be made to
// fail, and edits by "a person" are made with write_file() and remove().
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "sync/file_system.h"

namespace lansync {

class MemoryFileSystem : public FileSystem {
 public:
  static constexpr std::uint64_t kDevice = 7;

  // ---- what a test does and sees ---------------------------------------------------------------
  // New files and changes get this time (ns since 1970), and one ns more each, so that no two edits
  // have the same.
  void set_time(std::int64_t ns) { time_ns_ = ns; }
  // Before anything is there.
  void set_limits(const DiskLimits& limits) {
    limits_ = limits;
    files_ = Names(NameLess{limits});
  }
  DiskLimits limits() const override { return limits_; }
  // Limits what files and temp files hold together; free_bytes() follows it.
  void set_capacity(std::uint64_t bytes) { capacity_ = bytes; }
  // Called before each operation with its name ("write", "create_temp", ...) and its subject; an
  // error that it gives is what the operation returns.
  using Fault =
      std::function<std::optional<Error>(const std::string& operation, const std::string& subject)>;
  void set_fault(Fault fault) { fault_ = std::move(fault); }

  // As a person would: makes the directories above it; an existing file keeps its inode.
  void write_file(const std::string& path, ByteView bytes, std::uint16_t mode = 0644);
  void remove(const std::string& path);
  std::optional<Bytes> contents(const std::string& path) const;
  std::optional<Bytes> temp_contents(const std::string& name) const;
  std::optional<Bytes> trash_contents(const std::string& name) const;
  void put_temp(const std::string& name, ByteView bytes);
  // A second name of the file, as a crash may leave it.
  void link_into_trash(const std::string& path, const std::string& trash_name) {
    trash_[trash_name] = files_.at(path);
  }
  // As a program does that restores the times of what it writes (touch -r): the ctime tells.
  void rewrite_file(const std::string& path, ByteView bytes);
  std::vector<std::string> temp_names() const;
  std::vector<std::string> paths() const;  // of everything below the root, sorted
  std::uint64_t used_bytes() const;  // sparse: pages of zeros that were never written are free
  std::uint64_t bytes_written() const { return bytes_written_; }
  std::uint64_t syncs() const { return syncs_; }

  // ---- FileSystem ------------------------------------------------------------------------------
  Status check_root() override;
  Result<FileStat> stat(const std::string& path) override;
  Result<std::vector<DirectoryItem>> list(const std::string& path) override;
  Result<std::string> read_link(const std::string& path) override;
  Result<std::unique_ptr<ReadFile>> open_file(const std::string& path) override;
  Result<std::uint64_t> free_bytes() override;
  Result<std::uint64_t> total_bytes() override;
  Result<std::unique_ptr<TempFile>> create_temp(const std::string& name) override;
  Result<std::unique_ptr<TempFile>> open_temp(const std::string& name) override;
  Result<std::vector<DirectoryItem>> list_temp() override;
  Status remove_temp(const std::string& name) override;
  Status copy_to_temp(const std::string& path, const std::string& name) override;
  Status copy_trash_to_temp(const std::string& trash_name, const std::string& name) override;
  Result<FileStat> install_temp(const std::string& name, const std::string& path,
                                const std::optional<FileStat>& expected,
                                const std::string& trash_name) override;
  Status move_to_trash(const std::string& path, const FileStat& expected,
                       const std::string& trash_name) override;
  Status make_directory(const std::string& path, std::uint16_t mode) override;
  Status remove_directory(const std::string& path) override;
  Result<FileStat> make_symlink(const std::string& target, const std::string& path,
                                const std::optional<FileStat>& expected,
                                const std::string& trash_name) override;
  Result<FileStat> set_metadata(const std::string& path, std::uint16_t mode,
                                std::optional<std::int64_t> mtime_ns,
                                const FileStat& expected) override;
  Status rename_fold(const std::string& from, const std::string& to,
                     const FileStat& expected) override;
  Status restore_from_trash(const std::string& trash_name, const std::string& path) override;
  Result<FileStat> install_trash(const std::string& trash_name, const std::string& path,
                                 const FileStat& expected) override;
  Status remove_trash(const std::string& trash_name) override;
  Result<std::vector<DirectoryItem>> list_trash() override;
  Result<std::unique_ptr<ReadFile>> open_trash(const std::string& trash_name) override;
  Result<std::string> read_trash_link(const std::string& trash_name) override;
  Status sync_all() override;

 protected:
  // What a name points to. An open file keeps it alive, as an inode does.
  struct Node {
    FileStat stat;
    Bytes bytes;
    std::string target;         // symlinks
    std::uint64_t written = 0;  // bytes that take room
  };
  using NodePtr = std::shared_ptr<Node>;
  // Of a disk that takes some names for one, if so set.
  struct NameLess {
    DiskLimits limits;
    bool operator()(const std::string& a, const std::string& b) const {
      return limits.tells_names() ? a < b : fold_name(a, limits) < fold_name(b, limits);
    }
  };
  using Names = std::map<std::string, NodePtr, NameLess>;

  Names files_;  // by path; the root is not in it
  Names temp_;
  Names trash_;

  NodePtr make_node(FileKind kind, std::uint16_t mode);
  std::int64_t next_time() { return time_ns_++; }

 private:
  class OpenRead;
  class OpenTemp;
  Status check(const std::string& operation, const std::string& subject);
  Result<NodePtr> find(const Names& names, const std::string& name) const;
  Status check_room(std::uint64_t bytes) const;
  Status check_parent(const std::string& path) const;
  Status check_expected(const std::string& path, const std::optional<FileStat>& expected) const;
  Result<FileStat> put_at(const std::string& path, NodePtr node,
                          const std::optional<FileStat>& expected, const std::string& trash_name);
  Status write_at(Node& node, std::uint64_t offset, ByteView bytes);
  bool has_children(const std::string& path) const;

  bool is_below(const std::string& path, const std::string& prefix) const;
  void apply_limits(FileStat& stat) const;

  DiskLimits limits_;
  std::int64_t time_ns_ = 1'700'000'000'000'000'000;
  std::uint64_t next_inode_ = 100;
  std::uint64_t capacity_ = 1ull << 40;
  std::uint64_t bytes_written_ = 0;
  std::uint64_t syncs_ = 0;
  Fault fault_;
};

}  // namespace lansync
