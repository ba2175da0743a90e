// Several ways to one node, networks that come and go, and a machine that slept: one Election whose
// world is played by the test.
#include "election_network.h"
#include "support/catch.h"

namespace lansync::test {
namespace {

NodeId node_id(int number) {
  NodeId id;
  id.bytes[0] = static_cast<std::uint8_t>(number);
  return id;
}

constexpr Address kWired{0x0A000002, 27801};
constexpr Address kRadio{0x0A000102, 27801};

PeerFacts hub_facts(int number) {
  PeerFacts facts;
  facts.rank.node = node_id(number);
  facts.boot.bytes[0] = 1;
  facts.name = str("n", number);
  facts.address = kWired;
  facts.others = {kRadio};
  facts.role = Role::kServer;
  facts.hub = facts.rank.node;
  facts.hub_term = facts.term = 5;
  facts.members = 3;
  return facts;
}

class Fixture {
 public:
  Fixture() : log_("n50", now, lines_), election(options(), log_) {
    election.start(now);
    take();
  }
  static Election::Options options() {
    Election::Options options;
    options.self.node = node_id(50);
    return options;
  }
  void take() {
    for (ElectionAction& action : election.take_actions()) {
      if (const auto* persist = std::get_if<PersistTermAction>(&action))
        election.term_durable(persist->term, now);
      actions.push_back(std::move(action));
    }
  }
  void run(Duration duration) {
    for (Instant end = now + duration; now < end;) {
      now += 10ms;
      if (election.deadline() <= now) election.tick(now);
      take();
    }
  }
  void beacon(const PeerFacts& facts, bool tagged = true) {
    election.on_beacon(facts, tagged, false, now);
    take();
  }
  void join(int hub) {
    beacon(hub_facts(hub));
    election.on_facts(hub_facts(hub), now);
    take();
    REQUIRE(election.hub() == node_id(hub));
    actions.clear();
  }
  std::vector<Address> dials() const {
    std::vector<Address> found;
    for (const ElectionAction& action : actions)
      if (const auto* dial = std::get_if<DialAction>(&action)) found.push_back(dial->address);
    return found;
  }
  template <typename Action>
  int count() const {
    int found = 0;
    for (const ElectionAction& action : actions) found += std::holds_alternative<Action>(action);
    return found;
  }

 private:
  std::deque<std::string> lines_;

 public:
  Instant now{1s};

 private:
  TraceLog log_;

