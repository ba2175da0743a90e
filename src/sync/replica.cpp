#include "sync/replica.h"

#include <algorithm>

#include "base/assert.h"
#include "base/rel_path.h"
#include "sync/doubt.h"
#include "sync/forget_here.h"
#include "sync/index_view.h"
#include "sync/settlement.h"
#include "sync/unseen.h"

namespace lansync {

Replica::Replica(const Options& options, FileSystem& files, IndexStore& store, Executor& executor,
                 Fetcher& fetcher, RandomSource& random, const Clock& clock, Log& log)
    : options_(options),
      limits_(files.limits()),
      files_(files),
      store_(store),
      executor_(executor),
      fetcher_(fetcher),
      random_(random),
      clock_(clock),
      log_(log),
      trash_(index_, files, executor, log),
      rules_(std::make_shared<const IgnoreRules>()),
      timer_({.settle = options.settle, .settle_max = options.settle_max, .ask_writers = true}),
      guard_(
          options.max_deletes, DeleteGuard::Side::kOwn, [this] { return random_.next() | 1; },
          options.max_tracked_deletes),
      incoming_guard_(
          options.max_deletes, DeleteGuard::Side::kOthers, [this] { return random_.next() | 1; },
          options.max_tracked_deletes),
      room_(options.reserve_bytes) {
  index_.set_wants_all(!options.on_demand);
}

void Replica::start(const LoadedIndex& loaded, bool fresh, Instant now) {
  const std::vector<std::string> unreadable = index_.load(loaded);
  if (!unreadable.empty()) {
    log_.error(str("index.db: ", unreadable.size(), " rows cannot be read, the first of ",
                   printable(unreadable.front(), 200),
                   "; these paths are looked at anew, and a file that differs from the group's is "
                   "kept beside it"));
  }
  importing_ = fresh;
  observed_.start(index_.meta("observed"), now, clock_.wall());
  index_.set_observed(observed_.at(now));
  edit_reserved_ = 0;
  counter_.start({index_.meta("edit_reserved"), index_.meta("edit_count"), index_.meta("run_begin"),
                  index_.meta("run_id"), index_.meta("edit_runs"), index_.meta("edit_shared")},
                 random_);
  store_runs();
  paused_ = index_.meta("paused") == "1";
  start_guards(now);
  take_up_journal();
  trash_.start(journal_, random_.below(1'000'000), now, observed_.at(now));
  reserve_counts();
  begin_scan(now);
}

void Replica::store_runs() {
  index_.set_meta("run_begin", std::to_string(counter_.begin()));
  index_.set_meta("run_id", to_hex(counter_.run()));
  index_.set_meta("edit_count", std::to_string(counter_.last()));
  index_.set_meta("edit_runs", counter_.runs_text());
  index_.set_meta("edit_shared", std::to_string(counter_.shared()));
}

bool Replica::commit_first() {
  IndexBatch batch = index_.take_batch();
  if (Status done = store_.commit(batch); !done) {
    log_.error(str("the index cannot be written, trying again: ", done.error().detail));
    index_.put_back(batch);
    return false;
  }
  for (const auto& done : std::exchange(after_commit_, {})) done();
  return true;
}

void Replica::use_counts(std::uint64_t n) {
  counter_.use(n);
  LS_ASSERT(counter_.last() < edit_reserved_);
  reserve_counts();
}

std::set<std::string> Replica::noticed_paths() const {
  std::set<std::string> noticed(due_);
  noticed.insert(examine_queue_.aside().begin(), examine_queue_.aside().end());
  for (std::string& path : timer_.paths()) noticed.insert(std::move(path));
  return noticed;
}

// Files, as far as that can be told without a look at the disk, and each once. One that is gone may
// be the other half of a rename, whose new name is no new file.
std::size_t Replica::unexamined() const {
  constexpr std::size_t kCounted = 10'000;  // of more, about
  if (timer_.size() + due_.size() + initial_.size() > kCounted)
    return std::max({timer_.size(), due_.size(), initial_.size()});
  std::set<std::string> noticed = noticed_paths();
  noticed.insert(initial_.begin(), initial_.end());
  std::size_t edited = 0;
  std::size_t fresh = 0;
  std::size_t gone = 0;
  for (const std::string& path : noticed) {
    const PathRecord* record = index_.find(path);
    if (!record || !record->live()) {
      auto below = noticed.lower_bound(path + '/');
      if (below == noticed.end() || !is_within(*below, path)) ++fresh;
    } else if (!record->local->is_directory()) {
      ++(guard_.run_of(path) == 0 ? edited : gone);
    }
  }
  return edited + fresh - std::min(fresh, gone);
}

void Replica::note_shared() {
  if (counter_.note_shared()) index_.set_meta("edit_shared", std::to_string(counter_.shared()));
}

std::uint64_t Replica::files_not_shared() const {
  const ShortId own = short_id(options_.node);
  std::uint64_t files = 0;
  for (const auto& [path, record] : index_.paths()) {
    if (!record.local || !record.local->is_file()) continue;
    if (record.local->version.count_of(own) > counter_.shared()) ++files;
  }
  return files;
}

// A version under the old id that no other node has seen may claim to know edits that were made
// under the same id elsewhere: its count is above theirs. Under the new id it is what it is, an
// edit of what this node last shared. That it is agreed on tells nothing: a node that was alone was
// its own hub.
void Replica::change_identity(const NodeId& node) {
  const ShortId former = short_id(options_.node);
  const std::uint64_t shared_part = counter_.shared_part();
  options_.node = node;
  counter_.start_key(random_);
  std::vector<std::string> made;
  for (const auto& [path, record] : index_.paths()) {
    if (record.local && record.local->version.count_of(former) > counter_.shared())
      made.push_back(path);
  }
  begin_doubt(index_);
  for (const std::string& path : made) {
    const PathRecord record = *index_.find(path);
    if (record.local->is_tombstone()) {
      // Was it missing because somebody deleted it, or because that index is not this folder's?
      apply_change(guard_.on_restored(path));
      forget_here(index_, path);
      if (record.remote && record.remote->version == record.local->version)
        index_.set_remote(path, nullptr);
      plan_.insert(path);
      continue;
    }
    std::vector<VersionVector::Part> parts;
    for (VersionVector::Part part : record.local->version.parts()) {
      if (part.id == former) part.count = shared_part;
      if (part.count > 0) parts.push_back(part);
    }
    Entry entry = *record.local;
    entry.version = VersionVector(std::move(parts));
    auto version =
        VersionVector::next(entry.version, short_id(node), counter_.next(), kMaxVectorSize);
    if (!version) continue;
    const Edit renamed_to = edit_between(entry.version, *version);
    for (Edit* edit : {&entry.edits.content, &entry.edits.mode, &entry.edits.mtime}) {
      if (edit->id == former && edit->count > shared_part) *edit = renamed_to;
    }
    entry.version = std::move(*version);
    entry.author = short_id(node);
    const auto renamed = std::make_shared<const Entry>(std::move(entry));
    // A node that was its own hub agreed with itself, under the old name.
    const bool agreed = record.synced && record.synced->version == record.local->version;
    index_.set_local(path, renamed, record.stat);
    if (agreed) index_.set_synced(path, renamed);
    plan_.insert(path);
  }
  store_runs();
  reserve_counts();
  if (!scan_running_) begin_scan(clock_.now());
}

void Replica::freeze_versions(bool frozen) {
  frozen_ = frozen;
  if (frozen_) return;
  std::vector<Observation> seen = std::move(deferred_);
  deferred_.clear();
  on_examined(std::move(seen));
}

void Replica::remote_unknown() {
  remote_known_ = false;
  index_.clear_remote();
  to_push_.clear();
  held_absent_.clear();
  brought_back_.clear();
  blocked_.clear();
  awaiting_room_.clear();
  source_of_.clear();
  // What was being fetched stays on disk as a partial file; whoever is hub next names it again.
  for (const auto& [content, waiting] : waiting_) {
    if (!asides_.contains(content)) fetcher_.drop(content);
  }
  // As does what was on its way to that hub.
  while (!expected_.empty()) unexpect(expected_.begin()->first);
  for (const auto& [path, content] : waits_for_) take_back_failure(path);
  unfetched_.clear();
  waiting_.clear();
  waits_for_.clear();
  to_serve_.clear();
}

void Replica::remote_known(Instant) {
  remote_known_ = true;
  room_.restart();
  retry_.clear();
  // Another hub may not ask for the deletes that wait here.
  plan_incoming();
  for (const auto& [path, record] : index_.paths()) {
    // Equal and agreed already: with 100,000 files in sync nothing is planned.
    const bool shown = record.local && !record.agreed_elsewhere();
    const bool held_here = shown || (record.absent() && !index_.wants(record));
    if (held_here && record.known() == record.remote && record.synced == record.remote) continue;
    plan_.insert(path);
  }
}

void Replica::set_remote(const std::string& path, EntryPtr entry) {
  if (!obstacles_.empty()) look_below_a_directory(path, entry);
  index_.set_remote(path, std::move(entry));
  brought_back_.erase(path);
  to_push_.erase(path);
  plan_.insert(path);
}

void Replica::settle_if_agreed(const std::string& path) {
  const PathRecord* record = index_.find(path);
  if (!record || !record->known() || !record->remote || !record->synced) return;
  if (record->absent() && index_.wants(*record)) return;
  // As the planner judges it: see agree() there.
  bool agreed = record->known()->version == record->remote->version &&
                record->synced->version == record->remote->version &&
                same_on_disk(*record->known(), *record->remote) &&
                same_on_disk(*record->synced, *record->remote);
  if (agreed) settled_.push_back(path);
}

void Replica::set_agreed(const std::string& path, const EntryPtr& entry) {
  index_.set_remote(path, entry);
  const PathRecord* record = index_.find(path);
  to_push_.erase(path);
  if (record && record->local && record->local->version == entry->version) {
    set_synced(path, record->local);
    guard_.on_pushed(path);
  } else {
    // The disk went on meanwhile: what was agreed is the base of the next push.
    set_synced(path, entry);
  }
  plan_.insert(path);
}

void Replica::set_sources(std::vector<SourceId> sources) {
  sources_ = std::move(sources);
  for (const auto& [content, waiting] : waiting_) {
    fetcher_.set_sources(content, sources_of(content, *waiting.paths.begin()));
  }
  for (const auto& [content, until] : expected_) fetcher_.set_sources(content, sources_);
  for (const auto& [content, aside] : asides_) {
    if (aside.sources.empty() && !waiting_.contains(content)) {
      fetcher_.set_sources(content, sources_);
    }
  }
}

void Replica::set_extra_sources(const ContentId& content, std::vector<SourceId> sources) {
  auto at = waiting_.find(content);
  if (at == waiting_.end()) {
    // Aside, and not from one node alone.
    auto aside = asides_.find(content);
    const bool from_all = aside != asides_.end() && aside->second.sources.empty();
    if (!from_all && !expected_.contains(content)) return;
    sources.insert(sources.end(), sources_.begin(), sources_.end());
    fetcher_.set_found_sources(content, sources);
    return;
  }
  extra_sources_[content] = std::move(sources);
  fetcher_.set_found_sources(content, sources_of(content, *at->second.paths.begin()));
}

std::vector<SourceId> Replica::sources_of(const ContentId& content, const std::string& path) const {
  std::vector<SourceId> all = sources_for(path);
  // From the one who pushes it, or who was named by a person.
  if (source_of_.contains(path)) return all;
  if (auto at = extra_sources_.find(content); at != extra_sources_.end())
    all.insert(all.end(), at->second.begin(), at->second.end());
  return all;
}

void Replica::set_path_source(const std::string& path, SourceId source) {
  source_of_[path] = source;
  auto at = waits_for_.find(path);
  if (at != waits_for_.end()) fetcher_.set_sources(at->second, {source});
}

std::vector<SourceId> Replica::sources_for(const std::string& path) const {
  auto at = source_of_.find(path);
  return at == source_of_.end() ? sources_ : std::vector<SourceId>{at->second};
}

void Replica::pump(Instant now) {
  index_.set_observed(observed_.at(now));
  if (!root_error_.empty()) {
    // Nothing is done to a folder that is not the one that was opened; a scan finds out when it is
    // back.
    if (now >= next_scan_ && !scan_running_) begin_scan(now);
    start_commit(now);
    return;
  }
  // Not before all that the scan has missed is heard of: who undoes a run then undoes all of it.
  if (initial_walk_done_ && !initial_scan_done_ && initial_.empty() && !deletes_wait()) {
    initial_scan_done_ = true;
    importing_ = false;
  }
  follow_ignore_rules();
  if ((now >= next_scan_ || scan_again_) && !scan_running_) begin_scan(now);
  check_root(now);
  step_gone(now);
  glance(now);
  start_examine(now);
  run_retries(now);
  check_room(now);
  take_fetched();
  serve_waiting();
  plan(now);
  serve_waiting();
  start_copies();
  start_apply(now);
  drop_overdue(now);
  prune_ready(now);
  run_repairs();
  run_receives();
  step_confirming();
  trash_.pump(now, observed_.at(now));
  if (prune_again_ && !trash_.pruning()) prune_trash();
  start_commit(now);
  for (const std::string& line : activity_.take_lines(now)) log_.info(line);
}

Instant Replica::deadline() const {
  const Instant next_scan = scan_running_ ? kNever : next_scan_;
  // See pump(): a folder that is gone is looked for now and then, and nothing else is done.
  if (!root_error_.empty()) return next_scan;
  if (more_to_plan_ || !ended_repairs_.empty() || !ended_receives_.empty() || gone_waits())
    return Instant{};
  Instant next = std::min({timer_.deadline(), next_scan, activity_.deadline(), trash_.deadline()});
  if (remote_known_) next = std::min(next, room_.deadline());
  next = std::min(next, obstacles_.deadline());
  for (const auto& [path, at] : retry_) next = std::min(next, at);
  for (const auto& [content, ready] : ready_)
    if (!expected_.contains(content)) next = std::min(next, ready.since + 60s);
  for (const auto& [content, until] : expected_) next = std::min(next, until);
  return next;
}

bool Replica::local_quiet() const {
  return hints_.empty() && glances_running_ == 0 && due_.empty() && examines_running_ == 0 &&
         examine_queue_.idle() && deferred_.empty() && timer_.size() == 0 && comparing_.empty() &&
         !scan_running_ && !scan_again_ && initial_scan_done_ && !deletes_wait() &&
         gone_.burying.empty();
}

bool Replica::caught_up() const {
  return remote_known_ && root_error_.empty() && initial_scan_done_ && plan_.empty() &&
         blocked_.empty() && awaiting_room_.empty() && !waits_for_content() && changes_.empty() &&
         applies_running_ == 0 && retry_.empty() && !obstacles_.has_unsettled();
}

bool Replica::in_sync() const {
  return caught_up() && local_quiet() && to_push_.empty() && held_absent_.empty() &&
         settled_.empty() && !commit_running_ && !index_.dirty();
}

namespace {

bool is_leaf(const PathRecord* record) {
  return record && record->live() && !record->local->is_directory();
}

// A file or link here has the place of a directory that it was in.
bool below_a_leaf(const Index& index, const std::string& path) {
  for (auto parent = parent_path(path); !parent.empty(); parent = parent_path(parent)) {
    if (is_leaf(index.find(std::string(parent)))) return true;
  }
  return false;
}

// The group's file or link took the place of the directory that is still here.
bool is_past(const PathRecord& record) {
  return record.local && record.local->is_directory() &&
         record.local->version.compare(record.remote->version) == Order::kOlder;
}

bool would_push(const Index& index, const std::string& path) {
  const PathState state = IndexView(index).state(path);
  return plan_path(path, state, PlanOptions{}).kind == OperationKind::kPush;
}

// A file or link of the group has the place of a directory that `path` is in, and the directory
// does not go out before it (its look at the disk is under way): the group would keep both. One
// that goes out no more, as the group's file is its successor, is waited for by nobody: what was
// made in it meanwhile is what keeps it.
bool waits_for_directory(const Index& index, const std::set<std::string>& to_push,
                         const std::string& path) {
  for (auto parent = parent_path(path); !parent.empty(); parent = parent_path(parent)) {
    const std::string above(parent);
    const PathRecord* record = index.find(above);
    const EntryPtr remote = record ? record->remote : nullptr;
    if (remote && (remote->is_file() || remote->is_symlink()) && !to_push.contains(above) &&
        !is_past(*record))
      return true;
  }
  return false;
}

}  // namespace

// Of a directory that a file or link replaces, all that was in it has to go out before: else the
// hub takes it for edits that the replacement did not know of, and keeps both.
bool Replica::waits_for_below(const std::string& path, const PathRecord& record) const {
  if (!is_leaf(&record) || !record.remote || !record.remote->is_directory()) return false;
  const auto& paths = index_.paths();
  const std::string prefix = path + '/';
  for (auto at = paths.lower_bound(prefix); at != paths.end() && at->first.starts_with(prefix);
       ++at) {
    // Held, or examined at this moment and not planned yet. A delete that the group went past (it
    // made something in the directory, or never saw what was deleted) goes out no more, and is
    // waited for by nobody: the hub keeps the directory and the leaf as a copy beside it.
    const PathRecord& below = at->second;
    const bool goes = below.local && below.local->is_tombstone() && below.remote &&
                      !below.remote->is_tombstone() && would_push(index_, at->first);
    if (goes && (is_held(at->first) || !to_push_.contains(at->first))) return true;
  }
  return false;
}

std::vector<std::string> Replica::push_order() const {
  std::vector<std::string> cleared;
  std::vector<std::string> live;
  std::vector<std::string> deleted;
  for (const std::string& path : to_push_) {
    const PathRecord* record = index_.find(path);
    if (!record || !record->local || kept_from_others(path)) continue;
    const bool gone = record->local->is_tombstone();
    // It was to go out before its run was over the limit.
    if (is_held(path)) continue;
    if (!gone && waits_for_below(path, *record)) continue;
    if (!gone && waits_for_directory(index_, to_push_, path)) continue;
    (!gone ? live : below_a_leaf(index_, path) ? cleared : deleted).push_back(path);
  }
  std::vector<std::string> order(cleared.rbegin(), cleared.rend());
  order.insert(order.end(), live.begin(), live.end());
  order.insert(order.end(), deleted.rbegin(), deleted.rend());
  return order;
}

void Replica::refuse_push(const std::string& path, const std::string& reason) {
  to_push_.erase(path);
  note_problem(path, reason);
}

void Replica::set_long_away(bool long_away) {
  if (long_away_ == long_away) return;
  long_away_ = long_away;
  held_absent_.clear();
  if (remote_known_) plan_everything();
}

std::uint64_t Replica::confirm_long_away() {
  const std::uint64_t held = held_absent_.size();
  set_long_away(false);
  return held;
}

void Replica::plan_everything() {
  for (const auto& [path, record] : index_.paths()) plan_.insert(path);
}

void Replica::keep_observed() {
  observed_.vouch_alone();
  index_.set_meta("observed", observed_.text(clock_.now(), clock_.wall()));
}

std::optional<LocatedContent> Replica::locate(const ContentId& content, const std::string& hint) {
  // What has grown above --max-file-size, say, is in the index as it was: asked for that, it would
  // be "changed" at each try, for as long as it stands there. (Simulator's seed 804.)
  std::optional<std::string> path = index_.find_content(content, hint, [this](const auto& one) {
    return !is_rotten(one) && !obstacles_.passes_over(one);
  });
  if (!path) return std::nullopt;
  const PathRecord* record = index_.find(*path);
  LocatedContent located;
  located.path = *path;
  located.stat = record->stat;
  located.md5 = record->local->md5;
  located.size = record->local->size;
  return located;
}

void Replica::on_content_changed(const std::string& path) {
  hints_[path].push_back({FileEvent::kScanFound, clock_.now()});
}

Replica::Pending Replica::pending() const {
  Pending pending;
  for (const auto& [path, record] : index_.paths()) {
    if (!remote_known_ || index_.in_agreement(record) || not_taken(path, record)) continue;
    if (obstacles_.stands(path) || nobody_has(path)) continue;
    ++pending.files;
    const EntryPtr& wanted = record.remote ? record.remote : record.local;
    if (wanted) pending.bytes = sum_of(pending.bytes, wanted->size);
  }
  pending.files += unexamined();
  return pending;
}

std::vector<Operation> Replica::preview() const {
  std::vector<std::string> paths;
  for (const auto& [path, record] : index_.paths()) {
    if (remote_known_ && !index_.in_agreement(record) && !not_taken(path, record))
      paths.push_back(path);
  }
  Plan planned = lansync::plan(IndexView(index_), paths, PlanOptions{long_away_});
  push_unseen(planned.operations, short_id(options_.node), counter_.shared());
  // What a person did a moment ago is in no tree yet, and is to be done all the same.
  std::erase_if(planned.operations,
                [](const Operation& one) { return one.kind == OperationKind::kNone; });
  std::set<std::string> noticed = noticed_paths();
  // Between a timer that has run out and the index: of 900 deletes some were in no row for a
  // moment.
  if (examines_running_ > 0) noticed.insert(busy_.begin(), busy_.end());
  for (const Operation& operation : planned.operations) noticed.erase(operation.path);
  for (const std::string& path : noticed) {
    const PathRecord* record = index_.find(path);
    const bool gone = record && record->live() && guard_.run_of(path) != 0;
    planned.operations.push_back(
        {OperationKind::kNone, path, gone ? EntryPtr(record->local) : nullptr, false, false});
  }
  return planned.operations;
}

void Replica::commit_then(std::function<void()> done) { after_commit_.push_back(std::move(done)); }

void Replica::start_commit(Instant now) {
  if (guard_.take_changed()) index_.set_meta("delete_runs", guard_.serialize());
  if (incoming_guard_.take_changed()) index_.set_meta("held_runs", incoming_guard_.serialize());
  if (index_.dirty()) index_.set_meta("edit_count", std::to_string(counter_.last()));
  if (commit_running_) return;
  if (!index_.dirty() && after_commit_.empty() && settled_.empty()) return;
  if (!uncommitted_since_) uncommitted_since_ = now;
  if (auto at = retry_.find(""); at != retry_.end() && now < at->second) return;
  commit_running_ = true;
  index_.set_meta("observed", observed_.text(now, clock_.wall()));
  auto batch = std::make_shared<IndexBatch>(index_.take_batch());
  for (const IndexRow& row : batch->rows) committing_.insert(row.path);
  auto status = std::make_shared<Status>();
  auto settled = std::make_shared<std::vector<std::string>>(std::move(settled_));
  auto after = std::make_shared<std::vector<std::function<void()>>>(std::move(after_commit_));
  settled_.clear();
  after_commit_.clear();
  executor_.submit(
      JobClass::kIndex, [this, batch, status] { *status = store_.commit(*batch); },
      [this, batch, status, settled, after] {
        commit_running_ = false;
        // What waited for its row may go out.
        push_changed_ = push_changed_ || !committing_.empty();
        committing_.clear();
        if (!*status) {
          log_.error(str("the index cannot be written, trying again: ", status->error().detail));
          note_problem(std::string(kPrivateDirectory), status->error().detail);
          index_.put_back(*batch);
          settled_.insert(settled_.begin(), settled->begin(), settled->end());
          after_commit_.insert(after_commit_.begin(), after->begin(), after->end());
          retry_[""] = clock_.now() + 5s;
          return;
        }
        uncommitted_since_.reset();
        if (retry_.erase("") > 0) clear_problem(std::string(kPrivateDirectory));
        for (const auto& done : *after) done();
        if (!events_) return;
        for (const std::string& path : *settled) events_->on_settled(path);
      });
}

}  // namespace lansync
