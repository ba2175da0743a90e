// Holds mass deletes until a person has looked (CONTRACT, Guards; DESIGN, Deletes).
//
// Deletes count together in a run: while each follows the last within 60 s, for an hour at most,
// against the number of files when it began, and only those of paths that were in sync then. What
// came later and has been in sync for a minute counts together with all of the run, against the
// files that there are now: a run that others' small deletes keep open guards nothing else. One
// whose content reappears is a rename and none of the run; nor is one whose path lives again, which
// a directory or a link in the place of a file is not. Who deletes what took the place of a deleted
// one within the same run has deleted both.
// Invariant: while a run is over the limit, none of its deletes that has not gone out yet goes out;
// a person's word (release() or drop_label()), or enough of them turning out to be none, ends that.
// Driven by the replica: one guard for deletes found on this disk, one for unconfirmed tombstones
// of others. Give it all deletes of a batch first, then ask holds() for each.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <list>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/entry.h"
#include "base/time.h"
#include "sync/max_deletes.h"

namespace lansync {

// One delete. `label`: the run that its author gave it; of our own the guard makes one.
struct HeardDelete {
  const std::string& path;
  const Entry& was;
  RunId label = 0;
  std::uint64_t files_total = 0;  // files there, this one included
  bool in_sync = true;            // the group has a version of it
  Instant now{};
  WallTime wall{};
};

// The held deletes of one run, for people.
struct HeldRun {
  RunId run = 0;
  std::uint64_t number = 0;        // files and links; of nothing but directories, those
  std::vector<std::string> names;  // the first few
  WallTime since;
  std::uint64_t mark = 0;  // what joins later has a higher one
};

// What takes the place of a delete without being what was deleted: the file or link is gone all the
// same. (Two hundred files that were deleted and made again as directories, and these deleted then,
// went unasked.) A file in a link's place is an edit of it.
inline bool ends(EntryKind was, EntryKind is) {
  return was != is && was != EntryKind::kDirectory && is != EntryKind::kFile;
}

class DeleteGuard {
 public:
  static constexpr Duration kRunGap = 60s;
  static constexpr Duration kRunLength = 1h;
  static constexpr std::size_t kNames = 5;
  static constexpr std::uint64_t kAll = ~std::uint64_t{0};
  // Bounds memory: 1 GB of deletes. Those beyond it are counted and held, and are of the run also
  // after a restart, but cannot be excused or let out one by one.
  static constexpr std::size_t kMaxTracked = std::size_t{1} << 22;

  // Whose deletes: our own are known again by their tombstones after a restart; those of others
  // only when the hub has told them anew, and are held until then whatever their number is.
  enum class Side : std::uint8_t { kOwn, kOthers };
  // What a content that appeared, or a path that lives again, changed.
  struct Change {
    std::optional<std::string> excused;  // whose delete was the other half of a rename
    std::vector<std::string> emptied;    // directories above it of which nothing else was deleted
    std::vector<std::string> freed;      // held no more
    bool empty() const { return !excused && emptied.empty() && freed.empty(); }
  };

  DeleteGuard(MaxDeletes limit, Side side, std::function<RunId()> new_run,
              std::size_t max_tracked = kMaxTracked);
  DeleteGuard(const DeleteGuard&) = delete;
  DeleteGuard& operator=(const DeleteGuard&) = delete;

  // False: held. Ask take_let_go() afterwards.
  bool on_delete(const HeardDelete& heard);
  // What that changed for others, once: that a path is deleted again says that it had lived again,
  // and its earlier delete counts no more.
  Change take_let_go() { return std::exchange(let_go_, {}); }
  // What is at `path` now is there as an edit, by whomever: its delete is void, unless it was of
  // another kind (ends()). If its content was not there before, and not under this name, it excuses
  // the delete of another: of one and no more. Remembered for kRunGap, because the new name may be
  // noticed before the old one's delete.
  Change on_present(const std::string& path, const Entry& is, Instant now);
  // The path lives again, as what `is` says, or its delete is none any more for another reason.
  Change on_restored(const std::string& path, std::optional<EntryKind> is = std::nullopt);
  // Its author deleted it, and somebody else's edit beats that: it lives, and what else was held
  // with it is held until a person's word, however few are left.
  Change on_overruled(const std::string& path);
  // The group has a version of `path` for the first time: its delete does not count in a run that
  // has begun before.
  void on_first_synced(const std::string& path, Instant now);
  // The delete went out: it is not held any more, but still counts.
  void on_pushed(const std::string& path);

