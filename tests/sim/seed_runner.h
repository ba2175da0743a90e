// Runs scenarios of many seeds in processes of their own: what ENet keeps is the process', and a
// node that aborts is a finding like any other.
//
// Invariant: what a seed does depends on nothing but the seed: each has a process to itself. Driven
// by lansync-sim.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

namespace lansync::sim {

struct SeedRange {
  std::uint64_t first = 0;
  std::uint64_t last = 0;  // included
};

struct SeedRunOptions {
  unsigned jobs = 1;
  // No seed is begun after so much time; 0: no limit. Time of the wall: how many seeds that is
  // depends on the machine.
  unsigned seconds = 0;
  unsigned stop_after = 0;  // so many failures that are not known; 0: all are run
  bool verbose = false;
  bool datagrams = false;
};

struct SeedOutcome {
  bool passed = false;
  std::string text;  // what is to be said of it: one line, and what is wrong
};

// Calls `done` for each seed that was run, in order.
void run_seeds(const SeedRange& range, const SeedRunOptions& options,
               const std::function<bool(std::uint64_t seed, const SeedOutcome&)>& done);

// Seeds that fail for a reason that is written down: "seed id words" a line, # for remarks.
struct KnownSeed {
  std::string id;
  std::string words;
};
using KnownSeeds = std::map<std::uint64_t, KnownSeed>;
// False if the file cannot be read, or a line of it: `error` says which.
bool read_known_seeds(const std::string& path, KnownSeeds& known, std::string& error);

}  // namespace lansync::sim
