#include "platform/interfaces.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <tuple>

namespace lansync {
namespace {

constexpr std::uint32_t kLoopbackBroadcast = 0x7FFFFFFF;  // 127.255.255.255

std::uint32_t ip_of(const sockaddr* address) {
  if (address == nullptr || address->sa_family != AF_INET) return 0;
  return ntohl(reinterpret_cast<const sockaddr_in*>(address)->sin_addr.s_addr);
}

bool is_hex(char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); }

}  // namespace

bool is_virtual_name(std::string_view name) {
  for (std::string_view prefix : {"docker", "virbr", "veth", "cni", "podman", "lxc", "vmnet"}) {
    if (name.starts_with(prefix)) return true;
  }
  // Docker names the bridges of its networks so; a bridge br0 or br-lan is a person's.
  return name.size() == 15 && name.starts_with("br-") &&
         std::all_of(name.begin() + 3, name.end(), is_hex);
}

std::vector<Interface> choose_interfaces(const std::vector<SystemInterface>& all,
                                         const std::vector<std::string>& wanted) {
  std::vector<Interface> chosen;
  for (const SystemInterface& row : all) {
    const Interface& interface = row.interface;
    if (!row.is_up || interface.address == 0) continue;
    if (wanted.empty()) {
      bool reaches_a_lan = row.has_broadcast && !row.is_point_to_point;
      if (!interface.is_loopback && (!reaches_a_lan || is_virtual_name(interface.name))) continue;
    } else if (std::find(wanted.begin(), wanted.end(), interface.name) == wanted.end()) {
      continue;
    }
    chosen.push_back(interface);
  }
  std::sort(chosen.begin(), chosen.end(), [](const Interface& a, const Interface& b) {
    return std::tie(a.index, a.address) < std::tie(b.index, b.address);
  });
  return chosen;
}

std::uint32_t interface_mtu(const std::string& name) {
  UniqueFd fd(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ifreq request{};
  if (!fd.valid() || name.size() >= sizeof request.ifr_name) return 0;
  name.copy(request.ifr_name, name.size());
  return ioctl(fd.get(), SIOCGIFMTU, &request) == 0 && request.ifr_mtu > 0
             ? static_cast<std::uint32_t>(request.ifr_mtu)
             : 0;
}

Result<std::vector<SystemInterface>> list_interfaces() {
  ifaddrs* first = nullptr;
  if (getifaddrs(&first) != 0) return posix_error(errno, "list the network interfaces");
  std::vector<SystemInterface> all;
  for (const ifaddrs* at = first; at != nullptr; at = at->ifa_next) {
    if (at->ifa_addr == nullptr || at->ifa_addr->sa_family != AF_INET) continue;
    SystemInterface row;
    row.interface.name = at->ifa_name;
    // An alias is listed as "eth0:1" and is the same device.
    row.interface.name.resize(std::min(row.interface.name.find(':'), row.interface.name.size()));
    row.interface.index = if_nametoindex(row.interface.name.c_str());
    row.interface.address = ip_of(at->ifa_addr);
    row.interface.netmask = ip_of(at->ifa_netmask);
    row.interface.is_loopback = (at->ifa_flags & IFF_LOOPBACK) != 0;
    // Without IFF_RUNNING a cable that comes back would change nothing in the list, and the burst
    // of beacons that finds the group again would not go out.
    row.is_up = (at->ifa_flags & IFF_UP) != 0 && (at->ifa_flags & IFF_RUNNING) != 0 &&
                row.interface.index != 0;
    row.has_broadcast = (at->ifa_flags & IFF_BROADCAST) != 0;
    row.is_point_to_point = (at->ifa_flags & IFF_POINTOPOINT) != 0;
    // Computed and not asked for: `ip addr add` without `brd` leaves the broadcast address unset.
    row.interface.broadcast = row.interface.is_loopback
                                  ? kLoopbackBroadcast
                                  : row.interface.address | ~row.interface.netmask;
    all.push_back(std::move(row));
  }
  freeifaddrs(first);
  return all;
}

Result<InterfaceMonitor> InterfaceMonitor::open(std::vector<std::string> wanted) {
  UniqueFd netlink(socket(AF_NETLINK, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, NETLINK_ROUTE));
  if (!netlink.valid()) return posix_error(errno, "open a netlink socket");
  sockaddr_nl address{};
  address.nl_family = AF_NETLINK;
  address.nl_groups = RTMGRP_LINK | RTMGRP_IPV4_IFADDR;
  if (bind(netlink.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
    return posix_error(errno, "listen for changes of network interfaces");
  InterfaceMonitor monitor(std::move(netlink), std::move(wanted));
  monitor.refresh();
  return monitor;
}

bool InterfaceMonitor::on_readable() {
  // The messages (RTM_NEWADDR, DELADDR, NEWLINK, DELLINK) only say that something changed; what
  // holds now is asked for. Bounded, so that a flapping link does not keep the loop here: what is
  // left makes the descriptor readable again.
  std::array<std::uint8_t, 8192> messages;
  bool any = false;
  for (int i = 0; i < 64; ++i) {
    ssize_t size = recv(netlink_.get(), messages.data(), messages.size(), MSG_DONTWAIT);
    // What was dropped for want of room may have said it.
    link_lost_ |= size < 0
                      ? errno == ENOBUFS
                      : tells_link_lost(ByteView(messages).first(static_cast<std::size_t>(size)));
    if (size > 0 || (size < 0 && (errno == ENOBUFS || errno == EINTR))) {
      any = true;
      continue;
    }
    break;
  }
  return any && refresh();
}

bool tells_link_lost(ByteView messages) {
  nlmsghdr head{};
  while (messages.size() >= sizeof head) {
    std::memcpy(&head, messages.data(), sizeof head);
    if (head.nlmsg_len < sizeof head || head.nlmsg_len > messages.size()) return false;
    ByteView body = messages.first(head.nlmsg_len).subspan(sizeof head);
    if (head.nlmsg_type == RTM_DELADDR || head.nlmsg_type == RTM_DELLINK) return true;
    ifinfomsg link{};
    if (head.nlmsg_type == RTM_NEWLINK && body.size() >= sizeof link) {
      std::memcpy(&link, body.data(), sizeof link);
      if ((link.ifi_flags & IFF_RUNNING) == 0) return true;
    }
    messages = messages.subspan(
        std::min<std::size_t>(messages.size(), NLMSG_ALIGN(std::size_t{head.nlmsg_len})));
  }
  return false;
}

bool InterfaceMonitor::refresh() {
  auto all = list_interfaces();
  if (!all) return false;
  std::vector<Interface> now = choose_interfaces(*all, wanted_);
  if (now == chosen_) return false;
  chosen_ = std::move(now);
  return true;
}

std::vector<std::string> InterfaceMonitor::missing() const {
  std::vector<std::string> names;
  for (const std::string& name : wanted_) {
    bool there = std::any_of(chosen_.begin(), chosen_.end(),
                             [&](const Interface& interface) { return interface.name == name; });
    if (!there) names.push_back(name);
  }
  return names;
}

}  // namespace lansync
