#include "roles/network_guard.h"

#include "support/catch.h"

namespace lansync {
namespace {

NodeId node(std::uint8_t n) {
  NodeId id;
  id.bytes.fill(n);
  return id;
}

// Behind a router that answers.
Network network(std::uint32_t subnet, std::uint8_t router = 2, const char* name = "eth0") {
  Network out;
  out.interface = name;
  out.address = subnet + 7;
  out.netmask = 0xffffff00;
  out.gateway = subnet + 1;
  out.gateway_mac.fill(router);
  return out;
}

// The router's hardware address is not known, or the system remembers it from before.
Network silent(Network network) {
  network.gateway_mac = {};
  return network;
}
Network remembered(Network network) {
  network.gateway_age = 1h;
  return network;
}
Network without_gateway(Network network) {
  network.gateway = 0;
  network.gateway_mac = {};
  return network;
}

constexpr std::uint32_t kHome = 0xc0a80100;  // 192.168.1.0
constexpr std::uint32_t kCafe = 0x0a4d0000;  // 10.77.0.0
constexpr std::uint32_t kFar = 0x08080808;   // beyond all subnets
const Instant kStart{1000s};
const NodeId kFriend = node(1);
const NodeId kStranger = node(2);
constexpr Duration kAsk = NetworkGuard::kAsk;

// What index.db holds of a folder that was begun at home, with kFriend.
struct Past {
  std::string networks;
};

Past begun_at(const std::vector<Network>& networks) {
  NetworkGuard guard(true, "");
  guard.set_networks(networks, kStart);
  REQUIRE(guard.admits(kFriend, kHome + 9, "friend", true, kStart));
  guard.set_networks(networks, kStart + kAsk);
  REQUIRE(guard.take_changed());
  return {guard.networks_text()};
}
Past at_home() { return begun_at({network(kHome)}); }

NetworkGuard later(const Past& past, const std::vector<Network>& networks, bool open = true) {
  NetworkGuard guard(open, past.networks);
  guard.set_networks(networks, kStart);
  return guard;
}

bool lets_in(NetworkGuard& guard, std::uint32_t ip, Instant now = kStart) {
  return guard.admits(kStranger, ip, "carol", false, now);
}

// ---- a first run -------------------------------------------------------------------------------

TEST_CASE("a first run is never held, wherever it is") {
  for (const Network& first : {network(kCafe), silent(network(kCafe)), remembered(network(kCafe)),
                               without_gateway(network(kCafe))}) {
    NetworkGuard guard(true, "");
    for (Duration at : {0ms, 100ms, 3000ms, 60'000ms}) {
      guard.set_networks({first}, kStart + at);
      CHECK(lets_in(guard, kCafe + 9, kStart + at));
      CHECK_FALSE(guard.blocks());
    }
    // Nor when its time is over: it stayed where it began.
    guard.set_networks({first}, kStart + NetworkGuard::kFirstRun);
    CHECK(lets_in(guard, kCafe + 9, kStart + NetworkGuard::kFirstRun));
  }
}

TEST_CASE("a first run that was killed within its first moments is followed by another") {
  NetworkGuard guard(true, "");
  guard.set_networks({without_gateway(network(kHome))}, kStart);
  CHECK_FALSE(guard.take_changed());
  guard.set_networks({without_gateway(network(kHome))}, kStart + kAsk);
  CHECK(guard.take_changed());
}

TEST_CASE("a first run that is carried elsewhere is held there") {
  for (const Network& home : {network(kHome), without_gateway(network(kHome))}) {
    for (const Network& cafe : {network(kCafe), without_gateway(network(kCafe)),
                                silent(network(kCafe)), network(kHome, 4)}) {
      NetworkGuard guard(true, "");
      guard.set_networks({home}, kStart);
      guard.set_networks({home}, kStart + kAsk);
      guard.set_networks({}, kStart + 3s);
      guard.set_networks({cafe}, kStart + 4s);
      CHECK_FALSE(lets_in(guard, cafe.address + 1, kStart + 4s));
      guard.set_networks({cafe}, kStart + 7s);
      CHECK_FALSE(lets_in(guard, cafe.address + 1, kStart + 7s));
      // And it goes on at home, where nobody was asked in the meantime.
      guard.set_networks({home}, kStart + 8s);
      guard.set_networks({home}, kStart + 11s);
      CHECK(lets_in(guard, kHome + 9, kStart + 11s));
    }
  }
}

TEST_CASE("a first run behind a silent router is held where that router answers as another") {
  NetworkGuard guard(true, "");
  guard.set_networks({silent(network(kHome))}, kStart);
  guard.set_networks({silent(network(kHome))}, kStart + 3s);
  guard.doubt(kStart + 4s);  // the cable was out
  guard.set_networks({network(kHome, 4)}, kStart + 4s);
  CHECK_FALSE(lets_in(guard, kHome + 9, kStart + 4s));
}

TEST_CASE("in a first run an interface that comes up beside the first is of the same place") {
  NetworkGuard guard(true, "");
  guard.set_networks({network(kHome)}, kStart);
  Network second = network(kCafe, 4, "wlan0");
  guard.set_networks({network(kHome), second}, kStart + 20s);
  CHECK(lets_in(guard, kCafe + 9, kStart + 20s));
  Network third = network(kCafe + 256, 6, "wlan1");
  guard.set_networks({network(kHome), third}, kStart + NetworkGuard::kFirstRun);
  CHECK_FALSE(lets_in(guard, kCafe + 256 + 9, kStart + NetworkGuard::kFirstRun));
}

TEST_CASE("a folder whose first run was on no network is held on its first one later") {
  NetworkGuard first(true, "");
  first.set_networks({}, kStart);
  first.set_networks({}, kStart + kAsk);
  REQUIRE(first.take_changed());
  NetworkGuard second(true, first.networks_text());
  second.set_networks({network(kCafe)}, kStart);
  CHECK_FALSE(lets_in(second, kCafe + 9));
}

TEST_CASE(
    "a route that comes after the address is of the same network, and the bare one is forgotten") {
  NetworkGuard guard(true, "");
  guard.set_networks({without_gateway(network(kHome))}, kStart);
  // Later than anybody would think, so that it was taken for a network without a router.
  guard.set_networks({without_gateway(network(kHome))}, kStart + 5s);
  guard.set_networks({network(kHome)}, kStart + 6s);
  Past past{guard.networks_text()};
  NetworkGuard home = later(past, {network(kHome)});
  CHECK(lets_in(home, kHome + 9));
  NetworkGuard bare = later(past, {without_gateway(network(kHome))});
  bare.set_networks({without_gateway(network(kHome))}, kStart + 10s);
  CHECK_FALSE(lets_in(bare, kHome + 9, kStart + 10s));
}

// ---- which network is this ---------------------------------------------------------------------

TEST_CASE("at home whoever says the group's name is let in") {
  NetworkGuard guard = later(at_home(), {network(kHome)});
  CHECK(lets_in(guard, kHome + 30));
  CHECK_FALSE(guard.take_changed());
}

TEST_CASE("the same subnet behind another router is another network") {
  NetworkGuard guard = later(at_home(), {network(kHome, 8)});
  CHECK_FALSE(lets_in(guard, kHome + 30));
  guard.set_networks({network(kHome, 8)}, kStart + 10s);
  CHECK_FALSE(lets_in(guard, kHome + 30, kStart + 10s));
  guard.set_networks({network(kHome)}, kStart + 20s);
  CHECK(lets_in(guard, kHome + 30, kStart + 20s));
  // Nor is the netmask, or whether there is a router at all, a detail.
  Network wide = network(kHome);
  wide.netmask = 0xffff0000;
  for (const Network& other : {wide, without_gateway(network(kHome))}) {
    NetworkGuard strange = later(at_home(), {other});
    strange.set_networks({other}, kStart + 10s);
    CHECK_FALSE(lets_in(strange, kHome + 30, kStart + 10s));
  }
}

TEST_CASE(
    "a router that is not resolved is unknown, and is taken for home once it answers as such") {
  for (const Network& unresolved : {silent(network(kHome)), remembered(network(kHome))}) {
    NetworkGuard guard = later(at_home(), {unresolved});
    CHECK_FALSE(lets_in(guard, kHome + 30));
    // Nobody is told before it had its time to answer.
    CHECK_FALSE(guard.held(kStart + kAsk - 1ms));
    CHECK(guard.look_again(kStart) <= 100ms);
    guard.set_networks({unresolved}, kStart + 1s);
    CHECK_FALSE(lets_in(guard, kHome + 30, kStart + 1s));
    guard.set_networks({network(kHome)}, kStart + 1500ms);
    CHECK_FALSE(guard.blocks());
    CHECK(guard.allows_again());
    CHECK(lets_in(guard, kHome + 30, kStart + 1500ms));
  }
}

TEST_CASE("a router that stays silent keeps strangers out, and says that it is silent") {
  NetworkGuard guard = later(at_home(), {silent(network(kHome))});
  CHECK_FALSE(lets_in(guard, kHome + 30));
  guard.set_networks({silent(network(kHome))}, kStart + 10s);
  CHECK(guard.held(kStart + 10s));
  CHECK(guard.reason(kStart + 10s).find("does not answer") != std::string::npos);
  CHECK(guard.look_again(kStart + 10s) <= 2s);
}

TEST_CASE("a router that answers late, and as another one, is never learned from before") {
  NetworkGuard guard = later(at_home(), {silent(network(kHome))});
  guard.set_networks({network(kHome, 8)}, kStart + 1s);
  CHECK_FALSE(lets_in(guard, kHome + 30, kStart + 1s));
  CHECK_FALSE(guard.take_changed());
}

TEST_CASE("what is confirmed while the router is silent holds for this stay, not for good") {
  NetworkGuard guard = later(at_home(), {silent(network(kCafe))});
  guard.set_networks({silent(network(kCafe))}, kStart + 3s);
  REQUIRE_FALSE(lets_in(guard, kCafe + 9, kStart + 3s));
  guard.confirm(kStart + 3s);
  CHECK(lets_in(guard, kCafe + 9, kStart + 3s));
  CHECK_FALSE(guard.take_changed());
  NetworkGuard again = later({guard.networks_text()}, {silent(network(kCafe))});
  CHECK_FALSE(lets_in(again, kCafe + 9));
}

TEST_CASE(
    "a router that goes away for a while does not make home strange, one that stays away does") {
  NetworkGuard guard = later(at_home(), {network(kHome)});
  guard.set_networks({silent(network(kHome))}, kStart + 1min);
  CHECK(lets_in(guard, kHome + 30, kStart + 1min));
  guard.set_networks({silent(network(kHome))}, kStart + NetworkGuard::kForget);
  CHECK_FALSE(lets_in(guard, kHome + 30, kStart + NetworkGuard::kForget));
  guard.set_networks({network(kHome)}, kStart + 10min);
  CHECK(lets_in(guard, kHome + 30, kStart + 10min));
}

TEST_CASE("another hardware address behind the same gateway ends the stay at home") {
  NetworkGuard guard = later(at_home(), {network(kHome)});
  REQUIRE(lets_in(guard, kHome + 30));
  guard.set_networks({network(kHome, 8)}, kStart + 1s);
  CHECK_FALSE(lets_in(guard, kHome + 30, kStart + 1s));
}

TEST_CASE("a link that was lost for a moment is no proof that this is still home") {
  NetworkGuard guard = later(at_home(), {network(kHome)});
  REQUIRE(lets_in(guard, kHome + 30));
  guard.doubt(kStart + 10s);
  CHECK_FALSE(lets_in(guard, kHome + 30, kStart + 10s));
  // What the system remembers is from before.
  Network old = network(kHome);
  old.gateway_age = 5s;
  guard.set_networks({old}, kStart + 10s);
  CHECK_FALSE(lets_in(guard, kHome + 30, kStart + 10s));
  guard.set_networks({network(kHome)}, kStart + 10'500ms);
  CHECK(lets_in(guard, kHome + 30, kStart + 10'500ms));
}

TEST_CASE("a network without a router is known by its subnet, once no router can be on its way") {
  const Network bare = without_gateway(network(kHome));
  NetworkGuard guard = later(begun_at({bare}), {bare});
  CHECK_FALSE(lets_in(guard, kHome + 30));
  guard.set_networks({bare}, kStart + kAsk);
  CHECK(lets_in(guard, kHome + 30, kStart + kAsk));
}

TEST_CASE("a cable without addresses of its own is known for one stay only") {
  Network cable = without_gateway(network(0xa9fe0000));
  cable.netmask = 0xffff0000;
  NetworkGuard guard = later(begun_at({cable}), {cable});
  guard.set_networks({cable}, kStart + 10s);
  REQUIRE_FALSE(lets_in(guard, 0xa9fe0009, kStart + 10s));
  guard.confirm(kStart + 10s);
  CHECK(lets_in(guard, 0xa9fe0009, kStart + 10s));
  guard.doubt(kStart + 20s);
  guard.set_networks({cable}, kStart + 20s);
  guard.set_networks({cable}, kStart + 30s);
  CHECK_FALSE(lets_in(guard, 0xa9fe0009, kStart + 30s));
}

// ---- who comes from where ----------------------------------------------------------------------

TEST_CASE("at home strangers are welcome, and the other network's are not") {
  NetworkGuard guard = later(at_home(), {network(kHome), network(kCafe, 4, "wlan0")});
  CHECK(guard.admits(node(3), kHome + 20, "guest at home", false, kStart));
  CHECK_FALSE(lets_in(guard, kCafe + 9));
}

TEST_CASE("of two interfaces in one subnet the strange one decides") {
  NetworkGuard guard = later(at_home(), {network(kHome), network(kHome, 8, "wlan0")});
  CHECK_FALSE(lets_in(guard, kHome + 30));
}

TEST_CASE("a second address on a strange wire opens no way in") {
  // 10.77.0.0/24 without a router goes along on every network that the interface joins.
  const Network second = without_gateway(network(kCafe));
  Past past = begun_at({network(kHome), second});
  NetworkGuard home = later(past, {network(kHome), second});
  home.set_networks({network(kHome), second}, kStart + kAsk);
  CHECK(lets_in(home, kCafe + 9, kStart + kAsk));
  NetworkGuard away = later(past, {network(kHome, 8), second});
  away.set_networks({network(kHome, 8), second}, kStart + kAsk);
  CHECK_FALSE(lets_in(away, kCafe + 9, kStart + kAsk));
}

TEST_CASE("who comes from beyond all subnets is strange also at home, but for a typed address") {
  NetworkGuard guard = later(at_home(), {network(kHome)});
  CHECK_FALSE(lets_in(guard, kFar));
  guard.set_typed({kFar});
  CHECK(lets_in(guard, kFar));
  // Elsewhere another machine may have that address.
  NetworkGuard away = later(at_home(), {network(kCafe)});
  away.set_typed({kFar});
  CHECK_FALSE(lets_in(away, kFar));
}

TEST_CASE("an address from beyond is confirmed for itself, behind the router that leads there") {
  NetworkGuard guard = later(at_home(), {network(kHome)});
  REQUIRE_FALSE(lets_in(guard, kFar));
  guard.confirm(kStart);
  CHECK(lets_in(guard, kFar));
  CHECK_FALSE(guard.admits(node(3), kFar + 1, "y", false, kStart));
  REQUIRE(guard.take_changed());
  Past past{guard.networks_text()};
  NetworkGuard home = later(past, {network(kHome)});
  CHECK(lets_in(home, kFar));
  NetworkGuard away = later(past, {network(kHome, 8)});
  CHECK_FALSE(lets_in(away, kFar));
}

TEST_CASE("another node of this machine is no stranger") {
  NetworkGuard guard = later(at_home(), {network(kCafe)});
  CHECK(guard.admits(kStranger, 0x7f000001, "x", false, kStart));
  CHECK(guard.admits(kStranger, kCafe + 7, "x", false, kStart));
}

// ---- whom the folder has met -------------------------------------------------------------------

TEST_CASE("who was met is let in anywhere, and vouches for nobody") {
  NetworkGuard guard = later(at_home(), {network(kCafe)});
  CHECK_FALSE(lets_in(guard, kCafe + 9));
  CHECK(guard.admits(kFriend, kCafe + 10, "friend", true, kStart));
  guard.set_networks({network(kCafe)}, kStart + 1min);
  CHECK_FALSE(guard.allows_again());
  CHECK_FALSE(lets_in(guard, kCafe + 9, kStart + 1min));
  CHECK_FALSE(guard.take_changed());
  // Nor in the next run.
  NetworkGuard again = later({guard.networks_text()}, {network(kCafe)});
  CHECK(again.admits(kFriend, kCafe + 10, "friend", true, kStart));
  CHECK_FALSE(lets_in(again, kCafe + 9));
  // Nor from beyond.
  CHECK(again.admits(kFriend, kFar, "over the tunnel", true, kStart));
  CHECK_FALSE(again.admits(node(3), kFar + 1, "y", false, kStart));
}

TEST_CASE("a stranger who is kept out gets nowhere by trying") {
  NetworkGuard guard = later(at_home(), {network(kCafe)});
  for (int i = 0; i < 100; ++i) CHECK_FALSE(lets_in(guard, kCafe + 9));
  CHECK(guard.blocks());
  CHECK_FALSE(guard.take_changed());
}

// ---- held, and confirmed -----------------------------------------------------------------------

TEST_CASE("strangers on a network that the folder has not seen are kept out until confirm") {
  NetworkGuard guard = later(at_home(), {network(kCafe)});
  CHECK_FALSE(lets_in(guard, kCafe + 9));
  CHECK(guard.is_stranger(kStranger));
  CHECK(guard.blocks());
  // Nodes that start at the same moment are heard first.
  CHECK_FALSE(guard.held(kStart + 1s));
  CHECK(guard.held(kStart + kAsk));
  std::string reason = guard.reason(kStart);
  for (const char* part : {"10.77.0.0/24", "10.77.0.1", "carol", "10.77.0.9",
                           "lansync confirm network", "--password-file", "lansync genpass"}) {
    CHECK(reason.find(part) != std::string::npos);
  }
  CHECK_FALSE(guard.admits(node(3), kCafe + 10, "da\x1bve", false, kStart));
  // Who is let in by that is said by name.
  std::vector<std::string> names = guard.confirm(kStart);
  CHECK(names == std::vector<std::string>{"carol (10.77.0.9)", "da\\x1bve (10.77.0.10)"});
  CHECK_FALSE(guard.blocks());
  CHECK(guard.reason(kStart).empty());
  CHECK(guard.allows_again());
  CHECK_FALSE(guard.allows_again());
  CHECK(lets_in(guard, kCafe + 9));
  // And for good: the network is known now.
  REQUIRE(guard.take_changed());
  NetworkGuard again = later({guard.networks_text()}, {network(kCafe)});
  CHECK(again.admits(node(4), kCafe + 10, "y", false, kStart));
}

TEST_CASE("alone on a new network nothing is held, and it is not learned by that") {
  NetworkGuard guard = later(at_home(), {network(kCafe)});
  guard.tick(kStart + 1h);
  guard.set_networks({network(kCafe)}, kStart + 1h);
  CHECK_FALSE(guard.held(kStart + 1h));
  CHECK_FALSE(guard.take_changed());
  CHECK_FALSE(lets_in(guard, kCafe + 9, kStart + 1h));
}

TEST_CASE("a group with a password is never held") {
  NetworkGuard guard = later(at_home(), {network(kCafe)}, false);
  CHECK(lets_in(guard, kCafe + 9));
  CHECK_FALSE(guard.held(kStart + 1h));
  // And no router is asked all day long.
  CHECK(guard.look_again(kStart) >= 1h);
}

TEST_CASE("who roams back home is asked nothing") {
  NetworkGuard guard = later(at_home(), {network(kCafe)});
  CHECK_FALSE(lets_in(guard, kCafe + 9));
  guard.set_networks({network(kHome)}, kStart + 10s);
  CHECK_FALSE(guard.blocks());
  guard.set_networks({network(kCafe)}, kStart + 20s);
  CHECK_FALSE(lets_in(guard, kCafe + 9, kStart + 20s));
}

TEST_CASE("a stranger who is not heard any more holds nothing") {
  NetworkGuard guard = later(at_home(), {network(kCafe)});
  CHECK_FALSE(lets_in(guard, kCafe + 9));
  CHECK(guard.deadline() == kStart + NetworkGuard::kStrangerLife);
  guard.tick(guard.deadline());
  CHECK_FALSE(guard.blocks());
  CHECK(guard.deadline() == kNever);
}

TEST_CASE("what is remembered is bounded, and the newest is kept") {
  NetworkGuard guard(true, "");
  auto place = [](std::uint32_t n) { return network(kCafe + n * 256); };
  for (std::uint32_t n = 0; n < 300; ++n) {
    Instant now = kStart + n * 1s;
    guard.set_networks({place(n)}, now);
    if (!lets_in(guard, kCafe + n * 256 + 9, now)) guard.confirm(now);
    for (std::uint8_t i = 0; i < 100; ++i)
      (void)guard.admits(node(i), kFar + i, std::string(64, 'x'), false, now);
  }
  CHECK(guard.networks_text().size() < 64 * 50);
  CHECK(guard.reason(kStart).size() < 1000);
  Past past{guard.networks_text()};
  NetworkGuard last = later(past, {place(299)});
  CHECK(lets_in(last, kCafe + 299 * 256 + 9));
  NetworkGuard first = later(past, {place(0)});
  CHECK_FALSE(lets_in(first, kCafe + 9));
}

TEST_CASE("stored text that is not ours is left out") {
  // The last is what an older program learned before its router had answered.
  for (const char* text :
       {"1\nzz\n", "1\nc0a80100 ffffff00\n", "1\nc0a80100 ffffff00 0 01\n",
        "2\nc0a80100 ffffff00 0 -\n", "1\n\n\n\n", "1\nc0a80100 ffffff00 c0a80101 -\n"}) {
    NetworkGuard guard(true, text);
    guard.set_networks({network(kHome)}, kStart);
    CHECK_FALSE(lets_in(guard, kHome + 30));
    guard.set_networks({silent(network(kHome))}, kStart + 1s);
    CHECK_FALSE(lets_in(guard, kHome + 30, kStart + 1s));
  }
}

}  // namespace
}  // namespace lansync
