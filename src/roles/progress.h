// How fast what is to be done gets done: a total, a rate and the time left, for people.
//
// Invariant: the total never shrinks while there is something left, and nothing here is ever more
// exact than the samples: fed each half second or so, averaged over the last ten. Driven by
// roles/node on the control thread; pure.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>

#include "base/time.h"

namespace lansync {

class Progress {
 public:
  static constexpr Duration kWindow = 10s;
  // A save every other second is not one long task.
  static constexpr Duration kRest = 3s;

  struct Report {
    std::uint64_t files = 0;  // in all, since the last rest
    std::uint64_t bytes = 0;
    double files_per_second = 0;
    double bytes_per_second = 0;
    std::optional<std::uint64_t> seconds_left;
  };

  // So much is left at `now`.
  void sample(std::uint64_t files, std::uint64_t bytes, Instant now);
  Report report(std::uint64_t files_left, std::uint64_t bytes_left) const;

 private:
  struct Sample {
    Instant at{};
    std::uint64_t files = 0;  // done, since the last rest
    std::uint64_t bytes = 0;
  };
  std::deque<Sample> samples_;
  std::uint64_t files_left_ = 0;
  std::uint64_t bytes_left_ = 0;
  std::uint64_t files_done_ = 0;
  std::uint64_t bytes_done_ = 0;
  Instant busy_at_{};
};

}  // namespace lansync
