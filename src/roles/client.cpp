#include "roles/client.h"

#include <algorithm>

#include "base/rel_path.h"
#include "roles/batching.h"
#include "sync/tree_digest.h"

namespace lansync {
namespace {

// Names under way to the hub at once: enough to keep the line busy with small files, and a bound on
// what a hub has to queue for one member.
constexpr std::size_t kMaxInFlight = 8192;
constexpr Duration kRefusedDelay = 10s;
constexpr Duration kRefusedDelayMax = 60s;
// DESIGN, Self-assignment 4.
constexpr Duration kVerdictPatience = 15s;
// A push whose verdict does not come is asked for again, each time after twice as long: the hub may
// be fetching for hours, and must never be waited for in vain.
constexpr Duration kAskAgain = 30s;
constexpr Duration kAskAgainMax = 10min;
// Some of `paths` are.
bool is_below(const std::set<std::string>& paths, const std::string& path) {
  if (paths.empty()) return false;
  auto below = paths.lower_bound(path + '/');
  return below != paths.end() && is_within(*below, path);
}

// One of `directories` is above it.
bool is_in(const std::set<std::string>& directories, const std::string& path) {
  if (directories.empty()) return false;
  for (auto parent = parent_path(path); !parent.empty(); parent = parent_path(parent))
    if (directories.contains(std::string(parent))) return true;
  return false;
}

constexpr std::size_t kMaxListing = 10'000'000;  // entries; a hub that lists for ever is cut off

}  // namespace

Client::Client(Replica& replica, Outbox& outbox, Log& log)
    : replica_(replica), outbox_(outbox), log_(log) {}

void Client::follow(SessionId hub, std::uint64_t term, std::uint64_t away) {
  leave();
  hub_ = hub;
  term_ = term;
  hub_away_ = away;
  replica_.remote_unknown();
}

void Client::leave() {
  if (hub_ == 0) return;
  hub_ = 0;
  asked_ = false;
  joined_ = false;
  listing_.clear();
  differing_.clear();
  in_flight_.clear();
  unanswered_.clear();
  waiting_since_.reset();
  next_ask_again_ = kNever;
  wait_until_.clear();
  refused_.clear();
  patience_.clear();
  replica_.remote_unknown();
  replica_.freeze_versions(false);
}

void Client::begin_join() {
  asked_ = true;
  rules_seen_ = replica_.rules_number();
  replica_.freeze_versions(true);
  held_.clear();
  std::vector<std::pair<const std::string*, const Entry*>> tree;
  for (const auto& [path, record] : replica_.index().paths()) {
    bool held = replica_.is_held(path);
    if (held) held_.insert(path);
    const EntryPtr entry = held ? record.synced : record.known();
    if (entry) tree.emplace_back(&path, entry.get());
  }
  bucket_count_ = bucket_count_for(tree.size());
  TreeDigest digest(bucket_count_);
  for (const auto& [path, entry] : tree) digest.add(*path, *entry);
  IndexGet message;
  message.bucket_count = bucket_count_;
  message.digests = digest.digests();
  message.count_high = replica_.edit_count();
  message.round = ++round_;
  message.away = hub_away_;
  differing_.assign(bucket_count_, false);
  listing_.clear();
  outbox_.send(hub_, message);
}

bool Client::on_update(const Update& update, Instant now) {
  seq_ = std::max(seq_, update.seq);
  if (!update.snapshot) {
    // Before we joined (again): the snapshot that is on its way has it.
    if (!joined_) return true;
    for (const NamedEntry& named : update.entries) replica_.set_remote(named.name, named.entry);
    return true;
  }
  if (update.round != round_ || !asked_) return true;
  if (joined_) return false;
  for (std::uint32_t bucket : update.buckets) {
    if (bucket >= bucket_count_) return false;
    differing_[bucket] = true;
  }
  for (const NamedEntry& named : update.entries) {
    if (listing_.size() >= kMaxListing) return false;
    listing_[named.name] = named.entry;
  }
  if (update.last) {
    count_seen_ = update.count_seen;
    seq_ = update.seq;
    end_join(now);
  }
  return true;
}

void Client::end_join(Instant now) {
  Index& index = replica_.index();
  std::vector<std::pair<std::string, EntryPtr>> remotes;
  for (const auto& [path, record] : index.paths()) {
    if (differing_[bucket_of(path, bucket_count_)]) continue;
    remotes.emplace_back(path, held_.contains(path) ? record.synced : record.known());
  }
  for (auto& [path, entry] : remotes) {
    if (!entry) continue;
    index.set_remote(path, entry);
    if (!held_.contains(path)) replica_.set_known_synced(path, entry);
  }
  held_.clear();
  for (auto& [path, entry] : listing_) index.set_remote(path, entry);
  log_.debug(str("joined: ", listing_.size(), " entries were listed, ", remotes.size(),
                 " were known to be equal"));
  listing_.clear();
  joined_ = true;
  push_due_ = true;
  replica_.remote_known(now);
  replica_.freeze_versions(false);
}

std::optional<std::uint64_t> Client::take_count_seen() {
  std::optional<std::uint64_t> seen = count_seen_;
  count_seen_.reset();
  return seen;
}

void Client::on_verdict(const Verdict& verdict, Instant now) {
  push_due_ = true;
  for (const VerdictItem& item : verdict.items) {
    auto at = in_flight_.find(item.name);
    if (at == in_flight_.end()) continue;
    unanswered_.erase(item.name);
    switch (verdict.kind) {
      case VerdictKind::kAccept:
      case VerdictKind::kConflict:
        break;  // the content is asked for, or the hub's decision comes as an update
      case VerdictKind::kHave:
        in_flight_.erase(at);
        if (item.entry) replica_.set_remote(item.name, item.entry);
        break;
      case VerdictKind::kRefuse: {
        const Duration delay = refused_delay(item.name, at->second.entry);
        wait_until_[item.name] = {at->second.entry, now + delay};
        in_flight_.erase(at);
        // Often it is others who changed it; that the bytes are not here any more only reading
        // tells, which is not for each time.
        if (delay == 2 * kRefusedDelay) replica_.doubt_push(item.name);
        refused_[item.name] = item.detail;
        replica_.on_content_changed(item.name);
        log_.warn(str(printable(item.name), ": the hub did not take it: ", printable(item.detail)));
        break;
      }
    }
  }
  note_answered(now);
}

Duration Client::refused_delay(const std::string& path, const EntryPtr& entry) {
  auto [at, fresh] = patience_.try_emplace(path, Patience{entry, kRefusedDelay});
  if (!fresh && at->second.entry != entry) at->second = {entry, kRefusedDelay};
  const Duration delay = at->second.next;
  at->second.next = std::min(2 * delay, kRefusedDelayMax);
  return delay;
}

// It works, however slowly: what is left has its time anew.
void Client::note_answered(Instant now) {
  waiting_since_ = unanswered_.empty() ? std::nullopt : std::optional(now);
}

bool Client::unanswered(Instant now) const {
  return waiting_since_ && now - *waiting_since_ >= kVerdictPatience;
}

void Client::on_done(const std::vector<NamedEntry>& published, Instant now) {
  push_due_ = true;
  for (const NamedEntry& named : published) {
    auto at = in_flight_.find(named.name);
    bool ours = at != in_flight_.end() && at->second.entry->version == named.entry->version;
    if (at != in_flight_.end()) in_flight_.erase(at);
    unanswered_.erase(named.name);
    refused_.erase(named.name);
    patience_.erase(named.name);
    wait_until_.erase(named.name);
    if (ours) {
      replica_.set_agreed(named.name, named.entry);
    } else {
      replica_.set_remote(named.name, named.entry);
    }
  }
  note_answered(now);
}

void Client::push(Instant now) {
  push_due_ = false;
  std::erase_if(refused_,
                [&](const auto& item) { return !replica_.to_push().contains(item.first); });
  std::erase_if(patience_, [&](const auto& item) { return !refused_.contains(item.first); });
  std::vector<PushItem> items;
  // Deletes that have to wait: what is deleted or replaced above them waits with them, or the hub
  // would keep a directory because something in it lives.
  std::set<std::string> waiting;
  // Directories that cannot go out yet: the hub would make one for what is in them, and keep a file
  // that a person replaced by it as a conflict copy.
  std::set<std::string> made_later;
  for (const std::string& path : replica_.push_order()) {
    if (in_flight_.size() >= kMaxInFlight) break;
    const PathRecord* record = replica_.index().find(path);
    auto flight = in_flight_.find(path);
    if (flight != in_flight_.end() && flight->second.entry == record->local) continue;
    auto refused = wait_until_.find(path);
    const bool for_now = refused != wait_until_.end() && now < refused->second.until &&
                         refused->second.entry == record->local;
    const bool not_yet = flight != in_flight_.end() || !replica_.is_durable(path);
    if (for_now || not_yet || is_below(waiting, path) || is_in(made_later, path)) {
      if (record->local->is_tombstone()) waiting.insert(path);
      if (not_yet && record->local->is_directory()) made_later.insert(path);
      continue;
    }
    in_flight_[path] = {record->local, now + kAskAgain, kAskAgain};
    next_ask_again_ = std::min(next_ask_again_, now + kAskAgain);
    items.push_back(item_of(path));
    unanswered_.insert(path);
    if (!waiting_since_) waiting_since_ = now;
  }
  // Of what is not pushed any more as well, or the time that is over would be a deadline for ever.
  std::erase_if(wait_until_, [&](const auto& item) { return item.second.until <= now; });
  send(std::move(items));
}

PushItem Client::item_of(const std::string& path) const {
  const PathRecord* record = replica_.index().find(path);
  PushItem item;
  item.name = path;
  item.entry = record->local;
  return item;
}

void Client::send(std::vector<PushItem> items) {
  constexpr std::size_t kBaseBytes = 64;
  auto bytes_of = [](const PushItem& item) {
    return entry_bytes_bound(item.name, *item.entry) + kBaseBytes;
  };
  in_batches(items, bytes_of,
             [&](std::vector<PushItem> batch) { outbox_.send(hub_, Push{std::move(batch)}); });
}

void Client::ask_again(Instant now) {
  next_ask_again_ = kNever;
  std::vector<PushItem> items;
  for (auto at = in_flight_.begin(); at != in_flight_.end();) {
    const std::string& path = at->first;
    InFlight& flight = at->second;
    if (now >= flight.ask_again) {
      const PathRecord* record = replica_.index().find(path);
      const bool wanted = replica_.to_push().contains(path) && record && record->local;
      if (!wanted || record->local != flight.entry) {
        // Another version goes its own way; what is agreed by now needs no verdict.
        push_due_ = true;
        unanswered_.erase(path);
        at = in_flight_.erase(at);
        continue;
      }
      flight.patience = std::min(2 * flight.patience, kAskAgainMax);
      flight.ask_again = now + flight.patience;
      items.push_back(item_of(path));
    }
    next_ask_again_ = std::min(next_ask_again_, flight.ask_again);
    ++at;
  }
  if (!items.empty()) send(std::move(items));
}

void Client::pump(Instant now) {
  if (hub_ == 0) return;
  // What other rules hid may be otherwise at the hub by now, or gone from it.
  if (joined_ && rules_seen_ != replica_.rules_number()) follow(hub_, term_, hub_away_);
  if (!asked_ && replica_.scanned() && replica_.tree_at_rest()) begin_join();
  if (!joined_ || replica_.paused()) return;
  if (now >= next_ask_again_) ask_again(now);
  // Looking through all that waits costs with 10,000 files under way: only when something changed.
  push_due_ = replica_.take_push_changed() || push_due_ || now >= deadline();
  if (push_due_) push(now);
}

bool Client::only_refused(Instant now) const {
  if (!joined_ || !in_flight_.empty() || wait_until_.empty()) return false;
  const std::set<std::string>& waiting = replica_.to_push();
  return std::all_of(waiting.begin(), waiting.end(), [&](const std::string& path) {
    auto at = wait_until_.find(path);
    return at != wait_until_.end() && now < at->second.until;
  });
}

bool Client::refusals_stand() const {
  const std::set<std::string>& waiting = replica_.to_push();
  return std::all_of(waiting.begin(), waiting.end(), [&](const std::string& path) {
    auto at = patience_.find(path);
    return at != patience_.end() && at->second.next == kRefusedDelayMax;
  });
}

Instant Client::deadline() const {
  if (!joined_ || replica_.paused()) return kNever;
  Instant next = next_ask_again_;
  for (const auto& [path, refused] : wait_until_) next = std::min(next, refused.until);
  return next;
}

}  // namespace lansync
