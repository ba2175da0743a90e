// Who is the hub: a pure state machine, one per node. DESIGN, Self-assignment 1-5.
//
// Driven by roles/node on the control thread: every input may produce actions, taken in order with
// take_actions(). Every input is legal in every state. Nothing's safety rests on there being one
// hub; this only has to get there fast and stay calm.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/address.h"
#include "base/ids.h"
#include "base/log.h"
#include "base/role.h"
#include "base/time.h"
#include "roles/reach.h"
#include "roles/stranger_dials.h"
#include "transport/session.h"

namespace lansync {

// The order of candidates, best first by operator>. DESIGN: manual role, full replica before
// on-demand, has data, (term, sequence) of the last sync, log2 of free disk at start, node id.
struct Rank {
  ManualRole manual = ManualRole::kAuto;  // proxy > server > auto; client is never a candidate
  bool full_replica = true;
  bool has_data = false;
  std::uint64_t term = 0;
  std::uint64_t seq = 0;
  std::uint8_t disk_log2 = 0;
  NodeId node;
};
// True if `a` should be hub rather than `b`. A strict total order over distinct node ids.
bool outranks(const Rank& a, const Rank& b);

// What is known of another node: from its beacon (authenticated false: a hint) or its hello/hi.
struct PeerFacts {
  Rank rank;  // rank.node is the node
  BootId boot;
  std::string name;
  Address address;
  std::vector<Address> others;   // further addresses of it, best first (beacon only)
  std::optional<bool> hears_us;  // it says so, or that it does not (beacon only)
  Role role = Role::kNone;
  NodeId hub;  // whom it follows (session only)
  std::uint64_t hub_term = 0;
  bool hub_live = false;
  std::uint64_t term = 0;     // highest term it knows
  std::uint32_t members = 0;  // of its group, if it is a hub
  bool full = false;          // its disk has no room (session only)
  bool unanswered = false;    // its hub gives no verdicts (session only)
  // Session only: it is in sync with the hub it follows. A hub hands over only to such a node.
  bool in_sync = false;
};

struct RosterEntry {
  NodeId node;
  BootId boot;
  std::string name;
  Address address;
};

// What the node has to do.
struct DialAction {
  NodeId node;
  Address address;
};  // node is zero for a --peer address
struct CloseAction {
  NodeId node;
  std::string reason;
};  // `bye` with the reason and no successor, then close. kIdleClose: only if nothing else uses it
struct PersistTermAction {
  std::uint64_t term;
};  // answer with term_durable()
struct BecomeHubAction {
  std::uint64_t term;
  Role role;
};  // send `claim` (members()) to every session, then `roster`. Comes again for a higher term, or
    // with the same term when only the role changed (server <-> proxy).
struct FollowAction {
  NodeId hub;
  std::uint64_t term;
};  // join it: a session with it is up
struct SeekAction {
  bool hub_lost;
};  // no hub: beacon with kSeek (and kHubLost)
struct StepDownAction {
  NodeId successor;
  Address address;
};  // `bye` with this successor to members (keep the sessions); FollowAction comes by itself
struct TellHubHeardAction {
  NodeId other_hub;
  Address address;
};                         // client: tell my hub of another hub
struct AnnounceAction {};  // our facts changed: `hi` to every session
struct RefuseRolesAction {
  std::string reason;
};  // why we stay seeking (shown as reason)
inline constexpr std::string_view kIdleClose = "idle";
using ElectionAction =
    std::variant<DialAction, CloseAction, PersistTermAction, BecomeHubAction, FollowAction,
                 SeekAction, StepDownAction, TellHubHeardAction, AnnounceAction, RefuseRolesAction>;

class Election {
 public:
  struct Options {
    Rank self;                   // manual role and node id; the rest is kept current by set_self
    std::uint64_t term = 0;      // highest durable term
    Duration seek_time = 500ms;  // DESIGN: 1 s at most
    Duration dial_patience = 500ms;  // a candidate that completes no handshake within this is out
    Duration hub_silence = 2s;       // nothing authenticated for so long = lost
    Duration hub_answer = 3s;        // a hub is heard but does not answer: stay seeking, say so
    std::uint16_t beacon_port = 27800;  // named in seek_reason
    std::uint16_t port = 27801;         // ours, ENet's; likewise
  };
  Election(const Options& options, Log& log);

