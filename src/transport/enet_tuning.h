// How ENet 1.3.17 is set up so that it is fast on a LAN and bounded under attack. Every number
// here answers one of the findings E1-E14 of research/reliability.md.
//
// Invariant: after keep_open() and pump() a peer's window and throttle are ours, whatever its other
// side set. Driven by EnetEndpoint only.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/address.h"

// ENet's own types; its header stays out of ours.
struct _ENetAddress;
struct _ENetHost;
struct _ENetPeer;

namespace lansync {

// ENet takes at most 12 bits of peer id; 2048 peers of 456 bytes are 0.9 MB.
inline constexpr std::size_t kDefaultMaxPeers = 2048;

// A session keeps the MTU that it began with, and what is longer than a hop's is lost without a
// word: on a switched LAN nobody says so. A datagram has at most 1252 bytes, which with its headers
// is 1280, the least that IPv6 allows and tunnels, bridges and phones come down to. ENet puts the
// checksum's 4 bytes on top of what it calls MTU.
inline constexpr std::uint32_t kEnetMtu = 1252 - 4;

// Checksum, sizes, buffers. `max_peers` as given to enet_host_create.
void tune_host(_ENetHost* host, std::size_t max_peers);

// Once, when the peer connects.
void tune_peer(_ENetPeer* peer);

// Before each service, as SendQueue::pump sets the window: a peer can lower our window and throttle
// with BANDWIDTH_LIMIT and THROTTLE_CONFIGURE, and ENet lowers the throttle itself when one slow
// pass multiplies a LAN's round trip; both also slow reliable data.
void keep_open(_ENetPeer* peer);

// The first retry of CONNECT and VERIFY_CONNECT after 100 ms, where ENet would wait 500: a dial
// has 1.5 s in all, and one lost datagram must not use a third of it.
void hasten_connect(_ENetPeer* peer);
// The same for the peer that ENet will give to the CONNECT that it is about to handle.
void hasten_next_accept(_ENetHost* host);

// ENet walks all peers once for every datagram it sends. Shows it only as many as are in use (and
// some to grow into); the memory behind them stays allocated. Returns the number shown.
std::size_t fit_peer_count(_ENetHost* host, std::size_t max_peers);
// To be called before enet_host_destroy, which resets as many peers as the host shows.
void show_all_peers(_ENetHost* host, std::size_t max_peers);

Address from_enet(const _ENetAddress& address);
void to_enet(const Address& address, _ENetAddress* out);

}  // namespace lansync
