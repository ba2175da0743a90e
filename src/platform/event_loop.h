// The control thread's loop: sleeps until a descriptor is readable, a deadline passes, a signal
// comes or another thread posts; then hands the time to the node, once.
//
// Invariant: the clock is read once a turn, and everything in a turn sees that instant. Made and
// driven by app; asio stays behind it.
#pragma once

#include <functional>
#include <memory>

#include "base/result.h"
#include "base/time.h"

namespace asio {
class io_context;
}

namespace lansync {

struct Turn {
  Instant now;
  WallTime wall;
  // The loop stood still for over 500 ms (a stopped process, a slow call): silence of others in
  // that time says nothing about them.
  bool stalled = false;
  // The machine slept: CLOCK_BOOTTIME ran ahead of CLOCK_MONOTONIC.
  bool suspended = false;
  Duration suspended_for{0};
  Duration slept_through{0};  // how long it stood still or slept, for the log
};

class EventLoop {
 public:
  static Result<std::unique_ptr<EventLoop>> create();
  ~EventLoop();

  // `ready` runs in each turn in which `fd` is readable (level-triggered). The fd stays the
  // caller's; unwatch it before closing it. Watching one twice replaces its callback.
  Status watch_fd(int fd, std::function<void()> ready);
  void unwatch_fd(int fd);
  // From the callback of `fd`: it is not looked at again for that long, so that what is sent to it
  // thousands of times a second is taken in heaps. Each wake-up and turn costs several times what
  // one datagram does.
  void rest_fd(int fd, Duration rest);
  // From any thread: runs `task` on the loop's thread, before the next turn.
  void post(std::function<void()> task);

  // Runs until stop(). on_turn is called after each wake-up's callbacks (and once at the start) and
  // returns when it wants to be called again at the latest; kNever for "on events only".
  void run(const std::function<Instant(const Turn&)>& on_turn);
  void stop();  // from the loop's thread; run() returns after the current turn

  // For what is built on asio itself (the control socket).
  asio::io_context& context();

  // The instant of the current turn, for callbacks of descriptors.
  Instant now() const;

 private:
  struct Impl;
  explicit EventLoop(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace lansync
