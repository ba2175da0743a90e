// Says that we are here and keeps who else is. Pure but for the socket interface it is given;
// driven by the control thread: on_datagram for what arrives, tick when deadline() has come.
//
// Untagged beacons are hints from strangers: at most kMaxCandidates are kept, so that 10,000 forged
// node ids cost a table of 64 (reliability.md F40), and of one host no more than kMaxEachHost.
// Roles never follow from a beacon alone, and nothing that is alive ends by one.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/address.h"
#include "base/host_budget.h"
#include "base/log.h"
#include "base/random.h"
#include "base/time.h"
#include "discovery/beacon.h"
#include "discovery/boot_history.h"

namespace lansync {

// The interfaces that beacons go out on, and the way out. Implemented by platform and the
// simulator.
class BeaconSocket {
 public:
  virtual ~BeaconSocket() = default;
  // Broadcasts on each interface in use. Errors are the implementation's to count (doctor).
  virtual void broadcast(ByteView datagram) = 0;
};

// One way to a neighbour: an address of it, and the interface of ours on which it is heard.
struct NeighbourPath {
  Address address;  // source IP and the beacon's ENet port
  std::uint32_t interface = 0;
  std::uint64_t counter = 0;  // of the last beacon that came this way
};

// Somebody heard. One per node id, however many ways lead to it; what its newest beacon said.
struct Neighbour {
  Beacon beacon;
  Address address;  // that of the first path
  // Best first, at most kMaxPaths: the one that the newest beacon came by, and the former first one
  // rather than another if it came by both.
  std::vector<NeighbourPath> paths;
  Address former_address;  // the first before the newest beacon
  Instant first_heard;
  Instant last_heard;
  std::uint64_t heard = 0;
  std::uint64_t key_generation = 0;  // which of our keys its tag verified under
  bool leaving = false;              // said goodbye, and its session is still there
};

// What changed, in the order it did. Taken by roles after on_datagram and tick.
struct DiscoveryEvent {
  enum class Kind {
    kHeard,
    kGoodbye,
    kExpired,
    kMoved,  // its paths are others
    kHint,   // an untagged beacon of a node id that another host has here: only `address` counts
  } kind;
  NodeId node;
  bool tag_valid = false;  // the beacon's, or for kExpired that of the last one
  Address address;         // kHint
};

class Discovery {
 public:
  static constexpr std::size_t kMaxCandidates = 64;  // untagged
  static constexpr std::size_t kMaxEachHost = 16;    // of the candidates
  static constexpr std::size_t kMaxMembers = 4096;   // with a valid tag
  static constexpr std::size_t kMaxOtherVersions = 64;
  static constexpr std::size_t kMaxEvents = 8192;
  static constexpr int kMaxAnswersPerSecond = 4;
  // Untagged beacons that are looked at. A host may hold dozens of nodes, each of which sends four
  // in its first second.
  static constexpr HostBudget::Limit kEachHost{64, 50ms};
  static constexpr HostBudget::Limit kAllHosts{512, 4ms};
  static constexpr std::size_t kMaxPaths = 4;

  struct Options {
    GroupTag group;
    NodeId node;
    BootId boot;
    std::uint8_t version = kProtocolVersion;
    const Clock* clock = nullptr;  // what beacons tell of our wall clock; none: nothing
  };

  Discovery(const Options& options, BeaconSocket& socket, RandomSource& random, Log& log);

  // The part of our beacon that roles decide: role, flags, term, name, port, ... `group`, `node`,
  // `boot` and `counter` are filled in here. A change of role, kSeek or kHubLost is announced at
  // once (but not more than once in 100 ms).
  void set_self(const Beacon& self, Instant now);
  void set_key(const std::optional<BeaconKey>& key);
  // A session with that start of the node is up: while it lives, only its beacons count.
  void session_up(const NodeId& node, const BootId& boot) { boots_.session_up(node, boot); }
  void session_down(const NodeId& node);
  // A new node id (DESIGN, Identity): forget what we said, start the announcements anew.
  void set_node(const NodeId& node, Instant now);

  // Begins the burst: beacons at 0, 150, 400 and 1000 ms (so that nodes started together know each
  // other within 500 ms though one is lost), each 5 s for a minute, then each 30 s +-25 %.
  void start(Instant now);
  // Again a burst: an interface came, the hub went.
  void restart_burst(Instant now);
  // The hub lost a node without goodbye: each 3 s for 10 minutes.
  void search_lost(Instant now);
  // A beacon with kGoodbye, now, and none after it until start().
  void goodbye(Instant now);

