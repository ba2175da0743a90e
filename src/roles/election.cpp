// Inputs that are not a beacon, time, and what is asked of the machine.
#include "roles/election.h"

#include <algorithm>
#include <utility>

#include "roles/term.h"

namespace lansync {

namespace {

constexpr std::size_t kMaxRosterRows = 2048;
// A woken hub's sessions may be dead without the transport knowing yet; until it does, the hub
// counts itself alone, so that a laptop that was away never deposes a group that went on.
constexpr Duration kWokenDoubt = 5s;
// ENet gives a session up after 10 s without an answer at the least.
constexpr Duration kSessionsLast = 10s;
// For how long after a change of our addresses silence is taken for its effect.
constexpr Duration kMovedTime = 10s;

// What another node says of hubs, without what cannot be true of any.
PeerFacts believed(PeerFacts facts) {
  if (!believable(facts.term)) facts.term = 0;
  if (believable(facts.hub_term)) return facts;
  if (is_hub(facts.role)) facts.role = Role::kNone;
  facts.hub = NodeId{};
  facts.hub_term = 0;
  facts.hub_live = false;
  return facts;
}

}  // namespace

Election::Election(const Options& options, Log& log)
    : options_(options), log_(log), self_(options.self), term_(options.term) {}

void Election::announce() { act(AnnounceAction{}); }

void Election::start(Instant now) {
  now_ = std::max(now_, now);
  if (phase_ == Phase::kIdle) seek(false, NodeId{}, false, now);
}

void Election::set_self(const Rank& self, Instant now) {
  now_ = std::max(now_, now);
  bool told = self.manual == self_.manual && self.full_replica == self_.full_replica &&
              self.has_data == self_.has_data && self.node == self_.node && self.term == self_.term;
  if (hub_ == self_.node && phase_ == Phase::kHub) hub_ = self.node;
  self_ = self;
  peers_.erase(self.node);
  // The sequence rises with every change of a file: not news worth a message to everybody.
  if (!told && phase_ != Phase::kIdle) announce();
}

void Election::on_facts(const PeerFacts& said, Instant now) {
  now_ = std::max(now_, now);
  const PeerFacts facts = believed(said);
  const NodeId node = facts.rank.node;
  Peer* peer = touch(node, now);
  if (peer == nullptr) return;
  bool first = !peer->in_session;
  // `claim` and `hi` travel on different channels: a hi from before its claim may come after it.
  bool outdated = !first && phase_ == Phase::kFollowing && node == hub_ && !is_hub(facts.role) &&
                  facts.boot == peer->facts.boot && facts.term < hub_term_;
  if (outdated) return;
  bool was_hub = is_hub(peer->facts.role) && !first;
  if (first) {
    peer->in_session = true;
    peer->session_since = now;
    peer->mine = peer->dialling;
    peer->odd_since = Instant{};
    peer->dialling = peer->refused = peer->closed_by_us = false;
    peer->half_answered = peer->busy = false;
    peer->known = true;
    peer->failures = peer->hub_beacons = peer->unanswered = 0;
    peer->dial_after = peer->out_until = Instant{};
  }
  peer->facts = facts;
  // Who has a hub needs nobody's word on terms, and who joins takes the hub's.
  std::uint64_t stated = std::max(facts.term, facts.hub_term);
  if (seeking() && within_step(stated, term_)) term_ = std::max(term_, stated);
  bool hub = is_hub(facts.role) && now >= peer->mute_until;
  switch (phase_) {
    case Phase::kIdle:
      break;
    case Phase::kSeeking:
      seek_step(now);
      break;
    case Phase::kClaiming:
      if (hub && !bridging_) follow(node, facts.hub_term, follow_reason(node, facts.hub_term), now);
      break;
    case Phase::kHub:
      if (hub && !was_hub) met_at_ = Instant{};
      if (hub) meet(node, now);
      if (phase_ == Phase::kHub) hub_step(now);
      break;
    case Phase::kFollowing:
      if (node == hub_) {
        hub_heard_ = now;
        if (!hub) {
          hub_gone(facts.hub == self_.node ? NodeId{} : facts.hub, true,
                   str(name_of(node), " is no longer the hub"), now);
        } else {
          hub_term_ = term_ = facts.hub_term;
          if (first) act(FollowAction{node, hub_term_});
          if (first) announce();
        }
      } else if (hub && facts.hub_term > hub_term_ && within_step(facts.hub_term, hub_term_)) {
        follow(node, facts.hub_term, follow_reason(node, facts.hub_term), now);
      } else if (hub && first) {
        act(TellHubHeardAction{node, facts.address});
      } else if (facts.unanswered) {
        give_up_mute(now);
      }
      break;
  }
}

void Election::on_session_down(const NodeId& node, Instant now) {
  now_ = std::max(now_, now);
  Peer* peer = find(node);
  if (peer == nullptr) return;
  // We have acted on it when we closed it, and may be dialling again.
  if (std::exchange(peer->closed_by_us, false) && !peer->in_session) return;
  peer->in_session = peer->mine = peer->dialling = false;
  peer->odd_since = Instant{};
  peer->facts.hub = NodeId{};
  peer->facts.hub_live = peer->facts.in_sync = false;
  if (phase_ == Phase::kSeeking) seek_step(now);
  if (phase_ == Phase::kHub) hub_step(now);
  // A session that ends is not yet a hub that is gone: there are 2 s to get another.
  if (phase_ == Phase::kFollowing && node == hub_) dial(node, *peer, now);
}

void Election::on_claim(const NodeId& node, std::uint64_t term, std::uint32_t members,
                        Instant now) {
  now_ = std::max(now_, now);
  Peer* peer = find(node);
  if (peer == nullptr || !peer->in_session || !believable(term) || now < peer->mute_until) return;
  if (!is_hub(peer->facts.role)) peer->facts.role = Role::kServer;
  peer->facts.hub = node;
  peer->facts.hub_term = term;
  peer->facts.members = members;
  switch (phase_) {
    case Phase::kIdle:
      break;
    case Phase::kSeeking:
      follow(node, term, follow_reason(node, term), now);
      break;
    case Phase::kClaiming:
      if (term > pending_term_ || (term == pending_term_ && outranks(peer->facts.rank, self_)))
        follow(node, term, follow_reason(node, term), now);
      break;
    case Phase::kHub:
      on_rival_claim(node, term, now);
      break;
    case Phase::kFollowing: {
      if (node == hub_) {
        // Its own word, also when it comes down from a number that somebody had driven up.
        hub_term_ = term_ = term;
        hub_heard_ = now;
        break;
      }
      const Peer* current = find(hub_);
      bool tie_won = term == hub_term_ && current != nullptr &&
                     outranks(peer->facts.rank, current->facts.rank);
      if ((term > hub_term_ && within_step(term, hub_term_)) || tie_won)
        follow(node, term, follow_reason(node, term), now);
      else
        act(TellHubHeardAction{node, peer->facts.address});
      break;
    }
  }
}

void Election::on_bye(const NodeId& node, const NodeId& successor, Instant now) {
  now_ = std::max(now_, now);
  Peer* peer = find(node);
  if (peer == nullptr) return;
  if (phase_ == Phase::kFollowing && node == hub_) {
    std::string why = str(name_of(node), successor.is_zero() ? " left" : " handed over");
    hub_gone(successor, true, why, now);
    return;
  }
  if (phase_ == Phase::kHub) peer->facts.hub = NodeId{};
  // Whoever closes a session of the search has found its hub; it will not be ours.
  if (phase_ == Phase::kSeeking && successor.is_zero()) peer->out_until = now + 2s;
}

void Election::on_roster(const NodeId& from, std::uint64_t term, std::uint32_t number,
                         const std::vector<RosterEntry>& rows, Instant now) {
  now_ = std::max(now_, now);
  if (phase_ != Phase::kFollowing || from != hub_) return;
  if (term < roster_term_ || (term == roster_term_ && number <= roster_number_)) return;
  roster_term_ = term;
  roster_number_ = number;
  roster_.assign(rows.begin(), rows.begin() + std::min(rows.size(), kMaxRosterRows));
  for (const RosterEntry& row : roster_) {
    Peer* peer = touch(row.node, now);
    if (peer == nullptr || peer->in_session) continue;
    peer->known = true;
    peer->facts.address = row.address;
    peer->facts.boot = row.boot;
    peer->facts.name = row.name;
  }
}

void Election::on_hub_heard(Instant now) {
  now_ = std::max(now_, now);
  if (phase_ != Phase::kFollowing) return;
  hub_heard_ = std::max(hub_heard_, now);
  update_live(now);
}

void Election::on_hub_carried(Instant now) {
  if (phase_ != Phase::kFollowing || now <= hub_carried_) return;
  hub_carried_ = now;
  update_live(now_);
}

void Election::term_durable(std::uint64_t term, Instant now) {
  now_ = std::max(now_, now);
  if (term != pending_term_) return;
  pending_term_ = 0;
  if (phase_ == Phase::kClaiming) {
    become_hub(term, now);
  } else if (phase_ == Phase::kHub) {
    hub_term_ = term_ = term;
    act(BecomeHubAction{hub_term_, role_});
    announce();
  }
}

void Election::on_stall(Instant now, Duration slept) {
  now_ = std::max(now_, now);
  // Before that, the others may still hold the other ends of our sessions.
  if (slept >= kSessionsLast) drop_sessions({}, now);
  listen_until_ = now + options_.seek_time;
  hub_heard_ = std::max(hub_heard_, now);
  for (auto& [node, peer] : peers_) {
    if (peer.dialling) peer.last_dial = now;
    if (peer.odd_since != Instant{}) peer.odd_since = now;
  }
  if (phase_ == Phase::kHub) {
    woken_until_ = now + kWokenDoubt;
    // The others have chosen another hub by now, if there are others: to look for it first is
    // calmer than to be the second one.
    if (slept > options_.hub_silence) {
      role_ = Role::kNone;
      seek(false, NodeId{}, false, now);
    }
  } else if (phase_ == Phase::kSeeking || phase_ == Phase::kClaiming) {
    seek(seek_.hub_lost, seek_.lost_hub, false, now);
  }
}

// As on_session_down() for each, but for what a session that ends would set off.
void Election::drop_sessions(const std::set<NodeId>& but, Instant now) {
  for (auto& [node, peer] : peers_) {
    if (!peer.in_session || but.contains(node)) continue;
    peer.in_session = peer.mine = peer.dialling = false;
    peer.odd_since = Instant{};
    peer.facts.hub = NodeId{};
    peer.facts.hub_live = peer.facts.in_sync = false;
    peer.closed_by_us = true;
    peer.dial_after = now;
    peer.dialled_once = false;
    act(CloseAction{node, "stale"});
  }
  Peer* hub = phase_ == Phase::kFollowing ? find(hub_) : nullptr;
  if (hub != nullptr && !hub->in_session) dial(hub_, *hub, now);
}

void Election::on_network(bool connected, bool was_away, const std::set<NodeId>& alive,
                          Instant now) {
  now_ = std::max(now_, now);
  connected_ = connected;
  moved_until_ = now + kMovedTime;
  for (auto& [node, peer] : peers_) {
    if (peer.in_session || peer.refused) continue;
    // What failed, failed in another network.
    peer.failures = peer.unanswered = 0;
    peer.dialled_once = false;
    peer.dial_after = peer.out_until = now;
  }
  for (auto& [address, due] : static_peers_) due = now;
  if (!was_away) return;
  drop_sessions(alive, now);
  // Alone, or with nodes of this host only: the group went on elsewhere, and is looked for before
  // we go on as a hub of our own. Whoever answers has the group.
  if (phase_ == Phase::kHub && members() <= 1) {
    role_ = Role::kNone;
    seek(false, NodeId{}, false, now);
  } else if (phase_ == Phase::kSeeking) {
    seek(seek_.hub_lost, seek_.lost_hub, false, now);
  }
}

void Election::on_in_sync(bool in_sync, Instant now) {
  now_ = std::max(now_, now);
  if (in_sync == in_sync_) return;
  in_sync_ = in_sync;
  if (phase_ == Phase::kFollowing) announce();
}

void Election::set_stuck(bool stuck, Instant now) {
  now_ = std::max(now_, now);
  if (stuck == stuck_) return;
  stuck_ = stuck;
  if (stuck) give_up_stuck(now);
}

void Election::set_unanswered(bool unanswered, Instant now) {
  now_ = std::max(now_, now);
  if (unanswered == unanswered_) return;
  unanswered_ = unanswered;
  unanswered_since_ = now;
  announce();
  if (unanswered) give_up_mute(now);
}

void Election::set_full(bool full, Instant now) {
  now_ = std::max(now_, now);
  if (full == full_) return;
  full_ = full;
  announce();
}

void Election::tick(Instant now) {
  now_ = std::max(now_, now);
  if (phase_ == Phase::kIdle) return;
  expire_dials(now);
  dial_static(now);
  switch (phase_) {
    case Phase::kIdle:
    case Phase::kClaiming:
      break;
    case Phase::kSeeking:
      seek_step(now);
      break;
    case Phase::kHub:
      hub_step(now);
      break;
    case Phase::kFollowing:
      follower_step(now);
      break;
  }
}

Instant Election::deadline() const {
  switch (phase_) {
    case Phase::kIdle:
      return kNever;
    case Phase::kSeeking:
    case Phase::kClaiming:
      // A search has a dozen clocks of 200 ms and more; looking 20 times a second costs nothing
      // and is right for all of them. One that lasts (--role client alone) is looked at less.
      return now_ + (now_ - seek_.started < 10s ? Duration(50ms) : Duration(250ms));
    case Phase::kHub:
      return now_ + 500ms;
    case Phase::kFollowing: {
      Instant silence = hub_seen() + options_.hub_silence;
      return silence > now_ ? std::min(silence, now_ + 500ms) : now_ + 50ms;
    }
  }
  return kNever;
}

std::vector<ElectionAction> Election::take_actions() { return std::exchange(actions_, {}); }

Role Election::role() const { return role_; }

std::optional<NodeId> Election::hub() const {
  if (phase_ == Phase::kHub) return self_.node;
  if (phase_ == Phase::kFollowing) return hub_;
  return std::nullopt;
}

std::uint64_t Election::term() const {
  return phase_ == Phase::kHub || phase_ == Phase::kFollowing ? hub_term_ : term_;
}

bool Election::seeking() const { return phase_ == Phase::kSeeking || phase_ == Phase::kClaiming; }

bool Election::hub_live(Instant now) const {
  return phase_ == Phase::kFollowing && now - hub_seen() < options_.hub_silence;
}

std::string Election::why_role() const { return why_; }

}  // namespace lansync
