// ENet's clock, defined by the program instead of the library. ENet 1.3.17 reads gettimeofday: a
// step of the wall clock by +40 s with one packet in flight disconnects at once, and by -40 s
// freezes every resend for as long (reliability.md E8). The shared library calls enet_time_get
// through its PLT, so this definition replaces it for the whole process.
//
// The simulator defines its own and does not link this file.
#include <cstdint>
#include <ctime>

#include "enet/types.h"

namespace {

enet_uint32 g_time_base = 0;

enet_uint32 monotonic_ms() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  // Wraps after 49 days, as ENet's own does; it compares times modulo 2^32.
  return static_cast<enet_uint32>(static_cast<std::uint64_t>(now.tv_sec) * 1000 +
                                  static_cast<std::uint64_t>(now.tv_nsec) / 1'000'000);
}

}  // namespace

extern "C" {

enet_uint32 enet_time_get(void) { return monotonic_ms() - g_time_base; }

void enet_time_set(enet_uint32 new_time_base) { g_time_base = monotonic_ms() - new_time_base; }

}  // extern "C"
