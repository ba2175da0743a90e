#include "sniff/decoder.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/random.h"
#include "discovery/beacon.h"
#include "sniff/render.h"
#include "support/catch.h"
#include "transport/cookie.h"

using namespace lansync;
using sniff::Decoder;
using sniff::Frame;
using sniff::Item;
using sniff::Keylog;
using sniff::LinkType;

namespace {

constexpr Address kAnna{0x0A000001, 27801};
constexpr Address kBert{0x0A000002, 27801};

struct Ip {
  Address src = kAnna;
  Address dst = kBert;
  std::uint16_t fragment = 0;  // as in the header
  std::size_t options = 0;     // words
  std::uint8_t protocol = 17;
};

Bytes ip_packet(const Ip& ip, ByteView payload) {
  ByteWriter out;
  out.u8(static_cast<std::uint8_t>(0x45 + ip.options));
  out.u8(0);
  out.u16(static_cast<std::uint16_t>(20 + 4 * ip.options + payload.size()));
  out.u16(77);
  out.u16(ip.fragment);
  out.u8(64);
  out.u8(ip.protocol);
  out.u16(0);
  out.u32(ip.src.ip);
  out.u32(ip.dst.ip);
  for (std::size_t i = 0; i < ip.options; ++i) out.u32(0x01010101);
  out.raw(payload);
  return out.take();
}

Bytes udp(const Ip& ip, ByteView payload) {
  ByteWriter out;
  out.u16(ip.src.port);
  out.u16(ip.dst.port);
  out.u16(static_cast<std::uint16_t>(8 + payload.size()));
  out.u16(0);
  out.raw(payload);
  return out.take();
}

Bytes ethernet(ByteView packet, const std::vector<std::uint16_t>& vlans = {}) {
  ByteWriter out;
  for (int i = 0; i < 12; ++i) out.u8(2);
  for (std::uint16_t vlan : vlans) {
    out.u16(0x8100);
    out.u16(vlan);
  }
  out.u16(0x0800);
  out.raw(packet);
  return out.take();
}

Frame frame_of(const Bytes& bytes, LinkType link = LinkType::kEthernet) {
  return {WallTime{1'700'000'000'123'456'789}, link, bytes,
          static_cast<std::uint32_t>(bytes.size())};
}

Beacon beacon(std::string name) {
  Beacon b;
  b.node.bytes.fill(7);
  b.role = Role::kServer;
  b.port = 27803;
  b.name = std::move(name);
  return b;
}

constexpr Address kBeaconFrom{0x0A000001, 27800};
constexpr Address kBeaconTo{0x0A0000FF, 27800};

Bytes beacon_frame(std::string name = "anna") {
  const Ip ip{kBeaconFrom, kBeaconTo};
  return ethernet(ip_packet(ip, udp(ip, encode_beacon(beacon(std::move(name)), std::nullopt))));
}

struct Rig {
  Keylog keylog;
  Decoder decoder{keylog};
  // The type of each item, with spaces between.
  std::string types(const Frame& frame) {
    std::string out;
    for (const Item& item : decoder.on_frame(frame)) out += (out.empty() ? "" : " ") + item.type;
    return out;
  }
  std::string types(const Bytes& bytes) { return types(frame_of(bytes)); }
};

nlohmann::json json_of(const Item& item) { return nlohmann::json::parse(sniff::render_json(item)); }

}  // namespace

TEST_CASE("a beacon is shown with its fields, a time to the nanosecond and who sent it") {
  Rig rig;
  const Bytes bytes = beacon_frame();
  const auto items = rig.decoder.on_frame(frame_of(bytes));
  REQUIRE(items.size() == 1);
  const auto json = json_of(items[0]);
  CHECK(json["time"] == "2023-11-14T22:13:20.123456789Z");
  CHECK(json["src"] == "10.0.0.1:27800");
  CHECK(json["dst"] == "10.0.0.255:27800");
  CHECK(json["type"] == "beacon");
  CHECK(json["name"] == "anna");
  CHECK(json["role"] == "server");
}

TEST_CASE("VLAN tags, IP options and every link type are read through") {
  const Ip ip{kBeaconFrom, kBeaconTo, 0, 3};
  const Bytes packet = ip_packet(ip, udp(ip, encode_beacon(beacon("a"), std::nullopt)));
  Rig rig;
  CHECK(rig.types(ethernet(packet)) == "beacon");
  CHECK(rig.types(ethernet(packet, {5})) == "beacon");
  CHECK(rig.types(ethernet(packet, {5, 6})) == "beacon");
  CHECK(rig.types(frame_of(packet, LinkType::kRawIp)) == "beacon");
  Bytes loopback{0, 0, 0, 2};
  loopback.insert(loopback.end(), packet.begin(), packet.end());
  CHECK(rig.types(frame_of(loopback, LinkType::kLoopback)) == "beacon");
  Bytes cooked(14, 0);
  cooked.insert(cooked.end(), {0x08, 0x00});
  cooked.insert(cooked.end(), packet.begin(), packet.end());
  CHECK(rig.types(frame_of(cooked, LinkType::kCooked)) == "beacon");
  Bytes cooked2{0x08, 0x00};
  cooked2.resize(20);
  cooked2.insert(cooked2.end(), packet.begin(), packet.end());
  CHECK(rig.types(frame_of(cooked2, LinkType::kCooked2)) == "beacon");
}

