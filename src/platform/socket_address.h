// An Address as the kernel takes it. Used by everything in platform that has a socket.
#pragma once

#include <netinet/in.h>

#include "base/address.h"

namespace lansync {

inline sockaddr_in to_sockaddr(const Address& address) {
  sockaddr_in out{};
  out.sin_family = AF_INET;
  out.sin_port = htons(address.port);
  out.sin_addr.s_addr = htonl(address.ip);
  return out;
}

}  // namespace lansync
