// lansync-family: tells a family's day, with what each person's `status` said; or says of many days
// what was untrue.
#include <charconv>
#include <cstdint>
#include <cstdio>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "sim/family_day.h"

using lansync::sim::live_family_day;

namespace {

constexpr const char* kUsage =
    "usage: lansync-family SEED         the day of that seed, as each person read it\n"
    "       lansync-family FIRST LAST   what was untrue on these days; exit 1 if anything\n";

std::optional<std::uint64_t> parse_number(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc == 2 && std::string_view(argv[1]) == "--help") {
    std::fputs(kUsage, stdout);
    return 0;
  }
  const auto begin = argc == 2 || argc == 3 ? parse_number(argv[1]) : std::nullopt;
  const auto end = argc == 3 ? parse_number(argv[2]) : begin;
  // A word that is no number was day 0, and a range that runs backwards some 2^64 days.
  if (!begin || !end || *end < *begin || *end - *begin >= 1'000'000) {
    std::fputs(kUsage, stderr);
    return 2;
  }
  const std::uint64_t first = *begin;
  const std::uint64_t last = *end;
  std::function<void(const std::string&)> say;
  if (argc == 2) say = [](const std::string& text) { std::fputs(text.c_str(), stdout); };
  std::uint64_t bad = 0;
  for (std::uint64_t seed = first; seed <= last; ++seed) {
    const auto day = live_family_day(seed, say);
    for (const std::string& wrong : day.wrong)
      std::printf("seed %llu: %s\n", static_cast<unsigned long long>(seed), wrong.c_str());
    bad += day.wrong.empty() ? 0 : 1;
    std::fflush(stdout);
  }
  std::printf("%llu days, %llu with something untrue or lost\n",
              static_cast<unsigned long long>(last - first + 1),
              static_cast<unsigned long long>(bad));
  return bad == 0 ? 0 : 1;
}
