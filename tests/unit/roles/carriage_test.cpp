// Two ends of a session with fake carriers: who opens, what is chosen, what comes back.
#include "roles/carriage.h"

#include "support/catch.h"
#include "support/fake_carrier.h"

namespace lansync {
namespace {

constexpr std::uint32_t kTransfer = 5;

class KeptLog final : public Log {
 public:
  void write(LogLevel, std::string_view line) override { lines.emplace_back(line); }
  std::vector<std::string> lines;
};

struct End {
  explicit End(std::uint64_t seed, CarrierChoice choice, SessionId session_id, bool dialled)
      : random(seed), carriage(options(choice), random, log), session(session_id) {
    carriage.add_carrier(lane);
    carriage.add_carrier(tcp);
    SessionInfo info;
    info.id = session_id;
    info.address = {0x0a000000 + static_cast<std::uint32_t>(seed), 27801};
    info.outgoing = dialled;
    SessionKeys keys;
    carriage.session_up(info, &keys, "other");
  }
  static Carriage::Options options(CarrierChoice choice) {
    Carriage::Options out;
    out.choice = choice;
    return out;
  }

  Prng random;
  KeptLog log;
  Carriage carriage;
  SessionId session;
  FakeCarrier lane{CarrierKind::kLane, 27802};
  FakeCarrier tcp{CarrierKind::kTcp, 27801};
  std::vector<BlockReceived> received;
  std::vector<TransferResult> ended;
  std::vector<Carrier> inbox;
  int windows = 0;
};

struct Pair {
  explicit Pair(CarrierChoice choice = CarrierChoice::kAuto)
      : asker(1, choice, 11, true), sender(2, CarrierChoice::kAuto, 22, false) {}

