// From frames to items: says of each packet of lansync's what it is, and passes over all others.
// Invariant: never fails; memory is bounded (kMaxEndpoints, Connections). Driven by main: one call
// for each frame, in order, and finish() at the end.
#pragma once

#include <cstdint>
#include <set>
#include <vector>

#include "sniff/carriers.h"
#include "sniff/connections.h"
#include "sniff/frame.h"
#include "sniff/item.h"

namespace lansync::sniff {

class Decoder {
 public:
  static constexpr std::size_t kMaxEndpoints = 4096;
  static constexpr std::uint16_t kDefaultPort = 27801;

  explicit Decoder(Keylog& keylog) : connections_(keylog, carriers_) {}

  // Empty: not lansync's.
  std::vector<Item> on_frame(const Frame& frame);
  std::vector<Item> finish();
  std::size_t held_bytes() const { return connections_.held_bytes() + carriers_.held_bytes(); }

 private:
  void on_udp(const Frame& frame, const Packet& packet, std::vector<Item>& out);
  bool on_beacon(const Packet& packet, Item& item);
  bool on_cookie(const Packet& packet, Item& item);
  void learn(const Address& address);
  bool is_endpoint(const Address& address) const;
  bool is_lane(const Address& address) const;
  bool is_host(std::uint32_t ip) const;

  Carriers carriers_;
  Connections connections_;
  std::set<Address> endpoints_;  // ENet sockets, from beacons and cookies
  WallTime last_;
};

}  // namespace lansync::sniff
