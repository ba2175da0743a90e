// The folder on a real disk (sync/file_system.h).
//
// Invariants: nothing outside the root is touched (I6), what a person wrote is at its path, in the
// trash, or on its way there under `.lansync/tmp/x-*`, whatever instant the process dies at (I1),
// and a reader of a path that is replaced always finds a whole file there (I2). Workers call it,
// any number at once; sync keeps two changes of one path apart.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "platform/confined_directory.h"
#include "platform/root_guard.h"
#include "sync/file_system.h"

namespace lansync {

// Content of a person that a crash left in tmp; it is in the trash now, where sync/trash.h finds
// it.
struct SavedLeftover {
  std::string trash_name;
  std::uint64_t size = 0;
};

class ConfinedFileSystem final : public FileSystem {
 public:
  // `guard` is kept for as long as this lives: the lock is held exactly then.
  static Result<std::unique_ptr<ConfinedFileSystem>> open(RootGuard guard,
                                                          FileSystemLimits limits = {});
  // RootGuard::open and the above in one.
  static Result<std::unique_ptr<ConfinedFileSystem>> open(const std::string& directory, bool force);

  const RootGuard& guard() const { return guard_; }
  // What open() found and moved to the trash.
  const std::vector<SavedLeftover>& saved_leftovers() const { return saved_leftovers_; }

  DiskLimits limits() const override { return disk_; }
  // Also makes .lansync/tmp and .lansync/trash again if somebody removed them.
  Status check_root() override;
  Result<FileStat> stat(const std::string& path) override;
  Result<std::vector<DirectoryItem>> list(const std::string& path) override;
  Result<std::string> read_link(const std::string& path) override;
  Result<std::unique_ptr<ReadFile>> open_file(const std::string& path) override;
  Result<bool> has_writer(const std::string& path) override;
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
  Status rename_fold(const std::string& from, const std::string& to,
                     const FileStat& expected) override;
  Result<FileStat> set_metadata(const std::string& path, std::uint16_t mode,
                                std::optional<std::int64_t> mtime_ns,
                                const FileStat& expected) override;
  Status restore_from_trash(const std::string& trash_name, const std::string& path) override;
  Result<FileStat> install_trash(const std::string& trash_name, const std::string& path,
                                 const FileStat& expected) override;
  // Ok if it is gone already: a crash may fall between this and the index.
  Status remove_trash(const std::string& trash_name) override;
  Result<std::vector<DirectoryItem>> list_trash() override;
  Result<std::unique_ptr<ReadFile>> open_trash(const std::string& trash_name) override;
  Result<std::string> read_trash_link(const std::string& trash_name) override;

  Status sync_all() override;

 private:
  // Where a name is: a directory and one component.
  struct Place {
    int fd;
    const char* name;
  };

  ConfinedFileSystem(RootGuard guard, FileSystemLimits limits);
  Status open_private_directories();
  Status save_leftovers();

  // The parent of a path that a person sees; `.lansync` is refused.
  Result<ParentHandle> parent_of(const std::string& path) const;
  Result<UniqueFd> open_regular(const Place& place, std::string_view shown) const;
  Result<std::string> read_link_at(const ParentHandle& place, const std::string& shown) const;
  Status copy_into_temp(int from, const std::string& name);
  Result<ParentHandle> trash_place(const std::string& trash_name) const;

  // Runs `change` (a system call: 0 or -1 and errno). If our own directory forbids it (mode 0555),
  // it is made writable for the moment and set back; Syncthing does the same.
  template <typename Change>
  int with_writable(int directory_fd, Change change);

  // 0 or errno.
  int move_no_replace(const Place& from, const Place& to);
  int exchange(const Place& a, const Place& b);

  Result<FileStat> replace(const std::string& name, const ParentHandle& parent,
                           const FileStat& expected, const std::string& trash_name);
  // Keeps a second name of the old file in the trash. False: this file system has no hard links.
  Result<bool> link_into_trash(const ParentHandle& parent, const FileStat& expected,
                               const std::string& trash_name);
  Status undo_exchange(const Place& temp, const Place& target, const FileStat& ours,
                       const std::string& trash_name);
  Status replace_without_exchange(const Place& temp, const Place& target, const FileStat& expected,
                                  const std::string& trash_name, bool linked);
  Status temp_to_trash(const char* temp_name, const std::string& trash_name);

  RootGuard guard_;
  DiskLimits disk_;
  FileSystemLimits limits_;
  ConfinedDirectory root_;
  void mend_private_directories();
  ConfinedDirectory temp_;
  ConfinedDirectory trash_;
  std::vector<SavedLeftover> saved_leftovers_;
  std::recursive_mutex widening_;  // a rename may need both its directories widened
  std::atomic<std::uint64_t> next_symlink_{0};
  std::atomic<std::uint64_t> next_dropped_{0};
};

// 0 or -1. The descriptor may be O_PATH.
int make_owner_writable(int directory_fd, std::uint32_t& old_mode);
void restore_mode(int directory_fd, std::uint32_t old_mode);

// One directory's permissions are changed by one thread at a time: two that restored in turn could
// leave it writable.
template <typename Change>
int ConfinedFileSystem::with_writable(int directory_fd, Change change) {
  int result = change();
  if (result == 0 || errno != EACCES) return result;
  std::lock_guard lock(widening_);
  std::uint32_t old_mode = 0;
  if (make_owner_writable(directory_fd, old_mode) != 0) {
    errno = EACCES;
    return -1;
  }
  result = change();
  int why = errno;
  restore_mode(directory_fd, old_mode);
  errno = why;
  return result;
}

// A regular file anywhere, for reading (the command upload). Not confined: the path is a person's.
Result<std::unique_ptr<ReadFile>> open_outside_file(const std::string& path);

}  // namespace lansync
