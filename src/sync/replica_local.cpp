// The replica's own side: from an event or a scan to a version.
//
//   hint -> glance (stat on a worker: our own writes end here) -> quiet timer -> examine (hash) ->
//   version
#include <algorithm>

#include "base/assert.h"
#include "base/rel_path.h"
#include "sync/bystander.h"
#include "sync/doubt.h"
#include "sync/forget_here.h"
#include "sync/hashing.h"
#include "sync/import_id.h"
#include "sync/past_problems.h"
#include "sync/replica.h"
#include "sync/settlement.h"

namespace lansync {
namespace {

constexpr std::size_t kGlanceBatch = 2048;
constexpr std::size_t kExamineBatch = 512;
constexpr int kExaminesAtOnce = 2;
// A root that is gone (a disk that was unplugged) is looked for so often.
constexpr Duration kRootRetry = 5s;
// With directories that nobody watches the scan is all there is.
constexpr Duration kUnwatchedRescan = 1min;
// A stat that is younger may hide a second write within one tick of the file system's clock (git
// calls such entries racy; kernel ticks are 1 to 10 ms, with room for slow machines).
constexpr std::int64_t kRacyNs = 50'000'000;

// ctime, because an mtime can be set to anything and a file from 2106 would be racy for ever. exFAT
// ticks by the second, and ext4 with inodes of 128 bytes.
bool is_racy(const FileStat& stat, WallTime now, const DiskLimits& limits) {
  const std::int64_t window = kRacyNs + limits.mtime_step_ns;
  return stat.ctime_ns > now.ns - window && stat.ctime_ns < now.ns + kRacyNs;
}

// A directory above `path` that the index does not have is being looked at: what is in it waits.
bool comes_before_parent(const std::string& path, const Index& index,
                         const std::set<std::string>& busy) {
  for (auto parent = parent_path(path); !parent.empty(); parent = parent_path(parent)) {
    const std::string text(parent);
    const PathRecord* record = index.find(text);
    if (record && record->live() && record->local->is_directory()) return false;
    if (busy.contains(text)) return true;
  }
  return false;
}

template <typename Events>
bool has(const Events& events, FileEvent what) {
  return std::any_of(events.begin(), events.end(),
                     [&](const auto& one) { return one.event == what; });
}

EntryKind entry_kind(FileKind kind) {
  switch (kind) {
    case FileKind::kFile:
      return EntryKind::kFile;
    case FileKind::kDirectory:
      return EntryKind::kDirectory;
    case FileKind::kSymlink:
      return EntryKind::kSymlink;
    case FileKind::kOther:
      break;
  }
  LS_ASSERT(false && "only what can be synced becomes an entry");
  return EntryKind::kFile;
}

}  // namespace

// No event tells of a lazy unmount: the root is looked at now and then, and a scan then says what
// is wrong. Rides on turns that come anyway.
void Replica::check_root(Instant now) {
  if (now < next_root_check_) return;
  next_root_check_ = now + kRootRetry;
  auto gone = std::make_shared<bool>(false);
  executor_.submit(
      JobClass::kDisk, [this, gone] { *gone = !files_.check_root(); },
      [this, gone] {
        if (*gone) rescan(clock_.now());
      });
}

void Replica::on_hint(const ChangeHint& hint, Instant now) {
  if (hint.path.empty()) return;  // the folder's own mode and times are nobody else's
  if (Status valid = validate_relpath(hint.path); !valid) {
    if (hint.event == FileEvent::kDelete) {
      clear_problem(hint.path);
    } else {
      note_problem(hint.path, valid.error().detail);
    }
    return;
  }
  look_at_obstacles_above(hint.path);
  const PathRecord* record = index_.find(hint.path);
  bool heard = hint.event == FileEvent::kDelete && record && record->live();
  if (heard && !is_own_delete(hint.path)) note_delete(hint.path, now);
  auto& events = hints_[hint.path];
  if (events.size() < kMaxEventsKept) {
    events.push_back({hint.event, now});
  } else {
    events.back() = {hint.event, now};
  }
}

void Replica::glance(Instant) {
  if (hints_.empty() || glances_running_ > 0) return;
  auto batch = std::make_shared<std::vector<Glance>>();
  for (auto at = hints_.begin(); at != hints_.end() && batch->size() < kGlanceBatch;) {
    // A path in work is looked at when the work is done: its index row is about to change.
    if (busy_.contains(at->first)) {
      ++at;
      continue;
    }
    batch->push_back({at->first, std::move(at->second), std::nullopt});
    at = hints_.erase(at);
  }
  if (batch->empty()) return;
  ++glances_running_;
  executor_.submit(
      JobClass::kDisk,
      [this, batch] {
        for (Glance& glance : *batch) {
          if (auto stat = files_.stat(glance.path)) glance.now = *stat;
        }
      },
      [this, batch] {
        --glances_running_;
        on_glance(*batch);
      });
}

void Replica::on_glance(const std::vector<Glance>& glances) {
  for (const Glance& glance : glances) {
    const PathRecord* record = index_.find(glance.path);
    bool live = record && record->live();
    if (busy_.contains(glance.path)) {
      auto& events = hints_[glance.path];
      events.insert(events.begin(), glance.events.begin(), glance.events.end());
      if (events.size() > kMaxEventsKept) events.resize(kMaxEventsKept);
      continue;
    }
    if (!live && obstacles_.is_as_seen(glance.path, glance.now)) continue;
    look_at_obstacle(glance.path, glance.now);
    const bool directory = glance.now && glance.now->kind == FileKind::kDirectory;
    if (!directory && !unknown_region(glance.path))
      drop_problems_below(glance.path, {}, index_, obstacles_, problems_);
    // Another directory of that name, or one that could not be read before: no event tells of what
    // is in it and of what was in the old one. Nor of what was done to it while it was elsewhere.
    const bool away = has(glance.events, FileEvent::kDelete) ||
                      (timer_.waiting(glance.path) && has(glance.events, FileEvent::kCreate));
    if (live && directory && record->local->is_directory() &&
        (away || glance.now->inode != record->stat.inode || unknown_below_.contains(glance.path))) {
      look_below(glance.path, clock_.now());
    }
    hear_ended(glance.path, glance.now, clock_.now());
    bool as_known = live ? glance.now && *glance.now == record->stat : !glance.now;
    // Somebody wrote within a tick of our own last change of it (mode, time, name), or where the
    // time of a change can be set: the stat may hide that. (We never write under this name.)
    if (live && glance.now && glance.now->kind == FileKind::kFile) {
      for (const TimedEvent& event : glance.events) {
        const FileEvent what = event.event;
        const bool wrote = what == FileEvent::kModify || what == FileEvent::kCloseWrite;
        const auto ago = std::chrono::nanoseconds(clock_.now() - event.at).count();
        const bool told = limits_.own_change_time &&
                          !is_racy(*glance.now, WallTime{clock_.wall().ns - ago}, limits_);
        if (wrote && !told) racy_.insert(glance.path);
      }
    }
    as_known = as_known && !racy_.contains(glance.path);
    if (!glance.now) obstacles_.take_up(glance.path);
    if (glance.now && obstacles_.passed_over(glance.path, *glance.now)) continue;
    if (as_known && !timer_.waiting(glance.path)) {
      // Our own write, or one that was undone; or a path that came and went (an editor's probe).
      if (live) lives_again(glance.path);
      if (!glance.now && !obstacles_.stands(glance.path)) clear_problem(glance.path);
      continue;
    }
    if (rules_->ignored(glance.path, directory) && !live) continue;
    for (const TimedEvent& event : glance.events) {
      if (!timer_.on_event(glance.path, event.event, event.at)) scan_again_ = true;
    }
  }
}

void Replica::set_unwatched(bool unwatched, Instant now) {
  if (unwatched == unwatched_) return;
  unwatched_ = unwatched;
  if (unwatched_) next_scan_ = std::min(next_scan_, now + kUnwatchedRescan);
}

void Replica::rescan(Instant now) {
  if (scan_running_) {
    scan_again_ = true;
    return;
  }
  begin_scan(now);
}

void Replica::begin_scan(Instant now) {
  scan_running_ = true;
  scan_again_ = false;
  Duration every = unwatched_ ? std::min(options_.rescan, kUnwatchedRescan) : options_.rescan;
  next_scan_ = now + random_.jitter(every, 25);
  load_ignore_rules();
  run_scan(files_, executor_, rules_, "",
           [this](ScanResult result) { on_scan(std::move(result), clock_.now()); });
}

void Replica::on_scan(ScanResult result, Instant now) {
  scan_running_ = false;
  if (!result.status) {
    root_error_ = result.status.error().detail;
    log_.error(str("the folder cannot be read, nothing is deleted anywhere: ", root_error_));
    next_scan_ = now + kRootRetry;
    return;
  }
  root_error_.clear();
  unknown_below_.clear();
  for (const ScanProblem& problem : result.problems) {
    if (problem.unknown_below) unknown_below_.insert(problem.path);
  }
  for (const ScannedPath& seen : result.paths) judge_scanned(seen, now);
  note_scan_problems(result.problems);
  std::vector<std::string> known;
  for (const auto& [path, record] : index_.paths()) {
    if (record.live()) known.push_back(path);
  }
  hint_missing(known, result, now);
  end_doubt(index_);
  initial_walk_done_ = true;
}

// After what was seen has cleared its own: a directory that cannot be listed was seen as well.
void Replica::note_scan_problems(const std::vector<ScanProblem>& problems) {
  std::set<std::string> now;
  for (const ScanProblem& problem : problems) {
    if (now.size() >= kMaxProblems) break;
    if (problem.gone) continue;
    note_problem(problem.path, problem.reason);
    now.insert(problem.path);
  }
  for (const std::string& path : scan_problems_) {
    if (now.contains(path)) continue;
    clear_problem(path);
    // What was in the way of something above may have been this, and no event told of its end.
    // (Simulator's seed 3628.)
    look_at_obstacles_above(path);
  }
  scan_problems_ = std::move(now);
}

void Replica::judge_scanned(const ScannedPath& seen, Instant now) {
  const PathRecord* record = index_.find(seen.path);
  look_at_obstacle(seen.path, seen.stat);
  if (obstacles_.passed_over(seen.path, seen.stat)) return;
  // That it can be seen says nothing of whether it ever rests: a rescan must not hide a busy file.
  if (!restless_.contains(seen.path) && !obstacles_.stands(seen.path)) clear_problem(seen.path);
  if (record && record->live() && record->stat == seen.stat && !racy_.contains(seen.path)) return;
  if (busy_.contains(seen.path) || timer_.waiting(seen.path)) return;
  // At start, what has rested for longer than the timer already need not wait for it again.
  bool rested = std::max(seen.stat.mtime_ns, seen.stat.ctime_ns) <
                clock_.wall().ns - std::chrono::nanoseconds(options_.settle).count();
  if (!initial_walk_done_ && (rested || importing_)) initial_.insert(seen.path);
  if (!initial_walk_done_ &&
      (rested || seen.stat.kind != FileKind::kFile || options_.settle == 0s)) {
    due_.insert(seen.path);
  } else {
    timer_.on_event(seen.path, FileEvent::kScanFound, now);
  }
}

bool Replica::unknown_region(const std::string& path) const {
  for (const std::string& directory : unknown_below_) {
    if (is_within(path, directory)) return true;
  }
  return false;
}

void Replica::start_due(Instant now) {
  for (const QuietTimer::Due& due : timer_.take_due(now, 4 * kExamineBatch)) {
    due_.insert(due.path);
    if (!initial_scan_done_) examine_queue_.prefer(due.path);
    if (due.busy && restless_.size() < kMaxProblems) restless_.insert(due.path);
  }
  ask_writers();
}

// Directories above `path` that the index does not have (as directories: a person may have put one
// in a file's place) are looked at first, so that a version never goes out before the directory it
// is in. The hub would make one, and keep the file that a person replaced as a conflict copy.
void Replica::require_parents(const std::string& path, std::set<std::string>& paths) const {
  for (auto parent = parent_path(path); !parent.empty(); parent = parent_path(parent)) {
    std::string text(parent);
    const PathRecord* record = index_.find(text);
    if (record && record->live() && record->local->is_directory()) return;
    paths.insert(std::move(text));
  }
}

std::vector<ExamineRequest> Replica::requests_for(const std::set<std::string>& paths) {
  std::vector<ExamineRequest> requests;
  for (const std::string& path : paths) {
    busy_.insert(path);
    ExamineRequest request{path, std::nullopt, false, true};
    const PathRecord* record = index_.find(path);
    if (record && record->live() && !racy_.contains(path)) request.known = record->stat;
    requests.push_back(std::move(request));
  }
  return requests;
}

// The large ones beside all others, a few at a time.
void Replica::start_large() {
  for (;;) {
    std::vector<ExamineRequest> group = examine_queue_.take_large();
    if (group.empty()) return;
    run_examine(files_, executor_, std::move(group), [this](std::vector<Observation> seen) {
      examine_queue_.on_large_done(seen);
      on_examined(std::move(seen));
      start_large();
    });
  }
}

void Replica::start_examine(Instant now) {
  // A batch may hold a directory whose delete makes a tombstone for each of its files.
  if (edit_reserved_ < counter_.last() + kCountReserve / 4) return;
  start_due(now);
  start_large();
  while (!due_.empty() && examines_running_ < kExaminesAtOnce) {
    std::set<std::string> paths;
    const auto waits = [&](const std::string& path) {
      return busy_.contains(path) || comes_before_parent(path, index_, busy_);
    };
    for (const std::string& path : examine_queue_.take_preferred(due_, waits, kExamineBatch)) {
      require_parents(path, paths);
      paths.insert(path);
    }
    const bool edits = !paths.empty();
    for (auto at = due_.begin(); !edits && at != due_.end() && paths.size() < kExamineBatch;) {
      if (waits(*at)) {
        ++at;
        continue;
      }
      require_parents(*at, paths);
      paths.insert(*at);
      at = due_.erase(at);
    }
    if (paths.empty()) return;
    std::vector<ExamineRequest> requests = requests_for(paths);
    ++examines_running_;
    run_examine(files_, executor_, requests, [this, requests](std::vector<Observation> seen) {
      --examines_running_;
      examine_queue_.put_aside(seen, requests);
      on_examined(std::move(seen));
      start_large();
    });
  }
}

void Replica::on_examined(std::vector<Observation> seen) {
  Instant now = clock_.now();
  // While a digest of our tree is on its way to the hub, the tree stays what was digested.
  if (frozen_) {
    for (Observation& one : seen) deferred_.push_back(std::move(one));
    return;
  }
  if (!limits_.tells_names()) folded_.take(index_, limits_);
  // Deletes first: the guard must know all of a batch before it judges the first.
  for (const Observation& one : seen) {
    if (one.kind == Observation::Kind::kAbsent) judge(one, now);
  }
  for (const Observation& one : seen) {
    if (one.kind != Observation::Kind::kAbsent) judge(one, now);
  }
}

void Replica::judge(const Observation& seen, Instant now) {
  busy_.erase(seen.path);
  plan_.insert(seen.path);
  switch (seen.kind) {
    case Observation::Kind::kUnchanged:
      look_at_obstacle(seen.path, seen.stat);
      journal_.resolve(seen.path);
      gone_.burying.erase(seen.path);
      lives_again(seen.path);
      if (!obstacles_.stands(seen.path)) clear_problem(seen.path);
      break;
    case Observation::Kind::kAbsent:
      look_at_obstacle(seen.path, std::nullopt);
      on_absent(seen.path, now);
      break;
    case Observation::Kind::kPresent:
      on_present(seen, now);
      break;
    case Observation::Kind::kUnstable:
      if (restless_.contains(seen.path)) {
        note_problem(seen.path,
                     "is busy: it never rests and changed while it was read; it goes out when one "
                     "read finds it unchanged");
      }
      timer_.on_event(seen.path, FileEvent::kModify, now);
      break;
    case Observation::Kind::kLater:
    case Observation::Kind::kLarge:
      due_.insert(seen.path);
      return;
    case Observation::Kind::kUnknown:
      if (seen.stat.kind == FileKind::kOther && seen.stat.inode != 0)
        look_at_obstacle(seen.path, seen.stat);
      // Of a folder that is gone a scan says it once, instead of each path.
      if (!files_.check_root()) {
        rescan(now);
      } else {
        note_problem(seen.path, seen.reason);
        // Said once, and not at each scan: it stays a pipe until its stat is another.
        if (seen.stat.kind == FileKind::kOther && seen.stat.inode != 0)
          obstacles_.pass_over(seen.path, seen.stat);
      }
      break;
  }
  if (seen.kind != Observation::Kind::kUnstable) restless_.erase(seen.path);
  initial_.erase(seen.path);
}

// ---- after a crash
// ------------------------------------------------------------------------------------------

// What a batch was doing when the last run ended is looked at first, and is nobody's edit if it is
// what was meant.
void Replica::take_up_journal() {
  journal_.load(index_.meta(BatchJournal::kMetaKey));
  for (const auto& [path, entry] : journal_.intended()) {
    (void)entry;
    due_.insert(path);
  }
}

// Our own deletes are heard of as well, before their rows follow: they are nobody's mistake.
bool Replica::is_own_delete(const std::string& path) const {
  if (deleting_.contains(path)) return true;
  return journal_.intended(path) != nullptr;
}

// True: the disk shows what a batch of ours was to make there, and now the index says so.
bool Replica::adopt(const std::string& path, const Entry& seen, const FileStat& stat) {
  const EntryPtr meant = journal_.intended(path);
  if (!meant) return false;
  journal_.resolve(path);
  if (journal_.resolved() && applies_running_ == 0) save_journal({});
  const PathRecord* record = index_.find(path);
  const EntryPtr known = record ? record->local : nullptr;
  const bool newer = !known || known->version.compare(meant->version) == Order::kOlder;
  // Between the two halves of a replacement, a directory that went for a file or the other way
  // round: what stood here went by our hand. (Were it by a person's, the edit that comes beats it.)
  if (newer && seen.is_tombstone() && !meant->is_tombstone()) {
    index_.set_local(path, nullptr, FileStat{});
    return true;
  }
  if (!newer || seen.is_tombstone() != meant->is_tombstone()) return false;
  // Killed between mkdir and chmod: not there yet, as far as the index goes.
  if (meant->is_directory() && seen.is_directory() && !(known && !known->is_tombstone()))
    return true;
  if (!seen.is_tombstone() && !same_on_disk(seen, *meant)) return false;
  index_.set_local(path, meant, stat);
  index_.set_synced(path, meant);
  settled_.push_back(path);
  return true;
}

void Replica::on_present(const Observation& seen, Instant now) {
  if (rules_->ignored(seen.path, seen.stat.kind == FileKind::kDirectory)) {
    const PathRecord* record = index_.find(seen.path);
    if (record && record->live()) forget_ignored(seen.path);
    return;
  }
  gone_.burying.erase(seen.path);
  if (options_.max_file_size != 0 && seen.stat.kind == FileKind::kFile &&
      seen.stat.size > options_.max_file_size) {
    apply_change(guard_.on_restored(seen.path));
    note_problem(seen.path, "is larger than --max-file-size and is not synced");
    obstacles_.pass_over(seen.path, seen.stat);
    return;
  }
  if (seen.stat.kind == FileKind::kFile && seen.stat.size > kMaxFileSize) {
    note_problem(seen.path, "is larger than 4 EiB and is not synced");
    obstacles_.pass_over(seen.path, seen.stat);
    return;
  }
  Entry entry;
  entry.kind = entry_kind(seen.stat.kind);
  entry.mode = entry.is_symlink() ? 0777 : seen.stat.mode;
  if (entry.is_file()) {
    entry.size = seen.stat.size;
    entry.mtime_ns = seen.stat.mtime_ns;
    entry.content = seen.content;
    entry.md5 = seen.md5;
  }
  if (entry.is_symlink()) {
    if (seen.target.empty() || seen.target.size() > kMaxPathBytes) {
      note_problem(seen.path, "its link target is too long to be synced");
      obstacles_.pass_over(seen.path, seen.stat);
      return;
    }
    entry.target = seen.target;
    entry.content = content_id_of(as_bytes(seen.target));
  }
  {
    const PathRecord* there = index_.find(seen.path);
    const bool live = there && there->live();
    keep_what_disk_cannot(limits_, entry,
                          live    ? there->local.get()
                          : there ? there->remote.get()
                                  : nullptr);
  }
  if (is_seen_twin(seen)) return;
  clear_problem(seen.path);
  obstacles_.take_up(seen.path);
  FileStat stat = seen.stat;
  racy_.erase(seen.path);
  if (entry.is_file() && is_racy(stat, clock_.wall(), limits_)) {
    racy_.insert(seen.path);
    timer_.on_event(seen.path, FileEvent::kScanFound, now);
  }
  // What is there is known from here on: whatever it was in the way of is tried again. (It could
  // not be read while the group went on, and was what a batch had meant before that: seed 13263.)
  clear_obstacle(seen.path);
  if (adopt(seen.path, entry, stat)) return;
  const PathRecord* record = index_.find(seen.path);
  // The very file whose content was absent: a copy that a person brought, or one that was to be
  // dropped when the power failed. No edit.
  if (record && !record->local && record->synced && same_on_disk(entry, *record->synced)) {
    apply_change(guard_.on_restored(seen.path));
    index_.set_local(seen.path, record->synced, stat);
    return;
  }
  const bool was_directory = record && record->live() && record->local->is_directory();
  if (record && record->live()) {
    // A directory whose children changed has another mtime and ctime; that is no edit of it.
    if (same_on_disk(entry, *record->local)) {
      lives_again(seen.path);
      index_.set_stat(seen.path, stat);
      return;
    }
    if (was_directory && !entry.is_directory()) {
      note_delete(seen.path, now);
      apply_change(guard_.on_restored(seen.path));
      if (!bury(seen.path)) return;
    }
  }
  const bool undone = record && record->held && record->local && record->local->is_tombstone() &&
                      record->synced && same_content(entry, *record->synced);
  const bool was_known = record && record->local;
  hear_ended(seen.path, stat, now);
  // What was there before the node was is half of no rename.
  const bool imported = importing_ && initial_.contains(seen.path);
  apply_change(imported || (was_directory && entry.is_directory())
                   ? guard_.on_restored(seen.path, entry.kind)
                   : guard_.on_present(seen.path, entry, now));
  if (!entry.is_file() && was_known) entry.run = guard_.run_of(seen.path);
  // The delete has gone nowhere, and what it took is back: that is no edit of what the group has.
  // (`rm -rf` that was undone, and an edit elsewhere: its vector made a conflict of the two.)
  if (undone) {
    const EntryPtr before = index_.find(seen.path)->synced;
    index_.set_local(seen.path, before, stat);
    if (same_on_disk(entry, *before)) return;
  }
  if (!importing_) activity_.note(Activity::Kind::kChangedHere, seen.path, "", now);
  make_version(seen.path, std::move(entry), stat);
}

namespace {

// The group's file or link has an edit of this node that `before` has not, so that a count of this
// node's would pass for its successor, or (in a merge) for that edit's.
bool forgets_own_edit(const VersionVector& before, ShortId own, const PathRecord& record) {
  for (const EntryPtr& entry : {record.synced, record.remote}) {
    if (!entry || entry->is_tombstone() || entry->is_directory()) continue;
    if (entry->version.count_of(own) > before.count_of(own)) return true;
  }
  return false;
}

}  // namespace

EntryPtr Replica::versioned(const std::string& path, Entry entry) {
  const PathRecord* record = index_.find(path);
  entry.author = short_id(options_.node);
  entry.author_name = options_.node_name;
  entry.edited = clock_.wall();
  const VersionVector before = record && record->local ? record->local->version : VersionVector();
  ShortId id = short_id(options_.node);
  std::uint64_t count = 1;
  if (importing_ && before.empty() && initial_.contains(path)) {
    if (entry.is_file()) entry.edited = WallTime{entry.mtime_ns};
    id = import_id(path, entry);
  } else {
    LS_ASSERT(counter_.last() < edit_reserved_);
    count = counter_.next();
    // Who writes where the group's file is absent has not seen its bytes, also if they were his own
    // once: both are kept. And who then writes again, or deletes that, has not either.
    if (record && forgets_own_edit(before, id, *record)) {
      id = bystander_id(options_.node, count);
      count = 1;
    }
  }
  auto version = VersionVector::next(before, id, count, kMaxVectorSize);
  if (!version) return nullptr;
  entry.version = std::move(*version);
  note_edits(entry, record && record->live() ? record->local.get() : nullptr, before);
  return std::make_shared<const Entry>(std::move(entry));
}

void Replica::make_version(const std::string& path, Entry entry, const FileStat& stat) {
  EntryPtr made = versioned(path, std::move(entry));
  reserve_counts();
  if (!made) {
    note_problem(path, kTooManyAuthors);
    return;
  }
  index_.set_local(path, made, stat);
  clear_obstacle(path);
  plan_.insert(path);
}

void Replica::on_absent(const std::string& path, Instant now) {
  const PathRecord* record = index_.find(path);
  clear_problem(path);
  racy_.erase(path);
  if (!record || !record->live()) return;
  if (unknown_region(path)) return;
  if (doubts_missing(index_)) {
    forget_here(index_, path);
    plan_.insert(path);
    return;
  }
  if (!record->local->is_directory() || index_.live_below(path).empty()) {
    Entry gone;
    gone.kind = EntryKind::kTombstone;
    if (adopt(path, gone, FileStat{})) return;
  }
  if (!is_own_delete(path)) note_delete(path, now);
  if (!record->local->is_directory() || bury(path)) make_tombstone(path);
}

void Replica::make_tombstone(const std::string& path) {
  const PathRecord* record = index_.find(path);
  if (!record || !record->live()) return;
  Entry entry;
  entry.kind = EntryKind::kTombstone;
  // Of what was in a directory that a batch of ours has removed as well.
  if (adopt(path, entry, FileStat{})) return;
  // What took the place of the group's file and has not gone out is nothing that anybody has.
  const Entry& was = is_unseen_delete(path) ? *record->synced : *record->local;
  entry.was = was.kind;
  entry.mode = was.mode;
  if (was.is_symlink() || (was.is_file() && was.size > 0)) entry.content = was.content;
  entry.run = guard_.run_of(path);
  // A delete of which no version can be made is none: the file comes back.
  EntryPtr made = versioned(path, std::move(entry));
  if (!made) note_problem(path, kTooManyAuthors);
  activity_.note(Activity::Kind::kDeletedHere, path, "", clock_.now());
  index_.set_local(path, made, FileStat{}, made && guard_.holds(path));
  clear_obstacle(path);
  plan_.insert(path);
  reserve_counts();
}

// A version that no other node would take stays here, and is named (clear_problem).
bool Replica::kept_from_others(const std::string& path) const {
  const PathRecord* record = index_.find(path);
  return record && record->local && record->local->version.too_long_for_others();
}

// Counts are used only below a mark that is durable, and a start begins above the mark: after a
// crash no count is used twice for different bytes (DESIGN, Identity). A million a start costs
// nothing in 64 bits.
void Replica::reserve_counts() {
  if (edit_reserved_ > counter_.last() + kCountReserve / 2) return;
  std::uint64_t mark = counter_.last() + kCountReserve;
  index_.set_meta("edit_reserved", std::to_string(mark));
  commit_then([this, mark] { edit_reserved_ = std::max(edit_reserved_, mark); });
}

}  // namespace lansync
