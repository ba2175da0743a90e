// When a socket that is flooded is left alone for a moment. Each datagram wakes the thread, which
// costs several times what looking at the datagram does; taken in heaps, 10,000 a second cost half.
//
// Invariant: no rest while what comes keeps to the rate. Pure; whoever reads the socket owns one.
#pragma once

#include <cstdint>

#include "base/time.h"
#include "base/token_bucket.h"

namespace lansync {

class FloodRest {
 public:
  // Up to `burst` at once and one each `interval` are no flood.
  FloodRest(std::int64_t burst, Duration interval, Duration rest)
      : calm_(burst, interval), rest_(rest) {}

  // So many were taken: how long the socket need not be looked at. 0: it is no flood.
  Duration after(std::int64_t taken, Instant now) {
    bool flooded = false;
    for (std::int64_t i = 0; i < taken && !flooded; ++i) flooded = !calm_.take(now);
    return flooded ? rest_ : Duration{0};
  }

 private:
  TokenBucket calm_;
  Duration rest_;
};

}  // namespace lansync
