#include "platform/event_loop.h"

#include <asio/executor_work_guard.hpp>
#include <asio/io_context.hpp>
#include <asio/posix/stream_descriptor.hpp>
#include <asio/post.hpp>
#include <asio/steady_timer.hpp>
#include <csignal>
#include <map>
#include <utility>

#include "base/log.h"
#include "platform/system_clock.h"

namespace lansync {
namespace {

// Also the granularity at which a stop of the process is noticed when nothing else is due.
constexpr Duration kLongestSleep = 1s;
constexpr Duration kStallLimit = 500ms;

struct Watch {
  Watch(asio::io_context& context, int fd) : descriptor(context, fd), timer(context) {}
  asio::posix::stream_descriptor descriptor;
  asio::steady_timer timer;
  Duration rest{0};  // asked for by the callback that runs
  std::function<void()> ready;
  bool gone = false;
};

void wait_readable(const std::shared_ptr<Watch>& watch);

// Taken out of the poll set: asio has each descriptor in it edge-triggered, and what arrives wakes
// the thread whether anybody waits for it or not.
void rest(const std::shared_ptr<Watch>& watch) {
  const int fd = watch->descriptor.release();
  watch->timer.expires_after(std::exchange(watch->rest, Duration{0}));
  watch->timer.async_wait([watch, fd](const std::error_code& failed) {
    if (failed || watch->gone) return;
    watch->descriptor.assign(fd);
    wait_readable(watch);
  });
}

void wait_readable(const std::shared_ptr<Watch>& watch) {
  watch->descriptor.async_wait(asio::posix::stream_descriptor::wait_read,
                               [watch](const std::error_code& failed) {
                                 if (failed || watch->gone) return;
                                 // A copy: the callback may unwatch its own descriptor.
                                 auto ready = watch->ready;
                                 ready();
                                 if (watch->gone) return;
                                 if (watch->rest > Duration{0}) return rest(watch);
                                 wait_readable(watch);
                               });
}

}  // namespace

struct EventLoop::Impl {
  asio::io_context context{1};
  // Without it a poll() that finds nothing to do stops the context, and every run_one() after that
  // returns at once: a loop that spins and hears no post().
  asio::executor_work_guard<asio::io_context::executor_type> work{context.get_executor()};
  asio::steady_timer timer{context};
  std::map<int, std::shared_ptr<Watch>> watches;
  SystemClock clock;
  Instant now{};
  bool awake = false;  // `now` was read since the last sleep
  bool stopped = false;

  void wake() {
    if (!awake) now = clock.now();
    awake = true;
  }
  void sleep_until(Instant deadline);
  void poll_some();
};

// Bounded: a socket that a fast sender keeps readable must not keep the turn from coming.
void EventLoop::Impl::poll_some() {
  constexpr int kHandlersPerTurn = 16;
  for (int i = 0; i < kHandlersPerTurn && context.poll_one() > 0; ++i) {
  }
}

// Runs at least one handler: a descriptor's, a task's, or the timer's own.
void EventLoop::Impl::sleep_until(Instant deadline) {
  awake = false;
  if (deadline <= clock.now()) {
    poll_some();
    wake();
    return;
  }
  // asio's steady clock is CLOCK_MONOTONIC as well, from the same zero.
  timer.expires_at(std::chrono::steady_clock::time_point(deadline.time_since_epoch()));
  timer.async_wait([](const std::error_code&) {});
  context.run_one();
  wake();
  // The cancelled wait's handler has to run now: left over, it would end the next sleep at once.
  timer.cancel();
  poll_some();
}

EventLoop::EventLoop(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

EventLoop::~EventLoop() {
  while (!impl_->watches.empty()) unwatch_fd(impl_->watches.begin()->first);
}

Result<std::unique_ptr<EventLoop>> EventLoop::create() {
  std::signal(SIGPIPE, SIG_IGN);
  try {
    return std::unique_ptr<EventLoop>(new EventLoop(std::make_unique<Impl>()));
  } catch (const std::exception& failed) {
    return Error{ErrorCode::kBusy, str("cannot make an event loop: ", failed.what())};
  }
}

Status EventLoop::watch_fd(int fd, std::function<void()> callback) {
  auto ready = [loop = impl_.get(), callback = std::move(callback)] {
    loop->wake();
    callback();
  };
  if (auto it = impl_->watches.find(fd); it != impl_->watches.end()) {
    it->second->ready = ready;
    return {};
  }
  try {
    auto watch = std::make_shared<Watch>(impl_->context, fd);
    watch->ready = ready;
    impl_->watches.emplace(fd, watch);
    wait_readable(watch);
  } catch (const std::exception& failed) {
    // epoll refuses regular files. The descriptor object has not taken the fd then.
    return Error{ErrorCode::kUnsupported, str("cannot watch a descriptor: ", failed.what())};
  }
  return {};
}

void EventLoop::unwatch_fd(int fd) {
  auto it = impl_->watches.find(fd);
  if (it == impl_->watches.end()) return;
  it->second->gone = true;
  if (it->second->descriptor.is_open()) it->second->descriptor.release();
  it->second->timer.cancel();
  impl_->watches.erase(it);
}

void EventLoop::rest_fd(int fd, Duration rest) {
  if (auto it = impl_->watches.find(fd); it != impl_->watches.end()) it->second->rest = rest;
}

void EventLoop::post(std::function<void()> task) {
  asio::post(impl_->context, [loop = impl_.get(), task = std::move(task)] {
    loop->wake();
    task();
  });
}

void EventLoop::run(const std::function<Instant(const Turn&)>& on_turn) {
  Impl& loop = *impl_;
  loop.stopped = false;
  loop.awake = false;
  loop.wake();
  Instant expected = loop.now;  // the latest instant at which this turn should have begun
  Duration ahead = loop.clock.since_boot() - loop.now.time_since_epoch();
  loop.poll_some();
  while (!loop.stopped) {
    Turn turn;
    turn.now = loop.now;
    turn.wall = loop.clock.wall();
    Duration ahead_now = loop.clock.since_boot() - loop.now.time_since_epoch();
    turn.suspended = ahead_now - ahead > kStallLimit;
    turn.stalled = turn.now - expected > kStallLimit;
    if (turn.stalled) turn.slept_through += turn.now - expected;
    if (turn.suspended) turn.suspended_for = ahead_now - ahead;
    turn.slept_through += turn.suspended_for;
    ahead = ahead_now;
    Instant wanted = on_turn(turn);
    if (loop.stopped) break;
    expected = std::max(turn.now, std::min(wanted, turn.now + kLongestSleep));
    loop.sleep_until(expected);
  }
}

void EventLoop::stop() { impl_->stopped = true; }
asio::io_context& EventLoop::context() { return impl_->context; }

Instant EventLoop::now() const { return impl_->now; }

}  // namespace lansync