TEST_CASE(
    "a beacon cut at any byte by the capture is shown as malformed or, without ports, broken") {
  const Bytes whole = beacon_frame();
  for (std::size_t size = 14 + 1; size < whole.size(); ++size) {
    Rig rig;
    Bytes cut(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size));
    cut.shrink_to_fit();
    CHECK(rig.types(cut) == "malformed");
  }
}

TEST_CASE("bytes that drive a terminal are shown escaped") {
  Rig rig;
  const Bytes bytes = beacon_frame("a\x1b[2J\n\"\\");
  const auto items = rig.decoder.on_frame(frame_of(bytes));
  REQUIRE(items.size() == 1);
  CHECK(json_of(items[0])["name"] == "a\\x1b[2J\\x0a\"\\");
  const std::string line = sniff::render_line(items);
  CHECK(line.find('\x1b') == std::string::npos);
  CHECK(std::count(line.begin(), line.end(), '\n') == 1);
}

TEST_CASE("what is not lansync's is passed over, what came to its ports is not") {
  Rig rig;
  const Ip dns{{1, 53}, {2, 999}};
  CHECK(rig.types(ethernet(ip_packet(dns, udp(dns, as_bytes("question"))))).empty());
  const Ip to_node{{1, 53}, kBert};
  CHECK(rig.types(ethernet(ip_packet(to_node, udp(to_node, as_bytes("\x80"
                                                                    "nonsense"))))) == "unknown");
  const Ip to_beacons{{1, 53}, kBeaconTo};
  CHECK(rig.types(ethernet(ip_packet(to_beacons, udp(to_beacons, as_bytes("x"))))) == "unknown");
  CHECK(rig.types(ethernet(ip_packet(to_beacons, udp(to_beacons, as_bytes("LSYN"))))) ==
        "malformed");
}

TEST_CASE(
    "a node on another port is known from its beacon or cookie on, its lane and tcp as well") {
  Rig rig;
  const Ip ip{{0x0A000001, 27803}, {0x0A000002, 40000}};
  const Bytes cookie = encode_cookie(CookieHello{});
  const Ip lane{{0x0A000001, 27804}, {0x0A000002, 40001}};
  const Bytes lane_frame = ethernet(ip_packet(lane, udp(lane, as_bytes("data"))));
  CHECK(rig.types(lane_frame).empty());
  CHECK(rig.types(beacon_frame()) == "beacon");  // says 27803
  CHECK(rig.types(lane_frame) == "lane");
  CHECK(rig.types(ethernet(ip_packet(ip, udp(ip, cookie)))) == "cookie");
  Bytes broken = cookie;
  broken[30] = 1;
  CHECK(rig.types(ethernet(ip_packet(ip, udp(ip, broken)))) == "malformed");
  ByteWriter tcp;
  tcp.u16(27803);
  tcp.u16(40000);
  tcp.u32(1);
  tcp.u32(0);
  tcp.u16(0x5002);
  tcp.u16(0);
  tcp.u32(0);
  const Ip tcp_ip{ip.src, ip.dst, 0, 0, 6};
  CHECK(rig.types(ethernet(ip_packet(tcp_ip, tcp.bytes()))) == "tcp");
}

TEST_CASE("IP fragments of a node are shown as fragments and not decoded") {
  Rig rig;
  const Ip whole{kBeaconFrom, kBeaconTo};
  CHECK(rig.types(beacon_frame()) == "beacon");
  const Bytes datagram = udp(whole, encode_beacon(beacon("b"), std::nullopt));
  Ip first = whole;
  first.fragment = 0x2000;
  Ip second = whole;
  second.fragment = 6;
  CHECK(rig.types(ethernet(ip_packet(first, ByteView(datagram).first(48)))) == "fragment");
  CHECK(rig.types(ethernet(ip_packet(second, ByteView(datagram).subspan(48)))) == "fragment");
}

TEST_CASE("frames of every length and random bytes never take the decoder down") {
  Prng random(5);
  Rig rig;
  for (int i = 0; i < 20000; ++i) {
    Bytes bytes(random.below(120));
    random.fill(bytes);
    // Past the link layer and the IP header often enough.
    if (i % 2 == 0 && bytes.size() > 38) {
      bytes[12] = 8;
      bytes[13] = 0;
      bytes[14] = 0x45;
      bytes[23] = 17;
      bytes[20] = bytes[21] = 0;
      bytes[36] = 0x6C;
      bytes[37] = 0x99;
    }
    for (const Item& item : rig.decoder.on_frame(frame_of(bytes)))
      REQUIRE_FALSE(nlohmann::json::parse(sniff::render_json(item), nullptr, false).is_discarded());
  }
}
