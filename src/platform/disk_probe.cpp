#include "platform/disk_probe.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <string>
#include <string_view>

#include "base/log.h"
#include "platform/posix.h"

namespace lansync {
namespace {

constexpr const char* kName = "probe-a";
constexpr const char* kOtherCase = "probe-A";
constexpr const char* kLink = "probe-link";
constexpr const char* kComposed = "probe-\xC3\xA9";     // e with acute, one code point
constexpr const char* kDecomposed = "probe-e\xCC\x81";  // and in two
constexpr std::string_view kOftenRefused = "\\:*?\"<>|";
constexpr std::size_t kLongestName = 255;
constexpr std::size_t kShortestName = 64;

// Both must stick: a disk that shows one mode for everything may show that one.
bool keeps_modes(int fd) {
  for (const mode_t mode : {0640u, 0600u}) {
    struct stat st {};
    if (::fchmod(fd, mode) != 0 && errno != EPERM && errno != EOPNOTSUPP) return true;
    if (::fstat(fd, &st) != 0) return true;
    if ((st.st_mode & 0777) != mode) return false;
  }
  return true;
}

std::int64_t mtime_step(int fd) {
  constexpr std::int64_t kSecond = 1'000'000'000;
  constexpr std::array<std::int64_t, 6> kSteps = {100,        1000,    1'000'000,
                                                  10'000'000, kSecond, 2 * kSecond};
  // Odd in every unit.
  const timespec asked{1'600'000'001, 123'456'789};
  const timespec times[2] = {{0, UTIME_OMIT}, asked};
  struct stat st {};
  if (::futimens(fd, times) != 0 || ::fstat(fd, &st) != 0) return 1;
  const std::int64_t wanted = asked.tv_sec * kSecond + asked.tv_nsec;
  const std::int64_t got = st.st_mtim.tv_sec * kSecond + st.st_mtim.tv_nsec;
  if (got == wanted) return 1;
  for (const std::int64_t step : kSteps) {
    if (wanted - wanted % step == got) return step;
  }
  return 2 * kSecond;
}

// After mtime_step() has set a time of long ago.
bool own_change_time(int fd) {
  struct stat st {};
  if (::fstat(fd, &st) != 0) return true;
  return st.st_ctim.tv_sec - st.st_mtim.tv_sec > 24 * 3600;
}

// A file of exactly that name can be made. Left behind by a run that was killed: made anew.
bool holds(int directory_fd, const std::string& name) {
  (void)::unlinkat(directory_fd, name.c_str(), 0);
  UniqueFd file(::openat(directory_fd, name.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  // A full disk, say, says nothing of names. (exFAT by FUSE: no such file; NTFS, FAT: invalid.)
  if (!file.valid())
    return errno != EINVAL && errno != ENOENT && errno != ENAMETOOLONG && errno != EILSEQ;
  (void)::unlinkat(directory_fd, name.c_str(), 0);
  return true;
}

// The name under which a file was made may be another: FAT drops dots and spaces at the end.
bool keeps_ends(int directory_fd) {
  for (const char* end : {".", " "}) {
    const std::string plain = "probe-end";
    const std::string name = plain + end;
    (void)::unlinkat(directory_fd, plain.c_str(), 0);
    UniqueFd file(
        ::openat(directory_fd, name.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
    const int why = file.valid() ? 0 : errno;
    struct stat other {};
    const bool dropped = ::fstatat(directory_fd, plain.c_str(), &other, AT_SYMLINK_NOFOLLOW) == 0;
    (void)::unlinkat(directory_fd, name.c_str(), 0);
    if (dropped || why == EINVAL || why == ENOENT) return false;
  }
  return true;
}

std::uint64_t name_bytes(int directory_fd) {
  const auto fits = [&](std::size_t size) { return holds(directory_fd, std::string(size, 'p')); };
  if (fits(kLongestName)) return kLongestName;
  std::size_t low = kShortestName;
  std::size_t high = kLongestName;
  while (high - low > 1) {
    const std::size_t middle = (low + high) / 2;
    (fits(middle) ? low : high) = middle;
  }
  return low;
}

// Nothing is written: an offset that no file of this disk has is refused by the system.
std::uint64_t file_bytes(int fd) {
  constexpr off_t kFat = 0xFFFFFFFF;
  if (::lseek(fd, kFat + 1, SEEK_SET) >= 0 || errno != EINVAL) return UINT64_MAX;
  constexpr off_t kSmall = 0x7FFFFFFF;  // FAT16, and old shares
  return static_cast<std::uint64_t>(::lseek(fd, kFat, SEEK_SET) >= 0 ? kFat : kSmall);
}

void probe_names(int directory_fd, DiskLimits& limits) {
  for (const char c : kOftenRefused)
    if (!holds(directory_fd, str("probe-", c))) limits.refused += c;
  limits.keeps_ends = keeps_ends(directory_fd);
  limits.reserves_names = !holds(directory_fd, "nul");
  limits.name_bytes = name_bytes(directory_fd);
  (void)::unlinkat(directory_fd, kComposed, 0);
  UniqueFd file(::openat(directory_fd, kComposed, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (!file.valid()) return;
  struct stat other {};
  limits.tells_forms = ::fstatat(directory_fd, kDecomposed, &other, AT_SYMLINK_NOFOLLOW) != 0;
  (void)::unlinkat(directory_fd, kComposed, 0);
}

}  // namespace

DiskLimits probe_disk(int directory_fd) {
  DiskLimits limits;
  for (const char* name : {kName, kOtherCase, kLink}) (void)::unlinkat(directory_fd, name, 0);
  UniqueFd file(
      ::openat(directory_fd, kName, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!file.valid()) return limits;
  limits.keeps_modes = keeps_modes(file.get());
  limits.mtime_step_ns = mtime_step(file.get());
  limits.own_change_time = own_change_time(file.get());
  limits.file_bytes = file_bytes(file.get());
  // Nobody made that name. Inodes do not say that the two are one: exFAT by FUSE gives each name
  // by which it was looked up an inode of its own.
  struct stat other {};
  limits.tells_case = ::fstatat(directory_fd, kOtherCase, &other, AT_SYMLINK_NOFOLLOW) != 0;
  limits.makes_links = ::symlinkat("target", directory_fd, kLink) == 0 ||
                       (errno != EPERM && errno != EOPNOTSUPP && errno != ENOSYS);
  (void)::unlinkat(directory_fd, kName, 0);
  (void)::unlinkat(directory_fd, kLink, 0);
  probe_names(directory_fd, limits);
  return limits;
}

}  // namespace lansync
