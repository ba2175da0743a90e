#include "platform/beacon_socket.h"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <functional>
#include <string>

#include "platform/interfaces.h"
#include "support/catch.h"

using namespace lansync;

namespace {

// Runs `body` in a child with network namespaces of its own, so that nothing reaches a real
// interface and nothing is left behind. 0: all well; 77: the system does not let us; else the
// number of the step that failed.
int in_own_network(const std::function<int()>& body) {
  pid_t child = fork();
  if (child == 0) {
    if (unshare(CLONE_NEWNET) != 0) _exit(77);
    if (std::system("ip link set lo up") != 0) _exit(77);
    _exit(body());
  }
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 99;
}

bool skipped(int result) {
  if (result != 77) return false;
  WARN("skipped: network namespaces need root and iproute2");
  return true;
}

std::vector<Interface> chosen(const std::vector<std::string>& wanted) {
  auto all = list_interfaces();
  return all ? choose_interfaces(*all, wanted) : std::vector<Interface>{};
}

int receive_all(UdpBeaconSocket& socket, std::vector<std::string>& heard, int wait_ms) {
  pollfd ready{socket.fd(), POLLIN, 0};
  if (poll(&ready, 1, wait_ms) <= 0) return 0;
  return socket.receive(
      [&](const Address&, ByteView bytes, std::uint32_t) { heard.emplace_back(as_text(bytes)); });
}

SystemInterface row(const std::string& name, std::uint32_t index, bool broadcast = true) {
  SystemInterface out;
  out.interface.name = name;
  out.interface.index = index;
  out.interface.address = 0x0A000000 + index;
  out.is_up = true;
  out.has_broadcast = broadcast;
  return out;
}

}  // namespace

TEST_CASE("networks of containers and virtual machines are left alone, a person's bridge is not") {
  for (const char* name : {"docker0", "docker_gwbridge", "br-0123456789ab", "virbr0", "vethab12cd",
                           "cni0", "podman0", "lxcbr0", "vmnet8"})
    CHECK(is_virtual_name(name));
  for (const char* name :
       {"eth0", "br0", "br-lan", "br-0123456789ag", "wlan0", "enp3s0", "lo", "br-0123456789abc"})
    CHECK_FALSE(is_virtual_name(name));
}

TEST_CASE("the default choice is what reaches a LAN, and loopback") {
  SystemInterface loopback = row("lo", 1, false);
  loopback.interface.is_loopback = true;
  SystemInterface down = row("eth1", 5);
  down.is_up = false;
  SystemInterface tunnel = row("tun0", 6);
  tunnel.is_point_to_point = true;
  const std::vector<SystemInterface> all = {row("wlan0", 3),     row("eth0", 2), loopback,
                                            row("docker0", 4),   down,           tunnel,
                                            row("wg0", 7, false)};
  auto names = [&](const std::vector<std::string>& wanted) {
    std::string out;
    for (const Interface& interface : choose_interfaces(all, wanted)) out += interface.name + " ";
    return out;
  };
  CHECK(names({}) == "lo eth0 wlan0 ");
  CHECK(names({"lo"}) == "lo ");
  CHECK(names({"docker0", "tun0"}) == "docker0 tun0 ");  // asked for is asked for
  CHECK(names({"eth1"}).empty());
  CHECK(names({"nosuch"}).empty());
}

TEST_CASE("two nodes of one host hear each other over loopback") {
  int result = in_own_network([] {
    auto a = UdpBeaconSocket::open(chosen({"lo"}));
    auto b = UdpBeaconSocket::open(chosen({"lo"}));
    if (!a || !b) return 1;
    (*a)->broadcast(as_bytes("from a"));
    std::vector<std::string> heard_a;
    std::vector<std::string> heard_b;
    if (receive_all(**a, heard_a, 2000) != 1 || receive_all(**b, heard_b, 2000) != 1) return 2;
    // Its own comes back to a as well, and is known as such.
    if (!heard_a.empty() || (*a)->counters().at("lo").echoed != 1) return 3;
    if (heard_b.size() != 1 || heard_b[0] != "from a") return 5;
    if ((*a)->counters().at("lo").sent != 1 || (*b)->counters().at("lo").heard != 1) return 4;
    return 0;
  });
  if (!skipped(result)) CHECK(result == 0);
}

