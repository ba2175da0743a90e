#include "sync/delete_guard.h"

#include <algorithm>
#include <set>
#include <utility>

#include "base/assert.h"

namespace lansync {
namespace {

// A rename of a whole folder is noticed at its new place first, before one delete. 2^18 contents
// take about 25 MB, for a minute.
constexpr std::size_t kMaxAppeared = std::size_t{1} << 18;
constexpr std::uint8_t kFormat = 1;
constexpr std::size_t kMaxPathBytesStored = 4095;
enum : std::uint8_t { kCounts = 1, kPushed = 2, kHasContent = 4 };

}  // namespace

bool DeleteGuard::over(const Run& run) const {
  return limit_.exceeded_by(run.count, run.files_at_start);
}

DeleteGuard::Run& DeleteGuard::current_run(Instant now, std::uint64_t files_total) {
  if (!current_) {
    runs_.emplace_back();
    runs_.back().files_at_start = files_total;
    current_ = true;
  }
  last_delete_ = now;
  return runs_.back();
}

void DeleteGuard::expire(Instant now) {
  if (current_ && now - last_delete_ > kRunGap) {
    current_ = false;
    drop_if_done(std::prev(runs_.end()));
  }
  while (!appeared_.empty() && now - appeared_.front().first > kRunGap) drop_oldest_appeared();
}

void DeleteGuard::drop_oldest_appeared() {
  auto at = appeared_by_content_.find(appeared_.front().second);
  LS_ASSERT(at != appeared_by_content_.end() && at->second.front() == appeared_.begin());
  at->second.pop_front();
  if (at->second.empty()) appeared_by_content_.erase(at);
  appeared_.pop_front();
}

bool DeleteGuard::take_appeared(const ContentId& content) {
  auto found = appeared_by_content_.find(content);
  if (found == appeared_by_content_.end()) return false;
  appeared_.erase(found->second.back());
  found->second.pop_back();
  if (found->second.empty()) appeared_by_content_.erase(found);
  return true;
}

void DeleteGuard::insert(Runs::iterator run, const std::string& path, Delete what) {
  if (what.counts) ++run->count;
  if (!what.pushed) ++run->unpushed;
  if (what.counts && what.content) by_content_[*what.content].insert(path);
  by_path_.emplace(path, run);
  run->deletes.emplace(path, std::move(what));
}

bool DeleteGuard::on_delete(const std::string& path, const Entry& was, Instant now,
                            std::uint64_t files_total) {
  expire(now);
  // A held one that is seen again is no news: after a kill the run may be known while its rows are
  // not. Taken out of its run, it would leave the others below the limit, and they would go out.
  if (holds(path)) {
    if (current_ && by_path_.at(path) == std::prev(runs_.end())) last_delete_ = now;
    return false;
  }
  on_restored(path);  // it must have been there again
  if (by_path_.size() >= kMaxTracked) return false;
  Run& run = current_run(now, files_total);
  Delete what;
  what.counts = !was.is_directory();
  if (what.counts) what.content = was.content;
  if (what.counts && take_appeared(was.content)) what.counts = false;
  insert(std::prev(runs_.end()), path, std::move(what));
  return !over(run);
}

bool DeleteGuard::on_reappear(const ContentId& content, Instant now) {
  expire(now);
  auto found = by_content_.find(content);
  if (found == by_content_.end()) {
    if (appeared_.size() >= kMaxAppeared) drop_oldest_appeared();
    appeared_.emplace_back(now, content);
    appeared_by_content_[content].push_back(std::prev(appeared_.end()));
    return false;
  }
  const std::string path = *found->second.begin();
  auto run = by_path_.at(path);
  Delete& what = run->deletes.at(path);
  found->second.erase(path);
  if (found->second.empty()) by_content_.erase(found);
  LS_ASSERT(what.counts && run->count > 0);
  bool was_over = over(*run);
  what.counts = false;
  --run->count;
  bool freed = was_over && !over(*run);
  drop_if_done(run);
  return freed;
}

void DeleteGuard::on_pushed(const std::string& path) {
  auto found = by_path_.find(path);
  if (found == by_path_.end()) return;
  Delete& what = found->second->deletes.at(path);
  if (what.pushed) return;
  what.pushed = true;
  --found->second->unpushed;
}

void DeleteGuard::forget_content(const std::string& path, const Delete& what) {
  if (!what.counts || !what.content) return;
  auto at = by_content_.find(*what.content);
  LS_ASSERT(at != by_content_.end() && at->second.contains(path));
  at->second.erase(path);
  if (at->second.empty()) by_content_.erase(at);
}

bool DeleteGuard::on_restored(const std::string& path) {
  auto found = by_path_.find(path);
  if (found == by_path_.end()) return false;
  auto run = found->second;
  auto at = run->deletes.find(path);
  bool was_over = over(*run);
  forget_content(path, at->second);
  if (at->second.counts) --run->count;
  if (!at->second.pushed) --run->unpushed;
  run->deletes.erase(at);
  by_path_.erase(found);
  bool freed = was_over && !over(*run);
  drop_if_done(run);
  return freed;
}

void DeleteGuard::drop_run(Runs::iterator run) {
  for (const auto& [path, what] : run->deletes) {
    forget_content(path, what);
    by_path_.erase(path);
  }
  if (current_ && run == std::prev(runs_.end())) current_ = false;
  runs_.erase(run);
}

void DeleteGuard::drop_if_done(Runs::iterator run) {
  bool takes_more = current_ && run == std::prev(runs_.end());
  if (!takes_more && (!over(*run) || run->unpushed == 0)) drop_run(run);
}

bool DeleteGuard::holds(const std::string& path) const {
  auto found = by_path_.find(path);
  if (found == by_path_.end() || !over(*found->second)) return false;
  return !found->second->deletes.at(path).pushed;
}

bool DeleteGuard::holding() const {
  return std::any_of(runs_.begin(), runs_.end(),
                     [&](const Run& run) { return run.unpushed > 0 && over(run); });
}

std::uint64_t DeleteGuard::held_count() const {
  std::uint64_t count = 0;
  for (const Run& run : runs_) {
    if (!over(run)) continue;
    for (const auto& [path, what] : run.deletes) count += !what.pushed && what.content ? 1 : 0;
  }
  return count;
}

std::vector<std::string> DeleteGuard::held() const {
  std::vector<std::string> paths;
  for (const Run& run : runs_) {
    if (!over(run)) continue;
    for (const auto& [path, what] : run.deletes) {
      if (!what.pushed) paths.push_back(path);
    }
  }
  std::sort(paths.begin(), paths.end());
  return paths;
}

std::vector<std::string> DeleteGuard::end_held() {
  std::vector<std::string> paths = held();
  for (auto run = runs_.begin(); run != runs_.end();) {
    auto here = run++;
    if (over(*here)) drop_run(here);
  }
  return paths;
}

std::vector<std::string> DeleteGuard::confirm() { return end_held(); }
std::vector<std::string> DeleteGuard::reject() { return end_held(); }

std::string DeleteGuard::serialize() const {
  ByteWriter out;
  out.u8(kFormat);
  auto held_runs = std::count_if(runs_.begin(), runs_.end(), [&](const Run& r) { return over(r); });
  out.u32(static_cast<std::uint32_t>(held_runs));
  for (const Run& run : runs_) {
    if (!over(run)) continue;
    out.u64(run.files_at_start);
    out.u32(static_cast<std::uint32_t>(run.deletes.size()));
    for (const auto& [path, what] : run.deletes) {
      out.text(path);
      out.u8(static_cast<std::uint8_t>((what.counts ? kCounts : 0) | (what.pushed ? kPushed : 0) |
                                       (what.content ? kHasContent : 0)));
      if (what.content) out.raw(*what.content);
    }
  }
  return std::string(as_text(out.bytes()));
}

bool DeleteGuard::restore(std::string_view bytes) {
  ByteReader in(as_bytes(bytes));
  if (in.u8() != kFormat) return false;
  std::vector<Run> runs;
  std::set<std::string> seen;
  // Counts are checked against what is left, so that four bytes cannot ask for gigabytes.
  std::uint32_t run_count = in.u32();
  if (run_count > in.left()) return false;
  for (std::uint32_t r = 0; r < run_count; ++r) {
    Run run;
    run.files_at_start = in.u64();
    std::uint32_t size = in.u32();
    if (size > kMaxTracked || size > in.left()) return false;
    for (std::uint32_t i = 0; i < size; ++i) {
      std::string path(in.text(kMaxPathBytesStored));
      std::uint8_t flags = in.u8();
      Delete what;
      what.counts = (flags & kCounts) != 0;
      what.pushed = (flags & kPushed) != 0;
      if ((flags & kHasContent) != 0) what.content = in.id<ContentId>();
      if (!in.ok() || flags > 7 || seen.size() >= kMaxTracked || !seen.insert(path).second)
        return false;
      run.deletes.emplace(std::move(path), what);
    }
    runs.push_back(std::move(run));
  }
  if (!in.finished()) return false;

  while (!runs_.empty()) drop_run(std::prev(runs_.end()));
  while (!appeared_.empty()) drop_oldest_appeared();
  for (const Run& run : runs) {
    runs_.emplace_back();
    runs_.back().files_at_start = run.files_at_start;
    for (const auto& [path, what] : run.deletes) insert(std::prev(runs_.end()), path, what);
    // The limit may have been raised since: then the run is held no more.
    drop_if_done(std::prev(runs_.end()));
  }
  return true;
}

}  // namespace lansync
