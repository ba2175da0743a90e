#include "transport/enet_tuning.h"

#include <arpa/inet.h>
#include <enet/enet.h>
#include <xxhash.h>

#include <algorithm>
#include <cstring>

#include "transport/session.h"

namespace lansync {

namespace {

// What ENet may hold undelivered for one peer. Not E5's 1 MiB: when this much waits behind one
// missing packet, ENet refuses that packet too and the session never goes on. A sender of ours
// keeps at most kMaxSpanBytes (send_queue.h, 8 MiB) between its oldest unacknowledged byte and its
// newest, so twice that cannot be reached by it. Before the handshake is done the intercept filter
// lets 16 packets of 256 bytes through, so strangers cannot use this room.
constexpr std::size_t kMaxWaitingData = 16 * 1024 * 1024;

constexpr int kSocketBufferBytes = 4 * 1024 * 1024;
constexpr enet_uint32 kConnectRoundTripMs = 100;

// The low half of XXH3: enet_crc32 does 0.46 GB/s and would be the costliest thing per packet. ENet
// has put the connection's random 32-bit id where the checksum goes, so that this also shows who
// does not know it (E4). The pieces are gathered first: a datagram is 1252 bytes at most, and the
// one-shot function is several times as fast as the streaming one at that size.
enet_uint32 ENET_CALLBACK checksum(const ENetBuffer* buffers, size_t count) {
  if (count == 1)
    return static_cast<enet_uint32>(XXH3_64bits(buffers[0].data, buffers[0].dataLength));
  std::uint8_t whole[ENET_PROTOCOL_MAXIMUM_MTU];
  std::size_t used = 0;
  for (size_t i = 0; i < count; ++i) {
    const std::size_t part = std::min(buffers[i].dataLength, sizeof(whole) - used);
    std::memcpy(whole + used, buffers[i].data, part);
    used += part;
  }
  return static_cast<enet_uint32>(XXH3_64bits(whole, used));
}

}  // namespace

void tune_host(ENetHost* host, std::size_t max_peers) {
  host->checksum = checksum;
  host->mtu = kEnetMtu;
  // They took it over when the host was made.
  for (std::size_t i = 0; i < host->peerCount; ++i) host->peers[i].mtu = kEnetMtu;
  host->maximumPacketSize = kMaxMessageBytes + 64;  // a record is its message and a tag
  host->maximumWaitingData = kMaxWaitingData;
  host->duplicatePeers = max_peers;  // many nodes may share a host; the filter caps an address
  // The kernel caps both at net.core.{r,w}mem_max; less than asked for is slower, not wrong.
  enet_socket_set_option(host->socket, ENET_SOCKOPT_RCVBUF, kSocketBufferBytes);
  enet_socket_set_option(host->socket, ENET_SOCKOPT_SNDBUF, kSocketBufferBytes);
}

void tune_peer(ENetPeer* peer) {
  // 10 s without an acknowledgement, 60 s in all: ENet's own 5 s drop a node whose disk made it
  // wait (E9). Roles notice a dead node within 2 s by their own pings.
  enet_peer_timeout(peer, 64, 10000, 60000);
  keep_open(peer);
}

void keep_open(ENetPeer* peer) {
  peer->packetThrottle = ENET_PEER_PACKET_THROTTLE_SCALE;
  peer->packetThrottleLimit = ENET_PEER_PACKET_THROTTLE_SCALE;
  // Written here on both sides instead of sent with enet_peer_throttle_configure: the filter has
  // no reason to let that command through before the handshake is done.
  peer->packetThrottleInterval = 5000;
  peer->packetThrottleAcceleration = ENET_PEER_PACKET_THROTTLE_SCALE;
  peer->packetThrottleDeceleration = 0;
}

void hasten_connect(ENetPeer* peer) {
  peer->roundTripTime = kConnectRoundTripMs;
  peer->roundTripTimeVariance = 0;
}

void hasten_next_accept(ENetHost* host) {
  for (std::size_t i = 0; i < host->peerCount; ++i) {
    if (host->peers[i].state != ENET_PEER_STATE_DISCONNECTED) continue;
    hasten_connect(&host->peers[i]);
    return;
  }
}

std::size_t fit_peer_count(ENetHost* host, std::size_t max_peers) {
  // Room for the CONNECTs of one pass. More than that in one pass wait for ENet to resend them,
  // 100 ms later, when there is room again.
  constexpr std::size_t kSpare = 32;
  std::size_t in_use = host->peerCount;
  while (in_use > 0 && host->peers[in_use - 1].state == ENET_PEER_STATE_DISCONNECTED) --in_use;
  host->peerCount = std::min(max_peers, in_use + kSpare);
  return host->peerCount;
}

void show_all_peers(ENetHost* host, std::size_t max_peers) { host->peerCount = max_peers; }

Address from_enet(const ENetAddress& address) { return {ntohl(address.host), address.port}; }

void to_enet(const Address& address, ENetAddress* out) {
  out->host = htonl(address.ip);
  out->port = address.port;
}

}  // namespace lansync