TEST_CASE("one call takes 192 datagrams at most and an oversized one arrives cut") {
  int result = in_own_network([] {
    auto sender = UdpBeaconSocket::open(chosen({"lo"}));
    auto a = UdpBeaconSocket::open(chosen({"lo"}));
    if (!a || !sender) return 1;
    (*sender)->broadcast(ByteView(Bytes(5000, 'x')));
    for (int i = 0; i < 200; ++i) (*sender)->broadcast(as_bytes("y"));
    std::vector<std::string> heard;
    if (receive_all(**a, heard, 2000) != UdpBeaconSocket::kMaxDatagramsPerCall) return 2;
    if (heard.at(0).size() > 2 * kMaxBeaconBytes) return 3;
    if (receive_all(**a, heard, 2000) != 9) return 4;
    return 0;
  });
  if (!skipped(result)) CHECK(result == 0);
}

TEST_CASE("a socket that is flooded is left alone for a moment, one with a hundred nodes is not") {
  int result = in_own_network([] {
    auto socket = UdpBeaconSocket::open(chosen({"lo"}));
    if (!socket) return 1;
    const Instant start = Instant{} + 1h;
    // A hundred nodes come up together, then send one beacon every two seconds each.
    for (int i = 0; i < 4; ++i)
      if ((*socket)->rest_after(100, start + i * 200ms) > Duration{0}) return 2;
    for (int i = 0; i < 1000; ++i)
      if ((*socket)->rest_after(1, start + 1s + i * 20ms) > Duration{0}) return 3;
    // Ten a millisecond.
    int rested = 0;
    for (int i = 0; i < 1000; ++i)
      if ((*socket)->rest_after(10, start + 60s + i * 1ms) > Duration{0}) ++rested;
    if (rested < 940) return 4;
    // And it is over.
    if ((*socket)->rest_after(1, start + 90s) > Duration{0}) return 5;
    return 0;
  });
  if (!skipped(result)) CHECK(result == 0);
}

TEST_CASE("beacons cross a cable on the chosen interface and on no other") {
  int result = in_own_network([] {
    // Both ends of each cable in one namespace would short-cut through loopback, so the far ends
    // live in the namespace of a child.
    int far_ready[2];
    int go[2];
    if (pipe(far_ready) != 0 || pipe(go) != 0) return 77;
    pid_t far = fork();
    if (far == 0) {
      char byte = 0;
      if (unshare(CLONE_NEWNET) != 0 || write(far_ready[1], "r", 1) != 1) _exit(77);
      if (read(go[0], &byte, 1) != 1) _exit(77);
      if (std::system(
              "ip link set lo up && ip addr add 10.91.1.2/24 dev far1 && ip link set far1 up "
              "&& ip addr add 10.91.2.2/24 dev far2 && ip link set far2 up") != 0)
        _exit(77);
      // A carrier is noticed by the kernel a moment after the other end is up.
      for (int i = 0; i < 300 && chosen({"far1", "far2"}).size() < 2; ++i) poll(nullptr, 0, 10);
      auto socket = UdpBeaconSocket::open(chosen({"far1", "far2"}));
      if (!socket || write(far_ready[1], "s", 1) != 1) _exit(1);
      std::vector<std::string> heard;
      receive_all(**socket, heard, 5000);
      receive_all(**socket, heard, 300);
      if (heard.size() != 1 || heard[0] != "near") _exit(2);
      if ((*socket)->counters().at("far1").heard != 1) _exit(3);
      (*socket)->broadcast(as_bytes("far"));  // on both cables
      _exit(0);
    }
    char byte = 0;
    if (read(far_ready[0], &byte, 1) != 1) return 77;
    std::string make = "ip link add near1 type veth peer name far1 netns " + std::to_string(far) +
                       " && ip link add near2 type veth peer name far2 netns " +
                       std::to_string(far) +
                       " && ip addr add 10.91.1.1/24 dev near1 && ip link set near1 up"
                       " && ip addr add 10.91.2.1/24 dev near2 && ip link set near2 up";
    auto monitor = InterfaceMonitor::open({"near1"});
    if (!monitor || monitor->missing().size() != 1) return 10;
    if (std::system(make.c_str()) != 0) return 77;
    if (write(go[1], "g", 1) != 1 || read(far_ready[0], &byte, 1) != 1) return 77;
    bool told = monitor->on_readable();
    for (int i = 0; i < 300 && !monitor->missing().empty(); ++i) {
      poll(nullptr, 0, 10);
      told |= monitor->on_readable();
    }
    if (!told || !monitor->missing().empty()) return 11;
    if (monitor->on_readable() && monitor->on_readable()) return 12;
    auto socket = UdpBeaconSocket::open(monitor->interfaces());
    if (!socket) return 13;
    (*socket)->broadcast(as_bytes("near"));
    int status = 0;
    waitpid(far, &status, 0);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
      return WIFEXITED(status) && WEXITSTATUS(status) == 77 ? 77 : 20 + WEXITSTATUS(status);
    // Our own is known as such; the far end's comes over near1, and over near2 it is dropped.
    std::vector<std::string> heard;
    receive_all(**socket, heard, 2000);
    if (heard != std::vector<std::string>{"far"}) return 14;
    if ((*socket)->counters().at("near1").echoed != 1 || !(*socket)->deaf().empty()) return 16;
    if ((*socket)->dropped_elsewhere() != 2) return 15;  // both ways of one beacon
    return 0;
  });
  if (!skipped(result)) CHECK(result == 0);
}

