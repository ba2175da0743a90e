#include "platform/last_resort.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <chrono>
#include <optional>
#include <utility>

#include "platform/start_thread.h"

namespace lansync {
namespace {

using SteadyClock = std::chrono::steady_clock;

sigset_t ending_signals() {
  sigset_t set;
  sigemptyset(&set);
  for (int number : {SIGINT, SIGTERM, SIGHUP}) sigaddset(&set, number);
  return set;
}

}  // namespace

Result<std::unique_ptr<LastResort>> LastResort::start(Calls calls, Duration patience) {
  std::unique_ptr<LastResort> made(new LastResort(std::move(calls), patience));
  const sigset_t set = ending_signals();
  made->signals_ = UniqueFd(::signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC));
  made->wake_ = UniqueFd(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
  if (!made->signals_.valid() || !made->wake_.valid())
    return posix_error(errno, "make what hears signals");
  pthread_sigmask(SIG_BLOCK, &set, &made->before_);
  auto thread = start_thread([raw = made.get()] { raw->run(); });
  if (!thread) {
    pthread_sigmask(SIG_SETMASK, &made->before_, nullptr);
    return thread.error();
  }
  made->thread_ = std::move(*thread);
  return made;
}

LastResort::~LastResort() {
  {
    std::lock_guard lock(mutex_);
    ending_ = finished_ = true;
  }
  const std::uint64_t one = 1;
  (void)!::write(wake_.get(), &one, sizeof one);
  if (!thread_.joinable()) return;
  thread_.join();
  pthread_sigmask(SIG_SETMASK, &before_, nullptr);
}

void LastResort::expect_end() {
  {
    std::lock_guard lock(mutex_);
    ending_ = true;
  }
  const std::uint64_t one = 1;
  (void)!::write(wake_.get(), &one, sizeof one);
}

void LastResort::run() {
  std::optional<SteadyClock::time_point> end_at;
  for (;;) {
    int wait = -1;
    if (end_at) {
      const auto left = *end_at - SteadyClock::now();
      if (left <= left.zero()) {
        calls_.end();
        return;
      }
      wait = static_cast<int>(std::chrono::ceil<std::chrono::milliseconds>(left).count());
    }
    pollfd items[2] = {{signals_.get(), POLLIN, 0}, {wake_.get(), POLLIN, 0}};
    (void)::poll(items, 2, wait);
    std::uint64_t count = 0;
    (void)!::read(wake_.get(), &count, sizeof count);
    signalfd_siginfo info{};
    const bool signal = ::read(signals_.get(), &info, sizeof info) == sizeof info;
    std::lock_guard lock(mutex_);
    if (finished_) return;
    if (signal && !ending_) calls_.heard(static_cast<int>(info.ssi_signo));
    ending_ = ending_ || signal;
    if (ending_ && !end_at) end_at = SteadyClock::now() + patience_;
  }
}

}  // namespace lansync
