// What of a guard outlives the process: its open and held runs. Their paths are not written again:
// each tombstone in the index names its run.
#include <algorithm>

#include "sync/delete_guard.h"

namespace lansync {
namespace {

constexpr std::uint8_t kFormat = 2;
constexpr std::size_t kMaxRuns = 65536;

struct Header {
  RunId id = 0;
  std::uint64_t files_at_start = 0;
  WallTime since;
  bool current = false;
  bool pinned = false;
};
constexpr std::uint8_t kCurrent = 1;
constexpr std::uint8_t kPinned = 2;

}  // namespace

std::string DeleteGuard::serialize() const {
  std::vector<Header> headers;
  for (const Run& run : runs_) {
    const bool current = current_ && &run == &runs_.back();
    if (side_ == Side::kOwn) {
      // Which of its deletes came late is not written: they count as the others then.
      const std::uint64_t files = over_without_late(run)
                                      ? run.files_at_start
                                      : std::max(run.files_at_start, run.files_late);
      if (current || over(run)) headers.push_back({run.id, files, run.since, current, run.pinned});
      continue;
    }
    if (!over(run)) continue;
    if (run.pinned && run.unpushed_of.empty())
      headers.push_back({run.id, run.files_at_start, run.since});
    for (const auto& [label, number] : run.unpushed_of)
      headers.push_back({label, run.files_at_start, run.since});
  }
  if (headers.size() > kMaxRuns) headers.resize(kMaxRuns);
  if (headers.empty()) return {};
  ByteWriter out;
  out.u8(kFormat);
  out.u32(static_cast<std::uint32_t>(headers.size()));
  for (const Header& header : headers) {
    out.u64(header.id);
    out.u64(header.files_at_start);
    out.i64(header.since.ns);
    out.u8(
        static_cast<std::uint8_t>((header.current ? kCurrent : 0) | (header.pinned ? kPinned : 0)));
  }
  return std::string(as_text(out.bytes()));
}

bool DeleteGuard::restore(std::string_view bytes, Instant now) {
  std::vector<Header> headers;
  if (!bytes.empty()) {
    ByteReader in(as_bytes(bytes));
    if (in.u8() != kFormat) return false;
    std::uint32_t size = in.u32();
    if (size > kMaxRuns || size > in.left()) return false;
    for (std::uint32_t i = 0; i < size; ++i) {
      Header header{in.u64(), in.u64(), WallTime{in.i64()}};
      std::uint8_t flags = in.u8();
      if (!in.ok() || flags > (kCurrent | kPinned) || header.id == 0) return false;
      header.current = (flags & kCurrent) != 0 && side_ == Side::kOwn;
      header.pinned = (flags & kPinned) != 0 || side_ == Side::kOthers;
      headers.push_back(header);
    }
    if (!in.finished()) return false;
  }
  // The one that still takes deletes is the last.
  std::stable_sort(headers.begin(), headers.end(),
                   [](const Header& a, const Header& b) { return a.current < b.current; });
  while (!runs_.empty()) drop_run(std::prev(runs_.end()));
  while (!appeared_.empty()) drop_appeared(appeared_.begin());
  excused_.clear();
  new_directories_.clear();
  fresh_.clear();
  forget_heirs();
  counted_again_.clear();
  restored_.clear();
  for (const Header& header : headers) {
    if (restored_.contains(header.id)) continue;
    runs_.emplace_back();
    Run& run = runs_.back();
    run.id = header.id;
    run.files_at_start = header.files_at_start;
    run.since = header.since;
    run.began = now;
    // Unless there is no limit any more.
    run.pinned = header.pinned && (limit_.count || limit_.percent);
    restored_.emplace(header.id, std::prev(runs_.end()));
  }
  current_ = !headers.empty() && headers.back().current;
  if (current_) last_delete_ = now;
  return true;
}

void DeleteGuard::take_back(const std::string& path, const Entry& tombstone, bool pushed) {
  auto restored = restored_.find(tombstone.run);
  if (restored == restored_.end() || deletes_.contains(path)) return;
  if (deletes_.size() >= max_tracked_) {
    Run& run = *restored->second;
    if (tombstone.was != EntryKind::kDirectory) {
      ++run.count;
      if (!pushed) ++run.untracked;
    } else if (!pushed && run.untracked == 0) {
      ++run.untracked;
    }
    return;
  }
  Delete what;
  what.label = tombstone.run;
  what.kind = tombstone.was;
  what.counts = !what.directory();
  what.content = tombstone.content;
  what.pushed = pushed;
  insert(restored->second, path, what);
}

// A limit may have been raised since: then a run is held no more.
void DeleteGuard::finish_restore() {
  if (side_ == Side::kOthers) return;
  restored_.clear();
  for (auto run = runs_.begin(); run != runs_.end();) {
    auto here = run++;
    drop_if_done(here);
  }
}

}  // namespace lansync
