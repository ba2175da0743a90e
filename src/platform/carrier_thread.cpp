#include "platform/carrier_thread.h"

#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <algorithm>
#include <ctime>
#include <iterator>

#include "base/assert.h"
#include "platform/start_thread.h"

namespace lansync {
namespace {

// Keys of the thread's own descriptors; engines number theirs from 0.
constexpr std::uint64_t kSignalKey = ~std::uint64_t{0};
constexpr std::uint64_t kTimerKey = kSignalKey - 1;
constexpr std::size_t kMaxBlockBytes = kMaxBlockChunks * 1000;
// A status holds text and is looked at by people: every turn would be for nobody.
constexpr Duration kStatusInterval = 20ms;

void control(int epoll, int operation, int fd, std::uint32_t events, std::uint64_t key) {
  epoll_event event{};
  event.events = events;
  event.data.u64 = key;
  LS_ASSERT(epoll_ctl(epoll, operation, fd, &event) == 0);
}

}  // namespace

void Poller::add(int fd, std::uint32_t events, std::uint64_t key) const {
  control(epoll_, EPOLL_CTL_ADD, fd, events, key);
}
void Poller::change(int fd, std::uint32_t events, std::uint64_t key) const {
  control(epoll_, EPOLL_CTL_MOD, fd, events, key);
}
void Poller::remove(int fd) const { control(epoll_, EPOLL_CTL_DEL, fd, 0, 0); }

CarrierThread::CarrierThread(std::unique_ptr<CarrierEngine> engine, std::function<void()> wakeup,
                             UniqueFd epoll, UniqueFd signal_fd, UniqueFd timer)
    : engine_(std::move(engine)),
      kind_(engine_->kind()),
      port_(engine_->port()),
      wakeup_(std::move(wakeup)),
      epoll_(std::move(epoll)),
      signal_(std::move(signal_fd)),
      timer_(std::move(timer)) {}

Result<std::unique_ptr<CarrierThread>> CarrierThread::create(std::unique_ptr<CarrierEngine> engine,
                                                             std::function<void()> wakeup) {
  UniqueFd epoll(::epoll_create1(EPOLL_CLOEXEC));
  UniqueFd signal_fd(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
  UniqueFd timer(::timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC));
  if (!epoll.valid() || !signal_fd.valid() || !timer.valid())
    return posix_error(errno, "make a carrier's descriptors");
  // Edge-triggered: both are only there to wake, and need not be read each time.
  control(epoll.get(), EPOLL_CTL_ADD, signal_fd.get(), EPOLLIN | EPOLLET, kSignalKey);
  control(epoll.get(), EPOLL_CTL_ADD, timer.get(), EPOLLIN | EPOLLET, kTimerKey);
  std::unique_ptr<CarrierThread> carrier(new CarrierThread(std::move(engine), std::move(wakeup),
                                                           std::move(epoll), std::move(signal_fd),
                                                           std::move(timer)));
  carrier->engine_->start(Poller(carrier->epoll_.get()));
  auto thread = start_thread([raw = carrier.get()] { raw->run(); });
  if (!thread) return thread.error();
  carrier->thread_ = std::move(*thread);
  return carrier;
}

CarrierThread::~CarrierThread() {
  stopping_ = true;
  signal();
  if (thread_.joinable()) thread_.join();
}

// ---- the control thread's side

void CarrierThread::signal() const {
  std::uint64_t one = 1;
  // EAGAIN means that the counter is at its end; it wakes all the same.
  (void)!::write(signal_.get(), &one, sizeof one);
}

void CarrierThread::push(Command command) {
  commands_.push_back(std::move(command));
  if (!std::exchange(signalled_, true)) signal();
}

void CarrierThread::open(const CarrierPeer& peer) {
  std::lock_guard lock(mutex_);
  View& view = views_[peer.session];
  view.asked = ++openings_;
  view.handed = view.limit = view.credit = 0;
  view.status = CarrierStatus{};
  view.status.state = CarrierState::kProbing;
  Command command;
  command.kind = Command::Kind::kOpen;
  command.session = peer.session;
  command.opening = view.asked;
  command.peer = std::make_unique<CarrierPeer>(peer);
  push(std::move(command));
}

void CarrierThread::close(SessionId session) {
  std::lock_guard lock(mutex_);
  if (views_.erase(session) == 0) return;
  Command command;
  command.session = session;
  push(std::move(command));
}

std::uint64_t CarrierThread::room(SessionId session) const {
  std::lock_guard lock(mutex_);
  auto at = views_.find(session);
  return at == views_.end() ? 0 : at->second.room();
}

void CarrierThread::send(SessionId session, ContentBlock block) {
  bool wake = false;
  {
    std::lock_guard lock(mutex_);
    auto at = views_.find(session);
    if (at != views_.end() && !block.data.empty() && block.data.size() <= at->second.room()) {
      at->second.handed += block.data.size();
      Command command;
      command.kind = Command::Kind::kSend;
      command.session = session;
      command.block = std::move(block);
      push(std::move(command));
      return;
    }
    // The carrier went down, or was closed, since the caller asked for the room.
    CarrierChanged back;
    back.session = session;
    if (at != views_.end()) back.status = at->second.status;
    back.undelivered.push_back(std::move(block));
    events_.emplace_back(std::move(back));
    wake = !std::exchange(woken_, true);
  }
  if (wake && wakeup_) wakeup_();
}

void CarrierThread::credit(SessionId session, std::uint64_t bytes) {
  std::lock_guard lock(mutex_);
  auto at = views_.find(session);
  if (at == views_.end() || bytes == 0) return;
  if (at->second.credit == 0) credited_.push_back(session);
  at->second.credit += bytes;
  if (!std::exchange(signalled_, true)) signal();
}

CarrierStatus CarrierThread::status(SessionId session) const {
  std::lock_guard lock(mutex_);
  auto at = views_.find(session);
  return at == views_.end() ? CarrierStatus{} : at->second.status;
}

std::vector<CarrierEvent> CarrierThread::take_events() {
  std::lock_guard lock(mutex_);
  woken_ = false;
  return std::exchange(events_, {});
}

CarrierCounters CarrierThread::counters() const {
  std::lock_guard lock(mutex_);
  return counters_;
}

// ---- the carrier's thread

void CarrierThread::run() {
  // The default lets a nap of 50 us last 100.
  prctl(PR_SET_TIMERSLACK, 1000UL, 0UL, 0UL, 0UL);
  while (!stopping_) {
    take_commands();
    Instant deadline = engine_->turn(std::span<const epoll_event>(ready_.data(), ready_count_));
    publish();
    if (!stale_.empty()) deadline = std::min(deadline, clock_.now() + kStatusInterval);
    sleep_until(deadline, engine_->nap());
  }
}

void CarrierThread::take_commands() {
  {
    std::lock_guard lock(mutex_);
    signalled_ = false;
    batch_.swap(commands_);
    for (SessionId session : credited_) {
      auto at = views_.find(session);
      if (at != views_.end()) credits_.emplace_back(session, std::exchange(at->second.credit, 0));
    }
    credited_.clear();
  }
  for (Command& command : batch_) run_command(command);
  batch_.clear();
  // After the commands: a credit is for the opening that stands.
  for (auto [session, bytes] : credits_)
    if (bytes > 0 && taken_.contains(session)) engine_->credit(session, bytes);
  credits_.clear();
}

void CarrierThread::hand_back(SessionId session, CarrierStatus status,
                              std::vector<ContentBlock> blocks) {
  if (blocks.empty()) return;
  news_.emplace_back(CarrierChanged{session, std::move(status), std::move(blocks)});
}

void CarrierThread::run_command(Command& command) {
  SessionId session = command.session;
  auto news = [this] {
    auto events = engine_->take_events();
    news_.insert(news_.end(), std::make_move_iterator(events.begin()),
                 std::make_move_iterator(events.end()));
  };
  std::vector<ContentBlock> back;
  switch (command.kind) {
    case Command::Kind::kOpen: {
      back = engine_->close(session);
      news();  // what it still said comes first
      hand_back(session, CarrierStatus{}, std::move(back));
      Taken& taken = taken_[session];
      taken = Taken{};
      taken.opening = command.opening;
      engine_->open(*command.peer, clock_.now());
      break;
    }
    case Command::Kind::kClose:
      back = engine_->close(session);
      news();  // what it still said comes first
      hand_back(session, CarrierStatus{}, std::move(back));
      taken_.erase(session);
      break;
    case Command::Kind::kSend: {
      auto at = taken_.find(session);
      CarrierStatus status = engine_->status(session);
      if (at != taken_.end()) at->second.bytes += command.block.data.size();
      if (at == taken_.end() || status.state != CarrierState::kUp) {
        back.push_back(std::move(command.block));
        news();  // that it went down comes first
        hand_back(session, status, std::move(back));
      } else {
        engine_->send(session, std::move(command.block));
      }
      break;
    }
  }
}

bool CarrierThread::publish_session(SessionId session, Instant now) {
  auto taken = taken_.find(session);
  auto view = views_.find(session);
  // What was closed, or opened anew since: nobody asks for this one any more.
  if (taken == taken_.end() || view == views_.end() ||
      taken->second.opening != view->second.asked) {
    stale_.erase(session);
    return false;
  }
  std::uint64_t before = view->second.room();
  CarrierStatus status = engine_->status(session);
  view->second.opening = taken->second.opening;
  view->second.limit = taken->second.bytes + engine_->room(session);
  if (status.state != taken->second.told || now >= taken->second.told_at + kStatusInterval) {
    taken->second.told = status.state;
    taken->second.told_at = now;
    view->second.status = std::move(status);
    stale_.erase(session);
  } else {
    stale_.insert(session);
  }
  std::uint64_t after = view->second.room();
  return after > before && before < kMaxBlockBytes;
}

void CarrierThread::publish() {
  auto touched = engine_->take_touched();
  touched.insert(touched.end(), stale_.begin(), stale_.end());
  auto events = engine_->take_events();
  bool wake = false;
  {
    Instant now = clock_.now();
    std::lock_guard lock(mutex_);
    for (SessionId session : touched) wake = publish_session(session, now) || wake;
    for (auto* from : {&news_, &events})
      events_.insert(events_.end(), std::make_move_iterator(from->begin()),
                     std::make_move_iterator(from->end()));
    news_.clear();
    wake = wake || !events_.empty();
    counters_ = engine_->counters();
    wake = wake && !std::exchange(woken_, true);
  }
  if (wake && wakeup_) wakeup_();
}

void CarrierThread::sleep_until(Instant deadline, Duration nap) {
  int timeout = -1;
  Instant now = clock_.now();
  if (nap > Duration{0} && now < deadline) {
    // Not in epoll_wait: a sender would wake us for each datagram.
    timespec length{0, static_cast<long>(std::min(nap, deadline - now).count()) * 1000};
    (void)::nanosleep(&length, nullptr);
    now += nap;
  }
  if (deadline <= now) {
    timeout = 0;
  } else if (deadline != armed_) {
    // epoll's own timeout counts milliseconds; pacing needs tens of microseconds.
    itimerspec when{};
    if (deadline != kNever) {
      auto us = deadline.time_since_epoch().count();
      when.it_value.tv_sec = us / 1'000'000;
      when.it_value.tv_nsec = us % 1'000'000 * 1000;
    }
    LS_ASSERT(::timerfd_settime(timer_.get(), TFD_TIMER_ABSTIME, &when, nullptr) == 0);
    armed_ = deadline;
  }
  int count = ::epoll_wait(epoll_.get(), ready_.data(), static_cast<int>(ready_.size()), timeout);
  LS_ASSERT(count >= 0 || errno == EINTR);
  ready_count_ = 0;
  for (int i = 0; i < count; ++i) {
    const epoll_event& event = ready_[static_cast<std::size_t>(i)];
    if (event.data.u64 == kTimerKey) {
      armed_ = kNever;  // it has gone off
    } else if (event.data.u64 != kSignalKey) {
      ready_[ready_count_++] = event;
    }
  }
}

}  // namespace lansync
