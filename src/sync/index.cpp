#include "sync/index.h"

#include <cstring>

#include "base/assert.h"
#include "base/bytes.h"
#include "base/rel_path.h"
#include "sync/entry_codec.h"

namespace lansync {
namespace {

constexpr std::uint8_t kRecordVersion = 1;

std::uint64_t content_key(const ContentId& content) {
  std::uint64_t key = 0;
  std::memcpy(&key, content.bytes.data(), sizeof key);
  return key;
}

std::string encode_local(const PathRecord& record) {
  if (!record.local && record.wanted == PathRecord::kNotAsked) return {};
  ByteWriter out;
  out.u8(kRecordVersion);
  out.u8(static_cast<std::uint8_t>((record.held ? 1 : 0) | record.wanted << 1));
  out.u8(static_cast<std::uint8_t>(record.stat.kind));
  out.u16(record.stat.mode);
  out.u64(record.stat.size);
  out.i64(record.stat.mtime_ns);
  out.i64(record.stat.ctime_ns);
  out.u64(record.stat.inode);
  out.u64(record.stat.device);
  out.i64(record.since_ns);
  if (record.local) {
    const std::string entry = encode_entry(*record.local);
    if (entry.empty()) return {};
    out.raw(as_bytes(entry));
  }
  return std::string(as_text(out.bytes()));
}

bool decode_local(std::string_view bytes, PathRecord& record) {
  ByteReader in(as_bytes(bytes));
  if (in.u8() != kRecordVersion) return false;
  std::uint8_t flags = in.u8();
  record.held = (flags & 1) != 0;
  if (flags >> 1 > PathRecord::kHubKeeps) return false;
  record.wanted = static_cast<PathRecord::Wanted>(flags >> 1);
  std::uint8_t kind = in.u8();
  if (kind > static_cast<std::uint8_t>(FileKind::kOther)) return false;
  record.stat.kind = static_cast<FileKind>(kind);
  record.stat.mode = in.u16();
  record.stat.size = in.u64();
  record.stat.mtime_ns = in.i64();
  record.stat.ctime_ns = in.i64();
  record.stat.inode = in.u64();
  record.stat.device = in.u64();
  record.since_ns = in.i64();
  if (!in.ok()) return false;
  // Asked for and not here yet.
  if (in.left() == 0) return record.wanted != PathRecord::kNotAsked;
  record.local = decode_entry(as_text(in.raw(in.left())));
  if (!record.local) return false;
  // The two were written together; pushed as it is, the one that is wrong would be called a lie.
  const bool file = record.stat.kind == FileKind::kFile && record.local->is_file();
  return !file || record.stat.size == record.local->size;
}

bool decode_row(const IndexRow& row, PathRecord& record) {
  if (broken_path_rule(row.path) != nullptr) return false;
  if (!row.local.empty() && !decode_local(row.local, record)) return false;
  if (row.synced.empty()) return true;
  EntryPtr synced = decode_entry(row.synced);
  // What was agreed with others went to them.
  if (!synced || synced->version.too_long_for_others()) return false;
  // Equal trees share one object: 100,000 files in sync cost 100,000 entries, not twice that.
  record.synced = record.local && encode_entry(*record.local) == row.synced ? record.local : synced;
  return true;
}

}  // namespace

std::vector<std::string> Index::load(const LoadedIndex& loaded) {
  std::vector<std::string> unreadable;
  for (const IndexRow& row : loaded.rows) {
    PathRecord record;
    if (!decode_row(row, record)) {
      unreadable.push_back(row.path);
      dirty_.insert(row.path);
      continue;
    }
    if (record.empty()) continue;
    auto [at, fresh] = paths_.insert_or_assign(row.path, std::move(record));
    count(at->second, 1);
    index_content(at->first, at->second);
  }
  trash_.load(loaded.trash);
  meta_ = loaded.meta;
  return unreadable;
}

const PathRecord* Index::find(const std::string& path) const {
  auto at = paths_.find(path);
  return at == paths_.end() ? nullptr : &at->second;
}

PathRecord& Index::touch(const std::string& path) { return paths_[path]; }

void Index::drop_if_empty(const std::string& path) {
  auto at = paths_.find(path);
  if (at != paths_.end() && at->second.empty()) paths_.erase(at);
}

void Index::count(const PathRecord& record, int sign) {
  if (!record.live()) return;
  auto step = static_cast<std::uint64_t>(static_cast<std::int64_t>(sign));
  if (record.local->is_directory()) {
    totals_.directories += step;
  } else {
    totals_.files += step;
    totals_.bytes += step * record.local->size;
  }
}

void Index::index_content(const std::string& path, const PathRecord& record) {
  if (!record.live() || !(record.local->is_file() || record.local->is_symlink())) return;
  Places& places = record.local->is_symlink() ? links_by_target_ : by_content_;
  places.insert({content_key(record.local->content), &path});
}

void Index::unindex_content(const std::string& path, const PathRecord& record) {
  if (!record.live() || !(record.local->is_file() || record.local->is_symlink())) return;
  Places& places = record.local->is_symlink() ? links_by_target_ : by_content_;
  std::size_t erased = places.erase({content_key(record.local->content), &path});
  LS_ASSERT(erased == 1);
}

void Index::set_remote(const std::string& path, EntryPtr entry) {
  PathRecord& record = touch(path);
  // Share the object where the version is the same: see the class comment.
  const EntryPtr& known = record.known();
  if (entry && known && entry->version == known->version && same_on_disk(*entry, *known)) {
    entry = known;
  }
  record.remote = std::move(entry);
  drop_if_empty(path);
}

void Index::set_local(const std::string& path, EntryPtr entry, const FileStat& stat, bool held) {
  auto at = paths_.try_emplace(path).first;
  PathRecord& record = at->second;
  count(record, -1);
  unindex_content(at->first, record);
  const bool was_gone = record.local && record.local->is_tombstone();
  record.local = std::move(entry);
  if (!record.local || !record.local->is_tombstone()) {
    record.since_ns = 0;
  } else if (!was_gone) {
    record.since_ns = observed_ns_;
  }
  record.stat = stat;
  record.held = held;
  if (record.local) record.wanted = PathRecord::kNotAsked;
  count(record, 1);
  index_content(at->first, record);
  dirty_.insert(path);
  drop_if_empty(path);
}

void Index::set_synced(const std::string& path, EntryPtr entry) {
  PathRecord& record = touch(path);
  if (record.synced == entry) return;
  record.synced = std::move(entry);
  dirty_.insert(path);
  drop_if_empty(path);
}

void Index::set_wanted(const std::string& path, PathRecord::Wanted wanted) {
  auto at = paths_.find(path);
  LS_ASSERT(at != paths_.end());
  if (at->second.wanted == wanted) return;
  at->second.wanted = wanted;
  dirty_.insert(path);
}

void Index::set_stat(const std::string& path, const FileStat& stat) {
  PathRecord& record = touch(path);
  if (record.stat == stat) return;
  record.stat = stat;
  dirty_.insert(path);
}

void Index::clear_remote() {
  for (auto at = paths_.begin(); at != paths_.end();) {
    at->second.remote = nullptr;
    at = at->second.empty() ? paths_.erase(at) : std::next(at);
  }
}

std::optional<std::string> Index::find_content(const ContentId& content, const std::string& hint,
                                               const PathRule& usable) const {
  const auto takes = [&](const std::string& path) { return !usable || usable(path); };
  const PathRecord* hinted = find(hint);
  if (hinted && hinted->live() && hinted->local->is_file() && hinted->local->content == content &&
      takes(hint)) {
    return hint;
  }
  // In order of the path, so the first that has it is the one that every node would name.
  const std::string none;
  const std::uint64_t key = content_key(content);
  for (auto at = by_content_.lower_bound({key, &none}); at != by_content_.end(); ++at) {
    if (at->key != key) break;
    if (find(*at->name)->local->content == content && takes(*at->name)) return *at->name;
  }
  return std::nullopt;
}

bool Index::has_link(const ContentId& target) const {
  const std::string none;
  auto at = links_by_target_.lower_bound({content_key(target), &none});
  return at != links_by_target_.end() && at->key == content_key(target);
}

std::string Index::meta(const std::string& key) const {
  auto at = meta_.find(key);
  return at == meta_.end() ? std::string() : at->second;
}

void Index::set_meta(const std::string& key, const std::string& value) {
  if (meta(key) == value) return;
  meta_[key] = value;
  meta_dirty_.insert(key);
}

IndexBatch Index::take_batch() {
  IndexBatch batch;
  batch.rows.reserve(dirty_.size());
  for (const std::string& path : dirty_) {
    const PathRecord* record = find(path);
    IndexRow row{path, {}, {}};
    if (record) {
      row.local = encode_local(*record);
      if (record->synced) row.synced = encode_entry(*record->synced);
    }
    batch.rows.push_back(std::move(row));
  }
  trash_.take(batch);
  for (const std::string& key : meta_dirty_) batch.meta[key] = meta_[key];
  dirty_.clear();
  meta_dirty_.clear();
  return batch;
}

void Index::put_back(const IndexBatch& batch) {
  for (const IndexRow& row : batch.rows) dirty_.insert(row.path);
  trash_.put_back(batch);
  for (const auto& [key, value] : batch.meta) meta_dirty_.insert(key);
}

std::vector<std::string> Index::live_below(const std::string& directory) const {
  std::vector<std::string> out;
  std::string prefix = directory.empty() ? std::string() : directory + '/';
  for (auto at = paths_.lower_bound(prefix); at != paths_.end(); ++at) {
    if (at->first.compare(0, prefix.size(), prefix) != 0) break;
    if (at->second.live()) out.push_back(at->first);
  }
  return out;
}

bool Index::in_agreement(const PathRecord& record) const {
  // Known, and its content is not wanted here: there is nothing to do.
  if (record.absent() && record.remote && record.synced && !wants(record)) {
    return record.synced == record.remote || record.synced->version == record.remote->version;
  }
  if (!record.local || !record.remote) return !record.local == !record.remote;
  return record.local == record.remote || record.local->version == record.remote->version;
}

}  // namespace lansync
