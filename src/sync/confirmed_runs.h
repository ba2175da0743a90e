// Which deletes a person has let go: the paths and versions of confirmed runs (DESIGN, Deletes).
//
// Invariant: a tombstone is covered only by a run that its own names, and only if just this path
// with just this version was in it. Whose word that was, and whether it is his, is checked before
// add() (roles/run_decisions). Pure; driven by the replica.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/entry.h"

namespace lansync {

// What stands for one delete in the digest of a run: 16 bytes of a SHA-256 over path and vector.
// (Somebody who wants one delete to pass for another would have to find a second preimage.)
using DeleteLeaf = std::array<std::uint8_t, 16>;
DeleteLeaf delete_leaf(const std::string& path, const VersionVector& version);
// SHA-256 over the leaves, which have to be in order.
ContentId digest_of_leaves(const std::vector<DeleteLeaf>& leaves);
// In order and each once.
bool is_sorted_set(const std::vector<DeleteLeaf>& leaves);

class ConfirmedRuns {
 public:
  // Requires: is_sorted_set(leaves).
  void add(RunId run, std::vector<DeleteLeaf> leaves);
  void forget(RunId run) { runs_.erase(run); }
  bool knows(RunId run) const { return runs_.contains(run); }
  bool covers(RunId run, const std::string& path, const VersionVector& version) const;

 private:
  // A run may be confirmed in parts, as it grew.
  std::map<RunId, std::vector<std::vector<DeleteLeaf>>> runs_;
};

}  // namespace lansync
