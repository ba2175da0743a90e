// What a member with the right keys, or a stranger without, can do to a lane: nothing but end the
// session, or be dropped.
#include <algorithm>
#include <cstring>

#include "support/catch.h"
#include "transport/lane/lane_receiver.h"
#include "transport/lane/lane_sealer.h"
#include "unit/transport/lane_rig.h"

namespace lansync {
namespace {

using namespace lane_rig;

// A member that says what it likes: it has the keys of the end that a LaneConnection talks to.
class Liar {
 public:
  explicit Liar(std::uint64_t seed) : random_(seed) {
    auto [honest, liar] = make_pair(random_);
    honest_ = honest;
    sealer_ = std::make_unique<LaneSealer>(liar.keys.suite,
                                           lane_key(liar.keys, liar.initiator, liar.own), liar.own);
    opener_ = std::make_unique<LaneOpener>(honest.keys.suite,
                                           lane_key(honest.keys, honest.initiator, honest.own));
    lane = std::make_unique<LaneConnection>(honest, now);
  }

  Bytes sealed(ByteView body) {
    Bytes datagram(kLaneHeaderBytes + body.size() + kLaneSealBytes);
    std::memcpy(datagram.data() + kLaneHeaderBytes, body.data(), body.size());
    sealer_->seal(datagram);
    return datagram;
  }
  void say(ByteView body) {
    Bytes datagram = sealed(body);
    lane->on_datagram(datagram, now);
    collect();
  }
  void say_report(std::uint64_t largest, std::uint64_t run, std::uint64_t credit,
                  std::uint64_t floor = 0) {
    LaneReport report;
    report.largest = largest;
    report.credit = credit;
    report.floor = floor;
    report.ranges[0] = {largest + 1 - run, largest + 1};
    report.range_count = 1;
    Bytes body(kLaneMaxBody);
    body.resize(encode_lane_report(report, body));
    say(body);
  }
  void say_chunk(std::uint16_t block, std::uint16_t count, std::uint8_t index,
                 std::size_t size = 1000, std::uint32_t transfer = 7) {
    LaneData data{block, transfer, 100, count, index, {}};
    Bytes body(kLaneDataHeaderBytes + size);
    encode_lane_data_header(data, body.data());
    say(body);
  }
  // All that the lane wants to send now; opened bodies.
  std::vector<Bytes> hear() {
    std::vector<Bytes> bodies;
    while (lane->produce(now, burst_)) {
      for (std::size_t i = 0; i < burst_.count; ++i) {
        std::size_t from = i * burst_.segment;
        std::size_t size = std::min(burst_.segment, burst_.bytes.size() - from);
        auto body = opener_->open(std::span(burst_.bytes).subspan(from, size));
        REQUIRE(body.has_value());
        bodies.emplace_back(body->begin(), body->end());
      }
    }
    collect();
    return bodies;
  }
  void come_up() {
    hear();
    say_report(0, 1, ContentCarrier::kWindowBytes);
    REQUIRE(lane->status().state == CarrierState::kUp);
  }
  void collect() {
    for (CarrierEvent& event : lane->take_events()) {
      if (auto* violation = std::get_if<CarrierViolation>(&event))
        violations.push_back(violation->what);
      if (std::get_if<BlockReceived>(&event) != nullptr) ++blocks;
    }
  }

  Instant now{Duration(5'000'000)};
  std::unique_ptr<LaneConnection> lane;
  std::vector<std::string> violations;
  int blocks = 0;

