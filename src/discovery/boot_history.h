// Which starts of a node count: its boot ids that a session proved, so that what was recorded of an
// earlier start says nothing when it is played again (DESIGN, Security: beacons).
//
// Invariant: while a session with a node lives, that session's boot id alone counts; without one,
// the eight that were proven before the last are dropped; bounded memory. Pure; driven by
// Discovery.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>

#include "base/ids.h"

namespace lansync {

class BootHistory {
 public:
  static constexpr std::size_t kMaxNodes = 4096;
  static constexpr std::size_t kFormer = 8;

  void session_up(const NodeId& node, const BootId& boot);
  void session_down(const NodeId& node);
  bool alive(const NodeId& node) const;
  // False: a beacon of that start is an old one, whatever its tag says.
  bool counts(const NodeId& node, const BootId& boot) const;
  std::size_t size() const { return nodes_.size(); }

 private:
  struct Node {
    std::optional<BootId> live;
    std::deque<BootId> proven;  // the last one last; at most kFormer + 1
    std::uint64_t used = 0;     // order of the last session
  };
  std::map<NodeId, Node> nodes_;
  std::uint64_t uses_ = 0;
};

}  // namespace lansync
