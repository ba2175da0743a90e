// What an ordinary user gets from a kernel whose rmem_max is Debian's default: socket buffers of
// 208 KiB and no more. Preloaded (LD_PRELOAD) by tools/bench where the machine's limit is another;
// it forces nothing itself.
#include <dlfcn.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

extern "C" int setsockopt(int fd, int level, int name, const void* value, socklen_t size) noexcept {
  using Function = int (*)(int, int, int, const void*, socklen_t);
  static const auto next = reinterpret_cast<Function>(dlsym(RTLD_NEXT, "setsockopt"));
  if (level == SOL_SOCKET && (name == SO_RCVBUFFORCE || name == SO_SNDBUFFORCE)) {
    errno = EPERM;
    return -1;
  }
  if (level == SOL_SOCKET && (name == SO_RCVBUF || name == SO_SNDBUF) && size == sizeof(int)) {
    int wanted = 0;
    std::memcpy(&wanted, value, sizeof wanted);
    wanted = std::min(wanted, 212992);
    return next(fd, level, name, &wanted, sizeof wanted);
  }
  return next(fd, level, name, value, size);
}
