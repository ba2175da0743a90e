// Beacons over UDP broadcast, on the chosen interfaces only, each to the subnet's broadcast address
// and to 255.255.255.255: nodes of one wire whose net masks differ have no other address in common.
// Sent and counted as one, handed over once. Shared port: all nodes of a host hear
// each datagram (SO_REUSEADDR), which is why nothing is ever sent to it by unicast.
//
// Invariant: a datagram goes out on the interface it is meant for (IP_PKTINFO), whatever the routes
// say, and what came in on another than the chosen ones is dropped. Driven by the event loop.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/address.h"
#include "base/bytes.h"
#include "base/flood_rest.h"
#include "base/result.h"
#include "base/time.h"
#include "discovery/discovery.h"
#include "platform/interfaces.h"
#include "platform/posix.h"

namespace lansync {

class UdpBeaconSocket final : public BeaconSocket {
 public:
  static constexpr int kMaxDatagramsPerCall = 192;

  static Result<std::unique_ptr<UdpBeaconSocket>> open(std::vector<Interface> interfaces,
                                                       std::uint16_t port = kBeaconPort);

  int fd() const { return socket_.get(); }
  // After InterfaceMonitor said that they changed. Counters of interfaces that went are kept.
  void set_interfaces(std::vector<Interface> interfaces) { interfaces_ = std::move(interfaces); }
  void broadcast(ByteView datagram) override;

  // Hands over at most kMaxDatagramsPerCall datagrams and returns how many were taken from the
  // socket. `bytes` is valid during the call.
  using Callback =
      std::function<void(const Address& from, ByteView bytes, std::uint32_t interface)>;
  int receive(const Callback& callback);
  // How long the socket need not be looked at after a call that took so many: nothing unless
  // somebody floods it. What comes meanwhile fits into the kernel's buffer (some 270 datagrams) up
  // to 20,000 a second.
  static constexpr Duration kRest = 10ms;
  Duration rest_after(int taken, Instant now) { return flood_.after(taken, now); }

  // A machine on the wire whose net mask and ours do not fit.
  struct Misfit {
    std::string interface;
    bool outside = false;  // its address is in none of our subnets there: it is not handed over
  };
  // By address; at most kMaxMisfits.
  std::map<std::uint32_t, Misfit> misfits() const;

  // For `doctor`.
  struct Counters {
    std::uint64_t sent = 0;
    std::uint64_t heard = 0;  // from others
    // The kernel gives a host its own broadcasts back, through the same packet filter as everybody
    // else's: those that do not come back are dropped by a firewall on this machine.
    std::uint64_t echoed = 0;
    std::uint64_t unanswered = 0;  // sent since anything was heard there, our echo included
    std::uint64_t send_errors = 0;
    int last_errno = 0;
  };
  // By interface name.
  const std::map<std::string, Counters>& counters() const { return counters_; }
  std::uint64_t dropped_elsewhere() const { return dropped_elsewhere_; }
  // Interfaces in use on which not even our own beacons are heard. Loopback is none of them.
  std::vector<std::string> deaf() const;
  // Interfaces in use by which the packet filter of this machine lets nothing of ours out. Loopback
  // is one where there is no other.
  std::vector<std::string> mute() const;

 private:
  UdpBeaconSocket(UniqueFd socket, std::vector<Interface> interfaces, std::uint16_t port)
      : socket_(std::move(socket)), interfaces_(std::move(interfaces)), port_(port) {}
  const Interface* by_index(std::uint32_t index) const;
  bool in_subnet(std::uint32_t index, std::uint32_t ip) const;
  struct Arrival;
  void take_datagram(const Arrival& arrival, ByteView bytes, const Callback& callback);
  bool is_second_copy(const Address& from, ByteView bytes, bool limited);
  void note_way(std::uint32_t ip, const std::string& interface, bool limited, bool outside);

  static constexpr std::size_t kMaxSenders = 1024;
  static constexpr std::size_t kMaxMisfits = 64;
  // A hundred nodes that come up at once send some 400 beacons in their first second.
  static constexpr std::int64_t kCalmBurst = 500;
  static constexpr Duration kCalmInterval = 5ms;
  // Of a datagram of some sender: by which of the two ways it came first.
  struct Last {
    std::uint64_t hash = 0;  // of sender and bytes; 0: nothing was heard
    bool limited = false;
    bool second = false;  // by the other way too
  };
  // How often an address was heard by each way.
  struct Ways {
    std::string interface;
    std::uint32_t subnet = 0;
    std::uint32_t limited = 0;
    bool outside = false;
  };

  UniqueFd socket_;
  std::vector<Interface> interfaces_;
  std::uint16_t port_;
  std::deque<Bytes> last_sent_;  // to know our own by
  std::map<std::string, Counters> counters_;
  std::uint64_t dropped_elsewhere_ = 0;
  // By hash: one place for each, which the next that falls there takes.
  std::vector<Last> last_heard_ = std::vector<Last>(kMaxSenders);
  FloodRest flood_{kCalmBurst, kCalmInterval, kRest};
  std::map<std::uint32_t, Ways> ways_;
};

}  // namespace lansync