  void start(Instant now);
  // has_data, term, seq, ... of ourselves changed (node id too, after a change of identity).
  void set_self(const Rank& self, Instant now);

  // From discovery: a beacon of the group (tag valid or not), a goodbye (only if its tag was
  // valid), expiry.
  void on_beacon(const PeerFacts& facts, bool tag_valid, bool seeking, Instant now);
  void on_goodbye(const NodeId& node, Instant now);
  void on_expired(const NodeId& node, Instant now);
  // A member told of a hub at an address: no more than a hint to dial, since it may have heard a
  // stranger's beacon. A zero node: a --peer address; it is kept and dialled whenever we have no
  // group.
  void on_hub_hint(const NodeId& node, const Address& address, Instant now);

  // An untagged beacon of a node id that another address claims too: whose it is, is not known.
  void on_stranger_hint(const Address& address, Instant now);

  // From sessions. on_facts for each hello/hi; the first one means that the session is up.
  void on_facts(const PeerFacts& facts, Instant now);
  void on_session_down(const NodeId& node, Instant now);
  // `node` may be zero if it is not known; the address then says who.
  void on_dial_failed(const NodeId& node, const Address& address, DialFailure failure, Instant now);
  void on_claim(const NodeId& node, std::uint64_t term, std::uint32_t members, Instant now);
  // The hub leaves or stepped down. From another node it changes nothing (its session going down
  // does).
  void on_bye(const NodeId& node, const NodeId& successor, Instant now);
  void on_roster(const NodeId& from, std::uint64_t term, std::uint32_t number,
                 const std::vector<RosterEntry>& rows, Instant now);
  // Something authenticated came from the hub: in its session, or by a carrier beside it, which
  // says that it lives and nothing of the session.
  void on_hub_heard(Instant now);
  void on_hub_carried(Instant now);
  // The last PersistTermAction is on disk.
  void term_durable(std::uint64_t term, Instant now);
  // Our own loop stood still or the machine slept for so long: counts of silence start anew, and
  // after a long sleep sessions that the others have given up are not waited for.
  void on_stall(Instant now, Duration slept);
  // Our interfaces or addresses changed. `was_away`: we were without a network for so long that the
  // others went on without us; `alive`: with whom sessions work all the same (nodes of this host).
  void on_network(bool connected, bool was_away, const std::set<NodeId>& alive, Instant now);
  // A node is heard at these addresses now, best first.
  void on_moved(const NodeId& node, const std::vector<Address>& addresses, Instant now);
  // We are in sync with the hub we follow, or are caught up after a join (handing over waits for
  // it).
  void on_in_sync(bool in_sync, Instant now);
  // Our disk has no room for what the group has: as hub we give the group to a member that has.
  void set_full(bool full, Instant now);
  bool full() const { return full_; }
  // As hub: something to commit has failed to be committed for long; the group is given to another.
  void set_stuck(bool stuck, Instant now);
  // As client: our hub has given no verdict on what we pushed for long. If two others say the same,
  // it counts as lost.
  void set_unanswered(bool unanswered, Instant now);
  bool unanswered() const { return unanswered_; }
  // The roster as this hub would send it, best successor first; number rises with each change.
  std::vector<NodeId> succession() const;
  // Clean exit of a hub: the best successor in session, if any.
  std::optional<NodeId> successor() const;

  void tick(Instant now);
  Instant deadline() const;
  std::vector<ElectionAction> take_actions();

  Role role() const;
  std::optional<NodeId> hub() const;  // ourselves if we are
  std::uint64_t term() const;         // of the hub we have or are; else the highest known
  bool seeking() const;
  // One line for people: why this role ("nobody else was heard within 0.5 s", "carol is hub: ...").
  std::string why_role() const;
  // Why nothing happens, when seeking: which direction is silent, --role client alone, ...
  std::string seek_reason(Instant now) const;

