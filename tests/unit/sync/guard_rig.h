// What tests of the delete guard say: files by number, a guard that is told of their deletes.
#pragma once

#include <string>
#include <vector>

#include "support/catch.h"
#include "sync/delete_guard.h"

namespace lansync::guard_rig {

inline const Instant kStart{Duration(1s)};

inline Entry file(int number) {
  Entry entry;
  entry.size = 1;
  ++number;  // zero would be no content
  entry.content.bytes[0] = static_cast<std::uint8_t>(number);
  entry.content.bytes[1] = static_cast<std::uint8_t>(number >> 8);
  return entry;
}
inline std::string path(int number) { return "d/" + std::to_string(number); }

inline RunId next_run = 0;
struct Guard : DeleteGuard {
  explicit Guard(const std::string& limit, Side side = Side::kOwn)
      : Guard(parse_max_deletes(limit).value(), side) {}
  explicit Guard(MaxDeletes limit, Side side = Side::kOwn, std::size_t max_tracked = kMaxTracked)
      : DeleteGuard(
            limit, side, [] { return ++next_run; }, max_tracked) {}
  bool remove(const std::string& at, const Entry& was, Instant now, std::uint64_t total,
              RunId label = 0) {
    return on_delete({at, was, label, total, true, now, WallTime{now.time_since_epoch().count()}});
  }
  bool frees(const Change& change) { return !change.freed.empty(); }
  RunId only_run() const {
    const std::vector<HeldRun> runs = held_runs();
    REQUIRE(runs.size() == 1);
    return runs.front().run;
  }
};

// Deletes files first..last-1 of `total`, a second apart.
inline Instant remove(Guard& guard, int first, int last, std::uint64_t total,
                      Instant now = kStart) {
  for (int i = first; i < last; ++i) {
    guard.remove(path(i), file(i), now, total);
    now += 1s;
  }
  return now;
}
// The other half of a rename.
inline DeleteGuard::Change appear(Guard& guard, int number, Instant now) {
  return guard.on_present("new/" + std::to_string(number), file(number), now);
}
inline Entry directory() {
  Entry entry;
  entry.kind = EntryKind::kDirectory;
  return entry;
}
inline Entry tombstone_of(const Entry& was, RunId run) {
  Entry gone;
  gone.kind = EntryKind::kTombstone;
  gone.was = was.kind;
  gone.content = was.content;
  gone.run = run;
  return gone;
}

}  // namespace lansync::guard_rig
