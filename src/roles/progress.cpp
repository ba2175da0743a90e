#include "roles/progress.h"

#include <algorithm>

namespace lansync {
namespace {

constexpr Duration kLeastWindow = 900ms;
constexpr double kMostSeconds = 100.0 * 24 * 3600;

}  // namespace

void Progress::sample(std::uint64_t files, std::uint64_t bytes, Instant now) {
  if (files > 0) {
    if (now - busy_at_ >= kRest || samples_.empty()) {
      samples_.clear();
      files_done_ = bytes_done_ = 0;
      files_left_ = files;
      bytes_left_ = bytes;
    }
    busy_at_ = now;
  }
  files_done_ += files_left_ - std::min(files, files_left_);
  bytes_done_ += bytes_left_ - std::min(bytes, bytes_left_);
  files_left_ = files;
  bytes_left_ = bytes;
  samples_.push_back({now, files_done_, bytes_done_});
  while (samples_.size() > 2 && now - samples_.front().at > kWindow) samples_.pop_front();
}

Progress::Report Progress::report(std::uint64_t files_left, std::uint64_t bytes_left) const {
  Report report;
  if (files_left == 0) return report;
  // What got done since the last sample is done: the total is the same, or more.
  report.files = files_done_ + std::max(files_left, files_left_);
  report.bytes = bytes_done_ + std::max(bytes_left, bytes_left_);
  if (samples_.empty()) return report;
  const Sample& first = samples_.front();
  const Sample& last = samples_.back();
  if (last.at - first.at < kLeastWindow) return report;
  const double seconds = std::chrono::duration<double>(last.at - first.at).count();
  report.files_per_second = static_cast<double>(last.files - first.files) / seconds;
  report.bytes_per_second = static_cast<double>(last.bytes - first.bytes) / seconds;
  // Small files cost by number, large ones by size: what takes longer decides.
  double left = 0;
  bool known = false;
  if (report.bytes_per_second > 0) {
    left = static_cast<double>(bytes_left) / report.bytes_per_second;
    known = true;
  }
  if (report.files_per_second > 0 && bytes_left == 0) {
    left = static_cast<double>(files_left) / report.files_per_second;
    known = true;
  } else if (report.files_per_second >= 1) {
    left = std::max(left, static_cast<double>(files_left) / report.files_per_second);
    known = true;
  }
  if (known) report.seconds_left = static_cast<std::uint64_t>(std::min(left, kMostSeconds)) + 1;
  return report;
}

}  // namespace lansync