  // Who is heard and was dialled, but does not answer; hubs first. For people. Not those that are
  // busy, nor those that answer and refuse.
  std::vector<SilentNode> silent(Instant now) const;
  // Nobody is reached, but somebody is heard who says to be the group's hub: a line for people, or
  // "". We may have a role meanwhile (rule 1).
  std::string kept_out(Instant now) const;
  // Its last answer was that it takes nobody just now.
  bool is_busy(const NodeId& node) const;
  OurPorts ports() const { return {options_.port, options_.beacon_port}; }

  // What our hello/hi, claim and beacon have to say besides role(), hub() and term().
  Instant hub_seen() const { return std::max(hub_heard_, hub_carried_); }
  bool hub_live(Instant now) const;  // heard our hub, authenticated, within hub_silence
  std::uint32_t members() const;     // we are the hub: members in session, and ourselves
  std::uint64_t highest_term() const { return term_; }
  std::size_t peer_count() const { return peers_.size(); }

  static constexpr std::size_t kMaxPeers = 4096;
  static constexpr std::size_t kMaxStaticPeers = 64;

 private:
  enum class Phase { kIdle, kSeeking, kClaiming, kHub, kFollowing };

  struct Peer {
    PeerFacts facts;
    bool tagged = false;   // its last beacon's tag was valid
    bool known = false;    // was in a session, in a roster, or told of by a member
    bool seeking = false;  // its last beacon had kSeek
    bool in_session = false;
    bool mine = false;           // we opened the session, to find a hub
    bool refused = false;        // another password or protocol: not of our group
    bool half_answered = false;  // the last dial got a cookie, and no answer to the handshake
    bool busy = false;           // the last dial was refused for now
    bool dialling = false;
    bool closed_by_us = false;  // its session's end is no news when it comes
    std::optional<bool> hears_us;
    std::vector<Address> heard_at;  // addresses of the last beacon, best first
    std::size_t next_way = 0;       // of way_to(): which is dialled next in this attempt
    int ways_open = 0;              // dials of this attempt that have not failed
    Instant way_since{};
    Instant heard{};  // last beacon
    Instant session_since{};
    Instant last_dial{};
    bool dialled_once = false;
    Instant dial_after{};  // backoff
    int failures = 0;
    int unanswered = 0;  // dials since the last session; unlike `failures` nothing forgives them
    Instant unanswered_since{};
    Instant out_until{};     // out of the order of candidates
    Instant mute_until{};    // given up as hub because it gives no verdicts
    Instant forgiven_at{};   // when another boot id last made us forget its failures
    Instant hub_evidence{};  // last beacon that said it is a hub
    int hub_beacons = 0;     // separate ones, with no session between
    Instant told{};          // last TellHubHeard about it
    bool told_once = false;
    // Since when it is in session but not below our hub, or is heard as another hub.
    Instant odd_since{};
  };

  struct Seek {
    Instant started{};
    NodeId lost_hub;
    bool hub_lost = false;
    bool mute = false;        // it is there, but gives no verdicts
    bool succession = false;  // the order is the roster's; else the rank's
    NodeId successor;         // named by the hub that left
    Instant successor_until{};
    std::size_t next_row = 0;  // succession: rows before it are exhausted
    Instant row_since{};
    bool asked = false;
    Instant asked_at{};
    std::set<NodeId> ask;
  };

  // election_peers.cpp: the table and the dial budget.
  Peer* find(const NodeId& node);
  const Peer* find(const NodeId& node) const;
  Peer* touch(const NodeId& node, Instant now);  // nullptr for ourselves
  bool make_room();
  bool trusted(const Peer& peer) const { return peer.tagged || peer.known; }
  bool dial(const NodeId& node, Peer& peer, Instant now);
  void dial_static(Instant now);
  static void note_unanswered(Peer& peer);
  void expire_dials(Instant now);
  std::vector<Address> ways_to(const Peer& peer) const;
  bool dial_next_way(const NodeId& node, Peer& peer, Instant now);
  void drop_sessions(const std::set<NodeId>& but, Instant now);
  void redial_hub(Peer& hub, Instant now);
  void hear_hub(const NodeId& node, Peer& peer, const Address& address, Instant now);
  void forgive(Peer& peer, Instant now);
  void close_idle(Instant now);
  std::string name_of(const NodeId& node) const;

