#include "election_network.h"

#include <algorithm>

#include "support/catch.h"

namespace lansync::test {

namespace {
// A session that hears nothing is closed by the transport after this.
constexpr Duration kLinkPatience = 2s;
constexpr Duration kDialPatience = 1500ms;
constexpr Duration kPing = 500ms;
}  // namespace

int ElectionNetwork::add(const Setup& setup) {
  int number = count();
  auto node = std::make_unique<Node>();
  node->setup = setup;
  node->name = str("n", number);
  node->log = std::make_unique<TraceLog>(node->name, now_, trace_);
  node->address = {0x0A000001U + static_cast<std::uint32_t>(number), 27801};
  node->rank.manual = setup.manual;
  node->rank.full_replica = setup.full_replica;
  node->rank.has_data = setup.has_data;
  node->rank.disk_log2 = setup.disk_log2;
  node->rank.node.bytes = {0x10, static_cast<std::uint8_t>(number >> 8),
                           static_cast<std::uint8_t>(number), 1};
  nodes_.push_back(std::move(node));
  side_.push_back(0);
  return number;
}

void ElectionNetwork::after(Duration delay, std::function<void()> run) {
  events_.push({now_ + delay, ++seq_, std::move(run)});
}

void ElectionNetwork::later(int number, Duration delay, std::function<void(Node&)> run) {
  std::uint64_t life = nodes_[number]->life;
  after(delay, [this, number, life, run = std::move(run)] {
    Node& node = *nodes_[number];
    if (!node.alive || node.life != life) return;
    if (node.asleep_until > now_) {
      later(number, node.asleep_until - now_, run);
      return;
    }
    run(node);
    take(number);
  });
}

void ElectionNetwork::start(int number) {
  Node& node = *nodes_[number];
  ++node.life;
  node.alive = true;
  node.asleep_until = Instant{};
  node.sessions.clear();
  node.dialling.clear();
  node.roster_number = 0;
  node.roster_planned = false;
  node.last_roster.clear();
  node.in_sync = false;
  node.search_until = Instant{};
  node.refusal.clear();
  node.last_role = Role::kNone;
  node.boot = random_.id<BootId>();
  Election::Options options;
  options.self = node.rank;
  options.term = node.durable_term;
  node.election = std::make_unique<Election>(options, *node.log);
  node.election->start(now_);
  take(number);
  pings(number);
}

void ElectionNetwork::start_all() {
  for (int i = 0; i < count(); ++i) start(i);
}

bool ElectionNetwork::reaches(int from, int to) const {
  return side_[from] == side_[to] && blocked_.count({from, to}) == 0;
}

void ElectionNetwork::set_cut(int a, int b, bool value) {
  if (value) {
    blocked_.insert({a, b});
    blocked_.insert({b, a});
  } else {
    blocked_.erase({a, b});
    blocked_.erase({b, a});
  }
}

void ElectionNetwork::partition(const std::vector<int>& side_of) { side_ = side_of; }

void ElectionNetwork::heal() {
  std::fill(side_.begin(), side_.end(), 0);
  blocked_.clear();
}

int ElectionNetwork::by_address(const Address& address) const {
  for (int i = 0; i < count(); ++i)
    if (nodes_[i]->address == address) return i;
  return -1;
}

int ElectionNetwork::by_id(const NodeId& id) const {
  for (int i = 0; i < count(); ++i)
    if (nodes_[i]->rank.node == id) return i;
  return -1;
}

PeerFacts ElectionNetwork::facts(int number, bool session) const {
  const Node& node = *nodes_[number];
  const Election& election = *node.election;
  PeerFacts facts;
  facts.rank = node.rank;
  facts.boot = node.boot;
  facts.name = node.name;
  facts.address = node.address;
  facts.role = election.role();
  // While there is no hub, a node that was a client is still one in its beacon, with kSeek.
  if (!session) return facts;
  facts.hub = election.hub().value_or(NodeId{});
  facts.hub_term = facts.hub.is_zero() ? 0 : election.term();
  facts.hub_live = election.hub_live(now_);
  facts.term = election.highest_term();
  facts.members = is_hub(facts.role) ? election.members() : 0;
  facts.in_sync = node.in_sync;
  return facts;
}

void ElectionNetwork::take(int number) {
  Node& node = *nodes_[number];
  // A copy of the list first: what an action causes here comes later by the queue, never at once.
  for (const ElectionAction& action : node.election->take_actions()) obey(number, action);
  Role role = node.election->role();
  if (role != node.last_role) {
    if (is_hub(role) != is_hub(node.last_role)) changes_.push_back({now_, number, is_hub(role)});
    node.last_role = role;
    beacon(number);
  }
  if (is_hub(role)) send_roster(number);
  // A deadline that passed while nothing was asked of the machine means: tick now.
  Instant due = std::max(node.election->deadline(), now_ + 1ms);
  if (due < node.tick_due || node.tick_due <= now_) {
    node.tick_due = due;
    if (due != kNever) {
      later(number, due - now_, [this, number, due](Node& n) {
        if (n.tick_due == due) tick(number);
      });
    }
  }
}

void ElectionNetwork::tick(int number) {
  Node& node = *nodes_[number];
  node.tick_due = kNever;
  node.election->tick(now_);
}

// In order within a channel, as ENet's are; claims and byes may overtake facts and rosters.
void ElectionNetwork::message(int from, int to, std::function<void(Election&)> deliver,
                              int channel) {
  Instant& last = last_arrival_[{from, to, channel}];
  last = std::max(now_ + latency(), last + 1us);
  pass_on(from, to, last - now_, nodes_[from]->life, std::move(deliver));
}

void ElectionNetwork::pass_on(int from, int to, Duration delay, std::uint64_t life,
                              std::function<void(Election&)> deliver) {
  later(to, delay, [this, from, to, life, deliver](Node& node) {
    if (node.sessions.count(from) == 0) return;
    if (!reaches(from, to)) {
      // Reliable: it arrives when the cut is mended, if the session lives so long.
      pass_on(from, to, 100ms, life, deliver);
      return;
    }
    deliver(*node.election);
    bool same = nodes_[from]->life == life;
    if (same && node.election->hub() == nodes_[from]->rank.node) node.election->on_hub_heard(now_);
  });
}

void ElectionNetwork::to_all(int from, const std::function<void(int)>& send) {
  for (int to : std::set<int>(nodes_[from]->sessions)) send(to);
}

void ElectionNetwork::pings(int number) {
  later(number, kPing, [this, number](Node&) {
    to_all(number, [&](int to) { message(number, to, [](Election&) {}); });
    pings(number);
  });
}

void ElectionNetwork::send_roster(int number) {
  // One for all who come within 20 ms: 200 joins are not 200 rosters.
  Node& planned = *nodes_[number];
  if (planned.roster_planned) return;
  planned.roster_planned = true;
  later(number, 20ms, [this, number](Node& node) {
    node.roster_planned = false;
    roster_now(number);
  });
}

void ElectionNetwork::roster_now(int number) {
  Node& node = *nodes_[number];
  if (!is_hub(node.election->role())) return;
  std::vector<NodeId> order = node.election->succession();
  if (order == node.last_roster) return;
  node.last_roster = order;
  ++node.roster_number;
  std::vector<RosterEntry> rows;
  for (const NodeId& id : order) {
    const Node& other = *nodes_[by_id(id)];
    rows.push_back({id, other.boot, other.name, other.address});
  }
  std::uint64_t term = node.election->term();
  std::uint32_t roster_number = node.roster_number;
  NodeId from = node.rank.node;
  to_all(number, [&](int to) {
    message(number, to,
            [=, this](Election& e) { e.on_roster(from, term, roster_number, rows, now_); });
  });
}

void ElectionNetwork::obey(int number, const ElectionAction& action) {
  std::visit([&](const auto& a) { run(number, *nodes_[number], a); }, action);
}

void ElectionNetwork::run(int number, Node&, const DialAction& a) { dial(number, a.address); }

void ElectionNetwork::run(int number, Node& node, const CloseAction& a) {
  NodeId self = node.rank.node;
  int to = by_id(a.node);
  if (to < 0) return;
  message(
      number, to, [=, this](Election& e) { e.on_bye(self, NodeId{}, now_); }, 0);
  after(5ms, [this, number, to] { break_session(number, to); });
}

void ElectionNetwork::run(int number, Node&, const PersistTermAction& a) {
  std::uint64_t term = a.term;
  later(number, Duration(2000 + static_cast<std::int64_t>(random_.below(8000))),
        [this, term](Node& n) {
          n.durable_term = std::max(n.durable_term, term);
          n.election->term_durable(term, now_);
        });
}

void ElectionNetwork::run(int number, Node& node, const BecomeHubAction& a) {
  NodeId self = node.rank.node;
  REQUIRE(node.durable_term >= a.term);
  std::uint64_t term = a.term;
  node.in_sync = node.has_key = true;
  node.last_roster.clear();
  to_all(number, [&](int to) {
    std::uint32_t members = node.election->members();
    message(
        number, to, [=, this](Election& e) { e.on_claim(self, term, members, now_); }, 0);
  });
}

void ElectionNetwork::run(int number, Node& node, const FollowAction& a) {
  NodeId hub = a.hub;
  node.in_sync = false;
  node.has_key = true;
  REQUIRE(node.sessions.count(by_id(hub)) == 1);
  later(number, Duration(50000 + static_cast<std::int64_t>(random_.below(250000))),
        [this, hub](Node& n) {
          if (n.election->hub() != hub) return;
          n.in_sync = true;
          n.rank.has_data = true;
          n.rank.term = n.election->term();
          n.rank.seq++;
          n.election->set_self(n.rank, now_);
          n.election->on_in_sync(true, now_);
        });
}

void ElectionNetwork::run(int number, Node& node, const SeekAction& a) {
  node.hub_lost = a.hub_lost;
  node.in_sync = false;
  burst(number);
}

void ElectionNetwork::run(int number, Node& node, const StepDownAction& a) {
  NodeId self = node.rank.node;
  NodeId successor = a.successor;
  to_all(number, [&](int to) {
    message(
        number, to, [=, this](Election& e) { e.on_bye(self, successor, now_); }, 0);
  });
}

void ElectionNetwork::run(int number, Node& node, const TellHubHeardAction& a) {
  std::optional<NodeId> hub = node.election->hub();
  if (!hub) return;
  NodeId other = a.other_hub;
  Address address = a.address;
  message(number, by_id(*hub), [=, this](Election& e) { e.on_hub_hint(other, address, now_); });
}

void ElectionNetwork::run(int number, Node&, const AnnounceAction&) {
  PeerFacts said = facts(number, true);
  to_all(number,
         [&](int to) { message(number, to, [=, this](Election& e) { e.on_facts(said, now_); }); });
}

void ElectionNetwork::run(int, Node& node, const RefuseRolesAction& a) { node.refusal = a.reason; }

void ElectionNetwork::dial(int from, const Address& address) {
  Node& node = *nodes_[from];
  int to = by_address(address);
  ++dials_;
  ++node.dials;
  if (to >= 0 && (node.sessions.count(to) || node.dialling.count(to))) return;
  if (to >= 0) node.dialling.insert(to);
  Duration handshake = latency() + latency() + latency() + latency() +
                       Duration(10000 + static_cast<std::int64_t>(random_.below(30000)));
  bool fails = to < 0 || to == from || !awake(to) || !linked(from, to);
  later(from, fails ? kDialPatience : handshake, [=, this](Node& n) {
    n.dialling.erase(to);
    if (to >= 0 && n.sessions.count(to)) return;
    if (fails || !awake(to) || !linked(from, to)) {
      n.election->on_dial_failed(
          NodeId{}, address,
          half_answering_.contains(address.ip) ? DialFailure::kNoHandshake : DialFailure::kNoAnswer,
          now_);
      return;
    }
    session_up(from, to);
  });
}

void ElectionNetwork::session_up(int a, int b) {
  nodes_[a]->sessions.insert(b);
  nodes_[b]->sessions.insert(a);
  unlinked_.erase(std::pair(std::min(a, b), std::max(a, b)));
  PeerFacts of_a = facts(a, true);
  PeerFacts of_b = facts(b, true);
  message(a, b, [=, this](Election& e) { e.on_facts(of_a, now_); });
  message(b, a, [=, this](Election& e) { e.on_facts(of_b, now_); });
  nodes_[a]->last_roster.clear();
  nodes_[b]->last_roster.clear();
  watch_links(a, b);
}

void ElectionNetwork::watch_links(int a, int b) {
  std::uint64_t lives = nodes_[a]->life + nodes_[b]->life;
  after(100ms, [=, this] {
    if (nodes_[a]->sessions.count(b) == 0 && nodes_[b]->sessions.count(a) == 0) return;
    bool works = awake(a) && awake(b) && linked(a, b) && nodes_[a]->life + nodes_[b]->life == lives;
    auto key = std::pair(std::min(a, b), std::max(a, b));
    if (works) {
      unlinked_.erase(key);
    } else if (unlinked_.emplace(key, now_).first->second + kLinkPatience <= now_) {
      break_session(a, b);
      return;
    }
    watch_links(a, b);
  });
}

void ElectionNetwork::break_session(int a, int b) {
  unlinked_.erase(std::pair(std::min(a, b), std::max(a, b)));
  for (auto [one, other] : {std::pair(a, b), std::pair(b, a)}) {
    Node& node = *nodes_[one];
    if (node.sessions.erase(other) == 0 || !node.alive) continue;
    NodeId gone = nodes_[other]->rank.node;
    bool was_hub = is_hub(node.election->role());
    if (was_hub) node.search_until = now_ + 600s;
    if (was_hub) schedule_beacon(one);
    int peer = other;
    later(one, latency(), [this, gone, peer](Node& n) {
      if (n.sessions.count(peer) == 0) n.election->on_session_down(gone, now_);
    });
  }
}

void ElectionNetwork::burst(int number) {
  Node& node = *nodes_[number];
  node.burst_start = now_;
  node.beacon_due = now_;
  beacon(number);
}

void ElectionNetwork::schedule_beacon(int number) {
  Node& node = *nodes_[number];
  // As discovery has it: 0, 150, 400, 1000 ms, each 5 s for a minute, each 30 s.
  Duration age = now_ - node.burst_start;
  Duration wait = age < 60s ? Duration(5s) : Duration(30s);
  bool in_burst = age < 1s;
  if (in_burst) wait = (age < 150ms ? 150ms : age < 400ms ? 400ms : 1000ms) - age;
  if (now_ < node.search_until) wait = std::min<Duration>(wait, 3s);
  Instant due = now_ + (in_burst ? wait : random_.jitter(wait, 10));
  node.beacon_due = due;
  later(number, due - now_, [this, number, due](Node& n) {
    if (n.beacon_due == due) beacon(number);
  });
}

void ElectionNetwork::beacon(int number) {
  PeerFacts said = facts(number, false);
  bool seeking = nodes_[number]->election->seeking();
  bool keyed = nodes_[number]->has_key;
  for (int to = 0; to < count(); ++to) {
    if (to == number || !nodes_[to]->alive || !reaches(number, to)) continue;
    if (random_.below(100) < static_cast<std::uint64_t>(loss_) || !awake(to)) continue;
    later(to, latency(), [this, said, seeking, keyed, to](Node& n) {
      n.election->on_beacon(said, keys_ || (keyed && n.has_key), seeking, now_);
      std::erase_if(n.answers, [&](Instant at) { return now_ - at >= 1s; });
      if (!seeking || !is_hub(n.election->role()) || n.answers.size() >= 4) return;
      n.answers.push_back(now_);
      later(to, Duration(static_cast<std::int64_t>(random_.below(90000))),
            [this, to](Node&) { beacon(to); });
    });
  }
  schedule_beacon(number);
}

void ElectionNetwork::forge_beacon(const PeerFacts& facts, bool seeking) {
  for (int to = 0; to < count(); ++to)
    later(to, latency(), [this, facts, seeking](Node& n) {
      // As discovery has it: who is heard already keeps its row.
      if (by_id(facts.rank.node) >= 0)
        n.election->on_stranger_hint(facts.address, now_);
      else
        n.election->on_beacon(facts, false, seeking, now_);
    });
}

void ElectionNetwork::kill(int number) {
  Node& node = *nodes_[number];
  node.alive = false;
  ++node.life;
  if (is_hub(node.election->role())) changes_.push_back({now_, number, false});
  node.last_role = Role::kNone;
}

void ElectionNetwork::leave(int number) {
  Node& node = *nodes_[number];
  NodeId self = node.rank.node;
  NodeId next = node.election->successor().value_or(NodeId{});
  for (int to : std::set<int>(node.sessions)) {
    int peer = to;
    later(peer, latency(), [=, this](Node& n) {
      if (n.sessions.count(number) == 0) return;
      n.election->on_bye(self, next, now_);
    });
    after(20ms, [this, number, peer] { break_session(number, peer); });
  }
  for (int to = 0; to < count(); ++to)
    if (to != number && reaches(number, to) && nodes_[to]->alive)
      later(to, latency() + 5ms, [=, this](Node& n) { n.election->on_goodbye(self, now_); });
  kill(number);
}

void ElectionNetwork::sleep(int number, Duration duration) {
  Node& node = *nodes_[number];
  node.asleep_until = now_ + duration;
  // The first thing that a woken node does, before anything that waited for it.
  std::uint64_t life = node.life;
  after(duration, [this, number, life, duration] {
    Node& n = *nodes_[number];
    if (!n.alive || n.life != life) return;
    n.election->on_stall(now_, duration);
    take(number);
  });
}

void ElectionNetwork::sample() {
  for (int a = 0; a < count(); ++a) {
    for (int b = a + 1; b < count(); ++b) {
      bool two = awake(a) && awake(b) && linked(a, b) && is_hub(nodes_[a]->election->role()) &&
                 is_hub(nodes_[b]->election->role());
      std::pair<int, int> key(a, b);
      if (!two) {
        double_since_.erase(key);
      } else {
        Instant since = double_since_.emplace(key, now_).first->second;
        longest_double_ = std::max(longest_double_, now_ - since);
      }
    }
  }
}

void ElectionNetwork::run_for(Duration duration) {
  run_until([] { return false; }, duration);
}

bool ElectionNetwork::run_until(const std::function<bool()>& done, Duration limit) {
  Instant end = now_ + limit;
  while (!events_.empty() && events_.top().at <= end) {
    Event event = events_.top();
    events_.pop();
    now_ = event.at;
    event.run();
    if (now_ >= sample_due_) {
      sample_due_ = now_ + 50ms;
      sample();
      if (done()) return true;
    }
  }
  now_ = end;
  return done();
}

std::vector<int> ElectionNetwork::hubs() const {
  std::vector<int> found;
  for (int i = 0; i < count(); ++i)
    if (nodes_[i]->alive && is_hub(nodes_[i]->election->role())) found.push_back(i);
  return found;
}

bool ElectionNetwork::one_hub(std::vector<int> members) const {
  if (members.empty())
    for (int i = 0; i < count(); ++i)
      if (nodes_[i]->alive) members.push_back(i);
  std::optional<NodeId> hub;
  int count_hubs = 0;
  for (int i : members) {
    std::optional<NodeId> mine = nodes_[i]->election->hub();
    if (!mine || (hub && *hub != *mine)) return false;
    hub = mine;
    if (is_hub(nodes_[i]->election->role())) ++count_hubs;
  }
  return count_hubs == 1;
}

Instant ElectionNetwork::last_role_change() const {
  return changes_.empty() ? Instant{} : changes_.back().at;
}

std::string ElectionNetwork::describe() const {
  std::string text;
  for (int i = 0; i < count(); ++i) {
    const Node& node = *nodes_[i];
    if (!node.alive) {
      text += str(node.name, ": dead\n");
      continue;
    }
    std::optional<NodeId> hub = node.election->hub();
    text += str(node.name, ": ", to_string(node.election->role()), " hub ", hub ? by_id(*hub) : -1,
                " term ", node.election->term(), " | ", node.election->why_role(), " | ",
                node.election->seek_reason(now_), " | sessions");
    for (int peer : node.sessions) text += str(" ", peer);
    text += "\n";
  }
  for (const std::string& line : trace_) text += line;
  return text;
}

}  // namespace lansync::test
