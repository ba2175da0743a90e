#include "app/read_progress.h"

#include <algorithm>

#include "app/units.h"
#include "base/log.h"

namespace lansync {
namespace {

constexpr Duration kSampleEach = 200ms;

}  // namespace

std::string ReadProgress::line(std::uint64_t read, Instant now) {
  if (about_ == 0) return str(read, " files read");
  about_ = std::max(about_, read);
  const std::uint64_t left = about_ - read;
  std::string line = str(read, " of about ", about_, " files read");
  if (now >= next_sample_) {
    next_sample_ = now + kSampleEach;
    progress_.sample(left, 0, now);
  }
  const Progress::Report report = progress_.report(left, 0);
  if (report.files_per_second >= 1)
    line += str(", ", static_cast<std::uint64_t>(report.files_per_second), " files/s");
  if (report.seconds_left) line += str(", ", format_seconds(*report.seconds_left), " left");
  return line;
}

}  // namespace lansync
