#include "platform/confined_directory.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/log.h"
#include "platform/posix.h"

namespace lansync {
namespace {

// openat2 says EAGAIN when a rename anywhere in the system raced with its walk. 64 tries: a person
// who renames in a loop can delay us, not hang us.
constexpr int kOpenTries = 64;

int open_beneath(int directory_fd, const char* path, int flags) {
  open_how how{};
  // With O_NOFOLLOW | O_DIRECTORY a link at the end is ENOTDIR, as if nothing were wrong;
  // RESOLVE_NO_SYMLINKS alone refuses it too, and says ELOOP.
  how.flags = static_cast<__u64>(flags & ~O_NOFOLLOW);
  // NO_XDEV: a mount inside the folder is not entered, a bind mount of the same device included.
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV;
  for (int i = 0; i < kOpenTries; ++i) {
    long fd = ::syscall(SYS_openat2, directory_fd, path, &how, sizeof how);
    if (fd >= 0) return static_cast<int>(fd);
    if (errno != EAGAIN && errno != EINTR) return -1;
  }
  return -1;
}

// Where st_dev says nothing: a bind mount has the device of the folder itself. Before Linux 5.8 the
// kernel does not tell, and only st_dev is left.
bool is_mount_root(int directory_fd, const char* name) {
  struct statx found {};
  constexpr int kFlags = AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT;
  if (::statx(directory_fd, name, kFlags, STATX_TYPE, &found) != 0) return false;
  return (found.stx_attributes & STATX_ATTR_MOUNT_ROOT) != 0;
}

}  // namespace

FileStat to_file_stat(const struct stat& st) {
  FileStat out;
  if (S_ISREG(st.st_mode)) out.kind = FileKind::kFile;
  if (S_ISDIR(st.st_mode)) out.kind = FileKind::kDirectory;
  if (S_ISLNK(st.st_mode)) out.kind = FileKind::kSymlink;
  out.mode = static_cast<std::uint16_t>(st.st_mode & 0777);
  out.size = st.st_size > 0 ? static_cast<std::uint64_t>(st.st_size) : 0;
  out.mtime_ns = nanoseconds_of(st.st_mtim);
  out.ctime_ns = nanoseconds_of(st.st_ctim);
  out.inode = st.st_ino;
  out.device = st.st_dev;
  return out;
}

Result<FileStat> stat_at(int directory_fd, const char* name, std::string_view shown) {
  struct stat st {};
  if (::fstatat(directory_fd, name, &st, AT_SYMLINK_NOFOLLOW) != 0) {
    return posix_error(errno, str("look at ", shown));
  }
  FileStat out = to_file_stat(st);
  if (out.kind == FileKind::kDirectory && is_mount_root(directory_fd, name)) {
    out.device = ~out.device;
  }
  return out;
}

Status ConfinedDirectory::check_parts(std::string_view path) {
  Error refused{ErrorCode::kRefused, str("not a path below the folder: ", printable(path, 300))};
  if (path.empty() || path.size() > 4095) return refused;
  if (path.find('\0') != std::string_view::npos) return refused;
  for (std::size_t begin = 0; begin <= path.size();) {
    std::size_t end = std::min(path.find('/', begin), path.size());
    std::string_view part = path.substr(begin, end - begin);
    if (part.empty() || part == "." || part == ".." || part.size() > 255) return refused;
    begin = end + 1;
  }
  return {};
}

Result<ParentHandle> ConfinedDirectory::open_parent(const std::string& path) const {
  LS_TRY(check_parts(path));
  ParentHandle out;
  std::size_t slash = path.rfind('/');
  if (slash == std::string::npos) {
    out.fd = fd();
    out.name = path;
    return out;
  }
  auto opened = open_directory(path.substr(0, slash), O_PATH);
  if (!opened) return opened.error();
  out.owned = std::move(*opened);
  out.fd = out.owned.get();
  out.name = path.substr(slash + 1);
  return out;
}

Result<UniqueFd> ConfinedDirectory::open_directory(const std::string& path, int flags) const {
  flags |= O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
  if (path.empty()) {
    UniqueFd self(::openat(fd(), ".", flags));
    if (!self.valid()) return posix_error(errno, "open the folder");
    return self;
  }
  LS_TRY(check_parts(path));
  int opened = no_openat2_ ? -1 : open_beneath(fd(), path.c_str(), flags);
  if (opened < 0 && (no_openat2_ || errno == ENOSYS)) opened = walk(path, flags);
  if (opened < 0) {
    // EXDEV is openat2's word for "this leads outside", or onto another mount.
    if (errno == EXDEV) {
      return Error{ErrorCode::kRefused,
                   str("is outside the folder, or on another file system mounted in it: ",
                       printable(path, 300))};
    }
    return posix_error(errno, "open directory " + path);
  }
  return UniqueFd(opened);
}

// Before Linux 5.6, and in containers whose seccomp filter does not know openat2 (they answer
// ENOSYS): one component at a time, none of which may be a link.
int ConfinedDirectory::walk(const std::string& path, int flags) const {
  UniqueFd current;
  int at = fd();
  struct stat top {};
  if (::fstat(at, &top) != 0) return -1;
  for (std::size_t begin = 0; begin <= path.size();) {
    std::size_t end = std::min(path.find('/', begin), path.size());
    std::string part = path.substr(begin, end - begin);
    bool last = end == path.size();
    int step = last ? flags : O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
    UniqueFd next(::openat(at, part.c_str(), step));
    if (!next.valid()) {
      // O_PATH | O_DIRECTORY | O_NOFOLLOW on a link is ENOTDIR; openat2 would have said ELOOP.
      struct stat st {};
      int why = errno;
      if (::fstatat(at, part.c_str(), &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISLNK(st.st_mode)) {
        why = ELOOP;
      }
      errno = why;
      return -1;
    }
    struct stat st {};
    if (::fstat(next.get(), &st) != 0) return -1;
    if (st.st_dev != top.st_dev || is_mount_root(at, part.c_str())) {
      errno = EXDEV;
      return -1;
    }
    current = std::move(next);
    at = current.get();
    begin = end + 1;
  }
  return current.release();
}

Status ConfinedDirectory::make_parents(const std::string& path) const {
  LS_TRY(check_parts(path));
  for (std::size_t slash = path.find('/'); slash != std::string::npos;
       slash = path.find('/', slash + 1)) {
    auto parent = open_parent(path.substr(0, slash));
    if (!parent) return parent.error();
    if (::mkdirat(parent->fd, parent->name.c_str(), 0700) != 0 && errno != EEXIST) {
      return posix_error(errno, "make directory " + path.substr(0, slash));
    }
  }
  return {};
}

}  // namespace lansync
