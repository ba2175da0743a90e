#include "sync/quiet_timer.h"

#include <algorithm>

#include "base/assert.h"

namespace lansync {
namespace {

// How often a file that is being written is asked about: a question opens it and takes a lease.
constexpr Duration kAskLeast = 500ms;
constexpr Duration kAskMost = 5s;

}  // namespace

QuietTimer::QuietTimer(Options options) : options_(options) {
  options_.settle = std::max(options_.settle, Duration::zero());
  // `--settle 90s` alone means "90 s after the last edit", not "60 s".
  options_.settle_max = std::max(options_.settle_max, options_.settle);
}

Duration QuietTimer::patience() const {
  // A second at least: with --settle 0 a file would be busy from its second event on.
  return std::max<Duration>(10 * options_.settle_max, 1s);
}

bool QuietTimer::on_event(std::string_view path, FileEvent event, Instant now) {
  auto found = slots_.find(path);
  bool fresh = found == slots_.end();
  if (!fresh) {
    // A scan finds what the events have told already; it is not one more edit.
    if (event == FileEvent::kScanFound) return true;
    order_.erase({found->second.due, found->first});
  } else {
    if (slots_.size() >= options_.max_paths) return false;
    found = slots_.emplace(std::string(path), Slot{}).first;
    found->second.first = now;
    found->second.last = now;
    found->second.length = options_.settle;
  }
  Slot& slot = found->second;
  apply(slot, event, now, fresh);
  arrange(*found);
  return true;
}

void QuietTimer::arrange(Slots::value_type& item) {
  Slot& slot = item.second;
  slot.due = end_of(slot);
  if (slot.open && !slot.asking) slot.due = std::min(slot.due, slot.ask_at);
  order_.emplace(slot.due, item.first);
}

void QuietTimer::on_writer(std::string_view path, std::optional<bool> writing, Instant now) {
  auto found = slots_.find(path);
  if (found == slots_.end() || !found->second.asking) return;
  Slot& slot = found->second;
  order_.erase({slot.due, found->first});
  slot.asking = false;
  slot.ask_at = kNever;
  if (writing == true) {
    slot.ask_at = now + std::clamp(options_.settle, kAskLeast, kAskMost);
  } else if (writing == false) {
    slot.open = false;
    slot.waited = false;
    slot.quiet_at = std::max(slot.rest_at, now);
  }
  arrange(*found);
}

void QuietTimer::apply(Slot& slot, FileEvent event, Instant now, bool fresh) const {
  if (slot.open && now >= slot.open_since + options_.settle_max) {
    slot.open = false;
    slot.waited = true;
  }
  bool gone = event == FileEvent::kDelete;
  // Delete + create of one name is one edit, and a delete ends no edit but waits `settle` anew.
  bool same_edit = slot.open || slot.deleted || gone || now - slot.last < kBurstGap;
  if (!fresh && !same_edit) slot.length = std::min(2 * slot.length, options_.settle_max);
  Duration wait = gone ? options_.settle : slot.length;
  // Only matters for a settle below the gap: the burst goes on, so it is not over yet.
  if (!fresh && same_edit) wait = std::max(wait, kBurstGap);

  bool writes = event == FileEvent::kOpenWrite || event == FileEvent::kModify;
  if (writes && !slot.open && !slot.waited) {
    slot.open = true;
    slot.open_since = now;
  }
  if (event == FileEvent::kCloseWrite || gone) {
    slot.open = false;
    slot.waited = false;
  }
  slot.deleted = gone;
  slot.last = now;
  slot.quiet_at = slot.rest_at = now + wait;
  slot.asking = false;
  slot.ask_at = options_.ask_writers ? slot.rest_at : kNever;
  if (slot.open) slot.quiet_at = std::max(slot.quiet_at, slot.open_since + options_.settle_max);
}

std::vector<QuietTimer::Due> QuietTimer::take_due(Instant now, std::size_t max_count) {
  std::vector<Due> due;
  while (due.size() < max_count && !order_.empty() && order_.begin()->first <= now) {
    auto found = slots_.find(order_.begin()->second);
    LS_ASSERT(found != slots_.end());
    if (found->second.due < end_of(found->second)) {
      order_.erase(order_.begin());
      found->second.asking = true;
      doubtful_.push_back(found->first);
      arrange(*found);
      continue;
    }
    due.push_back({found->first, found->second.quiet_at > now});
    order_.erase(order_.begin());
    slots_.erase(found);
  }
  return due;
}

Instant QuietTimer::deadline() const { return order_.empty() ? kNever : order_.begin()->first; }

bool QuietTimer::waiting(std::string_view path) const { return slots_.find(path) != slots_.end(); }

void QuietTimer::forget(std::string_view path) {
  auto found = slots_.find(path);
  if (found == slots_.end()) return;
  order_.erase({found->second.due, found->first});
  slots_.erase(found);
}

std::vector<std::string> QuietTimer::paths() const {
  std::vector<std::string> paths;
  paths.reserve(slots_.size());
  for (const auto& [path, slot] : slots_) paths.push_back(path);
  std::sort(paths.begin(), paths.end());
  return paths;
}

}  // namespace lansync
