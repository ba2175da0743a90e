// An open group on a network that its folder was not begun on: whoever is heard there under the
// same group name may be anybody. Until a person confirms the network, only nodes that this folder
// has met before get a session there (CONTRACT, Guards). Groups with a password are not looked at.
//
// A network is its subnet, its gateway and the gateway's hardware address. One whose gateway has
// not answered since we came here is unknown, whatever the system remembers of it.
//
// Invariant: pure; nobody vouches for anybody else: no node that is heard or comes makes a network
// known. What admits() refused is neither dialled nor answered until allows_again() says so. Memory
// is bounded by the constants below whatever is heard. Driven by Node.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/ids.h"
#include "base/network.h"
#include "base/time.h"

namespace lansync {

class NetworkGuard {
 public:
  static constexpr std::size_t kMaxNetworks = 64;
  static constexpr std::size_t kMaxStrangers = 16;
  // Nodes that start beside a stranger are heard within their burst; before that nobody is told.
  static constexpr Duration kGrace = 1500ms;
  // So long after we came somewhere a gateway may take to answer, or a route to appear.
  static constexpr Duration kAsk = 2s;
  // A gateway that was silent for so long is unknown again.
  static constexpr Duration kForget = 2min;
  // Longer than three beacons of a settled node (discovery.cpp, kExpiry).
  static constexpr Duration kStrangerLife = 2min;
  // A first run is never held: for so long after it met its first network what comes up beside it
  // is taken for home.
  static constexpr Duration kFirstRun = 10min;

  // `networks` as index.db has it ("" at a first run); what does not parse is left out.
  NetworkGuard(bool open, const std::string& networks);
  // Addresses that a person typed (--peer): at home they are welcome, though they are beyond it.
  void set_typed(std::set<std::uint32_t> ips) { typed_ = std::move(ips); }

  // What the machine is on now. Loopback is none of it.
  void set_networks(const std::vector<Network>& networks, Instant now);
  // A cable was out for a moment, or the machine slept: it may be elsewhere. set_networks()
  // follows.
  void doubt(Instant now);
  // How soon set_networks() is wanted again.
  Duration look_again(Instant now) const;

  // A node is heard or has come: may it be talked to? `met`: this folder has met its key. What a
  // beacon says about its sender is no proof; whoever dials it asks again when its key is proven.
  bool admits(const NodeId& node, std::uint32_t ip, const std::string& name, bool met, Instant now);
  bool is_stranger(const NodeId& node) const { return strangers_.contains(node); }
  // This host itself, on whichever of its addresses.
  bool is_own(std::uint32_t ip) const;
  // One of this machine's addresses: the first that leads to others.
  std::uint32_t own_address() const;

  void tick(Instant now);
  Instant deadline() const;
  // Strangers are being kept out.
  bool blocks() const { return !strangers_.empty(); }
  // The same, long enough that people are told: from held_at() on.
  bool held(Instant now) const { return now >= held_at(); }
  Instant held_at() const;
  // Which network, who was heard, how to go on.
  std::string reason(Instant now) const;
  // Those who are kept out, as people are shown them.
  std::vector<std::string> names() const;
  // A person says that this is the right network. Whom it lets in, as people are shown them.
  // Requires blocks().
  std::vector<std::string> confirm(Instant now);
  // True once after somebody who was refused would be admitted now.
  bool allows_again() { return std::exchange(allows_again_, false); }

  // For index.db. True once after each change.
  bool take_changed() { return std::exchange(changed_, false); }
  std::string networks_text() const;

 private:
  struct Known {
    std::uint32_t subnet = 0;
    std::uint32_t netmask = 0;  // all ones: a single address beyond that gateway
    std::uint32_t gateway = 0;
    MacAddress mac{};
    bool operator==(const Known&) const = default;
  };
  // One stay on one network: ends when the address, the gateway or its hardware address changes.
  struct Here {
    Network network;
    Instant since;                    // when the stay began
    std::optional<Instant> answered;  // when the gateway last did
    bool known = false;               // among known_
    bool granted = false;             // for this stay: a person said so, or a first run stayed on
    bool first = false;               // where the folder was begun
    bool bare = false;                // learned without a gateway in this stay
    bool trusted() const { return known || granted; }
  };
  struct Stranger {
    std::string name;
    std::uint32_t ip = 0;
    bool near = false;  // on a network that we were on
    Instant last_heard;
  };
  enum class Standing { kAsking, kUnknown, kResolved };

  void load_networks(const std::string& text);
  static Known fact_of(const Network& network);
  bool is_known(const Known& fact) const;
  Standing standing(const Here& here, Instant now) const;
  Here stay(const Network& network, const std::vector<Here>& before, Instant now) const;
  void learn(Here& here, Instant now);
  void add_known(const Known& fact);
  void follow_first_run(Instant now);
  bool wire_trusted(const std::string& interface) const;
  bool far_trusted(std::uint32_t ip) const;
  bool is_near(std::uint32_t ip) const;
  bool strange_at(std::uint32_t ip) const;
  std::string describe(std::uint32_t ip, Instant now) const;
  void review();

  bool open_;
  bool first_run_;
  bool first_here_ = true;  // and the machine is still where it began
  bool fresh_;              // nothing of the first run was stored yet
  std::optional<Instant> first_look_;
  std::optional<Instant> first_network_;
  bool begun_somewhere_ = false;
  std::vector<Known> known_;  // the latest last
  std::set<std::uint32_t> typed_;
  std::set<std::uint32_t> far_granted_;
  std::vector<Here> here_;
  std::map<NodeId, Stranger> strangers_;
  Instant strangers_since_{};
  bool allows_again_ = false;
  bool changed_ = false;
};

}  // namespace lansync
