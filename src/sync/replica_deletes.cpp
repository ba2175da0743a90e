// Deletes: which of them count together, which are held, and what a person's word does to those.
#include <algorithm>

#include "base/rel_path.h"
#include "sync/copies_of.h"
#include "sync/forget_here.h"
#include "sync/index_view.h"
#include "sync/replica.h"
#include "sync/seen_all.h"
#include "sync/settlement.h"

namespace lansync {
namespace {

// A directory of up to so many paths goes in one piece; of more, so many in a turn. A turn is some
// 10 ms then, and a batch of directories that are looked at together stays within the reserve of
// edit counts.
constexpr std::size_t kPieceOfDirectory = 256;
constexpr std::size_t kPortion = 4096;

// Up to `most` live paths below `directory`, after `from`.
std::vector<std::string> some_below(const Index& index, const std::string& directory,
                                    const std::string& from, std::size_t most) {
  std::vector<std::string> out;
  const std::string prefix = directory + '/';
  const auto& paths = index.paths();
  auto at = from.empty() ? paths.lower_bound(prefix) : paths.upper_bound(from);
  for (; at != paths.end() && at->first.starts_with(prefix) && out.size() < most; ++at) {
    if (at->second.live()) out.push_back(at->first);
  }
  return out;
}

// Up to `most` live paths below `directory`, before `before`, the last first: what is in a
// directory comes before it.
std::vector<std::string> last_below(const Index& index, const std::string& directory,
                                    const std::string& before, std::size_t most) {
  std::vector<std::string> out;
  const std::string prefix = directory + '/';
  const auto& paths = index.paths();
  // '0' follows '/'.
  auto at = paths.lower_bound(before.empty() ? directory + '0' : before);
  while (at != paths.begin() && out.size() < most) {
    --at;
    if (!at->first.starts_with(prefix)) break;
    if (at->second.live()) out.push_back(at->first);
  }
  return out;
}

bool is_gone(const EntryPtr& entry) { return entry && entry->is_tombstone(); }
// For the guards: what a version that took its place deleted.
Entry as_tombstone(const Entry& ends, const Entry& was) {
  if (ends.is_tombstone()) return ends;
  Entry gone;
  gone.kind = EntryKind::kTombstone;
  gone.was = was.kind;
  gone.content = was.content;
  gone.run = ends.run;
  return gone;
}
bool is_there(const EntryPtr& entry) { return entry && !entry->is_tombstone(); }

// The delete of a directory goes out after those of what was in it: the hub would keep it, as one
// in which something lives. (Simulator's seed 2504: a file took its place and was renamed, so that
// its own delete did not count.)
bool held_below(const Index& index, const DeleteGuard& guard, const std::string& path,
                const PathRecord& record) {
  if (!record.remote || !record.remote->is_directory() || !guard.holding()) return false;
  const auto& paths = index.paths();
  const std::string prefix = path + '/';
  for (auto at = paths.lower_bound(prefix); at != paths.end() && at->first.starts_with(prefix);
       ++at) {
    if (is_gone(at->second.local) && is_there(at->second.remote) && guard.holds(at->first))
      return true;
  }
  return false;
}

// `path`, whose delete by others is held here, lives again, and not by who deleted it.
bool is_overruled(const DeleteGuard& guard, const Index& index, const std::string& path,
                  const PathRecord& record) {
  if (!guard.holds(path)) return false;
  const RunId run = guard.run_of(path);
  for (const HeldRun& held : guard.held_runs()) {
    if (held.run != run) continue;
    for (const std::string& name : held.names) {
      const PathRecord* other = index.find(name);
      if (other && is_delete(other->remote) && run_label(*other->remote) == run)
        return other->remote->author != record.remote->author;
    }
  }
  return !record.local || !same_content(*record.local, *record.remote);
}

}  // namespace

// A run is written down without its deletes: the tombstones in the index name theirs.
void Replica::start_guards(Instant now) {
  if (!guard_.restore(index_.meta("delete_runs"), now)) (void)guard_.restore({}, now);
  if (!incoming_guard_.restore(index_.meta("held_runs"), now))
    (void)incoming_guard_.restore({}, now);
  std::vector<std::string> unknown;
  for (const auto& [path, record] : index_.paths()) {
    if (!is_delete(record.local) || record.local->run == 0) continue;
    const Entry& gone = *record.local;
    const bool let_go = confirmed_runs_.covers(gone.run, path, gone.version);
    const bool pushed = let_go || !is_there(record.synced);
    if (!gone.is_tombstone() && (pushed || !ends(record.synced->kind, gone.kind))) continue;
    if (guard_.knows(gone.run)) {
      guard_.take_back(path, as_tombstone(gone, gone.is_tombstone() ? gone : *record.synced),
                       pushed);
    } else if (!pushed) {
      unknown.push_back(path);
    }
  }
  guard_.finish_restore();
  // A kill came between: they count once more, together.
  const std::uint64_t total = index_.totals().files + unknown.size();
  for (const std::string& path : unknown) {
    const PathRecord& record = *index_.find(path);
    guard_.on_delete({path, *record.synced, record.local->run, total, true, now, clock_.wall()});
  }
}

// Counts a delete when it is heard of, not when its timer has run: a `rm -rf` of ten thousand files
// must be seen whole before the first fifty of it go out. What is in a directory comes before it:
// else it would pass for an empty one, which another that was made nearby excuses.
void Replica::note_delete(const std::string& path, Instant now) {
  if (!index_.find(path)->local->is_directory()) return hear_delete(path, now);
  std::vector<std::string> below = last_below(index_, path, {}, kPieceOfDirectory + 1);
  if (below.size() > kPieceOfDirectory) {
    gone_.counting.try_emplace(path);
    return;
  }
  for (const std::string& child : below) {
    if (!is_own_delete(child)) hear_delete(child, now);
  }
  hear_delete(path, now);
}

void Replica::hear_delete(const std::string& path, Instant now) {
  const PathRecord* record = index_.find(path);
  guard_.on_delete({path, *record->local, 0, index_.totals().files, is_there(record->synced), now,
                    clock_.wall()});
  apply_change(guard_.take_let_go());
  for (const std::string& again : guard_.take_counted_again()) put_in_run(again);
}

// Another kind stands where a file or link of ours was: that is a delete of it as well, which no
// event may have told (a rename over it).
void Replica::hear_ended(const std::string& path, const std::optional<FileStat>& is, Instant now) {
  const PathRecord* record = index_.find(path);
  if (!record || !record->live() || record->local->is_directory() || is_own_delete(path)) return;
  const bool directory = is && is->kind == FileKind::kDirectory;
  const bool link = is && is->kind == FileKind::kSymlink;
  if (directory || (link && record->local->is_file())) hear_delete(path, now);
}

void Replica::lives_again(const std::string& path) {
  const PathRecord* record = index_.find(path);
  if (!record || !record->live()) return;
  apply_change(guard_.on_restored(path, record->local->kind));
}

// Makes tombstones of what is below a directory that is gone. False: not of all of it yet, and the
// directory is looked at again when they are made.
bool Replica::bury(const std::string& directory) {
  std::vector<std::string> below = some_below(index_, directory, {}, kPieceOfDirectory + 1);
  if (below.size() > kPieceOfDirectory) {
    gone_.burying.insert(directory);
    return false;
  }
  for (auto child = below.rbegin(); child != below.rend(); ++child) make_tombstone(*child);
  return true;
}

bool Replica::gone_waits() const {
  if (deletes_wait()) return true;
  return !gone_.burying.empty() && edit_reserved_ >= counter_.last() + kCountReserve / 4;
}

// A million files that are gone take as many turns as it needs for the node to answer meanwhile.
void Replica::step_gone(Instant now) {
  const bool waited = deletes_wait();
  for (std::size_t i = 0; i < kPortion && !gone_.missing.empty(); ++i) {
    const std::string path = std::move(gone_.missing.front());
    gone_.missing.pop_front();
    const PathRecord* record = index_.find(path);
    if (record && record->live() && !busy_.contains(path)) on_hint({path, FileEvent::kDelete}, now);
  }
  if (!gone_.counting.empty()) {
    auto at = gone_.counting.begin();
    const std::vector<std::string> some = last_below(index_, at->first, at->second, kPortion);
    for (const std::string& child : some) {
      if (!is_own_delete(child)) hear_delete(child, now);
    }
    if (some.size() < kPortion) {
      const PathRecord* record = index_.find(at->first);
      if (record && record->live()) hear_delete(at->first, now);
      gone_.counting.erase(at);
    } else {
      at->second = some.back();
    }
  }
  if (deletes_wait()) return;
  if (waited) {
    // What could have gone out meanwhile.
    for (const auto& [path, record] : index_.paths()) {
      if (is_delete(record.local) && !index_.in_agreement(record)) plan_with_below(path);
    }
  }
  if (gone_.burying.empty() || frozen_ || edit_reserved_ < counter_.last() + kCountReserve / 4)
    return;
  const std::string directory = *gone_.burying.begin();
  const std::vector<std::string> some = some_below(index_, directory, {}, kPortion);
  for (auto child = some.rbegin(); child != some.rend(); ++child) {
    if (!busy_.contains(*child)) make_tombstone(*child);
  }
  if (some.size() == kPortion) return;
  gone_.burying.erase(directory);
  due_.insert(directory);
}

void Replica::apply_change(DeleteGuard::Change change) {
  for (const std::string& path : change.freed) plan_with_below(path);
  // Half of a rename is none of the run, also where its tombstone was made before that was known:
  // who undoes the run must not bring it back.
  if (change.excused) leave_run(*change.excused);
  for (const std::string& path : change.emptied) {
    plan_.insert(path);
    leave_run(path);
  }
}

void Replica::leave_run(const std::string& path) { set_run(path, 0); }

// Its delete was none, and is one again: its other half went as well.
void Replica::put_in_run(const std::string& path) {
  const PathRecord* record = index_.find(path);
  if (record && is_gone(record->local) && is_there(record->synced))
    set_run(path, guard_.run_of(path));
}

void Replica::set_run(const std::string& path, RunId run) {
  const PathRecord* record = index_.find(path);
  if (!record || !is_delete(record->local) || record->local->run == run) return;
  Entry entry = *record->local;
  const FileStat stat = record->stat;
  entry.run = run;
  const bool held = record->held;
  if (EntryPtr made = versioned(path, std::move(entry))) index_.set_local(path, made, stat, held);
  plan_with_below(path);
  reserve_counts();
}

// What is in a directory that took a file's place waited for it, and a directory that is gone for
// what was in it.
void Replica::plan_with_below(const std::string& path) {
  plan_.insert(path);
  const PathRecord* record = index_.find(path);
  if (!record) return;
  for (auto parent = parent_path(path); !parent.empty(); parent = parent_path(parent)) {
    const std::string above(parent);
    const PathRecord* directory = index_.find(above);
    if (directory && is_gone(directory->local)) plan_.insert(above);
  }
  for (const EntryPtr& entry : {record->local, record->remote}) {
    if (!entry || !entry->is_directory()) continue;
    const auto& paths = index_.paths();
    const std::string prefix = path + '/';
    for (auto at = paths.lower_bound(prefix); at != paths.end() && at->first.starts_with(prefix);
         ++at) {
      plan_.insert(at->first);
    }
    return;
  }
}

// A held delete of what somebody has edited meanwhile: the edit beats it. One of what the group has
// deleted as well has nothing left to hold back.
void Replica::give_up_delete(const std::string& path) {
  const PathRecord* record = index_.find(path);
  if (!guard_.holds(path)) return;
  if (!record->remote || record->local->version.covers(record->remote->version)) return;
  if (is_gone(record->local) && !record->remote->is_tombstone() &&
      has_seen_all(record->local->version, *record->remote))
    return;  // a decision alone, which is no edit: it goes on being held
  if (!is_gone(record->local)) {
    // Of a directory or link and that edit both are kept, by the hub.
    apply_change(guard_.on_overruled(path));
    plan_with_below(path);
    return;
  }
  if (record->remote->is_tombstone()) {
    const EntryPtr local = record->local;
    index_.set_local(path, local, FileStat{});
    guard_.on_pushed(path);
    to_push_.insert(path);
    push_changed_ = true;
    return;
  }
  apply_change(guard_.on_overruled(path));
  forget_here(index_, path);
  plan_.insert(path);
}

// The one way by which a path comes to be agreed on: a delete of what was not when a run began
// does not count in it.
void Replica::set_synced(const std::string& path, const EntryPtr& entry) {
  const PathRecord* record = index_.find(path);
  if (is_there(entry) && !(record && is_there(record->synced))) {
    guard_.on_first_synced(path, clock_.now());
    incoming_guard_.on_first_synced(path, clock_.now());
  }
  index_.set_synced(path, entry);
}

void Replica::set_known_synced(const std::string& path, const EntryPtr& entry) {
  set_synced(path, entry);
  if (is_delete(entry)) guard_.on_pushed(path);
}

bool Replica::is_held(const std::string& path) const {
  const PathRecord* record = index_.find(path);
  if (!record || !record->local) return false;
  if (is_gone(record->local))
    return guard_.holds(path) || deletes_wait() || held_below(index_, guard_, path, *record);
  if (!guard_.holding() && !deletes_wait()) return false;
  if (takes_held_place(path, *record)) return true;
  for (auto parent = parent_path(path); !parent.empty(); parent = parent_path(parent)) {
    const std::string above(parent);
    const PathRecord* directory = index_.find(above);
    if (directory && takes_held_place(above, *directory)) return true;
  }
  return false;
}

// A tombstone of ours, or a directory or link where the group has what was deleted.
bool Replica::is_unseen_delete(const std::string& path) const {
  const PathRecord* record = index_.find(path);
  if (!record || !is_delete(record->local)) return false;
  return is_gone(record->local) ||
         (is_there(record->synced) && ends(record->synced->kind, record->local->kind));
}

bool Replica::takes_held_place(const std::string& path, const PathRecord& record) const {
  if (!record.live() || record.local->run == 0 || !is_unseen_delete(path)) return false;
  return guard_.holds(path) || deletes_wait();
}

// ---- deletes of others
// ------------------------------------------------------------------------------

void Replica::plan_incoming() {
  for (const auto& [path, since] : incoming_counted_) plan_.insert(path);
}

void Replica::apply_incoming(const DeleteGuard::Change& change) {
  if (!change.empty()) plan_incoming();
}

// Only what is to be deleted here counts, for as long as it is: what was rejected, taken back or
// made again is no delete, and the next delete of that path is another one. Gives those that are
// not.
void Replica::forget_incoming(const std::vector<std::string>& paths, const Plan& planned,
                              Instant now) {
  if (incoming_counted_.empty()) return;
  std::set<std::string> deletes;
  for (const Operation& operation : planned.operations) {
    if (deletes_here(operation)) deletes.insert(operation.path);
  }
  for (const Blocked& blocked : planned.blocked) {
    if (deletes_here(blocked.operation)) deletes.insert(blocked.operation.path);
  }
  for (const std::string& path : paths) {
    if (deletes.contains(path) || incoming_counted_.erase(path) == 0) continue;
    const PathRecord* record = index_.find(path);
    if (!record || !is_there(record->remote)) {
      apply_incoming(incoming_guard_.on_restored(path));
    } else if (is_overruled(incoming_guard_, index_, path, *record)) {
      apply_incoming(incoming_guard_.on_overruled(path));
    } else {
      apply_incoming(incoming_guard_.on_present(path, *record->remote, now));
    }
  }
}

// A file or link goes: there is a tombstone for it, or a directory or link takes its place.
bool Replica::deletes_here(const Operation& operation) const {
  if (operation.kind == OperationKind::kDelete) return true;
  if (!operation.replaces || !operation.entry) return false;
  const PathRecord* record = index_.find(operation.path);
  return record && record->live() && ends(record->local->kind, operation.entry->kind);
}

bool Replica::is_below_held(const std::string& path) const {
  if (incoming_counted_.empty()) return false;
  for (auto parent = parent_path(path); !parent.empty(); parent = parent_path(parent)) {
    const std::string above(parent);
    if (incoming_counted_.contains(above) && incoming_guard_.holds(above)) return true;
  }
  return false;
}

// A rename needs an old name, here or in the trash by now. Content that is new here must not excuse
// the delete of that very file within the next minute.
bool Replica::may_be_renamed_to(const Operation& operation) const {
  // What is forgotten or has nothing to do has no entry.
  if (!operation.entry) return false;
  const Entry& entry = *operation.entry;
  const PathRecord* record = index_.find(operation.path);
  switch (operation.kind) {
    case OperationKind::kFetch:
      // Once a path: one that waits for its content is planned again and again.
      if (waits_for_.contains(operation.path) || ready_.contains(entry.content)) return false;
      return index_.find_content(entry.content, operation.path) ||
             index_.trash().find_content(entry.content);
    case OperationKind::kMakeSymlink:
      return index_.has_link(entry.content);
    case OperationKind::kMakeDirectory:
      return !record || !record->live();
    default:
      return false;
  }
}

// Unconfirmed deletes of others count together before the first is applied.
void Replica::judge_deletes(const std::vector<Operation>& operations, Instant now) {
  for (const Operation& operation : operations) {
    if (may_be_renamed_to(operation))
      apply_incoming(incoming_guard_.on_present(operation.path, *operation.entry, now));
  }
  for (const Operation& operation : operations) {
    if (!deletes_here(operation)) continue;
    const std::string& path = operation.path;
    const Entry& gone = *operation.entry;
    if (confirmed_runs_.covers(run_label(gone), path, gone.version)) continue;
    const PathRecord* record = index_.find(path);
    if (!record || !record->live()) continue;
    // Not if it is what a deleted file was renamed to: who names one like a conflict copy, and
    // folds that away, has deleted it.
    if (!incoming_guard_.is_heir(path) && has_later_copy(index_, path, *record->local)) continue;
    if (!incoming_counted_.try_emplace(path, now).second) continue;
    // It lost its name in a conflict, and is kept beside it. (Held, and rejected, it took the name
    // again, and lost it again, for as long as somebody rejected: seed 10251.)
    if (std::string copy;
        record->local->is_file() && !(copy = copy_that_keeps(index_, path, *record->local)).empty())
      apply_incoming(incoming_guard_.on_present(copy, *index_.find(copy)->local, now));
    incoming_guard_.on_delete(
        {path, *record->local, run_label(gone), index_.totals().files, true, now, clock_.wall()});
    apply_incoming(incoming_guard_.take_let_go());
  }
}

// ---- a person's word
// ---------------------------------------------------------------------------------

std::uint64_t Replica::held_deletes() const {
  return guard_.held_count() + incoming_guard_.held_count();
}

std::vector<Replica::HeldDeletes> Replica::held_runs() const {
  std::vector<HeldDeletes> out;
  for (const HeldRun& run : guard_.held_runs()) out.push_back({run, options_.node_name, false});
  for (const HeldRun& run : incoming_guard_.held_runs()) {
    std::string author;
    if (const PathRecord* record = index_.find(run.names.front()); record && record->remote)
      author = record->remote->author_name;
    out.push_back({run, std::move(author), true});
  }
  return out;
}

bool Replica::confirming(RunId run) const {
  return std::any_of(confirming_.begin(), confirming_.end(),
                     [&](const Confirming& one) { return one.confirmed.run == run; });
}

std::uint64_t Replica::confirm_deletes(const HeldDeletes& what) {
  std::uint64_t files = 0;
  std::uint64_t all = 0;
  Confirming confirming;
  confirming.confirmed.run = what.run.run;
  const DeleteGuard& guard = what.theirs ? incoming_guard_ : guard_;
  for (const std::string& path : guard.held(what.run.run, what.run.mark)) {
    const PathRecord* record = index_.find(path);
    const EntryPtr entry = !record ? nullptr : what.theirs ? record->remote : record->local;
    if (entry) {
      ++all;
      const EntryKind was = is_gone(entry) ? entry->was : entry->kind;
      if (was != EntryKind::kDirectory) ++files;
    }
    if (is_delete(entry) || (what.theirs && entry)) {
      confirming.confirmed.leaves.push_back(delete_leaf(path, entry->version));
    } else if (!what.theirs && entry) {
      // Heard of, and its timer still runs.
      confirming.waiting.insert(path);
      timer_.forget(path);
      due_.insert(path);
    }
  }
  if (!confirming.confirmed.leaves.empty() || !confirming.waiting.empty())
    confirming_.push_back(std::move(confirming));
  return files > 0 ? files : all;
}

void Replica::step_confirming() {
  for (Confirming& confirming : confirming_) {
    for (auto at = confirming.waiting.begin(); at != confirming.waiting.end();) {
      const PathRecord* record = index_.find(*at);
      const bool gone = record && is_delete(record->local);
      // It is there after all, or another delete by now: no part of what was confirmed.
      const bool none = !record || guard_.run_of(*at) != confirming.confirmed.run;
      if (!gone && !none) {
        ++at;
        continue;
      }
      if (gone && !none)
        confirming.confirmed.leaves.push_back(delete_leaf(*at, record->local->version));
      at = confirming.waiting.erase(at);
    }
  }
}

std::vector<Replica::Confirmed> Replica::take_confirmed() {
  std::vector<Confirmed> out;
  for (Confirming& confirming : confirming_) {
    if (!confirming.waiting.empty()) continue;
    auto& leaves = confirming.confirmed.leaves;
    std::sort(leaves.begin(), leaves.end());
    leaves.erase(std::unique(leaves.begin(), leaves.end()), leaves.end());
    if (!leaves.empty()) out.push_back(std::move(confirming.confirmed));
  }
  std::erase_if(confirming_, [](const Confirming& one) { return one.waiting.empty(); });
  return out;
}

void Replica::let_go(RunId run, std::vector<DeleteLeaf> leaves) {
  confirmed_runs_.add(run, std::move(leaves));
  std::vector<std::string> own;
  for (const std::string& path : guard_.held(run)) {
    const PathRecord* record = index_.find(path);
    if (record && is_delete(record->local) &&
        confirmed_runs_.covers(run, path, record->local->version))
      own.push_back(path);
  }
  guard_.release(own);
  std::vector<std::string> theirs;
  for (const std::string& path : incoming_guard_.held(run)) {
    const PathRecord* record = index_.find(path);
    if (record && record->remote && confirmed_runs_.covers(run, path, record->remote->version))
      theirs.push_back(path);
  }
  incoming_guard_.release(theirs);
  for (const std::string& path : own) plan_with_below(path);
  for (const std::string& path : theirs) plan_with_below(path);
}

void Replica::take_run_back(RunId run) {
  rejected_runs_.insert(run);
  std::erase_if(confirming_, [&](const Confirming& one) { return one.confirmed.run == run; });
  for (const std::string& path : guard_.drop_label(run)) undo_delete(path);
  for (const std::string& path : incoming_guard_.drop_label(run)) keep_deleted(path);
  // Without these the rest may be below the limit.
  plan_incoming();
}

// Not deleted, only absent: the group's version is fetched like any other. So also where the delete
// was only heard of yet; if the file is there after all, it is met when it is to be written.
bool Replica::undo_delete(const std::string& path) {
  const PathRecord* record = index_.find(path);
  if (!record || !record->local) return false;
  timer_.forget(path);
  hints_.erase(path);
  due_.erase(path);
  to_push_.erase(path);
  EntryPtr before = record->synced;
  if (record->live() && record->local->run != 0 && !index_.live_below(path).empty()) {
    // People went on in what took its place: both are kept, which the hub sees to.
    plan_with_below(path);
    forget_here(index_, path);
    due_.insert(path);
    return true;
  }
  if (record->live() && record->local->run != 0) {
    // Something took its place: that is older than what was there.
    Entry there = *record->local;
    there.run = 0;
    there.version = {};
    const FileStat stat = record->stat;
    index_.set_local(path, std::make_shared<const Entry>(std::move(there)), stat);
    plan_.insert(path);
    return true;
  }
  forget_here(index_, path);
  // The hub never heard of it (this node was its own till then): got like what the group has, and
  // pushed when it is here.
  if (!index_.find(path) && is_there(before)) {
    index_.set_remote(path, before);
    brought_back_.insert(path);
  }
  // Nor is it absent because nobody asked for it: a person wants it back.
  if (is_there(before) && before->is_file() && !index_.wants_all()) ask_for(path);
  plan_.insert(path);
  return true;
}

// Keeping what the others deleted is an edit that has seen the delete: it comes back everywhere.
bool Replica::keep_deleted(const std::string& path) {
  const PathRecord* record = index_.find(path);
  if (!record || !record->live() || !record->remote) return false;
  incoming_counted_.erase(path);
  apply_incoming(incoming_guard_.on_restored(path));
  Entry entry = *record->local;
  FileStat stat = record->stat;
  entry.version = VersionVector::merged(entry.version, record->remote->version);
  if (entry.version.parts().size() >= kMaxVectorSize) {
    note_problem(path, kTooManyAuthors);
    return true;
  }
  index_.set_local(path, std::make_shared<const Entry>(entry), stat);
  make_version(path, std::move(entry), stat);
  return true;
}

void Replica::confirm_room() {
  if (!room_.held()) return;
  room_.confirm();
  plan_.merge(awaiting_room_);
}

std::vector<std::pair<std::string, EntryPtr>> Replica::gone_in(const std::set<RunId>& runs) const {
  std::vector<std::pair<std::string, EntryPtr>> out;
  for (const auto& [path, record] : index_.paths()) {
    const EntryPtr& entry = record.remote ? record.remote : record.local;
    if (is_gone(entry) && entry->run != 0 && runs.contains(entry->run))
      out.emplace_back(path, entry);
  }
  return out;
}

std::set<std::string> Replica::paths_of_run(RunId run) const {
  std::set<std::string> out;
  for (const auto& [path, entry] : gone_in({run})) out.insert(path);
  // Those that are let out, and on their way to the hub.
  for (const auto& [path, record] : index_.paths()) {
    if (is_gone(record.local) && record.local->run == run) out.insert(path);
  }
  for (const DeleteGuard* guard : {&guard_, &incoming_guard_}) {
    for (std::string& path : guard->held(run)) out.insert(std::move(path));
  }
  return out;
}

std::vector<std::string> Replica::returned(RunId run) const {
  std::vector<std::string> out = guard_.returned(run);
  for (const auto& [path, record] : index_.paths()) {
    if (!record.live() || run == 0 || record.local->run != run) continue;
    if (is_there(record.remote) && record.remote->run == run) out.push_back(path);
  }
  return out;
}

// Parents come before what is in them.
void Replica::make_directories_again(std::vector<std::pair<std::string, std::uint16_t>> directories,
                                     std::function<void()> done) {
  std::erase_if(directories, [&](const auto& one) { return busy_.contains(one.first); });
  auto all = std::make_shared<decltype(directories)>(std::move(directories));
  for (const auto& [path, mode] : *all) busy_.insert(path);
  executor_.submit(
      JobClass::kDisk,
      [this, all] {
        for (const auto& [path, mode] : *all) {
          for (std::size_t slash = path.find('/'); slash != std::string::npos;
               slash = path.find('/', slash + 1)) {
            (void)files_.make_directory(path.substr(0, slash), 0755);
          }
          (void)files_.make_directory(path, mode);
        }
      },
      [this, all, done = std::move(done)] {
        for (const auto& [path, mode] : *all) {
          busy_.erase(path);
          due_.insert(path);
        }
        done();
      });
}

}  // namespace lansync
