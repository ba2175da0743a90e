#include "sync/delete_guard.h"

#include <algorithm>
#include <utility>

#include "base/assert.h"
#include "base/rel_path.h"

namespace lansync {
namespace {

// A rename of a whole folder is noticed at its new place first, before one delete. 2^18 contents
// take about 25 MB, for a minute.
constexpr std::size_t kMaxAppeared = std::size_t{1} << 18;
constexpr std::size_t kMaxRemembered = std::size_t{1} << 18;  // of fresh_, and of a run's returned
constexpr std::size_t kMaxDirectories = 4096;
constexpr std::size_t kMaxLooked = 256;

// What can tell that a delete was half of a rename; zero if nothing can.
ContentId telling_content(const Entry& entry) {
  if (entry.is_directory() || (entry.is_file() && entry.size == 0)) return {};
  return entry.content;
}

std::uint64_t key_of(const ContentId& content) { return TaggedBytesHash{}(content); }

std::string_view last_part(std::string_view path) {
  std::size_t slash = path.rfind('/');
  return slash == std::string_view::npos ? path : path.substr(slash + 1);
}

// Renamed where it is, or moved under its name.
bool may_be_renamed(std::string_view from, std::string_view to) {
  return parent_path(from) == parent_path(to) || last_part(from) == last_part(to);
}

// Which these are is not known, so that one is counted each time it is seen: early, and never
// beyond what was there. True: the first.
template <typename Run>
bool count_untracked(Run& run, bool counts) {
  const bool first = run.untracked == 0;
  const bool more = counts && run.count < run.files_at_start;
  if (more) ++run.count;
  if (more || first) ++run.untracked;
  return first;
}

}  // namespace

DeleteGuard::DeleteGuard(MaxDeletes limit, Side side, std::function<RunId()> new_run,
                         std::size_t max_tracked)
    : limit_(limit), side_(side), new_run_(std::move(new_run)), max_tracked_(max_tracked) {}

bool DeleteGuard::over_without_late(const Run& run) const {
  if (run.pinned) return true;
  if (limit_.holds_all()) return run.count > 0 || run.unpushed > 0;
  return limit_.exceeded_by(run.count, run.files_at_start);
}

bool DeleteGuard::over(const Run& run) const {
  if (over_without_late(run)) return true;
  return run.late > 0 && limit_.exceeded_by(run.count + run.late, run.files_late);
}

// ---- runs

DeleteGuard::Run& DeleteGuard::current_run(const HeardDelete& heard) {
  if (!current_) {
    runs_.emplace_back();
    Run& run = runs_.back();
    run.id = new_run_();
    run.files_at_start = heard.files_total;
    run.began = heard.now;
    run.since = heard.wall;
    current_ = changed_ = true;
  }
  last_delete_ = heard.now;
  return runs_.back();
}

void DeleteGuard::end_current() {
  if (!current_) return;
  current_ = false;
  changed_ = true;
  fresh_.clear();
  forget_heirs();
  drop_if_done(std::prev(runs_.end()));
}

// Of renames alone nobody has lost anything: the run begins with the first delete that counts, and
// what has come by then was in sync. (Simulator's seed 14: a rename, then a folder of 176 files
// came, then it was deleted within the minute, and nobody was asked.)
void DeleteGuard::begin_anew_if_nothing_counts(const HeardDelete& heard) {
  if (!current_) return;
  Run& run = runs_.back();
  if (run.count + run.late > 0 || run.untracked > 0) return;
  run.files_at_start = heard.files_total;
  run.began = heard.now;
  run.since = heard.wall;
  changed_ = true;
  fresh_.clear();
}

void DeleteGuard::expire(Instant now) {
  if (current_ && (now - last_delete_ > kRunGap || now - runs_.back().began > kRunLength))
    end_current();
  while (!appeared_.empty() && now - appeared_.front().at > kRunGap)
    drop_appeared(appeared_.begin());
  while (!new_directories_.empty() && now - new_directories_.front().first > kRunGap)
    new_directories_.pop_front();
}

void DeleteGuard::drop_run(Runs::iterator run) {
  while (!run->members.empty()) erase(deletes_.find(run->members.back()->first));
  if (current_ && run == std::prev(runs_.end())) {
    current_ = false;
    fresh_.clear();
    forget_heirs();
  }
  std::erase_if(restored_, [&](const auto& item) { return item.second == run; });
  runs_.erase(run);
  changed_ = true;
  held_runs_known_ = false;
}

void DeleteGuard::drop_if_done(Runs::iterator run) {
  bool takes_more = current_ && run == std::prev(runs_.end());
  if (!takes_more && (!over(*run) || run->unpushed + run->untracked == 0)) drop_run(run);
}

// ---- one delete

void DeleteGuard::insert(Runs::iterator run, const std::string& path, Delete what) {
  const bool was_over = over(*run);
  what.run = run;
  what.slot = run->members.size();
  what.mark = next_mark_++;
  auto [at, fresh] = deletes_.emplace(path, what);
  LS_ASSERT(fresh);
  run->members.push_back(&*at);
  held_runs_known_ = false;
  if (what.counts) ++(what.late ? run->late : run->count);
  if (!what.pushed) {
    ++run->unpushed;
    if (!what.directory()) ++run->unpushed_files;
    if (++run->unpushed_of[what.label] == 1) changed_ = true;
  }
  if (!what.content.is_zero()) by_content_.insert({key_of(what.content), &at->first});
  changed_ = changed_ || over(*run) != was_over;
}

void DeleteGuard::mark_pushed(Delete& what) {
  if (what.pushed) return;
  what.pushed = true;
  held_runs_known_ = false;
  Run& run = *what.run;
  --run.unpushed;
  if (!what.directory()) --run.unpushed_files;
  auto label = run.unpushed_of.find(what.label);
  LS_ASSERT(label != run.unpushed_of.end());
  if (--label->second == 0) {
    run.unpushed_of.erase(label);
    changed_ = true;
  }
}

void DeleteGuard::erase(Deletes::iterator at) {
  LS_ASSERT(at != deletes_.end());
  Delete& what = at->second;
  Run& run = *what.run;
  const bool was_over = over(run);
  mark_pushed(what);
  if (what.counts) --(what.late ? run.late : run.count);
  if (!what.content.is_zero()) by_content_.erase({key_of(what.content), &at->first});
  Node* last = run.members.back();
  run.members[what.slot] = last;
  last->second.slot = what.slot;
  run.members.pop_back();
  held_runs_known_ = false;
  deletes_.erase(at);
  changed_ = changed_ || over(run) != was_over;
}

bool DeleteGuard::on_delete(const HeardDelete& heard) {
  expire(heard.now);
  const std::string& path = heard.path;
  // That it appeared here is no reason why it may go.
  forget_appeared(path);
  if (excused_.contains(path)) return true;
  if (auto at = deletes_.find(path); at != deletes_.end()) {
    // One that is seen again is no news: it is heard of first, and looked at later.
    if (!at->second.pushed) return !held(*at);
    if (ends(at->second.kind, heard.was.kind)) return count_on(at);
    let_go_ = on_restored(path);  // it must have been there again
  }
  begin_anew_if_nothing_counts(heard);
  const std::optional<Heir> heir = take_heir(path, heard.now);
  const bool fresh = !limit_.holds_all() && fresh_.contains(path);
  const bool late = fresh && !heir && take_late(heard);
  if (!heir && (!heard.in_sync || (fresh && !late))) return true;
  Delete what;
  what.late = late;
  what.label = heard.label;
  what.kind = heard.was.kind;
  what.counts = !what.directory();
  what.content = telling_content(heard.was);
  auto restored = restored_.find(heard.label);
  Runs::iterator run;
  if (restored != restored_.end()) {
    run = restored->second;
  } else {
    (void)current_run(heard);
    run = std::prev(runs_.end());
  }
  const std::optional<Appearance> by = take_appeared(what.content);
  const bool moved_away = run->excused_above.contains(path) && !has_deletes_below(path);
  if (by || (what.directory() && (moved_away || take_new_directory(path)))) {
    note_above(*run, path);
    note_excused(path, by ? by->path : std::string());
    if (by) {
      Heirlooms of = heir ? heir->of : Heirlooms{};
      if (!heir || heir->as_well) of.push_back({path, what, heard.files_total});
      note_heir(*by, std::move(of), heard.now);
    }
    return true;
  }
  if (heir) count_again(*heir, heard.in_sync, run);
  if (!heard.in_sync) return true;
  if (what.label == 0) what.label = run->id;
  if (deletes_.size() >= max_tracked_) {
    changed_ = count_untracked(*run, what.counts) || changed_;
    return !over(*run);
  }
  insert(run, path, what);
  return !held(*deletes_.find(path));
}

// What came while a run was open and is deleted in it. Of the minute before nobody is asked: a
// build makes its files and removes them. What has been in sync for longer would be guarded if
// nobody had deleted something else each minute, for an hour, and is guarded all the same.
bool DeleteGuard::take_late(const HeardDelete& heard) {
  auto at = fresh_.find(heard.path);
  if (!heard.in_sync || !current_ || heard.now - at->second <= kRunGap) return false;
  fresh_.erase(at);
  Run& run = runs_.back();
  const std::uint64_t files = heard.files_total + run.count + run.late;
  changed_ = changed_ || files > run.files_late;
  run.files_late = std::max(run.files_late, files);
  return true;
}

// What had taken its place goes as well: that is no second delete, but must not go unasked either.
bool DeleteGuard::count_on(Deletes::iterator at) {
  const std::string path = at->first;
  Delete again = at->second;
  erase(at);
  again.pushed = false;
  insert(again.run, path, again);
  return !held(*deletes_.find(path));
}

void DeleteGuard::on_first_synced(const std::string& path, Instant now) {
  if (auto at = appeared_at_.find(path); at != appeared_at_.end()) at->second->synced = true;
  if (!current_ || runs_.back().returned.contains(path) || heirs_.contains(path)) return;
  if (fresh_.size() < kMaxRemembered) fresh_.try_emplace(path, now);
}

void DeleteGuard::on_pushed(const std::string& path) {
  excused_.erase(path);
  auto at = deletes_.find(path);
  if (at == deletes_.end()) return;
  mark_pushed(at->second);
}

// ---- what turns out to be no delete

DeleteGuard::Change DeleteGuard::on_present(const std::string& path, const Entry& is, Instant now) {
  expire(now);
  forget_appeared(path);
  const ContentId content = telling_content(is);
  auto at = deletes_.find(path);
  const bool ended = at != deletes_.end() && ends(at->second.kind, is.kind);
  if (at != deletes_.end() && !ended) {
    const bool as_before =
        at->second.directory() ? is.is_directory() : at->second.content == content;
    Change change = on_restored(path);
    // One reappearance excuses one delete, and this was the path's own.
    if (as_before || is.is_directory()) return change;
    Change more = excuse_by(path, content, now);
    change.excused = std::move(more.excused);
    change.emptied = std::move(more.emptied);
    change.freed.insert(change.freed.end(), more.freed.begin(), more.freed.end());
    return change;
  }
  if (!ended) {
    excused_.erase(path);
    forget_heir_of(path);
  }
  if (is.is_directory()) return on_new_directory(path, now);
  return excuse_by(path, content, now);
}

DeleteGuard::Change DeleteGuard::excuse_by(const std::string& path, const ContentId& content,
                                           Instant now) {
  if (content.is_zero()) return {};
  // It has excused one already.
  if (auto heir = heirs_.find(path);
      heir != heirs_.end() && (current_ || now - heir->second.at <= kRunGap))
    return {};
  auto other = find_excusable(content, path);
  if (other == deletes_.end()) {
    note_appeared(path, content, now);
    return {};
  }
  Heirlooms of{{other->first, other->second, 0}};
  Change change = excuse(other);
  note_heir({now, content, path, 0, false}, std::move(of), now);
  return change;
}

DeleteGuard::Change DeleteGuard::on_new_directory(const std::string& path, Instant now) {
  // Of directories only those that held nothing: others go when what was in them goes.
  std::size_t looked = 0;
  for (const Run& run : runs_) {
    for (const Node* member : run.members) {
      if (++looked > kMaxLooked) break;
      const auto& [name, what] = *member;
      if (!what.directory() || what.pushed || !may_be_renamed(name, path)) continue;
      if (has_deletes_below(name)) continue;
      if (!run.excused_above.contains(name)) return excuse(deletes_.find(name));
    }
  }
  if (new_directories_.size() >= kMaxDirectories) new_directories_.pop_front();
  new_directories_.emplace_back(now, path);
  return {};
}

bool DeleteGuard::take_new_directory(const std::string& path) {
  if (has_deletes_below(path)) return false;
  std::size_t looked = 0;
  for (auto at = new_directories_.rbegin(); at != new_directories_.rend(); ++at) {
    if (++looked > kMaxLooked) return false;
    if (at->second == path || !may_be_renamed(path, at->second)) continue;
    new_directories_.erase(std::next(at).base());
    return true;
  }
  return false;
}

DeleteGuard::Change DeleteGuard::on_restored(const std::string& path, std::optional<EntryKind> is) {
  Change change;
  auto at = deletes_.find(path);
  if (at != deletes_.end() && is && ends(at->second.kind, *is)) return change;
  excused_.erase(path);
  forget_heir_of(path);
  if (at == deletes_.end()) return change;
  auto run = at->second.run;
  const bool was_over = over(*run);
  if (run->returned.size() < kMaxRemembered) run->returned.insert(path);
  erase(at);
  collect_freed(*run, was_over, change);
  if (over(*run)) collect_freed_above(*run, path, change);
  drop_if_done(run);
  return change;
}

DeleteGuard::Change DeleteGuard::on_overruled(const std::string& path) {
  auto at = deletes_.find(path);
  if (at != deletes_.end() && over(*at->second.run)) {
    at->second.run->pinned = true;
    changed_ = true;
  }
  return on_restored(path);
}

DeleteGuard::Change DeleteGuard::excuse(Deletes::iterator at) {
  Change change;
  auto run = at->second.run;
  const bool was_over = over(*run);
  const std::string path = at->first;
  note_above(*run, path);
  if (!at->second.pushed) note_excused(path);
  erase(at);
  change.excused = path;
  excuse_emptied(path, change);
  collect_freed(*run, was_over, change);
  if (over(*run)) collect_freed_above(*run, path, change);
  drop_if_done(run);
  return change;
}

bool DeleteGuard::has_deletes_below(const std::string& path) const {
  auto below = deletes_.lower_bound(path + '/');
  return below != deletes_.end() && is_within(below->first, path);
}

// A directory from which all was moved away was moved itself: who undoes the run must not bring its
// old name back.
void DeleteGuard::excuse_emptied(const std::string& path, Change& change) {
  for (auto parent = parent_path(path); !parent.empty(); parent = parent_path(parent)) {
    auto at = deletes_.find(std::string(parent));
    if (at == deletes_.end() || !at->second.directory() || has_deletes_below(at->first)) return;
    if (!at->second.pushed) note_excused(at->first);
    change.emptied.push_back(at->first);
    erase(at);
  }
}

void DeleteGuard::note_above(Run& run, const std::string& path) {
  held_runs_known_ = false;
  for (auto parent = parent_path(path); !parent.empty(); parent = parent_path(parent)) {
    if (!run.excused_above.emplace(parent).second) return;
  }
}

void DeleteGuard::collect_freed_above(const Run& run, const std::string& path,
                                      Change& change) const {
  for (auto parent = parent_path(path); !parent.empty(); parent = parent_path(parent)) {
    auto at = deletes_.find(std::string(parent));
    if (at == deletes_.end() || &*at->second.run != &run) continue;
    if (!at->second.pushed && !held(*at)) change.freed.push_back(at->first);
  }
}

void DeleteGuard::collect_freed(Run& run, bool was_over, Change& change) const {
  if (!was_over || over(run)) return;
  for (const Node* member : run.members) {
    if (!member->second.pushed) change.freed.push_back(member->first);
  }
  std::sort(change.freed.begin(), change.freed.end());
}

// One that has not gone out before one that has.
DeleteGuard::Deletes::iterator DeleteGuard::find_excusable(const ContentId& content,
                                                           const std::string& by) {
  const std::string none;
  const std::uint64_t key = key_of(content);
  auto gone = deletes_.end();
  std::size_t looked = 0;
  for (auto at = by_content_.lower_bound({key, &none}); at != by_content_.end(); ++at) {
    if (at->key != key || ++looked > kMaxLooked) break;
    auto found = deletes_.find(*at->path);
    if (found->second.content != content || found->first == by) continue;
    if (!found->second.pushed) return found;
    if (gone == deletes_.end()) gone = found;
  }
  return gone;
}

void DeleteGuard::note_excused(const std::string& path, const std::string& by) {
  if (excused_.size() < kMaxRemembered) excused_.try_emplace(path, by);
}

std::string DeleteGuard::moved_to(const std::string& path) const {
  auto at = excused_.find(path);
  if (at != excused_.end() && !at->second.empty()) return at->second;
  auto heir = heir_of_.find(path);
  return heir == heir_of_.end() ? std::string() : heir->second;
}

// ---- where the content of what was excused stands

void DeleteGuard::note_heir(const Appearance& by, Heirlooms of, Instant now) {
  const bool as_well = by.synced && !fresh_.contains(by.path);
  fresh_.erase(by.path);
  if (heirs_.size() >= kMaxRemembered) return;
  for (const Heirloom& one : of) heir_of_[one.path] = by.path;
  heirs_.insert_or_assign(by.path, Heir{std::move(of), now, as_well});
}

std::optional<DeleteGuard::Heir> DeleteGuard::take_heir(const std::string& path, Instant now) {
  auto at = heirs_.find(path);
  if (at == heirs_.end()) return std::nullopt;
  Heir heir = std::move(at->second);
  heirs_.erase(at);
  for (const Heirloom& one : heir.of) heir_of_.erase(one.path);
  if (!current_ && now - heir.at > kRunGap) return std::nullopt;
  return heir;
}

// `path` lives again: nothing stands for it any more.
void DeleteGuard::forget_heir_of(const std::string& path) {
  auto at = heir_of_.find(path);
  if (at == heir_of_.end()) return;
  if (auto heir = heirs_.find(at->second); heir != heirs_.end()) {
    std::erase_if(heir->second.of, [&](const Heirloom& one) { return one.path == path; });
    if (heir->second.of.empty()) heirs_.erase(heir);
  }
  heir_of_.erase(at);
}

void DeleteGuard::forget_heirs() {
  heirs_.clear();
  heir_of_.clear();
}

// What stood for them is deleted: of `cp -a d e; rm -r d e` all count, against what was there with
// both. What was moved and then deleted counts once, under the name that the group has last.
void DeleteGuard::count_again(const Heir& heir, bool in_sync, Runs::iterator run) {
  std::size_t left_out = in_sync && !heir.as_well ? 1 : 0;
  for (auto one = heir.of.rbegin(); one != heir.of.rend(); ++one) {
    if (left_out > 0) {
      --left_out;
      continue;
    }
    if (deletes_.contains(one->path)) continue;
    if (deletes_.size() >= max_tracked_) {
      changed_ = count_untracked(*run, one->what.counts) || changed_;
      excused_.erase(one->path);
      counted_again_.push_back(one->path);
      continue;
    }
    Delete what = one->what;
    what.pushed = excused_.erase(one->path) == 0;
    if (what.label == 0) what.label = run->id;
    run->files_at_start = std::max(run->files_at_start, one->files_total);
    insert(run, one->path, what);
    counted_again_.push_back(one->path);
  }
}

// ---- what has appeared

void DeleteGuard::note_appeared(const std::string& path, const ContentId& content, Instant now) {
  if (appeared_.size() >= kMaxAppeared) drop_appeared(appeared_.begin());
  const std::uint64_t number = next_appeared_++;
  appeared_.push_back({now, content, path, number, false});
  const auto at = std::prev(appeared_.end());
  appeared_by_content_.emplace(std::pair(content, number), at);
  appeared_at_.emplace(path, at);
}

void DeleteGuard::drop_appeared(Appeared::iterator at) {
  appeared_by_content_.erase({at->content, at->number});
  appeared_at_.erase(at->path);
  appeared_.erase(at);
}

void DeleteGuard::forget_appeared(const std::string& path) {
  if (auto at = appeared_at_.find(path); at != appeared_at_.end()) drop_appeared(at->second);
}

// The youngest of that content.
std::optional<DeleteGuard::Appearance> DeleteGuard::take_appeared(const ContentId& content) {
  auto after = appeared_by_content_.upper_bound({content, ~std::uint64_t{0}});
  if (content.is_zero() || after == appeared_by_content_.begin()) return std::nullopt;
  auto found = std::prev(after);
  if (found->first.first != content) return std::nullopt;
  Appearance taken = *found->second;
  drop_appeared(found->second);
  return taken;
}

// ---- what is held

// A directory of which something was moved away goes with the rest of it.
bool DeleteGuard::has_held_below(const std::string& path, const Run& run) const {
  for (auto at = deletes_.lower_bound(path + '/');
       at != deletes_.end() && is_within(at->first, path); ++at) {
    const Delete& below = at->second;
    if (below.pushed || &*below.run != &run) continue;
    if (!below.directory() || !run.excused_above.contains(at->first)) return true;
  }
  return false;
}

bool DeleteGuard::held(const Node& one) const {
  const Delete& what = one.second;
  if (what.pushed || !over(*what.run)) return false;
  if (!what.directory() || !what.run->excused_above.contains(one.first)) return true;
  return has_held_below(one.first, *what.run);
}

bool DeleteGuard::holds(const std::string& path) const {
  auto at = deletes_.find(path);
  if (at != deletes_.end()) return held(*at);
  return std::any_of(runs_.begin(), runs_.end(),
                     [&](const Run& run) { return run.untracked > 0 && over(run); });
}

RunId DeleteGuard::run_of(const std::string& path) const {
  auto at = deletes_.find(path);
  if (at != deletes_.end()) return at->second.label;
  if (side_ == Side::kOthers || excused_.contains(path) || fresh_.contains(path)) return 0;
  // Beyond the bound. Its tombstone has to say so: a node that starts anew knows it by nothing
  // else, and would let it go.
  for (auto run = runs_.rbegin(); run != runs_.rend(); ++run)
    if (run->untracked > 0) return run->id;
  return 0;
}

std::uint64_t DeleteGuard::held_count() const {
  std::uint64_t files = 0;
  for (const Run& run : runs_) {
    if (over(run)) files += run.unpushed_files + run.untracked;
  }
  return files > 0 ? files : held().size();
}

bool DeleteGuard::holding() const { return held_count() > 0; }

const std::vector<HeldRun>& DeleteGuard::held_runs() const {
  if (!held_runs_known_) list_held_runs();
  held_runs_known_ = true;
  return held_runs_;
}

void DeleteGuard::list_held_runs() const {
  struct Sum {
    HeldRun row;
    std::uint64_t files = 0;
    std::uint64_t all = 0;
    std::set<std::string> names;
  };
  std::map<RunId, Sum> sums;
  for (const Run& run : runs_) {
    if (!over(run)) continue;
    for (const Node* member : run.members) {
      if (!held(*member)) continue;
      const auto& [name, what] = *member;
      Sum& sum = sums[what.label];
      if (sum.all++ == 0) sum.row.since = run.since;
      if (!what.directory()) ++sum.files;
      sum.row.mark = std::max(sum.row.mark, what.mark);
      if (sum.names.size() < kNames || name < *sum.names.rbegin()) sum.names.insert(name);
      if (sum.names.size() > kNames) sum.names.erase(std::prev(sum.names.end()));
    }
  }
  held_runs_.clear();
  for (auto& [label, sum] : sums) {
    sum.row.run = label;
    sum.row.number = sum.files > 0 ? sum.files : sum.all;
    sum.row.names.assign(sum.names.begin(), sum.names.end());
    held_runs_.push_back(std::move(sum.row));
  }
}

std::vector<std::string> DeleteGuard::held(RunId label, std::uint64_t mark) const {
  std::vector<std::string> paths;
  for (const Run& run : runs_) {
    if (!over(run)) continue;
    for (const Node* member : run.members) {
      const Delete& what = member->second;
      if ((label != 0 && what.label != label) || what.mark > mark) continue;
      if (held(*member)) paths.push_back(member->first);
    }
  }
  std::sort(paths.begin(), paths.end());
  return paths;
}

std::vector<std::string> DeleteGuard::returned(RunId label) const {
  std::vector<std::string> paths;
  for (const Run& run : runs_) {
    if (run.id == label || run.unpushed_of.contains(label))
      paths.insert(paths.end(), run.returned.begin(), run.returned.end());
  }
  return paths;
}

void DeleteGuard::release(const std::vector<std::string>& paths) {
  std::set<const Run*> touched;
  for (const std::string& path : paths) {
    auto at = deletes_.find(path);
    if (at == deletes_.end()) continue;
    mark_pushed(at->second);
    touched.insert(&*at->second.run);
  }
  for (auto run = runs_.begin(); run != runs_.end();) {
    auto here = run++;
    if (touched.contains(&*here) && here->unpushed == 0) drop_run(here);
  }
}

std::vector<std::string> DeleteGuard::drop_label(RunId label) {
  std::vector<std::string> paths;
  for (auto run = runs_.begin(); run != runs_.end();) {
    auto here = run++;
    std::vector<std::string> members;
    for (const Node* member : here->members) {
      if (member->second.label == label) members.push_back(member->first);
    }
    if (members.empty() && here->id != label) continue;
    for (const std::string& member : members) {
      auto at = deletes_.find(member);
      if (!at->second.pushed) paths.push_back(member);
      erase(at);
    }
    if (here->unpushed == 0) drop_run(here);
  }
  std::sort(paths.begin(), paths.end());
  return paths;
}

}  // namespace lansync
