#include "roles/hub.h"

#include <algorithm>

#include "base/assert.h"
#include "base/rel_path.h"
#include "roles/batching.h"
#include "roles/conflict_copies.h"
#include "sync/conflict_name.h"
#include "sync/copies_of.h"
#include "sync/tree_digest.h"

namespace lansync {
namespace {

constexpr std::size_t kMaxPublishedAt = 100'000;
// Of what members have not heard of yet: for people, who see "thousands".
constexpr std::size_t kMaxRecent = 4096;
// Less than this is there sooner than anybody could fetch along.
constexpr std::uint64_t kLeastComing = 4 * 1024 * 1024;
constexpr std::size_t kComingAtOnce = 4;
constexpr const char* kNoDirectory =
    "too many nodes have edited a directory above it (512 at most): use another directory";
constexpr const char* kIgnoredHere = "by the hub's .lansyncignore it is not synced";
// This disk's own, not settled yet.
bool takes_a_living_directory(const Index& index, const std::string& path,
                              const PathRecord& record) {
  if (!record.synced || !record.synced->is_directory()) return false;
  if (!record.local || record.local->is_directory()) return false;
  const auto& paths = index.paths();
  for (auto at = paths.lower_bound(path + '/'); at != paths.end() && is_within(at->first, path);
       ++at) {
    if (const EntryPtr& below = at->second.known(); below && !below->is_tombstone()) return true;
  }
  return false;
}

// Directories first, or one would be made for a copy that is in it, with another mode than its own;
// then the conflict copies, so that what they keep is not kept twice.
int turn_of(const std::string& path, const Entry& entry) {
  if (entry.is_directory()) return 0;
  return parse_conflict_name(path) ? 1 : 2;
}

constexpr std::size_t kMaxQueuedOffers = 64;  // a path; each member has one push a path under way

}  // namespace

Hub::Hub(Replica& replica, Outbox& outbox, Log& log)
    : replica_(replica), outbox_(outbox), log_(log) {}

void Hub::start(std::uint64_t term, std::uint64_t seq, Instant now) {
  acting_ = true;
  term_ = term;
  seq_ = seq;
  published_at_.clear();
  published_before_ = 0;
  recent_.clear();
  not_here_.clear();
  members_.clear();
  candidates_.clear();
  copy_for_.clear();
  may_come_.clear();
  coming_.clear();
  replica_.remote_unknown();
  std::vector<std::pair<std::string, EntryPtr>> tree;
  for (const auto& [path, record] : replica_.index().paths()) {
    // A held delete goes nowhere: the group still has the version before it.
    bool held = replica_.is_held(path);
    // Nor does what no member would take.
    held = held || (record.local && record.local->version.too_long_for_others());
    // Of a directory that was deleted or replaced here, and in which something lives that is not
    // kept here: it is offered like any edit, and the directory stays.
    held = held || takes_a_living_directory(replica_.index(), path, record);
    tree.emplace_back(path, held ? record.synced : record.known());
  }
  for (auto& [path, entry] : tree) {
    if (!entry) continue;
    replica_.index().set_remote(path, entry);
    if (!replica_.is_held(path)) replica_.set_known_synced(path, entry);
    note_not_here(path);
  }
  replica_.remote_known(now);
}

std::uint64_t Hub::published_at(const std::string& path) const {
  auto at = published_at_.find(path);
  return at == published_at_.end() ? published_before_ : at->second.seq;
}

SessionId Hub::published_by(const std::string& path) const {
  auto at = published_at_.find(path);
  return at == published_at_.end() ? 0 : at->second.by;
}

Hub::Amount Hub::published_since(std::uint64_t seq, SessionId but) const {
  Amount amount;
  for (auto row = recent_.rbegin(); row != recent_.rend() && row->seq > seq; ++row) {
    if (row->by == but) continue;
    ++amount.files;
    amount.bytes += row->bytes;
  }
  return amount;
}

std::uint64_t Hub::own_since(std::uint64_t seq) const {
  std::uint64_t files = 0;
  for (const auto& [path, row] : published_at_) {
    if (row.seq <= seq || row.by != 0) continue;
    const PathRecord* record = replica_.index().find(path);
    if (record && record->live() && record->local->is_file()) ++files;
  }
  return files;
}

void Hub::stop() {
  acting_ = false;
  members_.clear();
  candidates_.clear();
  copy_for_.clear();
  may_come_.clear();
  coming_.clear();
}

EntryPtr Hub::published(const std::string& path) const {
  auto at = candidates_.find(path);
  if (at != candidates_.end()) return at->second.before;
  const PathRecord* record = replica_.index().find(path);
  return record ? record->remote : nullptr;
}

HubView Hub::view_of(const std::string& path) const {
  HubView view;
  view.hub = short_id(replica_.node());
  view.next_count = replica_.edit_count() + 1;
  const auto& paths = replica_.index().paths();
  std::string prefix = path + '/';
  for (auto at = paths.lower_bound(prefix); at != paths.end() && is_within(at->first, path); ++at) {
    if (at->second.remote && !at->second.remote->is_tombstone()) {
      view.live_children = true;
      break;
    }
  }
  // Candidates count: two conflicts at once must not take one name for different bytes.
  view.lookup = [this](const std::string& name) -> EntryPtr {
    const PathRecord* record = replica_.index().find(name);
    if (!record) return nullptr;
    return record->remote ? record->remote : record->local;
  };
  return view;
}

// ---- joining
// ----------------------------------------------------------------------------------------

void Hub::on_index_get(SessionId session, const Joiner& joiner, const IndexGet& message) {
  Member& member = members_[session];
  member = Member{};
  member.node = joiner.node;
  member.replica = joiner.replica;
  for (const auto& [path, item] : coming_) {
    if (joiner.replica) member.coming.push_back(item);
  }
  TreeDigest digest(message.bucket_count);
  std::uint64_t count_seen = 0;
  ShortId id = short_id(joiner.node);
  for (const auto& [path, record] : replica_.index().paths()) {
    EntryPtr entry = published(path);
    if (!entry) continue;
    digest.add(path, *entry);
    count_seen = std::max(
        {count_seen, entry->version.count_of(id), entry->version.count_of(settling_id(id))});
  }
  std::vector<std::uint32_t> differing = digest.differing(message.digests);
  std::vector<bool> wanted(message.bucket_count, false);
  for (std::uint32_t bucket : differing) wanted[bucket] = true;
  std::vector<NamedEntry> listing;
  for (const auto& [path, record] : replica_.index().paths()) {
    if (!wanted[bucket_of(path, message.bucket_count)]) continue;
    if (EntryPtr entry = published(path)) listing.push_back({path, entry});
  }
  Update update;
  update.term = term_;
  update.seq = seq_;
  update.snapshot = true;
  update.round = message.round;
  update.buckets = std::move(differing);
  in_batches(listing, bytes_of_named, [&](std::vector<NamedEntry> batch) {
    update.entries = std::move(batch);
    outbox_.send(session, update);
    update.buckets.clear();
  });
  update.entries.clear();
  update.last = true;
  update.count_seen = count_seen;
  update.away = joiner.away;
  update.unsynced = joiner.unsynced;
  outbox_.send(session, update);
}

void Hub::on_member_down(SessionId session) {
  members_.erase(session);
  std::vector<std::string> lost;
  for (auto& [path, candidate] : candidates_) {
    std::erase_if(candidate.queue, [&](const Offer& offer) { return offer.session == session; });
    // What has no bytes is whole, and may stand on this disk already: withdrawn, a directory whose
    // delete was carried out a moment ago would be made again. (Simulator's seed 1993.)
    // A delete that is held has not been.
    const bool whole =
        candidate.entry && !candidate.entry->is_file() && !replica_.waits_for_word(path);
    if (candidate.offer.session == session && !whole) lost.push_back(path);
  }
  // It had promised content; what arrived stays in tmp and is found by its content id next time.
  for (const std::string& path : lost) {
    // The withdrawal of a copy takes the path that it is for along, and what waited there goes on
    // at once: by now that may be another member's candidate.
    auto at = candidates_.find(path);
    if (at == candidates_.end() || at->second.offer.session != session) continue;
    run_queue(withdraw(path, false));
  }
}

// ---- pushes
// -----------------------------------------------------------------------------------------

void Hub::on_push(SessionId session, const Push& message, bool may_rename) {
  const ShortId own = short_id(replica_.node());
  for (const PushItem& item : message.items) {
    const VersionVector& version = item.entry->version;
    if (replica_.forgot_counts(
            std::max(version.count_of(own), version.count_of(settling_id(own))))) {
      identity_doubt_ = true;
      if (may_rename) return;
      break;
    }
  }
  // Directories, then conflict copies: see turn_of.
  for (const int turn : {0, 1, 2})
    for (const PushItem& item : message.items)
      if (turn_of(item.name, *item.entry) == turn) offer({session, item});
}

void Hub::offer(Offer offer) {
  if (offer.session != 0 && replica_.is_ignored(offer.item.name, *offer.item.entry)) {
    refuse(offer, kIgnoredHere);
    return;
  }
  auto at = candidates_.find(offer.item.name);
  if (at == candidates_.end()) {
    settle_offer(offer);
    return;
  }
  // Asked for again: its verdict is on the way.
  const Offer& under_way = at->second.offer;
  if (offer.session != 0 && under_way.session == offer.session &&
      under_way.item.name == offer.item.name &&
      under_way.item.entry->version == offer.item.entry->version) {
    return;
  }
  // A delete that waits here for a person's word keeps no edit waiting: that beats it, or is what
  // its author made of the path since.
  if (const EntryPtr& waits = at->second.entry; waits && waits->is_tombstone() &&
                                                !offer.item.entry->is_tombstone() &&
                                                replica_.waits_for_word(offer.item.name)) {
    std::deque<Offer> behind = withdraw(offer.item.name, under_way.session != offer.session);
    settle_offer(offer);
    run_queue(std::move(behind));
    return;
  }
  // This disk's edit lost to what the group had, whose bytes are not here and, since somebody
  // pushes its successor, may be nowhere any more (an on-demand hub alone: nobody holds them). What
  // is pushed takes the candidate's place, under a vector that covers this disk's edit as well:
  // else the one would wait for the other.
  const std::string path = offer.item.name;
  const PathRecord* record = replica_.index().find(path);
  const EntryPtr own = record ? record->local : nullptr;
  const Candidate& waits_there = at->second;
  const bool in_vain = offer.session != 0 && waits_there.offer.session == 0 && waits_there.entry &&
                       waits_there.entry->is_file() && own &&
                       own->version.compare(waits_there.entry->version) == Order::kOlder &&
                       own->version.compare(offer.item.entry->version) == Order::kConcurrent &&
                       (!waits_there.before || offer.item.entry->version.compare(
                                                   waits_there.before->version) == Order::kNewer) &&
                       !replica_.index().find_content(waits_there.entry->content, path) &&
                       !replica_.index().trash().find_content(waits_there.entry->content);
  if (in_vain) {
    const Settlement both = settle({path, *own}, offer.item.entry, view_of(path));
    // Its copy was published before it became the candidate.
    const bool kept = both.kind == SettlementKind::kHave ||
                      (both.kind == SettlementKind::kConflict && !both.copy && !both.hub_lost);
    if (kept && both.changed) {
      std::deque<Offer> behind = withdraw(path, false);
      if (waits_for_ancestor(offer)) return run_queue(std::move(behind));
      if (both.count_used) replica_.use_counts(1);
      if (propose(path, both.entry, offer)) {
        verdict(offer.session, VerdictKind::kAccept, path, nullptr, {});
      } else {
        refuse(offer, kNoDirectory);
      }
      run_queue(std::move(behind));
      return;
    }
  }
  queue_behind(at->second.queue, std::move(offer), kMaxQueuedOffers);
}

// A newer push takes the place of an older one of the same path. (Behind a conflict copy an offer
// of the path that the copy is made for may wait too.)
void Hub::queue_behind(std::deque<Offer>& queue, Offer offer, std::size_t most) {
  std::erase_if(queue, [&](const Offer& other) {
    return other.session == offer.session && other.item.name == offer.item.name;
  });
  if (queue.size() >= most) {
    verdict(offer.session, VerdictKind::kRefuse, offer.item.name, nullptr, "busy, try again");
    return;
  }
  queue.push_back(std::move(offer));
}

void Hub::settle_offer(const Offer& offer) {
  if (waits_for_ancestor(offer)) return;
  const std::string& path = offer.item.name;
  EntryPtr ours = published(path);
  Settlement settled = settle({path, *offer.item.entry}, ours, view_of(path));
  if (settled.count_used) replica_.use_counts(1);
  if (settled.mismatch) {
    log_.warn(str(printable(path), ": two versions of the same count differ; both are kept"));
  }
  switch (settled.kind) {
    case SettlementKind::kRefuse:
      refuse(offer, settled.reason);
      return;
    case SettlementKind::kHave:
      if (!settled.changed) {
        verdict(offer.session, VerdictKind::kHave, path, settled.entry, {});
        if (offer.session == 0) replica_.set_remote(path, settled.entry);
        return;
      }
      if (!propose(path, settled.entry, offer)) refuse(offer, kNoDirectory);
      return;
    case SettlementKind::kConflict:
      take_conflict(offer, settled);
      return;
    case SettlementKind::kAccept:
      if (!propose(path, settled.entry, offer)) {
        refuse(offer, kNoDirectory);
      } else if (settled.content_needed) {
        verdict(offer.session, VerdictKind::kAccept, path, nullptr, {});
      }
      return;
  }
}

// The copy is published before the name changes hands: a hub that dies between the two has lost
// nothing, and the same push settles the same way again.
void Hub::take_conflict(const Offer& offer, const Settlement& settled) {
  const std::string& path = offer.item.name;
  // Also where it has these very bytes: it goes if its pusher does (simulator's seed 93).
  const bool copy_busy = candidates_.contains(settled.copy_path);
  // Two machines that found one edit each (a folder that was copied with it), or one that pushes
  // again what has lost already: these bytes are kept once.
  bool kept = false;  // not by one that somebody wrote to, which may go any moment (seed 1103)
  if (settled.copy)
    visit_copies(replica_.index(), path, [&](const std::string& name, const EntryPtr& there) {
      kept = kept || (!candidates_.contains(name) && there->version.parts().size() == 1 &&
                      same_content(*there, *settled.copy));
    });
  if (!settled.copy || kept || copy_busy) {
    if (copy_busy && !kept) {
      candidates_[settled.copy_path].queue.push_back(offer);
      return;
    }
    if (!propose(path, settled.entry, offer)) refuse(offer, kNoDirectory);
    return;
  }
  // The copy stands beside it, or further up.
  if (!revive_ancestors(path, view_of(path))) {
    refuse(offer, kNoDirectory);
    return;
  }
  // Each node that gets the copy says so at info (sync/activity.h), as does this one.
  log_.debug(str("conflict: ", printable(path), " is kept twice, the other version as ",
                 printable(settled.copy_path)));
  verdict(offer.session, VerdictKind::kConflict, path, nullptr, settled.copy_path);
  Candidate waiting;
  waiting.offer = offer;
  waiting.before = published(path);
  waiting.waits_for = settled.copy_path;
  candidates_[path] = std::move(waiting);
  copy_for_[settled.copy_path] = path;
  Offer for_copy;
  for_copy.session = settled.hub_lost ? 0 : offer.session;
  for_copy.item = {settled.copy_path, settled.copy};
  propose(settled.copy_path, settled.copy, for_copy);
}

// Makes `entry` the candidate of `path`; the replica brings its content here, and on_settled
// publishes.
bool Hub::propose(const std::string& path, const EntryPtr& entry, const Offer& offer) {
  if (!entry->is_tombstone() && !propose_ancestors(path)) return false;
  // Asked before there is a candidate, which would answer for itself.
  EntryPtr before = published(path);
  Candidate& candidate = candidates_[path];
  candidate.before = std::move(before);
  candidate.offer = offer;
  candidate.entry = entry;
  // Of a conflict that the pusher lost it has not what keeps the name.
  const bool pushers = !entry->is_file() || same_content(*entry, *offer.item.entry);
  if (offer.session != 0 && pushers) {
    replica_.set_path_source(path, offer.session);
  } else {
    replica_.clear_path_source(path);
  }
  replica_.set_remote(path, entry);
  // Bytes that nobody but the pusher has, or (a conflict copy of this disk's own edit, or of what
  // was published) nobody under this name: they are not the group's before they are here, whatever
  // this node wants for itself.
  bool new_bytes =
      entry->is_file() && !(candidate.before && same_content(*entry, *candidate.before));
  if (new_bytes) {
    replica_.keep_for_group(path);
  } else if (const PathRecord* record = replica_.index().find(path); !record->live()) {
    // The group has these bytes elsewhere, or nowhere any more: who pushes does not wait for them.
    replica_.unkeep(path);
  }
  const bool here = replica_.index().find_content(entry->content, path).has_value();
  if (new_bytes && !here && entry->size >= kLeastComing) may_come_.push_back(path);
  // The disk may have had it since before a withdrawal: then nothing is left to do that would say
  // so.
  replica_.settle_if_agreed(path);
  return true;
}

void Hub::on_settled(const std::string& path) {
  if (!acting_) return;
  auto at = candidates_.find(path);
  if (at == candidates_.end() || !at->second.entry) return;
  const PathRecord* record = replica_.index().find(path);
  if (!record || !record->known() || record->known()->version != at->second.entry->version) return;
  publish(path);
}

// To all but the one who pushes it. Never more than a few: they take places that what is published
// needs.
void Hub::tell_coming() {
  while (!may_come_.empty() && coming_.size() < kComingAtOnce) {
    const std::string path = std::move(may_come_.front());
    may_come_.pop_front();
    auto at = candidates_.find(path);
    if (at == candidates_.end() || !at->second.entry || !at->second.entry->is_file()) continue;
    const Entry& entry = *at->second.entry;
    const ComingItem item{path, entry.content, entry.size};
    if (!coming_.emplace(path, item).second) continue;
    std::vector<Member*> told;
    for (auto& [session, member] : members_) {
      if (session != at->second.offer.session && member.replica) told.push_back(&member);
    }
    for (std::size_t i = 0; i < told.size() && i < 0xffff; ++i) {
      told[i]->coming.push_back(item);
      told[i]->coming.back().part = static_cast<std::uint16_t>(i);
      told[i]->coming.back().parts =
          static_cast<std::uint16_t>(std::min<std::size_t>(told.size(), 0xffff));
    }
  }
}

void Hub::end_coming(const std::string& path, bool published) {
  auto at = coming_.find(path);
  if (at == coming_.end()) return;
  ComingItem item = std::move(at->second);
  coming_.erase(at);
  // The update says it.
  if (published) return;
  item.over = true;
  for (auto& [session, member] : members_) member.coming.push_back(item);
}

void Hub::publish(const std::string& path) {
  end_coming(path, true);
  Candidate candidate = std::move(candidates_[path]);
  candidates_.erase(path);
  replica_.clear_path_source(path);
  ++seq_;
  if (published_at_.size() >= kMaxPublishedAt) {
    published_at_.clear();
    published_before_ = seq_;
  }
  published_at_[path] = {seq_, candidate.offer.session};
  EntryPtr entry = replica_.index().find(path)->known();
  note_not_here(path);
  recent_.push_back({seq_, candidate.offer.session, entry->size});
  if (recent_.size() > kMaxRecent) recent_.pop_front();
  auto member = members_.find(candidate.offer.session);
  bool told = false;
  if (member != members_.end() && candidate.offer.item.name == path) {
    member->second.published.push_back({path, entry});
    told = true;
  }
  announce(path, entry, told ? candidate.offer.session : 0);
  // The offer that this copy was made for is settled anew: the tree may have moved on meanwhile.
  if (auto copied = copy_for_.find(path); copied != copy_for_.end()) {
    std::string name = copied->second;
    copy_for_.erase(copied);
    // Its author went past the copy before it: that one goes to the trash.
    const auto fold = fold_of(replica_.index(), path);
    if (fold && !candidates_.contains(fold->previous)) {
      if (EntryPtr gone = tombstone_of(replica_, *fold)) {
        propose(fold->previous, gone, Offer{0, {fold->previous, gone}});
        const std::int64_t now_ns = replica_.observed_ns();
        if (folded_.note(name, fold->entry->author_name, now_ns))
          log_.warn(folded_.text(replica_.index(), now_ns));
      }
    }
    if (auto at = candidates_.find(name); at != candidates_.end() && waits(at->second, path)) {
      Candidate waiting = std::move(at->second);
      candidates_.erase(at);
      settle_offer(waiting.offer);
      run_queue(std::move(waiting.queue));
    }
  }
  run_queue(std::move(candidate.queue));
}

void Hub::run_queue(std::deque<Offer> queue) {
  for (Offer& next : queue) offer(std::move(next));
}

// The candidate goes; the published version is the group's again. Returns what waited behind it, to
// be run by the caller; with `requeue` the candidate's own offer first.
std::deque<Hub::Offer> Hub::withdraw(const std::string& path, bool requeue) {
  auto at = candidates_.find(path);
  if (at == candidates_.end()) return {};
  Candidate candidate = std::move(at->second);
  candidates_.erase(at);
  end_coming(path, false);
  replica_.clear_path_source(path);
  replica_.unkeep(path);
  replica_.set_remote(path, candidate.before);
  forget_not_here(path, candidate.entry, candidate.before);
  std::deque<Offer> queue = std::move(candidate.queue);
  if (requeue && candidate.offer.item.name == path) queue.push_front(candidate.offer);
  if (auto copied = copy_for_.find(path); copied != copy_for_.end()) {
    std::string name = copied->second;
    copy_for_.erase(copied);
    // Only what waits for this copy: the name may be another member's candidate by now, or wait for
    // another copy.
    if (auto owner = candidates_.find(name);
        owner != candidates_.end() && waits(owner->second, path)) {
      for (Offer& waiting : withdraw(name, requeue)) queue.push_back(std::move(waiting));
    }
  }
  return queue;
}

// ---- this disk's own edits
// --------------------------------------------------------------------------

// The candidate waits for a copy, and this disk's edit is the successor of what was published. Of
// that one no copy is needed, and its bytes may be gone; nor is one of what was pushed, if the edit
// is a delete: it leaves the name to that. (Simulator's seed 336: the same bytes under both names.)
bool Hub::replaced_here(const Candidate& candidate, const PathRecord& record) const {
  if (!candidate.before || !record.local) return false;
  auto copy = candidates_.find(candidate.waits_for);
  if (copy == candidates_.end() || !copy->second.entry ||
      record.local->version.compare(candidate.before->version) != Order::kNewer)
    return false;
  if (record.local->is_tombstone()) return true;
  return same_content(*copy->second.entry, *candidate.before) &&
         !replica_.has_bytes(copy->second.entry->content, candidate.waits_for);
}

void Hub::offer_own_edits() {
  if (replica_.to_push().empty()) return;
  std::vector<std::string> order = replica_.push_order();
  // As in on_push.
  auto copies = std::stable_partition(order.begin(), order.end(), [&](const std::string& path) {
    const PathRecord* record = replica_.index().find(path);
    return record && record->local && record->local->is_directory();
  });
  std::stable_partition(copies, order.end(), parse_conflict_name);
  for (const std::string& path : order) {
    const PathRecord* record = replica_.index().find(path);
    if (!record || !record->local) continue;
    std::deque<Offer> after;
    auto at = candidates_.find(path);
    if (at != candidates_.end()) {
      bool own = at->second.offer.session == 0 && at->second.entry &&
                 at->second.entry->version.covers(record->local->version);
      const bool waits_in_vain = !at->second.entry && replaced_here(at->second, *record);
      if (own || (!at->second.entry && !waits_in_vain)) continue;
      // Somebody's push was on its way into a file that was edited here meanwhile: this disk's edit
      // is based on the published version and goes first; the push is settled against it.
      const std::string copy = waits_in_vain ? at->second.waits_for : std::string();
      after = withdraw(path, true);
      if (!copy.empty()) copy_for_.erase(copy);
      for (Offer& waiting : withdraw(copy, false)) after.push_back(std::move(waiting));
      std::erase_if(
          after, [&](const Offer& offer) { return offer.session == 0 && offer.item.name == path; });
      record = replica_.index().find(path);
    }
    Offer own;
    own.item.name = path;
    own.item.entry = record->local;
    offer(std::move(own));
    run_queue(std::move(after));
  }
}

// ---- what goes out
// ----------------------------------------------------------------------------------

void Hub::verdict(SessionId session, VerdictKind kind, const std::string& name, EntryPtr entry,
                  const std::string& detail) {
  auto member = members_.find(session);
  if (member == members_.end()) return;
  member->second.verdicts[kind].push_back({name, std::move(entry), detail});
}

void Hub::announce(const std::string& path, const EntryPtr& entry, SessionId except) {
  for (auto& [session, member] : members_) {
    if (session != except) member.updates.push_back({path, entry});
  }
}

void Hub::flush(SessionId session, Member& member) {
  auto verdict_bytes = [](const VerdictItem& item) {
    std::size_t entry = item.entry ? entry_bytes_bound(item.name, *item.entry) : item.name.size();
    return entry + item.detail.size() + 64;
  };
  for (auto& [kind, items] : member.verdicts) {
    in_batches(items, verdict_bytes, [&, kind = kind](std::vector<VerdictItem> batch) {
      outbox_.send(session, Verdict{kind, std::move(batch)});
    });
  }
  member.verdicts.clear();
  const bool published = !member.published.empty();
  in_batches(member.published, bytes_of_named, [&](std::vector<NamedEntry> batch) {
    outbox_.send(session, Done{{}, std::move(batch)});
  });
  member.published.clear();
  auto coming_bytes = [](const ComingItem& item) { return item.name.size() + 64; };
  in_batches(member.coming, coming_bytes, [&](std::vector<ComingItem> batch) {
    outbox_.send(session, Coming{std::move(batch)});
  });
  member.coming.clear();
  // Whoever pushed it all hears by this how far the hub is: it says to have everything up to there.
  if (published && member.updates.empty()) {
    Update message;
    message.term = term_;
    message.seq = seq_;
    outbox_.send(session, message);
  }
  in_batches(member.updates, bytes_of_named, [&](std::vector<NamedEntry> batch) {
    Update message;
    message.term = term_;
    message.seq = seq_;
    message.entries = std::move(batch);
    outbox_.send(session, message);
  });
  member.updates.clear();
}

// What the rules hide from now on leaves the group without a tombstone (DESIGN): each keeps its own
// bytes, so an entry that stayed would be wanted, once the rule goes, from those who have others.
void Hub::follow_rules() {
  if (rules_seen_ == replica_.rules_number()) return;
  rules_seen_ = replica_.rules_number();
  std::vector<std::string> hidden;
  for (const auto& [path, record] : replica_.index().paths()) {
    if (record.remote && !record.live() && replica_.is_ignored(path, *record.remote))
      hidden.push_back(path);
  }
  for (const std::string& path : hidden) {
    on_fetch_failed(path, kIgnoredHere);
    if (!candidates_.contains(path)) replica_.set_remote(path, nullptr);
  }
}

void Hub::pump() {
  if (!acting_) return;
  follow_rules();
  if (!replica_.paused()) offer_own_edits();
  tell_coming();
  for (auto& [session, member] : members_) flush(session, member);
}

}  // namespace lansync
