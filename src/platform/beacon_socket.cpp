#include "platform/beacon_socket.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <functional>
#include <string_view>

#include "base/log.h"

namespace lansync {
namespace {

union ControlBuffer {
  cmsghdr align;
  std::array<char, CMSG_SPACE(sizeof(in_pktinfo)) + 64> bytes;
};

constexpr std::uint32_t kLimitedBroadcast = 0xffffffff;
constexpr std::uint32_t kNotByChance = 3;

// 0, or errno.
int send_on(int fd, const Interface& interface, std::uint32_t to_ip, std::uint16_t port,
            ByteView datagram) {
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(port);
  to.sin_addr.s_addr = htonl(to_ip);
  iovec part{const_cast<std::uint8_t*>(datagram.data()), datagram.size()};
  ControlBuffer control{};
  msghdr message{};
  message.msg_name = &to;
  message.msg_namelen = sizeof to;
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control.bytes.data();
  message.msg_controllen = CMSG_SPACE(sizeof(in_pktinfo));
  cmsghdr* header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = IPPROTO_IP;
  header->cmsg_type = IP_PKTINFO;
  header->cmsg_len = CMSG_LEN(sizeof(in_pktinfo));
  in_pktinfo info{};
  info.ipi_ifindex = static_cast<int>(interface.index);
  info.ipi_spec_dst.s_addr = htonl(interface.address);
  std::memcpy(CMSG_DATA(header), &info, sizeof info);
  ssize_t sent;
  do {
    sent = sendmsg(fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
  } while (sent < 0 && errno == EINTR);
  return sent < 0 ? errno : 0;
}

}  // namespace

Result<std::unique_ptr<UdpBeaconSocket>> UdpBeaconSocket::open(std::vector<Interface> interfaces,
                                                               std::uint16_t port) {
  UniqueFd fd(socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd.valid()) return posix_error(errno, "open the beacon socket");
  const int on = 1;
  for (auto [level, option] : {std::pair{SOL_SOCKET, SO_REUSEADDR},
                               {SOL_SOCKET, SO_BROADCAST},
                               {IPPROTO_IP, IP_PKTINFO}}) {
    if (setsockopt(fd.get(), level, option, &on, sizeof on) != 0)
      return posix_error(errno, "set up the beacon socket");
  }
  sockaddr_in local{};
  local.sin_family = AF_INET;
  local.sin_port = htons(port);
  local.sin_addr.s_addr = htonl(INADDR_ANY);  // bound to one address it would hear no broadcast
  if (bind(fd.get(), reinterpret_cast<const sockaddr*>(&local), sizeof local) != 0)
    return posix_error(errno, str("use ", port, "/udp for beacons"));
  return std::unique_ptr<UdpBeaconSocket>(
      new UdpBeaconSocket(std::move(fd), std::move(interfaces), port));
}

void UdpBeaconSocket::broadcast(ByteView datagram) {
  constexpr std::size_t kRemembered = 8;  // a burst may go out before its echo is read
  if (last_sent_.size() >= kRemembered) last_sent_.pop_front();
  last_sent_.emplace_back(datagram.begin(), datagram.end());
  for (auto at = interfaces_.begin(); at != interfaces_.end(); ++at) {
    // Two addresses in one subnet of one interface are one broadcast.
    bool done = std::any_of(interfaces_.begin(), at, [&](const Interface& before) {
      return before.index == at->index && before.broadcast == at->broadcast;
    });
    if (done) continue;
    int error = send_on(socket_.get(), *at, at->broadcast, port_, datagram);
    // One of the two is enough.
    if (!at->is_loopback && send_on(socket_.get(), *at, kLimitedBroadcast, port_, datagram) == 0)
      error = 0;
    Counters& counters = counters_[at->name];
    if (error == 0) {
      ++counters.sent;
      ++counters.unanswered;
      counters.last_errno = 0;
    } else {
      ++counters.send_errors;
      counters.last_errno = error;
    }
  }
}

// Where a datagram came from, and in.
struct UdpBeaconSocket::Arrival {
  Arrival(const sockaddr_in& from, msghdr& message)
      : sender{ntohl(from.sin_addr.s_addr), ntohs(from.sin_port)} {
    for (cmsghdr* part = CMSG_FIRSTHDR(&message); part != nullptr;
         part = CMSG_NXTHDR(&message, part)) {
      if (part->cmsg_level != IPPROTO_IP || part->cmsg_type != IP_PKTINFO) continue;
      in_pktinfo info{};
      std::memcpy(&info, CMSG_DATA(part), sizeof info);
      interface = static_cast<std::uint32_t>(info.ipi_ifindex);
      to = ntohl(info.ipi_addr.s_addr);
    }
  }
  Address sender;
  std::uint32_t interface = 0;  // 0 if the kernel did not say
  std::uint32_t to = 0;         // the address in its header
};

// In heaps: under a flood half of the time went into one recvmsg() for each datagram.
int UdpBeaconSocket::receive(const Callback& callback) {
  constexpr std::size_t kHeap = 32;
  // Twice a beacon: a longer datagram arrives cut, is still too long for one, and is refused.
  std::array<std::array<std::uint8_t, 2 * kMaxBeaconBytes>, kHeap> buffers;
  std::array<sockaddr_in, kHeap> from;
  std::array<iovec, kHeap> parts;
  std::array<ControlBuffer, kHeap> controls;
  std::array<mmsghdr, kHeap> messages{};
  int taken = 0;
  for (int got = kHeap; got == kHeap && taken < kMaxDatagramsPerCall; taken += got) {
    for (std::size_t i = 0; i < kHeap; ++i) {
      parts[i] = {buffers[i].data(), buffers[i].size()};
      msghdr& message = messages[i].msg_hdr;
      message.msg_name = &from[i];
      message.msg_namelen = sizeof from[i];
      message.msg_iov = &parts[i];
      message.msg_iovlen = 1;
      message.msg_control = controls[i].bytes.data();
      message.msg_controllen = controls[i].bytes.size();
    }
    do {
      got = recvmmsg(socket_.get(), messages.data(), kHeap, MSG_DONTWAIT, nullptr);
    } while (got < 0 && errno == EINTR);
    if (got <= 0) break;
    for (std::size_t i = 0; i < static_cast<std::size_t>(got); ++i) {
      take_datagram(Arrival(from[i], messages[i].msg_hdr),
                    ByteView(buffers[i].data(), messages[i].msg_len), callback);
    }
  }
  return taken;
}

void UdpBeaconSocket::take_datagram(const Arrival& arrival, ByteView bytes,
                                    const Callback& callback) {
  const Interface* interface = by_index(arrival.interface);
  if (interface == nullptr) {
    ++dropped_elsewhere_;
    return;
  }
  Counters& counters = counters_[interface->name];
  counters.unanswered = 0;
  const bool limited = arrival.to == kLimitedBroadcast;
  const bool second = is_second_copy(arrival.sender, bytes, limited);
  const bool ours = std::any_of(last_sent_.begin(), last_sent_.end(), [&](const Bytes& sent) {
    return std::equal(bytes.begin(), bytes.end(), sent.begin(), sent.end());
  });
  if (ours) {
    if (!second) ++counters.echoed;
    return;
  }
  const bool outside = limited && !in_subnet(interface->index, arrival.sender.ip);
  if (!interface->is_loopback) note_way(arrival.sender.ip, interface->name, limited, outside);
  // Nothing that we send would reach it: it is a matter for `doctor` only.
  if (outside || second) return;
  ++counters.heard;
  callback(arrival.sender, bytes, interface->index);
}

bool UdpBeaconSocket::in_subnet(std::uint32_t index, std::uint32_t ip) const {
  return std::any_of(interfaces_.begin(), interfaces_.end(), [&](const Interface& row) {
    return row.index == index && ((row.address ^ ip) & row.netmask) == 0;
  });
}

// The same bytes from the same sender by the other way. What somebody says twice comes by the same
// way twice.
bool UdpBeaconSocket::is_second_copy(const Address& from, ByteView bytes, bool limited) {
  const std::uint64_t sender = std::uint64_t{from.ip} << 16 | from.port;
  const std::uint64_t content = std::hash<std::string_view>{}(as_text(bytes));
  const std::uint64_t hash = (content ^ sender) * 0x9E3779B97F4A7C15 | 1;
  // A flood costs a second copy here and there.
  Last& last = last_heard_[(hash >> 32) % last_heard_.size()];
  const bool second = last.hash == hash && last.limited != limited && !last.second;
  if (second)
    last.second = true;
  else
    last = {hash, limited, false};
  return second;
}

void UdpBeaconSocket::note_way(std::uint32_t ip, const std::string& interface, bool limited,
                               bool outside) {
  if (ways_.size() >= kMaxSenders && !ways_.contains(ip)) ways_.clear();
  Ways& ways = ways_[ip];
  ways.interface = interface;
  ways.outside = outside;
  ++(limited ? ways.limited : ways.subnet);
}

std::map<std::uint32_t, UdpBeaconSocket::Misfit> UdpBeaconSocket::misfits() const {
  std::map<std::uint32_t, Misfit> out;
  for (const auto& [ip, ways] : ways_) {
    if (ways.limited < kNotByChance || ways.subnet > 0 || out.size() >= kMaxMisfits) continue;
    out[ip] = {ways.interface, ways.outside};
  }
  return out;
}

std::vector<std::string> UdpBeaconSocket::deaf() const {
  std::vector<std::string> names;
  for (const Interface& interface : interfaces_) {
    auto at = counters_.find(interface.name);
    if (interface.is_loopback || at == counters_.end()) continue;
    bool listed = !names.empty() && names.back() == interface.name;
    if (at->second.unanswered >= kNotByChance && !listed) names.push_back(interface.name);
  }
  return names;
}

std::vector<std::string> UdpBeaconSocket::mute() const {
  std::vector<std::string> names;
  const bool lan = std::any_of(interfaces_.begin(), interfaces_.end(),
                               [](const Interface& one) { return !one.is_loopback; });
  for (const Interface& interface : interfaces_) {
    auto at = counters_.find(interface.name);
    if ((interface.is_loopback && lan) || at == counters_.end()) continue;
    bool listed = !names.empty() && names.back() == interface.name;
    if (at->second.last_errno == EPERM && !listed) names.push_back(interface.name);
  }
  return names;
}

const Interface* UdpBeaconSocket::by_index(std::uint32_t index) const {
  auto at = std::find_if(interfaces_.begin(), interfaces_.end(),
                         [index](const Interface& row) { return row.index == index; });
  return at == interfaces_.end() ? nullptr : &*at;
}

}  // namespace lansync
