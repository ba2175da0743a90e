#include "platform/confined_file_system.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <ctime>

#include "base/assert.h"
#include "base/log.h"
#include "platform/disk_probe.h"
#include "platform/file_copy.h"

namespace lansync {
namespace {

constexpr std::size_t kMaxLinkBytes = 4095;

timespec to_timespec(std::int64_t ns) {
  // Floor, so that -1 ns is 999999999 ns of the second before 1970.
  std::int64_t seconds = ns / 1'000'000'000;
  std::int64_t rest = ns % 1'000'000'000;
  if (rest < 0) {
    rest += 1'000'000'000;
    --seconds;
  }
  return timespec{seconds, rest};
}

class OpenReadFile final : public ReadFile {
 public:
  explicit OpenReadFile(UniqueFd fd) : fd_(std::move(fd)) {}
  Result<std::size_t> read(std::uint64_t offset, std::span<std::uint8_t> out) override {
    return read_fully(fd_.get(), offset, out);
  }
  Result<FileStat> stat() override {
    struct stat st {};
    if (::fstat(fd_.get(), &st) != 0) return posix_error(errno, "look at an open file");
    return to_file_stat(st);
  }
  void drop_cache() override { (void)::posix_fadvise(fd_.get(), 0, 0, POSIX_FADV_DONTNEED); }

