// lansync-sim: runs scenarios drawn from seeds and says whether everything held.
#include <charconv>
#include <cinttypes>
#include <cstdio>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/log.h"
#include "sim/seed_runner.h"

namespace {

using lansync::str;
using lansync::sim::KnownSeeds;
using lansync::sim::SeedOutcome;
using lansync::sim::SeedRange;
using lansync::sim::SeedRunOptions;

constexpr const char* kUsage =
    "usage: lansync-sim --seed N [--verbose [--datagrams]]\n"
    "           one scenario; exit 1 if anything is violated\n"
    "       lansync-sim --seeds A..B [--jobs N] [--seconds S] [--stop-after N] [--brief]\n"
    "                   [--known FILE]\n"
    "           a range, both included: what failed, and how many ran. --known: seeds that fail\n"
    "           for a reason that is written down (\"seed id words\" a line), which count for\n"
    "           nothing. --brief: a line for each that fails. --seconds: none is begun after\n"
    "           that. --stop-after: nor after N failures\n";

struct Arguments {
  std::optional<SeedRange> range;
  bool one = false;
  bool brief = false;
  std::string known;
  SeedRunOptions options;
};

std::optional<std::uint64_t> parse_number(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::optional<SeedRange> parse_range(std::string_view text) {
  const std::size_t dots = text.find("..");
  if (dots == std::string_view::npos) return std::nullopt;
  const auto first = parse_number(text.substr(0, dots));
  const auto last = parse_number(text.substr(dots + 2));
  if (!first || !last || *last < *first) return std::nullopt;
  return SeedRange{*first, *last};
}

bool parse_option(std::string_view option, std::string_view value, Arguments& arguments) {
  constexpr std::uint64_t kMost = 1'000'000;
  if (option == "--seeds") {
    arguments.range = parse_range(value);
    return arguments.range.has_value();
  }
  if (option == "--known") {
    arguments.known = value;
    return true;
  }
  const auto number = parse_number(value);
  if (!number) return false;
  if (option == "--seed") {
    arguments.range = SeedRange{*number, *number};
    arguments.one = true;
    return true;
  }
  if (*number > kMost) return false;
  const auto small = static_cast<unsigned>(*number);
  if (option == "--jobs") {
    arguments.options.jobs = small;
    return small > 0;
  }
  if (option == "--seconds") {
    arguments.options.seconds = small;
    return true;
  }
  if (option == "--stop-after") {
    arguments.options.stop_after = small;
    return true;
  }
  return false;
}

std::optional<Arguments> parse(int argc, char** argv) {
  Arguments arguments;
  for (int i = 1; i < argc; ++i) {
    const std::string_view option = argv[i];
    if (option == "--verbose") {
      arguments.options.verbose = true;
    } else if (option == "--datagrams") {
      arguments.options.datagrams = true;
    } else if (option == "--brief") {
      arguments.brief = true;
    } else if (i + 1 == argc || !parse_option(option, argv[++i], arguments)) {
      return std::nullopt;
    }
  }
  if (!arguments.range) return std::nullopt;
  return arguments;
}

int run_one(const Arguments& arguments) {
  bool passed = false;
  run_seeds(*arguments.range, arguments.options, [&](std::uint64_t, const SeedOutcome& outcome) {
    passed = outcome.passed;
    std::fputs(outcome.text.c_str(), stdout);
    return true;
  });
  return passed ? 0 : 1;
}

// The first thing that is wrong.
std::string in_brief(std::uint64_t seed, const std::string& text) {
  const std::size_t begin = text.find('\n') + 1;
  const std::size_t end = text.find('\n', begin);
  const std::string wrong = text.substr(begin, end - begin);
  return str(seed, " ? ", wrong.starts_with("repeat") ? text.substr(0, begin - 1) : wrong, "\n");
}

int run_range(const Arguments& arguments, const KnownSeeds& known) {
  std::uint64_t ran = 0;
  std::vector<std::uint64_t> failed;
  std::string known_failed;
  std::string known_passed;
  run_seeds(*arguments.range, arguments.options,
            [&](std::uint64_t seed, const SeedOutcome& outcome) {
              ++ran;
              auto at = known.find(seed);
              if (at == known.end()) {
                if (!outcome.passed) {
                  failed.push_back(seed);
                  const std::string& text = outcome.text;
                  std::fputs((arguments.brief ? in_brief(seed, text) : text).c_str(), stdout);
                }
              } else if (outcome.passed) {
                known_passed += str("  ", seed, " ", at->second.id, "\n");
              } else {
                known_failed += str("  ", seed, " ", at->second.id, ": ", at->second.words, "\n");
              }
              std::fflush(stdout);
              const unsigned most = arguments.options.stop_after;
              return most == 0 || failed.size() < most;
            });
  if (!known_failed.empty()) std::printf("known to fail:\n%s", known_failed.c_str());
  if (!known_passed.empty()) {
    std::printf("known to fail, and passed: to be removed from the list:\n%s",
                known_passed.c_str());
  }
  std::printf("%" PRIu64 " seeds, %zu failed", ran, failed.size());
  for (std::size_t i = 0; i < failed.size(); ++i) {
    std::printf("%s%" PRIu64, i == 0 ? ": " : " ", failed[i]);
  }
  const std::uint64_t asked = arguments.range->last - arguments.range->first + 1;
  if (ran < asked) std::printf(" (of %" PRIu64 " asked for)", asked);
  std::printf("\n");
  return failed.empty() ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc == 2 && std::string_view(argv[1]) == "--help") {
    std::fputs(kUsage, stdout);
    return 0;
  }
  const auto arguments = parse(argc, argv);
  if (!arguments) {
    std::fputs(kUsage, stderr);
    return 2;
  }
  if (arguments->one) return run_one(*arguments);
  KnownSeeds known;
  std::string error;
  if (!arguments->known.empty() &&
      !lansync::sim::read_known_seeds(arguments->known, known, error)) {
    std::fprintf(stderr, "lansync-sim: %s\n", error.c_str());
    return 2;
  }
  return run_range(*arguments, known);
}
