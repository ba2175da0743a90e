// The functions through which ENet reaches the operating system, over the simulated network and
// clock. The shared library calls them through its PLT, so these, defined in the executable,
// replace its own.
//
// Invariant: nothing here asks the machine for anything. Driven by ENet, within a step of a World.
#include <enet/enet.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/assert.h"
#include "sim/network.h"

namespace {

using lansync::Address;
using lansync::Bytes;
using lansync::sim::Network;

Network& network() {
  LS_ASSERT(Network::current() != nullptr);
  return *Network::current();
}

Address from_enet(const ENetAddress& address) {
  return {ENET_NET_TO_HOST_32(address.host), address.port};
}

}  // namespace

extern "C" {

enet_uint32 enet_time_get(void) {
  const auto since = network().now().time_since_epoch();
  return static_cast<enet_uint32>(
      std::chrono::duration_cast<std::chrono::milliseconds>(since).count());
}

void enet_time_set(enet_uint32) {}

enet_uint32 enet_host_random_seed(void) { return network().enet_random(); }

ENetSocket enet_socket_create(ENetSocketType) { return network().open_socket(); }

int enet_socket_bind(ENetSocket socket, const ENetAddress* address) {
  const Address wanted = address != nullptr ? from_enet(*address) : Address{};
  if (network().bind(socket, wanted)) return 0;
  errno = EADDRINUSE;
  return -1;
}

int enet_socket_get_address(ENetSocket socket, ENetAddress* address) {
  const Address bound = network().address_of(socket);
  address->host = ENET_HOST_TO_NET_32(bound.ip);
  address->port = bound.port;
  return 0;
}

void enet_socket_destroy(ENetSocket socket) {
  if (socket != ENET_SOCKET_NULL) network().close(socket);
}

int enet_socket_set_option(ENetSocket, ENetSocketOption, int) { return 0; }

int enet_socket_get_option(ENetSocket, ENetSocketOption, int* value) {
  *value = 0;
  return 0;
}

int enet_socket_send(ENetSocket socket, const ENetAddress* address, const ENetBuffer* buffers,
                     size_t count) {
  Bytes whole;
  for (size_t i = 0; i < count; ++i) {
    const auto* begin = static_cast<const std::uint8_t*>(buffers[i].data);
    whole.insert(whole.end(), begin, begin + buffers[i].dataLength);
  }
  const int size = static_cast<int>(whole.size());
  network().send(socket, from_enet(*address), std::move(whole));
  return size;
}

int enet_socket_receive(ENetSocket socket, ENetAddress* address, ENetBuffer* buffers,
                        size_t count) {
  LS_ASSERT(count == 1);
  Address from;
  Bytes bytes;
  if (!network().receive(socket, from, bytes)) return 0;
  if (bytes.size() > buffers[0].dataLength) return -1;  // MSG_TRUNC, as in 1.3.17
  if (!bytes.empty()) std::memcpy(buffers[0].data, bytes.data(), bytes.size());
  if (address != nullptr) {
    address->host = ENET_HOST_TO_NET_32(from.ip);
    address->port = from.port;
  }
  return static_cast<int>(bytes.size());
}

int enet_socket_wait(ENetSocket, enet_uint32* condition, enet_uint32) {
  *condition = ENET_SOCKET_WAIT_NONE;
  return 0;
}

int enet_socket_listen(ENetSocket, int) { return -1; }
ENetSocket enet_socket_accept(ENetSocket, ENetAddress*) { return ENET_SOCKET_NULL; }
int enet_socket_connect(ENetSocket, const ENetAddress*) { return -1; }
int enet_socket_shutdown(ENetSocket, ENetSocketShutdown) { return -1; }

}  // extern "C"
