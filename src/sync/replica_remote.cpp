// The replica's other side: from what the hub says to what is on this disk.
//
//   remote entry -> plan -> content (a local copy, else fetched) -> one batch of disk changes ->
//   index
#include <algorithm>

#include "base/assert.h"
#include "base/rel_path.h"
#include "sync/hashing.h"
#include "sync/index_view.h"
#include "sync/replica.h"

namespace lansync {
namespace {

constexpr std::size_t kPlanBatch = 4096;
constexpr Duration kReadyKept = 60s;
constexpr Duration kDeleteGathering = 300ms;
constexpr std::string_view kCopyPrefix = "c-";

Status verify_temp(FileSystem& files, const std::string& temp, const ContentId& wanted) {
  auto file = files.open_temp(temp);
  if (!file) return file.error();
  ContentHasher hasher;
  std::vector<std::uint8_t> buffer(256 * 1024);
  for (std::uint64_t offset = 0;;) {
    auto size = (*file)->read(offset, buffer);
    if (!size) return size.error();
    if (*size == 0) break;
    hasher.update(ByteView(buffer).first(*size));
    offset += *size;
  }
  if (hasher.finish().content != wanted) {
    return Error{ErrorCode::kChanged, "the local copy has other bytes than the index says"};
  }
  return {};
}

}  // namespace

void Replica::plan(Instant now) {
  more_to_plan_ = false;
  if (!remote_known_ || paused_ || frozen_ || plan_.empty()) return;
  // What waits for its timer is going to change: its turn comes when it has rested.
  std::vector<std::string> paths;
  for (auto at = plan_.begin(); at != plan_.end() && paths.size() < kPlanBatch;) {
    if (busy_.contains(*at)) {
      ++at;
      continue;
    }
    const PathRecord* record = index_.find(*at);
    if (record && not_taken(*at, *record)) {
      drop_interest(*at);
      awaiting_room_.erase(*at);
      retry_.erase(*at);
      clear_problem(*at);
    } else {
      paths.push_back(*at);
    }
    at = plan_.erase(at);
  }
  if (paths.empty()) return;
  more_to_plan_ = paths.size() == kPlanBatch;
  Plan planned = lansync::plan(IndexView(index_), paths, PlanOptions{long_away_});
  if (planned.mismatches > 0) {
    mismatches_ += planned.mismatches;
    log_.warn(str(planned.mismatches, " paths have equal versions and different content"));
  }
  log_.trace(str("planned ", paths.size(), " paths: ", planned.operations.size(), " operations, ",
                 planned.blocked.size(), " blocked"));
  std::set<std::string> active;
  for (const Operation& operation : planned.operations) active.insert(operation.path);
  for (const std::string& path : paths) {
    if (active.contains(path) || repairs_.contains(path)) continue;
    drop_interest(path);
    awaiting_room_.erase(path);
  }
  for (const Blocked& blocked : planned.blocked) blocked_.insert(blocked.operation.path);
  judge_deletes(planned.operations, now);
  for (const Operation& operation : planned.operations) {
    // A missing parent that the planner added may be in work; and a directory's delete goes out
    // after those of what was in it, or the hub would take these for edits that the delete did not
    // know of.
    if (busy_.contains(operation.path) || waits_for_children(operation)) {
      plan_.insert(operation.path);
      continue;
    }
    carry_out(operation, now);
  }
  if (!blocked_.empty() && changes_.empty() && applies_running_ == 0) {
    for (const std::string& path : blocked_) retry_later(path, now, 200ms);
    blocked_.clear();
  }
}

bool Replica::waits_for_children(const Operation& operation) const {
  if (operation.kind != OperationKind::kPush || !operation.entry->is_tombstone()) return false;
  const auto& paths = index_.paths();
  const std::string prefix = operation.path + '/';
  for (auto at = paths.lower_bound(prefix); at != paths.end() && at->first.starts_with(prefix);
       ++at) {
    if (busy_.contains(at->first)) return true;
  }
  return false;
}

// Unconfirmed deletes of others count together before the first is applied.
void Replica::judge_deletes(const std::vector<Operation>& operations, Instant now) {
  bool freed = false;
  for (const Operation& operation : operations) {
    // Once a path: one that waits for its content is planned again and again.
    if (operation.kind != OperationKind::kFetch || waits_for_.contains(operation.path) ||
        ready_.contains(operation.entry->content)) {
      continue;
    }
    // A rename needs an old name, here or in the trash by now. Content that is new here must not
    // excuse the delete of that very file within the next minute.
    const ContentId& content = operation.entry->content;
    if (!index_.find_content(content, operation.path) && !index_.find_trash(content)) continue;
    freed = incoming_guard_.on_reappear(content, now) || freed;
  }
  if (freed) {
    for (const auto& [path, since] : incoming_counted_) plan_.insert(path);
  }
  for (const Operation& operation : operations) {
    if (operation.kind != OperationKind::kDelete || operation.entry->confirmed) continue;
    const PathRecord* record = index_.find(operation.path);
    if (!record || !record->live()) continue;
    if (!incoming_counted_.try_emplace(operation.path, now).second) continue;
    incoming_guard_.on_delete(operation.path, *record->local, now, index_.totals().files);
  }
}

void Replica::carry_out(const Operation& operation, Instant now) {
  const std::string& path = operation.path;
  if (operation.kind != OperationKind::kPush) to_push_.erase(path);
  if (operation.kind != OperationKind::kFetch) drop_interest(path);
  awaiting_room_.erase(path);
  switch (operation.kind) {
    case OperationKind::kNone:
    case OperationKind::kHold:
      break;
    case OperationKind::kNote:
      note_absent(path, operation.entry);
      break;
    case OperationKind::kPush:
      // A held delete stays where it was found; so does one whose file may be back in a moment.
      if (guard_.holds(path)) break;
      to_push_.insert(path);
      push_changed_ = true;
      break;
    case OperationKind::kForget:
      index_.set_local(path, nullptr, FileStat{});
      index_.set_synced(path, nullptr);
      break;
    case OperationKind::kAgree:
      agree(operation);
      break;
    case OperationKind::kAdopt:
      if (operation.set_metadata) {
        queue_change(operation, DiskChange::Kind::kSetMetadata, {});
      } else {
        agree(operation);
      }
      break;
    case OperationKind::kFetch:
      if (options_.max_file_size != 0 && operation.entry->size > options_.max_file_size) {
        note_problem(path, "is larger than --max-file-size and is not taken");
        break;
      }
      if (room_.waits()) {
        awaiting_room_.insert(path);
        break;
      }
      want_content(path, operation.entry);
      break;
    case OperationKind::kMakeDirectory:
      queue_change(operation, DiskChange::Kind::kMakeDirectory, {});
      break;
    case OperationKind::kMakeSymlink:
      queue_change(operation, DiskChange::Kind::kMakeSymlink, {});
      break;
    case OperationKind::kSetMetadata:
      queue_change(operation, DiskChange::Kind::kSetMetadata, {});
      break;
    case OperationKind::kDelete: {
      if (!operation.entry->confirmed && incoming_guard_.holds(path)) break;
      // A run of deletes comes in many messages: the first waits for the others to be counted.
      if (auto at = incoming_counted_.find(path);
          at != incoming_counted_.end() && now < at->second + kDeleteGathering) {
        retry_[path] = at->second + kDeleteGathering;
        break;
      }
      // A rename: its content is being copied from here. The copy's end plans this path again.
      if (copied_from_.contains(path)) break;
      const PathRecord* record = index_.find(path);
      bool directory = record && record->live() && record->local->is_directory();
      queue_change(operation,
                   directory ? DiskChange::Kind::kRemoveDirectory : DiskChange::Kind::kTrash, {});
      break;
    }
  }
}

void Replica::agree(const Operation& operation) {
  const PathRecord* record = index_.find(operation.path);
  LS_ASSERT(record != nullptr);
  if (record->local != operation.entry) {
    index_.set_local(operation.path, operation.entry, record->stat);
  }
  index_.set_synced(operation.path, operation.entry);
  // The group deleted it, too: there is nothing left to hold.
  if (operation.entry->is_tombstone()) guard_.on_pushed(operation.path);
  settled_.push_back(operation.path);
}

void Replica::queue_change(const Operation& operation, DiskChange::Kind kind,
                           const std::string& temp) {
  const PathRecord* record = index_.find(operation.path);
  DiskChange change;
  change.kind = kind;
  change.path = operation.path;
  change.entry = operation.entry;
  change.temp = temp;
  if (record && record->live()) change.expected = record->stat;
  change.trash = trash_name(operation.path);
  busy_.insert(operation.path);
  if (operation.entry->is_tombstone()) deleting_.insert(operation.path);
  changes_.push_back(std::move(change));
}

std::string Replica::trash_name(const std::string& path) {
  std::string stamp = to_file_stamp(clock_.wall());
  for (char& c : stamp) {
    if (c == ' ') c = '_';
  }
  return str(stamp, '-', ++trash_counter_, '/', path);
}

// ---- content
// ----------------------------------------------------------------------------------------

WantedContent Replica::wanted_of(const std::string& path, const Entry& entry) {
  WantedContent wanted;
  wanted.content = entry.content;
  wanted.size = entry.size;
  wanted.md5 = entry.md5;
  wanted.name = path;
  return wanted;
}

void Replica::want_content(const std::string& path, const EntryPtr& entry) {
  const ContentId& content = entry->content;
  if (auto at = waits_for_.find(path); at != waits_for_.end() && at->second != content) {
    drop_interest(path);
  }
  if (auto at = ready_.find(content); at != ready_.end()) {
    std::string temp = at->second.temp;
    ready_.erase(at);
    drop_interest(path);
    queue_change({OperationKind::kFetch, path, entry}, DiskChange::Kind::kInstall, temp);
    return;
  }
  bool first = waiting_[content].empty();
  waiting_[content].insert(path);
  waits_for_[path] = content;
  if (copying_.contains(content)) return;
  if (!no_copy_.contains(content)) {
    if (auto from = index_.find_content(content, path)) {
      start_copy(content, *from, false);
      return;
    }
    if (auto trash = index_.find_trash(content)) {
      start_copy(content, *trash, true);
      return;
    }
  }
  if (first) {
    fetcher_.want(wanted_of(path, *entry));
  }
  fetcher_.set_sources(content, sources_of(content, path));
}

void Replica::drop_interest(const std::string& path) {
  auto at = waits_for_.find(path);
  if (at == waits_for_.end()) return;
  ContentId content = at->second;
  waits_for_.erase(at);
  auto paths = waiting_.find(content);
  if (paths == waiting_.end()) return;
  paths->second.erase(path);
  if (!paths->second.empty()) return;
  waiting_.erase(paths);
  extra_sources_.erase(content);
  no_copy_.erase(content);
  if (!copying_.contains(content) && !asides_.contains(content)) fetcher_.drop(content);
}

// What is on this disk already is copied and verified anew, never sent (DESIGN, Renames and
// copies).
void Replica::start_copy(const ContentId& content, const std::string& from, bool from_trash) {
  copying_.insert(content);
  if (!from_trash) ++copied_from_[from];
  // A name of its own: the copy before may still wait to be installed for another path.
  std::string temp =
      str(kCopyPrefix, to_hex(content).substr(0, 40), '-', std::to_string(++copy_counter_));
  auto status = std::make_shared<Status>();
  executor_.submit(
      JobClass::kBulk,
      [this, content, from, from_trash, temp, status] {
        *status =
            from_trash ? files_.copy_trash_to_temp(from, temp) : files_.copy_to_temp(from, temp);
        if (*status) *status = verify_temp(files_, temp, content);
        if (!*status) (void)files_.remove_temp(temp);
      },
      [this, content, from, from_trash, temp, status] {
        copying_.erase(content);
        if (!from_trash && --copied_from_[from] == 0) {
          copied_from_.erase(from);
          plan_.insert(from);
        }
        if (*status) {
          on_content_ready(content, temp);
          return;
        }
        // The source is not what the index says: look at it again, and have the bytes sent.
        no_copy_.insert(content);
        if (!from_trash) due_.insert(from);
        auto at = waiting_.find(content);
        if (at == waiting_.end()) return;
        for (const std::string& path : at->second) {
          waits_for_.erase(path);
          plan_.insert(path);
        }
        extra_sources_.erase(at->first);
        waiting_.erase(at);
      });
}

void Replica::take_fetched() {
  for (const FinishedContent& finished : fetcher_.take_finished()) {
    if (finished.status) {
      if (events_) events_->on_fetched(finished.content, finished.source, finished.via);
      on_content_ready(finished.content, finished.temp_name);
      continue;
    }
    if (auto aside = asides_.find(finished.content); aside != asides_.end()) {
      const AsideDone done = aside->second.done;
      done(finished.status.error());
    }
    auto at = waiting_.find(finished.content);
    if (at == waiting_.end()) continue;
    note_short(finished.status.error());
    // The fetcher goes on by itself; the hub has to know that a push has no content.
    std::vector<std::string> paths(at->second.begin(), at->second.end());
    for (const std::string& path : paths) {
      if (receive_failed(path, finished.status.error())) continue;
      if (repairs_.contains(path)) {
        drop_interest(path);
        end_repair(path, finished.status);
        continue;
      }
      note_problem(path, finished.status.error().detail);
      if (events_) events_->on_fetch_failed(path, finished.status.error().detail);
    }
  }
}

// The first path takes the temp file; the others find its copy in the index afterwards.
void Replica::on_content_ready(const ContentId& content, const std::string& temp) {
  if (give_aside(content, temp)) return;
  auto at = waiting_.find(content);
  std::vector<std::string> paths;
  if (at != waiting_.end()) paths.assign(at->second.begin(), at->second.end());
  if (at != waiting_.end()) waiting_.erase(at);
  extra_sources_.erase(content);
  for (const std::string& path : paths) {
    waits_for_.erase(path);
    plan_.insert(path);
    clear_problem(path);
  }
  for (const std::string& path : paths) {
    if (install_repair(path, temp)) return;
  }
  if (install_received(content, temp)) return;
  keep_ready(content, temp);
}

void Replica::keep_ready(const ContentId& content, const std::string& temp) {
  if (auto at = ready_.find(content); at != ready_.end() && at->second.temp != temp) {
    release_temp(content, at->second.temp);
  }
  ready_.insert_or_assign(content, Ready{temp, clock_.now()});
}

void Replica::prune_ready(Instant now) {
  for (auto at = ready_.begin(); at != ready_.end();) {
    if (now - at->second.since < kReadyKept) {
      ++at;
      continue;
    }
    release_temp(at->first, at->second.temp);
    at = ready_.erase(at);
  }
}

// A fetched temp file is the fetcher's to clear, a copy is ours.
void Replica::release_temp(const ContentId& content, const std::string& temp) {
  if (!temp.starts_with(kCopyPrefix)) {
    fetcher_.release(content);
    return;
  }
  executor_.submit(
      JobClass::kDisk, [this, temp] { (void)files_.remove_temp(temp); }, [] {});
}

}  // namespace lansync
