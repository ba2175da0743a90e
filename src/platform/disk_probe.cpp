#include "platform/disk_probe.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "platform/posix.h"

namespace lansync {
namespace {

constexpr const char* kName = "probe-a";
constexpr const char* kOtherCase = "probe-A";
constexpr const char* kLink = "probe-link";

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

}  // namespace

DiskLimits probe_disk(int directory_fd) {
  DiskLimits limits;
  for (const char* name : {kName, kOtherCase, kLink}) (void)::unlinkat(directory_fd, name, 0);
  UniqueFd file(
      ::openat(directory_fd, kName, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!file.valid()) return limits;
  limits.keeps_modes = keeps_modes(file.get());
  limits.mtime_step_ns = mtime_step(file.get());
  // Nobody made that name. Inodes do not say that the two are one: exFAT by FUSE gives each name
  // by which it was looked up an inode of its own.
  struct stat other {};
  limits.tells_case = ::fstatat(directory_fd, kOtherCase, &other, AT_SYMLINK_NOFOLLOW) != 0;
  limits.makes_links = ::symlinkat("target", directory_fd, kLink) == 0 ||
                       (errno != EPERM && errno != EOPNOTSUPP && errno != ENOSYS);
  (void)::unlinkat(directory_fd, kName, 0);
  (void)::unlinkat(directory_fd, kLink, 0);
  return limits;
}

}  // namespace lansync
