#include "platform/root_guard.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <filesystem>

#include "base/log.h"
#include "platform/folder_rules.h"

namespace lansync {
namespace {

Status make_with_parents(const std::string& path) {
  for (std::size_t slash = path.find('/', 1);; slash = path.find('/', slash + 1)) {
    std::string part = path.substr(0, slash);
    const int failed = ::mkdir(part.c_str(), 0700) == 0 ? 0 : errno;
    if (failed != 0 && failed != EEXIST) {
      // An existing directory on a read-only or automounted parent answers with these. Of one that
      // is not there mkdir says why it cannot be, and stat only that it is not.
      struct stat st {};
      if (::stat(part.c_str(), &st) != 0) return posix_error(failed, "make directory " + part);
    }
    if (slash == std::string::npos) return {};
  }
}

Result<DirectoryIdentity> identity_of(int fd, const std::string& shown) {
  struct stat st {};
  if (::fstat(fd, &st) != 0) return posix_error(errno, "look at " + shown);
  return DirectoryIdentity{st.st_dev, st.st_ino};
}

// A private directory below `parent`, never through a link that someone else may have put there.
Result<UniqueFd> open_private(int parent, const char* name) {
  if (::mkdirat(parent, name, 0700) != 0 && errno != EEXIST) {
    return posix_error(errno, str("make directory ", name));
  }
  UniqueFd fd(::openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!fd.valid()) return posix_error(errno, str("open directory ", name));
  struct stat st {};
  if (::fstat(fd.get(), &st) != 0) return posix_error(errno, str("look at ", name));
  if ((st.st_mode & 07777) != 0700 && ::fchmod(fd.get(), 0700) != 0) {
    return posix_error(errno, str("make private (mode 0700) ", name));
  }
  return fd;
}

}  // namespace

Result<RootGuard> RootGuard::open(const std::string& directory, bool force) {
  std::error_code failed;
  std::string wanted = std::filesystem::absolute(directory, failed).lexically_normal().string();
  if (failed || directory.empty() || directory.find('\0') != std::string::npos) {
    return Error{ErrorCode::kRefused, "that is not the name of a directory"};
  }
  while (wanted.size() > 1 && wanted.back() == '/') wanted.pop_back();
  if (!force) {
    if (auto why = why_folder_is_refused(gather_folder_facts(wanted))) {
      return Error{ErrorCode::kRefused, *why};
    }
  }
  LS_TRY(make_with_parents(wanted));

  RootGuard guard;
  guard.root_.reset(::open(wanted.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!guard.root_.valid()) return posix_error(errno, "open directory " + wanted);
  char* real = ::realpath(wanted.c_str(), nullptr);
  if (real == nullptr) return posix_error(errno, "resolve " + wanted);
  guard.path_ = real;
  std::free(real);

  auto opened = open_private(guard.root_.get(), ".lansync");
  if (!opened) return opened.error();
  guard.private_ = std::move(*opened);
  for (const char* name : {"tmp", "trash"}) {
    auto made = open_private(guard.private_.get(), name);
    if (!made) return made.error();
  }
  // A folder may be a git checkout: what is ours in it is nothing to commit.
  UniqueFd ignore(::openat(guard.private_.get(), ".gitignore",
                           O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (ignore.valid() && ::write(ignore.get(), "*\n", 2) != 2) {
    return posix_error(errno, "write " + guard.private_path() + "/.gitignore");
  }
  auto root_identity = identity_of(guard.root_.get(), guard.path_);
  auto private_identity = identity_of(guard.private_.get(), guard.private_path());
  if (!root_identity) return root_identity.error();
  if (!private_identity) return private_identity.error();
  guard.root_identity_ = *root_identity;
  guard.private_identity_ = *private_identity;
  LS_TRY(guard.take_lock());
  return guard;
}

namespace {

std::optional<LastingIdentity> lasting_of(int directory) {
  constexpr std::array<long, 5> kKeepers = {EXT4_SUPER_MAGIC, XFS_SUPER_MAGIC, BTRFS_SUPER_MAGIC,
                                            F2FS_SUPER_MAGIC, TMPFS_MAGIC};
  struct statfs system {};
  if (::fstatfs(directory, &system) != 0) return std::nullopt;
  const long type = static_cast<long>(system.f_type);
  if (std::find(kKeepers.begin(), kKeepers.end(), type) == kKeepers.end()) return std::nullopt;
  struct statx found {};
  if (::statx(directory, "", AT_EMPTY_PATH, STATX_INO | STATX_BTIME, &found) != 0 ||
      (found.stx_mask & STATX_BTIME) == 0)
    return std::nullopt;
  return LastingIdentity{found.stx_ino, std::int64_t{found.stx_btime.tv_sec} * 1'000'000'000 +
                                            found.stx_btime.tv_nsec};
}

}  // namespace

std::optional<LastingIdentity> RootGuard::lasting_identity() const {
  return lasting_of(private_.get());
}
std::optional<LastingIdentity> RootGuard::lasting_root() const { return lasting_of(root_.get()); }

Status RootGuard::take_lock() {
  lock_.reset(::openat(private_.get(), "lock",
                       O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600));
  if (!lock_.valid()) return posix_error(errno, "open " + private_path() + "/lock");
  if (::flock(lock_.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) return posix_error(errno, "lock " + private_path() + "/lock");
    std::array<char, 32> text{};
    ssize_t got = ::pread(lock_.get(), text.data(), text.size() - 1, 0);
    long pid = got > 0 ? std::strtol(text.data(), nullptr, 10) : 0;
    std::string who = pid > 0 ? str(" (pid ", pid, ")") : std::string();
    return Error{ErrorCode::kBusy,
                 str("another lansync", who, " has the folder ", printable(path_, 500),
                     "; give this one another: lansync DIR")};
  }
  // Who removed the file that another node has locked made a new one: the directory is the same.
  if (::flock(private_.get(), LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
    return Error{ErrorCode::kBusy, str("another lansync has the folder ", printable(path_, 500),
                                       "; give this one another: lansync DIR")};
  }
  std::string pid = str(::getpid(), '\n');
  if (::ftruncate(lock_.get(), 0) != 0 ||
      ::pwrite(lock_.get(), pid.data(), pid.size(), 0) != static_cast<ssize_t>(pid.size())) {
    return posix_error(errno, "write " + private_path() + "/lock");
  }
  return {};
}

Status RootGuard::same_root() const {
  struct stat st {};
  if (::stat(path_.c_str(), &st) != 0) {
    return Error{ErrorCode::kNotFound,
                 str("the folder of this node, ", printable(path_, 500),
                     ", is gone: moved or removed; put it back, or stop the node")};
  }
  if (DirectoryIdentity{st.st_dev, st.st_ino} != root_identity_) {
    return Error{ErrorCode::kChanged,
                 str("the folder ", printable(path_, 500),
                     " is another directory than at the start (not mounted? moved and made anew?): "
                     "put the first back, or stop the node and start it anew")};
  }
  if (::fstatat(root_.get(), ".lansync", &st, AT_SYMLINK_NOFOLLOW) != 0) {
    return Error{ErrorCode::kNotFound,
                 str(printable(private_path(), 500),
                     " is gone: put it back, or stop the node and start it anew")};
  }
  if (DirectoryIdentity{st.st_dev, st.st_ino} != private_identity_) {
    return Error{ErrorCode::kChanged,
                 str(printable(private_path(), 500),
                     " is another directory than at the start: put the first back, or stop the "
                     "node and start it anew")};
  }
  return {};
}

}  // namespace lansync