 private:
  UniqueFd fd_;
};

class OpenTempFile final : public TempFile {
 public:
  OpenTempFile(UniqueFd fd, bool keeps_modes) : fd_(std::move(fd)), keeps_modes_(keeps_modes) {}
  Status write(std::uint64_t offset, ByteView bytes) override {
    return write_fully(fd_.get(), offset, bytes);
  }
  Result<std::size_t> read(std::uint64_t offset, std::span<std::uint8_t> out) override {
    return read_fully(fd_.get(), offset, out);
  }
  Status set_size(std::uint64_t size) override {
    if (size > 0x7fff'ffff'ffff'ffff) return posix_error(EFBIG, "set the size of a temp file");
    if (::ftruncate(fd_.get(), static_cast<off_t>(size)) != 0) {
      return posix_error(errno, "set the size of a temp file");
    }
    return {};
  }
  Status set_metadata(std::uint16_t mode, std::int64_t mtime_ns) override {
    timespec times[2] = {{0, UTIME_OMIT}, to_timespec(mtime_ns)};
    if (::fchmod(fd_.get(), mode & 0777) != 0 && keeps_modes_)
      return posix_error(errno, "set a mode");
    if (::futimens(fd_.get(), times) != 0) return posix_error(errno, "set a time");
    return {};
  }
  Status sync() override {
    if (::fsync(fd_.get()) != 0) return posix_error(errno, "make a temp file durable");
    return {};
  }

 private:
  UniqueFd fd_;
  bool keeps_modes_;
};

struct CloseDirectory {
  void operator()(DIR* directory) const { ::closedir(directory); }
};

// All or an error: half a list would look like deletes of the other half.
Result<std::vector<DirectoryItem>> list_directory(UniqueFd fd, bool leave_out_private,
                                                  const std::string& shown) {
  std::unique_ptr<DIR, CloseDirectory> directory(::fdopendir(fd.get()));
  if (directory == nullptr) return posix_error(errno, "list " + shown);
  int at = fd.release();
  std::vector<DirectoryItem> items;
  while (true) {
    errno = 0;
    const dirent* item = ::readdir(directory.get());
    if (item == nullptr) {
      if (errno != 0) return posix_error(errno, "list " + shown);
      return items;
    }
    std::string name = item->d_name;
    if (name == "." || name == "..") continue;
    if (leave_out_private && name == ".lansync") continue;
    auto stat = stat_at(at, name.c_str(), name);
    if (stat) {
      items.push_back({std::move(name), *stat});
    } else if (stat.error().code != ErrorCode::kNotFound) {
      return stat.error();  // gone between the two calls is fine, unreadable is not
    }
  }
}

Status check_temp_name(const std::string& name) {
  LS_TRY(ConfinedDirectory::check_parts(name));
  if (name.find('/') != std::string::npos) {
    return Error{ErrorCode::kRefused, "a temp name holds a slash"};
  }
  return {};
}

}  // namespace

int make_owner_writable(int directory_fd, std::uint32_t& old_mode) {
  struct stat st {};
  if (::fstat(directory_fd, &st) != 0) return -1;
  old_mode = st.st_mode & 07777;
  if (st.st_uid != ::geteuid()) return -1;
  if ((st.st_mode & 0300) == 0300) return 0;
  // fchmod refuses O_PATH descriptors; the magic link leads to exactly this directory.
  std::string self = str("/proc/self/fd/", directory_fd);
  return ::chmod(self.c_str(), old_mode | 0300);
}

void restore_mode(int directory_fd, std::uint32_t old_mode) {
  if ((old_mode & 0300) == 0300) return;
  std::string self = str("/proc/self/fd/", directory_fd);
  // A failure leaves the directory writable by its owner, which a later scan sees as an edit of its
  // mode: visible, and no reason to fail a change that is done.
  (void)!::chmod(self.c_str(), old_mode);
}

ConfinedFileSystem::ConfinedFileSystem(RootGuard guard, FileSystemLimits limits)
    : guard_(std::move(guard)), limits_(limits) {}

Result<std::unique_ptr<ConfinedFileSystem>> ConfinedFileSystem::open(RootGuard guard,
                                                                     FileSystemLimits limits) {
  std::unique_ptr<ConfinedFileSystem> out(new ConfinedFileSystem(std::move(guard), limits));
  // has_writer() may lose its lease to a writer; by default the signal of that ends the process.
  std::signal(SIGIO, SIG_IGN);
  LS_TRY(out->open_private_directories());
  LS_TRY(out->save_leftovers());
  out->disk_ = probe_disk(out->temp_.fd());
  return out;
}

Result<std::unique_ptr<ConfinedFileSystem>> ConfinedFileSystem::open(const std::string& directory,
                                                                     bool force) {
  auto guard = RootGuard::open(directory, force);
  if (!guard) return guard.error();
  return open(std::move(*guard));
}

Status ConfinedFileSystem::open_private_directories() {
  constexpr int kFlags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
  UniqueFd root(::openat(guard_.root_fd(), ".", kFlags));
  UniqueFd temp(::openat(guard_.private_fd(), "tmp", kFlags));
  UniqueFd trash(::openat(guard_.private_fd(), "trash", kFlags));
  if (!root.valid() || !temp.valid() || !trash.valid()) {
    return posix_error(errno, "open " + guard_.private_path());
  }
  root_ = ConfinedDirectory(std::move(root), limits_.no_openat2);
  temp_ = ConfinedDirectory(std::move(temp), limits_.no_openat2);
  trash_ = ConfinedDirectory(std::move(trash), limits_.no_openat2);
  return {};
}

Status ConfinedFileSystem::check_root() {
  LS_TRY(guard_.same_root());
  mend_private_directories();
  return {};
}

// Under the same numbers, so that jobs that run meanwhile write into the new ones. What lay in a
// removed one is gone; partial files are begun anew.
void ConfinedFileSystem::mend_private_directories() {
  constexpr int kFlags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
  for (const auto& [name, fd] : {std::pair("tmp", temp_.fd()), std::pair("trash", trash_.fd())}) {
    struct stat st {};
    if (::fstat(fd, &st) != 0 || st.st_nlink != 0) continue;
    if (::mkdirat(guard_.private_fd(), name, 0700) != 0 && errno != EEXIST) continue;
    UniqueFd made(::openat(guard_.private_fd(), name, kFlags));
    if (made.valid()) ::dup3(made.get(), fd, O_CLOEXEC);
  }
}

// A temp file is named x-<name> from just before its exchange: what a crash leaves under such a
// name may be the only copy of what a person wrote.
Status ConfinedFileSystem::save_leftovers() {
  auto items = list_temp();
  if (!items) return items.error();
  for (const DirectoryItem& item : *items) {
    if (item.name.rfind("s-", 0) == 0 && item.stat.kind == FileKind::kSymlink) {
      ::unlinkat(temp_.fd(), item.name.c_str(), 0);
      continue;
    }
    if (item.name.rfind("x-", 0) != 0) continue;
    for (int number = 0; number < 1000; ++number) {
      std::string trash_name = str("leftover-", number, '-', item.name.substr(2));
      if (trash_name.size() > 255) trash_name.resize(255);
      int why = move_no_replace({temp_.fd(), item.name.c_str()}, {trash_.fd(), trash_name.c_str()});
      if (why == EEXIST) continue;
      if (why != 0) return posix_error(why, "move a leftover to the trash");
      saved_leftovers_.push_back({trash_name, item.stat.size});
      break;
    }
  }
  return {};
}

Result<ParentHandle> ConfinedFileSystem::parent_of(const std::string& path) const {
  if (path == ".lansync" || path.rfind(".lansync/", 0) == 0) {
    return Error{ErrorCode::kRefused, ".lansync is not part of the folder"};
  }
  return root_.open_parent(path);
}

Result<FileStat> ConfinedFileSystem::stat(const std::string& path) {
  if (path.empty()) {
    struct stat st {};
    if (::fstat(root_.fd(), &st) != 0) return posix_error(errno, "look at the folder");
    return to_file_stat(st);
  }
  auto parent = parent_of(path);
  if (!parent) return parent.error();
  return stat_at(parent->fd, parent->name.c_str(), path);
}

Result<std::vector<DirectoryItem>> ConfinedFileSystem::list(const std::string& path) {
  if (path == ".lansync" || path.rfind(".lansync/", 0) == 0) {
    return Error{ErrorCode::kRefused, ".lansync is not part of the folder"};
  }
  auto fd = root_.open_directory(path, O_RDONLY);
  if (!fd) return fd.error();
  return list_directory(std::move(*fd), path.empty(), path);
}

Result<std::string> ConfinedFileSystem::read_link(const std::string& path) {
  auto parent = parent_of(path);
  if (!parent) return parent.error();
  return read_link_at(*parent, path);
}

Result<std::string> ConfinedFileSystem::read_link_at(const ParentHandle& place,
                                                     const std::string& shown) const {
  std::array<char, kMaxLinkBytes + 2> text{};
  ssize_t got = ::readlinkat(place.fd, place.name.c_str(), text.data(), text.size());
  if (got < 0 && errno == EINVAL) {
    return Error{ErrorCode::kChanged, str("no link any more: ", printable(shown, 300))};
  }
  if (got < 0) return posix_error(errno, "read link " + shown);
  if (static_cast<std::size_t>(got) > kMaxLinkBytes) return posix_error(ENAMETOOLONG, "read link");
  return std::string(text.data(), static_cast<std::size_t>(got));
}

Result<UniqueFd> ConfinedFileSystem::open_regular(const Place& place,
                                                  std::string_view shown) const {
  UniqueFd fd(
      ::openat(place.fd, place.name, O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_NOCTTY | O_CLOEXEC));
  struct stat st {};
  if (!fd.valid() && errno != ELOOP && errno != ENXIO) {
    return posix_error(errno, str("open ", shown));
  }
  if (fd.valid() && ::fstat(fd.get(), &st) != 0) return posix_error(errno, str("look at ", shown));
  if (!fd.valid() || !S_ISREG(st.st_mode)) {
    return Error{ErrorCode::kChanged, str("no regular file: ", printable(shown, 300))};
  }
  return fd;
}

Result<std::unique_ptr<ReadFile>> ConfinedFileSystem::open_file(const std::string& path) {
  auto parent = parent_of(path);
  if (!parent) return parent.error();
  auto fd = open_regular({parent->fd, parent->name.c_str()}, path);
  if (!fd) return fd.error();
  return std::unique_ptr<ReadFile>(std::make_unique<OpenReadFile>(std::move(*fd)));
}

// A read lease is refused (EAGAIN) while anybody has the file open for writing (fcntl(2)). It is
// given back at once; who opens the file for writing in that microsecond waits for it, and the
// signal that would tell us of them is ignored (see open()).
Result<bool> ConfinedFileSystem::has_writer(const std::string& path) {
  auto parent = parent_of(path);
  if (!parent) return parent.error();
  auto fd = open_regular({parent->fd, parent->name.c_str()}, path);
  if (!fd) return fd.error();
  if (::fcntl(fd->get(), F_SETLEASE, F_RDLCK) == 0) {
    ::fcntl(fd->get(), F_SETLEASE, F_UNLCK);
    return false;
  }
  if (errno == EAGAIN) return true;
  return posix_error(errno, "ask who writes " + path);
}

Result<std::vector<DirectoryItem>> ConfinedFileSystem::list_trash() {
  std::vector<DirectoryItem> found;
  std::vector<std::string> to_list = {""};
  while (!to_list.empty()) {
    const std::string directory = std::move(to_list.back());
    to_list.pop_back();
    auto fd = trash_.open_directory(directory, O_RDONLY);
    if (!fd && fd.error().code == ErrorCode::kNotFound) continue;  // its last file has just gone
    if (!fd) return fd.error();
    auto items = list_directory(std::move(*fd), false, ".lansync/trash");
    if (!items) return items.error();
    for (DirectoryItem& item : *items) {
      if (!directory.empty()) item.name = directory + '/' + item.name;
      if (item.stat.kind == FileKind::kDirectory) {
        to_list.push_back(std::move(item.name));
      } else if (item.stat.kind != FileKind::kOther) {
        found.push_back(std::move(item));
      }
    }
  }
  return found;
}

Result<std::unique_ptr<ReadFile>> ConfinedFileSystem::open_trash(const std::string& trash_name) {
  auto place = trash_.open_parent(trash_name);
  if (!place) return place.error();
  auto fd = open_regular({place->fd, place->name.c_str()}, trash_name);
  if (!fd) return fd.error();
  return std::unique_ptr<ReadFile>(std::make_unique<OpenReadFile>(std::move(*fd)));
}

Result<std::string> ConfinedFileSystem::read_trash_link(const std::string& trash_name) {
  auto place = trash_.open_parent(trash_name);
  if (!place) return place.error();
  return read_link_at(*place, trash_name);
}

Result<std::uint64_t> ConfinedFileSystem::free_bytes() {
  struct statvfs info {};
  if (::fstatvfs(root_.fd(), &info) != 0) return posix_error(errno, "ask for free space");
  return std::uint64_t{info.f_bavail} * info.f_frsize;
}

Result<std::uint64_t> ConfinedFileSystem::total_bytes() {
  struct statvfs info {};
  if (::fstatvfs(root_.fd(), &info) != 0) return posix_error(errno, "ask for the disk's size");
  return std::uint64_t{info.f_blocks} * info.f_frsize;
}

// Never truncates what is there: a crash in the way around RENAME_NOREPLACE (link, then unlink)
// leaves a temp name on a file that a person sees already.
Result<std::unique_ptr<TempFile>> ConfinedFileSystem::create_temp(const std::string& name) {
  LS_TRY(check_temp_name(name));
  if (::unlinkat(temp_.fd(), name.c_str(), 0) != 0 && errno != ENOENT) {
    return posix_error(errno, "clear temp file " + name);
  }
  auto create = [&] {
    return UniqueFd(::openat(temp_.fd(), name.c_str(),
                             O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_NOCTTY | O_CLOEXEC, 0600));
  };
  UniqueFd fd = create();
  if (!fd.valid() && errno == ENOENT) {
    mend_private_directories();
    fd = create();
  }
  if (!fd.valid()) return posix_error(errno, "create temp file " + name);
  return std::unique_ptr<TempFile>(
      std::make_unique<OpenTempFile>(std::move(fd), disk_.keeps_modes));
}

Result<std::unique_ptr<TempFile>> ConfinedFileSystem::open_temp(const std::string& name) {
  LS_TRY(check_temp_name(name));
  UniqueFd fd(
      ::openat(temp_.fd(), name.c_str(), O_RDWR | O_NONBLOCK | O_NOFOLLOW | O_NOCTTY | O_CLOEXEC));
  if (!fd.valid()) return posix_error(errno, "open temp file " + name);
  struct stat st {};
  if (::fstat(fd.get(), &st) != 0) return posix_error(errno, "look at temp file " + name);
  if (!S_ISREG(st.st_mode) || st.st_nlink != 1) {
    return Error{ErrorCode::kNotFound, "that temp file is in its place already"};
  }
  return std::unique_ptr<TempFile>(
      std::make_unique<OpenTempFile>(std::move(fd), disk_.keeps_modes));
}

Result<std::vector<DirectoryItem>> ConfinedFileSystem::list_temp() {
  auto fd = temp_.open_directory("", O_RDONLY);
  if (!fd) return fd.error();
  return list_directory(std::move(*fd), false, ".lansync/tmp");
}

Status ConfinedFileSystem::remove_temp(const std::string& name) {
  LS_TRY(check_temp_name(name));
  if (::unlinkat(temp_.fd(), name.c_str(), 0) != 0) {
    return posix_error(errno, "remove temp file " + name);
  }
  return {};
}

Status ConfinedFileSystem::copy_into_temp(int from, const std::string& name) {
  auto temp = create_temp(name);
  if (!temp) return temp.error();
  UniqueFd to(::openat(temp_.fd(), name.c_str(), O_RDWR | O_NOFOLLOW | O_CLOEXEC));
  if (!to.valid()) return posix_error(errno, "open temp file " + name);
  Status copied = copy_file(from, to.get(), limits_);
  if (!copied) (void)remove_temp(name);
  return copied;
}

Status ConfinedFileSystem::copy_to_temp(const std::string& path, const std::string& name) {
  auto parent = parent_of(path);
  if (!parent) return parent.error();
  auto from = open_regular({parent->fd, parent->name.c_str()}, path);
  if (!from) return from.error();
  return copy_into_temp(from->get(), name);
}

Status ConfinedFileSystem::copy_trash_to_temp(const std::string& trash_name,
                                              const std::string& name) {
  auto place = trash_.open_parent(trash_name);
  if (!place) return place.error();
  auto from = open_regular({place->fd, place->name.c_str()}, trash_name);
  if (!from) return from.error();
  return copy_into_temp(from->get(), name);
}

Status ConfinedFileSystem::make_directory(const std::string& path, std::uint16_t mode) {
  auto parent = parent_of(path);
  if (!parent) return parent.error();
  const char* name = parent->name.c_str();
  if (with_writable(parent->fd, [&] { return ::mkdirat(parent->fd, name, 0700); }) != 0) {
    return posix_error(errno, "make directory " + path);
  }
  UniqueFd made(::openat(parent->fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!made.valid() || (::fchmod(made.get(), mode & 0777) != 0 && disk_.keeps_modes)) {
    return posix_error(errno, "set the mode of directory " + path);
  }
  return {};
}

Status ConfinedFileSystem::remove_directory(const std::string& path) {
  auto parent = parent_of(path);
  if (!parent) return parent.error();
  auto remove = [&] { return ::unlinkat(parent->fd, parent->name.c_str(), AT_REMOVEDIR); };
  if (with_writable(parent->fd, remove) == 0) return {};
  Error error = posix_error(errno, "remove directory " + path);
  if (errno == ENOTEMPTY || errno == EEXIST || errno == ENOTDIR) error.code = ErrorCode::kChanged;
  return error;
}

Status ConfinedFileSystem::rename_fold(const std::string& from, const std::string& to,
                                       const FileStat& expected) {
  auto old_parent = parent_of(from);
  if (!old_parent) return old_parent.error();
  auto new_parent = parent_of(to);
  if (!new_parent) return new_parent.error();
  struct stat st {};
  if (::fstatat(old_parent->fd, old_parent->name.c_str(), &st, AT_SYMLINK_NOFOLLOW) != 0)
    return posix_error(errno, "look at " + from);
  const FileStat now = to_file_stat(st);
  const bool same = expected.kind == FileKind::kDirectory
                        ? now.kind == expected.kind && now.inode == expected.inode
                        : now == expected;
  if (!same) return Error{ErrorCode::kChanged, str("changed meanwhile: ", printable(from, 300))};
  const auto rename = [&] {
    return ::renameat(old_parent->fd, old_parent->name.c_str(), new_parent->fd,
                      new_parent->name.c_str());
  };
  if (with_writable(new_parent->fd, rename) != 0) return posix_error(errno, "rename " + from);
  return {};
}

// Through an O_PATH descriptor: a file of mode 0000 cannot be opened any other way, and what was
// checked is what is changed.
Result<FileStat> ConfinedFileSystem::set_metadata(const std::string& path, std::uint16_t mode,
                                                  std::optional<std::int64_t> mtime_ns,
                                                  const FileStat& expected) {
  auto parent = parent_of(path);
  if (!parent) return parent.error();
  UniqueFd fd(::openat(parent->fd, parent->name.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
  if (!fd.valid()) return posix_error(errno, "open " + path);
  struct stat st {};
  if (::fstat(fd.get(), &st) != 0) return posix_error(errno, "look at " + path);
  FileStat now = to_file_stat(st);
  // Size and mtime of a directory follow its children.
  bool same = expected.kind == FileKind::kDirectory
                  ? now.kind == expected.kind && now.inode == expected.inode
                  : now == expected;
  if (!same || now.kind == FileKind::kOther) {
    return Error{ErrorCode::kChanged, str("changed meanwhile: ", printable(path, 300))};
  }
  std::string self = str("/proc/self/fd/", fd.get());
  // What an entry does not carry (the setgid bit of a shared directory) is left as it is.
  const mode_t kept = st.st_mode & (S_ISUID | S_ISGID | S_ISVTX);
  if (now.kind != FileKind::kSymlink && now.mode != (mode & 0777) &&
      ::chmod(self.c_str(), kept | (mode & 0777)) != 0 && disk_.keeps_modes) {
    return posix_error(errno, "set the mode of " + path);
  }
  if (mtime_ns) {
    timespec times[2] = {{0, UTIME_OMIT}, to_timespec(*mtime_ns)};
    if (::utimensat(AT_FDCWD, self.c_str(), times, 0) != 0) {
      return posix_error(errno, "set the time of " + path);
    }
  }
  if (::fstat(fd.get(), &st) != 0) return posix_error(errno, "look at " + path);
  return to_file_stat(st);
}

Status ConfinedFileSystem::sync_all() {
  if (::syncfs(root_.fd()) != 0) return posix_error(errno, "make the folder durable");
  return {};
}

Result<std::unique_ptr<ReadFile>> open_outside_file(const std::string& path) {
  // Not blocking: a pipe has no writer perhaps.
  UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (fd.get() < 0) return posix_error(errno, "open " + printable(path));
  struct stat st {};
  if (::fstat(fd.get(), &st) != 0) return posix_error(errno, "look at " + printable(path));
  if (!S_ISREG(st.st_mode))
    return Error{ErrorCode::kRefused, printable(path) + " is no regular file"};
  return std::unique_ptr<ReadFile>(std::make_unique<OpenReadFile>(std::move(fd)));
}

}  // namespace lansync
