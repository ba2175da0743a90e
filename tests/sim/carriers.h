// The carriers lane and tcp in a simulated world: their own state machines (transport/lane,
// transport/tcp_frames) over the simulated network, each at its own times, as on a thread of its
// own.
//
// Invariant: what holds for every ContentCarrier (transport/content_carrier.h). Owned by SimNode
// from start to end; driven by World's event queue, and told of by `wakeup`.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "sim/event_queue.h"
#include "sim/network.h"
#include "transport/content_carrier.h"
#include "transport/lane/lane_connection.h"
#include "transport/tcp_frames.h"

namespace lansync::sim {

// What both have: a place in the queue of events, news for the node.
class SimCarrier : public ContentCarrier {
 public:
  struct Place {
    EventQueue& queue;
    Network& network;
    std::uint32_t ip = 0;
    std::uint16_t port = 0;
    std::function<void()> wakeup;
    // Nothing of this process runs before.
    std::function<Instant()> frozen_until;
  };

  explicit SimCarrier(Place place) : place_(std::move(place)), alive_(std::make_shared<int>(0)) {}
  std::uint16_t port() const override { return place_.port; }
  std::vector<CarrierEvent> take_events() override { return std::exchange(events_, {}); }

 protected:
  virtual void step(Instant now) = 0;
  void step_at(Instant when);
  void tell(std::vector<CarrierEvent> events);
  void hand_back(SessionId session, const CarrierStatus& status, std::vector<ContentBlock> blocks);

  const Place place_;

 private:
  std::vector<CarrierEvent> events_;
  Instant due_ = kNever;
  std::uint64_t number_ = 0;
  std::shared_ptr<int> alive_;
};

class SimLane final : public SimCarrier {
 public:
  explicit SimLane(Place place);
  ~SimLane() override;
  CarrierKind kind() const override { return CarrierKind::kLane; }
  void open(const CarrierPeer& peer) override;
  void close(SessionId session) override;
  std::uint64_t room(SessionId session) const override;
  void send(SessionId session, ContentBlock block) override;
  void credit(SessionId session, std::uint64_t bytes) override;
  CarrierStatus status(SessionId session) const override;

 private:
  struct Line {
    Address address;
    std::unique_ptr<LaneConnection> connection;
  };
  void step(Instant now) override;

  int fd_;
  std::map<SessionId, Line> lines_;
  std::map<std::uint32_t, SessionId> by_tag_;
};

class SimTcp final : public SimCarrier, private StreamEnd {
 public:
  explicit SimTcp(Place place);
  ~SimTcp() override;
  CarrierKind kind() const override { return CarrierKind::kTcp; }
  void open(const CarrierPeer& peer) override;
  void close(SessionId session) override;
  std::uint64_t room(SessionId session) const override;
  void send(SessionId session, ContentBlock block) override;
  void credit(SessionId session, std::uint64_t bytes) override;
  CarrierStatus status(SessionId session) const override;

 private:
  struct Line {
    CarrierPeer peer;
    std::unique_ptr<TcpConnection> connection;
    StreamId stream = 0;  // that carries it, or on which our opening waits for an answer
    Instant dial_at = kNever;
    Instant give_up_at = kNever;
    int failures = 0;
  };
  void step(Instant now) override;
  void on_stream(StreamId stream) override;
  void service(Line& line, Instant now);
  void take_stranger(StreamId stream, Instant now);
  void lost(Line& line, const std::string& why, Instant now);

  std::map<SessionId, Line> lines_;
  std::map<StreamId, SessionId> dialled_;  // and adopted
  std::map<StreamId, Bytes> received_;
  std::vector<StreamId> strangers_;  // accepted, not known whose
};

}  // namespace lansync::sim
