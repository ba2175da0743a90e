// A rename without a second copy. Its new name is copied from the old one as long as there is room,
// and the old one's content is not kept in the trash then: it stands under the new name. Where
// there is no room for both, or the old name went first (its delete is noticed at once, the new one
// after it was hashed), the content goes into the trash with the old name, and from there to the
// new one.
//
// So at each moment the content is in the folder, or in the trash with its row: a kill is met like
// any other that leaves something there. What was moved is verified before, and is the file that
// was looked at then. A delete that a person may take back (DESIGN, Deletes) is none of this: what
// counts as half of a rename is what the guard has judged so.
#include <utility>

#include "sync/hash_file.h"
#include "sync/replica.h"

namespace lansync {
namespace {

constexpr Duration kLookAgain = 3s;

struct Verified {
  Status status;
  FileStat stat;
};

// On a worker.
Verified verify_in_trash(FileSystem& files, const std::string& name, const ContentId& wanted) {
  auto file = files.open_trash(name);
  if (!file) return {file.error(), {}};
  auto stat = (*file)->stat();
  if (!stat) return {stat.error(), {}};
  const auto digests = digests_of_file(file);
  if (!digests) return {digests.error(), {}};
  if (digests->content == wanted) return {{}, *stat};
  return {Error{ErrorCode::kChanged, "the trash has other bytes than the index says"}, {}};
}

}  // namespace

// Others deleted it, and nothing holds that back.
bool Replica::is_going(const std::string& path) const {
  const PathRecord* record = index_.find(path);
  if (!record || !record->live() || !record->remote || !record->remote->is_tombstone())
    return false;
  return record->remote->version.compare(record->local->version) == Order::kNewer &&
         !rejected_runs_.contains(record->remote->run) && !incoming_guard_.holds(path) &&
         !timer_.waiting(path) && !obstacles_.stands(path);
}

// True: there is no room beside the old name, which is on its way into the trash.
bool Replica::waits_for_old_name(const std::string& from, const std::string& path) {
  if (!is_going(from)) return false;
  plan_.insert(from);
  // Should that come to nothing.
  retry_later(path, clock_.now(), kLookAgain);
  return true;
}

// True: its new name is being made, and what the trash need not keep is known when that is there.
bool Replica::waits_for_new_name(const std::string& path) {
  const PathRecord* record = index_.find(path);
  if (!record || !record->live() || !installing_.contains(record->local->content)) return false;
  if (!busy_.contains(incoming_guard_.moved_to(path))) return false;
  blocked_.insert(path);
  return true;
}

bool Replica::may_leave_trash(const std::string& name) const {
  const TrashItem* item = index_.trash().find(name);
  return item && !item->symlink && !trash_.is_going(name) && !trash_.is_promised(name) &&
         !guard_.holds(item->path) && !incoming_guard_.holds(item->path);
}

// One of `paths` is the new name of what was deleted there.
bool Replica::was_renamed(const std::string& name, const std::set<std::string>& paths) const {
  const TrashItem& item = *index_.trash().find(name);
  if (item.reason != TrashReason::kDeleted) return false;
  const std::string to = incoming_guard_.moved_to(item.path);
  return !to.empty() && paths.contains(to);
}

// A copy failed. True: it is done without one, because what it was to be made of goes away or is in
// the trash.
bool Replica::make_do_without_copy(const ContentId& content, const Error& error) {
  auto waiting = waiting_.find(content);
  if (error.code != ErrorCode::kNoSpace || waiting == waiting_.end()) return false;
  const LocalCopy& copy = copying_.at(content);
  const bool enough = copy.from_trash ? may_leave_trash(copy.from) : is_going(copy.from);
  if (enough) waiting->second.cramped = true;
  return enough;
}

void Replica::start_move(const ContentId& content) {
  auto verified = std::make_shared<Verified>();
  executor_.submit(
      JobClass::kBulk,
      [this, content, name = copying_.at(content).from, verified] {
        *verified = verify_in_trash(files_, name, content);
      },
      [this, content, verified] {
        const std::string name = copying_.at(content).from;
        end_copy(content);
        auto waiting = waiting_.find(content);
        if (waiting == waiting_.end()) return;
        if (verified->status) {
          waiting->second.lies = name;
          waiting->second.lies_stat = verified->stat;
        } else {
          no_copy_.insert(content);
        }
      });
}

// What was verified in the trash is for `path`.
bool Replica::take_from_trash(const std::string& path, const EntryPtr& entry) {
  auto waiting = waiting_.find(entry->content);
  if (waiting == waiting_.end() || waiting->second.lies.empty()) return false;
  const std::string name = std::exchange(waiting->second.lies, {});
  const FileStat stat = waiting->second.lies_stat;
  if (!may_leave_trash(name)) return false;
  queue_change({OperationKind::kFetch, path, entry}, DiskChange::Kind::kInstall, {});
  changes_.back().lies = name;
  changes_.back().lies_stat = stat;
  drop_interest(path);
  return true;
}

// True: one of those that wait has its turn.
bool Replica::serve_from_trash(const ContentId& content) {
  WaitingPaths& waiting = waiting_.at(content);
  if (waiting.lies.empty()) return false;
  for (const std::string& path : waiting.paths) {
    if (is_unplanned(path)) continue;
    plan_.insert(path);
    more_to_plan_ = true;
    return true;
  }
  // For what a plan leads nowhere only a copy will do.
  waiting.lies.clear();
  no_copy_.insert(content);
  return false;
}

// What others renamed goes, and its content stands under the new name.
void Replica::note_where_it_stands(DiskChange& change) const {
  if (change.displaces.reason != TrashReason::kDeleted || change.displaces.symlink) return;
  const std::string to = incoming_guard_.moved_to(change.path);
  const PathRecord* record = to.empty() ? nullptr : index_.find(to);
  if (!record || !record->live() || !record->local->is_file() || busy_.contains(to) ||
      is_rotten(to) || record->local->content != change.displaces.content)
    return;
  change.stands_at = to;
  change.stands_stat = record->stat;
}

// It is not there any more, or perhaps: then the trash is asked.
void Replica::note_left_trash(const DiskChange& change, const DiskOutcome& outcome) {
  if (change.lies.empty()) return;
  const TrashItem* item = index_.trash().find(change.lies);
  if (outcome.status || !item) return trash_.forget(change.lies);
  trash_.give_up(change.lies, TrashItem(*item));
  // It may stand at its new name by now, and nowhere else.
  due_.insert(change.path);
}

}  // namespace lansync
