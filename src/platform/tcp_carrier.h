// The tcp carrier: one listening socket, at most one TCP connection a session, the stream of
// transport/tcp_frames.h on each. The session's initiator dials; the other side dials too where
// that takes long, since a firewall often lets through in one direction only.
//
// Invariants: one stream a session is sealed at a time; what strangers can occupy is bounded in
// number, time and bytes. TcpEngine is driven by a CarrierThread, on its thread.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "platform/carrier_thread.h"
#include "transport/tcp_frames.h"

namespace lansync {

// kBusy: the port is taken.
Result<std::unique_ptr<CarrierThread>> open_tcp_carrier(const CarrierOptions& options);

class TcpEngine final : public CarrierEngine {
 public:
  static Result<std::unique_ptr<TcpEngine>> open(const CarrierOptions& options);
  ~TcpEngine() override;

  CarrierKind kind() const override { return CarrierKind::kTcp; }
  std::uint16_t port() const override { return port_; }
  void start(const Poller& poller) override;
  void open(const CarrierPeer& peer, Instant now) override;
  std::vector<ContentBlock> close(SessionId session) override;
  void send(SessionId session, ContentBlock block) override;
  void credit(SessionId session, std::uint64_t bytes) override;
  std::uint64_t room(SessionId session) const override;
  CarrierStatus status(SessionId session) const override;
  Instant turn(std::span<const epoll_event> ready) override;
  std::vector<CarrierEvent> take_events() override;
  std::vector<SessionId> take_touched() override;
  CarrierCounters counters() const override;

 private:
  using Key = std::uint64_t;  // of a socket or a line; never used again. 0: none
  enum class Stage {
    kStranger,  // accepted: its opening has not come or is nobody's yet
    kDialling,  // connect() is under way
    kAsking,    // connected, our opening is sent, theirs has not come
    kWaiting,   // accepted, its opening is good; our own dial may still win
    kLive,
  };
  struct Socket {
    UniqueFd fd;
    Stage stage = Stage::kStranger;
    SessionId session = 0;
    std::uint32_t ip = 0;
    Instant deadline = kNever;
    Bytes in;  // what has come and is not used
    std::size_t in_size = 0;
    Bytes out;  // what is to go
    std::size_t out_at = 0;
    std::size_t out_size = 0;
    bool wants_write = false;
  };
  struct Line {
    Line(const CarrierPeer& p) : peer(p), connection(p) {}  // NOLINT: explicit
    CarrierPeer peer;
    TcpConnection connection;
    Key key = 0;
    Key dial = 0;
    Key waiting = 0;
    Key live = 0;
    Instant dial_at = kNever;
    Instant dial_began{};
    Instant blocked_at = kNever;  // not up by then: says so
    Instant rtt_at{};
    Instant deadline = kNever;  // as it stands in timers_
    int failures = 0;
    std::string why;
  };
  using Timer = std::pair<Instant, Key>;

  TcpEngine() = default;
  Line* find(SessionId session);
  const Line* find(SessionId session) const;
  Key add_socket(UniqueFd fd, Stage stage, SessionId session, std::uint32_t events);
  void set_deadline(Key key, Socket& socket, Instant deadline);
  void drop(Key key);
  void touch(SessionId session);

  void accept_some(Instant now);
  bool make_place(std::uint32_t ip);
  void on_stranger(Key key, std::uint32_t events, Instant now);
  void introduce(Key key, Line& line, Instant now);
  void match_strangers(Line& line, Instant now);

  void dial(Line& line, Instant now);
  void on_connected(Key key, Instant now);
  void on_answer(Key key, Instant now);
  void adopt(Line& line, Key key, Instant now);
  void go_live(Line& line, Key key);
  void failed(Line& line, std::string why, Instant now);
  void lost(Line& line, std::string why, Instant now);
  void schedule(Line& line);
  void on_line_due(Line& line, Instant now);

  void on_ready(Key key, std::uint32_t events, Instant now);
  void read_live(Key key, Instant now);
  bool write_live(Key key, Instant now);
  void service(Line& line, Instant now);
  void look_at_rtt(Line& line, Instant now);
  bool read_opening(Socket& socket);

  CarrierOptions options_;
  std::uint16_t port_ = 0;
  UniqueFd listener_;
  const Poller* poller_ = nullptr;
  std::unique_ptr<Poller> own_poller_;
  SystemClock clock_;
  Instant listen_again_ = kNever;  // no descriptors were left

  Key next_key_ = 1;
  std::map<Key, Socket> sockets_;
  std::map<Key, SessionId> line_keys_;
  std::map<SessionId, Line> lines_;
  std::deque<Key> strangers_;  // oldest first
  std::set<Timer> timers_;
  std::set<SessionId> busy_;     // to be serviced in this turn
  std::set<SessionId> touched_;  // to be told of
  std::vector<CarrierEvent> events_;
  CarrierCounters counters_;
};

}  // namespace lansync
