// No hub: whom to dial, whom to wait for, when to claim (DESIGN, Self-assignment 1, 2 and 4).
#include <algorithm>

#include "roles/election.h"
#include "roles/term.h"

namespace lansync {

namespace {

// Beacons of nodes that start together arrive within this; who dials the first it hears would dial
// every better one after it too.
Duration listen_time(Duration seek_time) { return seek_time * 2 / 5; }
constexpr Duration kOutOfOrder = 60s;
// A candidate with whom we have a session, but which does not claim: it waits for a better one
// itself, or is damped.
constexpr Duration kClaimPatience = 1500ms;
constexpr Duration kPassedOver = 10s;
// After this, only candidates with a session or a tag can still hold up a claim: 64 forged beacons
// (reliability.md F40) must not cost half a second each.
constexpr Duration kStrangersPatience = 2500ms;
constexpr Duration kWholeWalk = 4s;
// A seeker's beacons come each 5 s in its first minute.
constexpr Duration kSeekerLife = 6s;
// A hub answers every seek beacon; in our first minute those go out each 5 s, later each 30 s.
constexpr Duration kHubLife = 6s;
constexpr Duration kHubLifeLater = 75s;
constexpr std::size_t kAsked = 3;
constexpr std::size_t kHubsDialled = 3;

}  // namespace

void Election::seek(bool hub_lost, const NodeId& lost_hub, bool succession, Instant now) {
  phase_ = Phase::kSeeking;
  seek_ = Seek{};
  seek_.started = seek_.row_since = now;
  seek_.hub_lost = hub_lost;
  seek_.lost_hub = lost_hub;
  seek_.succession = succession;
  hub_ = NodeId{};
  pending_term_ = 0;
  announced_live_ = in_sync_ = bridging_ = false;
  refusal_.clear();
  claim_why_.clear();
  why_.clear();
  act(SeekAction{hub_lost});
  announce();
}

void Election::seek_step(Instant now) {
  if (join_hub_in_session(now)) return;
  bool held = hub_is_heard(now);
  if (now < listen_until_ || held) return;
  if (others_have_hub(now) || await_successor(now)) return;
  if (seek_.succession ? await_row(now) : await_candidate(now)) return;
  if (!may_claim()) {
    seek_.succession = false;
    if (now - seek_.started >= options_.seek_time)
      refuse(stuck_ ? "this node cannot write its index, so another one has to be the hub"
                    : "no hub was heard, and --role client never becomes one");
    return;
  }
  if (ask_others(now) || damped(now)) return;
  claim_why_ = claim_reason();
  claim(0, now);
}

bool Election::join_hub_in_session(Instant now) {
  const Peer* best = nullptr;
  for (const auto& [node, peer] : peers_) {
    if (!peer.in_session || !is_hub(peer.facts.role) || now < peer.mute_until) continue;
    if (best == nullptr || peer.facts.hub_term > best->facts.hub_term ||
        (peer.facts.hub_term == best->facts.hub_term &&
         outranks(peer.facts.rank, best->facts.rank)))
      best = &peer;
  }
  if (best == nullptr) return false;
  const NodeId node = best->facts.rank.node;
  follow(node, best->facts.hub_term, follow_reason(node, best->facts.hub_term), now);
  return true;
}

// Rule 1: whose silence keeps us from becoming hub ourselves. At first every hub's that is heard.
// After `hub_answer` only that of one that has the group's key, or of one from whose address a
// cookie came, so that something is there; and the latter, which could be anybody's, no longer once
// we know of members: with them we have a group of our own.
bool Election::holds_up(const Peer& peer, bool members_heard, Instant now) const {
  if (peer.tagged || now - seek_.started < options_.hub_answer) return true;
  return peer.half_answered && !members_heard;
}

// Dials the hubs that were heard in this search, and says whether one of them holds up a claim. A
// second server would be worse than a clear complaint.
bool Election::hub_is_heard(Instant now) {
  bool early = now - seek_.started < 60s;
  bool members_heard = false;
  for (const auto& [node, peer] : peers_)
    members_heard |= peer.in_session || (peer.tagged && peer.heard >= seek_.started);
  std::size_t dialled = 0;
  bool held = false;
  NodeId silent;
  std::vector<NodeId> strangers;
  for (auto& [node, peer] : peers_) {
    if (peer.in_session || peer.refused || !is_hub(peer.facts.role)) continue;
    if (peer.hub_evidence == Instant{} || peer.hub_evidence < seek_.started) continue;
    if (now < peer.mute_until) continue;
    // A hub that beacons on but never answers may not hear us: only its own rhythm counts.
    bool deaf = peer.failures > 0 && peer.hub_beacons >= 2;
    if (now - peer.hub_evidence >= (early && !deaf ? kHubLife : kHubLifeLater)) continue;
    if (!trusted(peer)) {
      strangers.push_back(node);
    } else if (dialled < kHubsDialled && dial(node, peer, now)) {
      ++dialled;
    }
    if (!holds_up(peer, members_heard, now)) continue;
    held = true;
    if (silent.is_zero() || peer.tagged) silent = node;
  }
  if (held && now - seek_.started >= options_.hub_answer) add_seekers(strangers, now);
  dial_strangers(strangers, now);
  if (held && now - seek_.started >= options_.hub_answer) refuse_silent(silent);
  return held;
}

// The host that was dialled longest ago first: who forges many has one turn, as the real one.
void Election::dial_strangers(const std::vector<NodeId>& nodes, Instant now) {
  std::vector<std::pair<Instant, NodeId>> order;
  order.reserve(nodes.size());
  for (const NodeId& node : nodes)
    order.emplace_back(strangers_.last(find(node)->facts.address.ip), node);
  std::sort(order.begin(), order.end());
  for (const auto& [last, node] : order)
    if (Peer* peer = find(node)) dial(node, *peer, now);
}

void Election::refuse_silent(const NodeId& node) {
  const Peer& peer = *find(node);
  SilentNode hub{name_of(node), peer.facts.address, peer.hears_us, true, peer.half_answered};
  if (peer.busy) return refuse(why_busy(hub));
  refuse(str(why_silent(hub, ports()), ": ", silence_advice(hub, ports())));
}

// Rule 4: nobody claims while a node that it reaches has a live session with the hub.
bool Election::others_have_hub(Instant now) {
  for (auto& [node, peer] : peers_) {
    if (!peer.in_session || !peer.facts.hub_live || peer.facts.hub.is_zero()) continue;
    const NodeId hub_id = peer.facts.hub;
    if (hub_id == self_.node || hub_id == node) continue;
    // It is live, and of no use: that is why we look for another.
    if (seek_.mute && hub_id == seek_.lost_hub) continue;
    Peer* hub = find(hub_id);
    if (hub != nullptr && hub->in_session) continue;  // it told us itself that it is not the hub
    if (hub != nullptr) dial(hub_id, *hub, now);
    if (now - seek_.started >= options_.hub_answer)
      refuse(str(name_of(node), " has ", name_of(hub_id), " as its hub, but ", name_of(hub_id),
                 " does not answer here"));
    return true;
  }
  return false;
}

// A node that cannot make its term durable would only keep the others waiting.
bool Election::may_claim() const {
  if (self_.manual == ManualRole::kClient) return false;
  return !stuck_ || std::none_of(peers_.begin(), peers_.end(),
                                 [](const auto& item) { return item.second.in_session; });
}

// While a hub that does not answer holds us up: with somebody else who looks for one we would be a
// group. In one order with the hubs, or those would take every turn.
void Election::add_seekers(std::vector<NodeId>& strangers, Instant now) const {
  std::vector<NodeId> seekers;
  for (const auto& [node, peer] : peers_) {
    if (peer.in_session) return;
    bool seeks = peer.seeking && !peer.refused && !is_hub(peer.facts.role) &&
                 peer.heard != Instant{} && now - peer.heard < kSeekerLife;
    if (seeks) seekers.push_back(node);
  }
  strangers.insert(strangers.end(), seekers.begin(), seekers.end());
}

bool Election::await_successor(Instant now) {
  if (seek_.successor.is_zero()) return false;
  Peer* peer = find(seek_.successor);
  bool waiting = now < seek_.successor_until && peer != nullptr && !peer->refused;
  if (waiting) {
    dial(seek_.successor, *peer, now);
    return true;
  }
  if (peer != nullptr) peer->out_until = now + kPassedOver;
  seek_.successor = NodeId{};
  seek_.row_since = now;
  return false;
}

// The hub's last roster: its first, 500 ms without a session, the next. True while waiting.
bool Election::await_row(Instant now) {
  if (now - seek_.started >= kWholeWalk) seek_.next_row = roster_.size();
  while (seek_.next_row < roster_.size()) {
    const RosterEntry& row = roster_[seek_.next_row];
    if (row.node == self_.node) return false;
    Peer* peer = row.node == seek_.lost_hub ? nullptr : find(row.node);
    bool wait = false;
    if (peer != nullptr && !peer->refused && now >= peer->out_until) {
      if (peer->in_session)
        wait = now - std::max(peer->session_since, seek_.row_since) < kClaimPatience;
      else
        wait = dial(row.node, *peer, now) && now - seek_.row_since < options_.dial_patience;
    }
    if (wait) return true;
    ++seek_.next_row;
    seek_.row_since = now;
  }
  return false;
}

bool Election::is_candidate(const Peer& peer, Instant now) const {
  if (peer.refused || peer.facts.rank.manual == ManualRole::kClient) return false;
  if (now < peer.out_until) return false;
  if (peer.in_session) return !peer.facts.hub_live || (seek_.mute && peer.facts.unanswered);
  if (!peer.seeking || peer.heard == Instant{} || now - peer.heard >= kSeekerLife) return false;
  return trusted(peer) || peer.dialling || now - seek_.started < kStrangersPatience;
}

// Everyone dials the best candidate only (a thousand nodes that start together must not open
// 500,000 sessions). True while waiting for it, or for the seek time to pass.
bool Election::await_candidate(Instant now) {
  if (now - seek_.started < listen_time(options_.seek_time)) return true;
  Context group = context(true, true);
  for (;;) {
    Peer* best = nullptr;
    for (auto& [node, peer] : peers_) {
      if (!is_candidate(peer, now)) continue;
      if (best == nullptr || better(peer.facts.rank, best->facts.rank, group)) best = &peer;
    }
    if (best == nullptr || (may_claim() && better(self_, best->facts.rank, group)))
      return now - seek_.started < options_.seek_time;
    if (best->in_session) {
      if (now - std::max(best->session_since, seek_.started) < kClaimPatience) return true;
      best->out_until = now + kPassedOver;
    } else if (dial(NodeId(best->facts.rank.node), *best, now)) {
      if (now - best->last_dial < options_.dial_patience) return true;
      best->out_until = now + kOutOfOrder;
    } else {
      best->out_until = std::max(best->dial_after, now + 1s);
    }
  }
}

// The last check before a claim: up to 3 others, in parallel, whether they still hear a hub. True
// while their answers are awaited; what they say is judged by others_have_hub().
bool Election::ask_others(Instant now) {
  if (!seek_.asked) {
    seek_.asked = true;
    seek_.asked_at = now;
    auto ask = [&](const NodeId& node) {
      Peer* peer = find(node);
      if (peer == nullptr || node == seek_.lost_hub || seek_.ask.size() >= kAsked) return;
      if (now < peer->out_until) return;
      if (dial(node, *peer, now)) seek_.ask.insert(node);
    };
    if (seek_.succession) {
      // Those behind us first: those before us have just been tried.
      for (std::size_t i = seek_.next_row; i < roster_.size(); ++i) ask(roster_[i].node);
      for (std::size_t i = 0; i < seek_.next_row && i < roster_.size(); ++i) ask(roster_[i].node);
    } else {
      for (auto& [node, peer] : peers_)
        if (peer.facts.role == Role::kClient && !peer.seeking && peer.heard >= seek_.started)
          ask(node);
    }
  }
  std::size_t answered = 0;
  for (const NodeId& node : seek_.ask) {
    const Peer* peer = find(node);
    if (peer != nullptr && peer->in_session) ++answered;
  }
  if (answered == seek_.ask.size()) return false;
  return now - seek_.asked_at < options_.dial_patience;
}

void Election::claim(std::uint64_t above, Instant now) {
  phase_ = Phase::kClaiming;
  if (now - seek_.started >= 10s) seek_.started = now;
  hub_ = NodeId{};
  pending_term_ = next_term(std::max(term_, above));
  act(PersistTermAction{pending_term_});
}

void Election::refuse(std::string reason) {
  // Without a network the others' silence has a reason that is known.
  if (reason == refusal_ || !connected_) return;
  refusal_ = std::move(reason);
  log_.info(str("seeking: ", refusal_));
  act(RefuseRolesAction{refusal_});
}

std::string Election::claim_reason() const {
  if (!claim_why_.empty()) return claim_why_;
  std::size_t others = 0;
  bool refused = false;
  for (const auto& [node, peer] : peers_) {
    refused = refused || peer.refused;
    if (!peer.refused && (peer.in_session || (peer.heard >= seek_.started && peer.seeking)))
      ++others;
  }
  std::string waited =
      to_string(std::chrono::duration_cast<std::chrono::milliseconds>(options_.seek_time));
  if (others == 0)
    return str(refused ? "nobody that takes this node into the group was heard within "
                       : "nobody else was heard within ",
               waited);
  return str("the best-ranked of the ", others + 1, " nodes that were looking for a hub");
}

std::string Election::seek_reason(Instant now) const {
  if (!seeking()) return {};
  if (!refusal_.empty()) return refusal_;
  if (phase_ == Phase::kClaiming) return "about to become the hub";
  if (!seek_.successor.is_zero()) return str("waiting for ", name_of(seek_.successor));
  if (damped(now)) return "the hub changed too often in the last minute; waiting";
  if (!seek_.lost_hub.is_zero())
    return str(name_of(seek_.lost_hub), " is gone; asking who is next");
  return "looking for a hub";
}

}  // namespace lansync
