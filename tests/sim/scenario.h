// A scenario drawn from a seed: two to five machines, people who work, links that lose, machines
// that die, and in the end rest, after which everything must be right again.
//
// Invariant: a function of the seed and of nothing else. Driven by lansync-sim and by seeds_test.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

namespace lansync::sim {

struct ScenarioResult {
  bool passed = false;
  std::string summary;  // one line: what was drawn
  std::string verdict;  // what is wrong, one line each
  std::uint64_t trace_hash = 0;
  std::uint64_t datagrams = 0;
  std::int64_t virtual_ms = 0;
};

// `trace` gets a line for each thing that happens (with `datagrams` for each of these too); may be
// empty.
ScenarioResult run_scenario(std::uint64_t seed,
                            const std::function<void(const std::string&)>& trace = {},
                            bool datagrams = false);

}  // namespace lansync::sim
