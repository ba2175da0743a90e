#include "platform/tcp_socket.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include "base/log.h"
#include "platform/socket_address.h"

namespace lansync {
namespace {

constexpr int kBacklog = 64;

void set_option(int fd, int level, int option, int value) {
  // What a kernel does not know it does without: all of them only make things better.
  (void)setsockopt(fd, level, option, &value, sizeof value);
}

UniqueFd new_socket(const SocketHook& hook) {
  UniqueFd fd(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (fd.valid() && hook) hook(fd.get());
  return fd;
}

}  // namespace

Result<TcpListener> tcp_listen(const Address& local, const SocketHook& hook) {
  TcpListener out;
  out.fd = new_socket(hook);
  if (!out.fd.valid()) return posix_error(errno, "open a tcp socket");
  // A node that starts again finds its port in TIME_WAIT otherwise. Two listeners on one port are
  // still refused.
  set_option(out.fd.get(), SOL_SOCKET, SO_REUSEADDR, 1);
  sockaddr_in address = to_sockaddr(local);
  if (bind(out.fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
      listen(out.fd.get(), kBacklog) != 0) {
    int failed = errno;
    Error error = posix_error(failed, str("listen on ", local.port, "/tcp"));
    if (failed == EADDRINUSE) error.code = ErrorCode::kBusy;
    return error;
  }
  socklen_t size = sizeof address;
  if (getsockname(out.fd.get(), reinterpret_cast<sockaddr*>(&address), &size) != 0)
    return posix_error(errno, "see the tcp port");
  out.port = ntohs(address.sin_port);
  return out;
}

Result<UniqueFd> tcp_dial(const Address& to, std::uint32_t bind_ip, const SocketHook& hook) {
  UniqueFd fd = new_socket(hook);
  if (!fd.valid()) return posix_error(errno, "open a tcp socket");
  if (bind_ip != 0) {
    sockaddr_in from = to_sockaddr({bind_ip, 0});
    if (bind(fd.get(), reinterpret_cast<const sockaddr*>(&from), sizeof from) != 0)
      return posix_error(errno, "bind a tcp socket to " + ip_to_string(bind_ip));
  }
  sockaddr_in address = to_sockaddr(to);
  int result;
  do {
    result = connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address);
  } while (result != 0 && errno == EINTR);
  if (result != 0 && errno != EINPROGRESS)
    return posix_error(errno, str("connect to ", to_string(to), "/tcp"));
  return fd;
}

void tcp_make_live(int fd) {
  set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
  set_option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, 10'000);
  set_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
  set_option(fd, IPPROTO_TCP, TCP_KEEPIDLE, 5);
  set_option(fd, IPPROTO_TCP, TCP_KEEPINTVL, 2);
  set_option(fd, IPPROTO_TCP, TCP_KEEPCNT, 3);
  // A report must not wait behind megabytes of blocks that go the same way.
  set_option(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, static_cast<int>(kTcpBufferBytes));
}

}  // namespace lansync
