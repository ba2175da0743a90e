// One Election whose world is played by the test: it says what is heard and takes what is asked
// for.
#pragma once

#include <algorithm>
#include <deque>
#include <string>
#include <vector>

#include "election_network.h"

namespace lansync::test {

inline NodeId node_id(int number) {
  NodeId id;
  id.bytes[0] = static_cast<std::uint8_t>(number);
  return id;
}

inline PeerFacts peer(int number, Role role = Role::kNone) {
  PeerFacts facts;
  facts.rank.node = node_id(number);
  facts.boot.bytes[0] = 1;
  facts.name = str("n", number);
  facts.address = {static_cast<std::uint32_t>(number), 27801};
  facts.role = role;
  if (is_hub(role)) {
    facts.hub = facts.rank.node;
    facts.hub_term = facts.term = 5;
    facts.members = 3;
  }
  return facts;
}

// Node 50: others are better (lower) or worse (higher) as a test wants.
class Fixture {
 public:
  explicit Fixture(ManualRole manual = ManualRole::kAuto) : Fixture(options(manual)) {}
  explicit Fixture(const Election::Options& options)
      : log_("n50", now, lines_), election(options, log_) {
    election.start(now);
    take();
  }

  static Election::Options options(ManualRole manual) {
    Election::Options options;
    options.self.manual = manual;
    options.self.node = node_id(50);
    return options;
  }

  void take() {
    for (ElectionAction& action : election.take_actions()) {
      if (const auto* persist = std::get_if<PersistTermAction>(&action); persist && durable) {
        std::uint64_t term = persist->term;
        actions.push_back(action);
        election.term_durable(term, now);
        take();
        continue;
      }
      actions.push_back(std::move(action));
    }
  }

  void run(Duration duration, bool hub_speaks = false) {
    Instant end = now + duration;
    while (now < end) {
      now += 10ms;
      if (hub_speaks) election.on_hub_heard(now);
      if (election.deadline() <= now) election.tick(now);
      take();
    }
  }

  template <typename Action>
  std::vector<Action> all() const {
    std::vector<Action> found;
    for (const ElectionAction& action : actions)
      if (const auto* a = std::get_if<Action>(&action)) found.push_back(*a);
    return found;
  }

  int dials_to(int number) const {
    int count = 0;
    for (const DialAction& dial : all<DialAction>()) count += dial.node == node_id(number);
    return count;
  }

  void facts(const PeerFacts& f) {
    election.on_facts(f, now);
    take();
  }
  // The session with `number` ends.
  void down(int number) {
    election.on_session_down(node_id(number), now);
    take();
  }
  void fail(int number, DialFailure failure) {
    election.on_dial_failed(node_id(number), {}, failure, now);
    take();
  }
  void claim(int number, std::uint64_t term, std::uint32_t members = 1) {
    election.on_claim(node_id(number), term, members, now);
    take();
  }
  void beacon(const PeerFacts& f, bool seeking, bool tagged = true) {
    election.on_beacon(f, tagged, seeking, now);
    take();
  }

  // In a group of `hub` with this roster.
  void join(int hub, const std::vector<int>& roster) {
    facts(peer(hub, Role::kServer));
    std::vector<RosterEntry> rows;
    for (int number : roster)
      rows.push_back({node_id(number),
                      BootId{},
                      str("n", number),
                      {static_cast<std::uint32_t>(number), 27801}});
    election.on_roster(node_id(hub), 5, 1, rows, now);
    take();
  }
  PeerFacts member(int number) const {
    PeerFacts f = peer(number, Role::kClient);
    f.hub = node_id(50);
    f.hub_term = election.term();
    f.hub_live = f.in_sync = true;
    return f;
  }

  Instant now{1s};
  bool durable = true;

 private:
  std::deque<std::string> lines_;
  TraceLog log_;

 public:
  Election election;
  std::vector<ElectionAction> actions;
};

}  // namespace lansync::test
