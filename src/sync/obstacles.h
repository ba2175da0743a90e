// What this disk cannot hold as the group has it, for now: a pipe or a file above --max-file-size
// stands in its place, the directory that has to go holds ignored files, the system says no.
//
// Invariant: a path whose version and whose place on the disk are what they were is tried again
// ever more rarely, so that no path is planned without end. After a few tries it "stands": the
// folder is in sync but for it, and says so. Driven by the replica: failures and looks at the disk
// in, take_due() says what to try again.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/time.h"
#include "base/version_vector.h"
#include "sync/file_system.h"

namespace lansync {

class Obstacles {
 public:
  // `version` could not be made true at `path`. True: it stands, from now on or still.
  // `in_the_way`: for what is there, so that only another stat of it is a reason to try again.
  bool on_failed(const std::string& path, const VersionVector& version, bool in_the_way,
                 Instant now);
  // It cannot be done as long as `behind` stands (what it is in, or what is in it).
  void on_behind(const std::string& path, const VersionVector& version, const std::string& behind);
  // It is known without a try: until another version comes, or somebody mends something
  // (clear_all).
  void on_refused(const std::string& path, const VersionVector& version);
  // Not to be tried now.
  bool blocks(const std::string& path, const VersionVector& version, Instant now) const;
  bool stands(const std::string& path) const;
  // The nearest path above that stands.
  std::optional<std::string> standing_above(const std::string& path) const;
  // What is at `path` on the disk; nullopt: nothing. True if that is other than at the last look:
  // it may be possible now.
  bool on_seen(const std::string& path, const std::optional<FileStat>& stat);
  // And nothing is other than at the last look.
  bool is_as_seen(const std::string& path, const std::optional<FileStat>& stat) const;
  // Something happened below it: tried again as well.
  void on_event_below(const std::string& path);
  std::vector<std::string> below(const std::string& directory) const;
  // It is done, or there is nothing to do any more. Gives the paths that were behind it.
  std::vector<std::string> clear(const std::string& path);
  std::vector<std::string> clear_all();
  // To be tried again, and to be looked at (on_seen).
  struct Due {
    std::vector<std::string> tries;
    std::vector<std::string> looks;
  };
  Due take_due(Instant now);
  Instant deadline() const { return timers_.empty() ? kNever : timers_.begin()->first; }
  // Some are tried in quick succession still.
  bool has_unsettled() const;
  bool empty() const { return obstacles_.empty(); }
  bool contains(const std::string& path) const { return obstacles_.contains(path); }

  // ---- what is here and is not synced (too large, a link target that is too long): read once.
  void pass_over(const std::string& path, const FileStat& stat) { passed_over_[path] = stat; }
  void take_up(const std::string& path) { passed_over_.erase(path); }
  bool passed_over(const std::string& path, const FileStat& stat) const;
  // At the last look: what the index has of that path is not what stands there.
  bool passes_over(const std::string& path) const { return passed_over_.contains(path); }

 private:
  struct Obstacle {
    VersionVector version;
    int failures = 0;
    bool in_the_way = false;
    Instant until{};
    std::string behind;  // empty: tried again by time
    bool seen = false;
    std::optional<FileStat> stat;
  };
  void free(const std::string& path, Obstacle& obstacle);
  void arm(const std::string& path, Obstacle& obstacle, Instant until);
  void disarm(const std::string& path, const Obstacle& obstacle);

  std::map<std::string, Obstacle> obstacles_;
  std::set<std::pair<Instant, std::string>> timers_;
  std::map<std::string, std::set<std::string>> waiting_behind_;
  std::map<std::string, FileStat> passed_over_;
};

}  // namespace lansync
