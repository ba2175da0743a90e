// A rate with a burst: at most `capacity` at once, and one more each `interval`.
//
// Invariant: what was taken since the start never exceeds capacity + time passed / interval. Pure;
// whoever limits something owns one.
#pragma once

#include <cstdint>

#include "base/time.h"

namespace lansync {

// The level in 1/interval tokens, so that a refill of any rate is exact in whole microseconds.
class TokenBucket {
 public:
  // `capacity` tokens at first and at most; one more each `interval`.
  TokenBucket(std::int64_t capacity, Duration interval);
  // Takes one if there is one.
  bool take(Instant now);

 private:
  void refill(Instant now);
  std::int64_t capacity_;
  Duration interval_;
  std::int64_t level_;  // one microsecond adds one
  Instant last_{};
  bool started_ = false;
};

}  // namespace lansync
