// Time as values. Everything above src/platform/ is handed the time as an argument and never asks a
// clock, so that a simulated network can run the same code on a virtual one.
//
// Two kinds, which never mix: Instant (monotonic; timers and timeouts) and WallTime (the calendar;
// shown to people, carried as mtime, never used to decide which version is newer).
#pragma once

#include <chrono>
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace lansync {

using Duration = std::chrono::microseconds;
using std::chrono_literals::operator""us;
using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""s;
using std::chrono_literals::operator""min;
using std::chrono_literals::operator""h;

// The tag of the monotonic time line. It has no now() on purpose.
struct MonotonicTimeline {
  using duration = Duration;
  using rep = duration::rep;
  using period = duration::period;
  using time_point = std::chrono::time_point<MonotonicTimeline>;
  static constexpr bool is_steady = true;
};
using Instant = MonotonicTimeline::time_point;

// "No deadline." Also the far end of min() over deadlines.
inline constexpr Instant kNever = Instant::max();

// Nanoseconds since 1970-01-01T00:00:00Z; may be negative (files from before 1970).
struct WallTime {
  std::int64_t ns = 0;
  auto operator<=>(const WallTime&) const = default;
};

// Reads both clocks. Implemented by platform (CLOCK_MONOTONIC, CLOCK_REALTIME) and by the
// simulator.
class Clock {
 public:
  virtual ~Clock() = default;
  virtual Instant now() const = 0;
  virtual WallTime wall() const = 0;
};

// "2026-11-21T12:30:05Z" (fraction dropped).
std::string to_iso8601(WallTime time);
// "2026-11-21 12.30.05", as in names of conflict copies. UTC.
std::string to_file_stamp(WallTime time);
// ISO 8601 with optional fraction and `Z` or +hh:mm (none means UTC; a bare date means its
// midnight), or decimal epoch seconds. nullopt if it is neither; what is before or after all that a
// WallTime can say is the earliest or the latest.
std::optional<WallTime> parse_time(std::string_view text);
// "500ms", "2s", "10m", "1h"; a bare "0" is accepted. nullopt for anything else or on overflow.
std::optional<Duration> parse_duration(std::string_view text);
// "500ms", "2s", "1h": the shortest exact form in the units above.
std::string to_string(Duration duration);

}  // namespace lansync