 private:
  Prng random_;
  CarrierPeer honest_;
  std::unique_ptr<LaneSealer> sealer_;
  std::unique_ptr<LaneOpener> opener_;
  LaneBurst burst_;
};

}  // namespace

TEST_CASE("reports of what was never sent, with impossible ranges or too much credit are refused") {
  SECTION("a number that was not sent yet") {
    Liar liar(1);
    liar.come_up();
    liar.say_report(1000, 1, 0);
    CHECK(liar.violations.size() == 1);
  }
  SECTION("the highest number there is") {
    Liar liar(1);
    liar.come_up();
    liar.say_report(kLaneMaxNumber, kLaneMaxNumber, 0);
    CHECK(liar.violations.size() == 1);
  }
  SECTION("a floor that was not told") {
    Liar liar(1);
    liar.come_up();
    liar.say_report(0, 1, 0, 1);
    CHECK(liar.violations.size() == 1);
  }
  SECTION("credit above the window") {
    Liar liar(1);
    liar.come_up();
    liar.say_report(0, 1, kLaneLongWindow + 1);
    CHECK(liar.violations.size() == 1);
  }
  SECTION("credit that wraps") {
    Liar liar(1);
    liar.come_up();
    liar.say_report(0, 1, ~std::uint64_t{0});
    CHECK(liar.violations.size() == 1);
  }
  SECTION("a run below number 0") {
    Liar liar(1);
    liar.come_up();
    Bytes body(25, 0);
    body[0] = 2;
    body.push_back(2);  // largest 0, two received
    liar.say(body);
    CHECK(liar.violations.size() == 1);
  }
  SECTION("a billion ranges") {
    Liar liar(1);
    liar.come_up();
    Bytes body(25, 0);
    body[0] = 2;
    body.resize(kLaneMaxBody, 1);  // as many as a body holds, all below number 0
    liar.say(body);
    CHECK(liar.violations.size() == 1);
  }
  SECTION("after it nothing goes out or in") {
    Liar liar(1);
    liar.come_up();
    liar.say_report(1000, 1, 0);
    liar.say_report(1000, 1, 0);
    CHECK(liar.violations.size() == 1);
    CHECK(liar.hear().empty());
    CHECK(liar.lane->room() == 0);
    CHECK(liar.lane->deadline() == kNever);
  }
}

TEST_CASE("chunks beyond the credit, out of bounds or of two descriptions are refused") {
  Liar liar(2);
  liar.come_up();
  SECTION("all that the credit allows, and one more") {
    for (std::uint16_t block = 0; block < 32; ++block) liar.say_chunk(block, 256, 0);
    CHECK(liar.violations.empty());
    liar.say_chunk(32, 256, 0);
    REQUIRE(liar.violations.size() == 1);
    CHECK(liar.violations[0].find("may begin 8388608") != std::string::npos);
  }
  SECTION("a block far ahead") {
    liar.say_chunk(kLaneBlockWindow, 1, 0);
    CHECK(liar.violations.size() == 1);
  }
  SECTION("an index outside of the block") {
    liar.say_chunk(0, 4, 4);
    CHECK(liar.violations.size() == 1);
  }
  SECTION("a short chunk before the last") {
    liar.say_chunk(0, 4, 1, 999);
    CHECK(liar.violations.size() == 1);
  }
  SECTION("no content") {
    liar.say_chunk(0, 4, 3, 0);
    CHECK(liar.violations.size() == 1);
  }
  SECTION("another transfer in the same block") {
    liar.say_chunk(0, 4, 1, 1000, 7);
    liar.say_chunk(0, 4, 2, 1000, 8);
    CHECK(liar.violations.size() == 1);
  }
  SECTION("a probe with a floor above its own number") {
    Bytes body(kLaneMaxBody);
    LaneProbe probe{1'000'000};
    body.resize(encode_lane_probe(probe, body));
    liar.say(body);
    CHECK(liar.violations.size() == 1);
  }
  SECTION("an unknown type") {
    Bytes body = {9, 9, 9};
    liar.say(body);
    CHECK(liar.violations.size() == 1);
  }
}

TEST_CASE("replayed, forged and damaged datagrams change nothing") {
  Liar liar(3);
  liar.come_up();
  LaneData data{0, 7, 0, 1, 0, {}};
  Bytes body(kLaneDataHeaderBytes + 1000);
  encode_lane_data_header(data, body.data());
  Bytes datagram = liar.sealed(body);
  for (std::size_t bit = 0; bit < datagram.size() * 8; bit += 37) {
    Bytes damaged = datagram;
    damaged[bit / 8] ^= static_cast<std::uint8_t>(1U << (bit % 8));
    liar.lane->on_datagram(damaged, liar.now);
  }
  for (std::size_t size : {0UL, 1UL, 4UL, 10UL, 26UL, 27UL, 100UL, datagram.size() - 1}) {
    Bytes cut(datagram.begin(), datagram.begin() + static_cast<std::ptrdiff_t>(size));
    liar.lane->on_datagram(cut, liar.now);
  }
  liar.collect();
  CHECK(liar.blocks == 0);
  for (int i = 0; i < 3; ++i) {
    Bytes again = datagram;
    liar.lane->on_datagram(again, liar.now);
  }
  liar.collect();
  CHECK(liar.blocks == 1);
  CHECK(liar.violations.empty());
}

TEST_CASE("a sender that never hears a report keeps 8 MiB, sends no more than that, and gives up") {
  Liar liar(4);
  liar.come_up();
  while (liar.lane->room() >= 256'000) liar.lane->send({1, 0, Bytes(256'000)});
  std::size_t chunks = 0;
  for (int i = 0; i < 5000; ++i) {
    chunks += liar.hear().size();
    liar.now += 1ms;
  }
  CHECK(chunks < 12'000);
  CHECK(liar.lane->status().state == CarrierState::kBlocked);
  CHECK(liar.lane->room() == 0);
}

