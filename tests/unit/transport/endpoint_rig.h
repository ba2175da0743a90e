// Endpoints on loopback for tests: real sockets on ports that the system picks, a clock that
// follows the real one, loops that end. The one place where unit tests use the network.
#pragma once

#include <arpa/inet.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <cstring>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/assert.h"
#include "transport/enet_endpoint.h"

namespace lansync::test {

inline constexpr std::uint32_t kLoopback = 0x7F000001;

inline Instant real_now() {
  return Instant(
      std::chrono::duration_cast<Duration>(std::chrono::steady_clock::now().time_since_epoch()));
}

// A password's scalar without the 90 ms of scrypt: any small number is a valid one.
inline PasswordKey key_of(std::uint8_t word) {
  std::array<std::uint8_t, 32> w{};
  w[31] = word;
  return PasswordKey(w);
}

class QuietLog final : public Log {
 public:
  void write(LogLevel, std::string_view line) override { lines.emplace_back(line); }
  std::vector<std::string> lines;
};

// One node: its endpoint, and everything that it was told.
class Node final : public SessionEvents {
 public:
  struct Packet {
    SessionId id;
    Channel channel;
    Bytes bytes;
  };
  struct Failed {
    Address address;
    DialFailure failure;
  };

  explicit Node(std::uint8_t number, PasswordKey key = key_of(7), std::uint8_t boot = 1,
                std::uint16_t port = 0)
      : random(number * 1000u + boot) {
    options.bind_ip = kLoopback;
    options.port = port;
    KeySeed seed{};
    seed[0] = number;
    options.signer = SigningKey(seed);
    options.boot.bytes[0] = boot;
    options.group = "test";
    options.key = key;
    options.on_keylog = [this](const std::string& line) { keylog.push_back(line); };
    auto opened = EnetEndpoint::open(options, *this, random, log);
    LS_ASSERT(opened.has_value());
    endpoint = std::move(*opened);
  }

  Address address() const { return {kLoopback, endpoint->port()}; }
  NodeId id() const { return node_id_of(options.signer.public_key()); }
  bool connected() const { return sessions.size() == 1; }
  SessionId session() const {
    LS_ASSERT(sessions.size() == 1);
    return sessions.begin()->first;
  }

  void on_session_up(const SessionInfo& info) override {
    LS_ASSERT(sessions.emplace(info.id, info).second);
    ++ups;
  }
  void on_session_down(SessionId id, CloseReason reason) override {
    LS_ASSERT(sessions.erase(id) == 1);
    downs.push_back(reason);
  }
  void on_packet(SessionId id, Channel channel, ByteView bytes) override {
    LS_ASSERT(sessions.contains(id));
    if (taker) {
      taker(id, channel, bytes);
    } else {
      packets.push_back({id, channel, Bytes(bytes.begin(), bytes.end())});
    }
  }
  void on_dial_failed(const Address& where, DialFailure failure, int) override {
    failed.push_back({where, failure});
  }
  void on_refused(const Address& where, DialFailure failure, int) override {
    refused.push_back({where, failure});
  }

