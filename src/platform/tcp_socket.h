// TCP sockets as the carrier wants them: not blocking, without Nagle, and dead when nothing is
// acknowledged for ten seconds. Only system calls stand here. Used by TcpEngine.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>

#include "base/address.h"
#include "base/result.h"
#include "platform/posix.h"

namespace lansync {

// Of what is sealed ahead, and of what is read at once; both once a live connection.
inline constexpr std::size_t kTcpBufferBytes = 256 * 1024;

struct TcpListener {
  UniqueFd fd;
  std::uint16_t port = 0;
};
using SocketHook = std::function<void(int fd)>;

// kBusy: the port is taken.
Result<TcpListener> tcp_listen(const Address& local, const SocketHook& hook);
// Begins to connect. `bind_ip`: from this address, unless 0.
Result<UniqueFd> tcp_dial(const Address& to, std::uint32_t bind_ip, const SocketHook& hook);
void tcp_make_live(int fd);

}  // namespace lansync
