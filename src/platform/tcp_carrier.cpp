#include "platform/tcp_carrier.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <iterator>
#include <system_error>

#include "base/assert.h"
#include "base/log.h"
#include "platform/tcp_socket.h"

namespace lansync {
namespace {

constexpr Duration kProbeTime = 1s;
constexpr Duration kAnswerTime = 3s;
constexpr Duration kDialTime = 5s;
// How long the initiator's own dial is preferred to one that came in, and how long the other side
// leaves the dialling to it.
constexpr Duration kHeadStart = 300ms;
constexpr Duration kLongestBackoff = 60s;
constexpr Duration kRttInterval = 200ms;

Duration backoff(int failures) {
  Duration wait = 1s * (1 << std::min(failures, 6));
  return std::min(wait, kLongestBackoff);
}

}  // namespace

Result<std::unique_ptr<CarrierThread>> open_tcp_carrier(const CarrierOptions& options) {
  auto engine = TcpEngine::open(options);
  if (!engine) return engine.error();
  return CarrierThread::create(std::move(*engine), options.wakeup);
}

Result<std::unique_ptr<TcpEngine>> TcpEngine::open(const CarrierOptions& options) {
  std::unique_ptr<TcpEngine> engine(new TcpEngine);
  engine->options_ = options;
  auto listener = tcp_listen({options.bind_ip, options.port}, options.on_socket);
  if (!listener) return listener.error();
  engine->listener_ = std::move(listener->fd);
  engine->port_ = listener->port;
  return engine;
}

TcpEngine::~TcpEngine() = default;

void TcpEngine::start(const Poller& poller) {
  own_poller_ = std::make_unique<Poller>(poller);
  poller_ = own_poller_.get();
  poller_->add(listener_.get(), EPOLLIN, 0);
}

// ---- what the control thread asks for

TcpEngine::Line* TcpEngine::find(SessionId session) {
  auto at = lines_.find(session);
  return at == lines_.end() ? nullptr : &at->second;
}
const TcpEngine::Line* TcpEngine::find(SessionId session) const {
  auto at = lines_.find(session);
  return at == lines_.end() ? nullptr : &at->second;
}

void TcpEngine::touch(SessionId session) {
  busy_.insert(session);
  touched_.insert(session);
}

void TcpEngine::open(const CarrierPeer& peer, Instant now) {
  LS_ASSERT(!lines_.contains(peer.session));
  Line& line = lines_.try_emplace(peer.session, peer).first->second;
  line.key = next_key_++;
  line_keys_[line.key] = peer.session;
  line.blocked_at = now + kProbeTime;
  line.dial_at = peer.initiator ? now : now + kHeadStart;
  match_strangers(line, now);
  schedule(line);
  touch(peer.session);
}

std::vector<ContentBlock> TcpEngine::close(SessionId session) {
  Line* line = find(session);
  if (line == nullptr) return {};
  for (Key key : {line->dial, line->waiting, line->live})
    if (key != 0) drop(key);
  for (CarrierEvent& event : line->connection.take_events()) events_.push_back(std::move(event));
  auto back = line->connection.take_undelivered();
  timers_.erase({line->deadline, line->key});
  line_keys_.erase(line->key);
  counters_.damaged += line->connection.damaged();
  lines_.erase(session);
  busy_.erase(session);
  touched_.erase(session);
  return back;
}

void TcpEngine::send(SessionId session, ContentBlock block) {
  Line* line = find(session);
  LS_ASSERT(line != nullptr);
  line->connection.send(std::move(block));
  touch(session);
}

void TcpEngine::credit(SessionId session, std::uint64_t bytes) {
  if (Line* line = find(session)) {
    line->connection.credit(bytes);
    touch(session);
  }
}

std::uint64_t TcpEngine::room(SessionId session) const {
  const Line* line = find(session);
  return line == nullptr ? 0 : line->connection.room();
}

CarrierStatus TcpEngine::status(SessionId session) const {
  const Line* line = find(session);
  return line == nullptr ? CarrierStatus{} : line->connection.status();
}

std::vector<CarrierEvent> TcpEngine::take_events() { return std::exchange(events_, {}); }

std::vector<SessionId> TcpEngine::take_touched() {
  std::vector<SessionId> out(touched_.begin(), touched_.end());
  touched_.clear();
  return out;
}

CarrierCounters TcpEngine::counters() const {
  CarrierCounters out = counters_;
  for (const auto& [session, line] : lines_) out.damaged += line.connection.damaged();
  return out;
}

// ---- a line: who dials, when, and what it means that it failed

void TcpEngine::schedule(Line& line) {
  Instant next = std::min(line.dial_at, line.blocked_at);
  if (line.waiting != 0 && line.dial != 0) next = std::min(next, line.dial_began + kHeadStart);
  if (next == line.deadline) return;
  timers_.erase({line.deadline, line.key});
  line.deadline = next;
  if (next != kNever) timers_.insert({next, line.key});
}

void TcpEngine::on_line_due(Line& line, Instant now) {
  if (line.live == 0 && line.waiting != 0 &&
      (line.dial == 0 || now >= line.dial_began + kHeadStart)) {
    adopt(line, line.waiting, now);
  }
  if (line.live == 0 && now >= line.dial_at) dial(line, now);
  if (now >= line.blocked_at) {
    line.blocked_at = kNever;
    if (line.live == 0) {
      if (line.why.empty())
        line.why = str("no answer from ", to_string(line.peer.address),
                       "/tcp, and no connection from there: a firewall?");
      line.connection.detach(line.why);
    }
  }
  schedule(line);
  touch(line.peer.session);
}

void TcpEngine::dial(Line& line, Instant now) {
  line.dial_at = kNever;
  if (line.dial != 0) return;
  auto fd = tcp_dial(line.peer.address, options_.bind_ip, options_.on_socket);
  if (!fd) {
    failed(line, fd.error().detail, now);
    return;
  }
  line.dial_began = now;
  line.dial = add_socket(std::move(*fd), Stage::kDialling, line.peer.session, EPOLLOUT);
  set_deadline(line.dial, sockets_.at(line.dial), now + kDialTime);
}

// Neither direction has led to anything: again later.
void TcpEngine::failed(Line& line, std::string why, Instant now) {
  line.why = std::move(why);
  if (line.dial == 0 && line.live == 0 && line.waiting != 0) {
    adopt(line, line.waiting, now);
    return;
  }
  if (line.dial == 0 && line.waiting == 0 && line.live == 0) {
    line.dial_at = now + backoff(line.failures) + (line.peer.initiator ? Duration{0} : kHeadStart);
    line.failures = std::min(line.failures + 1, 30);
  }
  schedule(line);
  touch(line.peer.session);
}

// The live connection is gone. What the stream itself said of it stands in its status already.
void TcpEngine::lost(Line& line, std::string why, Instant now) {
  drop(line.live);
  line.live = 0;
  if (line.connection.up()) line.connection.detach(why);
  line.failures = 0;
  failed(line, std::move(why), now);
}

void TcpEngine::on_connected(Key key, Instant now) {
  Socket& socket = sockets_.at(key);
  Line& line = *find(socket.session);
  int error = 0;
  socklen_t size = sizeof error;
  getsockopt(socket.fd.get(), SOL_SOCKET, SO_ERROR, &error, &size);
  if (error != 0) {
    line.dial = 0;
    drop(key);
    failed(line,
           str("no connection to ", to_string(line.peer.address),
               "/tcp: ", std::generic_category().message(error)),
           now);
    return;
  }
  socket.stage = Stage::kAsking;
  socket.out = line.connection.opening();
  socket.out_size = socket.out.size();
  socket.in.resize(TcpConnection::kOpeningBytes);
  set_deadline(key, socket, now + kAnswerTime);
  // A fresh connection takes 47 bytes.
  ssize_t sent =
      ::send(socket.fd.get(), socket.out.data(), socket.out_size, MSG_DONTWAIT | MSG_NOSIGNAL);
  if (sent != static_cast<ssize_t>(socket.out_size)) {
    line.dial = 0;
    drop(key);
    failed(line, str("the connection to ", to_string(line.peer.address), "/tcp broke at once"),
           now);
    return;
  }
  poller_->change(socket.fd.get(), EPOLLIN, key);
}

// What we dialled answers.
void TcpEngine::on_answer(Key key, Instant now) {
  Socket& socket = sockets_.at(key);
  Line& line = *find(socket.session);
  bool open = read_opening(socket);
  if (open && socket.in_size < TcpConnection::kOpeningBytes) return;
  if (open && line.connection.attach(socket.in)) {
    if (line.waiting != 0) drop(std::exchange(line.waiting, 0));
    line.dial = 0;
    go_live(line, key);
    return;
  }
  line.dial = 0;
  drop(key);
  failed(line,
         str(to_string(line.peer.address),
             open ? "/tcp answered with something else than this session's keys"
                  : "/tcp took the connection and closed it again"),
         now);
}

// One that came in is used: our side's opening goes out on it.
void TcpEngine::adopt(Line& line, Key key, Instant now) {
  if (line.dial != 0) drop(std::exchange(line.dial, 0));
  if (line.live != 0) {
    // Its opening is fresh and good: over there the old connection is gone.
    drop(std::exchange(line.live, 0));
    if (line.connection.up()) line.connection.detach("the other side began anew");
  }
  line.waiting = 0;
  Socket& socket = sockets_.at(key);
  Bytes theirs = std::move(socket.in);
  Bytes ours = line.connection.opening();
  if (!line.connection.attach(theirs)) {
    drop(key);
    failed(line, "a connection that came in was overtaken by another", now);
    return;
  }
  socket.out = std::move(ours);
  socket.out_size = socket.out.size();
  go_live(line, key);
}

void TcpEngine::go_live(Line& line, Key key) {
  Socket& socket = sockets_.at(key);
  Bytes first(socket.out.begin() + static_cast<std::ptrdiff_t>(socket.out_at),
              socket.out.begin() + static_cast<std::ptrdiff_t>(socket.out_size));
  if (socket.stage == Stage::kAsking) first.clear();  // sent by on_connected
  socket.stage = Stage::kLive;
  socket.session = line.peer.session;
  set_deadline(key, socket, kNever);
  socket.in.assign(kTcpBufferBytes, 0);
  socket.in_size = 0;
  socket.out.assign(kTcpBufferBytes, 0);
  std::copy(first.begin(), first.end(), socket.out.begin());
  socket.out_at = 0;
  socket.out_size = first.size();
  tcp_make_live(socket.fd.get());
  poller_->change(socket.fd.get(), EPOLLIN, key);
  line.live = key;
  line.dial_at = line.blocked_at = kNever;
  line.failures = 0;
  line.why.clear();
  schedule(line);
  touch(line.peer.session);
}

// ---- a turn

Instant TcpEngine::turn(std::span<const epoll_event> ready) {
  Instant now = clock_.now();
  for (const epoll_event& event : ready) {
    if (event.data.u64 == 0) {
      accept_some(now);
    } else {
      on_ready(event.data.u64, event.events, now);
    }
  }
  if (now >= listen_again_) {
    listen_again_ = kNever;
    poller_->change(listener_.get(), EPOLLIN, 0);
  }
  while (!timers_.empty() && timers_.begin()->first <= now) {
    Key key = timers_.begin()->second;
    timers_.erase(timers_.begin());
    auto line_key = line_keys_.find(key);
    if (line_key != line_keys_.end()) {
      Line& line = lines_.at(line_key->second);
      line.deadline = kNever;
      on_line_due(line, now);
      continue;
    }
    Socket& socket = sockets_.at(key);
    socket.deadline = kNever;
    SessionId session = socket.session;
    Stage stage = socket.stage;
    if (stage == Stage::kStranger) ++counters_.strangers;
    drop(key);
    Line* line = find(session);
    if (line == nullptr) continue;
    if (line->dial == key) line->dial = 0;
    if (line->waiting == key) line->waiting = 0;
    failed(*line,
           str("no answer from ", to_string(line->peer.address),
               stage == Stage::kDialling ? "/tcp: a firewall?"
                                         : "/tcp, though it took the connection"),
           now);
  }
  auto busy = std::exchange(busy_, {});
  for (SessionId session : busy)
    if (Line* line = find(session)) service(*line, now);
  Instant next = busy_.empty() ? listen_again_ : now;
  if (!timers_.empty()) next = std::min(next, timers_.begin()->first);
  return next;
}

void TcpEngine::service(Line& line, Instant now) {
  if (line.live != 0 && !write_live(line.live, now)) {
    lost(line, "the connection broke", now);
  } else if (line.live != 0) {
    look_at_rtt(line, now);
  }
  for (CarrierEvent& event : line.connection.take_events()) events_.push_back(std::move(event));
  touched_.insert(line.peer.session);
}

void TcpEngine::look_at_rtt(Line& line, Instant now) {
  if (now < line.rtt_at + kRttInterval) return;
  line.rtt_at = now;
  tcp_info info{};
  socklen_t size = sizeof info;
  if (getsockopt(sockets_.at(line.live).fd.get(), IPPROTO_TCP, TCP_INFO, &info, &size) == 0)
    line.connection.set_rtt(info.tcpi_rtt);
}

}  // namespace lansync