  EndpointOptions options;
  Prng random;
  QuietLog log;
  std::map<SessionId, SessionInfo> sessions;
  int ups = 0;
  std::vector<CloseReason> downs;
  std::vector<Packet> packets;
  std::vector<Failed> failed;
  std::vector<Failed> refused;
  std::vector<std::string> keylog;
  std::function<void(SessionId, Channel, ByteView)> taker;
  std::unique_ptr<EnetEndpoint> endpoint;  // last: goes first
};

// Serves all nodes until `done`, for `limit` at most. True if done.
inline bool drive(const std::vector<Node*>& nodes, const std::function<bool()>& done,
                  Duration limit = 5s, const std::function<void()>& each = nullptr) {
  const Instant end = real_now() + limit;
  while (!done()) {
    if (real_now() > end) return false;
    std::vector<pollfd> fds;
    bool due = false;
    for (Node* node : nodes) {
      fds.push_back({node->endpoint->socket_fd(), POLLIN, 0});
      due = due || node->endpoint->deadline() <= real_now();
    }
    poll(fds.data(), fds.size(), due ? 0 : 1);
    if (each) each();
    for (Node* node : nodes) node->endpoint->service(real_now());
  }
  return true;
}

inline void run_for(const std::vector<Node*>& nodes, Duration time,
                    const std::function<void()>& each = nullptr) {
  drive(
      nodes, [] { return false; }, time, each);
}

inline bool join(Node& from, Node& to) {
  from.endpoint->dial(to.address());
  return drive({&from, &to}, [&] { return from.connected() && to.connected(); });
}

// A UDP socket of nobody.
class RawSocket {
 public:
  RawSocket() : fd_(socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0)) {
    sockaddr_in self = to_sockaddr({kLoopback, 0});
    LS_ASSERT(bind(fd_, reinterpret_cast<sockaddr*>(&self), sizeof self) == 0);
    socklen_t size = sizeof self;
    LS_ASSERT(getsockname(fd_, reinterpret_cast<sockaddr*>(&self), &size) == 0);
    port_ = ntohs(self.sin_port);
  }
  ~RawSocket() { ::close(fd_); }
  RawSocket(const RawSocket&) = delete;
  RawSocket& operator=(const RawSocket&) = delete;

  Address address() const { return {kLoopback, port_}; }
  void send(const Address& to, ByteView bytes) { send_on(fd_, to, bytes); }
  static void send_on(int fd, const Address& to, ByteView bytes) {
    const sockaddr_in where = to_sockaddr(to);
    (void)sendto(fd, bytes.data(), bytes.size(), 0, reinterpret_cast<const sockaddr*>(&where),
                 sizeof where);
  }
  // False: nothing there.
  bool receive(Address& from, Bytes& bytes) {
    sockaddr_in where{};
    socklen_t size = sizeof where;
    bytes.resize(65536);
    const ssize_t got =
        recvfrom(fd_, bytes.data(), bytes.size(), 0, reinterpret_cast<sockaddr*>(&where), &size);
    if (got < 0) return false;
    bytes.resize(static_cast<std::size_t>(got));
    from = {ntohl(where.sin_addr.s_addr), ntohs(where.sin_port)};
    return true;
  }

 private:
  static sockaddr_in to_sockaddr(const Address& address) {
    sockaddr_in out{};
    out.sin_family = AF_INET;
    out.sin_addr.s_addr = htonl(address.ip);
    out.sin_port = htons(address.port);
    return out;
  }
  int fd_;
  std::uint16_t port_ = 0;
};

// Stands between a dialler and a responder, passes datagrams on, keeps them, may lose some. Each of
// the two sees the other at the address of one of its sockets.
class Relay {
 public:
  explicit Relay(const Address& responder) : responder_(responder) {}
  Address address() const { return front_.address(); }
  void pass(Prng* loss = nullptr, std::uint64_t percent = 0) {
    Address from;
    Bytes bytes;
    while (front_.receive(from, bytes)) {
      dialler_ = from;
      if (keep) to_responder.push_back(bytes);
      if (loss == nullptr || !loss->chance(percent, 100)) back_.send(responder_, bytes);
    }
    while (back_.receive(from, bytes)) {
      if (keep) to_dialler.push_back(bytes);
      if (loss == nullptr || !loss->chance(percent, 100)) front_.send(dialler_, bytes);
    }
  }
  void replay_to_responder() {
    for (const Bytes& bytes : to_responder) back_.send(responder_, bytes);
  }
  void replay_to_dialler() {
    for (const Bytes& bytes : to_dialler) front_.send(dialler_, bytes);
  }
  bool keep = false;
  std::vector<Bytes> to_responder;
  std::vector<Bytes> to_dialler;

 private:
  Address responder_;
  Address dialler_;
  RawSocket front_;
  RawSocket back_;
};

}  // namespace lansync::test
