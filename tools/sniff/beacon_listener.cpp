#include "sniff/beacon_listener.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "base/log.h"
#include "discovery/beacon.h"

namespace lansync::sniff {
namespace {

constexpr std::size_t kMaxDatagram = 65507;

WallTime wall_now() {
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  return {static_cast<std::int64_t>(now.tv_sec) * 1'000'000'000 + now.tv_nsec};
}

}  // namespace

Result<std::unique_ptr<BeaconListener>> BeaconListener::open() {
  const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return Error{ErrorCode::kIo, str("no UDP socket: ", std::strerror(errno))};
  std::unique_ptr<BeaconListener> listener(new BeaconListener(fd));
  const int on = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &on, sizeof on);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(kBeaconPort);
  if (bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0)
    return Error{ErrorCode::kBusy,
                 str("cannot listen on ", kBeaconPort, "/udp: ", std::strerror(errno))};
  return listener;
}

BeaconListener::~BeaconListener() { close(socket_); }

bool BeaconListener::read(Frame& frame) {
  std::array<std::uint8_t, kMaxDatagram> payload;
  std::array<char, 256> control{};
  sockaddr_in from{};
  iovec part{payload.data(), payload.size()};
  msghdr message{};
  message.msg_name = &from;
  message.msg_namelen = sizeof from;
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  const ssize_t got = recvmsg(socket_, &message, MSG_DONTWAIT);
  if (got < 0) return false;
  const auto size = static_cast<std::size_t>(got);
  std::uint32_t to = INADDR_BROADCAST;
  for (cmsghdr* c = CMSG_FIRSTHDR(&message); c != nullptr; c = CMSG_NXTHDR(&message, c)) {
    if (c->cmsg_level != IPPROTO_IP || c->cmsg_type != IP_PKTINFO) continue;
    in_pktinfo info{};
    std::memcpy(&info, CMSG_DATA(c), sizeof info);
    to = ntohl(info.ipi_addr.s_addr);
  }
  ByteWriter out;
  out.u16(0x4500);
  out.u16(static_cast<std::uint16_t>(28 + size));
  out.u32(0);
  out.u16(64 << 8 | IPPROTO_UDP);
  out.u16(0);
  out.u32(ntohl(from.sin_addr.s_addr));
  out.u32(to);
  out.u16(ntohs(from.sin_port));
  out.u16(kBeaconPort);
  out.u16(static_cast<std::uint16_t>(8 + size));
  out.u16(0);
  out.raw(ByteView(payload).first(size));
  packet_ = out.take();
  frame = {wall_now(), LinkType::kRawIp, packet_, static_cast<std::uint32_t>(packet_.size())};
  return true;
}

}  // namespace lansync::sniff
