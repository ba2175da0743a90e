#include "platform/os_random.h"

#include <sys/random.h>

#include <cerrno>

#include "base/assert.h"

namespace lansync {

void OsRandom::fill(std::span<std::uint8_t> out) {
  while (!out.empty()) {
    ssize_t got = ::getrandom(out.data(), out.size(), 0);
    if (got < 0 && errno == EINTR) continue;
    LS_ASSERT(got > 0);
    out = out.subspan(static_cast<std::size_t>(got));
  }
}

}  // namespace lansync
