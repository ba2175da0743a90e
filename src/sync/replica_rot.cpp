// Rot: files whose bytes are not those that were verified, though nobody touched them. Found by
// reading anew (roles/queries); healed with bytes from another node, never the other way round.
#include "sync/bystander.h"
#include "sync/replica.h"
#include "sync/settlement.h"

namespace lansync {

bool Replica::is_rotten(const std::string& path) const {
  auto at = rotten_.find(path);
  if (at == rotten_.end()) return false;
  // Written anew since: other bytes, judged like any edit.
  const PathRecord* record = index_.find(path);
  return record != nullptr && record->live() && record->stat == at->second;
}

void Replica::on_rot(const std::string& path) {
  const PathRecord* record = index_.find(path);
  if (record == nullptr || !record->live() || is_rotten(path)) return;
  if (rotten_.size() >= kMaxProblems) rotten_.erase(rotten_.begin());
  rotten_[path] = record->stat;
  log_.warn(str("silent corruption: ", printable(path),
                ": its bytes are not those that were verified, and nobody touched it; `lansync "
                "hash checkall --repair` from another node heals it"));
}

// A power cut takes bytes that were read when the file was written and had not reached the disk,
// and a disk loses some: the index has a version that nobody can be given, and its push would be
// refused for ever. The file's stat hides it, so it is read.
void Replica::doubt_push(const std::string& path) {
  const PathRecord* record = index_.find(path);
  if (!record || !record->live() || !record->local->is_file() || busy_.contains(path)) return;
  run_examine(files_, executor_, {{path, std::nullopt, true}},
              [this, entry = record->local](std::vector<Observation> seen) {
                on_doubted(entry, seen.front());
              });
}

// What stands there becomes a version of its own, by nobody in particular: it goes past what the
// group has as far as the lost one did, and is concurrent with that, should somebody have its bytes
// after all (bystander_id).
void Replica::on_doubted(const EntryPtr& entry, const Observation& seen) {
  const std::string& path = seen.path;
  const PathRecord* record = index_.find(path);
  if (!record || record->local != entry || busy_.contains(path) || frozen_) return;
  if (seen.kind != Observation::Kind::kPresent || !(seen.stat == record->stat)) return;
  if (seen.content == entry->content) return;
  on_rot(path);
  // With bytes that the group has it is healed, and not the other way round.
  const EntryPtr& theirs = record->remote;
  if (!remote_known_ || !to_push_.contains(path) || (theirs && same_content(*theirs, *entry)))
    return;
  if (edit_reserved_ < counter_.last() + kCountReserve / 4) return;
  const bool goes_past = theirs && entry->version.covers(theirs->version);
  const VersionVector before = goes_past ? theirs->version : VersionVector();
  const ShortId id = bystander_id(options_.node, counter_.next());
  auto version = VersionVector::next(before, id, 1, kMaxVectorSize);
  if (!version) return;
  auto made = std::make_shared<Entry>(*entry);
  made->content = seen.content;
  made->md5 = seen.md5;
  made->size = seen.stat.size;
  made->version = std::move(*version);
  note_edits(*made, nullptr, before);
  log_.warn(str(printable(path),
                ": no other node has the bytes that it had; what the disk shows is ",
                "synced from now on"));
  rotten_.erase(path);
  index_.set_local(path, std::move(made), seen.stat);
  plan_.insert(path);
  reserve_counts();
}

void Replica::repair(const std::string& path, std::function<void(Status)> done) {
  auto refuse = [&](const std::string& why) {
    ended_repairs_.emplace_back(std::move(done), Error{ErrorCode::kBusy, why});
  };
  const PathRecord* record = index_.find(path);
  if (record == nullptr || !record->live() || !record->local->is_file())
    return refuse("it is gone");
  if (busy_.contains(path) || repairs_.contains(path)) return refuse("it is being changed");
  if (!remote_known_ || sources_for(path).empty())
    return refuse("no other node is there to fetch good bytes from");
  const EntryPtr entry = record->local;
  repairs_[path] = {entry, std::move(done)};
  // The copy that the index knows of is the bad one.
  no_copy_.insert(entry->content);
  want_content(path, entry);
}

void Replica::end_repair(const std::string& path, Status status) {
  auto at = repairs_.find(path);
  if (at == repairs_.end()) return;
  if (status) {
    rotten_.erase(path);
    log_.info(str("repaired ", printable(path), "; the bad copy is in the trash"));
  }
  ended_repairs_.emplace_back(std::move(at->second.done), std::move(status));
  repairs_.erase(at);
  // What the group has there may be another version, whose turn is now. (Simulator's seed 4908.)
  plan_.insert(path);
}

// True: the content goes to a path that waits to be repaired.
bool Replica::install_repair(const std::string& path, const std::string& temp) {
  auto at = repairs_.find(path);
  if (at == repairs_.end() || busy_.contains(path)) return false;
  const PathRecord* record = index_.find(path);
  if (record == nullptr || record->local != at->second.entry) return false;
  queue_change({OperationKind::kFetch, path, at->second.entry}, DiskChange::Kind::kInstall, temp);
  return true;
}

void Replica::run_repairs() {
  std::vector<std::pair<std::string, const char*>> lost;
  for (const auto& [path, repair] : repairs_) {
    if (busy_.contains(path)) continue;
    if (!waits_for_.contains(path)) {
      lost.emplace_back(path, "it was changed meanwhile");
    } else if (sources_for(path).empty()) {
      lost.emplace_back(path, "no other node is there to fetch good bytes from");
    }
  }
  for (const auto& [path, why] : lost) {
    end_repair(path, Error{ErrorCode::kBusy, why});
    plan_.insert(path);
  }
  for (auto& [done, status] : std::exchange(ended_repairs_, {})) done(status);
}

}  // namespace lansync
