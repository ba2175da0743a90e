// File descriptors that close themselves, and errno as an Error.
//
// Invariant: a descriptor has one owner. Used by everything in platform that talks to the kernel.
#pragma once

#include <cerrno>
#include <cstdint>
#include <ctime>
#include <string>
#include <string_view>
#include <utility>

#include "base/result.h"

namespace lansync {

class UniqueFd {
 public:
  UniqueFd() = default;
  explicit UniqueFd(int fd) : fd_(fd) {}
  UniqueFd(UniqueFd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  UniqueFd& operator=(UniqueFd&& other) noexcept {
    if (this != &other) reset(std::exchange(other.fd_, -1));
    return *this;
  }
  ~UniqueFd() { reset(); }

  int get() const { return fd_; }
  bool valid() const { return fd_ >= 0; }
  int release() { return std::exchange(fd_, -1); }
  void reset(int fd = -1);

 private:
  int fd_ = -1;
};

// A time as nanoseconds since 1970. What 64 bits of them cannot hold (before 1678, after 2262; a
// file, or a clock, may say it) is the first or last whole second that they can.
std::int64_t nanoseconds_of(const timespec& time);

ErrorCode error_code_of(int errno_value);
// "cannot WHAT: No space left on device", WHAT escaped (it may hold names from others).
Error posix_error(int errno_value, std::string_view what);

// The whole of a small file of the system (at most `max_bytes`).
Result<std::string> read_small_file(const std::string& path, std::size_t max_bytes = 65536);

}  // namespace lansync
