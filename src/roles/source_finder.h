// Who else may be asked for large content that is being fetched: what to ask the hub, whom to dial,
// who is no help. Decides only; Node carries out. Invariant: everything here is a hint that costs
// at most a failed dial; a node is dialled again 30 s after a failure at the earliest.
//
// Driven by roles/node on the control thread.
#pragma once

#include <cstddef>
#include <map>
#include <set>
#include <vector>

#include "base/ids.h"
#include "base/time.h"
#include "sync/fetcher.h"
#include "transport/message.h"

namespace lansync {

class SourceFinder {
 public:
  // Less than this comes from one source before another was found.
  static constexpr std::uint64_t kLeastMissing = 4 * 1024 * 1024;
  // Sessions of our own to holders, the hub's apart.
  static constexpr std::size_t kMaxSessions = 6;

  // What is being fetched now; the rest is forgotten.
  void set_wanted(const std::vector<WantedContent>& wanted);
  bool idle() const { return contents_.empty(); }
  bool knows(const ContentId& content) const { return contents_.contains(content); }
  // Contents that the hub is to be asked about now.
  std::vector<ContentId> to_ask(Instant now);
  void on_holders(const Holders& told, const NodeId& self);
  // Holders to dial: none that is connected, `free` at most.
  std::vector<HolderRow> to_dial(Instant now, const std::set<NodeId>& connected, std::size_t free);
  void on_dial_failed(const NodeId& node, Instant now) { failed_[node] = now; }
  // Every content that is wanted, with its holders (true: they have part of it).
  std::map<ContentId, std::map<NodeId, bool>> holders() const;

 private:
  struct Content {
    Instant ask_at{};
    std::map<NodeId, HolderRow> rows;
  };
  std::map<ContentId, Content> contents_;
  std::map<NodeId, Instant> failed_;
  std::map<NodeId, Instant> dialled_;
};

}  // namespace lansync
