#include "platform/system_clock.h"

#include <ctime>

#include "platform/posix.h"

namespace lansync {
namespace {

std::int64_t read_clock_ns(clockid_t id) {
  timespec time{};
  // Cannot fail: these clocks exist on every Linux since 2.6.39.
  clock_gettime(id, &time);
  return nanoseconds_of(time);
}

}  // namespace

Instant SystemClock::now() const {
  return Instant(Duration(read_clock_ns(CLOCK_MONOTONIC) / 1000));
}
WallTime SystemClock::wall() const { return WallTime{read_clock_ns(CLOCK_REALTIME)}; }
Duration SystemClock::since_boot() const { return Duration(read_clock_ns(CLOCK_BOOTTIME) / 1000); }

}  // namespace lansync
