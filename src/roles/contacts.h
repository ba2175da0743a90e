// When this node last had to do with each of the others, in observed time: what it can tell a node
// that comes back of how long it was away, and whether that was too long to know of all deletes.
//
// Invariant: what is told of a node is never later than what was seen. Bounded; kept in the index
// as text, an hour old at most. Driven by Node; knows no clock.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "base/ids.h"

namespace lansync {

class Contacts {
 public:
  static constexpr std::size_t kMaxNodes = 4096;
  // Away for longer than that: tombstones, which live 15 months, may be missing (DESIGN, Joining).
  static constexpr std::int64_t kLongAwayNs = 365LL * 24 * 3600 * 1'000'000'000;

  // Of text that is not this class's nothing is taken but that there was a mark: who cannot tell
  // how long he was away was away for long (DESIGN, Joining).
  void load(std::string_view text);
  std::string text() const;

  void note_seen(const NodeId& node, std::int64_t observed_ns);
  // In sync with this node while it was hub.
  void note_synced(const NodeId& node, std::int64_t observed_ns);
  // This node was in sync with another. Being one's own hub is none.
  void note_shared(std::int64_t observed_ns) {
    shared_ns_ = observed_ns;
    unreadable_ = false;
    absence_confirmed_ = false;
  }
  // A person has said that what is held for a long absence may go; until the next contact.
  void confirm_absence() { absence_confirmed_ = true; }
  bool absence_confirmed() const { return absence_confirmed_; }

  // nullopt: never, or so long ago that it is forgotten. Our own, if it cannot be read any more: as
  // long ago as can be.
  std::optional<std::int64_t> seen_ago(const NodeId& node, std::int64_t observed_ns) const;
  std::optional<std::int64_t> synced_ago(const NodeId& node, std::int64_t observed_ns) const;
  std::optional<std::int64_t> shared_ago(std::int64_t observed_ns) const;

 private:
  struct Seen {
    std::int64_t seen_ns = -1;
    std::int64_t synced_ns = -1;
  };
  Seen& at(const NodeId& node);

  std::map<NodeId, Seen> nodes_;
  std::int64_t shared_ns_ = -1;
  bool unreadable_ = false;
  bool absence_confirmed_ = false;
};

// Whether a node that joins was away for too long to push, unasked, what the group does not know.
// `hub_ns`: since the hub last saw it in sync; without that its own mark counts, `own_ns`, and
// `unsure_ns` more may have passed that nobody vouches for. Without a mark it was never in sync
// with anybody and joins for the first time: nothing of its was deleted elsewhere.
bool was_long_away(std::optional<std::int64_t> hub_ns, std::optional<std::int64_t> own_ns,
                   std::int64_t unsure_ns);

}  // namespace lansync
