// The hub's decision on a pushed version (DESIGN, Versions and Conflicts). Pure: no I/O, no clock.
//
// Invariants: bytes never lose their name without getting another one (the conflict copy), unless
// their author's successor replaced them knowingly; an edit beats a delete; a directory with
// something in it is never replaced. Two hubs that settle the same conflict apart make the same
// copy.
// Driven by the hub for each pushed item, and once more just before it commits a file whose content
// had to be fetched first (the hub's entry may have moved on meanwhile).
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/entry.h"

namespace lansync {

// Why a version goes nowhere: its vector is longer than others take (kMaxVectorFromOutside).
inline constexpr const char* kTooManyAuthors =
    "too many nodes have edited it (512 at most), so no other node takes this version: copy it to "
    "a new name";

enum class SettlementKind : std::uint8_t { kAccept, kHave, kConflict, kRefuse };

// The hub's entry at a path; nullptr = unknown.
using EntryLookup = std::function<EntryPtr(const std::string& path)>;

// The id under which a hub counts its decisions: not the one of its own edits. A hub can have an
// edit of its own that is not settled yet (it paused, it was a client a moment ago, its delete is
// held). With one id for both, a decision with count 24 would claim to know the edit with count 23,
// and the bytes of that edit would be overwritten as old. (Found by planner_property_test.)
constexpr ShortId settling_id(ShortId hub) { return ~hub; }

struct PushedVersion {
  const std::string& path;
  const Entry& entry;
};

struct HubView {
  ShortId hub = 0;               // its node's short id; counts go to settling_id(hub)
  std::uint64_t next_count = 0;  // from the hub's edit counter: used only if count_used
  bool live_children = false;    // the hub knows live entries below the path
  EntryLookup lookup;            // for names of conflict copies
};

struct Settlement {
  SettlementKind kind = SettlementKind::kRefuse;
  // What the hub's index holds at the path from now on. Null for kRefuse.
  EntryPtr entry;
  // `entry` is not the hub's old one: commit it and send it to everybody.
  bool changed = false;
  // `entry` is a file whose bytes the hub's old entry did not have: fetch them (unless they are on
  // the disk), and settle again before committing.
  bool content_needed = false;
  // The loser: commit `copy` at `copy_path` too. The bytes are the pusher's (fetch them) unless
  // hub_lost. `copy` is null where copy_path holds those bytes already.
  std::string copy_path;
  EntryPtr copy;
  bool hub_lost = false;
  bool count_used = false;
  bool mismatch = false;  // equal vectors, different content: count it, log it
  std::string reason;     // kRefuse: one line for a person
};

// `hub_entry` null = the hub does not know the path.
// kAccept   the pushed version (or its content under a new vector) is taken.
// kHave     nothing to send: the hub's is equal, newer, the same bytes, or wins by merge.
// kConflict both are kept: `entry` under the name, `copy` under copy_path.
// kRefuse   the version vector would exceed what others take.
Settlement settle(const PushedVersion& pushed, const EntryPtr& hub_entry, const HubView& hub);

// An entry that is accepted needs directories above it. For each ancestor of `path` that the hub
// does not know, has as a tombstone, or has as a file or symlink: the directory that comes in its
// place (and the copy of the file that gives way), shallow first. Uses the counts from next_count
// upward, one for each change. nullopt: one of them cannot be made, its vector would be too long.
struct AncestorChange {
  std::string path;
  EntryPtr entry;
  std::string copy_path;
  EntryPtr copy;
};
std::optional<std::vector<AncestorChange>> revive_ancestors(const std::string& path,
                                                            const HubView& hub);

// The entry that keeps a losing version, and its name, which is not `path`; `entry` is null if the
// bytes are there already. Its version is a function of name and content, so that two hubs make
// equal ones. nullopt: all names that it could have are taken by what cannot make room.
struct ConflictCopy {
  std::string path;
  EntryPtr entry;
};
std::optional<ConflictCopy> make_conflict_copy(const std::string& path, const Entry& loser,
                                               const EntryLookup& lookup);

}  // namespace lansync
