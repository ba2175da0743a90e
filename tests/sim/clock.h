// A node's two clocks in a simulated world: the monotonic one is the world's, the calendar is its
// own and may be wrong, drift and jump. Nothing that decides may depend on the second.
#pragma once

#include <algorithm>
#include <cstdint>

#include "base/time.h"
#include "sim/event_queue.h"

namespace lansync::sim {

class SimClock final : public Clock {
 public:
  // 2026-11-21T12:00:00Z.
  static constexpr std::int64_t kCalendarBegin = 1'795'262'400'000'000'000;

  explicit SimClock(const EventQueue& queue) : queue_(queue) {}

  Instant now() const override { return queue_.now(); }
  WallTime wall() const override {
    const std::int64_t us = (queue_.now() - EventQueue::kBegin).count();
    return {kCalendarBegin + offset_ns_ + us * 1000 + us * drift_ppm_ / 1000};
  }
  // Between 1971 and 2255: beyond, a calendar in nanoseconds ends.
  void step(Duration by) {
    constexpr Duration kYear = 8'766h;
    const Duration now(offset_ns_ / 1000);
    offset_ns_ = std::clamp(now + by, -55 * kYear, 229 * kYear).count() * 1000;
  }
  void set_drift_ppm(std::int64_t ppm) { drift_ppm_ = ppm; }

 private:
  const EventQueue& queue_;
  std::int64_t offset_ns_ = 0;
  std::int64_t drift_ppm_ = 0;
};

}  // namespace lansync::sim
