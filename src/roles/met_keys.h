// The keys of the members that this node met in a session: by them it knows them again, and can
// tell what they signed from what others say of them.
//
// Invariant: a key is here only after a handshake proved it and its node said hello; at most
// kMaxKeys, and the one that was met longest ago makes room. Kept in index.db, one row a key.
// Driven by roles/node; pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "base/ids.h"
#include "base/run.h"

namespace lansync {

class MetKeys {
 public:
  static constexpr std::size_t kMaxKeys = 4096;

  // From index.db's meta: the rows that are ours. What does not parse is forgotten.
  void load(const std::map<std::string, std::string>& meta);
  // Requires: the handshake proved `key`. `run`: the one that it is in.
  void meet(const PublicKey& key, const StartId& run);
  // The last run of that node that is known here; zeros: none. One that does not state it has a
  // copy's index, or an old one.
  StartId run_of(const NodeId& node) const;

  bool met(const NodeId& node) const { return keys_.contains(node); }
  std::optional<PublicKey> find(const NodeId& node) const;
  std::size_t size() const { return keys_.size(); }
  // What has to be stored, since the last call; an empty value removes a row.
  std::map<std::string, std::string> take_changes();

 private:
  struct Met {
    PublicKey key;
    StartId run;
    std::uint64_t turn = 0;  // rises with each meeting, so that the least is the longest ago
  };
  void note(const NodeId& node, const Met& met);
  void drop_oldest();

  std::map<NodeId, Met> keys_;
  std::map<std::uint64_t, NodeId> by_turn_;
  std::uint64_t last_turn_ = 0;
  std::map<std::string, std::string> changes_;
};

}  // namespace lansync
