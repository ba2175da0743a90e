#include "roles/early_packets.h"

#include "support/catch.h"

namespace lansync {
namespace {

TEST_CASE("what overtakes a hello is kept in order, and given out once") {
  EarlyPackets early;
  CHECK(early.keep(Channel::kMessages, Bytes{1}));
  CHECK(early.keep(Channel::kHandshake, Bytes{2}));
  const auto packets = early.take();
  REQUIRE(packets.size() == 2);
  CHECK(packets[0] == EarlyPackets::Packet{Channel::kMessages, Bytes{1}});
  CHECK(packets[1] == EarlyPackets::Packet{Channel::kHandshake, Bytes{2}});
  CHECK(early.take().empty());
}

TEST_CASE("a peer without a hello takes no more than a few packets of memory") {
  EarlyPackets many;
  for (std::size_t i = 0; i < EarlyPackets::kMaxPackets; ++i)
    CHECK(many.keep(Channel::kMessages, Bytes{1}));
  CHECK_FALSE(many.keep(Channel::kMessages, Bytes{1}));
  EarlyPackets large;
  CHECK(large.keep(Channel::kMessages, Bytes(EarlyPackets::kMaxBytes)));
  CHECK_FALSE(large.keep(Channel::kMessages, Bytes{1}));
}

}  // namespace
}  // namespace lansync
