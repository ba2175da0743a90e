#include "platform/lane_carrier.h"

#include <algorithm>
#include <cerrno>
#include <iterator>

#include "base/assert.h"

namespace lansync {
namespace {

constexpr std::uint64_t kSocketKey = 1;
// A turn's bounds. The receive buffer of an ordinary user holds four bursts: sending more than a
// few before looking at it again would lose what comes in meanwhile.
constexpr int kReceivesPerTurn = 4;
constexpr int kBurstsPerTurn = 4;
constexpr Duration kFullPause = 1ms;
constexpr int kTrain = 12;
constexpr Duration kNap = 50us;
constexpr Duration kStrangersNap = 1ms;

}  // namespace

Result<std::unique_ptr<CarrierThread>> open_lane_carrier(const CarrierOptions& options) {
  auto engine = LaneEngine::open(options);
  if (!engine) return engine.error();
  return CarrierThread::create(std::move(*engine), options.wakeup);
}

Result<std::unique_ptr<LaneEngine>> LaneEngine::open(const CarrierOptions& options) {
  LaneSocket::Options socket;
  socket.bind_ip = options.bind_ip;
  socket.port = options.port;
  socket.on_socket = options.on_socket;
  socket.plain = options.plain_udp;
  auto opened = LaneSocket::open(socket);
  if (!opened) return opened.error();
  return std::unique_ptr<LaneEngine>(new LaneEngine(std::move(*opened)));
}

void LaneEngine::start(const Poller& poller) {
  poller_.emplace(poller);
  poller_->add(socket_.fd(), EPOLLIN, kSocketKey);
}

void LaneEngine::watch_writable(bool on) {
  if (on == waits_writable_) return;
  waits_writable_ = on;
  poller_->change(socket_.fd(), EPOLLIN | (on ? std::uint32_t{EPOLLOUT} : 0u), kSocketKey);
}

void LaneEngine::touch(Line& line) {
  if (!std::exchange(line.busy, true)) busy_.push_back(&line);
  if (!std::exchange(line.touched, true)) touched_.push_back(&line);
}

void LaneEngine::open(const CarrierPeer& peer, Instant now) {
  LS_ASSERT(!lines_.contains(peer.session));
  auto line = std::make_unique<Line>(peer, now);
  // The other side chose the tag. Of two that are equal the first is heard; the later one finds its
  // lane blocked, and opens it anew with another id. So no member can take a lane from another.
  by_tag_.try_emplace(line->connection.receive_tag(), line.get());
  touch(*line);
  lines_[peer.session] = std::move(line);
}

std::vector<ContentBlock> LaneEngine::close(SessionId session) {
  auto at = lines_.find(session);
  if (at == lines_.end()) return {};
  Line& line = *at->second;
  for (CarrierEvent& event : line.connection.take_events()) events_.push_back(std::move(event));
  auto back = line.connection.take_undelivered();
  if (burst_of_ == &line) {
    burst_of_ = nullptr;
    watch_writable(false);
  }
  busy_.erase(std::remove(busy_.begin(), busy_.end(), &line), busy_.end());
  touched_.erase(std::remove(touched_.begin(), touched_.end(), &line), touched_.end());
  timers_.erase({line.deadline, session});
  auto tag = by_tag_.find(line.connection.receive_tag());
  if (tag != by_tag_.end() && tag->second == &line) by_tag_.erase(tag);
  lines_.erase(at);
  return back;
}

void LaneEngine::send(SessionId session, ContentBlock block) {
  Line& line = *lines_.at(session);
  line.connection.send(std::move(block));
  touch(line);
}

void LaneEngine::credit(SessionId session, std::uint64_t bytes) {
  auto at = lines_.find(session);
  if (at == lines_.end()) return;
  at->second->connection.credit(bytes);
  touch(*at->second);
}

std::uint64_t LaneEngine::room(SessionId session) const {
  auto at = lines_.find(session);
  return at == lines_.end() ? 0 : at->second->connection.room();
}

CarrierStatus LaneEngine::status(SessionId session) const {
  auto at = lines_.find(session);
  return at == lines_.end() ? CarrierStatus{} : at->second->connection.status();
}

std::vector<CarrierEvent> LaneEngine::take_events() { return std::exchange(events_, {}); }

std::vector<SessionId> LaneEngine::take_touched() {
  std::vector<SessionId> out;
  out.reserve(touched_.size());
  for (Line* line : touched_) {
    line->touched = false;
    out.push_back(line->session);
  }
  touched_.clear();
  return out;
}

// ---- a turn

Instant LaneEngine::turn(std::span<const epoll_event>) {
  bool more = receive();
  Instant now = clock_.now();
  while (!timers_.empty() && timers_.begin()->first <= now) {
    Line& line = *lines_.at(timers_.begin()->second);
    timers_.erase(timers_.begin());
    line.deadline = kNever;
    touch(line);
  }
  transmit();
  for (Line* line : touched_) settle(*line);
  Instant next = timers_.empty() ? kNever : timers_.begin()->first;
  if (more || (burst_of_ == nullptr && !busy_.empty())) return now;
  // While the socket takes no more, what is due stays due: being asked at once would be a spin.
  return burst_of_ == nullptr ? next : std::max(next, now + kFullPause);
}

// Where datagrams come one by one (no GRO, a slow line) each would wake the thread: at 1 Gbit/s
// that costs more than all else together. A train is worth waking for. What is nobody's here can
// wait for more of its kind: noise at 1,700 a second took four hundredths of a core.
Duration LaneEngine::nap() const {
  if (received_ > 0 && received_ == unasked_) return kStrangersNap;
  return received_ > 0 && received_ < kTrain ? kNap : Duration{0};
}

// True if the socket may have more.
bool LaneEngine::receive() {
  received_ = unasked_ = 0;
  for (int i = 0; i < kReceivesPerTurn; ++i) {
    Instant now = clock_.now();
    bool got = socket_.receive([&](std::span<std::uint8_t> datagram) {
      ++received_;
      auto tag = LaneConnection::tag_of(datagram);
      auto at = tag ? by_tag_.find(*tag) : by_tag_.end();
      if (at == by_tag_.end()) {
        ++counters_.strangers;
        ++unasked_;
        return;
      }
      at->second->connection.on_datagram(datagram, now);
      touch(*at->second);
    });
    if (!got) return false;
  }
  return true;
}

// False: the socket takes no more for now.
bool LaneEngine::flush() {
  if (burst_of_ == nullptr) return true;
  int error = socket_.send(burst_.bytes, burst_.segment, burst_of_->address, burst_done_);
  if (error == EAGAIN || error == EWOULDBLOCK) {
    watch_writable(true);
    return false;
  }
  watch_writable(false);
  Line& line = *std::exchange(burst_of_, nullptr);
  if (error != 0) line.connection.send_failed(clock_.now(), error);
  return true;
}

void LaneEngine::transmit() {
  if (!flush()) return;
  for (int i = 0; i < kBurstsPerTurn && !busy_.empty(); ++i) {
    Line* line = busy_.front();
    busy_.pop_front();
    if (!line->connection.produce(clock_.now(), burst_)) {
      line->busy = false;
      --i;  // asked only: no burst
      continue;
    }
    busy_.push_back(line);
    if (!std::exchange(line->touched, true)) touched_.push_back(line);
    burst_of_ = line;
    burst_done_ = 0;
    if (!flush()) return;
  }
}

// What it has to tell, and when it wants to be asked again.
void LaneEngine::settle(Line& line) {
  auto events = line.connection.take_events();
  events_.insert(events_.end(), std::make_move_iterator(events.begin()),
                 std::make_move_iterator(events.end()));
  Instant deadline = line.connection.deadline();
  if (deadline == line.deadline) return;
  if (line.deadline != kNever) timers_.erase({line.deadline, line.session});
  line.deadline = deadline;
  if (deadline != kNever) timers_.insert({deadline, line.session});
}

}  // namespace lansync
