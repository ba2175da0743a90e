// A carrier without a socket: what one end sends, a test hands to the other when it likes. Keeps
// the promises of ContentCarrier: each block once, delivered only after it was received, handed
// back when it goes down.
#pragma once

#include <deque>
#include <map>
#include <utility>
#include <vector>

#include "transport/content_carrier.h"

namespace lansync {

class FakeCarrier final : public ContentCarrier {
 public:
  explicit FakeCarrier(CarrierKind kind, std::uint16_t port) : kind_(kind), port_(port) {}

  struct Line {
    CarrierPeer peer;
    CarrierStatus status;
    std::deque<ContentBlock> on_way;
    std::uint64_t begun = 0;   // sent and not delivered
    std::uint64_t credit = 0;  // given back to the other side
  };

  CarrierKind kind() const override { return kind_; }
  std::uint16_t port() const override { return port_; }
  void open(const CarrierPeer& peer) override {
    close(peer.session);
    lines[peer.session].peer = peer;
    lines[peer.session].status.state = CarrierState::kProbing;
    ++opened;
  }
  void close(SessionId session) override {
    auto at = lines.find(session);
    if (at == lines.end()) return;
    CarrierChanged event{session, {}, {}};
    for (ContentBlock& block : at->second.on_way) event.undelivered.push_back(std::move(block));
    lines.erase(at);
    events.push_back(std::move(event));
  }
  std::uint64_t room(SessionId session) const override {
    auto at = lines.find(session);
    if (at == lines.end() || at->second.status.state != CarrierState::kUp) return 0;
    return kWindowBytes - at->second.begun;
  }
  void send(SessionId session, ContentBlock block) override {
    Line& line = lines.at(session);
    line.begun += block.data.size();
    line.status.bytes_sent += block.data.size();
    line.on_way.push_back(std::move(block));
  }
  void credit(SessionId session, std::uint64_t bytes) override {
    lines.at(session).credit += bytes;
  }
  CarrierStatus status(SessionId session) const override {
    auto at = lines.find(session);
    return at == lines.end() ? CarrierStatus{} : at->second.status;
  }
  std::vector<CarrierEvent> take_events() override { return std::exchange(events, {}); }

  // ---- what a test does
  void set_state(SessionId session, CarrierState state, const std::string& why = {}) {
    Line& line = lines.at(session);
    line.status.state = state;
    line.status.why = why;
    CarrierChanged event{session, line.status, {}};
    if (state != CarrierState::kUp) {
      for (ContentBlock& block : line.on_way) event.undelivered.push_back(std::move(block));
      line.on_way.clear();
      line.begun = 0;
    }
    events.push_back(std::move(event));
  }
  // The front block arrives at `other`, whose session is `there`.
  bool deliver(SessionId session, FakeCarrier& other, SessionId there) {
    Line& line = lines.at(session);
    if (line.on_way.empty()) return false;
    ContentBlock block = std::move(line.on_way.front());
    line.on_way.pop_front();
    line.begun -= block.data.size();
    events.push_back(BlockDelivered{session, block.transfer, block.data.size()});
    other.events.push_back(BlockReceived{there, std::move(block)});
    return true;
  }

  std::map<SessionId, Line> lines;
  std::vector<CarrierEvent> events;
  int opened = 0;

 private:
  CarrierKind kind_;
  std::uint16_t port_;
};

}  // namespace lansync
