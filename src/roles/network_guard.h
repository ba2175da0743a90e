// An open group on a network that its folder has not been on: whoever is heard there under the same
// group name may be anybody. Until a member is heard there, or a person confirms, strangers get no
// session (CONTRACT, Guards). Networks at home and groups with a password are not looked at.
//
// Invariant: pure; what admits() refused is neither dialled nor answered until allows_again() says
// so. Memory is bounded by the constants below whatever is heard. Driven by Node.
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
  static constexpr std::size_t kMaxMembers = 256;
  static constexpr std::size_t kMaxStrangers = 16;
  // Members that start beside a stranger are heard within their burst; before that nobody is told.
  static constexpr Duration kGrace = 1500ms;
  // Longer than three beacons of a settled node (discovery.cpp, kExpiry).
  static constexpr Duration kStrangerLife = 2min;
  // A first run is never held: for so long after it met its first network what comes up beside it
  // is taken for home.
  static constexpr Duration kFirstRun = 10min;

  // `networks` and `members` as index.db has them ("" at a first run); what does not parse is left
  // out.
  NetworkGuard(bool open, const std::string& networks, const std::string& members);

  // What the machine is on now. Loopback is none of it.
  void set_networks(const std::vector<Network>& networks, Instant now);

  // A node is heard or has come: may it be talked to? `proven`: it holds our group's beacon key.
  bool admits(const NodeId& node, std::uint32_t ip, const std::string& name, bool proven,
              Instant now);
  // A session with an admitted node: it is a member from now on, and where it is heard is home.
  void on_member(const NodeId& node, std::uint32_t ip);
  // Members that the hub told of.
  void on_told(const std::vector<NodeId>& members);
  bool is_stranger(const NodeId& node) const { return strangers_.contains(node); }
  // This host itself, on whichever of its addresses.
  bool is_own(std::uint32_t ip) const;

  void tick(Instant now);
  Instant deadline() const;
  // Strangers are being kept out.
  bool blocks() const { return !strangers_.empty(); }
  // The same, long enough that people are told: from held_at() on.
  bool held(Instant now) const { return now >= held_at(); }
  Instant held_at() const { return blocks() ? strangers_since_ + kGrace : kNever; }
  // Which network, who was heard, how to go on.
  std::string reason() const;
  // A person says that this is the right network. Requires blocks().
  void confirm();
  // True once after somebody who was refused would be admitted now.
  bool allows_again() { return std::exchange(allows_again_, false); }

  // For index.db. True once after each change.
  bool take_changed() { return std::exchange(changed_, false); }
  std::string networks_text() const;
  std::string members_text() const;

 private:
  struct Known {
    std::uint32_t subnet = 0;
    std::uint32_t netmask = 0;
    std::uint32_t gateway = 0;
    MacAddress mac{};
    bool operator==(const Known&) const = default;
  };
  struct Here {
    Network network;
    bool home = false;     // seen before
    bool trusted = false;  // a member was heard here
  };
  struct Stranger {
    std::string name;
    std::uint32_t ip = 0;
    Instant last_heard;
  };

  void load_networks(const std::string& text);
  void load_members(const std::string& text);
  bool is_member(const NodeId& node) const { return members_.contains(node); }
  bool recall(const Network& network);
  void learn(Here& here);
  bool learning(Instant now);
  Here* here_of(std::uint32_t ip);
  const Here* here_of(std::uint32_t ip) const;
  bool strange_at(std::uint32_t ip) const;
  void review();
  void add_member(const NodeId& node);

  bool open_;
  bool first_run_;
  std::optional<Instant> first_network_;
  std::vector<Known> known_;  // the latest last
  std::set<NodeId> members_;
  std::vector<NodeId> member_order_;  // the same, the latest last
  std::vector<Here> here_;
  std::map<NodeId, Stranger> strangers_;
  Instant strangers_since_{};
  bool allows_again_ = false;
  bool changed_ = false;
};

}  // namespace lansync
