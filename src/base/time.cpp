#include "base/time.h"

#include <array>
#include <charconv>
#include <cstdio>
#include <limits>

namespace lansync {
namespace {

constexpr std::int64_t kNanosPerSecond = 1'000'000'000;

struct Civil {
  std::int64_t year;
  int month, day, hour, minute, second;
};

// Days since 1970-01-01 <-> civil date: Howard Hinnant, "chrono-Compatible Low-Level Date
// Algorithms". Own arithmetic because gmtime takes a locale and fails for years that a hostile
// mtime can name.
Civil to_civil(WallTime time) {
  std::int64_t seconds = time.ns / kNanosPerSecond - (time.ns % kNanosPerSecond < 0 ? 1 : 0);
  std::int64_t days = seconds / 86400 - (seconds % 86400 < 0 ? 1 : 0);
  auto rest = static_cast<int>(seconds - days * 86400);
  std::int64_t z = days + 719468;
  std::int64_t era = (z >= 0 ? z : z - 146096) / 146097;
  auto doe = static_cast<std::int64_t>(z - era * 146097);
  std::int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
  std::int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
  std::int64_t mp = (5 * doy + 2) / 153;
  Civil civil{};
  civil.day = static_cast<int>(doy - (153 * mp + 2) / 5 + 1);
  civil.month = static_cast<int>(mp < 10 ? mp + 3 : mp - 9);
  civil.year = yoe + era * 400 + (civil.month <= 2 ? 1 : 0);
  civil.hour = rest / 3600;
  civil.minute = rest / 60 % 60;
  civil.second = rest % 60;
  return civil;
}

std::int64_t days_from_civil(std::int64_t y, int m, int d) {
  y -= m <= 2 ? 1 : 0;
  std::int64_t era = (y >= 0 ? y : y - 399) / 400;
  std::int64_t yoe = y - era * 400;
  std::int64_t doy = (153 * (m > 2 ? m - 3 : m + 9) + 2) / 5 + d - 1;
  std::int64_t doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;
  return era * 146097 + doe - 719468;
}

// Reads exactly `width` digits at the front of `text`.
bool take_digits(std::string_view& text, std::size_t width, int& value) {
  if (text.size() < width) return false;
  value = 0;
  for (std::size_t i = 0; i < width; ++i) {
    if (text[i] < '0' || text[i] > '9') return false;
    value = value * 10 + (text[i] - '0');
  }
  text.remove_prefix(width);
  return true;
}

bool take(std::string_view& text, char c) {
  if (text.empty() || text.front() != c) return false;
  text.remove_prefix(1);
  return true;
}

// Reads ".123456789" (any number of digits; past the ninth they are dropped).
std::int64_t take_fraction(std::string_view& text) {
  std::int64_t ns = 0;
  std::int64_t unit = kNanosPerSecond / 10;
  if (!take(text, '.')) return 0;
  while (!text.empty() && text.front() >= '0' && text.front() <= '9') {
    ns += (text.front() - '0') * unit;
    unit /= 10;
    text.remove_prefix(1);
  }
  return ns;
}

// A day less than what fits, for those who round or add a second.
constexpr std::int64_t kDayNs = 86400 * kNanosPerSecond;
constexpr std::int64_t kEarliest = std::numeric_limits<std::int64_t>::min() + kDayNs;
constexpr std::int64_t kLatest = std::numeric_limits<std::int64_t>::max() - kDayNs;

std::optional<WallTime> parse_epoch(std::string_view text) {
  std::int64_t seconds = 0;
  auto [next, error] = std::from_chars(text.data(), text.data() + text.size(), seconds);
  if (error != std::errc()) return std::nullopt;
  bool negative = text.front() == '-';
  text.remove_prefix(static_cast<std::size_t>(next - text.data()));
  std::int64_t fraction = take_fraction(text);
  constexpr std::int64_t kLimit = std::numeric_limits<std::int64_t>::max() / kNanosPerSecond - 1;
  if (!text.empty()) return std::nullopt;
  if (seconds > kLimit || seconds < -kLimit) return WallTime{negative ? kEarliest : kLatest};
  return WallTime{seconds * kNanosPerSecond + (negative ? -fraction : fraction)};
}

// Reads "Z", "+hh:mm", "-hhmm" or nothing: the offset in seconds.
bool take_zone(std::string_view& text, int& offset) {
  offset = 0;
  if (text.empty() || take(text, 'Z') || take(text, 'z')) return text.empty();
  int sign = text.front() == '-' ? -1 : 1;
  if (!take(text, '+') && !take(text, '-')) return false;
  int hours = 0, minutes = 0;
  if (!take_digits(text, 2, hours)) return false;
  take(text, ':');
  if (!text.empty() && !take_digits(text, 2, minutes)) return false;
  offset = sign * (hours * 3600 + minutes * 60);
  return text.empty() && hours < 24 && minutes < 60;
}

}  // namespace

std::string to_iso8601(WallTime time) {
  Civil c = to_civil(time);
  std::array<char, 64> text{};
  std::snprintf(text.data(), text.size(), "%04lld-%02d-%02dT%02d:%02d:%02dZ",
                static_cast<long long>(c.year), c.month, c.day, c.hour, c.minute, c.second);
  return text.data();
}

std::string to_file_stamp(WallTime time) {
  Civil c = to_civil(time);
  std::array<char, 64> text{};
  std::snprintf(text.data(), text.size(), "%04lld-%02d-%02d %02d.%02d.%02d",
                static_cast<long long>(c.year), c.month, c.day, c.hour, c.minute, c.second);
  return text.data();
}

std::optional<WallTime> parse_time(std::string_view text) {
  if (text.empty() || text.size() > 64) return std::nullopt;
  // "2026-11-21" has a '-' at the fifth place; an epoch has not.
  if (text.size() < 10 || text[4] != '-') return parse_epoch(text);
  int year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0, offset = 0;
  std::int64_t fraction = 0;
  if (!take_digits(text, 4, year) || !take(text, '-') || !take_digits(text, 2, month) ||
      !take(text, '-') || !take_digits(text, 2, day)) {
    return std::nullopt;
  }
  if (!text.empty()) {
    if (!take(text, 'T') && !take(text, 't') && !take(text, ' ')) return std::nullopt;
    if (!take_digits(text, 2, hour) || !take(text, ':') || !take_digits(text, 2, minute)) {
      return std::nullopt;
    }
    if (take(text, ':')) {
      if (!take_digits(text, 2, second)) return std::nullopt;
      fraction = take_fraction(text);
    }
    if (!take_zone(text, offset)) return std::nullopt;
  }
  if (month < 1 || month > 12 || day < 1 || day > 31 || hour > 23 || minute > 59 || second > 60) {
    return std::nullopt;
  }
  // int64 nanoseconds reach from 1678 to 2261. Whoever writes 9999 means: without an end.
  if (year < 1678) return WallTime{kEarliest};
  if (year > 2261) return WallTime{kLatest};
  std::int64_t seconds =
      days_from_civil(year, month, day) * 86400 + hour * 3600 + minute * 60 + second - offset;
  return WallTime{seconds * kNanosPerSecond + fraction};
}

std::optional<Duration> parse_duration(std::string_view text) {
  if (text == "0") return Duration(0);
  std::int64_t value = 0;
  auto [next, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || value < 0) return std::nullopt;
  std::string_view unit = text.substr(static_cast<std::size_t>(next - text.data()));
  std::int64_t scale = 0;
  if (unit == "ms") scale = 1'000;
  if (unit == "s") scale = 1'000'000;
  if (unit == "m") scale = 60'000'000;
  if (unit == "h") scale = 3'600'000'000;
  if (scale == 0 || value > std::numeric_limits<std::int64_t>::max() / 16 / scale)
    return std::nullopt;
  return Duration(value * scale);
}

std::string to_string(Duration duration) {
  std::int64_t ms = duration.count() / 1000;
  if (ms != 0 && ms % 3'600'000 == 0) return std::to_string(ms / 3'600'000) + "h";
  if (ms != 0 && ms % 60'000 == 0) return std::to_string(ms / 60'000) + "m";
  if (ms % 1000 == 0) return std::to_string(ms / 1000) + "s";
  return std::to_string(ms) + "ms";
}

}  // namespace lansync
