// lansync-sim: runs scenarios drawn from seeds and says whether everything held.
#include <charconv>
#include <cinttypes>
#include <cstdio>
#include <optional>
#include <string>
#include <string_view>

#include "sim/scenario.h"

namespace {

using lansync::sim::run_scenario;
using lansync::sim::ScenarioResult;

constexpr const char* kUsage =
    "usage: lansync-sim --seed N [--verbose [--datagrams]]   one scenario; exit 1 if anything is "
    "violated\n"
    "       lansync-sim --seeds A..B           a range, both included: failures and a count\n";

struct Arguments {
  std::optional<std::uint64_t> first;
  std::uint64_t last = 0;
  bool range = false;
  bool verbose = false;
  bool datagrams = false;
};

std::optional<std::uint64_t> parse_number(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::optional<Arguments> parse(int argc, char** argv) {
  Arguments arguments;
  for (int i = 1; i < argc; ++i) {
    const std::string_view option = argv[i];
    if (option == "--verbose") {
      arguments.verbose = true;
      continue;
    }
    if (option == "--datagrams") {
      arguments.datagrams = true;
      continue;
    }
    if (i + 1 == argc) return std::nullopt;
    const std::string_view value = argv[++i];
    if (option == "--seed") {
      arguments.first = parse_number(value);
      if (!arguments.first) return std::nullopt;
      arguments.last = *arguments.first;
    } else if (option == "--seeds") {
      const std::size_t dots = value.find("..");
      if (dots == std::string_view::npos) return std::nullopt;
      arguments.first = parse_number(value.substr(0, dots));
      const auto last = parse_number(value.substr(dots + 2));
      if (!arguments.first || !last || *last < *arguments.first) return std::nullopt;
      arguments.last = *last;
      arguments.range = true;
    } else {
      return std::nullopt;
    }
  }
  if (!arguments.first) return std::nullopt;
  return arguments;
}

void tell(std::uint64_t seed, const ScenarioResult& result) {
  std::printf("seed %" PRIu64 ": %s: %s, %" PRId64 " ms of virtual time, %" PRIu64
              " datagrams, trace %016" PRIx64 "\n",
              seed, result.passed ? "ok" : "FAILED", result.summary.c_str(), result.virtual_ms,
              result.datagrams, result.trace_hash);
  if (result.passed) return;
  std::printf("%s", result.verdict.c_str());
  std::printf("repeat with: lansync-sim --seed %" PRIu64 " --verbose\n", seed);
}

}  // namespace

int main(int argc, char** argv) {
  const auto arguments = parse(argc, argv);
  if (!arguments) {
    std::fputs(kUsage, stderr);
    return 2;
  }
  std::uint64_t failures = 0;
  for (std::uint64_t seed = *arguments->first;; ++seed) {
    std::function<void(const std::string&)> trace;
    if (arguments->verbose) trace = [](const std::string& line) { std::puts(line.c_str()); };
    const ScenarioResult result = run_scenario(seed, trace, arguments->datagrams);
    if (!result.passed) ++failures;
    if (!result.passed || !arguments->range) tell(seed, result);
    std::fflush(stdout);
    if (seed == arguments->last) break;
  }
  if (arguments->range) {
    std::printf("%" PRIu64 " seeds, %" PRIu64 " failed\n", arguments->last - *arguments->first + 1,
                failures);
  }
  return failures == 0 ? 0 : 1;
}
