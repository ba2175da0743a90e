// Content that comes in blocks beside the session: blocks that overtake begins and ends, carriers
// that go down, blocks nobody asked for.
#include "support/catch.h"
#include "sync/fetcher.h"
#include "unit/sync/transfer_rig.h"

namespace lansync {

namespace {

constexpr std::uint64_t kWindow = 32 * 1024 * 1024;

std::uint64_t credited(TransferRig& rig) {
  std::uint64_t bytes = 0;
  for (const CarriedBytes& carried : rig.fetcher->take_carried()) {
    CHECK(carried.via == Sender::kVia);
    bytes += carried.bytes;
  }
  return bytes;
}

}  // namespace

TEST_CASE("large content comes in blocks, in any order, and each byte of them is credited once") {
  for (const std::size_t size : {65'537u, 256'000u, 256'001u, 1'024'000u, 5'000'123u}) {
    TransferRig rig;
    rig.sender(1).carrier_up = true;
    rig.fetcher->set_carried(1, kWindow);
    const Bytes bytes = random_bytes(size, size);
    const WantedContent wanted = rig.sender(1).add("f", bytes);
    rig.fetcher->want(wanted);
    REQUIRE(rig.settle());
    CHECK(rig.results[wanted.content] == bytes);
    CHECK(rig.blocks_received == size);
    CHECK(credited(rig) == size);
    CHECK(rig.violations == 0);
    CHECK(rig.fetcher->charged_bytes(1) == 0);
    CHECK(rig.fetcher->counters().late_chunks == 0);
  }
}

TEST_CASE("small content stays in the session") {
  TransferRig rig;
  rig.sender(1).carrier_up = true;
  rig.fetcher->set_carried(1, kWindow);
  const WantedContent wanted = rig.sender(1).add("f", random_bytes(65'536, 1));
  rig.fetcher->want(wanted);
  REQUIRE(rig.settle());
  CHECK(rig.results.contains(wanted.content));
  CHECK(rig.blocks_received == 0);
}

TEST_CASE("a source with a carrier is asked for more the faster it is, within its window") {
  TransferRig rig;
  rig.sender(1).carrier_up = true;
  rig.fetcher->set_carried(1, kWindow);
  const WantedContent wanted = rig.sender(1).add("f", random_bytes(40'000'000, 2));
  rig.fetcher->want(wanted);
  std::uint64_t most = 0;
  for (int i = 0; i < 12; ++i) {
    rig.step(16);  // 4 MB in each 40 ms: 100 MB/s
    rig.clock.advance(40ms);
    most = std::max(most, rig.fetcher->charged_bytes(1));
  }
  CHECK(most > rig.options.window_bytes * 3 / 2);
  CHECK(most <= kWindow);
  // Without its carrier it is as before.
  rig.fetcher->set_carried(1, 0);
  REQUIRE(rig.settle());
  CHECK(rig.results.contains(wanted.content));
}

TEST_CASE("what a carrier that goes down hands back comes in chunks, and twice is no offence") {
  for (std::uint64_t seed = 1; seed <= 30; ++seed) {
    TransferRig rig;
    rig.mix = Prng(seed);
    Prng chance(seed * 77);
    rig.sender(1).carrier_up = true;
    rig.sender(1).room = 2000;
    rig.fetcher->set_carried(1, kWindow);
    const Bytes bytes = random_bytes(6'000'000 + chance.below(1000), seed);
    const WantedContent wanted = rig.sender(1).add("f", bytes);
    rig.fetcher->want(wanted);
    std::vector<Packet> seen;
    rig.bend = [&](SourceId, Packet& packet) {
      if (packet.kind == Packet::kBlock && seen.size() < 4) seen.push_back(packet);
    };
    for (int i = 0; i < 6; ++i) rig.step(1 + chance.below(6));
    // Delivered, but the carrier did not get to hear of it: these come once more.
    for (const Packet& packet : seen) rig.sender(1).carried.push_back(packet);
    const bool open = rig.sender(1).provider.busy();
    if (open) rig.sender(1).carrier_down();
    rig.fetcher->set_carried(1, 0);
    for (int i = 0; i < 20; ++i) rig.step(1 + chance.below(600));
    if (chance.chance(1, 2)) rig.sender(1).carrier_up = true;
    REQUIRE(rig.settle());
    INFO("seed " << seed);
    CHECK(rig.results[wanted.content] == bytes);
    CHECK(rig.fetcher->charged_bytes(1) == 0);
    CHECK(rig.fetcher->counters().mismatches == 0);
  }
}

TEST_CASE("an end that overtakes its blocks waits for them, and is given up after 5 s") {
  for (const bool lost : {false, true}) {
    TransferRig rig;
    rig.sender(1).carrier_up = true;
    rig.fetcher->set_carried(1, kWindow);
    const Bytes bytes = random_bytes(700'000, 9);
    const WantedContent wanted = rig.sender(1).add("f", bytes);
    rig.fetcher->want(wanted);
    std::vector<Packet> held;
    int left = 1;
    rig.bend = [&](SourceId, Packet& packet) {
      if (packet.kind != Packet::kBlock || left == 0) return;
      --left;
      held.push_back(packet);
      // In its stead one that is late.
      packet.transfer = 4711;
    };
    REQUIRE(rig.settle());
    CHECK(rig.results.empty());
    CHECK(rig.violations == 0);
    CHECK(rig.fetcher->counters().late_chunks > 0);
    if (lost) {
      CHECK(rig.fetcher->deadline() <= rig.clock.now() + 5s);
      rig.clock.advance(5s);
      rig.fetcher->tick(rig.clock.now());
    } else {
      REQUIRE(rig.deliver(1, held.front()));
    }
    REQUIRE(rig.settle());
    CHECK(rig.results[wanted.content] == bytes);
    CHECK(rig.requests.size() == (lost ? 2 : 1));
    CHECK(rig.fetcher->charged_bytes(1) == 0);
  }
}

TEST_CASE("blocks that cannot be are refused; late and unknown ones are counted") {
  TransferRig rig;
  const Bytes bytes = random_bytes(1'000'500, 10);
  const WantedContent wanted = rig.sender(1).add("f", bytes);
  rig.fetcher->want(wanted);
  for (int i = 0; i < 3; ++i) rig.step(0);
  REQUIRE(rig.requests.size() == 1);
  const std::uint32_t transfer = rig.requests[0].second.transfer;
  auto block = [&](std::uint64_t first, std::size_t size) {
    return rig.fetcher->on_block(1, transfer, first, Bytes(size, 1), 1);
  };
  CHECK_FALSE(block(0, 0));
  CHECK_FALSE(block(0, 256'001));
  CHECK_FALSE(block(0, 999));
  CHECK_FALSE(block(1000, 501));
  CHECK_FALSE(block(1001, 1));
  CHECK_FALSE(block(~0ull, 1000));
  CHECK_FALSE(block(~0ull / 1000, 1000));
  CHECK(rig.fetcher->counters().violations == 7);
  CHECK(credited(rig) == 0);
  // Of an unknown transfer: thrown away, and its room given back at once.
  CHECK(rig.fetcher->on_block(1, transfer + 1, 0, Bytes(1000, 1), 1));
  CHECK(credited(rig) == 1000);
  // Of a source that is not there any more: nobody is left to be told.
  CHECK(rig.fetcher->on_block(2, transfer, 0, Bytes(1000, 1), 1));
  CHECK(credited(rig) == 0);
  // Twice the same.
  Bytes first(bytes.begin(), bytes.begin() + 256'000);
  CHECK(rig.fetcher->on_block(1, transfer, 0, first, 1));
  CHECK(rig.fetcher->on_block(1, transfer, 0, first, 1));
  CHECK(rig.fetcher->counters().late_chunks == 1 + 1 + 256);
  CHECK(rig.fetcher->counters().payload_received == 256'000);
}

TEST_CASE("a block that comes for a file that is no longer wanted gives its room back") {
  TransferRig rig;
  rig.sender(1).carrier_up = true;
  rig.fetcher->set_carried(1, kWindow);
  const WantedContent wanted = rig.sender(1).add("f", random_bytes(3'000'000, 11));
  rig.fetcher->want(wanted);
  for (int i = 0; i < 3; ++i) rig.step(2);
  rig.fetcher->drop(wanted.content);
  REQUIRE(rig.settle());
  CHECK(credited(rig) == rig.blocks_received);
  CHECK(rig.fetcher->charged_bytes(1) == 0);
}

TEST_CASE(
    "blocks that a full disk does not take give their room back, and come once there is room") {
  TransferRig rig;
  rig.sender(1).carrier_up = true;
  rig.fetcher->set_carried(1, kWindow);
  const Bytes bytes = random_bytes(4'000'000, 12);
  const WantedContent wanted = rig.sender(1).add("f", bytes);
  rig.fetcher->want(wanted);
  for (int i = 0; i < 2; ++i) rig.step(2);
  bool full = true;
  rig.fs.set_fault([&](const std::string& operation, const std::string&) {
    return full && operation == "write" ? std::optional<Error>({ErrorCode::kNoSpace, "full"})
                                        : std::nullopt;
  });
  REQUIRE(rig.settle());
  CHECK(credited(rig) == rig.blocks_received);
  CHECK(rig.results.count(wanted.content) == 0);
  full = false;
  rig.clock.advance(10s);
  rig.fetcher->tick(rig.clock.now());
  REQUIRE(rig.settle());
  CHECK(rig.results[wanted.content] == bytes);
}

}  // namespace lansync