  bool holds(const std::string& path) const;
  bool holding() const;
  // Its appearance excused another delete: a delete of it is one of what that was as well.
  bool is_heir(const std::string& path) const { return heirs_.contains(path); }
  // Under which name the content of `path` stands whose delete was half of a rename, as this guard
  // has judged it; "": it was not, or that is long ago.
  std::string moved_to(const std::string& path) const;
  // The run that a tombstone of `path` made now belongs to; 0: none.
  RunId run_of(const std::string& path) const;
  // Files held, directories left out unless there is nothing else: `held_deletes` in status.
  std::uint64_t held_count() const;
  const std::vector<HeldRun>& held_runs() const;
  // The held paths of one label (0: of all), sorted; those that had come when `mark` was given.
  std::vector<std::string> held(RunId label = 0, std::uint64_t mark = kAll) const;

  // A person lets these go: they count as gone out. A run of which nothing is held then is over.
  // Those that lived again since the run began, as far as that is known.
  std::vector<std::string> returned(RunId label) const;
  void release(const std::vector<std::string>& paths);
  // A person takes the run back: it is forgotten. Gives its paths that have not gone out, sorted.
  std::vector<std::string> drop_label(RunId label);

  // The runs that are open or held, for index.db's meta: without their paths. restore() replaces
  // the state, then take_back() each known delete, then finish_restore(). False (and nothing
  // changed) if `bytes` is malformed.
  std::string serialize() const;
  // Deletes that were excused and count again, since their other half was deleted as well.
  std::vector<std::string> take_counted_again() { return std::exchange(counted_again_, {}); }

  // True once after each change of what serialize() gives.
  bool take_changed() { return std::exchange(changed_, false); }
  bool restore(std::string_view bytes, Instant now);
  bool knows(RunId label) const { return restored_.contains(label); }
  void take_back(const std::string& path, const Entry& tombstone, bool pushed);
  void finish_restore();

 private:
  struct Delete;
  using Node = std::pair<const std::string, Delete>;
  struct Run {
    RunId id = 0;
    std::uint64_t files_at_start = 0;
    WallTime since;
    Instant began{};
    std::uint64_t count = 0;       // of those that count
    std::uint64_t late = 0;        // besides: of what came after it had begun
    std::uint64_t files_late = 0;  // that there were with these, had none been deleted
    std::uint64_t unpushed = 0;    // of all
    std::uint64_t unpushed_files = 0;
    std::uint64_t untracked = 0;  // beyond the bound, and not gone out
    bool pinned = false;          // over whatever its number is
    std::vector<Node*> members;
    std::map<RunId, std::uint64_t> unpushed_of;  // by label
    std::set<std::string> excused_above;         // directories above what was excused
    std::set<std::string> returned;              // lived again, since it began
  };
  using Runs = std::list<Run>;
  struct Delete {
    Runs::iterator run;
    std::size_t slot = 0;  // in run->members
    RunId label = 0;
    std::uint64_t mark = 0;
    ContentId content;                  // zero: nothing excuses it by content
    EntryKind kind = EntryKind::kFile;  // what was deleted
    bool counts = true;
    bool late = false;  // it came after the run had begun
    bool pushed = false;

