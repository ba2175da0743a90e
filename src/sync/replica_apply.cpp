// The replica's last step: batches of changes to the disk, what came of them, and what they
// displaced (the trash).
#include <algorithm>

#include "base/assert.h"
#include "base/rel_path.h"
#include "sync/conflict_name.h"
#include "sync/copies_of.h"
#include "sync/forget_here.h"
#include "sync/replica.h"
#include "sync/settlement.h"

namespace lansync {
namespace {

// A batch is made durable by two syncfs, some 10 ms each on a disk: few large batches, but not so
// large that the first file of a stream waits for the last.
constexpr std::size_t kApplyBatch = 1024;
constexpr Duration kRetryDelay = 10s;
constexpr Duration kNoSpaceDelay = 3s;
// What is larger and has to be fetched for each try at what stands in its way.
constexpr std::uint64_t kDearBytes = 16'000'000;
constexpr Duration kDearTries = 1min;
constexpr std::int64_t kTriesToOneDear = 10;
// A hub that could not take something for want of room counts as full for so long.
constexpr Duration kShortOfRoom = 30s;
constexpr std::string_view kCopyPrefix = "c-";

Activity::Kind activity_of(const DiskChange& change, bool gone) {
  if (gone) return Activity::Kind::kDeleted;
  if (change.kind == DiskChange::Kind::kSetMetadata) return Activity::Kind::kSet;
  const auto copy = parse_conflict_name(change.path);
  return copy && is_as_made(*copy, *change.entry) ? Activity::Kind::kConflict
                                                  : Activity::Kind::kCame;
}

// Order in a batch: makes and changes (shallow first), deletes (deep first), then what takes the
// place of a directory that the deletes have emptied.
int phase_of(const DiskChange& change) {
  switch (change.kind) {
    case DiskChange::Kind::kTrash:
    case DiskChange::Kind::kRemoveDirectory:
      return 1;
    case DiskChange::Kind::kInstall:
    case DiskChange::Kind::kMakeSymlink:
      return change.expected && change.expected->kind == FileKind::kDirectory ? 2 : 0;
    default:
      return 0;
  }
}

bool runs_before(const DiskChange& a, const DiskChange& b) {
  int phase_a = phase_of(a);
  int phase_b = phase_of(b);
  if (phase_a != phase_b) return phase_a < phase_b;
  return phase_a == 1 ? b.path < a.path : a.path < b.path;
}

// `stat`, taken after `entry` was made true, shows it.
bool shows(const FileStat& stat, const Entry& entry, const DiskLimits& limits) {
  if (entry.is_symlink()) return true;
  if (limits.keeps_modes && (stat.mode & 0777) != (entry.mode & 0777)) return false;
  if (!entry.is_file()) return true;
  const bool tells_time = limits.mtime_step_ns == 1;
  return stat.size == entry.size && (!tells_time || stat.mtime_ns == entry.mtime_ns);
}

// It stands there out of the trash, with the mode and time that it had: these could not be set.
// That is nobody's edit, but older than what the group has, which is set when it can be.
// (Simulator's seed 2245: in a directory that could not be read for a while.)
void on_half_moved(Index& index, std::set<std::string>& plan, const DiskChange& change,
                   const FileStat& stat) {
  Entry there = *change.entry;
  there.mode = stat.mode & 0777;
  there.mtime_ns = stat.mtime_ns;
  there.version = {};
  index.set_local(change.path, std::make_shared<const Entry>(std::move(there)), stat);
  plan.insert(change.path);
}

struct PutBack {
  Status status;
  bool displaced = false;
  FileStat stat;  // of what was
};

// The directories above `path` that are missing, as far as their tombstones tell how they were.
std::map<std::string, std::uint16_t> missing_above(const Index& index, const std::string& path) {
  std::map<std::string, std::uint16_t> out;
  for (auto parent = parent_path(path); !parent.empty(); parent = parent_path(parent)) {
    const std::string above(parent);
    const PathRecord* record = index.find(above);
    const EntryPtr gone = record ? record->local : nullptr;
    const bool told = gone && gone->is_tombstone() && gone->was == EntryKind::kDirectory;
    out[above] = told ? gone->mode : 0755;
  }
  return out;
}

Status put_back(FileSystem& files, const std::string& name, const std::string& path,
                const std::map<std::string, std::uint16_t>& above, const std::string& aside,
                const std::optional<FileStat>& over, PutBack& out) {
  // The directories that it was in may be gone as well.
  for (const auto& [directory, mode] : above) (void)files.make_directory(directory, mode);
  auto now = files.stat(path);
  if (now && !(over && *now == *over)) {
    return Error{ErrorCode::kExists,
                 str(printable(path), " is there by now, in a version that is left alone")};
  }
  if (now && (now->kind == FileKind::kFile || now->kind == FileKind::kSymlink)) {
    if (Status moved = files.move_to_trash(path, *now, aside); !moved) return moved;
    out.displaced = true;
    out.stat = *now;
  }
  Status status = files.restore_from_trash(name, path);
  if (!status && out.displaced) out.displaced = !files.restore_from_trash(aside, path);
  return status;
}

}  // namespace

// ---- disk
// -------------------------------------------------------------------------------------------

void Replica::start_apply(Instant) {
  if (changes_.empty() || applies_running_ > 0) return;
  std::sort(changes_.begin(), changes_.end(), runs_before);
  std::vector<DiskChange> batch;
  if (changes_.size() <= kApplyBatch) {
    batch = std::move(changes_);
    changes_.clear();
  } else {
    auto end = changes_.begin() + kApplyBatch;
    batch.assign(std::make_move_iterator(changes_.begin()), std::make_move_iterator(end));
    changes_.erase(changes_.begin(), end);
  }
  ++applies_running_;
  auto disk = std::make_shared<DiskBatch>();
  disk->changes = std::move(batch);
  save_journal(disk->changes);
  for (const DiskChange& change : disk->changes) {
    if (!change.trash.empty()) trash_.promise(change.trash);
    if (!change.lies.empty()) trash_.promise(change.lies);
  }
  // Temp files and journal become durable side by side; nothing is renamed before both are.
  auto left = std::make_shared<int>(2);
  auto ready = [this, disk, left] {
    if (--*left > 0) return;
    apply_batch(files_, executor_, disk, [this, disk] {
      --applies_running_;
      on_applied(*disk);
    });
  };
  prepare_batch(files_, executor_, disk, ready);
  commit_then(ready);
}

void Replica::save_journal(const std::vector<DiskChange>& changes) {
  index_.set_meta(BatchJournal::kMetaKey, journal_.encode(changes));
}

void Replica::on_applied(const DiskBatch& batch) {
  const auto& [changes, outcomes] = batch;
  for (std::size_t i = 0; i < changes.size(); ++i) {
    busy_.erase(changes[i].path);
    deleting_.erase(changes[i].path);
    if (changes[i].kind == DiskChange::Kind::kRenameFold)
      end_rename(changes[i], outcomes[i].status.has_value());
    plan_.insert(changes[i].path);
    plan_parent_of_deleted(changes[i].path);
    note_displaced(changes[i], outcomes[i]);
    note_left_trash(changes[i], outcomes[i]);
    if (outcomes[i].status) {
      on_change_done(changes[i], outcomes[i]);
    } else {
      on_change_failed(changes[i], outcomes[i]);
    }
    if (changes[i].kind == DiskChange::Kind::kInstall) on_installed(changes[i].entry->content);
  }
  save_journal({});
  plan_.merge(blocked_);
  blocked_.clear();
}

// A directory that others deleted as well, or replaced by a file, may have waited for this.
void Replica::plan_parent_of_deleted(const std::string& path) {
  const std::string parent(parent_path(path));
  const PathRecord* record = parent.empty() ? nullptr : index_.find(parent);
  if (record && record->live() && record->remote && !record->remote->is_directory())
    plan_.insert(parent);
}

// Also of a change that failed: it may have come as far as the trash.
void Replica::note_displaced(const DiskChange& change, const DiskOutcome& outcome) {
  if (change.trash.empty()) return;
  if (outcome.unkept && outcome.status) return trash_.forget(change.trash);
  if (!outcome.displaced) return trash_.give_up(change.trash, change.displaces);
  trash_.keep(change.trash, change.displaces);
  // What could not be copied because it was just being moved there can be now, and may be nowhere
  // else. (Simulator's seed 295: a file gave way to a directory, its conflict copy waited for a
  // holder for ever, and the hub's power went.)
  if (no_copy_.erase(change.displaces.content) > 0) to_serve_.insert(change.displaces.content);
  // Or what there was no room for beside it.
  if (waiting_.contains(change.displaces.content)) to_serve_.insert(change.displaces.content);
}

// What lies in the trash after `by` has taken the place of what is at `path` now.
TrashItem Replica::displaced_item(const std::string& path, const EntryPtr& by) const {
  TrashItem item;
  item.path = path;
  item.time_ns = clock_.wall().ns;
  item.put_at_ns = observed_.at(clock_.now());
  const PathRecord* record = index_.find(path);
  if (!record || !record->live()) return item;
  const Entry& local = *record->local;
  item.size = record->stat.size;
  item.symlink = local.is_symlink();
  item.content = local.content;
  // A rotten copy is not what the index says: nobody may take its bytes for these.
  if (is_rotten(path)) {
    item.content = ContentId{};
    item.reason = TrashReason::kDamaged;
    return item;
  }
  if (by && local.version.compare(by->version) != Order::kOlder) {
    item.reason = TrashReason::kLost;
    return item;
  }
  item.reason = by && by->is_tombstone() ? TrashReason::kDeleted : TrashReason::kReplaced;
  // A vector also covers a version that lost a conflict. Its copy was made before it lost its name.
  auto lookup = [this](const std::string& name) -> EntryPtr {
    const PathRecord* there = index_.find(name);
    if (!there) return nullptr;
    return there->remote ? there->remote : there->known();
  };
  const std::optional<ConflictCopy> copy = make_conflict_copy(path, local, lookup);
  if (copy && copy->entry == nullptr) item.reason = TrashReason::kLost;
  return item;
}

void Replica::on_change_done(const DiskChange& change, const DiskOutcome& outcome) {
  clear_obstacle(change.path);
  clear_problem(change.path);
  journal_.resolve(change.path);
  if (change.kind == DiskChange::Kind::kInstall && !change.temp.starts_with(kCopyPrefix)) {
    fetcher_.release(change.entry->content);
    no_copy_.erase(change.entry->content);  // what came anew may be copied from
  }
  bool gone =
      change.kind == DiskChange::Kind::kTrash || change.kind == DiskChange::Kind::kRemoveDirectory;
  const Activity::Kind what = outcome.unkept ? Activity::Kind::kRenamed : activity_of(change, gone);
  activity_.note(what, change.path, change.entry->author_name, clock_.now());
  if (!gone && !change.lies.empty() && outcome.stat != FileStat{} &&
      !shows(outcome.stat, *change.entry, limits_))
    return on_half_moved(index_, plan_, change, outcome.stat);
  index_.set_local(change.path, change.entry, gone ? FileStat{} : outcome.stat);
  // Somebody was at it between our change and our look at it: the stat in the index would hide that
  // for ever.
  if (!gone && (outcome.stat == FileStat{} || !shows(outcome.stat, *change.entry, limits_))) {
    racy_.insert(change.path);
    due_.insert(change.path);
  }
  set_synced(change.path, change.entry);
  end_repair(change.path, {});
  if (gone) {
    guard_.on_pushed(change.path);
  } else {
    const bool others = change.entry->author != short_id(options_.node);
    apply_change(others ? guard_.on_overruled(change.path) : guard_.on_restored(change.path));
  }
  incoming_guard_.on_pushed(change.path);
  incoming_counted_.erase(change.path);
  if (change.path == IgnoreRules::kFileName) scan_again_ = true;
  if (brought_back_.erase(change.path) > 0) index_.set_remote(change.path, nullptr);
  settled_.push_back(change.path);
}

void Replica::on_change_failed(const DiskChange& change, const DiskOutcome& outcome) {
  const Error& error = outcome.status.error();
  end_repair(change.path, error);
  note_short(error);
  if (outcome.unsure) journal_.expect(change.path, change.entry);
  if (outcome.content_lost) {
    // After a sync that failed the kernel may have dropped what was written, and the next sync says
    // nothing of it (LWN 752063): the content is got once more.
    release_temp(change.entry->content, change.temp);
    note_problem(change.path, error.detail);
    plan_.erase(change.path);
    retry_later(change.path, clock_.now(), kRetryDelay);
    return;
  }
  if (change.kind == DiskChange::Kind::kInstall && change.lies.empty() &&
      error.code != ErrorCode::kCorrupt) {
    // Verified content is not thrown away because its place is taken for the moment.
    keep_ready(change.entry->content, change.temp);
  }
  switch (error.code) {
    case ErrorCode::kCorrupt:
      // The temp file is gone: the content is got once more.
      release_temp(change.entry->content, change.temp);
      return;
    case ErrorCode::kChanged:
    case ErrorCode::kExists:
      if (change.kind == DiskChange::Kind::kRemoveDirectory) {
        keep_directory(change.path);
        return;
      }
      // Somebody was faster on this disk: what they did becomes a version, then it is planned anew.
      // At once, unless they are at it: then when it has rested.
      plan_.erase(change.path);
      if (!timer_.waiting(change.path)) due_.insert(change.path);
      meet_obstacle(change, error);
      return;
    case ErrorCode::kNotFound:
      plan_.erase(change.path);
      due_.insert(change.path);
      meet_obstacle(change, error);
      if (auto parent = parent_path(change.path); !parent.empty()) due_.insert(std::string(parent));
      return;
    case ErrorCode::kDenied:
    case ErrorCode::kRefused:
    case ErrorCode::kUnsupported:
    case ErrorCode::kBusy:
      note_problem(change.path, error.detail);
      plan_.erase(change.path);
      meet_obstacle(change, error);
      return;
    default:
      note_problem(change.path, error.detail);
      plan_.erase(change.path);
      retry_later(change.path, clock_.now(),
                  error.code == ErrorCode::kNoSpace ? kNoSpaceDelay : kRetryDelay);
  }
}

// Others deleted a directory in which something stays that sync does not know (an ignored file, one
// that was made a moment ago). Keeping it is an edit that has seen the delete.
void Replica::keep_directory(const std::string& path) {
  const PathRecord* record = index_.find(path);
  if (!record || !record->live() || !record->remote || !index_.live_below(path).empty()) return;
  if (group_has_a_leaf_above(path)) {
    // Kept as an edit it would cost the file that took the place of the directory above its name.
    DiskChange change;
    change.path = path;
    change.entry = record->remote;
    note_problem(path, "was deleted elsewhere, but holds files that are not synced: it stays here");
    plan_.erase(path);
    meet_obstacle(change, {ErrorCode::kExists, "it is not empty"});
    return;
  }
  Entry entry = *record->local;
  FileStat stat = record->stat;
  entry.version = VersionVector::merged(entry.version, record->remote->version);
  if (entry.version.parts().size() >= kMaxVectorSize) {
    note_problem(path, kTooManyAuthors);
    plan_.erase(path);
    retry_later(path, clock_.now(), kRetryDelay);
    return;
  }
  index_.set_local(path, std::make_shared<const Entry>(entry), stat);
  note_problem(path, "was deleted elsewhere, but holds files that are not synced: it is kept");
  make_version(path, std::move(entry), stat);
}

void Replica::retry_later(const std::string& path, Instant now, Duration delay) {
  retry_[path] = now + delay;
}

void Replica::retry_now() {
  for (std::string& path : obstacles_.clear_all()) plan_.insert(std::move(path));
  for (auto at = retry_.begin(); at != retry_.end();) {
    if (at->first.empty()) {
      ++at;
      continue;
    }
    plan_.insert(at->first);
    at = retry_.erase(at);
  }
}

void Replica::run_retries(Instant now) {
  Obstacles::Due due = obstacles_.take_due(now);
  const bool dear_too = now.time_since_epoch() / kDearTries % kTriesToOneDear == 0;
  for (std::string& path : due.tries) {
    const PathRecord* record = index_.find(path);
    const bool dear = obstacles_.stands(path) && record && record->remote &&
                      record->remote->is_file() && record->remote->size > kDearBytes &&
                      !has_bytes(record->remote->content, path);
    if (dear && !dear_too) {
      (void)obstacles_.on_failed(path, record->remote->version, false, now);
      on_content_changed(path);
    } else {
      plan_.insert(std::move(path));
    }
  }
  for (const std::string& path : due.looks) on_content_changed(path);
  for (auto at = retry_.begin(); at != retry_.end();) {
    if (at->first.empty() || at->second > now) {
      ++at;
      continue;
    }
    plan_.insert(at->first);
    at = retry_.erase(at);
  }
}

// ---- trash
// ------------------------------------------------------------------------------------------

// What stands at its place goes to the trash itself first, so that a person may go back and forth.
void Replica::restore_trash(const std::string& name, const std::optional<ContentId>& over,
                            std::function<void(Status)> done) {
  const TrashItem* found = index_.trash().find(name);
  if (found == nullptr || trash_.is_going(name)) {
    done(Error{ErrorCode::kNotFound, "nothing of that name is in the trash"});
    return;
  }
  std::string path = found->path;
  if (busy_.contains(path)) {
    done(Error{ErrorCode::kBusy, str(printable(path), " is being synced now: try again")});
    return;
  }
  const PathRecord* record = index_.find(path);
  // Nobody would go past what the group has there and this disk does not show yet, nor past a
  // version that whoever asks has not seen.
  const bool lives =
      record && (record->live() || (record->remote && !record->remote->is_tombstone()));
  std::optional<FileStat> stands;
  if (over && record && record->live() && !record->local->is_directory() &&
      record->local->content == *over &&
      (!record->remote || record->local->version.covers(record->remote->version)))
    stands = record->stat;
  if (lives && !stands) {
    done(Error{ErrorCode::kExists, str(printable(path), " is there by now: nothing was done")});
    return;
  }
  busy_.insert(path);
  TrashItem item = displaced_item(path, nullptr);
  item.reason = TrashReason::kReplaced;
  auto outcome = std::make_shared<PutBack>();
  std::string aside = trash_.name_for(path, clock_.wall());
  trash_.promise(aside);
  executor_.submit(
      JobClass::kDisk,
      [this, name, path, above = missing_above(index_, path), aside, stands, outcome] {
        outcome->status = put_back(files_, name, path, above, aside, stands, *outcome);
      },
      [this, name, path, aside, item, outcome, done]() mutable {
        busy_.erase(path);
        item.size = outcome->stat.size;
        item.symlink = outcome->stat.kind == FileKind::kSymlink;
        if (outcome->displaced) {
          trash_.keep(aside, item);
        } else {
          trash_.give_up(aside, item);
        }
        if (outcome->status) trash_.forget(name);
        due_.insert(path);
        done(outcome->status);
      });
}

void Replica::prune_trash() {
  Trash::Limits limits;
  limits.observed_ns = observed_.at(clock_.now());
  if (auto total = files_.total_bytes()) limits.bytes = *total / 10;
  limits.is_rotten = [this](const std::string& path) { return is_rotten(path); };
  limits.is_needed = [this](const std::string& path) {
    return guard_.holds(path) || incoming_guard_.holds(path);
  };
  // Of a file that is absent here the hub's word is that another node has it.
  auto with_the_group = std::make_shared<std::optional<std::set<ContentId>>>();
  limits.is_elsewhere = [this, with_the_group](const ContentId& content) {
    if (index_.wants_all() || !remote_known_) return false;
    if (!*with_the_group) {
      with_the_group->emplace();
      for (const auto& [path, record] : index_.paths()) {
        if (record.absent() && record.remote) (*with_the_group)->insert(record.remote->content);
      }
    }
    return (*with_the_group)->contains(content);
  };
  prune_again_ = trash_.prune(limits);
}

void Replica::drop_old_tombstones() {
  constexpr std::int64_t kKeptNs = 456LL * 24 * 3600 * 1'000'000'000;  // 15 months
  const std::int64_t limit = observed_.at(clock_.now()) - kKeptNs;
  std::vector<std::string> old;
  for (const auto& [path, record] : index_.paths()) {
    bool agreed = record.local && record.local == record.remote && record.local == record.synced;
    if (agreed && record.local->is_tombstone() && record.since_ns < limit) old.push_back(path);
  }
  for (const std::string& path : old) {
    forget_here(index_, path);
    if (index_.find(path)) index_.set_remote(path, nullptr);
  }
}

// ---- room
// -------------------------------------------------------------------------------------------

// What a pull would bring here: contents that neither the folder nor the trash has.
std::uint64_t Replica::bytes_wanted() const {
  std::set<ContentId> counted;
  std::uint64_t bytes = 0;
  for (const auto& [path, record] : index_.paths()) {
    if (!record.remote || !record.remote->is_file() || !index_.wants(record)) continue;
    const Entry& entry = *record.remote;
    if (record.local && record.local->content == entry.content) continue;
    if (cannot_hold(path, entry) || rules_->ignored(path, false)) continue;
    const bool here =
        index_.find_content(entry.content, path) || index_.trash().find_content(entry.content);
    if (here) continue;
    if (counted.insert(entry.content).second) bytes = sum_of(bytes, entry.size);
  }
  return bytes;
}

void Replica::check_room(Instant now) {
  if (!remote_known_ || frozen_ || !room_.should_ask(now)) return;
  room_.on_asked();
  auto free = std::make_shared<std::optional<std::uint64_t>>();
  executor_.submit(
      JobClass::kDisk,
      [this, free] {
        if (auto bytes = files_.free_bytes()) *free = *bytes;
      },
      [this, free] {
        // A disk that does not say is not one that is full.
        bool was_held = room_.held();
        if (!remote_known_) return room_.on_no_answer();
        std::uint64_t wanted = *free ? bytes_wanted() : 0;
        if (!room_.on_answer(wanted, free->value_or(0), clock_.now())) {
          if (!was_held) log_.warn(room_.reason());
          return;
        }
        if (was_held) log_.info("there is room now: the first sync begins");
        plan_.merge(awaiting_room_);
        awaiting_room_.clear();
      });
}

void Replica::note_short(const Error& error) {
  if (error.code == ErrorCode::kNoSpace) short_until_ = clock_.now() + kShortOfRoom;
}

}  // namespace lansync