// What near hears of far, if their net masks are these: "" or the beacon; far hears near alike.
int cross_masks(const char* near_address, const char* far_address, bool near_hears,
                const std::function<int(UdpBeaconSocket&)>& also) {
  return in_own_network([&] {
    int ready[2];
    int go[2];
    if (pipe(ready) != 0 || pipe(go) != 0) return 77;
    pid_t far = fork();
    if (far == 0) {
      char byte = 0;
      if (unshare(CLONE_NEWNET) != 0 || write(ready[1], "r", 1) != 1) _exit(77);
      if (read(go[0], &byte, 1) != 1) _exit(77);
      std::string up =
          std::string("ip addr add ") + far_address + " dev far1 && ip link set far1 up";
      if (std::system(up.c_str()) != 0) _exit(77);
      for (int i = 0; i < 300 && chosen({"far1"}).empty(); ++i) poll(nullptr, 0, 10);
      auto socket = UdpBeaconSocket::open(chosen({"far1"}));
      if (!socket || write(ready[1], "s", 1) != 1) _exit(1);
      for (int i = 0; i < 3; ++i) (*socket)->broadcast(as_bytes("far " + std::to_string(i)));
      (void)!read(go[0], &byte, 1);
      _exit(0);
    }
    char byte = 0;
    if (read(ready[0], &byte, 1) != 1) return 77;
    std::string make = "ip link add near1 type veth peer name far1 netns " + std::to_string(far) +
                       " && ip addr add " + near_address + " dev near1 && ip link set near1 up";
    if (std::system(make.c_str()) != 0) return 77;
    auto socket = UdpBeaconSocket::open(chosen({"near1"}));
    if (!socket || write(go[1], "g", 1) != 1 || read(ready[0], &byte, 1) != 1) return 77;
    for (int i = 0; i < 300 && chosen({"near1"}).empty(); ++i) poll(nullptr, 0, 10);
    (*socket)->set_interfaces(chosen({"near1"}));
    std::vector<std::string> heard;
    for (int i = 0; i < 10; ++i) receive_all(**socket, heard, 100);
    (void)!write(go[1], "g", 1);
    waitpid(far, nullptr, 0);
    const std::size_t wanted = near_hears ? 3 : 0;
    if (heard.size() != wanted) return 100 + static_cast<int>(heard.size());
    return also(**socket);
  });
}

TEST_CASE(
    "nodes of one wire hear each other whatever their net masks, once, and misfits are named") {
  auto none = [](UdpBeaconSocket& socket) { return socket.misfits().empty() ? 0 : 50; };
  auto one = [](UdpBeaconSocket& socket) {
    auto found = socket.misfits();
    return found.size() == 1 && found.begin()->second.interface == "near1" &&
                   !found.begin()->second.outside
               ? 0
               : 51;
  };
  auto outside = [](UdpBeaconSocket& socket) {
    auto found = socket.misfits();
    return found.size() == 1 && found.begin()->second.outside ? 0 : 52;
  };
  int equal = cross_masks("10.99.0.1/24", "10.99.0.2/24", true, none);
  if (skipped(equal)) return;
  CHECK(equal == 0);
  CHECK(cross_masks("10.99.0.1/24", "10.99.0.2/16", true, one) == 0);
  CHECK(cross_masks("10.99.0.1/16", "10.99.0.2/24", true, one) == 0);
  // Where nothing that is sent back would arrive, the beacon is not taken.
  CHECK(cross_masks("10.99.0.1/24", "10.99.5.2/16", false, outside) == 0);
}

TEST_CASE("an interface that cannot send is counted with its errno") {
  int result = in_own_network([] {
    Interface gone;
    gone.name = "gone0";
    gone.index = 4242;
    gone.broadcast = 0x0A5B01FF;
    auto socket = UdpBeaconSocket::open({gone});
    if (!socket) return 1;
    (*socket)->broadcast(as_bytes("x"));
    const auto& counters = (*socket)->counters().at("gone0");
    return counters.send_errors == 1 && counters.last_errno != 0 && counters.sent == 0 ? 0 : 2;
  });
  if (!skipped(result)) CHECK(result == 0);
}
