// The replica's other side: from what the hub says to what is on this disk.
//
//   remote entry -> plan -> content (replica_content) -> one batch of disk changes -> index
#include <algorithm>

#include "base/assert.h"
#include "base/rel_path.h"
#include "sync/forget_here.h"
#include "sync/index_view.h"
#include "sync/replica.h"
#include "sync/settlement.h"
#include "sync/unseen.h"

namespace lansync {
namespace {

constexpr std::size_t kPlanBatch = 4096;
constexpr Duration kDeleteGathering = 300ms;

bool changes_disk(const Operation& operation) {
  switch (operation.kind) {
    case OperationKind::kFetch:
    case OperationKind::kMakeDirectory:
    case OperationKind::kMakeSymlink:
    case OperationKind::kSetMetadata:
    case OperationKind::kDelete:
      return true;
    case OperationKind::kAdopt:
      return operation.set_metadata;
    default:
      return false;
  }
}

bool is_blocked(const Plan& planned, const std::string& path) {
  return std::any_of(planned.blocked.begin(), planned.blocked.end(),
                     [&](const Blocked& one) { return one.operation.path == path; });
}

bool displaces_content(const Operation& operation) {
  return operation.kind == OperationKind::kFetch || operation.kind == OperationKind::kDelete ||
         operation.kind == OperationKind::kMakeSymlink || operation.replaces;
}

}  // namespace

void Replica::plan(Instant now) {
  more_to_plan_ = false;
  if (!remote_known_ || paused_ || frozen_ || plan_.empty()) return;
  // What waits for its timer is going to change: its turn comes when it has rested.
  std::vector<std::string> paths;
  std::vector<std::string> left_out;
  std::vector<std::string> stopped;
  for (auto at = plan_.begin(); at != plan_.end() && paths.size() < kPlanBatch;) {
    if (busy_.contains(*at)) {
      ++at;
      continue;
    }
    const PathRecord* record = index_.find(*at);
    if (record && not_taken(*at, *record)) {
      // A held delete goes nowhere any more, and leaves the index like the file.
      if (is_held(*at)) forget_ignored(*at);
      if (incoming_counted_.erase(*at) > 0) apply_incoming(incoming_guard_.on_restored(*at));
      drop_interest(*at);
      awaiting_room_.erase(*at);
      retry_.erase(*at);
      to_push_.erase(*at);
      clear_obstacle(*at);
      clear_problem(*at);
      left_out.push_back(*at);
    } else if (stopped_by_obstacle(*at, now)) {
      stopped.push_back(*at);
    } else {
      paths.push_back(*at);
    }
    at = plan_.erase(at);
  }
  // A hub whose rules leave it out will never have it: who pushes it must not wait for that.
  for (const std::string& path : left_out) {
    if (events_) events_->on_fetch_failed(path, str(IgnoreRules::kFileName, " leaves it out here"));
  }
  for (const std::string& path : stopped) agree_unheld(path);
  if (paths.empty()) return;
  more_to_plan_ = paths.size() == kPlanBatch;
  paths_planned_ += paths.size();
  if (!limits_.tells_names()) folded_.take(index_, limits_);
  Plan planned = lansync::plan(IndexView(index_), paths, PlanOptions{long_away_});
  push_unseen(planned.operations, short_id(options_.node), counter_.shared());
  if (planned.mismatches > 0) {
    mismatches_ += planned.mismatches;
    log_.warn(str(planned.mismatches, " paths have equal versions and different content"));
  }
  log_.trace(str("planned ", paths.size(), " paths: ", planned.operations.size(), " operations, ",
                 planned.blocked.size(), " blocked"));
  std::set<std::string> active;
  for (const Operation& operation : planned.operations) active.insert(operation.path);
  for (const std::string& path : paths) {
    if (active.contains(path)) continue;
    held_absent_.erase(path);
    if (repairs_.contains(path)) continue;
    // One that stands is remembered: the same push may come again.
    if (!obstacles_.empty() && !obstacles_.stands(path) && !is_blocked(planned, path))
      clear_obstacle(path);
    drop_interest(path);
    awaiting_room_.erase(path);
  }
  for (const Blocked& blocked : planned.blocked) {
    // What is held in a directory may stay for days: its end plans the directory again.
    if (incoming_counted_.contains(blocked.because) && incoming_guard_.holds(blocked.because))
      continue;
    if (is_below_held(blocked.operation.path)) continue;
    // Somebody made something in a directory whose delete is held here: an edit beats a delete.
    // (It was planned each 200 ms for as long as that was held.)
    const PathRecord* above = index_.find(blocked.because);
    if (above && above->local && above->local->is_tombstone() && is_held(blocked.because) &&
        above->remote && above->remote->is_directory()) {
      apply_change(guard_.on_overruled(blocked.because));
      forget_here(index_, blocked.because);
      plan_.insert(blocked.because);
      plan_.insert(blocked.operation.path);
      continue;
    }
    if (obstacles_.stands(blocked.because)) {
      obstacles_.on_behind(blocked.operation.path, blocked.operation.entry->version,
                           blocked.because);
      note_problem(blocked.operation.path,
                   str("is not synced here, because ", printable(blocked.because, 300), " is not"));
      agree_unheld(blocked.operation.path);
      continue;
    }
    blocked_.insert(blocked.operation.path);
  }
  forget_incoming(paths, planned, now);
  judge_deletes(planned.operations, now);
  for (const Operation& operation : planned.operations) {
    // A missing parent that the planner added may be in work; and a directory's delete goes out
    // after those of what was in it, or the hub would take these for edits that the delete did not
    // know of.
    if (busy_.contains(operation.path) || waits_for_children(operation)) {
      plan_.insert(operation.path);
      continue;
    }
    if (stopped_by_obstacle(operation.path, now)) {
      agree_unheld(operation.path);
      continue;
    }
    if (!meets_twin(operation)) carry_out(operation, now);
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

void Replica::carry_out(const Operation& operation, Instant now) {
  const std::string& path = operation.path;
  if (operation.kind != OperationKind::kPush) to_push_.erase(path);
  if (operation.kind != OperationKind::kHold) held_absent_.erase(path);
  if (operation.kind != OperationKind::kFetch) drop_interest(path);
  if (!changes_disk(operation)) clear_obstacle(path);
  awaiting_room_.erase(path);
  // Somebody is at it: what they make of it is looked at first, and brings this path here again.
  if (changes_disk(operation) && timer_.waiting(path)) return;
  if (refuses(operation)) return;
  // Its content is being copied from here: a rename, or the copy that a conflict leaves. The copy's
  // end plans this path again.
  if (displaces_content(operation) && copied_from_.contains(path)) return;
  switch (operation.kind) {
    case OperationKind::kNone:
      break;
    case OperationKind::kHold:
      held_absent_.insert(path);
      break;
    case OperationKind::kNote:
      note_absent(path, operation.entry);
      break;
    case OperationKind::kPush:
      if (is_delete(operation.entry) && rejected_runs_.contains(operation.entry->run) &&
          is_unseen_delete(path) && undo_delete(path))
        break;
      // A held delete stays where it was found, if it is one.
      if (is_held(path)) {
        give_up_delete(path);
        break;
      }
      if (kept_from_others(path)) {
        to_push_.erase(path);
        note_problem(path, kTooManyAuthors);
        break;
      }
      if (const PathRecord* record = index_.find(path); record->held) {
        const FileStat stat = record->stat;
        index_.set_local(path, record->local, stat);
      }
      to_push_.insert(path);
      push_changed_ = true;
      break;
    case OperationKind::kForget:
      forget_here(index_, path);
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
      if (room_.waits()) {
        awaiting_room_.insert(path);
        break;
      }
      want_content(path, operation.entry);
      break;
    case OperationKind::kMakeDirectory:
      if (deletes_here(operation) && waits_or_stays(operation, now)) break;
      queue_change(operation, DiskChange::Kind::kMakeDirectory, {});
      break;
    case OperationKind::kMakeSymlink:
      if (deletes_here(operation) && waits_or_stays(operation, now)) break;
      queue_change(operation, DiskChange::Kind::kMakeSymlink, {});
      break;
    case OperationKind::kSetMetadata:
      queue_change(operation, DiskChange::Kind::kSetMetadata, {});
      break;
    case OperationKind::kDelete: {
      if (waits_or_stays(operation, now) || waits_for_new_name(path)) break;
      const PathRecord* record = index_.find(path);
      bool directory = record && record->live() && record->local->is_directory();
      queue_change(operation,
                   directory ? DiskChange::Kind::kRemoveDirectory : DiskChange::Kind::kTrash, {});
      break;
    }
  }
}

// What others deleted stays here, or waits for its run to be counted, which comes in many messages.
bool Replica::waits_or_stays(const Operation& operation, Instant now) {
  const std::string& path = operation.path;
  if (rejected_runs_.contains(operation.entry->run) && keep_deleted(path)) return true;
  if (incoming_guard_.holds(path)) return true;
  auto at = incoming_counted_.find(path);
  if (at == incoming_counted_.end() || now >= at->second + kDeleteGathering) return false;
  retry_[path] = at->second + kDeleteGathering;
  return true;
}

void Replica::agree(const Operation& operation) {
  const PathRecord* record = index_.find(operation.path);
  LS_ASSERT(record != nullptr);
  if (record->local != operation.entry) {
    index_.set_local(operation.path, operation.entry, record->stat);
  }
  set_synced(operation.path, operation.entry);
  // The group deleted it, too: there is nothing left to hold.
  if (is_delete(operation.entry)) {
    guard_.on_pushed(operation.path);
  } else {
    apply_change(guard_.on_restored(operation.path));
  }
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
  if (record && record->live()) {
    change.expected = record->stat;
    if (!record->local->is_directory()) {
      change.trash = trash_.name_for(operation.path, clock_.wall());
      change.displaces = displaced_item(operation.path, operation.entry);
    }
  }
  if (kind == DiskChange::Kind::kTrash) note_where_it_stands(change);
  if (kind == DiskChange::Kind::kInstall) ++installing_[operation.entry->content];
  busy_.insert(operation.path);
  if (operation.entry->is_tombstone() || operation.replaces) deleting_.insert(operation.path);
  changes_.push_back(std::move(change));
}

}  // namespace lansync
