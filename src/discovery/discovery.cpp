#include "discovery/discovery.h"

#include <algorithm>
#include <array>

#include "base/assert.h"

namespace lansync {
namespace {

constexpr std::array<Duration, 4> kBurst = {0ms, 150ms, 400ms, 1000ms};
constexpr Duration kFirstMinute = 60s;
constexpr Duration kYoungPeriod = 5s;
constexpr Duration kPeriod = 30s;
constexpr int kPeriodJitterPercent = 25;
constexpr Duration kSearchPeriod = 3s;
constexpr Duration kSearchTime = 10min;
constexpr Duration kVersionLog = 10s;
constexpr Duration kAnnounceSpacing = 100ms;
// Seekers that start together are answered by one beacon, and still within the 100 ms.
constexpr Duration kAnswerDelay = 50ms;
// A node sends four beacons in its burst and twelve more in its first minute, so a counter below
// this says that another comes within 5 s. Its uptime is not in the beacon, and when we first heard
// it says nothing about its age: a node that joins a group of old ones must not expire them.
constexpr std::uint64_t kYoungCounter = 16;
constexpr Duration kYoungExpiry = 3 * kYoungPeriod;
constexpr Duration kExpiry = 3 * kPeriod * (100 + kPeriodJitterPercent) / 100;
// Two of the longest periods: who was heard within them is heard.
constexpr Duration kHeardLately = 80s;
// A way by which that many of a neighbour's beacons in a row did not come is gone.
constexpr std::uint64_t kMissedBeacons = 3;
constexpr std::size_t kMaxSeen = 2 * Discovery::kMaxMembers;
constexpr std::uint8_t kAnnouncedFlags = Beacon::kSeek | Beacon::kHubLost;

Instant expires_at(const Neighbour& neighbour) {
  return neighbour.last_heard + (neighbour.beacon.counter < kYoungCounter ? kYoungExpiry : kExpiry);
}

// Puts `path` first (or leaves it where it is), whether or not it was known.
void note_path(Neighbour& neighbour, const NeighbourPath& path, bool first) {
  auto& paths = neighbour.paths;
  auto at = std::find_if(paths.begin(), paths.end(),
                         [&](const NeighbourPath& known) { return known.address == path.address; });
  if (at == paths.end()) {
    if (paths.size() >= Discovery::kMaxPaths) paths.pop_back();
    at = paths.insert(paths.end(), path);
  }
  *at = path;
  if (first) std::rotate(paths.begin(), at, at + 1);
  std::erase_if(paths, [&](const NeighbourPath& known) {
    return known.counter + kMissedBeacons <= path.counter;
  });
  neighbour.address = paths.front().address;
}

}  // namespace

Discovery::Discovery(const Options& options, BeaconSocket& socket, RandomSource& random, Log& log)
    : options_(options), socket_(socket), random_(random), log_(log) {}

void Discovery::set_self(const Beacon& self, Instant now) {
  bool changed = self.role != self_.role || ((self.flags ^ self_.flags) & kAnnouncedFlags) != 0;
  self_ = self;
  self_.flags = static_cast<std::uint8_t>(self_.flags & ~Beacon::kGoodbye);
  if (changed && started_) announce(now);
}

void Discovery::set_key(const std::optional<BeaconKey>& key) {
  if (key == key_) return;
  key_ = key;
  ++key_generation_;
}

void Discovery::set_node(const NodeId& node, Instant now) {
  if (node == options_.node) return;
  former_node_ = options_.node;
  options_.node = node;
  own_id_heard_.reset();
  if (started_) restart_burst(now);
}

void Discovery::start(Instant now) {
  started_ = true;
  restart_burst(now);
}

void Discovery::restart_burst(Instant now) {
  if (!started_) return;
  burst_begin_ = now;
  burst_sent_ = 0;
  next_regular_ = now;
  tick(now);
}

void Discovery::search_lost(Instant now) {
  if (!started_) return;
  searching_until_ = now + kSearchTime;
  next_regular_ = std::min(next_regular_, now);
  tick(now);
}

void Discovery::goodbye(Instant now) {
  if (!started_) return;
  send(now, Beacon::kGoodbye);
  started_ = false;
  next_regular_ = announce_at_ = answer_at_ = kNever;
}

void Discovery::announce(Instant now) {
  // Nothing sent yet: the burst's first beacon is already due.
  announce_at_ = counter_ == 0 ? now : std::max(now, last_sent_ + kAnnounceSpacing);
  if (announce_at_ <= now) send(now, 0);
}

void Discovery::send(Instant now, std::uint8_t extra_flags) {
  Beacon beacon = self_;
  beacon.version = options_.version;
  beacon.group = options_.group;
  beacon.node = options_.node;
  beacon.boot = options_.boot;
  beacon.counter = ++counter_;
  beacon.flags = static_cast<std::uint8_t>(beacon.flags | extra_flags);
  beacon.heard = heard_filter(now);
  if (options_.clock)
    beacon.time = static_cast<std::uint32_t>(options_.clock->wall().ns / 1'000'000'000);
  socket_.broadcast(encode_beacon(beacon, key_));
  ++counters_.sent;
  last_sent_ = now;
  // Any beacon says what an announcement or an answer would.
  announce_at_ = kNever;
  if (answer_at_ != kNever) {
    answer_at_ = kNever;
    answers_.push_back(now);
  }
}

void Discovery::schedule_next(Instant now) {
  if (burst_sent_ < kBurst.size()) {
    // After a stall the rest of the burst would be due at once: space it as it was meant.
    Duration gap = kBurst[burst_sent_] - (burst_sent_ > 0 ? kBurst[burst_sent_ - 1] : 0ms);
    Instant planned = burst_begin_ + kBurst[burst_sent_];
    next_regular_ = planned > now ? planned : now + gap;
  } else if (now < searching_until_) {
    next_regular_ = now + kSearchPeriod;
  } else if (now - burst_begin_ < kFirstMinute) {
    next_regular_ = now + kYoungPeriod;
  } else {
    next_regular_ = now + random_.jitter(kPeriod, kPeriodJitterPercent);
  }
}

void Discovery::want_answer(Instant now) {
  if (!started_ || !is_hub(self_.role) || answer_at_ != kNever) return;
  std::erase_if(answers_, [now](Instant sent) { return now - sent >= Duration(1s); });
  answer_at_ = now + kAnswerDelay;
  if (answers_.size() >= static_cast<std::size_t>(kMaxAnswersPerSecond)) {
    answer_at_ = std::max(answer_at_, answers_.front() + 1s);
  }
}

void Discovery::tick(Instant now) {
  if (started_ && now >= next_regular_) {
    if (burst_sent_ < kBurst.size()) ++burst_sent_;
    send(now, 0);
    schedule_next(now);
  }
  if (started_ && (now >= announce_at_ || now >= answer_at_)) send(now, 0);
  if (now >= next_expiry_) expire(now);
}

Instant Discovery::deadline() const {
  return std::min({next_regular_, announce_at_, answer_at_, next_expiry_});
}

std::uint64_t Discovery::heard_filter(Instant now) const {
  std::uint64_t filter = 0;
  for (const auto& [node, neighbour] : neighbours_)
    if (now - neighbour.last_heard < kHeardLately) filter |= heard_mark(node);
  return filter;
}

void Discovery::set_interfaces(const std::vector<std::uint32_t>& interfaces) {
  auto gone = [&](const NeighbourPath& path) {
    return std::find(interfaces.begin(), interfaces.end(), path.interface) == interfaces.end();
  };
  for (auto& [node, neighbour] : neighbours_) {
    // The last way is kept: where it led is still the best guess.
    if (std::all_of(neighbour.paths.begin(), neighbour.paths.end(), gone)) continue;
    if (std::erase_if(neighbour.paths, gone) == 0) continue;
    neighbour.address = neighbour.paths.front().address;
    event(DiscoveryEvent::Kind::kMoved, node, neighbour.beacon.tag_valid);
  }
}

void Discovery::on_datagram(const Address& from, ByteView bytes, Instant now,
                            std::uint32_t interface) {
  std::optional<Beacon> beacon = decode_beacon(bytes);
  if (!beacon) {
    ++counters_.rejected;
    return;
  }
  if (beacon->group != options_.group) {
    ++counters_.other_group;
    return;
  }
  if (beacon->boot == options_.boot &&
      (beacon->node == options_.node || beacon->node == former_node_))
    return;
  ++counters_.received;
  const bool ours = beacon->version == options_.version;
  // Before anything that costs: a flood of them is one comparison each.
  if (ours && beacon->node == options_.node) return on_own_id(from, *beacon, now);
  beacon->tag_valid = ours && key_ && beacon_tag_valid(bytes, *key_);
  if (!beacon->tag_valid && !budget_.take(from.ip, now)) {
    ++counters_.limited;
    return;
  }
  if (!ours) return on_other_version(from, *beacon, now);
  const bool seeks = (beacon->flags & Beacon::kSeek) != 0;
  if (!boots_.counts(beacon->node, beacon->boot)) {
    ++counters_.replayed;
    // A member that was killed and is back has a session here until that times out. It looks for
    // us, and the answer costs little.
    if (seeks) want_answer(now);
    return;
  }
  const NeighbourPath path{{from.ip, beacon->port}, interface, beacon->counter};
  if (beacon->tag_valid && is_replay(*beacon, now)) return on_duplicate(path, *beacon);
  if ((beacon->flags & Beacon::kGoodbye) != 0) return on_goodbye(from, *beacon);
  keep(path, *beacon, now);
  // Answering is bounded by itself, so a seeker for whom there was no room gets its answer too.
  if (seeks) want_answer(now);
}

bool Discovery::is_replay(const Beacon& beacon, Instant now) {
  auto [at, added] = seen_.try_emplace({beacon.node, beacon.boot});
  bool replay = !added && beacon.counter <= at->second.counter;
  if (!replay) at->second = Seen{beacon.counter, now};
  if (seen_.size() > kMaxSeen) {
    seen_.erase(std::min_element(seen_.begin(), seen_.end(), [](const auto& a, const auto& b) {
      return a.second.last < b.second.last;
    }));
  }
  return replay;
}

void Discovery::on_duplicate(const NeighbourPath& path, const Beacon& beacon) {
  auto at = neighbours_.find(beacon.node);
  if (at != neighbours_.end() && at->second.beacon.boot == beacon.boot &&
      at->second.beacon.counter == beacon.counter) {
    Neighbour& known = at->second;
    std::size_t before = known.paths.size();
    Address first = known.address;
    note_path(known, path, path.address == known.former_address);
    // A copy of a beacon is no news, another way is.
    if (known.paths.size() != before || known.address != first)
      event(DiscoveryEvent::Kind::kMoved, beacon.node, beacon.tag_valid);
    return;
  }
  ++counters_.replayed;
}

void Discovery::on_own_id(const Address& from, const Beacon& beacon, Instant now) {
  if (own_id_at_ && now - *own_id_at_ < kOwnIdInterval) return;
  own_id_at_ = now;
  own_id_heard_ = Address{from.ip, beacon.port};
}

void Discovery::on_other_version(const Address& from, const Beacon& beacon, Instant now) {
  auto at = other_versions_.find(from);
  if (at == other_versions_.end() && other_versions_.size() >= kMaxOtherVersions) {
    ++counters_.crowded;
    return;
  }
  if (at == other_versions_.end() && (!version_logged_ || now - *version_logged_ >= kVersionLog)) {
    version_logged_ = now;
    log_.warn(str(to_string(from), " speaks protocol ", int{beacon.version}, ", this node ",
                  int{options_.version}, ": they do not sync; install the same lansync on both"));
  }
  other_versions_[from] = Foreign{beacon.version, beacon.node, now};
  next_expiry_ = std::min(next_expiry_, now + kExpiry);
}

void Discovery::on_goodbye(const Address& from, const Beacon& beacon) {
  auto at = neighbours_.find(beacon.node);
  if (at == neighbours_.end()) return;
  Neighbour& known = at->second;
  // A goodbye of an older start comes late; one without a tag counts for no more than what it
  // takes away: an untagged hint from the same place.
  if (known.beacon.boot != beacon.boot) return;
  if (!beacon.tag_valid && (known.beacon.tag_valid || known.address.ip != from.ip)) return;
  // Whoever has a session says there when it ends.
  if (boots_.alive(beacon.node)) {
    known.leaving = beacon.tag_valid;
    return;
  }
  if (!known.beacon.tag_valid) --candidates_;
  neighbours_.erase(at);
  event(DiscoveryEvent::Kind::kGoodbye, beacon.node, beacon.tag_valid);
}

void Discovery::session_down(const NodeId& node) {
  boots_.session_down(node);
  auto at = neighbours_.find(node);
  if (at == neighbours_.end() || !at->second.leaving) return;
  if (!at->second.beacon.tag_valid) --candidates_;
  neighbours_.erase(at);
  event(DiscoveryEvent::Kind::kGoodbye, node, true);
}

void Discovery::keep(const NeighbourPath& path, const Beacon& beacon, Instant now) {
  auto at = neighbours_.find(beacon.node);
  if (at != neighbours_.end() && at->second.beacon.tag_valid && !beacon.tag_valid) {
    // A stranger may not speak for a member. After our key changed the member itself has no valid
    // tag until it has the new key too, and then its word counts as any hint.
    if (at->second.key_generation == key_generation_ || at->second.address.ip != path.address.ip)
      return;
  } else if (at != neighbours_.end() && !beacon.tag_valid &&
             std::none_of(
                 at->second.paths.begin(), at->second.paths.end(),
                 [&](const NeighbourPath& known) { return known.address.ip == path.address.ip; })) {
    // Two hosts say to be that node and neither has shown it. The first keeps its row, the other
    // is worth a dial: the handshake tells.
    event(DiscoveryEvent::Kind::kHint, beacon.node, false, path.address);
    bool same_start = at->second.beacon.boot == beacon.boot;
    if (!same_start || at->second.paths.size() >= kMaxPaths) return;
    note_path(at->second, path, false);
    return;
  }
  bool candidate_before = at != neighbours_.end() && !at->second.beacon.tag_valid;
  if (!beacon.tag_valid && !candidate_before && !make_room_for(path.address.ip)) return;
  if (at == neighbours_.end()) {
    if (beacon.tag_valid && neighbours_.size() - candidates_ >= kMaxMembers && !make_room(true))
      return;
    at = neighbours_.try_emplace(beacon.node).first;
    at->second.first_heard = now;
    at->second.address = path.address;
  }
  Neighbour& known = at->second;
  if (candidate_before) --candidates_;
  if (!beacon.tag_valid) ++candidates_;
  bool copy = known.beacon.boot == beacon.boot && known.beacon.counter == beacon.counter;
  if (known.beacon.boot != beacon.boot) {
    known.first_heard = now;
    known.paths.clear();
  }
  if (!copy) known.former_address = known.address;
  known.beacon = beacon;
  known.leaving = false;
  note_path(known, path, !copy || path.address == known.former_address);
  known.last_heard = now;
  known.key_generation = key_generation_;
  ++known.heard;
  next_expiry_ = std::min(next_expiry_, expires_at(known));
  event(DiscoveryEvent::Kind::kHeard, beacon.node, beacon.tag_valid);
}

// For one more candidate. No host has more than its share, and when the table is full the host with
// most gives way to one with fewer: whoever makes up nodes makes them up at its own expense.
bool Discovery::make_room_for(std::uint32_t ip) {
  if (candidates_ < kMaxEachHost) return true;
  std::map<std::uint32_t, std::size_t> rows;
  for (const auto& [node, neighbour] : neighbours_)
    if (!neighbour.beacon.tag_valid) ++rows[neighbour.address.ip];
  const std::size_t mine = rows.contains(ip) ? rows.at(ip) : 0;
  if (mine < kMaxEachHost && candidates_ < kMaxCandidates) return true;
  if (mine < kMaxEachHost && make_room(false)) return true;
  auto most = std::max_element(rows.begin(), rows.end(),
                               [](const auto& a, const auto& b) { return a.second < b.second; });
  const std::uint32_t from = mine >= kMaxEachHost ? ip : most->first;
  if (from != ip && most->second <= mine + 1) return false;
  auto stalest = neighbours_.end();
  for (auto at = neighbours_.begin(); at != neighbours_.end(); ++at) {
    if (at->second.beacon.tag_valid || at->second.address.ip != from) continue;
    const auto key = [](const Neighbour& row) { return std::pair(row.heard > 1, row.last_heard); };
    if (stalest == neighbours_.end() || key(at->second) < key(stalest->second)) stalest = at;
  }
  ++counters_.crowded;
  event(DiscoveryEvent::Kind::kExpired, stalest->first, false);
  --candidates_;
  neighbours_.erase(stalest);
  return true;
}

// Makes room for one by forgetting the stalest of those heard only once. Forged ids are heard once
// each; a node that was heard again keeps its place through a flood of them.
bool Discovery::make_room(bool tagged) {
  auto stalest = neighbours_.end();
  for (auto at = neighbours_.begin(); at != neighbours_.end(); ++at) {
    if (at->second.beacon.tag_valid != tagged || at->second.heard > 1) continue;
    if (stalest == neighbours_.end() || at->second.last_heard < stalest->second.last_heard)
      stalest = at;
  }
  ++counters_.crowded;
  if (stalest == neighbours_.end()) return false;
  event(DiscoveryEvent::Kind::kExpired, stalest->first, tagged);
  if (!tagged) --candidates_;
  neighbours_.erase(stalest);
  return true;
}

void Discovery::event(DiscoveryEvent::Kind kind, const NodeId& node, bool tag_valid,
                      const Address& address) {
  // Roles take the events each turn; a flood within one turn loses the oldest, not memory.
  if (events_.size() >= kMaxEvents)
    events_.erase(events_.begin(), events_.begin() + kMaxEvents / 2);
  events_.push_back({kind, node, tag_valid, address});
}

void Discovery::expire(Instant now) {
  next_expiry_ = kNever;
  for (auto at = neighbours_.begin(); at != neighbours_.end();) {
    Instant expiry = expires_at(at->second);
    if (expiry > now) {
      next_expiry_ = std::min(next_expiry_, expiry);
      ++at;
      continue;
    }
    if (!at->second.beacon.tag_valid) --candidates_;
    event(DiscoveryEvent::Kind::kExpired, at->first, at->second.beacon.tag_valid);
    at = neighbours_.erase(at);
  }
  std::erase_if(other_versions_,
                [now](const auto& row) { return row.second.last_heard + kExpiry <= now; });
  for (const auto& [address, foreign] : other_versions_)
    next_expiry_ = std::min(next_expiry_, foreign.last_heard + kExpiry);
}

std::vector<DiscoveryEvent> Discovery::take_events() { return std::exchange(events_, {}); }

const Neighbour* Discovery::find(const NodeId& node) const {
  auto at = neighbours_.find(node);
  return at == neighbours_.end() ? nullptr : &at->second;
}

}  // namespace lansync
