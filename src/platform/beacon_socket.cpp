#include "platform/beacon_socket.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "base/log.h"

namespace lansync {
namespace {

union ControlBuffer {
  cmsghdr align;
  std::array<char, CMSG_SPACE(sizeof(in_pktinfo)) + 64> bytes;
};

// The interface that a datagram came in on, 0 if the kernel did not say.
std::uint32_t arrival_interface(msghdr& message) {
  for (cmsghdr* part = CMSG_FIRSTHDR(&message); part != nullptr;
       part = CMSG_NXTHDR(&message, part)) {
    if (part->cmsg_level != IPPROTO_IP || part->cmsg_type != IP_PKTINFO) continue;
    in_pktinfo info{};
    std::memcpy(&info, CMSG_DATA(part), sizeof info);
    return static_cast<std::uint32_t>(info.ipi_ifindex);
  }
  return 0;
}

// 0, or errno.
int send_on(int fd, const Interface& interface, std::uint16_t port, ByteView datagram) {
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(port);
  to.sin_addr.s_addr = htonl(interface.broadcast);
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
    int error = send_on(socket_.get(), *at, port_, datagram);
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

int UdpBeaconSocket::receive(const Callback& callback) {
  int taken = 0;
  for (; taken < kMaxDatagramsPerCall; ++taken) {
    // Twice a beacon: a longer datagram arrives cut, is still too long for one, and is refused.
    std::array<std::uint8_t, 2 * kMaxBeaconBytes> buffer;
    sockaddr_in from{};
    iovec part{buffer.data(), buffer.size()};
    ControlBuffer control{};
    msghdr message{};
    message.msg_name = &from;
    message.msg_namelen = sizeof from;
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control.bytes.data();
    message.msg_controllen = control.bytes.size();
    ssize_t size = recvmsg(socket_.get(), &message, MSG_DONTWAIT);
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) break;
    const Interface* interface = by_index(arrival_interface(message));
    if (interface == nullptr) {
      ++dropped_elsewhere_;
      continue;
    }
    ByteView bytes(buffer.data(), static_cast<std::size_t>(size));
    Counters& counters = counters_[interface->name];
    counters.unanswered = 0;
    bool ours = std::any_of(last_sent_.begin(), last_sent_.end(), [&](const Bytes& sent) {
      return std::equal(bytes.begin(), bytes.end(), sent.begin(), sent.end());
    });
    if (ours) {
      ++counters.echoed;
      continue;
    }
    ++counters.heard;
    callback({ntohl(from.sin_addr.s_addr), ntohs(from.sin_port)}, bytes, interface->index);
  }
  return taken;
}

std::vector<std::string> UdpBeaconSocket::deaf() const {
  constexpr std::uint64_t kNotByChance = 3;
  std::vector<std::string> names;
  for (const Interface& interface : interfaces_) {
    auto at = counters_.find(interface.name);
    if (interface.is_loopback || at == counters_.end()) continue;
    bool listed = !names.empty() && names.back() == interface.name;
    if (at->second.unanswered >= kNotByChance && !listed) names.push_back(interface.name);
  }
  return names;
}

const Interface* UdpBeaconSocket::by_index(std::uint32_t index) const {
  auto at = std::find_if(interfaces_.begin(), interfaces_.end(),
                         [index](const Interface& row) { return row.index == index; });
  return at == interfaces_.end() ? nullptr : &*at;
}

}  // namespace lansync
