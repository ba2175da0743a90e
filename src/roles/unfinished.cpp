#include "roles/unfinished.h"

#include <algorithm>

#include "base/log.h"

namespace lansync {
namespace {

bool is_here(const PathRecord& record, const Entry& entry) {
  return record.live() && record.local->is_file() && record.local->content == entry.content;
}

}  // namespace

void Unfinished::on_hub_gone(const Index& index, const std::map<std::string, std::uint64_t>& done,
                             std::uint64_t max_file_size, const std::string& holder, Instant now) {
  for (const auto& [path, record] : index.paths()) {
    const EntryPtr& theirs = record.remote;
    if (!theirs || !theirs->is_file() || !index.wants(record) || is_here(record, *theirs)) continue;
    if (max_file_size != 0 && theirs->size > max_file_size) continue;
    // It was agreed that it is not held here.
    if (index.wants_all() && record.agreed_elsewhere() &&
        record.synced->version.covers(theirs->version))
      continue;
    // An edit of our own that goes beyond it, or a delete.
    if (record.local && record.local->version.covers(theirs->version)) continue;
    if (rows_.size() >= kMost && !rows_.contains(path)) {
      ++more_;
      continue;
    }
    auto here = done.find(path);
    rows_[path] = {theirs, here == done.end() ? 0 : std::min(here->second, theirs->size), holder,
                   now};
  }
}

void Unfinished::on_pusher_gone(const std::string& path, const EntryPtr& entry, std::uint64_t done,
                                const std::string& pusher, Instant now) {
  if (rows_.size() >= kMost && !rows_.contains(path)) {
    ++more_;
    return;
  }
  rows_[path] = {entry, std::min(done, entry->size), pusher, now};
}

void Unfinished::settle(const Index& index, Instant now) {
  std::erase_if(rows_, [&](const auto& item) {
    const auto& [path, row] = item;
    if (now - row.at > kRemembered) return true;
    const PathRecord* record = index.find(path);
    if (!record) return false;
    if (is_here(*record, *row.entry)) return true;
    // A hub has it, or what came after it: from here on it is waited for like anything.
    return (record->remote && record->remote->version.covers(row.entry->version)) ||
           (record->known() && record->known()->version.covers(row.entry->version));
  });
  if (rows_.empty()) more_ = 0;
}

std::string Unfinished::text() const {
  if (rows_.empty()) return {};
  const auto first = std::max_element(rows_.begin(), rows_.end(), [](const auto& a, const auto& b) {
    return a.second.done < b.second.done;
  });
  const auto& [path, row] = *first;
  std::string part = "is not here";
  if (row.done > 0 && row.entry->size > 0) {
    const auto percent = static_cast<std::uint64_t>(static_cast<double>(row.done) /
                                                    static_cast<double>(row.entry->size) * 100);
    part = str("is here by ", percent, " %, which is kept");
  }
  const std::uint64_t others = rows_.size() - 1 + more_;
  std::string line =
      str(printable(path), ' ', part, ": ", printable(row.holder, 64), ", which held it, is gone");
  if (others > 0) line += str(" (and ", others, others == 1 ? " file more)" : " files more)");
  return line + "; start it again to go on";
}

}  // namespace lansync
