#include "roles/outbox.h"

#include <algorithm>

#include "support/catch.h"

namespace lansync {

namespace {

// Counts what is handed over, and takes it as long as a test says.
class CountingTransport final : public SessionTransport {
 public:
  void dial(const Address&) override {}
  void renew(SessionId) override {}
  bool send(SessionId, Channel channel, ByteView) override {
    sent.push_back(channel);
    ++in_hand;
    return true;
  }
  std::size_t queued(SessionId) const override { return in_hand; }
  void close(SessionId) override {}
  void violation(SessionId, std::string_view) override {}
  Instant last_heard(SessionId) const override { return {}; }
  std::uint32_t rtt_ms(SessionId) const override { return 0; }
  void set_beacon_key(const BeaconKey&) override {}
  const TransportCounters& counters() const override { return counters_; }

  std::vector<Channel> sent;
  std::size_t in_hand = 0;

 private:
  TransportCounters counters_;
};

}  // namespace

TEST_CASE("a message goes out though content fills what the transport may have in hand") {
  CountingTransport transport;
  Outbox outbox(transport);
  transport.in_hand = Outbox::kContentInHand;
  outbox.send(1, Mark{7, true});
  outbox.pump();
  CHECK(transport.sent == std::vector<Channel>{Channel::kMessages});
  CHECK(outbox.empty(1));
}

TEST_CASE("of many messages only so many are handed over, and the rest follows in order") {
  CountingTransport transport;
  Outbox outbox(transport);
  for (std::uint64_t i = 0; i < 1000; ++i) outbox.send(1, Mark{i, false});
  outbox.pump();
  CHECK(transport.sent.size() == Outbox::kMaxInHand);
  CHECK_FALSE(outbox.empty(1));
  for (int i = 0; i < 10; ++i) {
    transport.in_hand = 0;
    outbox.pump();
  }
  CHECK(transport.sent.size() == 1000);
  CHECK(outbox.empty(1));
}

}  // namespace lansync
