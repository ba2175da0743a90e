#include "roles/source_finder.h"

#include <algorithm>

namespace lansync {
namespace {

constexpr Duration kAskEvery = 2s;
constexpr Duration kAfterFailure = 30s;
constexpr Duration kDialTime = 3s;
constexpr std::size_t kMaxRemembered = 1024;

}  // namespace

void SourceFinder::set_wanted(const std::vector<WantedContent>& wanted) {
  std::set<ContentId> now;
  for (const WantedContent& one : wanted) {
    if (now.size() == kMaxWhere) break;
    now.insert(one.content);
    contents_.try_emplace(one.content);
  }
  std::erase_if(contents_, [&](const auto& item) { return !now.contains(item.first); });
}

std::vector<ContentId> SourceFinder::to_ask(Instant now) {
  std::vector<ContentId> out;
  for (auto& [hash, content] : contents_) {
    if (now < content.ask_at) continue;
    content.ask_at = now + kAskEvery;
    out.push_back(hash);
  }
  return out;
}

void SourceFinder::on_holders(const Holders& told, const NodeId& self) {
  for (const HolderItem& item : told.items) {
    auto at = contents_.find(item.hash);
    if (at == contents_.end()) continue;
    at->second.rows.clear();
    for (const HolderRow& row : item.nodes) {
      if (row.node != self && !row.node.is_zero() && row.address.port != 0)
        at->second.rows[row.node] = row;
    }
  }
}

std::vector<HolderRow> SourceFinder::to_dial(Instant now, const std::set<NodeId>& connected,
                                             std::size_t free) {
  std::vector<HolderRow> out;
  if (failed_.size() > kMaxRemembered) failed_.clear();
  std::erase_if(failed_, [&](const auto& item) { return now - item.second >= kAfterFailure; });
  std::erase_if(dialled_, [&](const auto& item) { return now - item.second >= kDialTime; });
  free -= std::min(free, dialled_.size());
  // Whole ones first: they help with anything.
  for (const bool part : {false, true}) {
    for (const auto& [hash, content] : contents_) {
      for (const auto& [node, row] : content.rows) {
        if (out.size() >= free) return out;
        if (row.part != part || connected.contains(node) || failed_.contains(node)) continue;
        if (!dialled_.emplace(node, now).second) continue;
        out.push_back(row);
      }
    }
  }
  return out;
}

std::map<ContentId, std::map<NodeId, bool>> SourceFinder::holders() const {
  std::map<ContentId, std::map<NodeId, bool>> out;
  for (const auto& [hash, content] : contents_) {
    auto& nodes = out[hash];
    for (const auto& [node, row] : content.rows) nodes[node] = row.part;
  }
  return out;
}

}  // namespace lansync
