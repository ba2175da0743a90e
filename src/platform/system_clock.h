// The machine's clocks behind base/time.h. The only place that asks them, with event_loop.
#pragma once

#include "base/time.h"

namespace lansync {

class SystemClock final : public Clock {
 public:
  Instant now() const override;    // CLOCK_MONOTONIC
  WallTime wall() const override;  // CLOCK_REALTIME
  // CLOCK_BOOTTIME: goes on while the machine sleeps, so now() falls behind it by the sleep.
  Duration since_boot() const;
};

}  // namespace lansync