TEST_CASE("a peer that makes us report without end and reports nothing costs a flat memory") {
  Liar liar(5);
  liar.come_up();
  liar.lane->send({1, 0, Bytes(256'000)});
  Bytes probe(kLaneMaxBody);
  probe.resize(encode_lane_probe({0}, probe));
  for (int i = 0; i < 70'000; ++i) {
    liar.say(probe);
    liar.hear();
    if (i % 100 == 0) liar.now += 1ms;
  }
  CHECK(liar.violations.empty());
}

TEST_CASE("a report's ranges survive coding, however many there are") {
  Prng random(6);
  for (int round = 0; round < 300; ++round) {
    LaneNumbers numbers;
    std::uint64_t number = random.below(1U << 20);
    std::uint64_t keep = random.below(101);
    for (int i = 0; i < 20'000; ++i, ++number)
      if (random.below(100) < keep) numbers.mark(number);
    if (!numbers.any()) continue;
    LaneReport report;
    report.largest = numbers.largest();
    report.range_count = numbers.ranges(report.ranges);
    for (std::size_t i = 0; i < report.range_count; ++i)
      for (std::uint64_t n = report.ranges[i].begin; n < report.ranges[i].end; ++n)
        REQUIRE_FALSE(numbers.fresh(n));
    Bytes body(kLaneMaxBody);
    body.resize(encode_lane_report(report, body));
    LaneReport back;
    REQUIRE(decode_lane_report(body, back));
    REQUIRE(back.largest == report.largest);
    REQUIRE(back.range_count <= report.range_count);
    // 20 % loss: 120 ranges fit.
    if (keep < 99 && keep > 5) REQUIRE(back.range_count >= 120);
    for (std::size_t i = 0; i < back.range_count; ++i) REQUIRE(back.ranges[i] == report.ranges[i]);
  }
}

TEST_CASE("the window of received numbers is what a set of them says") {
  Prng random(7);
  LaneNumbers numbers;
  std::set<std::uint64_t> model;
  std::uint64_t top = 0;
  for (int i = 0; i < 200'000; ++i) {
    std::uint64_t jump = random.chance(1, 1000) ? random.below(40'000) : random.below(4);
    std::uint64_t number =
        random.chance(1, 4) ? top - std::min(top, random.below(17'000)) : top + jump;
    bool fresh = model.count(number) == 0 && number + kLaneNumberWindow > top;
    REQUIRE(numbers.fresh(number) == fresh);
    if (!fresh) continue;
    numbers.mark(number);
    model.insert(number);
    top = std::max(top, number);
  }
}

}  // namespace lansync
