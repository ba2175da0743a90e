// Who is the hub: a pure state machine, one per node. DESIGN, Self-assignment 1-5.
//
// Driven by roles/node on the control thread: every input may produce actions, taken in order with
// take_actions(). Every input is legal in every state. Nothing's safety rests on there being one hub;
// this only has to get there fast and stay calm.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/address.h"
#include "base/ids.h"
#include "base/log.h"
#include "base/role.h"
#include "base/time.h"

namespace lansync {

// The order of candidates, best first by operator>. DESIGN: manual role, full replica before on-demand,
// has data, (term, sequence) of the last sync, log2 of free disk at start, node id.
struct Rank {
  ManualRole manual = ManualRole::kAuto;  // proxy > server > auto; client is never a candidate
  bool full_replica = true;
  bool has_data = false;
  std::uint32_t term = 0;
  std::uint64_t seq = 0;
  std::uint8_t disk_log2 = 0;
  NodeId node;
};
// True if `a` should be hub rather than `b`. A strict total order over distinct node ids.
bool outranks(const Rank& a, const Rank& b);

// What is known of another node: from its beacon (authenticated false: a hint) or its hello/hi.
struct PeerFacts {
  Rank rank;             // rank.node is the node
  BootId boot;
  std::string name;
  Address address;
  Role role = Role::kNone;
  NodeId hub;            // whom it follows (session only)
  std::uint32_t hub_term = 0;
  bool hub_live = false;
  std::uint32_t term = 0;      // highest term it knows
  std::uint32_t members = 0;   // of its group, if it is a hub
};

struct RosterEntry {
  NodeId node;
  BootId boot;
  std::string name;
  Address address;
};

// What the node has to do.
struct DialAction { NodeId node; Address address; };       // node is zero for a --peer address
struct CloseAction { NodeId node; std::string reason; };   // `bye` with the reason, then close
struct PersistTermAction { std::uint32_t term; };          // answer with term_durable()
struct BecomeHubAction { std::uint32_t term; Role role; }; // send `claim` to every session, then `roster`
struct FollowAction { NodeId hub; std::uint32_t term; };   // join it: a session with it is up
struct SeekAction { bool hub_lost; };                      // no hub: beacon with kSeek (and kHubLost)
struct StepDownAction { NodeId successor; Address address; }; // tell members to go there, then follow
struct TellHubHeardAction { NodeId other_hub; Address address; };  // client: tell my hub of another hub
struct AnnounceAction {};                                  // our facts changed: `hi` to every session
struct RefuseRolesAction { std::string reason; };          // why we stay seeking (shown as reason)
using ElectionAction =
    std::variant<DialAction, CloseAction, PersistTermAction, BecomeHubAction, FollowAction, SeekAction,
                 StepDownAction, TellHubHeardAction, AnnounceAction, RefuseRolesAction>;

class Election {
 public:
  struct Options {
    Rank self;                       // manual role and node id; the rest is kept current by set_self
    std::uint32_t term = 0;          // highest durable term
    Duration seek_time = 500ms;      // DESIGN: 1 s at most
    Duration dial_patience = 500ms;  // a candidate that completes no handshake within this is out
    Duration hub_silence = 2s;       // nothing authenticated for so long = lost
    Duration hub_answer = 3s;        // a hub is heard but does not answer: stay seeking, say so
  };
  Election(const Options& options, Log& log);

  void start(Instant now);
  // has_data, term, seq, ... of ourselves changed (node id too, after a change of identity).
  void set_self(const Rank& self, Instant now);

  // From discovery: a beacon of the group (tag valid or not), a goodbye (only if its tag was valid), expiry.
  void on_beacon(const PeerFacts& facts, bool tag_valid, bool seeking, Instant now);
  void on_goodbye(const NodeId& node, Instant now);
  void on_expired(const NodeId& node, Instant now);
  // Somebody (the hub's roster, a client's TellHubHeard) told of a hub at an address.
  void on_hub_hint(const NodeId& node, const Address& address, Instant now);

  // From sessions. on_facts for each hello/hi; the first one means that the session is up.
  void on_facts(const PeerFacts& facts, Instant now);
  void on_session_down(const NodeId& node, Instant now);
  void on_dial_failed(const NodeId& node, const Address& address, Instant now);
  void on_claim(const NodeId& node, std::uint32_t term, std::uint32_t members, Instant now);
  void on_bye(const NodeId& node, const NodeId& successor, Instant now);
  void on_roster(const NodeId& from, std::uint32_t term, std::uint32_t number,
                 const std::vector<RosterEntry>& rows, Instant now);
  // Something authenticated came from the hub.
  void on_hub_heard(Instant now);
  // The last PersistTermAction is on disk.
  void term_durable(std::uint32_t term, Instant now);
  // Our own loop stood still or the machine slept: counts of silence start anew.
  void on_stall(Instant now);
  // We are in sync with the hub we follow, or are caught up after a join (handing over waits for it).
  void on_in_sync(bool in_sync, Instant now);
  // The roster as this hub would send it, best successor first; number rises with each change.
  std::vector<NodeId> succession() const;
  // Clean exit of a hub: the best successor in session, if any.
  std::optional<NodeId> successor() const;

  void tick(Instant now);
  Instant deadline() const;
  std::vector<ElectionAction> take_actions();

  Role role() const;
  std::optional<NodeId> hub() const;   // ourselves if we are
  std::uint32_t term() const;          // of the hub we have or are; else the highest known
  bool seeking() const;
  // One line for people: why this role ("nobody else was heard within 0.5 s", "carol is hub: ...").
  std::string why_role() const;
  // Why nothing happens, when seeking: which direction is silent, --role client alone, ...
  std::string seek_reason(Instant now) const;

 private:
  // The implementer's.
};

}  // namespace lansync
