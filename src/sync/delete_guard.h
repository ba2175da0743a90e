// Holds mass deletes until a person has looked (CONTRACT, Guards and --max-deletes).
//
// Deletes count together in a run while each follows the last within 60 s, against the number of
// files when the run began. One whose content reappears under another name is a rename and does not
// count. Invariant: while a run is over the limit, none of its deletes that has not gone out yet
// goes out; confirm(), reject(), or enough of them turning out to be renames ends that.
// Driven by the replica: one for deletes found on this disk, one for unconfirmed tombstones of
// others. Give it all deletes of a batch first, then ask holds() for each.
#pragma once

#include <cstdint>
#include <deque>
#include <list>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/bytes.h"
#include "base/entry.h"
#include "base/time.h"
#include "sync/max_deletes.h"

namespace lansync {

class DeleteGuard {
 public:
  static constexpr Duration kRunGap = 60s;
  // Bounds memory. A delete beyond it is neither tracked nor let out (see on_delete).
  static constexpr std::size_t kMaxTracked = std::size_t{1} << 20;

  explicit DeleteGuard(MaxDeletes limit) : limit_(limit) {}
  DeleteGuard(const DeleteGuard&) = delete;
  DeleteGuard& operator=(const DeleteGuard&) = delete;

  // `was`: what was deleted. Directories are held with the rest but do not count. `files_total`:
  // files there, this one included. False: held (or kMaxTracked paths are tracked already: then a
  // rescan has to find it later).
  bool on_delete(const std::string& path, const Entry& was, Instant now, std::uint64_t files_total);
  // Content that appeared under a name where it was not before. Remembered for kRunGap, because the
  // new name may be noticed before the old one's delete.
  // True: a run fell below its limit by it, and what it held may go out now.
  bool on_reappear(const ContentId& content, Instant now);
  // The delete went out: it is not held any more, but still counts.
  void on_pushed(const std::string& path);
  // The path exists again: the delete is void and does not count. True as for on_reappear.
  bool on_restored(const std::string& path);

  bool holds(const std::string& path) const;
  bool holding() const;
  // Files held, directories left out: `held_deletes` in status.
  std::uint64_t held_count() const;
  std::vector<std::string> held() const;  // all paths, sorted

  // Ends every held run. Gives the held paths, sorted: to be published with `confirmed` set, or to
  // be brought back.
  std::vector<std::string> confirm();
  std::vector<std::string> reject();

  // The held runs, for index.db's meta. restore() replaces the state; false (and nothing changed)
  // if `bytes` is malformed.
  std::string serialize() const;
  bool restore(std::string_view bytes);

 private:
  struct Delete {
    std::optional<ContentId> content;  // none for directories
    bool counts = true;
    bool pushed = false;
  };
  struct Run {
    std::uint64_t files_at_start = 0;
    std::uint64_t count = 0;     // of those that count
    std::uint64_t unpushed = 0;  // of all
    std::map<std::string, Delete> deletes;
  };
  using Runs = std::list<Run>;
  // In order of time; the map below points into it.
  using Appeared = std::list<std::pair<Instant, ContentId>>;

  bool over(const Run& run) const;
  Run& current_run(Instant now, std::uint64_t files_total);
  void expire(Instant now);
  bool take_appeared(const ContentId& content);
  void drop_oldest_appeared();
  void forget_content(const std::string& path, const Delete& what);
  void drop_run(Runs::iterator run);
  // A run that takes no more deletes and is not over its limit is of no use.
  void drop_if_done(Runs::iterator run);
  void insert(Runs::iterator run, const std::string& path, Delete what);
  std::vector<std::string> end_held();

  MaxDeletes limit_;
  Runs runs_;             // the last is the current one if current_
  bool current_ = false;  // runs_.back() still takes deletes
  Instant last_delete_{};
  std::unordered_map<std::string, Runs::iterator> by_path_;
  // Deletes that may yet turn out to be renames; never iterated into an output.
  std::unordered_map<ContentId, std::set<std::string>, TaggedBytesHash> by_content_;
  Appeared appeared_;
  // Of each content its appearances, oldest first. A queue each and no multimap: of 100,000 equal
  // files (a skeleton of empty ones, say) each removal searched through all the others.
  std::unordered_map<ContentId, std::deque<Appeared::iterator>, TaggedBytesHash>
      appeared_by_content_;
};

}  // namespace lansync
