#include "sniff/decoder.h"

#include <algorithm>
#include <utility>

#include "base/log.h"
#include "discovery/beacon.h"
#include "sniff/describe.h"
#include "transport/cookie.h"

namespace lansync::sniff {
namespace {

Item item_of(const Frame& frame, const Packet& packet) {
  Item item;
  item.time = frame.time;
  if (packet.src.ip != 0 || packet.dst.ip != 0) {
    item.src = packet.src;
    item.dst = packet.dst;
  }
  return item;
}

void fault(Item& item, const Packet& packet, std::string_view why) {
  item.type = "malformed";
  item.fields = {
      {"why", packet.missing > 0 ? str("cut by the capture: ", packet.missing, " bytes are missing")
                                 : std::string(why)},
      {"bytes", packet.payload.size()}};
}

}  // namespace

void Decoder::learn(const Address& address) {
  if (endpoints_.size() < kMaxEndpoints) endpoints_.insert(address);
}

bool Decoder::is_endpoint(const Address& address) const {
  return address.port == kDefaultPort || endpoints_.contains(address);
}

bool Decoder::is_lane(const Address& address) const {
  return address.port == kDefaultPort + 1 || carriers_.is_lane(address) ||
         (address.port != 0 &&
          endpoints_.contains({address.ip, static_cast<std::uint16_t>(address.port - 1)}));
}

bool Decoder::is_host(std::uint32_t ip) const {
  auto at = endpoints_.lower_bound({ip, 0});
  return at != endpoints_.end() && at->ip == ip;
}

std::vector<Item> Decoder::on_frame(const Frame& frame) {
  std::vector<Item> out;
  last_ = frame.time;
  const Packet packet = parse_frame(frame);
  Item item = item_of(frame, packet);
  switch (packet.kind) {
    case Packet::Kind::kOther:
      break;
    case Packet::Kind::kBroken:
      fault(item, packet, packet.why);
      item.fields = {{"why", packet.why}, {"bytes", frame.bytes.size()}};
      out.push_back(std::move(item));
      break;
    case Packet::Kind::kFragment:
      // lansync sends nothing that needs to be cut, so this is shown and not joined.
      if (!packet.is_udp || !(is_host(packet.src.ip) || is_host(packet.dst.ip))) break;
      item.type = "fragment";
      item.fields = {{"ip_id", packet.ip_id},
                     {"offset", packet.offset},
                     {"more", packet.more},
                     {"bytes", packet.payload.size()}};
      out.push_back(std::move(item));
      break;
    case Packet::Kind::kUdp:
      on_udp(frame, packet, out);
      break;
    case Packet::Kind::kTcp:
      if (is_endpoint(packet.src) || is_endpoint(packet.dst) || carriers_.is_tcp(packet.src) ||
          carriers_.is_tcp(packet.dst))
        carriers_.on_tcp(packet, item, out);
      break;
  }
  return out;
}

void Decoder::on_udp(const Frame& frame, const Packet& packet, std::vector<Item>& out) {
  Item item = item_of(frame, packet);
  const bool ours = is_endpoint(packet.src) || is_endpoint(packet.dst);
  if (packet.more) {
    if (!ours && packet.dst.port != kBeaconPort) return;
    item.type = "fragment";
    item.fields = {{"ip_id", packet.ip_id},
                   {"offset", packet.offset},
                   {"more", true},
                   {"bytes", packet.payload.size()}};
  } else if (on_beacon(packet, item) || on_cookie(packet, item)) {
  } else if (ours) {
    connections_.on_datagram({frame.time, packet.src, packet.dst, packet.payload, packet.missing},
                             out);
    return;
  } else if (is_lane(packet.src) || is_lane(packet.dst)) {
    carriers_.on_lane(packet, item, out);
    return;
  } else {
    return;
  }
  out.push_back(std::move(item));
}

bool Decoder::on_beacon(const Packet& packet, Item& item) {
  const bool magic = as_text(packet.payload).starts_with("LSYN");
  const bool port = packet.dst.port == kBeaconPort || packet.src.port == kBeaconPort;
  if (!magic && !port) return false;
  auto beacon = packet.missing == 0 ? decode_beacon(packet.payload) : std::nullopt;
  if (beacon) {
    item.type = "beacon";
    item.fields = describe(*beacon);
    if (beacon->version == kProtocolVersion) learn({packet.src.ip, beacon->port});
    return true;
  }
  fault(item, packet, "not a beacon");
  if (!magic && packet.missing == 0) item.type = "unknown";
  return port;
}

bool Decoder::on_cookie(const Packet& packet, Item& item) {
  if (!is_cookie_packet(packet.payload)) return false;
  if (auto cookie = packet.missing == 0 ? decode_cookie(packet.payload) : std::nullopt) {
    item.type = "cookie";
    item.fields = describe(*cookie);
    learn(packet.src);
    learn(packet.dst);
    return true;
  }
  if (!is_endpoint(packet.src) && !is_endpoint(packet.dst)) return false;
  fault(item, packet, "not a cookie packet");
  return true;
}

std::vector<Item> Decoder::finish() {
  std::vector<Item> out;
  connections_.finish(out);
  carriers_.finish();
  for (Item& item : out) item.time = last_;
  return out;
}

}  // namespace lansync::sniff
