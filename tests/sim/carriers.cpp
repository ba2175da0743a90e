#include "sim/carriers.h"

#include <algorithm>
#include <iterator>

namespace lansync::sim {
namespace {

constexpr Duration kProbeTime = 1s;
constexpr Duration kRetryMax = 60s;
// One step of a carrier's thread.
constexpr Duration kStepCost = 20us;
constexpr std::size_t kStreamBuffer = 64 * 1024;

}  // namespace

// ---- both
// ---------------------------------------------------------------------------------------

void SimCarrier::step_at(Instant when) {
  if (when == kNever) return;
  when = std::max({when, place_.queue.now() + kStepCost, place_.frozen_until()});
  if (when >= due_) return;
  due_ = when;
  std::weak_ptr<int> alive = alive_;
  place_.queue.at(when, [this, alive, number = ++number_] {
    if (alive.expired() || number != number_) return;
    due_ = kNever;
    const Instant now = place_.queue.now();
    if (now < place_.frozen_until()) return step_at(now);
    step(now);
  });
}

void SimCarrier::tell(std::vector<CarrierEvent> events) {
  if (events.empty()) return;
  events_.insert(events_.end(), std::make_move_iterator(events.begin()),
                 std::make_move_iterator(events.end()));
  place_.wakeup();
}

void SimCarrier::hand_back(SessionId session, const CarrierStatus& status,
                           std::vector<ContentBlock> blocks) {
  if (blocks.empty()) return;
  std::vector<CarrierEvent> events;
  events.emplace_back(CarrierChanged{session, status, std::move(blocks)});
  tell(std::move(events));
}

// ---- lane
// ---------------------------------------------------------------------------------------

SimLane::SimLane(Place place) : SimCarrier(std::move(place)), fd_(place_.network.open_socket()) {
  (void)place_.network.bind(fd_, {place_.ip, place_.port});
  place_.network.set_on_readable(fd_, [this] { step_at(place_.queue.now()); });
}

SimLane::~SimLane() { place_.network.close(fd_); }

void SimLane::open(const CarrierPeer& peer) {
  close(peer.session);
  Line line{peer.address, std::make_unique<LaneConnection>(peer, place_.queue.now())};
  by_tag_.try_emplace(line.connection->receive_tag(), peer.session);
  lines_[peer.session] = std::move(line);
  step_at(place_.queue.now());
}

void SimLane::close(SessionId session) {
  auto at = lines_.find(session);
  if (at == lines_.end()) return;
  tell(at->second.connection->take_events());
  hand_back(session, CarrierStatus{}, at->second.connection->take_undelivered());
  std::erase_if(by_tag_, [&](const auto& tag) { return tag.second == session; });
  lines_.erase(at);
}

std::uint64_t SimLane::room(SessionId session) const {
  auto at = lines_.find(session);
  return at == lines_.end() ? 0 : at->second.connection->room();
}

void SimLane::send(SessionId session, ContentBlock block) {
  auto at = lines_.find(session);
  if (at == lines_.end() || block.data.size() > at->second.connection->room()) {
    std::vector<ContentBlock> back;
    back.push_back(std::move(block));
    hand_back(session, status(session), std::move(back));
    return;
  }
  at->second.connection->send(std::move(block));
  step_at(place_.queue.now());
}

void SimLane::credit(SessionId session, std::uint64_t bytes) {
  auto at = lines_.find(session);
  if (at == lines_.end()) return;
  at->second.connection->credit(bytes);
  step_at(place_.queue.now());
}

CarrierStatus SimLane::status(SessionId session) const {
  auto at = lines_.find(session);
  return at == lines_.end() ? CarrierStatus{} : at->second.connection->status();
}

void SimLane::step(Instant now) {
  Address from;
  Bytes datagram;
  while (place_.network.receive(fd_, from, datagram)) {
    auto tag = LaneConnection::tag_of(datagram);
    auto at = tag ? by_tag_.find(*tag) : by_tag_.end();
    if (at != by_tag_.end()) lines_.at(at->second).connection->on_datagram(datagram, now);
  }
  Instant next = kNever;
  for (auto& [session, line] : lines_) {
    LaneBurst burst;
    // A carrier's thread looks at its socket again after a few.
    int bursts = 0;
    while (bursts < 4 && line.connection->produce(now, burst)) {
      ++bursts;
      for (std::size_t i = 0, begin = 0; i < burst.count; ++i, begin += burst.segment) {
        const std::size_t end = std::min(begin + burst.segment, burst.bytes.size());
        place_.network.send(fd_, line.address,
                            Bytes(burst.bytes.begin() + static_cast<std::ptrdiff_t>(begin),
                                  burst.bytes.begin() + static_cast<std::ptrdiff_t>(end)));
      }
    }
    tell(line.connection->take_events());
    next = std::min(next, bursts == 4 ? now : line.connection->deadline());
  }
  step_at(next);
}

// ---- tcp
// ---------------------------------------------------------------------------------------

SimTcp::SimTcp(Place place) : SimCarrier(std::move(place)) {
  place_.network.streams().listen({place_.ip, place_.port}, this);
}

SimTcp::~SimTcp() { place_.network.streams().leave(this); }

void SimTcp::open(const CarrierPeer& peer) {
  close(peer.session);
  const Instant now = place_.queue.now();
  Line& line = lines_[peer.session];
  line.peer = peer;
  line.connection = std::make_unique<TcpConnection>(peer);
  line.give_up_at = now + kProbeTime;
  if (peer.initiator) line.dial_at = now;
  step_at(now);
}

void SimTcp::close(SessionId session) {
  auto at = lines_.find(session);
  if (at == lines_.end()) return;
  tell(at->second.connection->take_events());
  hand_back(session, CarrierStatus{}, at->second.connection->take_undelivered());
  if (at->second.stream != 0) {
    dialled_.erase(at->second.stream);
    received_.erase(at->second.stream);
    place_.network.streams().close(at->second.stream, this);
  }
  lines_.erase(at);
}

std::uint64_t SimTcp::room(SessionId session) const {
  auto at = lines_.find(session);
  return at == lines_.end() ? 0 : at->second.connection->room();
}

void SimTcp::send(SessionId session, ContentBlock block) {
  auto at = lines_.find(session);
  if (at == lines_.end() || block.data.size() > at->second.connection->room()) {
    std::vector<ContentBlock> back;
    back.push_back(std::move(block));
    hand_back(session, status(session), std::move(back));
    return;
  }
  at->second.connection->send(std::move(block));
  step_at(place_.queue.now());
}

void SimTcp::credit(SessionId session, std::uint64_t bytes) {
  auto at = lines_.find(session);
  if (at == lines_.end()) return;
  at->second.connection->credit(bytes);
  step_at(place_.queue.now());
}

CarrierStatus SimTcp::status(SessionId session) const {
  auto at = lines_.find(session);
  return at == lines_.end() ? CarrierStatus{} : at->second.connection->status();
}

void SimTcp::on_stream(StreamId stream) {
  if (!dialled_.contains(stream) &&
      std::find(strangers_.begin(), strangers_.end(), stream) == strangers_.end()) {
    strangers_.push_back(stream);
  }
  step_at(place_.queue.now());
}

// Somebody connected to us: by its opening we know whose stream it is.
void SimTcp::take_stranger(StreamId stream, Instant now) {
  Streams& streams = place_.network.streams();
  Bytes& in = received_[stream];
  const bool open = streams.take(stream, this, in);
  const auto id = TcpConnection::opening_id(in);
  const bool whole = in.size() >= TcpConnection::kOpeningBytes;
  auto drop = [&] {
    received_.erase(stream);
    std::erase(strangers_, stream);
    streams.close(stream, this);
  };
  if (!open && !whole) return drop();
  if (!whole || !id) return;
  const ByteView opening = ByteView(in).first(TcpConnection::kOpeningBytes);
  for (auto& [session, line] : lines_) {
    if (line.peer.theirs != *id) continue;
    if (!line.connection->opens(opening)) return drop();
    if (line.stream != 0) {
      if (line.connection->up()) line.connection->detach("the other side began anew");
      dialled_.erase(line.stream);
      received_.erase(line.stream);
      streams.close(line.stream, this);
      line.stream = 0;
    }
    Bytes ours = line.connection->opening();
    if (!line.connection->attach(opening)) return drop();
    streams.send(stream, this, std::move(ours));
    in.erase(in.begin(), in.begin() + static_cast<std::ptrdiff_t>(opening.size()));
    line.stream = stream;
    line.dial_at = line.give_up_at = kNever;
    dialled_[stream] = session;
    std::erase(strangers_, stream);
    service(line, now);
    return;
  }
  // It may be here before the session's message that names it.
}

void SimTcp::lost(Line& line, const std::string& why, Instant now) {
  if (line.stream != 0) {
    dialled_.erase(line.stream);
    received_.erase(line.stream);
    place_.network.streams().close(line.stream, this);
    line.stream = 0;
  }
  if (line.connection->up()) line.connection->detach(why);
  if (!line.peer.initiator) return;
  line.dial_at = now + std::min<Duration>(kRetryMax, 1s * (1 << std::min(line.failures, 6)));
  ++line.failures;
}

void SimTcp::service(Line& line, Instant now) {
  Streams& streams = place_.network.streams();
  if (line.stream == 0 && now >= line.dial_at) {
    line.dial_at = kNever;
    line.stream = streams.dial({place_.ip, place_.port}, line.peer.address, this);
    dialled_[line.stream] = line.peer.session;
    streams.send(line.stream, this, line.connection->opening());
  }
  if (now >= line.give_up_at) {
    line.give_up_at = kNever;
    if (!line.connection->up()) line.connection->detach("no answer: a firewall?");
  }
  if (line.stream != 0) {
    Bytes& in = received_[line.stream];
    const bool open = streams.take(line.stream, this, in);
    bool bad = false;
    if (!line.connection->up() && in.size() >= TcpConnection::kOpeningBytes) {
      bad = !line.connection->attach(ByteView(in).first(TcpConnection::kOpeningBytes));
      in.erase(in.begin(), in.begin() + TcpConnection::kOpeningBytes);
      if (!bad) line.give_up_at = kNever;
    }
    if (!bad && line.connection->up()) {
      line.failures = 0;
      const std::size_t used = line.connection->on_bytes(in, now);
      bad = !line.connection->up();
      in.erase(in.begin(), in.begin() + static_cast<std::ptrdiff_t>(used));
      Bytes out(kStreamBuffer);
      while (!bad && streams.room(line.stream) >= kStreamBuffer) {
        const std::size_t size = line.connection->produce(out);
        if (size == 0) break;
        streams.send(line.stream, this,
                     Bytes(out.begin(), out.begin() + static_cast<std::ptrdiff_t>(size)));
      }
    }
    if (bad || !open) lost(line, "the connection broke", now);
  }
  tell(line.connection->take_events());
}

void SimTcp::step(Instant now) {
  for (const StreamId stream : std::vector<StreamId>(strangers_)) take_stranger(stream, now);
  Instant next = kNever;
  for (auto& [session, line] : lines_) {
    service(line, now);
    next = std::min({next, line.dial_at, line.give_up_at});
  }
  step_at(next);
}

}  // namespace lansync::sim
