// The lane carrier: one UDP socket for all sessions, each a LaneConnection found by the tag at the
// front of its datagrams. What to send and when the connection says; this moves it.
//
// Invariants: a connection is asked for a burst only when the one before is with the kernel, and a
// turn's work is bounded, so that neither receiving nor sending starves the other. LaneEngine is
// driven by a CarrierThread, on its thread.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "platform/carrier_thread.h"
#include "platform/lane_socket.h"
#include "transport/lane/lane_connection.h"

namespace lansync {

// kBusy: the port is taken.
Result<std::unique_ptr<CarrierThread>> open_lane_carrier(const CarrierOptions& options);

class LaneEngine final : public CarrierEngine {
 public:
  static Result<std::unique_ptr<LaneEngine>> open(const CarrierOptions& options);

  CarrierKind kind() const override { return CarrierKind::kLane; }
  std::uint16_t port() const override { return socket_.port(); }
  void start(const Poller& poller) override;
  void open(const CarrierPeer& peer, Instant now) override;
  std::vector<ContentBlock> close(SessionId session) override;
  void send(SessionId session, ContentBlock block) override;
  void credit(SessionId session, std::uint64_t bytes) override;
  std::uint64_t room(SessionId session) const override;
  CarrierStatus status(SessionId session) const override;
  Instant turn(std::span<const epoll_event> ready) override;
  Duration nap() const override;
  std::vector<CarrierEvent> take_events() override;
  std::vector<SessionId> take_touched() override;
  CarrierCounters counters() const override { return counters_; }

 private:
  struct Line {
    Line(const CarrierPeer& peer, Instant now)
        : session(peer.session), address(peer.address), connection(peer, now) {}
    SessionId session;
    Address address;
    LaneConnection connection;
    Instant deadline = kNever;  // as it stands in timers_
    bool busy = false;          // stands in busy_
    bool touched = false;       // stands in touched_
  };

  explicit LaneEngine(LaneSocket socket) : socket_(std::move(socket)) {}
  void touch(Line& line);
  bool receive();
  void transmit();
  bool flush();
  void settle(Line& line);
  void watch_writable(bool on);

  LaneSocket socket_;
  std::optional<Poller> poller_;
  SystemClock clock_;
  std::map<SessionId, std::unique_ptr<Line>> lines_;
  std::map<std::uint32_t, Line*> by_tag_;
  std::set<std::pair<Instant, SessionId>> timers_;
  std::deque<Line*> busy_;      // may have something to send: round robin, a burst each
  std::vector<Line*> touched_;  // changed since take_touched()
  std::vector<CarrierEvent> events_;
  CarrierCounters counters_;

  LaneBurst burst_;
  Line* burst_of_ = nullptr;  // whose burst is not with the kernel yet; nullptr: none
  std::size_t burst_done_ = 0;
  bool waits_writable_ = false;
  int received_ = 0;  // datagrams in this turn
  int unasked_ = 0;   // of them, of no session here
};

}  // namespace lansync
