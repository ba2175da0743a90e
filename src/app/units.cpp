#include "app/units.h"

#include <array>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <limits>

#include "base/log.h"

namespace lansync {
namespace {

// The factor that a unit stands for; 0 if there is no such unit.
std::uint64_t unit_factor(std::string_view unit) {
  if (unit.empty()) return 1;
  static constexpr std::string_view kPrefixes = "kMGT";
  char first = unit.front() == 'K' ? 'k' : unit.front();
  if (first == 'm' || first == 'g' || first == 't') first = static_cast<char>(first - 'a' + 'A');
  std::size_t power = kPrefixes.find(first);
  if (power == std::string_view::npos) return 0;
  bool binary = unit.size() == 2 && unit[1] == 'i';
  if (unit.size() != 1 && !binary) return 0;
  std::uint64_t factor = 1;
  for (std::size_t i = 0; i <= power; ++i) factor *= binary ? 1024 : 1000;
  return factor;
}

}  // namespace

std::optional<std::uint64_t> parse_size(std::string_view text) {
  if (!text.empty() && text.back() == 'B') text.remove_suffix(1);
  std::size_t digits = text.find_first_not_of("0123456789.");
  std::string_view number = text.substr(0, digits);
  std::uint64_t factor =
      unit_factor(digits == std::string_view::npos ? std::string_view() : text.substr(digits));
  if (factor == 0 || number.empty() || number.front() == '.' || number.back() == '.') return {};
  std::size_t point = number.find('.');
  std::string_view whole_text = number.substr(0, point);
  std::uint64_t whole = 0;
  auto [end, error] =
      std::from_chars(whole_text.data(), whole_text.data() + whole_text.size(), whole);
  if (error != std::errc() || end != whole_text.data() + whole_text.size()) return {};
  std::uint64_t fraction = 0;
  if (point != std::string_view::npos) {
    // Exact decimal arithmetic; more than six digits of a fraction is a slip of the hand.
    std::string_view part = number.substr(point + 1);
    if (part.size() > 6 || part.find('.') != std::string_view::npos) return {};
    std::uint64_t scale = 1;
    for (char c : part) {
      fraction = fraction * 10 + static_cast<std::uint64_t>(c - '0');
      scale *= 10;
    }
    if (fraction * factor % scale != 0 && factor == 1) return {};  // half a byte
    fraction = fraction * factor / scale;
  }
  if (whole > (std::numeric_limits<std::uint64_t>::max() - fraction) / factor) return {};
  return whole * factor + fraction;
}

std::optional<std::uint64_t> parse_rate(std::string_view text) {
  if (text.ends_with("/s")) text.remove_suffix(2);
  std::optional<std::uint64_t> rate = parse_size(text);
  return rate == 0u ? std::nullopt : rate;
}

std::string format_size(std::uint64_t bytes) {
  if (bytes < 1000) return str(bytes, " B");
  static constexpr std::array kUnits{"kB", "MB", "GB", "TB", "PB", "EB"};
  double value = static_cast<double>(bytes) / 1000;
  std::size_t unit = 0;
  // 999.95 would be printed as 1000.0 or 1000: the next unit begins where rounding does.
  while (value >= 999.5 && unit + 1 < kUnits.size()) {
    value /= 1000;
    ++unit;
  }
  char text[32];
  bool whole = value >= 99.95 || std::abs(value - std::round(value)) < 0.05;
  std::snprintf(text, sizeof text, whole ? "%.0f %s" : "%.1f %s", value, kUnits[unit]);
  return text;
}

std::string format_rate(std::uint64_t bytes_per_second) {
  return format_size(bytes_per_second) + "/s";
}

std::string format_seconds(std::uint64_t seconds) {
  if (seconds < 120) return str(seconds, " s");
  if (seconds < 120 * 60) return str(seconds / 60, " min");
  std::uint64_t hours = seconds / 3600;
  if (hours >= 48) return str(hours / 24, " d");
  std::uint64_t minutes = seconds / 60 % 60;
  return minutes == 0 ? str(hours, " h") : str(hours, " h ", minutes, " min");
}

std::string counted(std::uint64_t count, const char* things) {
  std::string text = str(count, " ", things);
  if (count != 1) return text;
  if (text.ends_with("ies")) return text.substr(0, text.size() - 3) + "y";
  return text.ends_with('s') ? text.substr(0, text.size() - 1) : text;
}

}  // namespace lansync
