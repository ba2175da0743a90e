// Seeds that failed once, and the simulator's own promise: a seed is all there is to know about a
// run. (The drawn seeds are run by lansync-sim itself: CMakeLists.txt.)
#include <fstream>
#include <sstream>

#include "sim/scenario.h"
#include "sim/seed_runner.h"
#include "support/catch.h"

using namespace lansync::sim;

TEST_CASE("the same seed gives the same trace, another seed another") {
  const ScenarioResult first = run_scenario(5);
  const ScenarioResult second = run_scenario(5);
  CHECK(first.trace_hash == second.trace_hash);
  CHECK(first.datagrams == second.datagrams);
  CHECK(run_scenario(6).trace_hash != first.trace_hash);
}

TEST_CASE("who reads along changes nothing") {
  std::uint64_t lines = 0;
  const ScenarioResult told = run_scenario(5, [&](const std::string&) { ++lines; });
  CHECK(lines > 0);
  CHECK(told.trace_hash == run_scenario(5).trace_hash);
}

TEST_CASE("seeds that failed once pass") {
  std::ifstream file(LANSYNC_SOURCE_DIR "/tests/sim/pinned_seeds.txt");
  REQUIRE(file.good());
  for (std::string line; std::getline(file, line);) {
    if (line.empty() || line[0] == '#') continue;
    std::istringstream fields(line);
    std::uint64_t seed = 0;
    std::string why;
    REQUIRE(fields >> seed);
    std::getline(fields >> std::ws, why);
    INFO("seed " << seed << ", once: " << why);
    REQUIRE_FALSE(why.empty());
    const ScenarioResult result = run_scenario(seed);
    INFO("repeat with: lansync-sim --seed " << seed << " --verbose\n" << result.verdict);
    CHECK(result.passed);
  }
}

TEST_CASE("each known seed has an id and words") {
  KnownSeeds known;
  std::string error;
  const bool read = read_known_seeds(LANSYNC_SOURCE_DIR "/tests/sim/known_seeds.txt", known, error);
  INFO(error);
  CHECK(read);
}
