#include "platform/file_copy.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>

namespace lansync {
namespace {

constexpr std::size_t kCopyBlock = 1 << 20;
// Smaller ones fit or fail at once.
constexpr std::uint64_t kLooksForRoom = 1 << 20;
constexpr std::uint64_t kMaxOffset = 0x7fff'ffff'ffff'ffff;

const Error& source_shrank() {
  static const Error error{ErrorCode::kChanged, "the file became shorter while it was copied"};
  return error;
}

// A copy that cannot fit would fill the disk first: index.db could not be written meanwhile, and
// the hub would give up. The smaller of 1 % and 1 GiB stays free (CONTRACT, Guards).
Status check_room(int to, const struct stat& st) {
  const auto size = static_cast<std::uint64_t>(st.st_size);
  const std::uint64_t bytes = std::min(size, static_cast<std::uint64_t>(st.st_blocks) * 512);
  struct statvfs disk {};
  if (bytes <= kLooksForRoom || ::fstatvfs(to, &disk) != 0) return {};
  const std::uint64_t unit = disk.f_frsize;
  const std::uint64_t reserve = std::min<std::uint64_t>(disk.f_blocks * unit / 100, 1ULL << 30);
  if (disk.f_bavail * unit >= bytes + reserve) return {};
  return Error{ErrorCode::kNoSpace, "no room on the disk for a copy of what is on it"};
}

Status copy_by_hand(int from, int to, std::uint64_t begin, std::uint64_t end) {
  std::vector<std::uint8_t> block(std::min<std::uint64_t>(kCopyBlock, end - begin));
  while (begin < end) {
    std::size_t want = std::min<std::uint64_t>(block.size(), end - begin);
    auto got = read_fully(from, begin, std::span(block).first(want));
    if (!got) return got.error();
    if (*got == 0) return source_shrank();
    LS_TRY(write_fully(to, begin, ByteView(block).first(*got)));
    begin += *got;
  }
  return {};
}

Status copy_range(int from, int to, std::uint64_t begin, std::uint64_t end, bool by_hand) {
  while (!by_hand && begin < end) {
    auto in = static_cast<off64_t>(begin);
    auto out = static_cast<off64_t>(begin);
    ssize_t moved =
        ::copy_file_range(from, &in, to, &out, std::min<std::uint64_t>(end - begin, 1 << 30), 0);
    if (moved < 0 && errno == EINTR) continue;
    if (moved < 0 && (errno == ENOSPC || errno == EDQUOT || errno == EIO)) {
      return posix_error(errno, "copy");
    }
    // 0 also comes from file systems that lie about their size (procfs, some FUSE): reading
    // decides.
    if (moved <= 0) break;
    begin += static_cast<std::uint64_t>(moved);
  }
  return begin < end ? copy_by_hand(from, to, begin, end) : Status{};
}

}  // namespace

Result<std::size_t> read_fully(int fd, std::uint64_t offset, std::span<std::uint8_t> out) {
  std::size_t done = 0;
  if (offset > kMaxOffset - out.size()) return std::size_t{0};
  while (done < out.size()) {
    ssize_t got =
        ::pread(fd, out.data() + done, out.size() - done, static_cast<off_t>(offset + done));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return posix_error(errno, "read");
    if (got == 0) break;
    done += static_cast<std::size_t>(got);
  }
  return done;
}

Status write_fully(int fd, std::uint64_t offset, ByteView bytes) {
  if (offset > kMaxOffset - bytes.size()) {
    return Error{ErrorCode::kRefused, "an offset beyond what files can have"};
  }
  while (!bytes.empty()) {
    ssize_t put = ::pwrite(fd, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) return posix_error(errno, "write");
    if (put == 0) return posix_error(EIO, "write");
    offset += static_cast<std::uint64_t>(put);
    bytes = bytes.subspan(static_cast<std::size_t>(put));
  }
  return {};
}

Status copy_file(int from, int to, const FileSystemLimits& limits) {
  struct stat st {};
  if (::fstat(from, &st) != 0) return posix_error(errno, "look at the file to copy");
  const auto size = static_cast<std::uint64_t>(st.st_size);
  if (!limits.no_reflink && ::ioctl(to, FICLONE, from) == 0) {
    struct stat copied {};
    if (::fstat(to, &copied) != 0) return posix_error(errno, "look at the copy");
    return copied.st_size == st.st_size ? Status{} : Status(source_shrank());
  }
  LS_TRY(check_room(to, st));
  if (::ftruncate(to, st.st_size) != 0) return posix_error(errno, "set the size");
  std::uint64_t at = 0;
  while (at < size) {
    off_t data = ::lseek(from, static_cast<off_t>(at), SEEK_DATA);
    if (data < 0 && errno == ENXIO) break;  // only a hole is left
    off_t hole = data < 0 ? -1 : ::lseek(from, data, SEEK_HOLE);
    // No SEEK_DATA here: everything is data.
    std::uint64_t begin = hole < 0 ? at : static_cast<std::uint64_t>(data);
    std::uint64_t end = hole < 0 ? size : std::min(size, static_cast<std::uint64_t>(hole));
    if (begin >= size) break;
    LS_TRY(copy_range(from, to, begin, end, limits.no_copy_range));
    at = end;
  }
  struct stat after {};
  if (::fstat(from, &after) != 0) return posix_error(errno, "look at the copied file");
  return after.st_size < st.st_size ? Status(source_shrank()) : Status{};
}

}  // namespace lansync
