// `.lansync/trash`: keeps what lies there and what the index lists the same, over every crash, and
// removes what is due.
//
//   a batch promises names -> moves files there -> rows are put, with the batch's other rows
//   start -> walk: rows without a file go, files without a row get one (sync/batch_journal.h may
//   know what they are) and are read for their content id
//   a change that failed, perhaps half way -> the names that it might have used are looked for
//
// Invariants: a file in the trash has a row as soon as the node has looked, and keeps it; a row
// goes after its file. Nothing that no person went past is removed while no other verified copy of
// its content stands outside every trash (DESIGN, Deletes). Content that lies in a trash is
// nobody's reason to remove anything. Driven by Replica on the control thread, with observed time;
// knows neither clocks nor peers.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/executor.h"
#include "base/log.h"
#include "base/time.h"
#include "sync/file_system.h"
#include "sync/index.h"

namespace lansync {

class BatchJournal;

class Trash {
 public:
  static constexpr std::int64_t kKeptNs = 30LL * 24 * 3600 * 1'000'000'000;

  // `number` makes names of this run unlike those of another.
  Trash(Index& index, FileSystem& files, Executor& executor, Log& log);

  // Begins the first walk. `left`: what the last run was doing when it ended.
  void start(const BatchJournal& left, std::uint64_t number, Instant now, std::int64_t observed_ns);
  // Walks, reads. Cheap when there is nothing to do.
  void pump(Instant now, std::int64_t observed_ns);
  Instant deadline() const;
  // What lies there is listed.
  bool walked() const { return walked_; }

  // A name for what is at `path`, below a folder of its own that says when.
  std::string name_for(const std::string& path, WallTime wall);
  // Something may be moved there under that name, or from there, until keep(), give_up() or
  // forget().
  void promise(const std::string& name) { promised_.insert(name); }
  void keep(const std::string& name, const TrashItem& item);
  // Nothing was, as far as the operation says: the trash is asked. `item`: what it would be.
  void give_up(const std::string& name, const TrashItem& item);
  // It is in the folder again, or never came.
  void forget(const std::string& name);
  bool is_going(const std::string& name) const { return going_.contains(name); }
  bool is_promised(const std::string& name) const { return promised_.contains(name); }

  struct Limits {
    std::int64_t observed_ns = 0;
    std::optional<std::uint64_t> bytes;  // nullopt: the disk does not say
    // The index's word for that path's content is not to be trusted.
    std::function<bool(const std::string& path)> is_rotten;
    // A run of deletes that a person may still undo needs it.
    std::function<bool(const std::string& path)> is_needed;
    // Verified on a node besides this one, and not in its trash, as far as the hub says now.
    std::function<bool(const ContentId& content)> is_elsewhere;
  };
  // Removes what is older than kKeptNs or beyond `bytes`, oldest first, and what it may of that.
  // True if there is more of it than one turn takes: ask again when going() is empty.
  bool prune(const Limits& limits);
  bool pruning() const { return !going_.empty(); }

 private:
  struct Walk;
  static void look_for(FileSystem& files, Walk& walk);
  struct Reading;
  struct Removal {
    std::string name;
    // It goes only if the file there is still this one.
    std::string copy_at;
    FileStat copy_stat;
    bool gone = false;
  };
  void begin_walk();
  void on_walk(const Walk& walk);
  TrashItem describe(const std::string& name, const FileStat& stat) const;
  void read_next();
  void read_on(std::shared_ptr<Reading> reading);
  void on_read(const Reading& reading);
  bool may_go(const std::string& name, const TrashItem& item, const Limits& limits,
              Removal& removal) const;
  TrashList& rows() { return index_.trash(); }

  Index& index_;
  FileSystem& files_;
  Executor& executor_;
  Log& log_;
  std::uint64_t counter_ = 0;
  std::int64_t observed_ns_ = 0;
  Instant now_{};

  std::set<std::string> promised_;
  std::map<std::string, TrashItem> expected_;  // what a look may find, and what it is then
  std::map<std::string, std::string> paths_of_temps_;
  bool walk_running_ = false;
  bool walked_ = false;
  Instant next_walk_ = kNever;
  std::set<std::string> touched_;  // put or forgotten while a walk runs: it may not have seen that
  bool reading_ = false;
  std::set<std::string> unreadable_;
  std::set<std::string> going_;
};

}  // namespace lansync