  // election_seek.cpp: no hub.
  void seek(bool hub_lost, const NodeId& lost_hub, bool succession, Instant now);
  void seek_step(Instant now);
  bool join_hub_in_session(Instant now);
  bool hub_is_heard(Instant now);
  bool holds_up(const Peer& peer, bool members_heard, Instant now) const;
  void dial_strangers(const std::vector<NodeId>& nodes, Instant now);
  void add_seekers(std::vector<NodeId>& strangers, Instant now) const;
  bool others_have_hub(Instant now);
  bool await_successor(Instant now);
  bool await_row(Instant now);
  bool await_candidate(Instant now);
  bool ask_others(Instant now);
  bool may_claim() const;
  void claim(std::uint64_t above, Instant now);
  bool damped(Instant now) const;
  void refuse(std::string reason);
  void refuse_silent(const NodeId& node);
  bool is_candidate(const Peer& peer, Instant now) const;

  // election_hub.cpp: being it, losing it, and meeting another.
  struct Context {
    int servers = 0;  // started with --role server
    int proxies = 0;
  };
  Context context(bool with_heard, bool with_self) const;
  static int standing(ManualRole manual, const Context& context);
  bool better(const Rank& a, const Rank& b, const Context& context) const;
  void become_hub(std::uint64_t term, Instant now);
  void follow(const NodeId& node, std::uint64_t term, std::string why, Instant now);
  std::string follow_reason(const NodeId& node, std::uint64_t term) const;
  void step_down(const NodeId& successor, bool is_hub_now, Instant now);
  void meet(const NodeId& node, Instant now);
  void on_rival_claim(const NodeId& node, std::uint64_t term, Instant now);
  bool we_stay(const Peer& other) const;
  void hub_step(Instant now);
  void dial_heard_hubs(Instant now);
  void follower_step(Instant now);
  bool bridge(Instant now);
  bool give_up_mute(Instant now);
  bool give_up_stuck(Instant now);
  bool hand_over(Instant now);
  bool give_way(Instant now);
  void settle_role(Instant now);
  void note_hub_change(Instant now);
  void hub_gone(const NodeId& successor, bool clean, std::string why, Instant now);
  void update_live(Instant now);
  std::string claim_reason() const;
  std::vector<NodeId> ranked_members() const;

  template <typename Action>
  void act(Action action) {
    actions_.push_back(std::move(action));
  }
  void announce();

  Options options_;
  Log& log_;
  Rank self_;
  std::uint64_t term_ = 0;      // of the last hub that we had or were; highest known without one
  std::uint64_t hub_term_ = 0;  // of the hub we have or are
  std::uint64_t pending_term_ = 0;
  Phase phase_ = Phase::kIdle;
  Role role_ = Role::kNone;
  NodeId hub_;
  Instant hub_heard_{};
  Instant hub_carried_{};
  bool announced_live_ = false;
  bool in_sync_ = false;
  bool full_ = false;
  bool stuck_ = false;
  bool unanswered_ = false;
  Instant unanswered_since_{};
  Seek seek_;
  std::map<NodeId, Peer> peers_;
  std::vector<RosterEntry> roster_;
  std::uint32_t roster_number_ = 0;
  std::uint64_t roster_term_ = 0;
  std::map<Address, Instant> static_peers_;  // and when each is dialled next
  StrangerDials strangers_;
  std::vector<Instant> hub_changes_;   // of the last minute
  Instant listen_until_{};             // after a stall: neither claim nor count as lost
  bool connected_ = true;              // some interface leads to others
  Instant moved_until_{};              // our addresses changed: a session may have lost its way
  Instant tried_way_{};                // last dial to a hub with whom we have a session
  Instant woken_until_{};              // hub: our count of members is not to be trusted
  std::uint32_t bridged_members_ = 0;  // what a bridging claim joins together
  Instant bridged_until_{};
  bool bridging_ = false;
  Instant serverless_since_{};
  bool serverless_ = false;
  std::vector<Instant> counter_claims_;  // against claims of others; of the last 10 s
  Instant met_at_{};
  Instant last_told_{};
  bool told_ever_ = false;
  std::string claim_why_;
  std::string why_;
  std::string refusal_;
  Instant now_{};
  std::vector<ElectionAction> actions_;
};

}  // namespace lansync
