// The beacon: who is here. A hint to dial, never a fact (reliability.md §4.1, step 0).
//
//   "LSYN" | version1 | flags1 | group_tag8 | node_id16 | boot_id8 | counter8 | role1 | manual1 |
//   replica1 | disk1 | term8 | index_seq8 | enet_port2 | heard8 | time4 | name_len1 | name <= 32 |
//   tag16
//
// At most kMaxBeaconBytes. The tag authenticates everything before it under K_beacon, or is zero.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>

#include "base/bytes.h"
#include "base/ids.h"
#include "base/role.h"

namespace lansync {

inline constexpr std::uint16_t kBeaconPort = 27800;
inline constexpr std::size_t kMaxBeaconBytes = 132;
inline constexpr std::size_t kMaxBeaconName = 32;

using GroupTag = TaggedBytes<struct GroupTagTag, 8>;
using BeaconTag = TaggedBytes<struct BeaconTagTag, 16>;

struct Beacon {
  static constexpr std::uint8_t kSeek = 1;  // I have no hub: a hub answers with a broadcast beacon
  static constexpr std::uint8_t kGoodbye = 2;  // I am leaving
  static constexpr std::uint8_t kHasData = 4;  // rank: my folder is not empty
  static constexpr std::uint8_t kHubLost = 8;  // my hub went without goodbye

  std::uint8_t version = kProtocolVersion;
  std::uint8_t flags = 0;
  GroupTag group;
  NodeId node;
  BootId boot;
  std::uint64_t counter = 0;  // rises with every beacon of this boot
  Role role = Role::kNone;    // the role acted in now; kServer and kProxy mean: I am the hub
  ManualRole manual = ManualRole::kAuto;
  bool full_replica = true;
  std::uint8_t disk_log2 = 0;  // log2 of free GiB at start, frozen
  std::uint64_t term = 0;      // hub term and hub sequence at which this node was last in sync
  std::uint64_t index_seq = 0;
  std::uint16_t port = 0;  // ENet's
  // Whom the sender has heard lately, as a Bloom filter (heard_mark): who is not in it knows that
  // its own beacons do not arrive there. For people only; nothing is decided by it.
  std::uint64_t heard = 0;
  std::uint32_t time = 0;  // seconds since 1970 UTC by the sender's clock; 0: not told
  std::string name;
  BeaconTag tag;
  bool tag_valid = false;  // set by the receiver
};

// Two bits of the filter `heard`, drawn from the id.
std::uint64_t heard_mark(const NodeId& node);
// Whether the sender of a beacon with that filter hears `node`; nullopt when so many bits are set
// that a hit says little.
std::optional<bool> hears(std::uint64_t filter, const NodeId& node);

// Group names are public: the tag only keeps groups apart. SHA-256("lansync group" || group)[:8].
GroupTag group_tag(std::string_view group);

// The datagram, its tag made with `key` (nullopt: not a member yet, the tag is zero).
Bytes encode_beacon(const Beacon& beacon, const std::optional<BeaconKey>& key);
// True if `datagram`'s tag verifies under `key`, in constant time.
bool beacon_tag_valid(ByteView datagram, const BeaconKey& key);
// nullopt for anything that is not exactly a beacon. A beacon of another version decodes with the
// fields up to `boot` and `version` set, so that it can be shown (CONTRACT: peers).
std::optional<Beacon> decode_beacon(ByteView bytes);

}  // namespace lansync
