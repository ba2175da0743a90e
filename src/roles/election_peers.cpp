// The table of nodes heard of, and how often they may be dialled.
#include <algorithm>
#include <tuple>

#include "roles/election.h"

namespace lansync {

namespace {

// reliability.md §4.1, step 0: what strangers' beacons may cost.
constexpr Duration kStrangerInterval = 10s;
constexpr Duration kMemberInterval = 400ms;
// The transport ends a dial by itself; this only keeps one whose end was never told from blocking.
constexpr Duration kDialTimeout = 6s;
constexpr Duration kStaticSeeking = 3s;
constexpr Duration kStaticSettled = 30s;
constexpr Duration kLongestBackoff = 600s;
constexpr Duration kLongestMemberBackoff = 8s;
// Between the dials to one node's addresses: more than a handshake takes, less than patience.
constexpr Duration kWayPatience = 250ms;
constexpr Duration kWayInterval = 900ms;
// Two of the longest periods between beacons.
constexpr Duration kHeardLife = 80s;
// A beacon after so long without one is news: the way to that node is open again.
constexpr Duration kSilenceThatResets = 4s;
// Answers to seek beacons come in handfuls; beacons this far apart show a hub that goes on.
constexpr Duration kSeparateBeacons = 2500ms;
// Another boot id of a stranger is news, but not each second.
constexpr Duration kForgiveInterval = 10s;
constexpr std::size_t kMaxWays = 8;

Duration backoff(DialFailure failure, int failures, bool member) {
  // Its refusal is of this moment: guesses at its password, or too many who come at once.
  if (failure == DialFailure::kBusy) return 500ms;
  bool no_answer = failure == DialFailure::kNoAnswer || failure == DialFailure::kNoHandshake;
  if (no_answer && failures <= 1) return 1s;
  if (no_answer && member)
    return std::min<Duration>(kLongestMemberBackoff, 1s * (1 << std::min(failures - 1, 8)));
  int step = no_answer ? failures - 2 : failures - 1;
  return std::min<Duration>(kLongestBackoff, 10s * (1 << std::min(step, 8)));
}

}  // namespace

Election::Peer* Election::find(const NodeId& node) {
  auto it = peers_.find(node);
  return it == peers_.end() ? nullptr : &it->second;
}

const Election::Peer* Election::find(const NodeId& node) const {
  auto it = peers_.find(node);
  return it == peers_.end() ? nullptr : &it->second;
}

// Strangers first, then the longest unheard; never one with a session.
bool Election::make_room() {
  if (peers_.size() < kMaxPeers) return true;
  auto worst = peers_.end();
  for (auto it = peers_.begin(); it != peers_.end(); ++it) {
    if (it->second.in_session || it->first == hub_) continue;
    if (worst == peers_.end() || std::tuple(trusted(it->second), it->second.heard) <
                                     std::tuple(trusted(worst->second), worst->second.heard))
      worst = it;
  }
  if (worst == peers_.end()) return false;
  peers_.erase(worst);
  return true;
}

Election::Peer* Election::touch(const NodeId& node, Instant) {
  if (node == self_.node || node.is_zero()) return nullptr;
  if (Peer* peer = find(node)) return peer;
  if (!make_room()) return nullptr;
  Peer& peer = peers_[node];
  peer.facts.rank.node = node;
  return &peer;
}

void Election::on_beacon(const PeerFacts& facts, bool tag_valid, bool seeking, Instant now) {
  now_ = std::max(now_, now);
  const NodeId node = facts.rank.node;
  Peer* peer = touch(node, now);
  if (peer == nullptr) return;
  bool first = peer->heard == Instant{};
  if (!peer->in_session && peer->facts.boot != facts.boot && (tag_valid || !peer->known))
    forgive(*peer, now);
  if (!first && now - peer->heard > kSilenceThatResets && !peer->refused) {
    peer->failures = 0;
    peer->dial_after = std::min(peer->dial_after, now);
    peer->out_until = std::min(peer->out_until, now);
  }
  peer->heard = now;
  peer->heard_at = facts.others;
  peer->heard_at.insert(peer->heard_at.begin(), facts.address);
  peer->hears_us = facts.hears_us;
  peer->tagged = tag_valid;
  peer->seeking = seeking;
  // What a node said inside a session is not overruled by a beacon that anybody can make; nor is
  // the address at which a member is known.
  if (!peer->in_session) {
    PeerFacts kept = peer->facts;
    peer->facts = facts;
    peer->facts.hub = kept.hub;
    peer->facts.hub_live = peer->facts.unanswered = false;
    if (peer->known && !tag_valid && kept.address.port != 0) peer->facts.address = kept.address;
  }
  if (is_hub(facts.role) && !peer->in_session) hear_hub(node, *peer, facts.address, now);
}

// Another start of that node: what we know of failures belongs to the last one.
void Election::forgive(Peer& peer, Instant now) {
  if (peer.forgiven_at != Instant{} && now - peer.forgiven_at < kForgiveInterval) return;
  peer.forgiven_at = now;
  peer.failures = 0;
  peer.dial_after = peer.out_until = peer.mute_until = Instant{};
  peer.refused = peer.half_answered = peer.busy = false;
  peer.hub_beacons = 0;
}

// Its beacon says that it is a hub, and we have no session with it.
void Election::hear_hub(const NodeId& node, Peer& peer, const Address& address, Instant now) {
  if (now - peer.hub_evidence >= kSeparateBeacons) ++peer.hub_beacons;
  peer.hub_evidence = now;
  if (phase_ == Phase::kHub) {
    if (peer.odd_since == Instant{}) peer.odd_since = now;
    // A stranger of a host that was dialled already waits for its turn, in hub_step().
    if (trusted(peer) || strangers_.last(address.ip) == Instant{}) dial(node, peer, now);
  }
  if (phase_ == Phase::kFollowing && node != hub_) {
    // Of strangers one word a second in all: who can forge beacons must not fill our session with
    // the hub, nor keep us from telling of a node that has the group's key.
    bool due = !peer.told_once || now - peer.told >= 3s;
    if (due && (peer.tagged || !told_ever_ || now - last_told_ >= 1s)) {
      peer.told_once = true;
      peer.told = now;
      if (!peer.tagged) {
        told_ever_ = true;
        last_told_ = now;
      }
      act(TellHubHeardAction{node, address});
    }
  }
  if (phase_ == Phase::kSeeking) seek_step(now);
}

void Election::on_goodbye(const NodeId& node, Instant now) {
  now_ = std::max(now_, now);
  Peer* peer = find(node);
  // Of a session that lives the node itself says when it ends: a beacon may be an old one.
  if (peer == nullptr || peer->in_session) return;
  peer->facts.role = Role::kNone;
  peer->hub_evidence = Instant{};
  peer->out_until = now + 10s;
  if (phase_ == Phase::kFollowing && node == hub_)
    hub_gone(NodeId{}, true, str(name_of(node), " left"), now);
}

void Election::on_expired(const NodeId& node, Instant now) {
  now_ = std::max(now_, now);
  Peer* peer = find(node);
  if (peer != nullptr && !peer->in_session && node != hub_) peers_.erase(node);
}

void Election::on_hub_hint(const NodeId& node, const Address& address, Instant now) {
  now_ = std::max(now_, now);
  if (node.is_zero()) {
    if (static_peers_.size() < kMaxStaticPeers) static_peers_.emplace(address, now);
    dial_static(now);
    return;
  }
  Peer* peer = touch(node, now);
  if (peer == nullptr || peer->in_session) return;
  // Where a member is known to be is not overruled by what another one heard.
  if (!trusted(*peer) || peer->facts.address.port == 0) {
    peer->facts.address = address;
  } else if (peer->heard_at.size() < kMaxWays &&
             std::find(peer->heard_at.begin(), peer->heard_at.end(), address) ==
                 peer->heard_at.end()) {
    peer->heard_at.push_back(address);
  }
  if (phase_ == Phase::kHub || phase_ == Phase::kSeeking) dial(node, *peer, now);
}

void Election::on_stranger_hint(const Address& address, Instant now) {
  now_ = std::max(now_, now);
  if (phase_ != Phase::kHub && phase_ != Phase::kSeeking) return;
  if (address.port != 0 && strangers_.take_hint(address, now)) act(DialAction{NodeId{}, address});
}

// True if a session is there or may still come of a dial.
bool Election::dial(const NodeId& node, Peer& peer, Instant now) {
  if (peer.in_session || peer.dialling) return true;
  if (peer.facts.address.port == 0 || now < peer.dial_after) return false;
  bool member = trusted(peer);
  // The one retry after 1 s is part of the same attempt (a lost packet, not a new hint).
  bool retry = peer.failures == 1 || peer.busy;
  Duration interval = member ? kMemberInterval : kStrangerInterval;
  if (peer.dialled_once && !retry && now - peer.last_dial < interval) return false;
  if (!member && !strangers_.take(peer.facts.address.ip, now)) return false;
  peer.dialling = true;
  peer.dialled_once = true;
  peer.last_dial = now;
  peer.next_way = 0;
  peer.ways_open = 0;
  dial_next_way(node, peer, now);
  return true;
}

// The address of the last session or of the roster first: it is known to work, or to have worked.
std::vector<Address> Election::ways_to(const Peer& peer) const {
  std::vector<Address> ways{peer.facts.address};
  // A stranger's further addresses are as many more dials that its beacon could make us do.
  if (!trusted(peer)) return ways;
  for (const Address& address : peer.heard_at) {
    if (std::find(ways.begin(), ways.end(), address) == ways.end()) ways.push_back(address);
  }
  return ways;
}

// One attempt goes by every way that is known, each begun a moment after the one before it: a cable
// that was pulled costs that moment and not the time limit of a dial.
bool Election::dial_next_way(const NodeId& node, Peer& peer, Instant now) {
  std::vector<Address> ways = ways_to(peer);
  if (peer.next_way >= ways.size()) return false;
  peer.way_since = now;
  ++peer.ways_open;
  act(DialAction{node, ways[peer.next_way++]});
  return true;
}

// The session with our hub is silent. By another way it is dialled beside it, and the one that
// works stays; if our own addresses changed, the same way is worth a new session too.
void Election::redial_hub(Peer& hub, Instant now) {
  if (now - tried_way_ < kWayInterval) return;
  std::vector<Address> ways = ways_to(hub);
  if (ways.size() > 1) {
    tried_way_ = now;
    for (std::size_t i = 1; i < ways.size(); ++i) act(DialAction{hub_, ways[i]});
  } else if (now < moved_until_) {
    tried_way_ = now;
    hub.in_session = hub.mine = false;
    hub.closed_by_us = true;
    act(CloseAction{hub_, "moved"});
    hub.dial_after = now;
    hub.dialled_once = false;
    dial(hub_, hub, now);
  }
}

void Election::on_moved(const NodeId& node, const std::vector<Address>& addresses, Instant now) {
  now_ = std::max(now_, now);
  Peer* peer = find(node);
  if (peer == nullptr || addresses.empty()) return;
  peer->heard_at = addresses;
  // A session goes by the way it goes until that falls silent.
  if (!peer->in_session) peer->facts.address = addresses.front();
}

std::vector<SilentNode> Election::silent(Instant now) const {
  std::vector<SilentNode> found;
  for (const auto& [node, peer] : peers_) {
    if (peer.in_session || peer.refused || peer.unanswered == 0 || peer.heard == Instant{})
      continue;
    if (now - peer.heard >= kHeardLife || peer.busy) continue;
    // Nothing was heard since it did not answer: it may be gone, or asleep, or our cable was out.
    if (peer.heard < peer.unanswered_since) continue;
    // Clients do not talk to each other unless they fetch; that their hub has it is enough.
    if (phase_ == Phase::kFollowing && !is_hub(peer.facts.role)) continue;
    found.push_back({name_of(node), peer.facts.address, peer.hears_us, is_hub(peer.facts.role),
                     peer.half_answered});
  }
  std::stable_sort(found.begin(), found.end(),
                   [](const SilentNode& a, const SilentNode& b) { return a.is_hub > b.is_hub; });
  return found;
}

std::string Election::kept_out(Instant now) const {
  const Peer* best = nullptr;
  for (const auto& [node, peer] : peers_) {
    if (peer.in_session) return {};
    if (peer.refused || !is_hub(peer.facts.role) || peer.heard == Instant{}) continue;
    if (now - peer.heard >= kHeardLife || (peer.unanswered == 0 && !peer.busy)) continue;
    if (best == nullptr ||
        std::tuple(peer.tagged, peer.half_answered || peer.busy, peer.heard) >
            std::tuple(best->tagged, best->half_answered || best->busy, best->heard))
      best = &peer;
  }
  if (best == nullptr) return {};
  SilentNode hub{name_of(best->facts.rank.node), best->facts.address, best->hears_us, true,
                 best->half_answered};
  if (best->busy) return why_busy(hub);
  return str(why_silent(hub, ports()), ": ", silence_advice(hub, ports()));
}

bool Election::is_busy(const NodeId& node) const {
  const Peer* peer = find(node);
  return peer != nullptr && peer->busy && !peer->in_session;
}

void Election::dial_static(Instant now) {
  bool alone = phase_ == Phase::kSeeking || (phase_ == Phase::kHub && members() == 1);
  if (!alone) return;
  for (auto& [address, due] : static_peers_) {
    if (now < due) continue;
    due = now + (phase_ == Phase::kSeeking ? kStaticSeeking : kStaticSettled);
    act(DialAction{NodeId{}, address});
  }
}

void Election::note_unanswered(Peer& peer) {
  if (peer.unanswered++ == 0) peer.unanswered_since = peer.last_dial;
}

void Election::expire_dials(Instant now) {
  for (auto& [node, peer] : peers_) {
    if (!peer.dialling) continue;
    if (now - peer.way_since >= kWayPatience && dial_next_way(node, peer, now)) continue;
    if (now - peer.last_dial < kDialTimeout) continue;
    peer.dialling = false;
    peer.failures++;
    note_unanswered(peer);
    peer.dial_after = now + backoff(DialFailure::kNoAnswer, peer.failures, trusted(peer));
  }
}

void Election::on_dial_failed(const NodeId& node, const Address& address, DialFailure failure,
                              Instant now) {
  now_ = std::max(now_, now);
  for (auto& [id, peer] : peers_) {
    bool same = node.is_zero() ? peer.facts.address == address : id == node;
    if (!same || peer.in_session) continue;
    // One way of several: the attempt has failed when the last of them has.
    bool no_answer = failure == DialFailure::kNoAnswer || failure == DialFailure::kNoHandshake;
    if (peer.dialling && no_answer && peer.ways_open > 0) --peer.ways_open;
    if (peer.dialling && no_answer && dial_next_way(id, peer, now)) continue;
    if (peer.dialling && no_answer && peer.ways_open > 0) continue;
    peer.dialling = false;
    peer.busy = failure == DialFailure::kBusy;
    peer.half_answered = failure == DialFailure::kNoHandshake || peer.busy;
    if (!peer.busy) {
      peer.failures++;
      note_unanswered(peer);
    }
    peer.dial_after = now + backoff(failure, peer.failures, trusted(peer));
    if (failure == DialFailure::kWrongPassword || failure == DialFailure::kProtocol ||
        failure == DialFailure::kSelf || failure == DialFailure::kIdentity) {
      peer.refused = true;
      peer.hub_evidence = Instant{};
    }
  }
  if (phase_ == Phase::kSeeking) seek_step(now);
}

// The sessions that a search opened serve nobody once there is a hub (DESIGN: two other nodes have
// a session only while something goes between them).
void Election::close_idle(Instant now) {
  for (auto& [node, peer] : peers_) {
    if (!peer.in_session || !peer.mine || node == hub_) continue;
    // A member is no idle session, whoever dialled whom; a node that still looks for its hub may
    // need to hear about ours, and another hub is dealt with by meet().
    bool follows_another =
        !peer.facts.hub.is_zero() && peer.facts.hub != self_.node && peer.facts.hub != node;
    if (!follows_another || now - peer.session_since < 1s) continue;
    peer.mine = false;
    act(CloseAction{node, std::string(kIdleClose)});
  }
}

std::string Election::name_of(const NodeId& node) const {
  const Peer* peer = find(node);
  if (peer != nullptr && !peer->facts.name.empty()) return printable(peer->facts.name, 64);
  for (const RosterEntry& row : roster_)
    if (row.node == node && !row.name.empty()) return printable(row.name, 64);
  return to_hex(node).substr(0, 8);
}

}  // namespace lansync
