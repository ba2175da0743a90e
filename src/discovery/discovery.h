// Says that we are here and keeps who else is. Pure but for the socket interface it is given; driven
// by the control thread: on_datagram for what arrives, tick when deadline() has come.
//
// Untagged beacons are hints from strangers: at most kMaxCandidates are kept, so that 10,000 forged
// node ids cost a table of 64 (reliability.md F40). Roles never follow from a beacon alone.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/address.h"
#include "base/log.h"
#include "base/random.h"
#include "base/time.h"
#include "discovery/beacon.h"

namespace lansync {

// The interfaces that beacons go out on, and the way out. Implemented by platform and the simulator.
class BeaconSocket {
 public:
  virtual ~BeaconSocket() = default;
  // Broadcasts on each interface in use. Errors are the implementation's to count (doctor).
  virtual void broadcast(ByteView datagram) = 0;
};

// Somebody heard. One per node id; what the newest beacon of it said.
struct Neighbour {
  Beacon beacon;
  Address address;         // source IP and the beacon's ENet port
  Instant first_heard;
  Instant last_heard;
  std::uint64_t heard = 0;
};

// What changed, in the order it did. Taken by roles after on_datagram and tick.
struct DiscoveryEvent {
  enum class Kind { kHeard, kGoodbye, kExpired } kind;
  NodeId node;
};

class Discovery {
 public:
  static constexpr std::size_t kMaxCandidates = 64;    // untagged
  static constexpr std::size_t kMaxMembers = 4096;     // with a valid tag

  struct Options {
    GroupTag group;
    NodeId node;
    BootId boot;
  };

  Discovery(const Options& options, BeaconSocket& socket, RandomSource& random, Log& log);

  // The part of our beacon that roles decide: role, flags, term, name, port, ... `group`, `node`,
  // `boot` and `counter` are filled in here. A change of role or of kSeek is announced at once (but
  // not more than once in 100 ms).
  void set_self(const Beacon& self, Instant now);
  void set_key(const std::optional<BeaconKey>& key);
  // A new node id (DESIGN, Identity): forget what we said, start the announcements anew.
  void set_node(const NodeId& node, Instant now);

  // Begins the burst: 4 beacons in the first 2 s, each 5 s for a minute, then each 30 s +-25 %.
  void start(Instant now);
  // Again a burst: an interface came, the hub went.
  void restart_burst(Instant now);
  // The hub lost a node without goodbye: each 3 s for 10 minutes.
  void search_lost(Instant now);
  // A beacon with kGoodbye, now.
  void goodbye(Instant now);

  // A datagram on the beacon port. Foreign groups are counted and forgotten; malformed is `rejected`.
  void on_datagram(const Address& from, ByteView bytes, Instant now);
  // Sends what is due, expires what is stale (three periods of what the neighbour should send: 15 s
  // in its first minute, else 90 s + jitter allowance).
  void tick(Instant now);
  Instant deadline() const;

  std::vector<DiscoveryEvent> take_events();
  const std::map<NodeId, Neighbour>& neighbours() const { return neighbours_; }
  const Neighbour* find(const NodeId& node) const;
  // Beacons of our group in another protocol version, by address: shown in `peers`.
  struct Foreign {
    std::uint8_t version;
    Instant last_heard;
  };
  const std::map<Address, Foreign>& other_versions() const { return other_versions_; }
  // Another boot id under our own node id was heard: a cloned disk (DESIGN, Identity).
  bool take_clone_heard();

  struct Counters {
    std::uint64_t sent = 0;
    std::uint64_t received = 0;   // of our group, own ones not counted
    std::uint64_t rejected = 0;   // malformed
    std::uint64_t other_group = 0;
  };
  const Counters& counters() const { return counters_; }

 private:
  std::map<NodeId, Neighbour> neighbours_;
  std::map<Address, Foreign> other_versions_;
  Counters counters_;
  // The rest is the implementer's.
};

}  // namespace lansync
