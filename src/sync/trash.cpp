#include "sync/trash.h"

#include <algorithm>

#include "base/rel_path.h"
#include "sync/batch_journal.h"
#include "sync/hashing.h"

namespace lansync {
namespace {

constexpr Duration kWalkRetry = 1min;
constexpr std::uint64_t kSliceBytes = 16 * 1024 * 1024;
constexpr std::size_t kReadBytes = 256 * 1024;
// What one job removes: some 10 ms.
constexpr std::size_t kRemovalsPerJob = 1000;
// With the stamp before it a longer path would be too long to be opened.
constexpr std::size_t kLongestPath = 3900;

// The path that a name in the trash tells of: what stands after the stamp. "" if it tells none.
std::string path_told_by(const std::string& name) {
  const std::size_t slash = name.find('/');
  if (slash == std::string::npos) return {};
  std::string path = name.substr(slash + 1);
  return validate_relpath(path) ? path : std::string();
}

// "leftover-7-c-1234" -> "c-1234": see ConfinedFileSystem::save_leftovers.
std::string temp_told_by(const std::string& name) {
  constexpr std::string_view kPrefix = "leftover-";
  if (!name.starts_with(kPrefix)) return {};
  const std::size_t dash = name.find('-', kPrefix.size());
  return dash == std::string::npos ? std::string() : name.substr(dash + 1);
}

}  // namespace

struct Trash::Walk {
  bool whole = false;  // else only those that are expected
  Result<std::vector<DirectoryItem>> found = std::vector<DirectoryItem>{};
  std::map<std::string, std::string> expected;  // name -> the path that it may still be at
  std::set<std::string> absent;                 // of these, not there for sure
};

struct Trash::Reading {
  std::string name;
  bool symlink = false;
  std::uint64_t size = 0;
  std::unique_ptr<ReadFile> file;
  std::uint64_t offset = 0;
  ContentHasher hasher;
  std::optional<ContentId> content;
  bool failed = false;
};

Trash::Trash(Index& index, FileSystem& files, Executor& executor, Log& log)
    : index_(index), files_(files), executor_(executor), log_(log) {}

void Trash::start(const BatchJournal& left, std::uint64_t number, Instant now,
                  std::int64_t observed_ns) {
  counter_ = number;
  expected_ = left.trash();
  now_ = now;
  observed_ns_ = observed_ns;
  paths_of_temps_ = left.temps();
  next_walk_ = now;
  pump(now, observed_ns);
}

std::string Trash::name_for(const std::string& path, WallTime wall) {
  std::string stamp = to_file_stamp(wall);
  std::replace(stamp.begin(), stamp.end(), ' ', '_');
  std::string_view below = path;
  if (below.size() > kLongestPath) below = below.substr(below.rfind('/') + 1);
  return str(stamp, '-', ++counter_, '/', below);
}

// ---- rows and files ----------------------------------------------------------------------------

void Trash::keep(const std::string& name, const TrashItem& item) {
  promised_.erase(name);
  expected_.erase(name);
  if (walk_running_) touched_.insert(name);
  rows().put(name, item);
}

void Trash::give_up(const std::string& name, const TrashItem& item) {
  promised_.erase(name);
  expected_[name] = item;
}

void Trash::forget(const std::string& name) {
  promised_.erase(name);
  if (walk_running_) touched_.insert(name);
  rows().remove(name);
}

void Trash::pump(Instant now, std::int64_t observed_ns) {
  now_ = now;
  observed_ns_ = observed_ns;
  if (!walk_running_ && (now >= next_walk_ || (walked_ && !expected_.empty()))) begin_walk();
  read_next();
}

Instant Trash::deadline() const {
  if (walk_running_) return kNever;
  return walked_ && !expected_.empty() ? Instant{} : next_walk_;
}

void Trash::begin_walk() {
  auto walk = std::make_shared<Walk>();
  walk->whole = now_ >= next_walk_;
  if (walk->whole) next_walk_ = kNever;
  walk_running_ = true;
  touched_.clear();
  for (const auto& [name, item] : expected_) walk->expected[name] = item.path;
  executor_.submit(
      walk->whole ? JobClass::kBulk : JobClass::kDisk, [this, walk] { look_for(files_, *walk); },
      [this, walk] {
        walk_running_ = false;
        on_walk(*walk);
      });
}

// On a worker.
void Trash::look_for(FileSystem& files, Walk& walk) {
  if (walk.whole) {
    walk.found = files.list_trash();
    if (!walk.found) return;
  } else {
    for (const auto& [name, path] : walk.expected) {
      DirectoryItem item{name, {}};
      if (auto file = files.open_trash(name)) {
        auto stat = (*file)->stat();
        if (!stat) continue;
        item.stat = *stat;
      } else if (auto target = files.read_trash_link(name)) {
        item.stat.kind = FileKind::kSymlink;
        item.stat.size = target->size();
      } else {
        if (file.error().code == ErrorCode::kNotFound) walk.absent.insert(name);
        continue;
      }
      walk.found->push_back(std::move(item));
    }
  }
  // A crash between the second name and the exchange: the file never left its place, and who writes
  // to it there would write into the trash.
  std::erase_if(*walk.found, [&](const DirectoryItem& item) {
    auto at = walk.expected.find(item.name);
    if (at == walk.expected.end() || item.stat.inode == 0) return false;
    auto there = files.stat(at->second);
    return there && there->inode == item.stat.inode && there->device == item.stat.device &&
           files.remove_trash(item.name);
  });
}

void Trash::on_walk(const Walk& walk) {
  if (!walk.found) {
    log_.warn(str("the trash cannot be listed, trying again: ", walk.found.error().detail));
    next_walk_ = now_ + kWalkRetry;
    return;
  }
  walked_ = walked_ || walk.whole;
  auto passed = [&](const std::string& name) {
    return touched_.contains(name) || promised_.contains(name) || going_.contains(name);
  };
  std::map<std::string, const FileStat*> found;
  for (const DirectoryItem& item : *walk.found) {
    // Names that a person's program put there and that nobody could be told.
    const std::string told = path_told_by(item.name);
    if (told.empty() && !validate_relpath(item.name)) continue;
    found[item.name] = &item.stat;
  }
  std::vector<std::string> lost;
  for (const auto& [name, item] : rows().items()) {
    if (walk.whole && !found.contains(name) && !passed(name)) lost.push_back(name);
  }
  // What was to leave the trash, and has.
  for (const std::string& name : walk.absent) {
    if (rows().find(name) && !passed(name)) lost.push_back(name);
  }
  for (const std::string& name : lost) rows().remove(name);
  std::size_t fresh = 0;
  for (const auto& [name, stat] : found) {
    if (passed(name)) continue;
    const TrashItem* known = rows().find(name);
    TrashItem item = known ? *known : describe(name, *stat);
    // Other bytes than those that were put there, as far as a size can tell: a program had the file
    // open when another version took its place, and wrote on. Nobody went past what it wrote.
    const bool symlink = stat->kind == FileKind::kSymlink;
    if (item.size != stat->size || item.symlink != symlink) {
      item.content = ContentId{};
      item.reason = TrashReason::kFound;
    }
    item.size = stat->size;
    item.symlink = symlink;
    fresh += known ? 0 : 1;
    rows().put(name, item);
  }
  for (const auto& [name, path] : walk.expected) expected_.erase(name);
  if (walk.whole && fresh + lost.size() > 0) {
    log_.info(str("the trash was looked through: ", fresh, " files there were not listed, ",
                  lost.size(), " listed ones are gone"));
  }
  touched_.clear();
}

TrashItem Trash::describe(const std::string& name, const FileStat& stat) const {
  if (auto at = expected_.find(name); at != expected_.end()) return at->second;
  TrashItem item;
  item.path = path_told_by(name);
  if (item.path.empty()) {
    auto at = paths_of_temps_.find(temp_told_by(name));
    item.path = at == paths_of_temps_.end() ? name : at->second;
  }
  item.time_ns = stat.ctime_ns;
  item.size = stat.size;
  item.put_at_ns = observed_ns_;
  item.reason = TrashReason::kFound;
  item.symlink = stat.kind == FileKind::kSymlink;
  return item;
}

// ---- what nobody knows the content of ----------------------------------------------------------

void Trash::read_next() {
  if (reading_ || walk_running_) return;
  for (const std::string& name : rows().unread()) {
    if (unreadable_.contains(name) || going_.contains(name)) continue;
    const TrashItem& item = *rows().find(name);
    auto reading = std::make_shared<Reading>();
    reading->name = name;
    reading->symlink = item.symlink;
    reading->size = item.size;
    reading_ = true;
    read_on(std::move(reading));
    return;
  }
}

// A slice at a time: a worker is not taken for longer than that.
void Trash::read_on(std::shared_ptr<Reading> reading) {
  executor_.submit(
      JobClass::kBulk,
      [this, reading] {
        Reading& r = *reading;
        if (r.symlink) {
          auto target = files_.read_trash_link(r.name);
          if (target) r.content = content_id_of(as_bytes(*target));
          r.failed = !target;
          return;
        }
        if (!r.file) {
          auto file = files_.open_trash(r.name);
          r.failed = !file;
          if (!file) return;
          r.file = std::move(*file);
        }
        std::vector<std::uint8_t> buffer(kReadBytes);
        for (std::uint64_t end = r.offset + kSliceBytes; r.offset < end;) {
          auto size = r.file->read(r.offset, buffer);
          r.failed = !size;
          if (!size) return;
          if (*size == 0) {
            r.content = r.hasher.finish().content;
            return;
          }
          r.hasher.update(ByteView(buffer).first(*size));
          r.offset += *size;
        }
      },
      [this, reading] {
        if (!reading->failed && !reading->content) {
          read_on(reading);
          return;
        }
        reading_ = false;
        on_read(*reading);
        read_next();
      });
}

void Trash::on_read(const Reading& reading) {
  const TrashItem* item = rows().find(reading.name);
  if (!item) return;
  if (reading.failed || (!reading.symlink && reading.offset != reading.size)) {
    unreadable_.insert(reading.name);
    return;
  }
  TrashItem known = *item;
  known.content = *reading.content;
  rows().put(reading.name, known);
}

// ---- limits ------------------------------------------------------------------------------------

bool Trash::may_go(const std::string& name, const TrashItem& item, const Limits& limits,
                   Removal& removal) const {
  removal.name = name;
  if (promised_.contains(name) || limits.is_needed(item.path)) return false;
  if (went_past(item.reason)) return true;
  if (item.content.is_zero()) return false;
  auto copy = index_.find_content(item.content, item.path);
  if (copy && !item.symlink && !limits.is_rotten(*copy)) {
    removal.copy_at = *copy;
    removal.copy_stat = index_.find(*copy)->stat;
    return true;
  }
  return !item.symlink && limits.is_elsewhere(item.content);
}

bool Trash::prune(const Limits& limits) {
  if (!going_.empty()) return true;
  struct Going {
    Removal removal;
    std::uint64_t size = 0;
    bool written_to = false;
  };
  auto removals = std::make_shared<std::vector<Going>>();
  std::uint64_t bytes = rows().bytes();
  for (const std::string& name : rows().by_age()) {
    const TrashItem& item = *rows().find(name);
    const bool old = item.put_at_ns < limits.observed_ns - kKeptNs;
    const bool beyond = limits.bytes && bytes > *limits.bytes;
    if ((!old && !beyond) || removals->size() >= kRemovalsPerJob) break;
    Removal removal;
    if (!may_go(name, item, limits, removal)) continue;
    bytes -= item.size;
    going_.insert(name);
    removals->push_back({std::move(removal), item.size});
  }
  if (removals->empty()) return false;
  executor_.submit(
      JobClass::kDisk,
      [this, removals] {
        for (auto& [removal, size, written_to] : *removals) {
          if (!removal.copy_at.empty()) {
            auto stat = files_.stat(removal.copy_at);
            if (!stat || !(*stat == removal.copy_stat)) continue;
          }
          const auto file = files_.open_trash(removal.name);
          const auto stat = file ? (*file)->stat() : Result<FileStat>(file.error());
          written_to = stat && stat->size != size;
          if (written_to) continue;
          removal.gone = files_.remove_trash(removal.name).has_value();
        }
      },
      [this, removals] {
        // The row after the file: a crash between the two leaves a row that the next walk drops.
        for (const auto& [removal, size, written_to] : *removals) {
          going_.erase(removal.name);
          if (removal.gone) forget(removal.name);
          if (written_to) next_walk_ = now_;
        }
      });
  return removals->size() >= kRemovalsPerJob;
}

}  // namespace lansync