  void poll(End& from, End& to) {
    Carriage::News news;
    from.carriage.poll(now, news);
    for (auto& [session, message] : news.messages) to.inbox.push_back(message);
    for (BlockReceived& block : news.received) from.received.push_back(std::move(block));
    for (auto& [session, result] : news.ended) from.ended.push_back(result);
    from.windows += static_cast<int>(news.windows.size());
  }
  void exchange() {
    for (int i = 0; i < 8; ++i) {
      poll(asker, sender);
      poll(sender, asker);
      for (End* end : {&asker, &sender}) {
        for (const Carrier& message : std::exchange(end->inbox, {}))
          end->carriage.on_message(end->session, message, now);
      }
    }
  }
  BlockRoute route() { return sender.carriage.route(22, kTransfer, 256'000, now); }
  Via send(std::uint64_t first) {
    return sender.carriage.send(22, kTransfer, first, Bytes(256'000, 7), now);
  }
  // Asked and answered, nothing proved yet.
  void open() {
    asker.carriage.want_from(11, now);
    exchange();
    sender.carriage.on_request(22, kTransfer, asker.carriage.choice());
  }
  void lane_up() {
    asker.lane.set_state(11, CarrierState::kUp);
    sender.lane.set_state(22, CarrierState::kUp);
    exchange();
  }

  Instant now{1000s};
  End asker;
  End sender;
};

}  // namespace

TEST_CASE("the asker's wish opens the lane at both ends, once, with ids that belong together") {
  Pair pair;
  pair.open();
  for (int i = 0; i < 5; ++i) pair.asker.carriage.want_from(11, pair.now);
  pair.exchange();
  REQUIRE(pair.asker.lane.opened == 1);
  REQUIRE(pair.sender.lane.opened == 1);
  CHECK(pair.asker.tcp.opened == 0);
  const CarrierPeer& a = pair.asker.lane.lines.at(11).peer;
  const CarrierPeer& b = pair.sender.lane.lines.at(22).peer;
  CHECK(a.own == b.theirs);
  CHECK(a.theirs == b.own);
  CHECK(a.own != a.theirs);
  CHECK(a.initiator);
  CHECK_FALSE(b.initiator);
  CHECK(a.address == Address{0x0a000001, 27802});
}

TEST_CASE("two that ask each other at once open one lane") {
  Pair pair;
  pair.asker.carriage.want_from(11, pair.now);
  pair.sender.carriage.want_from(22, pair.now);
  pair.exchange();
  CHECK(pair.asker.lane.opened == 1);
  CHECK(pair.sender.lane.opened == 1);
  CHECK(pair.asker.lane.lines.at(11).peer.own == pair.sender.lane.lines.at(22).peer.theirs);
  CHECK(pair.asker.lane.lines.at(11).peer.theirs == pair.sender.lane.lines.at(22).peer.own);
}

TEST_CASE("blocks wait a second for a lane, then go in the session, then by the lane") {
  Pair pair;
  pair.open();
  CHECK(pair.route() == BlockRoute::kWait);
  CHECK(pair.sender.carriage.deadline() == pair.now + 1s);
  pair.now += 999ms;
  CHECK(pair.route() == BlockRoute::kWait);
  pair.now += 1ms;
  CHECK(pair.route() == BlockRoute::kChunks);
  CHECK(pair.asker.carriage.window(11) == 0);
  pair.lane_up();
  CHECK(pair.route() == BlockRoute::kBlock);
  CHECK(pair.send(0) == kViaLane);
  CHECK(pair.asker.carriage.window(11) == Carriage::kCarriedWindow);
  CHECK(pair.asker.windows > 0);
}

TEST_CASE("a lane that says that it is blocked is not waited for") {
  Pair pair;
  pair.open();
  pair.sender.lane.set_state(22, CarrierState::kBlocked, "nothing is heard from there");
  pair.exchange();
  CHECK(pair.route() == BlockRoute::kChunks);
  REQUIRE(pair.sender.carriage.troubles().size() == 1);
  CHECK(pair.sender.carriage.troubles()[0].why == "nothing is heard from there");
  CHECK(pair.sender.carriage.fallback_reason().find("goes by enet") != std::string::npos);
  REQUIRE(pair.sender.log.lines.size() == 1);
  // One line a change, and one when it is over.
  pair.sender.lane.set_state(22, CarrierState::kBlocked, "nothing is heard from there");
  pair.exchange();
  CHECK(pair.sender.log.lines.size() == 1);
  pair.lane_up();
  CHECK(pair.sender.log.lines.size() == 2);
  CHECK(pair.sender.carriage.fallback_reason().empty());
}

TEST_CASE("what was asked for decides: enet never leaves the session, tcp goes by tcp") {
  {
    Pair pair(CarrierChoice::kEnet);
    pair.open();
    CHECK(pair.asker.lane.opened + pair.asker.tcp.opened == 0);
    CHECK(pair.route() == BlockRoute::kChunks);
    // Even if there is a lane, for what goes the other way.
    pair.sender.carriage.want_from(22, pair.now);
    pair.exchange();
    pair.lane_up();
    CHECK(pair.route() == BlockRoute::kChunks);
    CHECK(pair.asker.carriage.window(11) == 0);
  }
  {
    Pair pair(CarrierChoice::kTcp);
    pair.open();
    CHECK(pair.asker.lane.opened == 0);
    REQUIRE(pair.sender.tcp.opened == 1);
    CHECK(pair.route() == BlockRoute::kWait);
    pair.asker.tcp.set_state(11, CarrierState::kUp);
    pair.sender.tcp.set_state(22, CarrierState::kUp);
    pair.exchange();
    CHECK(pair.route() == BlockRoute::kBlock);
    CHECK(pair.send(0) == kViaTcp);
  }
}

TEST_CASE("tcp is the last resort: lane blocked and nothing comes") {
  Pair pair;
  pair.open();
  pair.asker.carriage.stuck(11, pair.now);
  pair.exchange();
  CHECK(pair.asker.tcp.opened == 0);
  pair.asker.lane.set_state(11, CarrierState::kBlocked, "x");
  pair.sender.lane.set_state(22, CarrierState::kBlocked, "x");
  pair.exchange();
  pair.asker.carriage.stuck(11, pair.now);
  pair.exchange();
  REQUIRE(pair.asker.tcp.opened == 1);
  pair.sender.tcp.set_state(22, CarrierState::kUp);
  pair.exchange();
  CHECK(pair.route() == BlockRoute::kBlock);
  CHECK(pair.send(0) == kViaTcp);
}

TEST_CASE("an end waits until all blocks of its transfer are delivered") {
  Pair pair;
  pair.open();
  pair.lane_up();
  pair.send(0);
  pair.send(256);
  CHECK(pair.sender.carriage.hold_end(22, {kTransfer, true, {}, ""}));
  CHECK(pair.sender.lane.deliver(22, pair.asker.lane, 11));
  pair.exchange();
  CHECK(pair.sender.ended.empty());
  CHECK(pair.sender.lane.deliver(22, pair.asker.lane, 11));
  pair.exchange();
  REQUIRE(pair.sender.ended.size() == 1);
  CHECK(pair.sender.ended[0].transfer == kTransfer);
  CHECK(pair.asker.received.size() == 2);
  // And one that has none on its way does not wait.
  pair.sender.carriage.on_request(22, kTransfer + 1, CarrierChoice::kAuto);
  CHECK_FALSE(pair.sender.carriage.hold_end(22, {kTransfer + 1, true, {}, ""}));
}

TEST_CASE("what a lane hands back goes out in chunks, each once, and only then the end") {
  Pair pair;
  pair.open();
  pair.lane_up();
  pair.send(0);
  pair.sender.carriage.send(22, kTransfer, 256, Bytes(1500, 9), pair.now);
  CHECK(pair.sender.carriage.hold_end(22, {kTransfer, true, {}, ""}));
  pair.sender.lane.set_state(22, CarrierState::kBlocked, "x");
  pair.exchange();
  std::vector<std::uint64_t> numbers;
  std::uint64_t bytes = 0;
  Carriage::News news;
  while (auto chunk = pair.sender.carriage.next_returned(22)) {
    CHECK(news.ended.empty());
    CHECK(chunk->transfer == kTransfer);
    numbers.push_back(chunk->number);
    bytes += chunk->bytes.size();
    pair.sender.carriage.returned_sent(22, news);
  }
  CHECK(bytes == 257'500);
  REQUIRE(numbers.size() == 258);
  for (std::uint64_t i = 0; i < numbers.size(); ++i) CHECK(numbers[i] == i);
  REQUIRE(news.ended.size() == 1);
}

TEST_CASE("room is given back once, and none of an opening before this one") {
  Pair pair;
  pair.open();
  pair.lane_up();
  pair.send(0);
  pair.sender.lane.deliver(22, pair.asker.lane, 11);
  pair.exchange();
  pair.asker.carriage.credit(11, kViaLane, 200'000);
  pair.asker.carriage.credit(11, kViaLane, 200'000);
  CHECK(pair.asker.lane.lines.at(11).credit == 256'000);
  pair.send(256);
  pair.sender.lane.deliver(22, pair.asker.lane, 11);
  pair.exchange();
  // The other side opens anew: it begins with full credit.
  pair.sender.carriage.on_message(22, {false, false, 27802, {9}}, pair.now);
  pair.exchange();
  pair.asker.carriage.on_message(11, {false, false, 27802, {8}}, pair.now);
  pair.asker.carriage.credit(11, kViaLane, 256'000);
  CHECK(pair.asker.lane.lines.at(11).credit == 0);
}

TEST_CASE("an idle lane is closed at both ends without a word, and opened again when needed") {
  Pair pair;
  pair.open();
  pair.lane_up();
  CHECK_FALSE(pair.sender.carriage.hold_end(22, {kTransfer, true, {}, ""}));
  const std::size_t said = pair.sender.log.lines.size();
  for (int i = 0; i < 14; ++i) {
    pair.now += 5s;
    pair.exchange();
  }
  CHECK(pair.asker.lane.lines.empty());
  CHECK(pair.sender.lane.lines.empty());
  CHECK(pair.sender.log.lines.size() == said);
  CHECK(pair.asker.carriage.deadline() == kNever);
  pair.now += 10s;
  pair.open();
  CHECK(pair.asker.lane.lines.size() == 1);
  CHECK(pair.sender.lane.lines.size() == 1);
}

TEST_CASE("an answer that nobody waits for, and one without a carrier, open nothing") {
  Pair pair;
  pair.sender.carriage.on_message(22, {false, true, 27802, {1}}, pair.now);
  pair.exchange();
  CHECK(pair.sender.lane.opened == 0);
  // The other side has no such carrier.
  pair.asker.carriage.want_from(11, pair.now);
  pair.asker.carriage.on_message(11, {false, true, 0, {}}, pair.now);
  pair.exchange();
  pair.asker.carriage.want_from(11, pair.now + 9s);
  CHECK(pair.asker.lane.lines.empty());
}

TEST_CASE("a session that ends takes its carriers along") {
  Pair pair;
  pair.open();
  pair.lane_up();
  pair.send(0);
  pair.sender.carriage.session_down(22);
  pair.exchange();
  CHECK(pair.sender.lane.lines.empty());
  CHECK(pair.route() == BlockRoute::kChunks);
  CHECK_FALSE(pair.sender.carriage.next_returned(22));
}

}  // namespace lansync
