// When a changed path has come to rest (DESIGN, Quiet timer). A save is one edit however many
// events it makes; a file that is edited again and again is looked at ever more rarely.
//
// Invariant: a path with an event is handed out exactly once for it, at the latest after 10 times
// settle_max; deadline() is never later than the first path that is due.
// Driven by the replica with the watcher's events and the scanner's finds, on the clock it is
// given.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/time.h"

namespace lansync {

enum class FileEvent {
  kCreate,      // appeared: created, linked, renamed to here
  kOpenWrite,   // known to be open for writing
  kModify,      // written to: so it is open for writing, until kCloseWrite
  kCloseWrite,  // a writer closed it
  kAttributes,  // mode or mtime set
  kDelete,      // gone: unlinked, renamed away
  kScanFound,   // a scan sees that it differs from the index
};

class QuietTimer {
 public:
  // Events of one path less than this apart belong to one edit.
  static constexpr Duration kBurstGap = 100ms;

  struct Options {
    Duration settle = 2s;
    Duration settle_max = 60s;
    // Bounds memory: what programs can touch within a minute has no limit of its own.
    std::size_t max_paths = std::size_t{1} << 20;
    // Somebody answers take_doubtful(). Without it a writer that the events told of is believed
    // until it closes.
    bool ask_writers = false;
  };
  struct Due {
    std::string path;
    bool busy = false;  // never came to rest: read it anyway, and doubt what was read
    bool operator==(const Due&) const = default;
  };

  explicit QuietTimer(Options options);

  // False: too many paths are waiting, this one was not taken: a rescan has to find it.
  bool on_event(std::string_view path, FileEvent event, Instant now);
  // Up to `max_count` paths whose timer ran out, in order of their deadlines; they are forgotten.
  std::vector<Due> take_due(Instant now, std::size_t max_count = SIZE_MAX);
  // Paths found open while take_due() looked, and whose timer had run out but for that. Events tell
  // of a write and not of who wrote: truncate(2) by path opens and closes nothing that one could
  // hear. So the disk is asked, and on_writer() has its answer.
  std::vector<std::string> take_doubtful() { return std::exchange(doubtful_, {}); }
  // Somebody has it open for writing (asked again after a while), or nobody has, or (nullopt) it
  // cannot be told: then the events stand. Answers to a question that an event overtook are
  // ignored.
  void on_writer(std::string_view path, std::optional<bool> writing, Instant now);
  // When take_due() next has something to do; kNever if nothing waits.
  Instant deadline() const;

  bool waiting(std::string_view path) const;
  std::size_t size() const { return slots_.size(); }
  void forget(std::string_view path);
  // Everything that waits, in order of path: what a mark (`wait`) has to see gone.
  std::vector<std::string> paths() const;

 private:
  struct Slot {
    Instant first;            // of this unrest
    Instant last;             // event
    Instant open_since;       // while open
    Instant quiet_at;         // when it will have rested long enough
    Instant rest_at;          // when it will have, if nobody has it open
    Instant ask_at = kNever;  // whether somebody has
    Instant due;              // min(quiet_at, when patience ends), or ask_at before it
    Duration length{};
    bool open = false;
    bool asking = false;   // handed out as doubtful
    bool waited = false;   // its one wait for a writer is used up
    bool deleted = false;  // the last event was a delete
  };
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const {
      return std::hash<std::string_view>{}(text);
    }
  };
  using Slots = std::unordered_map<std::string, Slot, Hash, std::equal_to<>>;

  void apply(Slot& slot, FileEvent event, Instant now, bool fresh) const;
  Duration patience() const;
  Instant end_of(const Slot& slot) const {
    return std::min(slot.quiet_at, slot.first + patience());
  }
  // Puts it where its next instant is. Requires: not in order_.
  void arrange(Slots::value_type& item);

  Options options_;
  Slots slots_;  // never iterated into an output unsorted
  // (due, path); the views point at the keys of slots_, which do not move.
  std::set<std::pair<Instant, std::string_view>> order_;
  std::vector<std::string> doubtful_;
};

}  // namespace lansync
