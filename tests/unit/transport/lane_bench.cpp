// What the lane itself costs: two connections in one thread, datagrams handed over in memory on a
// virtual clock, no socket. Measures, proves nothing: not in ctest, built only when asked for, in
// Release (ninja lane_bench). Both ends seal, open and copy in the time printed: the figure for an
// end alone is about twice as high.
//   lane_bench [MiB]
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <ctime>

#include "transport/lane/lane_connection.h"

namespace {

using namespace lansync;

CarrierPeer peer_of(Suite suite, bool initiator) {
  CarrierPeer peer;
  peer.session = 1;
  peer.keys.suite = suite;
  peer.own.fill(initiator ? 1 : 2);
  peer.theirs.fill(initiator ? 2 : 1);
  peer.initiator = initiator;
  return peer;
}

struct Cost {
  double out = 0;  // seconds
  double in = 0;
};

// Processor time: others may be at work on this machine.
double seconds_now() {
  timespec time{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) / 1e9;
}

// All that `from` wants to send now goes to `to`.
void carry(LaneConnection& from, LaneConnection& to, Instant now, LaneBurst& burst, double& out,
           double& in) {
  for (;;) {
    double start = seconds_now();
    bool any = from.produce(now, burst);
    double made = seconds_now();
    out += made - start;
    if (!any) return;
    for (std::size_t i = 0; i < burst.count; ++i) {
      std::size_t at = i * burst.segment;
      std::size_t size = std::min(burst.segment, burst.bytes.size() - at);
      to.on_datagram(std::span(burst.bytes).subspan(at, size), now);
    }
    in += seconds_now() - made;
  }
}

void run(Suite suite, std::uint64_t total) {
  Instant now{Duration(1'000'000)};
  LaneConnection a(peer_of(suite, true), now);
  LaneConnection b(peer_of(suite, false), now);
  LaneBurst burst;
  Cost sender;
  Cost receiver;
  std::uint64_t sent = 0;
  std::uint64_t arrived = 0;
  while (arrived < total) {
    while (sent < total && a.room() >= 256'000) {
      a.send({1, sent / 1000, Bytes(256'000, 1)});
      sent += 256'000;
    }
    carry(a, b, now, burst, sender.out, receiver.in);
    for (CarrierEvent& event : b.take_events())
      if (auto* got = std::get_if<BlockReceived>(&event)) {
        arrived += got->block.data.size();
        b.credit(got->block.data.size());
      }
    a.take_events();
    carry(b, a, now, burst, receiver.out, sender.in);
    now += 20us;
  }
  auto bytes = static_cast<double>(arrived);
  double send_cost = sender.out + sender.in;
  double receive_cost = receiver.in + receiver.out;
  std::printf(
      "%-18s sender %6.0f MB/s  receiver %6.0f MB/s   of which reports: made %.1f %%, read %.1f "
      "%%\n",
      suite == Suite::kAes256Gcm ? "AES-256-GCM" : "ChaCha20-Poly1305", bytes / send_cost / 1e6,
      bytes / receive_cost / 1e6, 100 * receiver.out / receive_cost, 100 * sender.in / send_cost);
}

}  // namespace

int main(int count, char** words) {
  std::uint64_t mib = count > 1 ? std::strtoull(words[1], nullptr, 10) : 1024;
  run(Suite::kAes256Gcm, mib << 20);
  run(Suite::kChaCha20Poly1305, mib << 20);
}
