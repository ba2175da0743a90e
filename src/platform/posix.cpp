#include "platform/posix.h"

#include <fcntl.h>
#include <unistd.h>

#include <limits>
#include <system_error>

#include "base/log.h"

namespace lansync {

void UniqueFd::reset(int fd) {
  // close() is not repeated after EINTR: on Linux the descriptor is gone by then, and a second
  // close could hit one that another thread was just given.
  if (fd_ >= 0) {
    int saved = errno;
    ::close(fd_);
    errno = saved;
  }
  fd_ = fd;
}

std::int64_t nanoseconds_of(const timespec& time) {
  constexpr std::int64_t kSecond = 1'000'000'000;
  constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max() / kSecond - 1;
  const std::int64_t seconds = time.tv_sec;
  if (seconds > kMost) return kMost * kSecond;
  if (seconds < -kMost) return -kMost * kSecond;
  return seconds * kSecond + time.tv_nsec;
}

ErrorCode error_code_of(int errno_value) {
  switch (errno_value) {
    case ENOENT:
    case ENOTDIR:
    case ESTALE:
    case ENODEV:
      return ErrorCode::kNotFound;
    case EEXIST:
    case ENOTEMPTY:
      return ErrorCode::kExists;
    case EACCES:
    case EPERM:
    case EROFS:
      return ErrorCode::kDenied;
    case ENOSPC:
    case EDQUOT:
      return ErrorCode::kNoSpace;
    case EFBIG:
    case EINVAL:
    case ELOOP:
    case ENAMETOOLONG:
    case EILSEQ:
      return ErrorCode::kRefused;
    case EAGAIN:
    case EBUSY:
    case ETXTBSY:
    case EMFILE:
    case ENFILE:
    case EINTR:
      return ErrorCode::kBusy;
    case ENOSYS:
    case EOPNOTSUPP:
    case EXDEV:
    case EMLINK:
      return ErrorCode::kUnsupported;
    default:
      return ErrorCode::kIo;
  }
}

Error posix_error(int errno_value, std::string_view what) {
  return Error{error_code_of(errno_value),
               str("cannot ", printable(what), ": ", std::generic_category().message(errno_value))};
}

Result<std::string> read_small_file(const std::string& path, std::size_t max_bytes) {
  UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK));
  if (!fd.valid()) return posix_error(errno, "open " + path);
  std::string text;
  char buffer[4096];
  while (text.size() < max_bytes) {
    ssize_t got = ::read(fd.get(), buffer, std::min(sizeof buffer, max_bytes - text.size()));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return posix_error(errno, "read " + path);
    if (got == 0) break;
    text.append(buffer, static_cast<std::size_t>(got));
  }
  return text;
}

}  // namespace lansync
