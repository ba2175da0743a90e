#include "platform/lane_socket.h"

#include <netinet/udp.h>
#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "base/assert.h"
#include "base/log.h"
#include "platform/socket_address.h"

// Debian 12's headers have both; older ones need not, and the kernel decides anyhow.
#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif
#ifndef UDP_GRO
#define UDP_GRO 104
#endif

namespace lansync {
namespace {

// As much as the system lets us have. Beyond 4 MiB what waits is only delay.
constexpr int kBufferBytes = 4 * 1024 * 1024;
// One receive call: with GRO a buffer holds a whole train of datagrams.
constexpr std::size_t kTrainBytes = 65536;
constexpr std::size_t kTrains = 8;
constexpr std::size_t kDatagramBytes = 2048;
constexpr std::size_t kDatagrams = 64;
constexpr std::size_t kMaxSendBatch = 64;

void set_buffer(int fd, int forced, int ordinary) {
  // The forced kind needs CAP_NET_ADMIN and goes beyond rmem_max; the other is cut to it.
  if (setsockopt(fd, SOL_SOCKET, forced, &kBufferBytes, sizeof kBufferBytes) == 0) return;
  (void)setsockopt(fd, SOL_SOCKET, ordinary, &kBufferBytes, sizeof kBufferBytes);
}

// The length of the datagrams in a train; 0: it is a single one.
std::size_t segment_of(msghdr& message) {
  for (cmsghdr* part = CMSG_FIRSTHDR(&message); part != nullptr;
       part = CMSG_NXTHDR(&message, part)) {
    if (part->cmsg_level != SOL_UDP || part->cmsg_type != UDP_GRO) continue;
    int size = 0;
    std::memcpy(&size, CMSG_DATA(part), sizeof size);
    return size > 0 ? static_cast<std::size_t>(size) : 0;
  }
  return 0;
}

}  // namespace

struct LaneSocket::Buffers {
  union Control {
    cmsghdr align;
    std::array<char, CMSG_SPACE(sizeof(int)) + 32> bytes;
  };
  std::size_t each = 0;
  std::vector<std::uint8_t> bytes;
  std::vector<iovec> parts;
  std::vector<mmsghdr> messages;
  std::vector<Control> controls;
};

void LaneSocket::BuffersFree::operator()(Buffers* buffers) const { delete buffers; }

void LaneSocket::make_buffers() {
  buffers_.reset(new Buffers);
  std::size_t count = coalesces_ ? kTrains : kDatagrams;
  buffers_->each = coalesces_ ? kTrainBytes : kDatagramBytes;
  buffers_->bytes.resize(count * buffers_->each);
  buffers_->parts.resize(count);
  buffers_->messages.resize(count);
  buffers_->controls.resize(count);
  for (std::size_t i = 0; i < count; ++i) {
    buffers_->parts[i] = {buffers_->bytes.data() + i * buffers_->each, buffers_->each};
    msghdr& header = buffers_->messages[i].msg_hdr;
    header.msg_iov = &buffers_->parts[i];
    header.msg_iovlen = 1;
    header.msg_control = buffers_->controls[i].bytes.data();
  }
}

Result<LaneSocket> LaneSocket::open(const Options& options) {
  LaneSocket out;
  out.socket_.reset(socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  int fd = out.socket_.get();
  if (fd < 0) return posix_error(errno, "open the lane's socket");
  set_buffer(fd, SO_RCVBUFFORCE, SO_RCVBUF);
  set_buffer(fd, SO_SNDBUFFORCE, SO_SNDBUF);
  // Never in fragments: one lost of them loses the datagram, and what cannot pass whole should say
  // so (EMSGSIZE), also when a router on the way found out.
  const int discover = IP_PMTUDISC_DO;
  if (setsockopt(fd, IPPROTO_IP, IP_MTU_DISCOVER, &discover, sizeof discover) != 0)
    return posix_error(errno, "set up the lane's socket");
  if (options.on_socket) options.on_socket(fd);
  sockaddr_in local = to_sockaddr({options.bind_ip, options.port});
  if (bind(fd, reinterpret_cast<const sockaddr*>(&local), sizeof local) != 0) {
    Error error = posix_error(errno, str("use ", options.port, "/udp for the lane"));
    if (errno == EADDRINUSE) error.code = ErrorCode::kBusy;
    return error;
  }
  socklen_t size = sizeof local;
  if (getsockname(fd, reinterpret_cast<sockaddr*>(&local), &size) != 0)
    return posix_error(errno, "see the lane's port");
  out.port_ = ntohs(local.sin_port);
  if (!options.plain) {
    int value = 0;
    socklen_t length = sizeof value;
    out.segments_ = getsockopt(fd, SOL_UDP, UDP_SEGMENT, &value, &length) == 0;
    const int on = 1;
    out.coalesces_ = setsockopt(fd, SOL_UDP, UDP_GRO, &on, sizeof on) == 0;
  }
  out.make_buffers();
  return out;
}

int LaneSocket::send(ByteView bytes, std::size_t segment, const Address& to, std::size_t& done) {
  LS_ASSERT(segment > 0 && done < bytes.size());
  sockaddr_in address = to_sockaddr(to);
  if (segments_ && done == 0 && bytes.size() > segment) {
    int error = send_segmented(bytes, segment, address);
    if (error == 0) done = bytes.size();
    // EINVAL and EIO: the path cannot (an MTU below the segment, IPsec, a device that does no
    // checksums). The plain way goes through, or says what is wrong.
    if (error != EINVAL && error != EIO) return error;
    error = send_plain(bytes, segment, address, done);
    if (error == 0 || done > 0) segments_ = false;
    return error;
  }
  return send_plain(bytes, segment, address, done);
}

int LaneSocket::send_segmented(ByteView bytes, std::size_t segment, const sockaddr_in& to) {
  union {
    cmsghdr align;
    std::array<char, CMSG_SPACE(sizeof(std::uint16_t))> bytes;
  } control{};
  iovec part{const_cast<std::uint8_t*>(bytes.data()), bytes.size()};
  msghdr message{};
  message.msg_name = const_cast<sockaddr_in*>(&to);
  message.msg_namelen = sizeof to;
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control.bytes.data();
  message.msg_controllen = control.bytes.size();
  cmsghdr* header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_UDP;
  header->cmsg_type = UDP_SEGMENT;
  header->cmsg_len = CMSG_LEN(sizeof(std::uint16_t));
  auto size = static_cast<std::uint16_t>(segment);
  std::memcpy(CMSG_DATA(header), &size, sizeof size);
  ssize_t sent;
  do {
    sent = sendmsg(socket_.get(), &message, MSG_DONTWAIT | MSG_NOSIGNAL);
  } while (sent < 0 && errno == EINTR);
  return sent < 0 ? errno : 0;
}

int LaneSocket::send_plain(ByteView bytes, std::size_t segment, const sockaddr_in& to,
                           std::size_t& done) {
  while (done < bytes.size()) {
    std::array<iovec, kMaxSendBatch> parts;
    std::array<mmsghdr, kMaxSendBatch> messages{};
    unsigned count = 0;
    for (std::size_t at = done; at < bytes.size() && count < kMaxSendBatch; at += segment) {
      std::size_t size = std::min(segment, bytes.size() - at);
      parts[count] = {const_cast<std::uint8_t*>(bytes.data() + at), size};
      msghdr& header = messages[count].msg_hdr;
      header.msg_name = const_cast<sockaddr_in*>(&to);
      header.msg_namelen = sizeof to;
      header.msg_iov = &parts[count];
      header.msg_iovlen = 1;
      ++count;
    }
    int sent = sendmmsg(socket_.get(), messages.data(), count, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0) return errno;
    for (int i = 0; i < sent; ++i) done += parts[static_cast<std::size_t>(i)].iov_len;
  }
  return 0;
}

bool LaneSocket::receive(const Callback& callback) {
  Buffers& b = *buffers_;
  for (std::size_t i = 0; i < b.messages.size(); ++i)
    b.messages[i].msg_hdr.msg_controllen = b.controls[i].bytes.size();
  int count;
  do {
    count = recvmmsg(socket_.get(), b.messages.data(), static_cast<unsigned>(b.messages.size()),
                     MSG_DONTWAIT, nullptr);
  } while (count < 0 && errno == EINTR);
  if (count <= 0) return false;
  for (std::size_t i = 0; i < static_cast<std::size_t>(count); ++i) {
    std::size_t size = b.messages[i].msg_len;
    // Cut: longer than any of ours.
    if ((b.messages[i].msg_hdr.msg_flags & MSG_TRUNC) != 0) continue;
    std::span<std::uint8_t> train(static_cast<std::uint8_t*>(b.parts[i].iov_base), size);
    std::size_t segment = segment_of(b.messages[i].msg_hdr);
    if (segment == 0) segment = std::max<std::size_t>(size, 1);
    while (!train.empty()) {
      std::size_t part = std::min(segment, train.size());
      callback(train.first(part));
      train = train.subspan(part);
    }
  }
  return true;
}

}  // namespace lansync
