// How fast content goes through two endpoints in two processes on loopback: prints MB/s of payload.
// Not a test: its figure depends on the machine. usage: endpoint_bench [MB] [queue]
//
// 200 MB, Release, 2 cores shared with compilers, AES-256-GCM (best of three; others' load makes
// single runs vary by a factor of two):
//   queue  60   159 MB/s      queue 300   166 MB/s
//   queue 200   163 MB/s      queue 600   172 MB/s  (300 of them at ENet, the rest in SendQueue)
// CPU of both ends together: 4 s for each GB, half of it in the kernel. On loopback neither ENet's
// own window of 64 KiB instead of 512 nor showing it all 2048 peers differs by more than the noise
// (154 and 173 MB/s at best): the window counts where the round trip is a millisecond or more, the
// peers where there are many sessions.
#include <sys/wait.h>

#include <cstdio>
#include <cstdlib>

#include "unit/transport/endpoint_rig.h"

using namespace lansync;
using namespace lansync::test;

namespace {

constexpr std::uint16_t kPort = 38471;

void wait_readable(Node& node) {
  const Instant now = real_now();
  const Instant due = node.endpoint->deadline();
  if (due <= now) return;
  pollfd fd{node.endpoint->socket_fd(), POLLIN, 0};
  const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(due - now).count();
  poll(&fd, 1, static_cast<int>(ms) + 1);
}

int receive(std::uint64_t packets) {
  Node node(2, key_of(7), 1, kPort);
  std::uint64_t received = 0;
  std::uint64_t bytes = 0;
  node.taker = [&](SessionId, Channel, ByteView packet) {
    ++received;
    bytes += packet.size();
  };
  while (received < packets) {
    wait_readable(node);
    node.endpoint->service(real_now());
  }
  node.endpoint->send(node.session(), Channel::kMessages, Bytes(1));
  run_for({&node}, 200ms);
  return 0;
}

int send(std::uint64_t packets, std::size_t queue) {
  Node node(1);
  while (!node.connected()) {
    node.endpoint->dial({kLoopback, kPort});
    run_for({&node}, 100ms);
  }
  const Bytes chunk(1000, 42);
  const SessionId id = node.session();
  const Instant begin = real_now();
  std::uint64_t sent = 0;
  while (node.packets.empty() && node.connected()) {
    while (sent < packets && node.endpoint->queued(id) < queue) {
      node.endpoint->send(id, Channel::kContent, chunk);
      ++sent;
    }
    wait_readable(node);
    node.endpoint->service(real_now());
  }
  const double seconds = static_cast<double>((real_now() - begin).count()) / 1e6;
  const double wire = static_cast<double>(node.endpoint->counters().bytes_sent) /
                      (static_cast<double>(packets) * 1000);
  std::printf("%.1f MB/s, %.3f bytes sent for each byte\n",
              static_cast<double>(packets) / 1000 / seconds, wire);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  const std::uint64_t megabytes = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 300;
  const std::size_t queue = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 300;
  const pid_t child = fork();
  if (child == 0) std::_Exit(receive(megabytes * 1000));
  send(megabytes * 1000, queue);
  int status = 0;
  waitpid(child, &status, 0);
  return 0;
}