    bool directory() const { return kind == EntryKind::kDirectory; }
  };
  using Deletes = std::map<std::string, Delete>;
  struct Place {
    std::uint64_t key = 0;
    const std::string* path = nullptr;
    bool operator<(const Place& other) const {
      return key != other.key ? key < other.key : *path < *other.path;
    }
  };
  // In order of time; the maps below point into it.
  struct Appearance {
    Instant at{};
    ContentId content;
    std::string path;
    std::uint64_t number = 0;
    bool synced = false;  // the group has it
  };
  using Appeared = std::list<Appearance>;
  // What was deleted and excused.
  struct Heirloom {
    std::string path;
    Delete what;
    std::uint64_t files_total = 0;  // then
  };
  using Heirlooms = std::vector<Heirloom>;
  // What excused them: one, or what was moved several times.
  struct Heir {
    Heirlooms of;
    Instant at{};
    bool as_well = false;  // was in sync beside it: a copy, and its delete is one of its own
  };

  bool over(const Run& run) const;
  bool over_without_late(const Run& run) const;
  bool held(const Node& one) const;
  void list_held_runs() const;
  bool has_held_below(const std::string& path, const Run& run) const;
  Run& current_run(const HeardDelete& heard);
  void end_current();
  void begin_anew_if_nothing_counts(const HeardDelete& heard);
  bool take_late(const HeardDelete& heard);
  void expire(Instant now);
  void note_appeared(const std::string& path, const ContentId& content, Instant now);
  std::optional<Appearance> take_appeared(const ContentId& content);
  void drop_appeared(Appeared::iterator at);
  void forget_appeared(const std::string& path);
  void note_excused(const std::string& path, const std::string& by = {});
  void note_heir(const Appearance& by, Heirlooms of, Instant now);
  std::optional<Heir> take_heir(const std::string& path, Instant now);
  void forget_heir_of(const std::string& path);
  void forget_heirs();
  void count_again(const Heir& heir, bool in_sync, Runs::iterator run);
  bool count_on(Deletes::iterator at);
  Change excuse_by(const std::string& path, const ContentId& content, Instant now);
  bool take_new_directory(const std::string& path);
  void insert(Runs::iterator run, const std::string& path, Delete what);
  void erase(Deletes::iterator at);
  void mark_pushed(Delete& what);
  Change excuse(Deletes::iterator at);
  Change on_new_directory(const std::string& path, Instant now);
  void note_above(Run& run, const std::string& path);
  bool has_deletes_below(const std::string& path) const;
  void excuse_emptied(const std::string& path, Change& change);
  void collect_freed_above(const Run& run, const std::string& path, Change& change) const;
  void collect_freed(Run& run, bool was_over, Change& change) const;
  Deletes::iterator find_excusable(const ContentId& content, const std::string& by);
  void drop_run(Runs::iterator run);
  // A run that takes no more deletes and holds nothing is of no use.
  void drop_if_done(Runs::iterator run);

  MaxDeletes limit_;
  Side side_;
  std::function<RunId()> new_run_;
  std::size_t max_tracked_;
  Runs runs_;             // the last is the current one if current_
  bool current_ = false;  // runs_.back() still takes deletes
  bool changed_ = false;
  Instant last_delete_{};
  std::uint64_t next_mark_ = 1;
  Deletes deletes_;
  // Of a million deletes the list takes 0.1 s: made anew only after a change.
  mutable std::vector<HeldRun> held_runs_;
  mutable bool held_runs_known_ = false;
  std::set<Place> by_content_;            // deletes that may yet turn out to be renames
  std::map<std::string, Instant> fresh_;  // first in sync after the current run had begun
  // Where the content of what was renamed lately stands now, and by the old name where that is.
  std::map<std::string, Heir> heirs_;
  std::map<std::string, std::string> heir_of_;
  std::vector<std::string> counted_again_;
  Change let_go_;
  std::map<RunId, Runs::iterator> restored_;
  Appeared appeared_;
  // Its number tells equal ones apart: of 100,000 equal files each is found at once.
  std::map<std::pair<ContentId, std::uint64_t>, Appeared::iterator> appeared_by_content_;
  std::map<std::string, Appeared::iterator> appeared_at_;
  std::uint64_t next_appeared_ = 0;
  // Gone by a rename, until that has gone out or the path lives again: it is heard of first and
  // looked at later, and must not count the second time. With the new name, if that is known.
  std::map<std::string, std::string> excused_;
  std::deque<std::pair<Instant, std::string>> new_directories_;
};

}  // namespace lansync
