#include "app/disk_watch.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

namespace lansync {
namespace {

// A disk that wakes up from its sleep may take some seconds; whoever asks meanwhile can wait.
constexpr Duration kAnswersWithin = 2s;
// A worker that waits for so long makes us try ourselves; if that takes so long, nothing answers.
constexpr Duration kSuspicious = 4s;
constexpr Duration kSilent = 5s;
constexpr const char* kProbe = "alive";

}  // namespace

Result<std::unique_ptr<DiskWatch>> DiskWatch::create(const WorkerPool& workers, int directory_fd) {
  auto pool = WorkerPool::create(1);
  if (!pool) return pool.error();
  return std::unique_ptr<DiskWatch>(new DiskWatch(workers, directory_fd, std::move(*pool)));
}

void DiskWatch::look(std::function<bool()> look) {
  if (workers_.waits() >= kSuspicious && !std::exchange(probing_, true))
    make_file(kProbe, [this] { probing_ = false; });
  if (std::exchange(looking_, true)) return;
  auto there = std::make_shared<bool>(true);
  pool_->submit(
      JobClass::kDisk, [look = std::move(look), there] { *there = look(); },
      [this, there] {
        looking_ = false;
        in_place_ = *there;
      });
}

bool DiskWatch::in_place() const {
  return in_place_ && !(looking_ && pool_->waits() >= kAnswersWithin);
}

void DiskWatch::place_marker(std::string name) {
  make_file(std::move(name), [] {});
}

void DiskWatch::make_file(std::string name, std::function<void()> done) {
  pool_->submit(
      JobClass::kDisk,
      [directory_fd = directory_fd_, name = std::move(name)] {
        int fd =
            ::openat(directory_fd, name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        if (fd >= 0) ::close(fd);
        // Also what a killed node left.
        ::unlinkat(directory_fd, name.c_str(), 0);
      },
      std::move(done));
}

Duration DiskWatch::waits() const {
  const Duration own = pool_->waits();
  return own < kSilent ? own : std::max(own, workers_.waits());
}

}  // namespace lansync
