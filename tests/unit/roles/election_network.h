// A LAN of Election instances in virtual time: beacons that get lost, sessions that are reliable
// and die some time after a cut, disks that take milliseconds. Everything follows from the seed.
//
// Driven by a test: run_for() moves the clock; between calls the test cuts, kills and wakes.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <queue>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "base/random.h"
#include "roles/election.h"

namespace lansync::test {

// The last lines of all nodes, with the virtual time: what a failed test prints.
class TraceLog final : public Log {
 public:
  TraceLog(std::string name, const Instant& now, std::deque<std::string>& lines)
      : name_(std::move(name)), now_(now), lines_(lines) {}
  void write(LogLevel, std::string_view line) override {
    std::int64_t ms = now_.time_since_epoch() / 1ms;
    lines_.push_back(str(ms, " ", name_, " ", line, "\n"));
    if (lines_.size() > 60) lines_.pop_front();
  }

 private:
  std::string name_;
  const Instant& now_;
  std::deque<std::string>& lines_;
};

class ElectionNetwork {
 public:
  struct Setup {
    ManualRole manual = ManualRole::kAuto;
    bool full_replica = true;
    bool has_data = false;
    std::uint8_t disk_log2 = 5;
  };
  struct RoleChange {
    Instant at;
    int node;
    bool hub;
  };

  explicit ElectionNetwork(std::uint64_t seed, int beacon_loss_percent = 0)
      : random_(seed), loss_(beacon_loss_percent) {}

  // Adds a node (not yet started). Returns its number; node ids rise with it, so that among equals
  // the lower number ranks better.
  int add(const Setup& setup);
  int add() { return add(Setup{}); }
  void start(int node);
  void start_all();
  void run_for(Duration duration);
  // Runs until `done` or the limit. True if `done` came.
  bool run_until(const std::function<bool()>& done, Duration limit);

  void kill(int node);   // -9: nobody is told
  void leave(int node);  // a clean exit
  void sleep(int node, Duration duration);
  // Nodes with different numbers cannot reach each other.
  void partition(const std::vector<int>& side_of);
  void heal();
  void cut(int a, int b) { set_cut(a, b, true); }
  void mend(int a, int b) { set_cut(a, b, false); }
  void cut_one_way(int from, int to) { blocked_.insert({from, to}); }
  // A stranger's beacon to everybody, as often as wanted.
  void forge_beacon(const PeerFacts& facts, bool seeking);
  // Nodes have the group's key, which makes tags valid, only once they had a hub. (Otherwise all
  // have it from the start.)
  void begin_without_keys() { keys_ = false; }
  // At that address something gives out cookies and takes no handshake.
  void answer_half_at(std::uint32_t ip) { half_answering_.insert(ip); }
  // What this node would say in a session.
  PeerFacts facts_of(int node) const { return facts(node, true); }

  Election& at(int node) { return *nodes_[node]->election; }
  bool alive(int node) const { return nodes_[node]->alive; }
  NodeId id(int node) const { return nodes_[node]->rank.node; }
  Instant now() const { return now_; }
  int count() const { return static_cast<int>(nodes_.size()); }
  std::vector<int> hubs() const;
  // Exactly one hub among `members` (all alive if empty), and all others follow it.
  bool one_hub(std::vector<int> members = {}) const;
  int hub() const { return hubs().size() == 1 ? hubs()[0] : -1; }
  // For how long, at most, two awake hubs could reach each other both ways.
  Duration longest_double() const { return longest_double_; }
  const std::vector<RoleChange>& changes() const { return changes_; }
  Instant last_role_change() const;
  int dials() const { return dials_; }
  int dials_of(int node) const { return nodes_[node]->dials; }
  int tick_sessions(int node) const { return static_cast<int>(nodes_[node]->sessions.size()); }
  const std::string& refusal(int node) const { return nodes_[node]->refusal; }
  std::string describe() const;

