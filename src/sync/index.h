// The three trees, in memory: what the disk shows (local), what disk and hub last agreed on
// (synced), what the hub says (remote). One record a path; equal trees share their Entry objects.
//
// Owned by the control thread. local, its stat and synced are persistent (index.db); remote is not:
// it is asked for anew on every join. Invariant: the content lookup names exactly the paths whose
// local entry is a live file.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/entry.h"
#include "sync/file_system.h"
#include "sync/index_store.h"
#include "sync/trash_list.h"

namespace lansync {

struct PathRecord {
  // Why the content of a path belongs here though this node does not want all. Says nothing about a
  // file that is on the disk: that one is kept up to date anyway.
  enum Wanted : std::uint8_t {
    kNotAsked = 0,
    kAskedFor = 1,  // by a person
    kHubKeeps = 2,  // pushed to this node while it is hub: published only once it is here
  };

  // Null: this disk never held it, or its content is not kept here (then `synced` is what is known
  // of it); a tombstone: it was deleted here.
  EntryPtr local;
  EntryPtr synced;
  EntryPtr remote;
  FileStat stat;              // of the disk when `local` was last verified; kOther for tombstones
  bool held = false;          // local is a tombstone of a run of deletes that waits for confirm
  std::int64_t since_ns = 0;  // observed time when `local` became a tombstone; else 0
  Wanted wanted = kNotAsked;

  bool empty() const { return !local && !synced && !remote; }
  bool live() const { return local && !local->is_tombstone(); }
  // A file of the group whose content is not on this disk.
  bool absent() const {
    const EntryPtr& entry = remote ? remote : synced;
    return !local && entry && entry->is_file();
  }
  // The group's version was agreed on and is not what this disk shows: its content is not wanted
  // here, or this disk cannot hold it (then it may show an older one).
  bool agreed_elsewhere() const {
    if (!synced || local == synced) return false;
    return !local || local->version.compare(synced->version) == Order::kOlder;
  }
  // What this node would say of the path: its own version, or of what is not here what was agreed.
  const EntryPtr& known() const { return agreed_elsewhere() ? synced : local; }
};

class Index {
 public:
  using Paths = std::map<std::string, PathRecord>;

  // Fills from what the store holds. Gives the paths of the rows that do not decode. They are
  // dropped, here and from the store, and the folder's scan meets what stands there as it meets
  // what it never saw: safe, because a version without a past is concurrent with every other, so at
  // worst a file is kept twice or comes back after its delete.
  std::vector<std::string> load(const LoadedIndex& loaded);

  const Paths& paths() const { return paths_; }
  const PathRecord* find(const std::string& path) const;
  // Observed time (base/observed_time.h): what becomes a tombstone from now on ages from then.
  void set_observed(std::int64_t ns) { observed_ns_ = ns; }
  // The record of `path`, made if needed, for remote only.
  void set_remote(const std::string& path, EntryPtr entry);
  void set_local(const std::string& path, EntryPtr entry, const FileStat& stat, bool held = false);
  void set_synced(const std::string& path, EntryPtr entry);
  // Only the stat changed: the same version was verified again.
  void set_stat(const std::string& path, const FileStat& stat);
  void clear_remote();
  // The content of each path belongs here (the default), or only that of those that were asked for.
  void set_wants_all(bool all) { wants_all_ = all; }
  bool wants_all() const { return wants_all_; }
  bool wants(const PathRecord& record) const {
    return wants_all_ || record.wanted != PathRecord::kNotAsked;
  }
  // Requires: the path is known.
  void set_wanted(const std::string& path, PathRecord::Wanted wanted);

  // A path whose local file has that content; `hint` first if it does. Only one that `usable`
  // accepts, if there is such a rule.
  using PathRule = std::function<bool(const std::string& path)>;
  std::optional<std::string> find_content(const ContentId& content, const std::string& hint,
                                          const PathRule& usable = {}) const;
  // A link to that target is somewhere on this disk.
  bool has_link(const ContentId& target) const;

  TrashList& trash() { return trash_; }
  const TrashList& trash() const { return trash_; }

  std::string meta(const std::string& key) const;
  void set_meta(const std::string& key, const std::string& value);
  const std::map<std::string, std::string>& all_meta() const { return meta_; }

  // What changed since the last take, as one batch; the caller commits it.
  IndexBatch take_batch();
  // A batch that could not be committed: its rows are dirty again.
  void put_back(const IndexBatch& batch);
  bool is_dirty(const std::string& path) const { return dirty_.contains(path); }
  bool dirty() const { return !dirty_.empty() || trash_.dirty() || !meta_dirty_.empty(); }

  // Live local paths below `directory`, itself not included.
  std::vector<std::string> live_below(const std::string& directory) const;

  struct Totals {
    std::uint64_t files = 0;
    std::uint64_t directories = 0;  // symlinks count as files
    std::uint64_t bytes = 0;
  };
  const Totals& totals() const { return totals_; }
  // How many paths differ between local and remote, kept up to date: status asks it often.
  bool in_agreement(const PathRecord& record) const;

 private:
  PathRecord& touch(const std::string& path);
  void drop_if_empty(const std::string& path);
  void count(const PathRecord& record, int sign);
  void index_content(const std::string& path, const PathRecord& record);
  void unindex_content(const std::string& path, const PathRecord& record);

  // The first 8 bytes of a content id, and the map's own key (stable in a std::map). A set in
  // order, not a hash table: among 100,000 equal files each removal searched through all the
  // others.
  struct Place {
    std::uint64_t key = 0;
    const std::string* name = nullptr;
    bool operator<(const Place& other) const {
      return key != other.key ? key < other.key : *name < *other.name;
    }
  };
  using Places = std::set<Place>;

  Paths paths_;
  Places by_content_;
  Places links_by_target_;
  TrashList trash_;
  std::map<std::string, std::string> meta_;
  std::set<std::string> dirty_;
  std::set<std::string> meta_dirty_;
  Totals totals_;
  std::int64_t observed_ns_ = 0;
  bool wants_all_ = true;
};

}  // namespace lansync
