#include "sim/rest.h"

#include <malloc.h>

#include <cstdlib>
#include <new>

#include "base/log.h"
#include "sim/node.h"

#if defined(__SANITIZE_ADDRESS__)
#define LANSYNC_ASAN_HEAP 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define LANSYNC_ASAN_HEAP 1
#endif
#endif

#ifdef LANSYNC_ASAN_HEAP

// AddressSanitizer brings its own operators, and knows what is live. To replace some of them would
// lose its check that new goes with delete, and raise a false one where the library uses the
// nothrow form (std::stable_sort's buffer). gcc installs no <sanitizer/allocator_interface.h>.
extern "C" std::size_t __sanitizer_get_current_allocated_bytes();

namespace lansync::sim {
std::uint64_t live_heap_bytes() { return __sanitizer_get_current_allocated_bytes(); }
}  // namespace lansync::sim

#else

namespace {

std::uint64_t g_live_heap = 0;

void* count_allocated(std::size_t size) {
  void* const got = std::malloc(size == 0 ? 1 : size);
  if (got == nullptr) throw std::bad_alloc();
  g_live_heap += malloc_usable_size(got);
  return got;
}

void count_freed(void* gone) {
  if (gone == nullptr) return;
  g_live_heap -= malloc_usable_size(gone);
  std::free(gone);
}

}  // namespace

// The simulator runs on one thread, so a plain number will do. ENet's and OpenSSL's own memory is
// not in it.
void* operator new(std::size_t size) { return count_allocated(size); }
void* operator new[](std::size_t size) { return count_allocated(size); }
void operator delete(void* gone) noexcept { count_freed(gone); }
void operator delete[](void* gone) noexcept { count_freed(gone); }
void operator delete(void* gone, std::size_t) noexcept { count_freed(gone); }
void operator delete[](void* gone, std::size_t) noexcept { count_freed(gone); }

namespace lansync::sim {
std::uint64_t live_heap_bytes() { return g_live_heap; }
}  // namespace lansync::sim

#endif

namespace lansync::sim {

RestSample sample_rest(SimNode& node) {
  RestSample sample;
  sample.turns = node.turns();
  sample.jobs = node.executor().jobs();
  sample.commits = node.store().commits();
  sample.planned = node.node().replica().paths_planned();
  sample.changes = node.disk().changes();
  sample.payload = node.payload_sent();
  return sample;
}

void check_rest(const std::string& node, const RestSample& before, const RestSample& after,
                Duration passed, Duration rescan, std::size_t others, std::size_t refused,
                const std::function<void(std::string)>& report) {
  const auto at_most = [&](const char* what, std::uint64_t was, std::uint64_t is,
                           std::uint64_t bound) {
    if (is - was <= bound) return;
    report(str("I12: ", node, " at rest: ", is - was, " ", what, " in ", to_string(passed),
               ", and ", bound, " would do"));
  };
  const auto minutes = static_cast<std::uint64_t>(passed.count() / 60'000'000) + 1;
  // Measured over 1,000 nodes: 500 to 1,600 turns a minute, with one other node and with four
  // (ENet's pings and their answers, its timer each 250 ms, beacons, the jobs of a scan).
  at_most("turns", before.turns, after.turns, minutes * (1000 + 500 * others));
  // A scan is some five jobs, and one comes each rescan - 25 % at most.
  const auto scans = static_cast<std::uint64_t>(passed * 4 / (rescan * 3)) + 1;
  at_most("jobs", before.jobs, after.jobs, scans * 10 + 10);
  // The time that was seen to pass is written down once an hour.
  at_most("commits", before.commits, after.commits, 1 + minutes / 60);
  // What a hub refuses is offered again once a minute, and looked at by both.
  at_most("paths planned", before.planned, after.planned, refused * minutes * 2);
  at_most("changes of the disk", before.changes, after.changes, 0);
  at_most("bytes of content sent", before.payload, after.payload, 0);
}

void check_heap(std::uint64_t before, std::uint64_t after, std::size_t nodes,
                const std::function<void(std::string)>& report) {
  // Measured: 72 bytes at most, for five nodes. What grows with each beacon or ping is far more.
  constexpr std::uint64_t kGrowth = 16 * 1024;
  if (after <= before + kGrowth * nodes) return;
  report(str("I9: ", nodes, " nodes at rest hold ", after - before, " bytes more than before"));
}

}  // namespace lansync::sim
