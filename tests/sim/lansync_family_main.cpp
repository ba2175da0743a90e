// lansync-family: tells a family's day, with what each person's `status` said; or says of many days
// what was untrue.
#include <cstdio>
#include <cstdlib>
#include <string>

#include "sim/family_day.h"

using lansync::sim::live_family_day;

int main(int argc, char** argv) {
  if (argc < 2 || argc > 3) {
    std::fputs(
        "usage: lansync-family SEED         the day of that seed, as each person read it\n"
        "       lansync-family FIRST LAST   what was untrue on these days; exit 1 if anything\n",
        stderr);
    return 2;
  }
  const std::uint64_t first = std::strtoull(argv[1], nullptr, 10);
  const std::uint64_t last = argc == 3 ? std::strtoull(argv[2], nullptr, 10) : first;
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