 private:
  struct Node {
    Setup setup;
    Rank rank;
    BootId boot;
    Address address;
    std::string name;
    std::unique_ptr<TraceLog> log;
    std::unique_ptr<Election> election;
    bool alive = false;
    Instant asleep_until{};
    std::uint64_t durable_term = 0;
    std::uint64_t life = 0;  // distinguishes starts; events of an old one are void
    std::set<int> sessions;
    std::set<int> dialling;
    std::uint32_t roster_number = 0;
    std::vector<NodeId> last_roster;
    bool roster_planned = false;
    bool in_sync = false;
    bool has_key = false;
    Instant beacon_due = kNever;
    Instant burst_start{};
    Instant search_until{};  // beacons each 3 s
    bool hub_lost = false;
    std::vector<Instant> answers;
    std::string refusal;
    int dials = 0;
    Role last_role = Role::kNone;
    Instant tick_due = kNever;
  };
  struct Event {
    Instant at;
    std::uint64_t seq;
    std::function<void()> run;
    bool operator<(const Event& other) const {
      return std::tie(other.at, other.seq) < std::tie(at, seq);
    }
  };

  void after(Duration delay, std::function<void()> run);
  // For a node in its present life; waits while the node sleeps.
  void later(int node, Duration delay, std::function<void(Node&)> run);
  void take(int node);
  void obey(int node, const ElectionAction& action);
  void run(int number, Node& node, const DialAction& action);
  void run(int number, Node& node, const CloseAction& action);
  void run(int number, Node& node, const PersistTermAction& action);
  void run(int number, Node& node, const BecomeHubAction& action);
  void run(int number, Node& node, const FollowAction& action);
  void run(int number, Node& node, const SeekAction& action);
  void run(int number, Node& node, const StepDownAction& action);
  void run(int number, Node& node, const TellHubHeardAction& action);
  void run(int number, Node& node, const AnnounceAction& action);
  void run(int number, Node& node, const RefuseRolesAction& action);
  void dial(int from, const Address& address);
  void session_up(int a, int b);
  void break_session(int a, int b);
  void message(int from, int to, std::function<void(Election&)> deliver, int channel = 1);
  void pass_on(int from, int to, Duration delay, std::uint64_t life,
               std::function<void(Election&)> deliver);
  void to_all(int from, const std::function<void(int to)>& send);
  PeerFacts facts(int node, bool session) const;
  void beacon(int node);
  void schedule_beacon(int node);
  void burst(int node);
  void goodbye_beacon(int node);
  void send_roster(int node);
  void roster_now(int node);
  void pings(int node);
  void watch_links(int a, int b);
  void sample();
  void tick(int node);
  void set_cut(int a, int b, bool value);
  bool reaches(int from, int to) const;
  bool linked(int a, int b) const { return reaches(a, b) && reaches(b, a); }
  bool awake(int node) const { return nodes_[node]->alive && nodes_[node]->asleep_until <= now_; }
  int by_address(const Address& address) const;
  int by_id(const NodeId& id) const;
  Duration latency() { return Duration(200 + static_cast<std::int64_t>(random_.below(2800))); }

  Prng random_;
  int loss_;
  std::deque<std::string> trace_;
  Instant now_{1s};
  std::uint64_t seq_ = 0;
  std::priority_queue<Event> events_;
  std::vector<std::unique_ptr<Node>> nodes_;
  std::vector<int> side_;
  std::set<std::pair<int, int>> blocked_;
  bool keys_ = true;
  std::set<std::uint32_t> half_answering_;
  std::map<std::pair<int, int>, Instant> unlinked_;  // sessions: since when cut
  std::map<std::pair<int, int>, Instant> double_since_;
  Duration longest_double_{};
  Instant sample_due_{};
  std::vector<RoleChange> changes_;
  int dials_ = 0;
  std::map<std::tuple<int, int, int>, Instant> last_arrival_;
};

}  // namespace lansync::test
