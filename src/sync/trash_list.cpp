#include "sync/trash_list.h"

#include <algorithm>
#include <cstring>

#include "base/bytes.h"
#include "base/rel_path.h"

namespace lansync {
namespace {

std::uint64_t content_key(const ContentId& content) {
  std::uint64_t key = 0;
  std::memcpy(&key, content.bytes.data(), sizeof key);
  return key;
}

std::uint64_t age_key(const TrashItem& item) {
  return static_cast<std::uint64_t>(std::max<std::int64_t>(0, item.put_at_ns));
}

TrashReason reason_of(std::uint8_t stored) {
  return stored <= static_cast<std::uint8_t>(TrashReason::kDamaged)
             ? static_cast<TrashReason>(stored)
             : TrashReason::kFound;
}

}  // namespace

void TrashList::load(const std::vector<TrashRow>& rows) {
  for (const TrashRow& row : rows) {
    // Named by what is put back; a row that names nothing that can be goes, and its file is found.
    if (row.name.empty() || broken_path_rule(row.path) != nullptr) {
      removed_.insert(row.name);
      continue;
    }
    TrashItem item;
    item.path = row.path;
    if (row.content.size() == ContentId::kSize) {
      std::memcpy(item.content.bytes.data(), row.content.data(), ContentId::kSize);
    }
    item.time_ns = row.time_ns;
    item.size = row.size;
    item.put_at_ns = row.put_at_ns;
    item.reason = reason_of(row.reason);
    item.symlink = row.symlink;
    put(row.name, item);
  }
  added_.clear();
}

const TrashItem* TrashList::find(const std::string& name) const {
  auto at = items_.find(name);
  return at == items_.end() ? nullptr : &at->second;
}

std::optional<std::string> TrashList::find_content(const ContentId& content) const {
  const std::string none;
  const std::uint64_t key = content_key(content);
  for (auto at = by_content_.lower_bound({key, &none}); at != by_content_.end(); ++at) {
    if (at->key != key) break;
    const TrashItem& item = items_.at(*at->name);
    if (item.content == content && !item.symlink) return *at->name;
  }
  return std::nullopt;
}

std::vector<std::string> TrashList::by_age() const {
  std::vector<std::string> names;
  names.reserve(by_age_.size());
  for (const Place& place : by_age_) names.push_back(*place.name);
  return names;
}

void TrashList::index(const std::string& name, const TrashItem& item) {
  by_age_.insert({age_key(item), &name});
  bytes_ += item.size;
  if (item.content.is_zero()) {
    unread_.insert(name);
  } else {
    by_content_.insert({content_key(item.content), &name});
  }
}

void TrashList::unindex(const std::string& name, const TrashItem& item) {
  by_age_.erase({age_key(item), &name});
  bytes_ -= item.size;
  unread_.erase(name);
  by_content_.erase({content_key(item.content), &name});
}

void TrashList::put(const std::string& name, const TrashItem& item) {
  auto [at, fresh] = items_.try_emplace(name, item);
  if (!fresh) {
    if (at->second == item) return;
    unindex(at->first, at->second);
    at->second = item;
  }
  index(at->first, at->second);
  added_.insert(name);
  removed_.erase(name);
  spread_going_past(item);
}

// Who deletes the copy that a conflict left has had its bytes before their eyes: then the version
// that lost under its own name is theirs to forget, too, or the trash would keep it for ever.
void TrashList::spread_going_past(const TrashItem& item) {
  if (!went_past(item.reason) || item.content.is_zero()) return;
  const std::string none;
  const std::uint64_t key = content_key(item.content);
  for (auto at = by_content_.lower_bound({key, &none}); at != by_content_.end(); ++at) {
    if (at->key != key) break;
    TrashItem& other = items_.at(*at->name);
    if (other.content != item.content || went_past(other.reason)) continue;
    other.reason = item.reason;
    added_.insert(*at->name);
  }
}

void TrashList::remove(const std::string& name) {
  auto at = items_.find(name);
  if (at == items_.end()) return;
  unindex(at->first, at->second);
  items_.erase(at);
  added_.erase(name);
  removed_.insert(name);
}

void TrashList::take(IndexBatch& batch) {
  for (const std::string& name : added_) {
    const TrashItem& item = items_.at(name);
    TrashRow row;
    row.name = name;
    row.path = item.path;
    if (!item.content.is_zero()) row.content = as_text(item.content.bytes);
    row.time_ns = item.time_ns;
    row.size = item.size;
    row.put_at_ns = item.put_at_ns;
    row.reason = static_cast<std::uint8_t>(item.reason);
    row.symlink = item.symlink;
    batch.trash_added.push_back(std::move(row));
  }
  batch.trash_removed.assign(removed_.begin(), removed_.end());
  added_.clear();
  removed_.clear();
}

void TrashList::put_back(const IndexBatch& batch) {
  for (const TrashRow& row : batch.trash_added) {
    if (items_.contains(row.name)) added_.insert(row.name);
  }
  for (const std::string& name : batch.trash_removed) {
    if (!items_.contains(name)) removed_.insert(name);
  }
}

}  // namespace lansync
