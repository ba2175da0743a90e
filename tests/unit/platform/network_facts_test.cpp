#include "platform/network_facts.h"

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
constexpr const char* kNeighbours =
    "IP address       HW type     Flags       HW address            Mask     Device\n"
    "192.168.1.1      0x1         0x2         aa:bb:cc:dd:ee:01     *        eth0\n"
    "192.168.1.2      0x1         0x2         aa:bb:cc:dd:ee:02     *        eth0\n"
    "10.10.0.1        0x1         0x0         00:00:00:00:00:00     *        wlan0\n";

Interface interface(const char* name, std::uint32_t address, std::uint32_t netmask) {
  Interface out;
  out.name = name;
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
  CHECK(networks[0].gateway_mac == MacAddress{0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0x01});
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
  std::string neighbours = kNeighbours;
  for (std::size_t cut = 0; cut < routes.size(); cut += 7) {
    auto networks = networks_of({interface("eth0", 0xc0a80107, 0xffffff00)},
                                std::string_view(routes).substr(0, cut),
                                std::string_view(neighbours).substr(0, cut));
    REQUIRE(networks.size() == 1);
    bool known = networks[0].gateway == 0 || networks[0].gateway == 0xc0a80101;
    CHECK(known);
  }
}

}  // namespace
}  // namespace lansync
