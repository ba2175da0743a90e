#include "sync/provider.h"

#include <set>

#include "support/catch.h"
#include "unit/sync/transfer_rig.h"

namespace lansync {

namespace {

RangeRequest request_of(const WantedContent& wanted, std::uint32_t transfer,
                        std::vector<ByteRange> ranges) {
  return {transfer, wanted.content, wanted.name, wanted.size, std::move(ranges)};
}

void run(Sender& sender) {
  for (int i = 0; i < 10000; ++i) {
    sender.provider.pump();
    if (!sender.executor.run_one()) return;
  }
}

}  // namespace

TEST_CASE("ranges that do not fit the file are refused") {
  ManualClock clock;
  Sender sender(clock);
  const WantedContent wanted = sender.add("f", random_bytes(100'500, 1));
  auto ask = [&, transfer = 0u](std::vector<ByteRange> ranges) mutable {
    return sender.provider.on_request(1, request_of(wanted, ++transfer, std::move(ranges)));
  };
  CHECK(ask({{0, 100'500}}));
  CHECK(ask({{0, 1000}, {1000, 2000}, {100'000, 100'500}}));
  CHECK_FALSE(ask({}));
  CHECK_FALSE(ask({{0, 0}}));
  CHECK_FALSE(ask({{2000, 1000}}));
  CHECK_FALSE(ask({{1, 1000}}));
  CHECK_FALSE(ask({{0, 999}}));
  CHECK_FALSE(ask({{0, 101'000}}));
  CHECK_FALSE(ask({{0, 2000}, {1000, 3000}}));  // overlap
  CHECK_FALSE(ask({{2000, 3000}, {0, 1000}}));  // out of order
  CHECK_FALSE(ask({{~0ull / 1000 * 1000, ~0ull}}));
  CHECK_FALSE(ask(std::vector<ByteRange>(1025, {0, 1000})));
  // A transfer number that is in use.
  CHECK_FALSE(sender.provider.on_request(1, request_of(wanted, 1, {{0, 1000}})));
  CHECK(sender.provider.counters().violations == 11);
}

TEST_CASE("a source that asks without end is refused at the limit") {
  ManualClock clock;
  Sender sender(clock);
  const WantedContent wanted = sender.add("f", random_bytes(500, 2));
  for (std::uint32_t i = 0; i < Provider::kMaxRequests; ++i)
    REQUIRE(sender.provider.on_request(1, request_of(wanted, i, {{0, 500}})));
  CHECK_FALSE(sender.provider.on_request(1, request_of(wanted, 99999, {{0, 500}})));
  sender.provider.on_source_down(1);
  CHECK_FALSE(sender.provider.busy());
}

TEST_CASE("content that is not here ends as gone") {
  ManualClock clock;
  Sender sender(clock);
  const WantedContent unknown{content_id_of(Bytes{1}), 1, {}, "f"};
  REQUIRE(sender.provider.on_request(1, request_of(unknown, 5, {{0, 1}})));
  run(sender);
  REQUIRE(sender.queue.size() == 1);
  CHECK(sender.queue[0].kind == Packet::kEnd);
  CHECK_FALSE(sender.queue[0].result.ok);
  CHECK(sender.queue[0].result.reason == "gone");
  CHECK_FALSE(sender.provider.busy());
}

TEST_CASE("a file that is not what the index says is not sent, and is looked at again") {
  for (const std::size_t size : {2000, 700'000}) {
    ManualClock clock;
    Sender sender(clock);
    const WantedContent wanted = sender.add("f", random_bytes(size, 3));
    sender.fs.write_file("f", random_bytes(size, 4));
    REQUIRE(sender.provider.on_request(1, request_of(wanted, 5, {{0, size}})));
    run(sender);
    REQUIRE(sender.queue.size() == 1);
    CHECK(sender.queue[0].result.reason == "changed");
    CHECK((sender.changed == std::vector<std::string>{"f"}));
    CHECK_FALSE(sender.provider.busy());
    CHECK(sender.provider.buffered_bytes() == 0);
  }
}

TEST_CASE("a file that changes midway ends as changed, and nothing of the new bytes is sent") {
  ManualClock clock;
  Sender sender(clock);
  const Bytes bytes = random_bytes(9'000'000, 5);
  const WantedContent wanted = sender.add("f", bytes);
  REQUIRE(sender.provider.on_request(1, request_of(wanted, 5, {{0, 5'000'000}})));
  REQUIRE(sender.provider.on_request(1, request_of(wanted, 6, {{5'000'000, 9'000'000}})));
  sender.room = 700;
  run(sender);
  sender.fs.write_file("f", random_bytes(9'000'000, 6));
  sender.room = 1u << 20;
  run(sender);
  std::set<std::uint32_t> ended;
  for (const Packet& packet : sender.queue) {
    CHECK(ended.count(packet.transfer) == 0);  // nothing comes behind an end
    if (packet.kind == Packet::kEnd) {
      CHECK(packet.result.reason == "changed");
      ended.insert(packet.transfer);
    } else if (packet.kind == Packet::kChunk) {
      const auto from = bytes.begin() + static_cast<std::ptrdiff_t>(packet.number * 1000);
      REQUIRE(std::equal(packet.bytes.begin(), packet.bytes.end(), from));
    }
  }
  CHECK(ended == std::set<std::uint32_t>{5, 6});
  CHECK_FALSE(sender.provider.busy());
  CHECK(sender.provider.buffered_bytes() == 0);
}

TEST_CASE("a session without room holds no more than its buffers") {
  ManualClock clock;
  Sender sender(clock);
  sender.room = 0;
  std::uint32_t transfer = 0;
  for (std::uint64_t i = 0; i < 20; ++i) {
    const WantedContent wanted =
        sender.add("large" + std::to_string(i), random_bytes(2'000'000, 40 + i));
    REQUIRE(sender.provider.on_request(1, request_of(wanted, ++transfer, {{0, 2'000'000}})));
  }
  for (std::uint64_t i = 0; i < 400; ++i) {
    const WantedContent wanted =
        sender.add("small" + std::to_string(i), random_bytes(60'000, 100 + i));
    REQUIRE(sender.provider.on_request(1, request_of(wanted, ++transfer, {{0, 60'000}})));
  }
  run(sender);
  CHECK(sender.provider.buffered_bytes() <= Provider::kBufferPerSource);
  CHECK(sender.provider.buffered_bytes() > Provider::kBufferPerSource / 2);
  sender.provider.on_source_down(1);
  CHECK(sender.provider.buffered_bytes() == 0);
}

TEST_CASE("small files go before large ones, and large ones in turns") {
  ManualClock clock;
  Sender sender(clock);
  sender.room = 1u << 20;
  const WantedContent a = sender.add("a", random_bytes(3'000'000, 50));
  const WantedContent b = sender.add("b", random_bytes(3'000'000, 51));
  const WantedContent small = sender.add("s", random_bytes(100, 52));
  REQUIRE(sender.provider.on_request(1, request_of(a, 1, {{0, a.size}})));
  REQUIRE(sender.provider.on_request(1, request_of(b, 2, {{0, b.size}})));
  REQUIRE(sender.provider.on_request(1, request_of(small, 3, {{0, small.size}})));
  sender.provider.pump();
  sender.executor.run_all();
  run(sender);
  REQUIRE(sender.queue.front().transfer == 3);
  std::vector<std::uint32_t> ends;
  std::map<std::uint32_t, std::uint64_t> sent;
  for (const Packet& packet : sender.queue) {
    sent[packet.transfer] += packet.bytes.size();
    if (sent[1] < a.size && sent[2] < b.size) {
      const auto gap = static_cast<std::int64_t>(sent[1]) - static_cast<std::int64_t>(sent[2]);
      REQUIRE(std::abs(gap) <= static_cast<std::int64_t>(3 * Provider::kBlockBytes));
    }
  }
  CHECK(sent[1] == a.size);
  CHECK(sent[2] == b.size);
}

TEST_CASE("a source that goes while its files are read leaves nothing behind") {
  ManualClock clock;
  Sender sender(clock);
  const WantedContent large = sender.add("l", random_bytes(900'000, 60));
  const WantedContent small = sender.add("s", random_bytes(900, 61));
  REQUIRE(sender.provider.on_request(1, request_of(large, 1, {{0, large.size}})));
  REQUIRE(sender.provider.on_request(1, request_of(small, 2, {{0, small.size}})));
  sender.provider.pump();
  REQUIRE(sender.executor.waiting() > 0);
  sender.provider.on_source_down(1);
  sender.executor.run_all();
  CHECK(sender.provider.buffered_bytes() == 0);
  CHECK_FALSE(sender.provider.busy());
  CHECK(sender.queue.empty());
}

}  // namespace lansync
