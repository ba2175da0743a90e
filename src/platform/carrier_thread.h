// A carrier's own thread and the way to it and back: commands go over by a queue, events come back
// by another, blocks are moved and never copied. What kind of carrier it is, the engine knows.
//
// Invariants: the engine is touched by the carrier's thread only; no more bytes wait in the queue
// than room() allowed; a block that was handed over ends in BlockDelivered or comes back. Made by
// app through open_lane_carrier and open_tcp_carrier; driven by the control thread.
#pragma once

#include <sys/epoll.h>

#include <array>
#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <span>
#include <thread>
#include <utility>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "platform/posix.h"
#include "platform/system_clock.h"
#include "transport/content_carrier.h"

namespace lansync {

struct CarrierOptions {
  std::uint32_t bind_ip = 0;              // 0: all addresses
  std::uint16_t port = 0;                 // 0: any free one. Busy: kBusy
  std::function<void(int fd)> on_socket;  // SO_BINDTODEVICE and the like
  // Says that take_events() has something, or that room() grew where it was short. Called from the
  // carrier's thread, and from within send(): post it to the loop.
  std::function<void()> wakeup;
  // The lane as on a kernel without UDP_SEGMENT and UDP_GRO.
  bool plain_udp = false;
};

// What an engine saw that no session is to blame for.
struct CarrierCounters {
  std::uint64_t strangers = 0;  // datagrams and connections of nobody we know
  std::uint64_t damaged = 0;    // what did not open
};

// The descriptors that an engine waits for. `key` comes back in epoll_event::data.u64.
class Poller {
 public:
  explicit Poller(int epoll) : epoll_(epoll) {}
  void add(int fd, std::uint32_t events, std::uint64_t key) const;
  void change(int fd, std::uint32_t events, std::uint64_t key) const;
  void remove(int fd) const;

 private:
  int epoll_;
};

// Sockets and connections of one kind of carrier. All calls come from the carrier's thread.
class CarrierEngine {
 public:
  virtual ~CarrierEngine() = default;
  virtual CarrierKind kind() const = 0;
  virtual std::uint16_t port() const = 0;
  virtual void start(const Poller& poller) = 0;

  virtual void open(const CarrierPeer& peer, Instant now) = 0;
  // Also of a session that is not open. Returns what was not delivered.
  virtual std::vector<ContentBlock> close(SessionId session) = 0;
  virtual void send(SessionId session, ContentBlock block) = 0;
  virtual void credit(SessionId session, std::uint64_t bytes) = 0;
  virtual std::uint64_t room(SessionId session) const = 0;
  virtual CarrierStatus status(SessionId session) const = 0;

  // One round: what is ready, what is due, what was commanded since the last. Bounded work.
  // Returns when the next one is due at the latest.
  virtual Instant turn(std::span<const epoll_event> ready) = 0;
  // How long to leave what comes next alone, so that more of it is taken at once. After a turn.
  virtual Duration nap() const { return Duration{0}; }
  // In order, of all sessions.
  virtual std::vector<CarrierEvent> take_events() = 0;
  // Sessions whose room() or status() may have changed since the last call.
  virtual std::vector<SessionId> take_touched() = 0;
  virtual CarrierCounters counters() const = 0;
};

class CarrierThread final : public ContentCarrier {
 public:
  static Result<std::unique_ptr<CarrierThread>> create(std::unique_ptr<CarrierEngine> engine,
                                                       std::function<void()> wakeup);
  ~CarrierThread() override;  // ends the thread; what was not delivered is lost with it

  CarrierKind kind() const override { return kind_; }
  std::uint16_t port() const override { return port_; }
  void open(const CarrierPeer& peer) override;
  void close(SessionId session) override;
  std::uint64_t room(SessionId session) const override;
  void send(SessionId session, ContentBlock block) override;
  void credit(SessionId session, std::uint64_t bytes) override;
  CarrierStatus status(SessionId session) const override;
  std::vector<CarrierEvent> take_events() override;
  CarrierCounters counters() const;

 private:
  struct Command {
    enum class Kind { kOpen, kClose, kSend } kind = Kind::kClose;
    SessionId session = 0;
    std::uint64_t opening = 0;
    std::unique_ptr<CarrierPeer> peer;
    ContentBlock block;
  };
  // One opening of a session, as both threads see it; under mutex_.
  struct View {
    std::uint64_t opening = 0;  // which one the thread last told of
    std::uint64_t asked = 0;    // and which one was last asked for
    std::uint64_t handed = 0;   // bytes given to send() in it
    std::uint64_t limit = 0;    // how far `handed` may go
    std::uint64_t credit = 0;   // not yet taken over by the thread
    CarrierStatus status;
    std::uint64_t room() const {
      return opening == asked && status.state == CarrierState::kUp && limit > handed
                 ? limit - handed
                 : 0;
    }
  };
  // The thread's own record of a session.
  struct Taken {
    std::uint64_t opening = 0;
    std::uint64_t bytes = 0;  // taken from the queue in this opening
    CarrierState told = CarrierState::kClosed;
    Instant told_at{};
  };

  CarrierThread(std::unique_ptr<CarrierEngine> engine, std::function<void()> wakeup, UniqueFd epoll,
                UniqueFd signal, UniqueFd timer);
  void push(Command command);  // with mutex_ held
  void signal() const;
  void run();
  void take_commands();
  void run_command(Command& command);
  void hand_back(SessionId session, CarrierStatus status, std::vector<ContentBlock> blocks);
  void publish();
  bool publish_session(SessionId session, Instant now);  // with mutex_ held
  void sleep_until(Instant deadline, Duration nap);

  // Of the carrier's thread.
  std::unique_ptr<CarrierEngine> engine_;
  std::map<SessionId, Taken> taken_;
  std::set<SessionId> stale_;  // their status is newer than what was told
  std::vector<Command> batch_;
  std::vector<std::pair<SessionId, std::uint64_t>> credits_;
  std::vector<CarrierEvent> news_;
  std::array<epoll_event, 64> ready_{};
  std::size_t ready_count_ = 0;
  Instant armed_ = kNever;

  const CarrierKind kind_;
  const std::uint16_t port_;
  const std::function<void()> wakeup_;
  const SystemClock clock_;
  UniqueFd epoll_;
  UniqueFd signal_;
  UniqueFd timer_;
  std::atomic<bool> stopping_{false};

  mutable std::mutex mutex_;
  std::vector<Command> commands_;
  std::map<SessionId, View> views_;
  std::vector<SessionId> credited_;
  std::vector<CarrierEvent> events_;
  CarrierCounters counters_;
  bool signalled_ = false;  // the thread will look at the queue
  bool woken_ = false;      // the control thread will take the events
  std::uint64_t openings_ = 0;

  std::thread thread_;
};

}  // namespace lansync
