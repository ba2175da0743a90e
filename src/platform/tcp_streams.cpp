// TcpEngine's sockets: strangers who connect, and the bytes of live streams.
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/assert.h"
#include "base/log.h"
#include "platform/tcp_carrier.h"
#include "platform/tcp_socket.h"

namespace lansync {
namespace {

// A stranger costs a descriptor and 47 bytes for so long. Beyond the count the oldest has to go: an
// honest one says who it is within a round trip, so it is not the one that waits longest.
constexpr std::size_t kMaxStrangers = 64;
constexpr std::size_t kMaxStrangersOfAddress = 8;
constexpr Duration kStrangerTime = 3s;
constexpr int kAcceptsPerTurn = 32;
constexpr int kReadsPerTurn = 8;
constexpr int kWritesPerTurn = 8;

}  // namespace

TcpEngine::Key TcpEngine::add_socket(UniqueFd fd, Stage stage, SessionId session,
                                     std::uint32_t events) {
  Key key = next_key_++;
  poller_->add(fd.get(), events, key);
  Socket& socket = sockets_[key];
  socket.fd = std::move(fd);
  socket.stage = stage;
  socket.session = session;
  return key;
}

void TcpEngine::set_deadline(Key key, Socket& socket, Instant deadline) {
  if (socket.deadline != kNever) timers_.erase({socket.deadline, key});
  socket.deadline = deadline;
  if (deadline != kNever) timers_.insert({deadline, key});
}

// Closing takes it from the poller too. What was read in this round for it finds no socket.
void TcpEngine::drop(Key key) {
  auto at = sockets_.find(key);
  LS_ASSERT(at != sockets_.end());
  set_deadline(key, at->second, kNever);
  if (at->second.stage == Stage::kStranger)
    strangers_.erase(std::remove(strangers_.begin(), strangers_.end(), key), strangers_.end());
  sockets_.erase(at);
}

// ---- strangers

void TcpEngine::accept_some(Instant now) {
  for (int i = 0; i < kAcceptsPerTurn; ++i) {
    sockaddr_in from{};
    socklen_t size = sizeof from;
    UniqueFd fd(::accept4(listener_.get(), reinterpret_cast<sockaddr*>(&from), &size,
                          SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (!fd.valid()) {
      if (errno == EAGAIN || errno == EWOULDBLOCK) return;
      if (errno == EINTR || errno == ECONNABORTED) continue;
      // No descriptor or memory is left. It stays readable: asked at once it would spin.
      poller_->change(listener_.get(), 0, 0);
      listen_again_ = now + 1s;
      return;
    }
    std::uint32_t ip = ntohl(from.sin_addr.s_addr);
    if (!make_place(ip)) {
      ++counters_.strangers;
      continue;
    }
    Key key = add_socket(std::move(fd), Stage::kStranger, 0, EPOLLIN);
    Socket& socket = sockets_.at(key);
    socket.ip = ip;
    socket.in.resize(TcpConnection::kOpeningBytes);
    strangers_.push_back(key);
    set_deadline(key, socket, now + kStrangerTime);
  }
}

bool TcpEngine::make_place(std::uint32_t ip) {
  auto same = std::count_if(strangers_.begin(), strangers_.end(),
                            [&](Key key) { return sockets_.at(key).ip == ip; });
  if (static_cast<std::size_t>(same) >= kMaxStrangersOfAddress) return false;
  if (strangers_.size() >= kMaxStrangers) {
    ++counters_.strangers;
    drop(strangers_.front());
  }
  return true;
}

// Reads no more than an opening. False: the other side closed it.
bool TcpEngine::read_opening(Socket& socket) {
  while (socket.in_size < TcpConnection::kOpeningBytes) {
    ssize_t got = ::recv(socket.fd.get(), socket.in.data() + socket.in_size,
                         TcpConnection::kOpeningBytes - socket.in_size, MSG_DONTWAIT);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return errno == EAGAIN || errno == EWOULDBLOCK;
    if (got == 0) return false;
    socket.in_size += static_cast<std::size_t>(got);
  }
  return true;
}

void TcpEngine::on_stranger(Key key, std::uint32_t events, Instant now) {
  Socket& socket = sockets_.at(key);
  bool open = (events & (EPOLLERR | EPOLLHUP)) == 0 && read_opening(socket);
  bool malformed = socket.in_size >= TcpConnection::kPreambleBytes &&
                   !TcpConnection::opening_id(ByteView(socket.in).first(socket.in_size));
  if (!open || malformed) {
    ++counters_.strangers;
    drop(key);
    return;
  }
  if (socket.in_size < TcpConnection::kOpeningBytes) return;
  // Asked for nothing more: what comes after the opening is for the stream.
  poller_->change(socket.fd.get(), 0, key);
  CarrierId id = *TcpConnection::opening_id(socket.in);
  for (auto& [session, line] : lines_) {
    if (line.peer.theirs != id) continue;
    introduce(key, line, now);
    return;
  }
  // Nobody's yet: it may be here before the session's message that names it. Until its deadline.
}

// A session was opened: is the one who waits for it here already?
void TcpEngine::match_strangers(Line& line, Instant now) {
  auto waiting = strangers_;
  for (Key key : waiting) {
    const Socket& socket = sockets_.at(key);
    if (socket.in_size == TcpConnection::kOpeningBytes &&
        TcpConnection::opening_id(socket.in) == line.peer.theirs) {
      introduce(key, line, now);
      return;
    }
  }
}

void TcpEngine::introduce(Key key, Line& line, Instant now) {
  Socket& socket = sockets_.at(key);
  if (!line.connection.opens(socket.in)) {
    ++counters_.strangers;
    drop(key);
    return;
  }
  strangers_.erase(std::remove(strangers_.begin(), strangers_.end(), key), strangers_.end());
  socket.session = line.peer.session;
  socket.stage = Stage::kWaiting;
  set_deadline(key, socket, kNever);
  bool own_dial_first =
      line.peer.initiator && line.live == 0 && (line.dial != 0 || line.dial_at <= now);
  if (!own_dial_first) {
    if (line.waiting != 0) drop(std::exchange(line.waiting, 0));
    adopt(line, key, now);
    return;
  }
  if (line.waiting != 0) drop(line.waiting);
  line.waiting = key;
  schedule(line);
}

// ---- streams

void TcpEngine::on_ready(Key key, std::uint32_t events, Instant now) {
  auto at = sockets_.find(key);
  if (at == sockets_.end()) return;  // dropped in this very round
  switch (at->second.stage) {
    case Stage::kStranger:
      on_stranger(key, events, now);
      break;
    case Stage::kDialling:
      on_connected(key, now);
      break;
    case Stage::kAsking:
      on_answer(key, now);
      break;
    case Stage::kWaiting: {
      // Only errors are asked for: it broke while it waited.
      Line& line = *find(at->second.session);
      line.waiting = 0;
      drop(key);
      failed(line, "a connection that came in broke", now);
      break;
    }
    case Stage::kLive:
      if ((events & (EPOLLIN | EPOLLERR | EPOLLHUP)) != 0) read_live(key, now);
      if (auto still = sockets_.find(key); still != sockets_.end()) touch(still->second.session);
      break;
  }
}

void TcpEngine::read_live(Key key, Instant now) {
  Socket& socket = sockets_.at(key);
  Line& line = *find(socket.session);
  touch(line.peer.session);
  for (int i = 0; i < kReadsPerTurn; ++i) {
    std::size_t space = socket.in.size() - socket.in_size;
    ssize_t got = ::recv(socket.fd.get(), socket.in.data() + socket.in_size, space, MSG_DONTWAIT);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return;
    if (got <= 0) {
      lost(line,
           got == 0 ? std::string("the other side closed the connection")
                    : posix_error(errno, "read from " + to_string(line.peer.address)).detail,
           now);
      return;
    }
    socket.in_size += static_cast<std::size_t>(got);
    std::size_t used = line.connection.on_bytes(ByteView(socket.in).first(socket.in_size), now);
    if (!line.connection.up()) {
      lost(line, line.connection.status().why, now);
      return;
    }
    socket.in_size -= used;
    std::memmove(socket.in.data(), socket.in.data() + used, socket.in_size);
    if (static_cast<std::size_t>(got) < space) return;  // the socket is empty
  }
}

// False: the connection is gone.
bool TcpEngine::write_live(Key key, Instant) {
  Socket& socket = sockets_.at(key);
  Line& line = *find(socket.session);
  bool full = false;
  for (int i = 0; i < kWritesPerTurn && !full; ++i) {
    if (socket.out_at == socket.out_size) {
      socket.out_at = 0;
      socket.out_size = line.connection.produce(socket.out);
      if (socket.out_size == 0) break;
    }
    ssize_t sent = ::send(socket.fd.get(), socket.out.data() + socket.out_at,
                          socket.out_size - socket.out_at, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
      full = true;
    } else if (sent < 0) {
      return false;
    } else {
      socket.out_at += static_cast<std::size_t>(sent);
    }
  }
  bool more = socket.out_at < socket.out_size;
  if (!full && more) busy_.insert(line.peer.session);
  if (!full && !more) {
    // Left because of the bound or because nothing is to be said: the next turn knows.
    socket.out_at = 0;
    socket.out_size = line.connection.produce(socket.out);
    if (socket.out_size > 0) busy_.insert(line.peer.session);
  }
  if (full != socket.wants_write) {
    socket.wants_write = full;
    poller_->change(socket.fd.get(), EPOLLIN | (full ? std::uint32_t{EPOLLOUT} : 0u), key);
  }
  return true;
}

}  // namespace lansync
