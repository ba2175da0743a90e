// A transport that keeps what was said on each session, for tests of who says what.
#pragma once

#include <cstddef>
#include <map>
#include <utility>
#include <vector>

#include "support/catch.h"
#include "transport/message.h"
#include "transport/session.h"

namespace lansync {

class HeardMessages final : public SessionTransport {
 public:
  void dial(const Address&) override {}
  void renew(SessionId) override {}
  bool send(SessionId session, Channel, ByteView bytes) override {
    auto message = decode_message(bytes);
    REQUIRE(message);
    said[session].push_back(std::move(*message));
    return true;
  }
  std::size_t queued(SessionId) const override { return 0; }
  void close(SessionId) override {}
  void violation(SessionId, std::string_view) override {}
  Instant last_heard(SessionId) const override { return {}; }
  std::uint32_t rtt_ms(SessionId) const override { return 0; }
  void set_beacon_key(const BeaconKey&) override {}
  const TransportCounters& counters() const override { return counters_; }

  std::map<SessionId, std::vector<Message>> said;

 private:
  TransportCounters counters_;
};

}  // namespace lansync
