#include "roles/peer_names.h"

#include <algorithm>
#include <vector>

#include "base/log.h"

namespace lansync {
namespace {

constexpr std::size_t kSuffix = 4;
constexpr std::size_t kListed = 10;

std::string list_of(const std::vector<std::string>& names) {
  std::string text;
  for (std::size_t i = 0; i < std::min(names.size(), kListed); ++i)
    text += str(i == 0 ? "" : ", ", printable(names[i], 64));
  if (names.size() > kListed) text += str(" and ", names.size() - kListed, " more");
  return text;
}

// Digits of the id that tell it from the others of that name.
std::size_t digits_needed(const NodeId& node, const std::vector<NodeId>& others) {
  const std::string own = to_hex(node);
  std::size_t digits = kSuffix;
  for (const NodeId& other : others) {
    if (other == node) continue;
    const std::string theirs = to_hex(other);
    while (digits < own.size() && own.compare(0, digits, theirs, 0, digits) == 0) ++digits;
  }
  return digits;
}

}  // namespace

std::map<NodeId, std::string> shown_names(const std::map<NodeId, NamedPeer>& peers) {
  std::map<std::string, std::vector<NodeId>> by_name;
  std::map<std::string, std::size_t> live;
  for (const auto& [node, peer] : peers) {
    by_name[peer.name].push_back(node);
    if (peer.live) ++live[peer.name];
  }
  std::map<NodeId, std::string> shown;
  for (const auto& [node, peer] : peers) {
    std::vector<NodeId> same = by_name[peer.name];
    if (peer.live) std::erase_if(same, [&](const NodeId& one) { return !peers.at(one).live; });
    std::size_t others = live[peer.name] - (peer.live ? 1 : 0);
    // Of two that are gone neither has the better claim.
    bool plain = others == 0 && (peer.live || same.size() == 1);
    if (plain) {
      shown[node] = peer.name;
    } else {
      shown[node] = str(peer.name, '~', to_hex(node).substr(0, digits_needed(node, same)));
    }
  }
  // A person may have called a node "b~1a2b" himself.
  std::map<std::string, std::size_t> times;
  for (const auto& [node, name] : shown) ++times[name];
  for (auto& [node, name] : shown) {
    if (times[name] > 1) name = str(name, '~', to_hex(node));
  }
  return shown;
}

Result<NodeId> find_named(const std::map<NodeId, NamedPeer>& peers, const std::string& wanted,
                          const NodeId& self) {
  const std::map<NodeId, std::string> shown = shown_names(peers);
  std::vector<NodeId> by_name;
  std::vector<NodeId> by_id;
  std::vector<std::string> names;
  const bool digits = wanted.size() >= kSuffix;
  for (const auto& [node, name] : shown) {
    if (name == wanted) return NodeId(node);
    if (peers.at(node).name == wanted) by_name.push_back(node);
    if (digits && to_hex(node).starts_with(wanted)) by_id.push_back(node);
    if (node != self) names.push_back(name);
  }
  std::vector<NodeId>& found = by_name.empty() ? by_id : by_name;
  const auto is_live = [&](const NodeId& node) { return peers.at(node).live; };
  if (std::any_of(found.begin(), found.end(), is_live))
    std::erase_if(found, [&](const NodeId& node) { return !is_live(node); });
  if (found.size() == 1) return NodeId(found.front());
  if (found.empty()) {
    return Error{
        ErrorCode::kNotFound,
        names.empty()
            ? str("no node is called ", printable(wanted, 64), ": no other node is known")
            : str("no node is called ", printable(wanted, 64), "; known are: ", list_of(names))};
  }
  names.clear();
  for (const NodeId& node : found) names.push_back(shown.at(node));
  return Error{ErrorCode::kRefused, str(printable(wanted, 64), " may be any of ", found.size(),
                                        " nodes; say which: ", list_of(names))};
}

}  // namespace lansync