  // A datagram on the beacon port. Foreign groups are counted and forgotten; malformed is
  // `rejected`. `interface`: the one it came in on.
  void on_datagram(const Address& from, ByteView bytes, Instant now, std::uint32_t interface = 0);
  // These interfaces are in use now: ways that led over others are forgotten.
  void set_interfaces(const std::vector<std::uint32_t>& interfaces);
  // Sends what is due, expires what is stale (three periods of what the neighbour should send: 15 s
  // in its first minute, else 112.5 s, which is three times 30 s + 25 %).
  void tick(Instant now);
  Instant deadline() const;

  std::vector<DiscoveryEvent> take_events();
  const std::map<NodeId, Neighbour>& neighbours() const { return neighbours_; }
  const Neighbour* find(const NodeId& node) const;
  // Beacons of our group in another protocol version, by source address: shown in `peers`.
  struct Foreign {
    std::uint8_t version;
    NodeId node;
    Instant last_heard;
  };
  const std::map<Address, Foreign>& other_versions() const { return other_versions_; }
  // Where our own node id was sent from by something that is not this start. It proves nothing: a
  // hint to dial, given once in kOwnIdInterval whatever is sent (DESIGN, Identity).
  static constexpr Duration kOwnIdInterval = 10s;
  std::optional<Address> take_own_id_heard() { return std::exchange(own_id_heard_, std::nullopt); }

  struct Counters {
    std::uint64_t sent = 0;
    std::uint64_t received = 0;  // of our group, own ones not counted
    std::uint64_t rejected = 0;  // malformed
    std::uint64_t other_group = 0;
    std::uint64_t replayed = 0;  // of a counter that was heard already, or of an earlier start
    std::uint64_t limited = 0;   // untagged, and over the budget
    std::uint64_t crowded = 0;   // a table was full
  };
  const Counters& counters() const { return counters_; }

 private:
  struct Seen {
    std::uint64_t counter = 0;
    Instant last;
  };

  void send(Instant now, std::uint8_t extra_flags);
  void schedule_next(Instant now);
  void want_answer(Instant now);
  void announce(Instant now);
  // True if the beacon repeats or precedes one heard; notes it otherwise. Tagged beacons only.
  bool is_replay(const Beacon& beacon, Instant now);
  void on_own_id(const Address& from, const Beacon& beacon, Instant now);
  void on_other_version(const Address& from, const Beacon& beacon, Instant now);
  void on_goodbye(const Address& from, const Beacon& beacon);
  // The same beacon over a second path: stay with the path that was used before.
  void on_duplicate(const NeighbourPath& path, const Beacon& beacon);
  void keep(const NeighbourPath& path, const Beacon& beacon, Instant now);
  std::uint64_t heard_filter(Instant now) const;
  bool make_room(bool tagged);
  bool make_room_for(std::uint32_t ip);
  void event(DiscoveryEvent::Kind kind, const NodeId& node, bool tag_valid,
             const Address& address = {});
  void expire(Instant now);

  Options options_;
  BeaconSocket& socket_;
  RandomSource& random_;
  Log& log_;
  Beacon self_;
  std::optional<BeaconKey> key_;
  std::uint64_t key_generation_ = 0;
  std::optional<NodeId> former_node_;  // its last beacons may still come back to us

  bool started_ = false;
  std::uint64_t counter_ = 0;
  Instant burst_begin_{};
  std::size_t burst_sent_ = 0;
  Instant searching_until_{};
  Instant last_sent_{};
  Instant next_regular_ = kNever;
  Instant announce_at_ = kNever;
  Instant answer_at_ = kNever;
  std::vector<Instant> answers_;  // of the last second, at most kMaxAnswersPerSecond

  BootHistory boots_;
  HostBudget budget_{kEachHost, kAllHosts};
  std::map<NodeId, Neighbour> neighbours_;
  std::size_t candidates_ = 0;  // of them, untagged
  std::map<std::pair<NodeId, BootId>, Seen> seen_;
  std::map<Address, Foreign> other_versions_;
  std::optional<Instant> version_logged_;
  Instant next_expiry_ = kNever;  // not later than the first expiry
  std::vector<DiscoveryEvent> events_;
  std::optional<Address> own_id_heard_;
  std::optional<Instant> own_id_at_;
  Counters counters_;
};

}  // namespace lansync
