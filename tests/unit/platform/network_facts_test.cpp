#include "platform/network_facts.h"

#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sys/socket.h>

#include "platform/interfaces.h"
#include "support/catch.h"

namespace lansync {
namespace {

// As Linux 6.1 shows them.
constexpr const char* kRoutes =
    "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n"
    "eth0\t00000000\t0101A8C0\t0003\t0\t0\t100\t00000000\t0\t0\t0\n"
    "eth0\t00000000\t0201A8C0\t0003\t0\t0\t200\t00000000\t0\t0\t0\n"
    "wlan0\t00000000\t01000A0A\t0003\t0\t0\t600\t00000000\t0\t0\t0\n"
    "eth0\t0001A8C0\t00000000\t0001\t0\t0\t100\t00FFFFFF\t0\t0\t0\n";
const MacAddress kRouter{0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0x01};
const std::vector<NeighbourRow> kNeighbours{
    {2, 0xc0a80101, kRouter, 3s},
    {2, 0xc0a80102, {0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0x02}, 0s},
    {3, 0xc0a80101, {0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0x03}, 0s},  // the same address elsewhere
};

Interface interface(const char* name, std::uint32_t address, std::uint32_t netmask) {
  Interface out;
  out.name = name;
  out.index = std::string_view(name) == "eth0" ? 2 : 9;
  out.address = address;
  out.netmask = netmask;
  return out;
}

TEST_CASE("a network is a subnet with the gateway of the lowest metric and its hardware address") {
  auto networks = networks_of(
      {interface("eth0", 0xc0a80107, 0xffffff00), interface("wlan0", 0x0a0a0005, 0xffff0000),
       interface("eth1", 0x0a4d0001, 0xffffff00)},
      kRoutes, kNeighbours);
  REQUIRE(networks.size() == 3);
  CHECK(networks[0].interface == "eth0");
  CHECK(networks[0].gateway == 0xc0a80101);
  CHECK(networks[0].gateway_mac == kRouter);
  CHECK(networks[0].gateway_age == 3s);
  CHECK(networks[1].gateway == 0x0a0a0001);
  CHECK(networks[1].gateway_mac == MacAddress{});  // not resolved
  CHECK(networks[2].gateway == 0);
}

TEST_CASE("of two addresses the one in the gateway's subnet has it, and loopback is no network") {
  Interface loopback = interface("lo", 0x7f000001, 0xff000000);
  loopback.is_loopback = true;
  auto networks = networks_of({loopback, interface("eth0", 0xc0a80107, 0xffffff00),
                               interface("eth0", 0x0a4d0001, 0xffffff00)},
                              kRoutes, kNeighbours);
  REQUIRE(networks.size() == 2);
  CHECK(networks[0].gateway == 0xc0a80101);
  CHECK(networks[1].gateway == 0);
}

TEST_CASE("tables that are cut short or not there give networks without gateways") {
  std::string routes = kRoutes;
  for (std::size_t cut = 0; cut < routes.size(); cut += 7) {
    auto networks = networks_of({interface("eth0", 0xc0a80107, 0xffffff00)},
                                std::string_view(routes).substr(0, cut), kNeighbours);
    REQUIRE(networks.size() == 1);
    bool known = networks[0].gateway == 0 || networks[0].gateway == 0xc0a80101;
    CHECK(known);
  }
}

// ---- what the kernel says of neighbours --------------------------------------------------------

template <typename T>
void append(Bytes& out, const T& value) {
  const auto* bytes = reinterpret_cast<const std::uint8_t*>(&value);
  out.insert(out.end(), bytes, bytes + sizeof value);
}

void append_attribute(Bytes& out, std::uint16_t type, ByteView value) {
  append(out, rtattr{static_cast<std::uint16_t>(sizeof(rtattr) + value.size()), type});
  out.insert(out.end(), value.begin(), value.end());
  out.resize((out.size() + 3) / 4 * 4);
}

Bytes neighbour(int state, Bytes mac, std::uint32_t confirmed) {
  Bytes body;
  ndmsg head{};
  head.ndm_family = AF_INET;
  head.ndm_ifindex = 2;
  head.ndm_state = static_cast<std::uint16_t>(state);
  append(body, head);
  append_attribute(body, NDA_DST, Bytes{192, 168, 1, 1});
  append_attribute(body, NDA_LLADDR, mac);
  nda_cacheinfo times{};
  times.ndm_confirmed = confirmed;
  Bytes info;
  append(info, times);
  append_attribute(body, NDA_CACHEINFO, info);
  Bytes out;
  nlmsghdr outer{};
  outer.nlmsg_len = static_cast<std::uint32_t>(sizeof outer + body.size());
  outer.nlmsg_type = RTM_NEWNEIGH;
  append(out, outer);
  out.insert(out.end(), body.begin(), body.end());
  return out;
}

const Bytes kMac(kRouter.begin(), kRouter.end());

TEST_CASE("a neighbour's hardware address comes with the time since it was confirmed") {
  const NeighbourRow row{2, 0xc0a80101, kRouter, 1500ms};
  for (int state : {NUD_REACHABLE, NUD_STALE, NUD_DELAY, NUD_PROBE})
    CHECK(parse_neighbours(neighbour(state, kMac, 150)) == std::vector<NeighbourRow>{row});
  // Set by hand: as good as confirmed now.
  const NeighbourRow fixed{2, 0xc0a80101, kRouter, 0s};
  for (int state : {NUD_PERMANENT, NUD_NOARP})
    CHECK(parse_neighbours(neighbour(state, kMac, 99'999)) == std::vector<NeighbourRow>{fixed});
}

TEST_CASE("a neighbour that is not resolved, or has no one machine's address, is left out") {
  for (int state : {NUD_INCOMPLETE, NUD_FAILED, NUD_NONE})
    CHECK(parse_neighbours(neighbour(state, kMac, 0)).empty());
  CHECK(parse_neighbours(neighbour(NUD_REACHABLE, Bytes(6, 0), 0)).empty());
  CHECK(parse_neighbours(neighbour(NUD_REACHABLE, Bytes(6, 0xff), 0)).empty());
  CHECK(parse_neighbours(neighbour(NUD_REACHABLE, Bytes(4, 2), 0)).empty());
  CHECK(parse_neighbours(neighbour(NUD_REACHABLE, {}, 0)).empty());
}

TEST_CASE("messages of the kernel that are cut short or wrong give no rows and no end") {
  Bytes two = neighbour(NUD_REACHABLE, kMac, 1);
  Bytes second = neighbour(NUD_STALE, kMac, 2);
  two.insert(two.end(), second.begin(), second.end());
  CHECK(parse_neighbours(two).size() == 2);
  for (std::size_t size = 0; size < two.size(); ++size)
    CHECK(parse_neighbours(ByteView(two).first(size)).size() <= 1);
  for (std::size_t at = 0; at < two.size(); ++at) {
    Bytes wrong = two;
    wrong[at] ^= 0xff;
    CHECK(parse_neighbours(wrong).size() <= 2);
  }
  Bytes end;
  append(end, nlmsghdr{sizeof(nlmsghdr), NLMSG_DONE, 0, 0, 0});
  bool done = false;
  CHECK(parse_neighbours(two, &done).size() == 2);
  CHECK_FALSE(done);
  parse_neighbours(end, &done);
  CHECK(done);
}

// ---- and of links ------------------------------------------------------------------------------

Bytes link_message(std::uint16_t type, unsigned flags) {
  Bytes out;
  append(out, nlmsghdr{sizeof(nlmsghdr) + sizeof(ifinfomsg), type, 0, 0, 0});
  ifinfomsg body{};
  body.ifi_flags = flags;
  append(out, body);
  return out;
}

TEST_CASE("a link that is lost, or an address that goes, is told from news that say nothing") {
  CHECK(tells_link_lost(link_message(RTM_NEWLINK, IFF_UP)));
  CHECK(tells_link_lost(link_message(RTM_NEWLINK, 0)));
  CHECK(tells_link_lost(link_message(RTM_DELLINK, IFF_UP | IFF_RUNNING)));
  CHECK(tells_link_lost(link_message(RTM_DELADDR, IFF_UP | IFF_RUNNING)));
  CHECK_FALSE(tells_link_lost(link_message(RTM_NEWLINK, IFF_UP | IFF_RUNNING)));
  CHECK_FALSE(tells_link_lost(link_message(RTM_NEWADDR, 0)));
  Bytes both = link_message(RTM_NEWLINK, IFF_UP | IFF_RUNNING);
  Bytes lost = link_message(RTM_NEWLINK, IFF_UP);
  both.insert(both.end(), lost.begin(), lost.end());
  CHECK(tells_link_lost(both));
  CHECK_FALSE(tells_link_lost(ByteView(lost).first(lost.size() - 1)));
  CHECK_FALSE(tells_link_lost({}));
}

}  // namespace
}  // namespace lansync
