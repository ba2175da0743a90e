// The replica's last step: batches of changes to the disk, what came of them, and what they
// displaced (the trash).
#include <algorithm>

#include "base/assert.h"
#include "base/rel_path.h"
#include "sync/replica.h"
#include "sync/settlement.h"

namespace lansync {
namespace {

// A batch is made durable by two syncfs, some 10 ms each on a disk: few large batches, but not so
// large that the first file of a stream waits for the last.
constexpr std::size_t kApplyBatch = 1024;
constexpr Duration kRetryDelay = 10s;
constexpr Duration kNoSpaceDelay = 3s;
// A hub that could not take something for want of room counts as full for so long.
constexpr Duration kShortOfRoom = 30s;
constexpr std::string_view kCopyPrefix = "c-";

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

Status put_back(FileSystem& files, const std::string& name, const std::string& path,
                const std::string& aside, bool missing_only, bool& displaced) {
  // The directories that it was in may be gone as well.
  for (std::size_t slash = path.find('/'); slash != std::string::npos;
       slash = path.find('/', slash + 1)) {
    (void)files.make_directory(path.substr(0, slash), 0755);
  }
  auto now = files.stat(path);
  if (now && missing_only) return Error{ErrorCode::kExists, "it is there again"};
  if (now && (now->kind == FileKind::kFile || now->kind == FileKind::kSymlink)) {
    if (Status moved = files.move_to_trash(path, *now, aside); !moved) return moved;
    displaced = true;
  }
  Status status = files.restore_from_trash(name, path);
  if (!status && displaced) displaced = !files.restore_from_trash(aside, path);
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
  run_apply(files_, executor_, std::move(batch),
            [this](std::vector<DiskChange> changes, std::vector<DiskOutcome> outcomes) {
              --applies_running_;
              on_applied(changes, outcomes);
            });
}

void Replica::on_applied(const std::vector<DiskChange>& changes,
                         const std::vector<DiskOutcome>& outcomes) {
  for (std::size_t i = 0; i < changes.size(); ++i) {
    busy_.erase(changes[i].path);
    deleting_.erase(changes[i].path);
    plan_.insert(changes[i].path);
    plan_parent_of_deleted(changes[i].path);
    if (outcomes[i].status) {
      on_change_done(changes[i], outcomes[i]);
    } else {
      on_change_failed(changes[i], outcomes[i]);
    }
    if (changes[i].kind == DiskChange::Kind::kInstall) on_installed(changes[i].entry->content);
  }
  plan_.merge(blocked_);
  blocked_.clear();
}

// A directory that others deleted as well may have waited for this.
void Replica::plan_parent_of_deleted(const std::string& path) {
  const std::string parent(parent_path(path));
  const PathRecord* record = parent.empty() ? nullptr : index_.find(parent);
  if (record && record->live() && record->remote && record->remote->is_tombstone())
    plan_.insert(parent);
}

void Replica::on_change_done(const DiskChange& change, const DiskOutcome& outcome) {
  clear_problem(change.path);
  if (outcome.displaced) {
    const PathRecord* record = index_.find(change.path);
    TrashItem item;
    item.path = change.path;
    item.time_ns = clock_.wall().ns;
    if (record && record->live() && record->local->is_file()) {
      // A rotten copy is not what the index says: nobody may take its bytes for these.
      if (!is_rotten(change.path)) item.content = record->local->content;
      item.size = record->local->size;
    }
    index_.add_trash(change.trash, item);
  }
  if (change.kind == DiskChange::Kind::kInstall && !change.temp.starts_with(kCopyPrefix)) {
    fetcher_.release(change.entry->content);
    no_copy_.erase(change.entry->content);  // what came anew may be copied from
  }
  bool gone =
      change.kind == DiskChange::Kind::kTrash || change.kind == DiskChange::Kind::kRemoveDirectory;
  activity_.note(gone                                            ? Activity::Kind::kDeleted
                 : change.kind == DiskChange::Kind::kSetMetadata ? Activity::Kind::kSet
                                                                 : Activity::Kind::kCame,
                 change.path, change.entry->author_name, clock_.now());
  index_.set_local(change.path, change.entry, gone ? FileStat{} : outcome.stat);
  set_synced(change.path, change.entry);
  end_repair(change.path, {});
  if (gone) {
    guard_.on_pushed(change.path);
  } else {
    apply_change(guard_.on_restored(change.path));
  }
  incoming_guard_.on_pushed(change.path);
  incoming_counted_.erase(change.path);
  if (change.path == IgnoreRules::kFileName) scan_again_ = true;
  settled_.push_back(change.path);
}

void Replica::on_change_failed(const DiskChange& change, const DiskOutcome& outcome) {
  const Error& error = outcome.status.error();
  end_repair(change.path, error);
  note_short(error);
  if (outcome.content_lost) {
    // After a sync that failed the kernel may have dropped what was written, and the next sync says
    // nothing of it (LWN 752063): the content is got once more.
    release_temp(change.entry->content, change.temp);
    note_problem(change.path, error.detail);
    plan_.erase(change.path);
    retry_later(change.path, clock_.now(), kRetryDelay);
    return;
  }
  if (change.kind == DiskChange::Kind::kInstall && error.code != ErrorCode::kCorrupt) {
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
      plan_.erase(change.path);
      due_.insert(change.path);
      return;
    case ErrorCode::kNotFound:
      plan_.erase(change.path);
      due_.insert(change.path);
      if (auto parent = parent_path(change.path); !parent.empty()) due_.insert(std::string(parent));
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
void Replica::restore_trash(const std::string& name, bool missing_only,
                            std::function<void(Status)> done) {
  auto at = index_.trash().find(name);
  if (at == index_.trash().end()) {
    done(Error{ErrorCode::kNotFound, "nothing of that name is in the trash"});
    return;
  }
  std::string path = at->second.path;
  if (busy_.contains(path)) {
    done(Error{ErrorCode::kBusy, str(printable(path), " is being synced now: try again")});
    return;
  }
  busy_.insert(path);
  TrashItem item;
  item.path = path;
  item.time_ns = clock_.wall().ns;
  const PathRecord* record = index_.find(path);
  if (record && record->live() && record->local->is_file()) {
    item.content = record->local->content;
    item.size = record->local->size;
  }
  struct Outcome {
    Status status;
    bool displaced = false;
  };
  auto outcome = std::make_shared<Outcome>();
  std::string aside = trash_name(path);
  executor_.submit(
      JobClass::kDisk,
      [this, name, path, aside, missing_only, outcome] {
        outcome->status = put_back(files_, name, path, aside, missing_only, outcome->displaced);
      },
      [this, name, path, aside, item, outcome, done] {
        busy_.erase(path);
        if (outcome->displaced) index_.add_trash(aside, item);
        if (outcome->status) index_.remove_trash(name);
        due_.insert(path);
        done(outcome->status);
      });
}

void Replica::prune_trash() {
  constexpr std::int64_t kKeptNs = 30LL * 24 * 3600 * 1'000'000'000;
  auto total = files_.total_bytes();
  std::uint64_t limit = total ? *total / 10 : 0;
  std::vector<std::pair<std::int64_t, std::string>> by_age;
  std::uint64_t bytes = 0;
  for (const auto& [name, item] : index_.trash()) {
    by_age.emplace_back(item.time_ns, name);
    bytes += item.size;
  }
  std::sort(by_age.begin(), by_age.end());
  std::int64_t now = clock_.wall().ns;
  for (const auto& [time, name] : by_age) {
    const TrashItem item = index_.trash().at(name);
    bool old = time < now - kKeptNs;
    bool beyond = total.has_value() && bytes > limit;
    if (!old && !beyond) break;
    // A version that exists nowhere else is never removed by the limit, only by age.
    if (!old && !item.content.is_zero() && !index_.find_content(item.content, item.path)) continue;
    bytes -= item.size;
    index_.remove_trash(name);
    executor_.submit(
        JobClass::kDisk, [this, name = name] { (void)files_.remove_trash(name); }, [] {});
  }
}

void Replica::drop_old_tombstones() {
  constexpr std::int64_t kKeptNs = 456LL * 24 * 3600 * 1'000'000'000;  // 15 months
  std::int64_t limit = clock_.wall().ns - kKeptNs;
  std::vector<std::string> old;
  for (const auto& [path, record] : index_.paths()) {
    bool agreed = record.local && record.local == record.remote && record.local == record.synced;
    if (agreed && record.local->is_tombstone() && record.local->edited.ns < limit)
      old.push_back(path);
  }
  for (const std::string& path : old) {
    index_.set_local(path, nullptr, FileStat{});
    index_.set_synced(path, nullptr);
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
    bool too_large = options_.max_file_size != 0 && entry.size > options_.max_file_size;
    if (too_large || rules_->ignored(path, false)) continue;
    if (index_.find_content(entry.content, path) || index_.find_trash(entry.content)) continue;
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
