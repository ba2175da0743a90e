#include "platform/private_file.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <filesystem>

#include "base/log.h"

namespace lansync {
namespace {

constexpr mode_t kOthers = 077;
constexpr int kPipePatienceMs = 10'000;
constexpr int kPipeStepMs = 20;

Error refused(const std::string& path, std::string_view why) {
  return Error{ErrorCode::kRefused, str(printable(path, 500), " ", why)};
}

// FAT, exFAT, NTFS and network shares of Windows show one mode for all files, whatever was asked.
bool keeps_modes(int fd) {
  struct statfs info {};
  if (::fstatfs(fd, &info) != 0) return true;
  constexpr std::array<std::uint32_t, 7> kWithout{0x4d44,     0x2011bab0, 0x5346544e, 0x7366746e,
                                                  0x65735546, 0xff534d42, 0xfe534d42};
  return std::find(kWithout.begin(), kWithout.end(), static_cast<std::uint32_t>(info.f_type)) ==
         kWithout.end();
}

std::string_view kind_of(mode_t mode) {
  if (S_ISLNK(mode)) return "a link";
  if (S_ISFIFO(mode)) return "a pipe";
  if (S_ISDIR(mode)) return "a directory";
  if (S_ISSOCK(mode)) return "a socket";
  return "a device";
}

// `fd` was made by us a moment ago.
Result<UniqueFd> keep_new(UniqueFd fd, const std::string& path) {
  struct stat info {};
  bool asked = ::fchmod(fd.get(), 0600) == 0;
  if (::fstat(fd.get(), &info) == 0 && (info.st_mode & kOthers) == 0) return fd;
  (void)asked;
  (void)::unlink(path.c_str());
  return refused(path,
                 "would be readable by others: its file system keeps no permissions; name a file "
                 "on another disk");
}

Status begins_with(int fd, std::string_view mark, const std::string& path) {
  std::string head(mark.size(), '\0');
  ssize_t got = ::pread(fd, head.data(), head.size(), 0);
  if (got == 0 || (got == static_cast<ssize_t>(mark.size()) && head == mark)) return {};
  return refused(path, "holds something else: name a file that is not there yet");
}

}  // namespace

Result<UniqueFd> open_secret_log(const std::string& path, std::string_view mark) {
  constexpr int kFlags = O_APPEND | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY | O_NONBLOCK;
  UniqueFd made(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | kFlags, 0600));
  if (made.valid()) return keep_new(std::move(made), path);
  if (errno != EEXIST) return posix_error(errno, "make " + path);
  struct stat info {};
  if (::lstat(path.c_str(), &info) != 0) return posix_error(errno, "look at " + path);
  if (!S_ISREG(info.st_mode)) {
    return refused(path, str("is ", kind_of(info.st_mode),
                             ": secrets go to a plain file only; name one that is not there yet"));
  }
  UniqueFd there(::open(path.c_str(), O_RDWR | kFlags));
  if (!there.valid()) return posix_error(errno, "write " + path);
  if (::fstat(there.get(), &info) != 0) return posix_error(errno, "look at " + path);
  if (!S_ISREG(info.st_mode) || info.st_uid != ::geteuid())
    return refused(path, "belongs to another user: name a file that is not there yet");
  if (info.st_nlink != 1)
    return refused(path, "has a second name elsewhere: name a file that is not there yet");
  if ((info.st_mode & kOthers) != 0) {
    return refused(path,
                   "can be read or written by others: remove it, or name a file that is not there "
                   "yet");
  }
  LS_TRY(begins_with(there.get(), mark, path));
  return there;
}

Status check_log_file(const std::string& path) {
  const uid_t self = ::geteuid();
  struct stat link {};
  if (::lstat(path.c_str(), &link) != 0) {
    if (errno == ENOENT) return {};
    return posix_error(errno, "look at " + path);
  }
  if (link.st_uid != self && link.st_uid != 0)
    return refused(path, "belongs to another user: name another --log-file");
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) {
    if (errno == ENOENT) return {};  // our own link to a file that is not there yet
    return posix_error(errno, "look at " + path);
  }
  // A pipe without a reader would hang the start, and a device is renamed when the log is full.
  if (!S_ISREG(info.st_mode)) {
    return refused(path,
                   str("is ", kind_of(info.st_mode),
                       ": log to a plain file, or leave --log-file out and send stderr there"));
  }
  if (info.st_uid != self && info.st_uid != 0)
    return refused(path, "belongs to another user: name another --log-file");
  return {};
}

Result<GuardedText> read_guarded_file(const std::string& path, std::size_t max_bytes,
                                      std::optional<uid_t> owner) {
  UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK));
  if (!fd.valid()) return posix_error(errno, "read " + path);
  struct stat info {};
  if (::fstat(fd.get(), &info) != 0) return posix_error(errno, "read " + path);
  const bool pipe = S_ISFIFO(info.st_mode);
  if (!S_ISREG(info.st_mode) && !pipe)
    return refused(path, str("is ", kind_of(info.st_mode), ": name a plain file"));
  GuardedText out;
  out.others_read = (info.st_mode & (S_IRGRP | S_IROTH)) != 0;
  out.others_write = (info.st_mode & (S_IWGRP | S_IWOTH)) != 0;
  bool trusted = info.st_uid == ::geteuid() || info.st_uid == 0 || info.st_uid == owner;
  if (!trusted) {
    return refused(path, "belongs to another user, who could change it: name a file of your own");
  }
  if ((info.st_mode & S_IWOTH) != 0 && !pipe && keeps_modes(fd.get()))
    return refused(path, "can be changed by everybody on this machine: chmod 600 it");
  int waited = 0;
  std::array<char, 4096> buffer;
  while (out.text.size() <= max_bytes) {
    ssize_t got = ::read(fd.get(), buffer.data(), buffer.size());
    if (got > 0) {
      out.text.append(buffer.data(), static_cast<std::size_t>(got));
      continue;
    }
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && errno != EAGAIN) return posix_error(errno, "read " + path);
    // The end; but a pipe that nobody writes to yet has none.
    if (got == 0 && (!pipe || !out.text.empty())) return out;
    if (waited >= kPipePatienceMs) {
      return Error{ErrorCode::kBusy, str("nothing came out of ", printable(path, 500), " for ",
                                         waited / 1000, " s: does anybody write to it?")};
    }
    (void)::poll(nullptr, 0, kPipeStepMs);
    waited += kPipeStepMs;
  }
  return refused(path, str("is longer than ", max_bytes, " bytes"));
}

bool lies_below(const std::string& path, const std::string& folder) {
  std::error_code failed;
  std::filesystem::path at = std::filesystem::weakly_canonical(path, failed);
  if (failed) return false;
  std::filesystem::path top = std::filesystem::weakly_canonical(folder, failed);
  if (failed) return false;
  auto end = std::mismatch(top.begin(), top.end(), at.begin(), at.end()).first;
  return end == top.end();
}

}  // namespace lansync
