// The paths that this disk cannot hold as the group has them: when they are planned, and what is
// said of them; and how what is said of a path is noted and taken back.
#include "base/log.h"
#include "base/rel_path.h"
#include "sync/replica.h"
#include "sync/settlement.h"

namespace lansync {

// True: it is not planned now, and nothing is fetched for it.
bool Replica::stopped_by_obstacle(const std::string& path, Instant now) {
  const PathRecord* record = index_.find(path);
  if (obstacles_.empty() || !record || !record->remote) return false;
  const VersionVector& version = record->remote->version;
  const bool makes = !record->live() && !record->remote->is_tombstone();
  if (auto above = makes ? obstacles_.standing_above(path) : std::nullopt) {
    obstacles_.on_behind(path, version, *above);
    note_problem(path, str("is not synced here, because ", printable(*above, 300), " is not"));
  }
  if (!obstacles_.blocks(path, version, now)) return false;
  drop_interest(path);
  awaiting_room_.erase(path);
  return true;
}

// What is on this disk already is not taken from anybody: a large file that was here before the
// limit was set may get another name.
std::optional<std::string> Replica::cannot_hold(const std::string& path, const Entry& entry) const {
  if (entry.is_file() && options_.max_file_size != 0 && entry.size > options_.max_file_size &&
      !has_bytes(entry.content, path))
    return "is larger than --max-file-size and is not taken";
  return why_not_held(limits_, path, entry);
}

// True: `operation` is not even tried.
bool Replica::refuses(const Operation& operation) {
  const bool makes = operation.kind == OperationKind::kFetch ||
                     operation.kind == OperationKind::kMakeDirectory ||
                     operation.kind == OperationKind::kMakeSymlink;
  const auto why = makes ? cannot_hold(operation.path, *operation.entry) : std::nullopt;
  if (!why) return false;
  obstacles_.on_refused(operation.path, operation.entry->version);
  note_problem(operation.path, *why);
  drop_interest(operation.path);
  agree_unheld(operation.path);
  return true;
}

// A leaf of the group was what kept a deleted directory below it from being kept as an edit (see
// keep_directory). With a directory there again it may be.
void Replica::look_below_a_directory(const std::string& path, const EntryPtr& entry) {
  const PathRecord* record = index_.find(path);
  const EntryPtr before = record ? record->remote : nullptr;
  const bool was_leaf = before && (before->is_file() || before->is_symlink());
  if (!was_leaf || !entry || !entry->is_directory()) return;
  for (std::string& below : obstacles_.below(path)) {
    obstacles_.on_event_below(below);
    plan_.insert(std::move(below));
  }
}

// The group's version of `path` is agreed on though this disk does not hold it, once that is sure:
// a hub publishes it all the same (others can hold it, and get it from its author), and whoever is
// hub next still knows of it.
void Replica::agree_unheld(const std::string& path) {
  const PathRecord* record = index_.find(path);
  if (!remote_known_ || !record || !record->remote || !obstacles_.stands(path)) return;
  // An edit of this disk that the group's version has not seen goes first.
  if (record->local && record->local->version.compare(record->remote->version) != Order::kOlder)
    return;
  if (record->wanted == PathRecord::kHubKeeps) unkeep(path);
  // Bytes that came for it alone have no use here; others who want them are told so, and look
  // elsewhere, instead of waiting for what comes to no name.
  const ContentId content = record->remote->content;
  if (auto ready = ready_.find(content); ready != ready_.end() && !waiting_.contains(content)) {
    for (const std::string& temp : ready->second.temps) release_temp(content, temp);
    ready_.erase(ready);
  }
  set_known_synced(path, record->remote);
  settled_.push_back(path);
}

void Replica::meet_obstacle(const DiskChange& change, const Error& error) {
  const std::string& path = change.path;
  const bool in_the_way = error.code == ErrorCode::kExists || error.code == ErrorCode::kChanged;
  if (!obstacles_.on_failed(path, change.entry->version, in_the_way, clock_.now())) return;
  agree_unheld(path);
  // As it is now, so that an event of it (`chattr -i`, `chmod`) is known to be a change.
  if (!in_the_way) on_content_changed(path);
  auto known = problems_.find(path);
  constexpr std::string_view kInTheWay = "; so the group's version of it is not here";
  if (known == problems_.end()) {
    note_problem(path, str("the group's version is not taken here: ", error.detail));
  } else if (!known->second.ends_with(kInTheWay)) {
    note_problem(path, str(known->second, kInTheWay));
  }
}

bool Replica::group_has_a_leaf_above(const std::string& path) const {
  for (auto parent = parent_path(path); !parent.empty(); parent = parent_path(parent)) {
    const PathRecord* record = index_.find(std::string(parent));
    const EntryPtr remote = record ? record->remote : nullptr;
    if (remote && (remote->is_file() || remote->is_symlink())) return true;
  }
  return false;
}

void Replica::clear_obstacle(const std::string& path) {
  if (obstacles_.empty()) return;
  if (obstacles_.contains(path)) problems_.erase(path);
  for (std::string& freed : obstacles_.clear(path)) {
    problems_.erase(freed);
    plan_.insert(std::move(freed));
  }
}

// Something is other than it was where an obstacle is: it is tried again.
void Replica::look_at_obstacle(const std::string& path, const std::optional<FileStat>& stat) {
  if (obstacles_.on_seen(path, stat)) plan_.insert(path);
}

void Replica::look_at_obstacles_above(const std::string& path) {
  if (obstacles_.empty()) return;
  for (auto parent = parent_path(path); !parent.empty(); parent = parent_path(parent)) {
    std::string above(parent);
    if (!obstacles_.contains(above)) continue;
    obstacles_.on_event_below(above);
    plan_.insert(std::move(above));
  }
}

// ---- what is said
// -------------------------------------------------------------------------------------------

// What the last scan could not enter stays named until a scan can.
void Replica::clear_problem(const std::string& path) {
  if (kept_from_others(path)) return note_problem(path, kTooManyAuthors);
  // Its content is waited for still, whatever its place looks like. (A scan made a node say that it
  // lacks nothing. Simulator's seed 4908.)
  if (const std::string said = unfetched_.take_said(path); !said.empty()) {
    unfetched_.said(path, said);
    return note_problem(path, said);
  }
  if (!unknown_below_.contains(path)) problems_.erase(path);
}

void Replica::note_problem(const std::string& path, const std::string& reason) {
  if (problems_.size() >= kMaxProblems && !problems_.contains(path)) return;
  auto [at, fresh] = problems_.insert_or_assign(path, reason);
  (void)at;
  if (fresh) log_.warn(str(printable(path), ": ", printable(reason)));
}

}  // namespace lansync
