// Names that the group tells apart and this disk does not.
#include "sync/replica.h"

namespace lansync {

// True: `operation` is not carried out as it stands, because the disk takes its name for another
// that is here. Of a rename that changes case alone the other goes: then what is here is renamed.
bool Replica::meets_twin(const Operation& operation) {
  if (limits_.tells_names()) return false;
  const std::string& path = operation.path;
  const PathRecord* record = index_.find(path);
  const bool makes = operation.kind == OperationKind::kFetch ||
                     operation.kind == OperationKind::kMakeDirectory ||
                     operation.kind == OperationKind::kMakeSymlink;
  const bool removes = operation.kind == OperationKind::kDelete;
  if (!(makes && !(record && record->live())) && !removes) return false;
  const std::optional<std::string> twin = folded_.twin_of(path);
  const PathRecord* other = twin ? index_.find(*twin) : nullptr;
  if (!other || !other->live()) return false;
  if (busy_.contains(*twin)) {
    plan_.insert(path);
    return true;
  }
  if (removes) {
    // What the name shows is the other's: it goes from the index alone.
    index_.set_local(path, operation.entry, FileStat{});
    set_synced(path, operation.entry);
    settled_.push_back(path);
    return true;
  }
  const bool goes = other->remote && other->remote->is_tombstone() &&
                    other->remote->version.compare(other->local->version) == Order::kNewer;
  if (goes && same_content(*operation.entry, *other->local)) {
    rename_twin(operation, *twin);
    return true;
  }
  obstacles_.on_behind(path, operation.entry->version, *twin);
  note_problem(path, str("cannot stand here beside ", printable(*twin, 300),
                         ": this disk takes the two names for one; rename one of them on a machine "
                         "that tells them apart"));
  drop_interest(path);
  agree_unheld(path);
  return true;
}

void Replica::rename_twin(const Operation& operation, const std::string& twin) {
  DiskChange change;
  change.kind = DiskChange::Kind::kRenameFold;
  change.path = operation.path;
  change.entry = operation.entry;
  change.from = twin;
  change.expected = index_.find(twin)->stat;
  drop_interest(operation.path);
  busy_.insert(operation.path);
  busy_.insert(twin);
  changes_.push_back(std::move(change));
}

// The old name is gone with that rename, as the group has it.
void Replica::end_rename(const DiskChange& change, bool done) {
  busy_.erase(change.from);
  plan_.insert(change.from);
  const PathRecord* record = index_.find(change.from);
  if (!done || !record || !record->remote || !record->remote->is_tombstone()) return;
  const EntryPtr gone = record->remote;
  index_.set_local(change.from, gone, FileStat{});
  set_synced(change.from, gone);
  guard_.on_pushed(change.from);
  incoming_guard_.on_pushed(change.from);
  incoming_counted_.erase(change.from);
  clear_obstacle(change.from);
  settled_.push_back(change.from);
}

// True: what was seen at `path` is what stands there under the other name.
bool Replica::is_seen_twin(const Observation& seen) {
  if (limits_.tells_names()) return false;
  const PathRecord* record = index_.find(seen.path);
  if (record && record->live()) return false;
  const std::optional<std::string> twin = folded_.twin_of(seen.path);
  if (!twin || *twin == seen.path) return false;
  const PathRecord* other = index_.find(*twin);
  if (!other || !other->live()) return false;
  obstacles_.pass_over(seen.path, seen.stat);
  // Edits under this name are edits of that file.
  if (!(other->stat == seen.stat)) due_.insert(*twin);
  return true;
}

}  // namespace lansync
