#include "discovery/boot_history.h"

#include <algorithm>

namespace lansync {

void BootHistory::session_up(const NodeId& node, const BootId& boot) {
  auto at = nodes_.find(node);
  if (at == nodes_.end()) {
    if (nodes_.size() >= kMaxNodes) {
      auto oldest = nodes_.end();
      for (auto it = nodes_.begin(); it != nodes_.end(); ++it) {
        if (it->second.live) continue;
        if (oldest == nodes_.end() || it->second.used < oldest->second.used) oldest = it;
      }
      if (oldest == nodes_.end()) return;  // more sessions than nodes that are remembered
      nodes_.erase(oldest);
    }
    at = nodes_.try_emplace(node).first;
  }
  Node& known = at->second;
  known.live = boot;
  known.used = ++uses_;
  std::erase(known.proven, boot);
  known.proven.push_back(boot);
  if (known.proven.size() > kFormer + 1) known.proven.pop_front();
}

void BootHistory::session_down(const NodeId& node) {
  if (auto at = nodes_.find(node); at != nodes_.end()) at->second.live.reset();
}

bool BootHistory::alive(const NodeId& node) const {
  auto at = nodes_.find(node);
  return at != nodes_.end() && at->second.live.has_value();
}

bool BootHistory::counts(const NodeId& node, const BootId& boot) const {
  auto at = nodes_.find(node);
  if (at == nodes_.end()) return true;
  const Node& known = at->second;
  if (known.live) return *known.live == boot;
  auto found = std::find(known.proven.begin(), known.proven.end(), boot);
  return found == known.proven.end() || found + 1 == known.proven.end();
}

}  // namespace lansync
