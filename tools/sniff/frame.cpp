#include "sniff/frame.h"

#include <algorithm>
#include <optional>

#include "base/log.h"

namespace lansync::sniff {
namespace {

constexpr std::uint16_t kIpv4 = 0x0800;
constexpr int kMaxVlanTags = 4;
constexpr std::uint8_t kTcp = 6;
constexpr std::uint8_t kUdp = 17;

bool is_vlan(std::uint16_t type) { return type == 0x8100 || type == 0x88a8 || type == 0x9100; }

// Takes the link layer off; the protocol of what follows, or 0.
std::uint16_t link_protocol(LinkType link, ByteReader& in, ByteView frame) {
  std::uint16_t type = 0;
  switch (link) {
    case LinkType::kEthernet:
      in.raw(12);
      type = in.u16();
      break;
    case LinkType::kCooked:
      in.raw(14);
      type = in.u16();
      break;
    case LinkType::kCooked2:
      type = in.u16();
      in.raw(18);
      break;
    case LinkType::kLoopback:
      // The address family in the byte order of whoever captured it; IP's own version follows.
      in.raw(4);
      return in.left() > 0 && frame[4] >> 4 == 4 ? kIpv4 : 0;
    case LinkType::kRawIp:
      return !frame.empty() && frame[0] >> 4 == 4 ? kIpv4 : 0;
  }
  for (int tags = 0; tags < kMaxVlanTags && is_vlan(type); ++tags) {
    in.u16();
    type = in.u16();
  }
  return in.ok() ? type : 0;
}

Packet broken(Packet packet, std::string why) {
  packet.kind = Packet::Kind::kBroken;
  packet.why = std::move(why);
  return packet;
}

// `sent`: how many bytes of IP's payload there were on the wire, in this fragment.
Packet parse_udp(Packet packet, ByteView bytes, std::size_t sent) {
  ByteReader in(bytes);
  packet.src.port = in.u16();
  packet.dst.port = in.u16();
  std::size_t length = in.u16();
  in.u16();  // the checksum: what a host sends to itself or hands to its card has none yet
  if (!in.ok()) return broken(packet, "cut within the UDP header");
  if (length < 8 || (!packet.more && length > sent))
    return broken(packet, str("UDP length ", length, " in ", sent, " bytes"));
  packet.kind = Packet::Kind::kUdp;
  packet.payload = in.raw(std::min(length - 8, in.left()));
  packet.missing = length - 8 - packet.payload.size();
  return packet;
}

Packet parse_tcp(Packet packet, ByteView bytes, std::size_t sent) {
  ByteReader in(bytes);
  packet.src.port = in.u16();
  packet.dst.port = in.u16();
  packet.tcp_sequence = in.u32();
  in.u32();
  std::size_t header = std::size_t{in.u8()} >> 4;
  packet.tcp_flags = in.u8();
  if (!in.ok()) return broken(packet, "cut within the TCP header");
  header *= 4;
  if (header < 20 || header > sent) return broken(packet, str("TCP header of ", header, " bytes"));
  packet.kind = Packet::Kind::kTcp;
  if (bytes.size() > header) packet.payload = bytes.subspan(header);
  packet.missing = sent - header - packet.payload.size();
  return packet;
}

}  // namespace

Packet parse_frame(const Frame& frame) {
  Packet packet;
  ByteReader in(frame.bytes);
  if (link_protocol(frame.link, in, frame.bytes) != kIpv4) return packet;
  ByteView ip = in.raw(in.left());
  ByteReader header(ip);
  std::uint8_t first = header.u8();
  header.u8();
  std::size_t total = header.u16();
  packet.ip_id = header.u16();
  std::uint16_t fragment = header.u16();
  header.u8();
  std::uint8_t protocol = header.u8();
  header.u16();
  packet.src.ip = header.u32();
  packet.dst.ip = header.u32();
  if (!header.ok()) {
    packet.src = packet.dst = {};
    return broken(packet, "cut within the IP header");
  }
  std::size_t header_bytes = std::size_t{first & 0x0Fu} * 4;
  // Captured before the card cut it into segments: the length is not filled in yet.
  if (total == 0) total = ip.size();
  if (first >> 4 != 4 || header_bytes < 20 || header_bytes > total)
    return broken(packet, str("IP header of ", header_bytes, " bytes in a packet of ", total));
  packet.is_udp = protocol == kUdp;
  if (!packet.is_udp && protocol != kTcp) return packet;
  if (header_bytes > ip.size()) return broken(packet, "cut within the IP header");
  // Shorter: cut by the capture. Longer: Ethernet's padding.
  ByteView payload = ip.subspan(header_bytes, std::min(ip.size(), total) - header_bytes);
  std::size_t sent = total - header_bytes;
  packet.more = (fragment & 0x2000) != 0;
  packet.offset = (fragment & 0x1FFFu) * 8u;
  if (packet.offset != 0) {
    packet.kind = Packet::Kind::kFragment;
    packet.payload = payload;
    packet.missing = sent - payload.size();
    return packet;
  }
  return packet.is_udp ? parse_udp(packet, payload, sent) : parse_tcp(packet, payload, sent);
}

}  // namespace lansync::sniff
