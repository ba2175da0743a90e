// A long line for tests: every frame that comes in at one interface goes out at the other, so many
// milliseconds later, in order, both ways. Frames of many segments (GSO) stay whole, checksums that
// the hardware would make stay to be made, so that a gigabit costs little CPU.
//   delay_relay IF_A IF_B MILLISECONDS
// Invariant: at most kMaxHeld bytes wait a direction; what comes above that is lost, and counted at
// the end. Run by tests/e2e/lan.py in a namespace of its own, until SIGTERM.
#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;
constexpr std::size_t kMaxHeld = std::size_t{64} << 20;
constexpr std::size_t kMaxFrame = 65536 + 256;  // one of GSO, its headers and what stands before it
constexpr int kPerTurn = 64;

volatile std::sig_atomic_t stopping = 0;

struct Frame {
  Clock::time_point due;
  std::vector<char> bytes;  // struct virtio_net_hdr, then the frame
};

struct Direction {
  int from = -1;
  int to = -1;
  std::deque<Frame> held;
  std::size_t held_bytes = 0;
  unsigned long long carried = 0;
  unsigned long long lost = 0;  // no room, or the interface took it not
};

[[noreturn]] void die(const char* what) {
  std::fprintf(stderr, "delay_relay: %s: %s\n", what, std::strerror(errno));
  std::exit(1);
}

int open_interface(const char* name) {
  int fd = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) die("socket");
  int on = 1;
  int buffer = 32 << 20;
  if (setsockopt(fd, SOL_PACKET, PACKET_VNET_HDR, &on, sizeof on) != 0) die("PACKET_VNET_HDR");
  if (setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof on) != 0)
    die("PACKET_IGNORE_OUTGOING");
  (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &buffer, sizeof buffer);
  (void)setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &buffer, sizeof buffer);
  sockaddr_ll address{};
  address.sll_family = AF_PACKET;
  address.sll_protocol = htons(ETH_P_ALL);
  address.sll_ifindex = static_cast<int>(if_nametoindex(name));
  if (address.sll_ifindex == 0) die(name);
  if (bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) die("bind");
  return fd;
}

// True if there may be more.
bool take(Direction& way, Clock::duration delay) {
  static std::vector<char> buffer(kMaxFrame);
  for (int i = 0; i < kPerTurn; ++i) {
    ssize_t got = recv(way.from, buffer.data(), buffer.size(), MSG_TRUNC);
    if (got < 0) return false;
    auto size = static_cast<std::size_t>(got);
    if (size > buffer.size() || way.held_bytes + size > kMaxHeld) {
      ++way.lost;
      continue;
    }
    way.held_bytes += size;
    way.held.push_back(
        {Clock::now() + delay, std::vector<char>(buffer.begin(), buffer.begin() + got)});
  }
  return true;
}

void give(Direction& way) {
  Clock::time_point now = Clock::now();
  while (!way.held.empty() && way.held.front().due <= now) {
    const std::vector<char>& bytes = way.held.front().bytes;
    if (send(way.to, bytes.data(), bytes.size(), 0) < 0) {
      if (errno == EAGAIN || errno == EWOULDBLOCK) return;
      ++way.lost;
    } else {
      ++way.carried;
    }
    way.held_bytes -= bytes.size();
    way.held.pop_front();
  }
}

timespec until_due(const std::array<Direction, 2>& ways) {
  Clock::duration wait = std::chrono::milliseconds(100);
  for (const Direction& way : ways)
    if (!way.held.empty()) wait = std::min(wait, way.held.front().due - Clock::now());
  // A little late and several at once is cheaper than each by itself.
  wait = std::max<Clock::duration>(wait, std::chrono::microseconds(50));
  auto ns = std::chrono::duration_cast<std::chrono::nanoseconds>(wait).count();
  return {static_cast<time_t>(ns / 1'000'000'000), static_cast<long>(ns % 1'000'000'000)};
}

}  // namespace

int main(int count, char** words) {
  if (count != 4) {
    std::fprintf(stderr, "usage: delay_relay IF_A IF_B MILLISECONDS\n");
    return 2;
  }
  std::signal(SIGTERM, [](int) { stopping = 1; });
  std::signal(SIGINT, [](int) { stopping = 1; });
  prctl(PR_SET_TIMERSLACK, 1000UL, 0, 0, 0);
  auto delay = std::chrono::duration_cast<Clock::duration>(
      std::chrono::duration<double, std::milli>(std::atof(words[3])));
  int a = open_interface(words[1]);
  int b = open_interface(words[2]);
  std::array<Direction, 2> ways;
  ways[0].from = ways[1].to = a;
  ways[0].to = ways[1].from = b;
  std::printf("ready\n");
  std::fflush(stdout);
  while (stopping == 0) {
    bool more = false;
    for (Direction& way : ways) {
      more = take(way, delay) || more;
      give(way);
    }
    if (more) continue;
    std::array<pollfd, 2> polled{pollfd{a, POLLIN, 0}, pollfd{b, POLLIN, 0}};
    timespec wait = until_due(ways);
    if (ppoll(polled.data(), polled.size(), &wait, nullptr) < 0 && errno != EINTR) die("ppoll");
  }
  for (const Direction& way : ways) std::printf("carried %llu, lost %llu\n", way.carried, way.lost);
  return 0;
}
