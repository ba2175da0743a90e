// Which network interfaces there are, which of them are ours to use, and when that changes.
//
// Invariant: what is not chosen is neither sent to nor heard on. The choice is a pure function of
// what the system lists; InterfaceMonitor is driven by the event loop (fd() readable).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "platform/posix.h"

namespace lansync {

// One IPv4 address of one interface; an interface with two addresses is two of these. Addresses in
// host order.
struct Interface {
  std::string name;
  std::uint32_t index = 0;
  std::uint32_t address = 0;
  std::uint32_t netmask = 0;
  std::uint32_t broadcast = 0;  // 127.255.255.255 for loopback
  bool is_loopback = false;
  bool operator==(const Interface&) const = default;
};

// As the system lists it, before the choice.
struct SystemInterface {
  Interface interface;
  bool is_up = false;  // and has a carrier: a cable that is out, a Wi-Fi that is not joined is not
  bool has_broadcast = false;
  bool is_point_to_point = false;
};

// docker*, br-<12 hex>, virbr*, veth*, cni*, podman*, lxc*, vmnet*: networks of containers and
// virtual machines on this host, where a beacon finds nobody (CONTRACT, The node).
bool is_virtual_name(std::string_view name);

// With `wanted` empty the default (CONTRACT): all that are up with IPv4 and broadcast, and
// loopback, but no virtual and no point-to-point ones. Else those named, if they are up. Ordered
// by index, then address.
std::vector<Interface> choose_interfaces(const std::vector<SystemInterface>& all,
                                         const std::vector<std::string>& wanted);

// Bytes of a packet that the interface takes, its IP header included; 0 if it does not say.
std::uint32_t interface_mtu(const std::string& name);

// Every IPv4 address of every interface.
Result<std::vector<SystemInterface>> list_interfaces();

class InterfaceMonitor {
 public:
  // `wanted` is the --interface list. Fails only if the kernel has no netlink socket for us.
  static Result<InterfaceMonitor> open(std::vector<std::string> wanted);

  int fd() const { return netlink_.get(); }
  // Reads what the kernel has to say. True if the choice differs from before. Loss of
  // notifications (a queue that overflowed) is no matter: the list is read anew each time.
  bool on_readable();
  const std::vector<Interface>& interfaces() const { return chosen_; }
  // True once after an interface was without a link or an address, be it for a moment that the list
  // does not show: what is on its other end now need not be what was there before.
  bool take_link_lost() { return std::exchange(link_lost_, false); }
  // Named on the command line and not there (or not up) now.
  std::vector<std::string> missing() const;

 private:
  InterfaceMonitor(UniqueFd netlink, std::vector<std::string> wanted)
      : netlink_(std::move(netlink)), wanted_(std::move(wanted)) {}
  bool refresh();

  UniqueFd netlink_;
  std::vector<std::string> wanted_;
  std::vector<Interface> chosen_;
  bool link_lost_ = false;
};

// Whether messages of the kernel (RTM_NEWLINK ...) say so.
bool tells_link_lost(ByteView messages);

}  // namespace lansync
