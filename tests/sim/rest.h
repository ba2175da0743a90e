// What a world does while nothing happens (I12), and what its nodes hold in memory then (I9).
//
// Invariant: the bounds hold for any world that has converged; what they allow is written beside
// them. Driven by World after convergence.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "base/time.h"

namespace lansync::sim {

class SimNode;

// Bytes that `new` gave and that were not given back, in the whole process.
std::uint64_t live_heap_bytes();

struct RestSample {
  std::uint64_t turns = 0;
  std::uint64_t jobs = 0;
  std::uint64_t commits = 0;
  std::uint64_t planned = 0;  // paths
  std::uint64_t changes = 0;  // operations of the node that change the disk, syncs among them
  std::uint64_t payload = 0;
};
RestSample sample_rest(SimNode& node);

// One line for each bound that is passed. `others`: nodes that it may hear from. `refused`: pushes
// that the hub of these refuses.
void check_rest(const std::string& node, const RestSample& before, const RestSample& after,
                Duration passed, Duration rescan, std::size_t others, std::size_t refused,
                const std::function<void(std::string)>& report);

// The process held so much before and after a time at rest.
void check_heap(std::uint64_t before, std::uint64_t after, std::size_t nodes,
                const std::function<void(std::string)>& report);

}  // namespace lansync::sim
