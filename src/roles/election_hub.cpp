// Being the hub, following one, losing it, and meeting another (DESIGN, Self-assignment 3 and 5).
#include <algorithm>

#include "roles/election.h"
#include "roles/term.h"

namespace lansync {

namespace {

// A hub says something each 500 ms: after two of those its way to us is doubted.
constexpr Duration kDoubt = 1s;
constexpr Duration kDoubtMoved = 700ms;
constexpr Duration kMeetAgain = 1s;
constexpr std::size_t kMostCounterClaims = 3;
constexpr Duration kCounterClaimSpan = 10s;
// An automatic proxy whose servers are all gone is a server again; not for a restart of one.
constexpr Duration kServerlessGrace = 10s;
// How long a node in our session has to be without our hub before we join the two: longer than any
// election takes.
constexpr Duration kBridgeAfter = 10s;
constexpr Duration kBridgeMeetTime = 2s;
constexpr Duration kBridgeStep = 700ms;
constexpr Duration kBridgedCount = 5s;
constexpr Duration kHubBeaconLife = 35s;
constexpr Duration kDampingSpan = 60s;
constexpr std::size_t kCalmChanges = 3;
constexpr Duration kLongestDamping = 30s;
// DESIGN, Self-assignment 4: so many others have to say that the hub gives no verdicts.
constexpr std::size_t kOthersUnanswered = 2;
constexpr std::size_t kOthersAsked = 3;
constexpr Duration kMuteTime = 60s;

}  // namespace

std::uint32_t Election::members() const {
  std::uint32_t count = 1;
  if (now_ < woken_until_) return count;
  for (const auto& [node, peer] : peers_)
    if (peer.in_session && peer.facts.hub == self_.node) ++count;
  // The nodes that a bridge joins arrive only after its claim, which they weigh by its members.
  return now_ < bridged_until_ ? std::max(count, bridged_members_) : count;
}

Election::Context Election::context(bool with_heard, bool with_self) const {
  Context found;
  auto count = [&](ManualRole manual) {
    if (manual == ManualRole::kServer) ++found.servers;
    if (manual == ManualRole::kProxy) ++found.proxies;
  };
  if (with_self) count(self_.manual);
  for (const auto& [node, peer] : peers_) {
    bool member = peer.in_session && peer.facts.hub == self_.node;
    // What strangers' beacons say orders the candidates of a search, and decides nothing else.
    bool heard =
        with_heard && !peer.refused && node != seek_.lost_hub &&
        (trusted(peer) || phase_ == Phase::kSeeking) &&
        (peer.in_session || (peer.heard != Instant{} && now_ - peer.heard < kHubBeaconLife));
    if (member || heard) count(peer.facts.rank.manual);
  }
  return found;
}

void Election::note_hub_change(Instant now) {
  std::erase_if(hub_changes_, [&](Instant at) { return now - at >= kDampingSpan; });
  if (hub_changes_.size() < 64) hub_changes_.push_back(now);
}

bool Election::damped(Instant now) const {
  std::size_t recent = 0;
  for (Instant at : hub_changes_)
    if (now - at < kDampingSpan) ++recent;
  if (recent < kCalmChanges) return false;
  int step = static_cast<int>(std::min<std::size_t>(recent - kCalmChanges, 8));
  return now - hub_changes_.back() < std::min<Duration>(kLongestDamping, 2s * (1 << step));
}

void Election::become_hub(std::uint64_t term, Instant now) {
  phase_ = Phase::kHub;
  hub_ = self_.node;
  hub_term_ = term_ = term;
  roster_.clear();
  roster_number_ = 0;
  roster_term_ = 0;
  serverless_ = false;
  refusal_.clear();
  why_ = claim_why_;
  note_hub_change(now);
  bool many_servers = context(true, false).servers >= 2;
  bool proxy = self_.manual == ManualRole::kProxy ||
               (self_.manual == ManualRole::kAuto && (many_servers || bridging_));
  role_ = proxy ? Role::kProxy : Role::kServer;
  if (bridging_) bridged_until_ = now + kBridgedCount;
  log_.debug(str("now ", to_string(role_), " of term ", term, ": ", why_));
  act(BecomeHubAction{term, role_});
  announce();
}

std::string Election::follow_reason(const NodeId& node, std::uint64_t term) const {
  if (phase_ == Phase::kFollowing)
    return str(name_of(node), " is the hub (its term ", term, " is the highest)");
  if (!seek_.lost_hub.is_zero())
    return str(name_of(node), " took over from ", name_of(seek_.lost_hub));
  return str(name_of(node), " is the hub (it was here first, or ranks better)");
}

void Election::follow(const NodeId& node, std::uint64_t term, std::string why, Instant now) {
  // The copy: `node` may be a part of what is cleared below.
  const NodeId hub = node;
  why_ = std::move(why);
  phase_ = Phase::kFollowing;
  role_ = Role::kClient;
  hub_ = hub;
  hub_term_ = term_ = term;
  pending_term_ = 0;
  hub_heard_ = now;
  announced_live_ = true;
  in_sync_ = bridging_ = false;
  roster_.clear();
  roster_number_ = 0;
  roster_term_ = 0;
  refusal_.clear();
  for (auto& [id, peer] : peers_) peer.odd_since = Instant{};
  log_.debug(str("following ", name_of(hub), " in term ", term, ": ", why_));
  act(FollowAction{hub, term});
  announce();
}

void Election::step_down(const NodeId& successor, bool is_hub_now, Instant now) {
  std::vector<RosterEntry> rows;
  for (const NodeId& node : ranked_members()) {
    const PeerFacts& facts = find(node)->facts;
    rows.push_back({node, facts.boot, facts.name, facts.address});
  }
  std::uint64_t term = hub_term_;
  const Peer* next = find(successor);
  note_hub_change(now);
  act(StepDownAction{successor, next == nullptr ? Address{} : next->facts.address});
  role_ = Role::kClient;
  bridging_ = false;
  pending_term_ = 0;
  log_.debug(str("stepping down for ", name_of(successor)));
  if (is_hub_now && next != nullptr && next->in_session) {
    seek_ = Seek{};
    follow(successor, next->facts.hub_term,
           str(name_of(successor), " is the hub (more members, or better rank, than here)"), now);
    return;
  }
  roster_ = std::move(rows);
  roster_term_ = term;
  seek(false, NodeId{}, !roster_.empty(), now);
  seek_.successor = successor;
  seek_.successor_until = now + 2s;
}

// Both sides compute this from what each stated in the session, so they agree but for a count that
// changes in flight; the claims that follow carry fresh ones.
bool Election::we_stay(const Peer& other) const {
  if (stuck_) return false;
  if (now_ < other.mute_until) return true;
  std::uint32_t ours = members();
  if (ours != other.facts.members) return ours > other.facts.members;
  return outranks(self_, other.facts.rank);
}

void Election::meet(const NodeId& node, Instant now) {
  Peer* other = find(node);
  if (other == nullptr || !other->in_session || pending_term_ != 0) return;
  if (met_at_ != Instant{} && now - met_at_ < kMeetAgain) return;
  met_at_ = now;
  const std::uint64_t theirs = other->facts.hub_term;
  if (!within_step(theirs, hub_term_)) return;  // the higher one of two so far apart yields
  if (!within_step(hub_term_, theirs)) {
    // A claim above ours would be too high to depose the other: whoever stays, the group goes on
    // with the lower numbers.
    if (!we_stay(*other)) return step_down(node, true, now);
    pending_term_ = theirs + 1;
    act(PersistTermAction{pending_term_});
  } else if (we_stay(*other)) {
    pending_term_ = term_above(hub_term_, theirs);
    act(PersistTermAction{pending_term_});
  } else {
    // The other claims when it has computed the same. Until then we stay, so that there never is a
    // moment in which both have stepped down.
    announce();
  }
}

void Election::on_rival_claim(const NodeId& node, std::uint64_t term, Instant now) {
  if (!within_step(term, hub_term_)) return meet(node, now);
  std::erase_if(counter_claims_, [&](Instant at) { return now - at >= kCounterClaimSpan; });
  bool stay = we_stay(*find(node));
  bool tired = counter_claims_.size() >= kMostCounterClaims && term > hub_term_;
  if ((!stay || tired) && term >= hub_term_) {
    step_down(node, true, now);
    return;
  }
  if (stay && pending_term_ <= term) {
    counter_claims_.push_back(now);
    pending_term_ = term_above(hub_term_, term);
    act(PersistTermAction{pending_term_});
  }
}

void Election::settle_role(Instant now) {
  if (self_.manual != ManualRole::kAuto) return;
  int servers = context(false, false).servers;
  if (servers > 0 || bridging_) serverless_ = false;
  Role want = role_;
  if (servers >= 2 || bridging_) {
    want = Role::kProxy;
  } else if (role_ == Role::kProxy && servers == 0) {
    if (!serverless_) serverless_since_ = now;
    serverless_ = true;
    if (now - serverless_since_ >= kServerlessGrace) want = Role::kServer;
  }
  if (want == role_) return;
  role_ = want;
  why_ = want == Role::kProxy ? str(servers, " nodes were started as servers; they need a proxy")
                              : "no node that was started as server is left to be a proxy for";
  log_.info(str("now ", to_string(role_), ": ", why_));
  act(BecomeHubAction{hub_term_, role_});
  announce();
}

// A hub whose disk is full can take no push: a member that has room is a better one, unless a
// person said otherwise. A person's word (or the need for a proxy) comes before who was here first,
// once the better node has all that we have; so does a full replica before an on-demand node, which
// lacks the content that members ask their hub for. True if we stepped down.
bool Election::hand_over(Instant now) {
  if (bridging_ || pending_term_ != 0 || damped(now)) return false;
  Context group = context(false, true);
  int ours = standing(self_.manual, group);
  if (role_ == Role::kProxy) ours = std::max(ours, 3);
  const Rank* best = nullptr;
  for (const auto& [node, peer] : peers_) {
    if (!peer.in_session || peer.facts.hub != self_.node || !peer.facts.in_sync) continue;
    int theirs = standing(peer.facts.rank.manual, group);
    bool keeps_more = peer.facts.rank.full_replica && !self_.full_replica;
    bool roomier = full_ && !peer.facts.full && peer.facts.rank.full_replica && theirs > 0 &&
                   theirs >= standing(self_.manual, group);
    if (!roomier && (theirs < ours || (theirs == ours && !keeps_more))) continue;
    if (best == nullptr || better(peer.facts.rank, *best, group)) best = &peer.facts.rank;
  }
  if (best == nullptr) return false;
  NodeId successor = best->node;
  step_down(successor, false, now);
  return true;
}

// Alone, and a better hub is heard that does not answer: had we heard it a second earlier we would
// be seeking with a complaint, not a second server (rule 1). Only the worse of two gives way, or
// both would, in turns.
bool Election::give_way(Instant now) {
  if (members() > 1) return false;
  for (auto& [node, peer] : peers_) {
    // A stranger's word that there is a hub moves nobody (it may be forged each second).
    if (peer.in_session || peer.refused || !peer.tagged || peer.busy) continue;
    if (peer.failures == 0 || peer.hub_beacons < 2) continue;
    if (!is_hub(peer.facts.role) || now - peer.hub_evidence >= kHubBeaconLife) continue;
    if (peer.odd_since == Instant{} || now - peer.odd_since < options_.hub_answer) continue;
    if (!outranks(peer.facts.rank, self_)) continue;
    note_hub_change(now);
    role_ = Role::kNone;
    seek(false, NodeId{}, false, now);
    peer.hub_evidence = now;
    return true;
  }
  return false;
}

// DESIGN, Self-assignment 4: our index cannot be written, so nothing that is pushed to us becomes
// the group's. Whoever ranks best among the members has the group; nobody of them need be in sync.
bool Election::give_up_stuck(Instant now) {
  if (phase_ != Phase::kHub || !stuck_) return false;
  std::vector<NodeId> order = ranked_members();
  if (order.empty()) return false;
  log_.warn(str("this node cannot write its index: ", name_of(order.front()), " shall be the hub"));
  step_down(order.front(), false, now);
  return true;
}

void Election::hub_step(Instant now) {
  if (give_up_stuck(now)) return;
  settle_role(now);
  if (hand_over(now) || give_way(now)) return;
  for (auto& [node, peer] : peers_)
    if (peer.in_session && is_hub(peer.facts.role)) meet(node, now);
  dial_heard_hubs(now);
  close_idle(now);
}

void Election::dial_heard_hubs(Instant now) {
  std::vector<NodeId> strangers;
  for (const auto& [node, peer] : peers_) {
    bool heard = peer.hub_evidence != Instant{} && now - peer.hub_evidence < kHubBeaconLife;
    if (heard && !peer.in_session && !peer.refused && !trusted(peer) && is_hub(peer.facts.role))
      strangers.push_back(node);
  }
  dial_strangers(strangers, now);
}

std::vector<NodeId> Election::ranked_members() const {
  std::vector<const Rank*> ranks;
  for (const auto& [node, peer] : peers_)
    if (peer.in_session && peer.facts.hub == self_.node &&
        peer.facts.rank.manual != ManualRole::kClient)
      ranks.push_back(&peer.facts.rank);
  // Who should come after us, so without us: the next proxy's case, not ours.
  Context after = context(false, false);
  std::sort(ranks.begin(), ranks.end(),
            [&](const Rank* a, const Rank* b) { return better(*a, *b, after); });
  std::vector<NodeId> nodes;
  for (const Rank* rank : ranks) nodes.push_back(rank->node);
  return nodes;
}

std::vector<NodeId> Election::succession() const {
  return phase_ == Phase::kHub ? ranked_members() : std::vector<NodeId>{};
}

std::optional<NodeId> Election::successor() const {
  std::vector<NodeId> order = succession();
  if (order.empty()) return std::nullopt;
  return order.front();
}

void Election::update_live(Instant now) {
  bool live = hub_live(now);
  if (live == announced_live_) return;
  announced_live_ = live;
  announce();
}

void Election::hub_gone(const NodeId& successor, bool clean, std::string why, Instant now) {
  NodeId lost = hub_;
  Peer* peer = find(lost);
  if (peer != nullptr) {
    peer->hub_evidence = Instant{};
    if (clean) {
      peer->facts.role = successor.is_zero() ? Role::kNone : Role::kClient;
      peer->facts.hub = successor;
    } else if (peer->in_session) {
      // Silent for 2 s: nothing that still comes out of this session may make us follow again; a
      // hub that only stood still is dialled and judged anew.
      peer->in_session = peer->mine = false;
      act(CloseAction{lost, "silent"});
    }
    peer->dial_after = Instant{};
    peer->failures = 0;
  }
  log_.info(str("no hub: ", why));
  seek(!clean, lost, !roster_.empty(), now);
  seek_.mute = peer != nullptr && now < peer->mute_until;
  claim_why_ = str(why, "; next in its roster");
  if (successor == self_.node && may_claim()) {
    claim_why_ = why;
    claim(0, now);
  } else if (!successor.is_zero() && successor != self_.node) {
    seek_.successor = successor;
    seek_.successor_until = now + 2s;
    seek_step(now);
  } else {
    seek_step(now);
  }
}

void Election::follower_step(Instant now) {
  if (now >= listen_until_ && now - hub_seen() >= options_.hub_silence) {
    hub_gone(NodeId{}, false, str(name_of(hub_), " went silent"), now);
    return;
  }
  update_live(now);
  Peer* hub = find(hub_);
  if (hub != nullptr && !hub->in_session) dial(hub_, *hub, now);
  Duration doubt = now < moved_until_ ? kDoubtMoved : kDoubt;
  if (hub != nullptr && hub->in_session && now - hub_heard_ >= doubt) redial_hub(*hub, now);
  if (unanswered_) {
    give_up_mute(now);
  } else if (!bridge(now)) {
    close_idle(now);
  }
}

// DESIGN, Self-assignment 4: a hub whose loop runs and whose disk does not is heard by everybody
// and serves nobody. One member alone may be the one that is wrong: two others have to say the
// same. True if the hub was given up.
bool Election::give_up_mute(Instant now) {
  if (phase_ != Phase::kFollowing || !unanswered_) return false;
  std::size_t others = 0;
  for (const auto& [node, peer] : peers_)
    if (peer.in_session && peer.facts.unanswered && peer.facts.hub == hub_) ++others;
  if (others >= kOthersUnanswered) {
    if (Peer* hub = find(hub_)) hub->mute_until = now + kMuteTime;
    unanswered_ = false;
    hub_gone(NodeId{}, false,
             str(name_of(hub_), " has given no verdict for 15 s, here and at ", others, " others"),
             now);
    return true;
  }
  std::size_t asked = 0;
  for (const RosterEntry& row : roster_) {
    Peer* peer = row.node == self_.node ? nullptr : find(row.node);
    if (peer != nullptr && asked < kOthersAsked && dial(row.node, *peer, now)) ++asked;
  }
  return false;
}

// We reach our hub, and a node (or a hub) that cannot reach it: only we can join the two (DESIGN,
// Self-assignment 3). The better a node stands in the roster, the sooner it does.
bool Election::bridge(Instant now) {
  const Peer* hub = find(hub_);
  if (self_.manual != ManualRole::kAuto || hub == nullptr || !hub->in_session) return false;
  if (hub->facts.rank.manual == ManualRole::kProxy) return false;
  Duration after = kBridgeAfter;
  for (std::size_t i = 0; i < roster_.size() && roster_[i].node != self_.node && i < 16; ++i)
    after += kBridgeStep;
  for (auto& [node, peer] : peers_) {
    if (node == hub_) continue;
    bool fresh = peer.hub_evidence != Instant{} && now - peer.hub_evidence < kHubBeaconLife;
    bool other_hub = peer.in_session ? is_hub(peer.facts.role) : fresh && is_hub(peer.facts.role);
    bool orphan = peer.in_session && peer.facts.hub.is_zero() && !other_hub;
    if (!other_hub && !orphan) peer.odd_since = Instant{};
    if (!other_hub && !orphan) continue;
    if (peer.odd_since == Instant{}) peer.odd_since = now;
    if (now - peer.odd_since < after) continue;
    // A claim above both would be too high for one of them.
    const std::uint64_t theirs = peer.facts.hub_term;
    if (!within_step(theirs, hub_term_) || (other_hub && !within_step(hub_term_, theirs))) continue;
    if (!peer.in_session) {
      dial(node, peer, now);
    } else if (now - peer.session_since >= kBridgeMeetTime) {
      std::uint32_t joined = hub->facts.members + std::max(peer.facts.members, 1U);
      claim_why_ =
          str(name_of(hub_), " and ", name_of(node), " reach each other only through here");
      bridged_members_ = joined;
      bridging_ = true;
      claim(peer.facts.hub_term, now);
      return true;
    }
  }
  return false;
}

}  // namespace lansync
