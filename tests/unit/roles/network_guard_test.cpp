#include "roles/network_guard.h"

#include "support/catch.h"

namespace lansync {
namespace {

NodeId node(std::uint8_t n) {
  NodeId id;
  id.bytes.fill(n);
  return id;
}

Network network(std::uint32_t subnet, std::uint8_t router = 1, const char* name = "eth0") {
  Network out;
  out.interface = name;
  out.address = subnet + 7;
  out.netmask = 0xffffff00;
  out.gateway = subnet + 1;
  out.gateway_mac.fill(router);
  return out;
}

constexpr std::uint32_t kHome = 0xc0a80100;  // 192.168.1.0
constexpr std::uint32_t kCafe = 0x0a4d0000;  // 10.77.0.0
const Instant kStart{1000s};
const NodeId kMember = node(1);
const NodeId kStranger = node(2);

// What index.db holds of a folder that was at home with kMember.
struct Past {
  std::string networks;
  std::string members;
};

Past at_home(const Network& home = network(kHome)) {
  NetworkGuard guard(true, "", "");
  guard.set_networks({home}, kStart);
  REQUIRE(guard.admits(kMember, kHome + 9, "member", false, kStart));
  guard.on_member(kMember, kHome + 9);
  REQUIRE(guard.take_changed());
  return {guard.networks_text(), guard.members_text()};
}

NetworkGuard away(const Past& past, const Network& network, bool open = true) {
  NetworkGuard guard(open, past.networks, past.members);
  guard.set_networks({network}, kStart);
  return guard;
}

TEST_CASE("a first run is never held, wherever it is") {
  NetworkGuard guard(true, "", "");
  guard.set_networks({network(kCafe)}, kStart);
  CHECK(guard.admits(kStranger, kCafe + 9, "x", false, kStart));
  CHECK_FALSE(guard.blocks());
  CHECK(guard.take_changed());
}

TEST_CASE("a first run that is carried elsewhere is held there") {
  NetworkGuard guard(true, "", "");
  guard.set_networks({network(kHome)}, kStart);
  guard.set_networks({}, kStart + 1s);
  guard.set_networks({network(kCafe)}, kStart + 2s);
  CHECK_FALSE(guard.admits(kStranger, kCafe + 9, "x", false, kStart + 2s));
}

TEST_CASE("in a first run an interface that comes up beside the first is of the same place") {
  NetworkGuard guard(true, "", "");
  guard.set_networks({network(kHome)}, kStart);
  Network second = network(kCafe, 2, "wlan0");
  guard.set_networks({network(kHome), second}, kStart + 20s);
  CHECK(guard.admits(kStranger, kCafe + 9, "x", false, kStart + 20s));
  Network third = network(kCafe + 256, 3, "wlan1");
  guard.set_networks({network(kHome), third}, kStart + NetworkGuard::kFirstRun);
  CHECK_FALSE(
      guard.admits(kStranger, kCafe + 256 + 9, "x", false, kStart + NetworkGuard::kFirstRun));
}

TEST_CASE("a network whose gateway becomes known a moment later is still the same") {
  Network bare = network(kHome);
  bare.gateway = 0;
  bare.gateway_mac = {};
  Network routed = network(kHome);
  routed.gateway_mac = {};
  NetworkGuard guard(true, "", "");
  guard.set_networks({bare}, kStart);
  guard.set_networks({routed}, kStart + 1s);
  guard.set_networks({network(kHome)}, kStart + NetworkGuard::kFirstRun);
  CHECK(guard.admits(kStranger, kHome + 9, "x", false, kStart + NetworkGuard::kFirstRun));
  NetworkGuard again(true, guard.networks_text(), guard.members_text());
  again.set_networks({network(kHome)}, kStart);
  CHECK(again.admits(kStranger, kHome + 9, "x", false, kStart));
}

TEST_CASE("a folder whose first run was on no network is held on its first one later") {
  NetworkGuard first(true, "", "");
  first.set_networks({}, kStart);
  REQUIRE(first.take_changed());
  NetworkGuard second(true, first.networks_text(), first.members_text());
  second.set_networks({network(kCafe)}, kStart);
  CHECK_FALSE(second.admits(kStranger, kCafe + 9, "x", false, kStart));
}

TEST_CASE("strangers on a network that the folder has not seen are kept out until confirm") {
  NetworkGuard guard = away(at_home(), network(kCafe));
  CHECK_FALSE(guard.admits(kStranger, kCafe + 9, "carol", false, kStart));
  CHECK(guard.is_stranger(kStranger));
  CHECK(guard.blocks());
  // Members that start at the same moment are heard first.
  CHECK_FALSE(guard.held(kStart + 1s));
  CHECK(guard.held(kStart + 2s));
  CHECK(guard.held_at() == kStart + NetworkGuard::kGrace);
  std::string reason = guard.reason();
  for (const char* part : {"10.77.0.0/24", "10.77.0.1", "carol", "10.77.0.9", "lansync confirm",
                           "--password-file", "lansync genpass"}) {
    CHECK(reason.find(part) != std::string::npos);
  }
  guard.confirm();
  CHECK_FALSE(guard.blocks());
  CHECK(guard.reason().empty());
  CHECK(guard.allows_again());
  CHECK_FALSE(guard.allows_again());
  CHECK(guard.admits(kStranger, kCafe + 9, "carol", false, kStart));
  // And for good: the network is known now.
  REQUIRE(guard.take_changed());
  NetworkGuard again(true, guard.networks_text(), guard.members_text());
  again.set_networks({network(kCafe)}, kStart);
  CHECK(again.admits(node(3), kCafe + 10, "y", false, kStart));
}

TEST_CASE("alone on a new network nothing is held, and it is not learned by that") {
  NetworkGuard guard = away(at_home(), network(kCafe));
  guard.tick(kStart + 1h);
  CHECK_FALSE(guard.held(kStart + 1h));
  CHECK_FALSE(guard.take_changed());
  CHECK_FALSE(guard.admits(kStranger, kCafe + 9, "x", false, kStart + 1h));
}

TEST_CASE("a known member on a new network lets everybody there in, and a session learns it") {
  NetworkGuard guard = away(at_home(), network(kCafe));
  CHECK_FALSE(guard.admits(kStranger, kCafe + 9, "x", false, kStart));
  CHECK(guard.admits(kMember, kCafe + 10, "member", false, kStart));
  CHECK_FALSE(guard.blocks());
  CHECK(guard.allows_again());
  CHECK(guard.admits(kStranger, kCafe + 9, "x", false, kStart));
  CHECK_FALSE(guard.take_changed());
  guard.on_member(kMember, kCafe + 10);
  CHECK(guard.take_changed());
  NetworkGuard again(true, guard.networks_text(), guard.members_text());
  again.set_networks({network(kCafe)}, kStart);
  CHECK(again.admits(kStranger, kCafe + 9, "x", false, kStart));
}

TEST_CASE("who proves the group's beacon key is no stranger") {
  NetworkGuard guard = away(at_home(), network(kCafe));
  CHECK(guard.admits(kStranger, kCafe + 9, "new member", true, kStart));
  CHECK(guard.admits(node(3), kCafe + 10, "x", false, kStart));
}

TEST_CASE("a known member far away does not vouch for the strangers here") {
  NetworkGuard guard = away(at_home(), network(kCafe));
  CHECK(guard.admits(kMember, 0x08080808, "over the tunnel", false, kStart));
  CHECK_FALSE(guard.admits(kStranger, kCafe + 9, "x", false, kStart));
  // Nor is a stranger let in because he comes from beyond our subnets.
  CHECK_FALSE(guard.admits(node(3), 0x08080809, "y", false, kStart));
}

TEST_CASE("a group with a password is never held") {
  NetworkGuard guard = away(at_home(), network(kCafe), false);
  CHECK(guard.admits(kStranger, kCafe + 9, "x", false, kStart));
  CHECK_FALSE(guard.held(kStart + 1h));
}

TEST_CASE("at home strangers are welcome, and the other network's are not") {
  NetworkGuard guard(true, at_home().networks, at_home().members);
  guard.set_networks({network(kHome), network(kCafe, 2, "wlan0")}, kStart);
  CHECK(guard.admits(node(3), kHome + 20, "guest at home", false, kStart));
  CHECK_FALSE(guard.admits(kStranger, kCafe + 9, "x", false, kStart));
}

TEST_CASE("the same subnet behind another router is another network") {
  NetworkGuard guard = away(at_home(), network(kHome, 9));
  CHECK_FALSE(guard.admits(kStranger, kHome + 30, "x", false, kStart));
  Network no_gateway = network(kHome);
  no_gateway.gateway = 0;
  no_gateway.gateway_mac = {};
  guard.set_networks({no_gateway}, kStart);
  CHECK_FALSE(guard.admits(kStranger, kHome + 30, "x", false, kStart));
  guard.set_networks({network(kHome)}, kStart);
  CHECK(guard.admits(kStranger, kHome + 30, "x", false, kStart));
}

TEST_CASE("a gateway whose hardware address is not known yet is the one of that address") {
  Network quiet = network(kHome);
  quiet.gateway_mac = {};
  NetworkGuard guard = away(at_home(quiet), network(kHome));
  CHECK(guard.admits(kStranger, kHome + 30, "x", false, kStart));
  // It is noted once it is known; then another router is told apart.
  REQUIRE(guard.take_changed());
  NetworkGuard later(true, guard.networks_text(), guard.members_text());
  later.set_networks({network(kHome, 9)}, kStart);
  CHECK_FALSE(later.admits(kStranger, kHome + 30, "x", false, kStart));
}

TEST_CASE("who roams back home is asked nothing") {
  NetworkGuard guard = away(at_home(), network(kCafe));
  CHECK_FALSE(guard.admits(kStranger, kCafe + 9, "x", false, kStart));
  guard.set_networks({network(kHome)}, kStart + 10s);
  CHECK_FALSE(guard.blocks());
  guard.set_networks({network(kCafe)}, kStart + 20s);
  CHECK_FALSE(guard.admits(kStranger, kCafe + 9, "x", false, kStart + 20s));
}

TEST_CASE("what was vouched for stays so while the machine stays, and no longer") {
  Network quiet = network(kCafe);
  quiet.gateway_mac = {};
  NetworkGuard guard = away(at_home(), quiet);
  REQUIRE(guard.admits(kMember, kCafe + 10, "member", false, kStart));
  guard.set_networks({network(kCafe)}, kStart + 1s);
  CHECK(guard.admits(kStranger, kCafe + 9, "x", false, kStart + 1s));
  guard.set_networks({}, kStart + 2s);
  guard.set_networks({network(kCafe)}, kStart + 3s);
  CHECK_FALSE(guard.admits(kStranger, kCafe + 9, "x", false, kStart + 3s));
}

TEST_CASE("a stranger who is not heard any more holds nothing") {
  NetworkGuard guard = away(at_home(), network(kCafe));
  CHECK_FALSE(guard.admits(kStranger, kCafe + 9, "x", false, kStart));
  CHECK(guard.deadline() == kStart + NetworkGuard::kStrangerLife);
  guard.tick(guard.deadline());
  CHECK_FALSE(guard.blocks());
  CHECK(guard.deadline() == kNever);
}

TEST_CASE("another node of this machine is no stranger") {
  NetworkGuard guard = away(at_home(), network(kCafe));
  CHECK(guard.admits(kStranger, 0x7f000001, "x", false, kStart));
  CHECK(guard.admits(kStranger, kCafe + 7, "x", false, kStart));
}

TEST_CASE("what is remembered is bounded, and the newest is kept") {
  NetworkGuard guard(true, "", "");
  for (std::uint32_t n = 0; n < 200; ++n) {
    guard.set_networks({network(kCafe + n * 256)}, kStart);
    NodeId id;
    id.bytes[0] = static_cast<std::uint8_t>(n);
    id.bytes[1] = 1;
    guard.on_member(id, kCafe + n * 256 + 9);
    guard.on_told(std::vector<NodeId>(2, node(static_cast<std::uint8_t>(n))));
  }
  CHECK(guard.networks_text().size() < 64 * 50);
  CHECK(guard.members_text().size() <= NetworkGuard::kMaxMembers * 32);
  NetworkGuard again(true, guard.networks_text(), guard.members_text());
  again.set_networks({network(kCafe + 199 * 256)}, kStart);
  CHECK(again.admits(kStranger, kCafe + 199 * 256 + 9, "x", false, kStart));
  again.set_networks({network(kCafe)}, kStart);
  CHECK_FALSE(again.admits(kStranger, kCafe + 9, "x", false, kStart));
}

TEST_CASE("stored text that is not ours is left out") {
  for (const char* text : {"1\nzz\n", "1\nc0a80100 ffffff00\n", "1\nc0a80100 ffffff00 0 01\n",
                           "2\nc0a80100 ffffff00 0 -\n", "1\n\n\n\n"}) {
    NetworkGuard guard(true, text,
                       "not hex at all, and as long as two ids would be, or longer....");
    guard.set_networks({network(kHome)}, kStart);
    CHECK_FALSE(guard.admits(kStranger, kHome + 30, "x", false, kStart));
  }
}

}  // namespace
}  // namespace lansync