 public:
  Election election;
  std::vector<ElectionAction> actions;
};

}  // namespace

TEST_CASE("one attempt goes by every way to a member, the next a moment after the one before") {
  Fixture f;
  f.beacon(hub_facts(60));
  REQUIRE(f.dials() == std::vector<Address>{kWired});
  f.run(400ms);
  REQUIRE(f.dials() == std::vector<Address>{kWired, kRadio});
  // The first is over: nothing has failed while the other is under way.
  f.election.on_dial_failed(node_id(60), kWired, DialFailure::kNoAnswer, f.now);
  CHECK(f.election.silent(f.now).empty());
  f.election.on_dial_failed(node_id(60), kRadio, DialFailure::kNoAnswer, f.now);
  REQUIRE(f.election.silent(f.now).size() == 1);
  CHECK(f.election.silent(f.now)[0].is_hub);
  // In another network nothing has failed yet.
  f.election.on_network(true, false, {}, f.now);
  CHECK(f.election.silent(f.now).empty());
}

TEST_CASE("who is not heard any more, and does not answer, is not called silent") {
  Fixture f;
  f.beacon(hub_facts(60));
  f.run(100ms);
  f.election.on_dial_failed(node_id(60), kWired, DialFailure::kNoAnswer, f.now);
  f.election.on_dial_failed(node_id(60), kRadio, DialFailure::kNoAnswer, f.now);
  REQUIRE(f.election.silent(f.now).size() == 1);
  // Its cable is out: dials fail on, beacons do not come. A session in between is over.
  f.election.on_network(true, false, {}, f.now);
  f.run(3s);
  CHECK(f.election.silent(f.now).empty());
}

TEST_CASE("a way that fails at once gives the turn to the next at once") {
  Fixture f;
  f.beacon(hub_facts(60));
  f.election.on_dial_failed(node_id(60), kWired, DialFailure::kNoAnswer, f.now);
  f.take();
  CHECK(f.dials() == std::vector<Address>{kWired, kRadio});
}

TEST_CASE("a stranger's further addresses are not dialled") {
  Fixture f;
  f.beacon(hub_facts(60), false);
  f.run(1s);
  for (const Address& address : f.dials()) CHECK(address == kWired);
}

TEST_CASE("a hub that is silent on one way is dialled by the other before it is lost") {
  Fixture f;
  f.join(60);
  f.run(1600ms);
  CHECK(f.election.hub() == node_id(60));
  CHECK(f.dials() == std::vector<Address>{kRadio});
  CHECK(f.count<CloseAction>() == 0);
  // The other way works: the hub is heard, and nothing was lost.
  f.election.on_session_down(node_id(60), f.now);
  PeerFacts facts = hub_facts(60);
  facts.address = kRadio;
  f.election.on_facts(facts, f.now);
  f.take();
  CHECK(f.election.hub() == node_id(60));
  CHECK(f.count<FollowAction>() == 1);
  CHECK(f.count<SeekAction>() == 0);
}

TEST_CASE("after a change of our own addresses a silent session is made anew the same way") {
  Fixture f;
  PeerFacts facts = hub_facts(60);
  facts.others.clear();
  f.beacon(facts);
  f.election.on_facts(facts, f.now);
  f.take();
  f.actions.clear();
  f.election.on_network(true, false, {node_id(60)}, f.now);
  f.run(1500ms);
  CHECK(f.count<CloseAction>() == 1);
  CHECK(f.dials() == std::vector<Address>{kWired});
  CHECK(f.election.hub() == node_id(60));
  // The end of the old one is no news, and does not end the dial.
  f.election.on_session_down(node_id(60), f.now);
  f.take();
  CHECK(f.dials().size() == 1);
}

TEST_CASE("a hub that was alone without a network looks for a group before it goes on") {
  Fixture f;
  f.run(700ms);
  REQUIRE(f.election.role() == Role::kServer);
  f.actions.clear();
  f.election.on_network(false, false, {}, f.now);
  f.run(20s);
  CHECK(f.election.role() == Role::kServer);
  f.election.on_network(true, true, {}, f.now);
  f.take();
  CHECK(f.election.seeking());
  CHECK(f.count<SeekAction>() == 1);
  // Nobody is there: hub again, a term later.
  f.run(700ms);
  CHECK(f.election.role() == Role::kServer);
}

TEST_CASE("a hub with members that are heard all the same is not moved by its cable") {
  Fixture f;
  f.run(700ms);
  PeerFacts member = hub_facts(70);
  member.role = Role::kClient;
  member.hub = node_id(50);
  member.hub_term = member.term = 1;
  f.election.on_facts(member, f.now);
  f.take();
  REQUIRE(f.election.members() == 2);
  f.election.on_network(true, true, {node_id(70)}, f.now);
  f.take();
  CHECK(f.election.role() == Role::kServer);
  CHECK(f.election.members() == 2);
}

TEST_CASE("a hub that slept for longer than the others' patience listens before it claims") {
  Fixture f;
  f.run(700ms);
  REQUIRE(f.election.role() == Role::kServer);
  f.actions.clear();
  f.now += 60s;
  f.election.on_stall(f.now, 60s);
  f.take();
  CHECK(f.election.role() == Role::kNone);
  CHECK(f.count<SeekAction>() == 1);
  f.run(300ms);
  CHECK(f.count<PersistTermAction>() == 0);
}

TEST_CASE("a hub that only stumbled stays hub") {
  Fixture f;
  f.run(700ms);
  f.now += 1s;
  f.election.on_stall(f.now, 1s);
  f.take();
  CHECK(f.election.role() == Role::kServer);
}

TEST_CASE("the reason names the direction that is blocked, both ports and the way round") {
  for (std::optional<bool> hears :
       {std::optional<bool>(), std::optional(true), std::optional(false)}) {
    Fixture f;
    PeerFacts facts = hub_facts(60);
    facts.others.clear();
    facts.hears_us = hears;
    f.beacon(facts);
    for (int i = 0; i < 4; ++i) {
      f.run(1s);
      f.election.on_dial_failed(node_id(60), kWired, DialFailure::kNoAnswer, f.now);
      f.beacon(facts);
    }
    f.take();
    std::string reason = f.election.seek_reason(f.now);
    INFO(reason);
    for (const char* word : {"n60", "10.0.0.2", "27800", "27801", "--peer"})
      CHECK(reason.find(word) != std::string::npos);
    CHECK((reason.find("does not hear us") != std::string::npos) == (hears == false));
    CHECK((reason.find("hears our beacons") != std::string::npos) == (hears == true));
    CHECK(f.election.role() == Role::kNone);
  }
}

}  // namespace lansync::test
