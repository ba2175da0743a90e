// This node's folder and what it should become: notices edits and makes versions of them
// (replica_local), plans what the hub's word asks for (replica_remote), gets content for it
// (replica_content) and carries it out (replica_apply). Knows no roles: the hub feeds it its own
// tree as `remote`, a client what the hub sent.
//
// Driven by roles/node on the control thread: events in, pump(now) does what is due, deadline()
// says when next. Invariant: at most one operation per path at a time (busy_); nothing is done to a
// path whose disk is not what the index says.
#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/executor.h"
#include "base/log.h"
#include "base/observed_time.h"
#include "base/random.h"
#include "base/time.h"
#include "sync/activity.h"
#include "sync/applier.h"
#include "sync/batch_journal.h"
#include "sync/confirmed_runs.h"
#include "sync/delete_guard.h"
#include "sync/edit_counter.h"
#include "sync/examine_queue.h"
#include "sync/examiner.h"
#include "sync/fetcher.h"
#include "sync/file_system.h"
#include "sync/folded_names.h"
#include "sync/ignore_rules.h"
#include "sync/index.h"
#include "sync/obstacles.h"
#include "sync/planner.h"
#include "sync/provider.h"
#include "sync/quiet_timer.h"
#include "sync/room_guard.h"
#include "sync/scanner.h"
#include "sync/trash.h"
#include "sync/unfetched.h"
#include "sync/waiting_content.h"

namespace lansync {

// What the watcher says happened to a path. A hint: what is there is found out by looking.
struct ChangeHint {
  std::string path;
  FileEvent event = FileEvent::kModify;
};

struct NamedContent {
  std::string path;  // where it probably is
  ContentId content;
};

// Implemented by roles.
class ReplicaEvents {
 public:
  virtual ~ReplicaEvents() = default;
  // The index row of `path` is durable, and disk and remote agree on it.
  virtual void on_settled(const std::string& path) = 0;
  // The fetched content of `path` cannot be had (all sources failed for now); it is tried again
  // later.
  virtual void on_fetch_failed(const std::string& path, const std::string& reason) = 0;
  // This content came, the last of it from there.
  virtual void on_fetched(const ContentId& /*content*/, SourceId /*source*/, Via /*via*/) {}
};

class Replica final : public ContentLocator {
 public:
  struct Options {
    NodeId node;
    std::string node_name;
    Duration settle = 2s;
    Duration settle_max = 60s;
    Duration rescan = 10min;
    MaxDeletes max_deletes = default_max_deletes();
    std::uint64_t max_file_size = 0;  // 0: none
    bool on_demand = false;           // content only when asked for
    std::uint64_t reserve_bytes = 0;  // stay free on the disk (CONTRACT, Guards)
    std::size_t max_tracked_deletes = DeleteGuard::kMaxTracked;
  };

  Replica(const Options& options, FileSystem& files, IndexStore& store, Executor& executor,
          Fetcher& fetcher, RandomSource& random, const Clock& clock, Log& log);

  void set_events(ReplicaEvents* events) { events_ = events; }
  // Takes the loaded index, reserves edit counts, and begins the first scan. `fresh`: the index was
  // made now, so what is found is an import.
  void start(const LoadedIndex& loaded, bool fresh, Instant now);

  // ---- the disk
  // --------------------------------------------------------------------------------------
  void on_hint(const ChangeHint& hint, Instant now);
  // Compares everything below a directory with what the index knows below it: one that was moved
  // here, or another one than the index knows by that name (replica_compare.cpp).
  void look_below(const std::string& directory, Instant now);
  // The watcher lost events, or somebody asks: look at everything.
  void rescan(Instant now);
  // A person has mended something: what failed is tried again at once.
  void retry_now();
  // Some directories are not watched: scans alone find changes there, and come more often.
  void set_unwatched(bool unwatched, Instant now);
  // The watcher's answer to a marker came, or there is no watcher and a scan was made: `done` runs
  // when everything noticed before is examined (not necessarily on the hub).
  bool scanned() const { return initial_scan_done_; }

  // ---- the hub's word
  // -------------------------------------------------------------------------------- Nothing is
  // planned before the remote tree is known, and no version is made while it is being learned (a
  // digest of the local tree is on its way).
  void remote_unknown();
  void freeze_versions(bool frozen);
  void remote_known(Instant now);
  // Grows with each change of the ignore rules. What they hide is none of the group's from then on
  // (roles forget it), and what they hid before is asked for anew.
  std::uint64_t rules_number() const { return rules_number_; }
  // By the rules here that version is not taken from anybody.
  bool is_ignored(const std::string& path, const Entry& entry) const;
  bool is_remote_known() const { return remote_known_; }
  void set_remote(const std::string& path, EntryPtr entry);
  // If disk and remote agree on `path` and nothing has to be done for it: tells on_settled, once
  // the row is durable.
  void settle_if_agreed(const std::string& path);
  // Folder or trash has these bytes, as far as is known: a copy that did not verify says they have
  // not.
  bool has_bytes(const ContentId& content, const std::string& path) const;
  // Local and remote agree on `entry` without anything to do on disk (a push was published).
  void set_agreed(const std::string& path, const EntryPtr& entry);
  // The group has this version of `path`, whether this disk does or not: a delete is out with it.
  void set_known_synced(const std::string& path, const EntryPtr& entry);
  // Paths whose local version the hub should have. Roles push them; an entry leaves the set when
  // the trees agree or a newer remote takes over.
  const std::set<std::string>& to_push() const { return to_push_; }
  // The same in the order in which they go out: what exists first, shallow to deep; then deletes,
  // deep to shallow, because a directory in which something lives is not deleted.
  std::vector<std::string> push_order() const;
  // The hub will not take it as it is: it waits for the next change of it, and is named till then.
  void refuse_push(const std::string& path, const std::string& reason);
  // True if something was added since the last call.
  bool take_push_changed() { return std::exchange(push_changed_, false); }
  void plan_again(const std::string& path) { plan_.insert(path); }
  // Where content comes from: of any path, or (a push being taken) of one path only.
  void set_sources(std::vector<SourceId> sources);
  // Others who have a content, besides those; forgotten once it is here.
  void set_extra_sources(const ContentId& content, std::vector<SourceId> sources);
  void set_path_source(const std::string& path, SourceId source);
  void clear_path_source(const std::string& path) { source_of_.erase(path); }

  // ---- turns
  // -----------------------------------------------------------------------------------------
  void pump(Instant now);
  Instant deadline() const;
  bool in_sync() const;
  // All that the hub says is here; what is here may still be on its way to it.
  bool caught_up() const;
  // Nothing noticed on this disk waits to become a version.
  bool local_quiet() const;
  // So many paths were noticed and are still to be read.
  std::size_t unexamined() const;

  void pause(bool paused) { paused_ = paused; }
  bool paused() const { return paused_; }

  // ---- guards
  // ----------------------------------------------------------------------------------------
  std::uint64_t held_deletes() const;
  // Its tombstone, or what took the place of what was deleted, goes nowhere, nor what is below
  // that: the group still has the version before it.
  bool is_held(const std::string& path) const;
  // The same, or a delete of others that waits here.
  bool waits_for_word(const std::string& path) const {
    return is_held(path) || (incoming_counted_.contains(path) && incoming_guard_.holds(path));
  }
  // The deletes of one run that wait here; `theirs`: of others, that would have to be applied.
  struct HeldDeletes {
    HeldRun run;
    std::string author;
    bool theirs = false;
  };
  std::vector<HeldDeletes> held_runs() const;
  // A person lets go what is held of a run and had come when `mark` was given. Those of which no
  // tombstone is made yet are looked at first; then take_confirmed() has them, to be signed, and
  // let_go() lets them go.
  // Gives how many files and links these are.
  std::uint64_t confirm_deletes(const HeldDeletes& what);
  bool confirming(RunId run) const;
  struct Confirmed {
    RunId run = 0;
    std::vector<DeleteLeaf> leaves;  // in order
  };
  std::vector<Confirmed> take_confirmed();
  // Somebody's word on these has been found to be his.
  void let_go(RunId run, std::vector<DeleteLeaf> leaves);
  // Somebody takes the run back: what of it is held here is none any more. What had gone out comes
  // back as new versions, which is for roles to do (gone_in).
  void take_run_back(RunId run);
  void forget_confirmed(RunId run) { confirmed_runs_.forget(run); }
  void forget_rejected(RunId run) { rejected_runs_.erase(run); }
  void confirm_room();
  // How many files went free.
  std::uint64_t confirm_long_away();
  // The group's tombstones of these runs.
  std::vector<std::pair<std::string, EntryPtr>> gone_in(const std::set<RunId>& runs) const;
  // What of a run is known here: tombstones of the group, and what is held.
  std::set<std::string> paths_of_run(RunId run) const;
  // What of that run lives again: made since, or what took a file's place in it.
  std::vector<std::string> returned(RunId run) const;
  // Makes them anew, where they are missing; new versions come of it.
  void make_directories_again(std::vector<std::pair<std::string, std::uint16_t>> directories,
                              std::function<void()> done);
  // Before a hub's word is known: is what comes of it this folder's first pull?
  void expect_first_pull(bool first) { room_.expect(first); }
  bool room_held() const { return room_.held(); }
  const RoomGuard& room() const { return room_; }
  // Content was lately not taken for want of room.
  bool short_of_room(Instant now) const { return now < short_until_; }
  // Empty while the root is what it was at start; else why nothing is done.
  const std::string& root_error() const { return root_error_; }

  // ---- identity
  // --------------------------------------------------------------------------------------
  const NodeId& node() const { return options_.node; }
  std::uint64_t edit_count() const { return counter_.last(); }
  // The group has seen a count of this node that its index does not know to have used: the index is
  // an older one, from a backup, or a copy of it is at work elsewhere.
  bool forgot_counts(std::uint64_t seen) const { return counter_.forgot(seen); }
  // This node's runs, to be stated; durable once commit_first() was good.
  std::vector<Run> runs() const { return counter_.runs(); }
  // Before anything else, on the caller's thread: who we are, this run and its counts are durable
  // when it returns true. A run that others know and the index does not would pass for a copy's.
  bool commit_first();
  // The version of `path` is durable: only then may others hear of it, or a kill would forget a
  // count that they know (DESIGN, Identity).
  bool is_durable(const std::string& path) const {
    return !committing_.contains(path) && !index_.is_dirty(path);
  }
  // Another node is in sync with this one: it knows every edit made up to now.
  void note_shared();
  std::uint64_t files_not_shared() const;  // whose last edit no other node is known to have
  // The hub settles conflicts with counts of its own: the next `n` are used.
  void use_counts(std::uint64_t n);
  // A new node id: counts start anew; vectors and synced tree stay (DESIGN, Identity).
  void change_identity(const NodeId& node);

  // ---- content on demand (replica_demand.cpp)
  // -------------------------------------------------------------------------------
  // The group's files at or below `name`, whose content is here or not.
  std::vector<std::string> files_at(const std::string& name) const;
  // The content of `path` is wanted from now on, until it is dropped: durable with the next commit.
  void ask_for(const std::string& path);
  // Not any more; what is on the disk stays.
  void unask(const std::string& path);
  // Pushed to this node as hub: published only once it is here (or withdrawn).
  void keep_for_group(const std::string& path);
  void unkeep(const std::string& path);
  // The content of the group's version of `path` is on this disk, under that name.
  bool is_here(const std::string& path) const;
  // It is being fetched at this moment, from somebody who has not refused it.
  bool is_on_its_way(const std::string& path) const;
  // The group's version of it is larger than --max-file-size.
  bool too_large(const std::string& path) const;
  // Why this disk, or a rule of this node, cannot have `entry` at `path`; nullopt: it may be tried.
  std::optional<std::string> cannot_hold(const std::string& path, const Entry& entry) const;
  // Ok if `path` is a file of the group's version that nothing waits for: no edit of it is on its
  // way.
  Status may_drop(const std::string& path) const;
  // Frees its space and keeps the entry. Requires: may_drop(path), and another node that holds the
  // content. A file that is edited at this very moment stays and syncs.
  void drop(const std::string& path, std::function<void(Status)> done);
  // ---- content aside, for a person and not for the folder
  // Fetches the content of `entry` (a version of `path`) though it may be here already; from these
  // sources, or from all that there are. `done` may be called more than once with an error (the
  // fetch goes on, until drop_aside), and last with the verified temp file, which is the caller's
  // until release_aside; or with "": the folder takes it, under a path that waited for it.
  using AsideDone = std::function<void(const Result<std::string>& temp)>;
  Status fetch_aside(const std::string& path, const EntryPtr& entry, std::vector<SourceId> sources,
                     AsideDone done);
  void drop_aside(const ContentId& content);
  void release_aside(const ContentId& content, const std::string& temp) {
    release_temp(content, temp);
  }
  // ---- content on its way to the hub
  // Fetched along with the hub, if this folder would want it: it is whole, or nearly, when the hub
  // publishes it. Until then it is in tmp alone. False: not wanted, or here already.
  bool expect(const WantedContent& wanted, Instant now);
  // Nothing comes of it. What has come is kept as a partial file.
  // By value: the caller may have it from what is erased here.
  void unexpect(ContentId content);
  std::vector<ContentId> expected() const;
  // Whether the file at `path` has the bytes that the index says: read from the disk.
  void read_anew(const std::string& path, std::function<void(const Status&)> done);
  struct Absent {
    std::uint64_t files = 0;
    std::uint64_t bytes = 0;
  };
  Absent absent() const;
  // Whether each of these contents stands unchanged on this disk: the disk is asked, on a worker.
  void look_for(std::vector<NamedContent> contents, std::function<void(std::vector<bool>)> done);

  // ---- what others ask
  // -------------------------------------------------------------------------------
  std::optional<LocatedContent> locate(const ContentId& content, const std::string& hint) override;
  // A provider found that a file is not what the index says.
  void on_content_changed(const std::string& path);

  // ---- rot (replica_rot.cpp)
  // Reading anew found other bytes under an unchanged stat: they are not given to others.
  void on_rot(const std::string& path);
  // The hub could not have the bytes of this push: are they what is on the disk?
  void doubt_push(const std::string& path);
  // Fetches its content anew; the bad copy goes to the trash. `done` comes from a later pump().
  void repair(const std::string& path, std::function<void(Status)> done);

  // ---- what a member sends without the hub (replica_receive.cpp)
  struct Received {
    std::string name;  // wanted; another free one if something else stands there
    std::string from;  // the node's name
    ContentId content;
    Md5 md5;
    std::uint64_t size = 0;
    std::int64_t mtime_ns = 0;
    std::uint16_t mode = 0;
    SourceId source = 0;
  };
  Status may_receive(std::uint64_t size) const;
  // Fetches it from that source alone; `done` gets the path under which it is, from a later pump().
  // From then on it is an edit of this node.
  void receive(const Received& what, std::function<void(Result<std::string>)> done);
  void stop_receiving(const ContentId& content);

  Index& index() { return index_; }
  const Index& index() const { return index_; }
  struct Pending {
    std::uint64_t files = 0;
    std::uint64_t bytes = 0;
  };
  Pending pending() const;
  std::vector<Operation> preview() const;
  // Problems by path: unreadable, refused names, busy files. Ordered, at most kMaxProblems.
  const std::map<std::string, std::string>& problems() const { return problems_; }
  const Obstacles& obstacles() const { return obstacles_; }
  void note_problem(const std::string& path, const std::string& reason);
  void clear_problem(const std::string& path);
  // The file of that name in the trash comes back as a local edit. What stands in its place goes to
  // the trash if its content is `over`; else it is left alone, and the restore fails.
  void restore_trash(const std::string& trash_name, const std::optional<ContentId>& over,
                     std::function<void(Status)> done);
  // What is older than 30 days or beyond a tenth of the disk, as far as it may go (sync/trash.h).
  void prune_trash();
  // Tombstones are kept for 15 months of observed time (DESIGN, Joining).
  void drop_old_tombstones();
  // Commits what is dirty and calls `done` when it is durable.
  void commit_then(std::function<void()> done);
  // Something has waited for so long to be committed, without success.
  Duration commit_waits(Instant now) const {
    return uncommitted_since_ ? now - *uncommitted_since_ : Duration::zero();
  }
  // Nothing on its way that would change the local tree: it may be digested.
  bool tree_at_rest() const { return applies_running_ == 0 && changes_.empty(); }
  // The work of planning, in paths, since the start.
  std::uint64_t paths_planned() const { return paths_planned_; }
  std::uint64_t mismatches() const { return mismatches_; }
  // Was away too long to know of all deletes (roles know when): unchanged files that the hub does
  // not know are held and not pushed (PlanOptions), until confirm_long_away() or another hub's
  // word.
  void set_long_away(bool long_away);
  const std::set<std::string>& held_absent() const { return held_absent_; }

  // ---- observed time (base/observed_time.h)
  std::int64_t observed_ns() const { return observed_.at(clock_.now()); }
  ObservedTime& observed_time() { return observed_; }
  // Into the index, with what nobody else vouches for by now.
  void keep_observed();

  // Nothing in progress on workers that would be lost by leaving now.
  bool idle() const { return applies_running_ == 0 && !commit_running_ && !index_.dirty(); }

 private:
  static constexpr std::size_t kMaxProblems = 1000;
  static constexpr std::uint64_t kCountReserve = 1'000'000;
  // Events of a path until its glance: what the timer needs of a burst is its first and last few.
  static constexpr std::size_t kMaxEventsKept = 64;
  struct TimedEvent {
    FileEvent event;
    Instant at;
  };

  // local
  void begin_scan(Instant now);
  void on_scan(ScanResult result, Instant now);
  void note_scan_problems(const std::vector<ScanProblem>& problems);
  void judge_scanned(const ScannedPath& seen, Instant now);
  void load_ignore_rules();
  void follow_ignore_rules();
  void on_compared(const std::string& directory, const ScanResult& result, Instant now);
  std::set<std::string> noticed_paths() const;  // which have not rested, or wait to be read
  void hint_missing(const std::vector<std::string>& known, const ScanResult& seen, Instant now);
  void ask_writers();
  void check_root(Instant now);
  void glance(Instant now);
  struct Glance {
    std::string path;
    std::vector<TimedEvent> events;
    std::optional<FileStat> now;
  };
  void on_glance(const std::vector<Glance>& glances);
  // replica_deletes.cpp
  void start_guards(Instant now);
  void note_delete(const std::string& path, Instant now);
  void hear_delete(const std::string& path, Instant now);
  void hear_ended(const std::string& path, const std::optional<FileStat>& is, Instant now);
  void lives_again(const std::string& path);
  bool bury(const std::string& directory);
  void step_gone(Instant now);
  bool gone_waits() const;
  bool deletes_wait() const { return !gone_.missing.empty() || !gone_.counting.empty(); }
  void apply_change(DeleteGuard::Change change);
  void leave_run(const std::string& path);
  void put_in_run(const std::string& path);
  void set_run(const std::string& path, RunId run);
  void plan_with_below(const std::string& path);
  bool takes_held_place(const std::string& path, const PathRecord& record) const;
  void give_up_delete(const std::string& path);
  bool undo_delete(const std::string& path);
  bool keep_deleted(const std::string& path);
  void step_confirming();
  void set_synced(const std::string& path, const EntryPtr& entry);
  bool is_own_delete(const std::string& path) const;
  void forget_ignored(const std::string& path);
  void start_due(Instant now);
  void start_examine(Instant now);
  void start_large();
  std::vector<ExamineRequest> requests_for(const std::set<std::string>& paths);
  void on_examined(std::vector<Observation> seen);
  void judge(const Observation& seen, Instant now);
  void on_present(const Observation& seen, Instant now);
  void on_absent(const std::string& path, Instant now);
  void make_version(const std::string& path, Entry entry, const FileStat& stat);
  void make_tombstone(const std::string& path);
  // Null: no version can be made of it (VersionVector::next).
  EntryPtr versioned(const std::string& path, Entry entry);
  bool kept_from_others(const std::string& path) const;
  void require_parents(const std::string& path, std::set<std::string>& paths) const;
  void reserve_counts();
  // Ignored here, and not on the disk as far as the index goes: not taken from peers.
  bool not_taken(const std::string& path, const PathRecord& record) const;
  bool unknown_region(const std::string& path) const;

  // replica_obstacles.cpp
  bool stopped_by_obstacle(const std::string& path, Instant now);
  bool refuses(const Operation& operation);
  void agree_unheld(const std::string& path);
  void meet_obstacle(const DiskChange& change, const Error& error);
  bool group_has_a_leaf_above(const std::string& path) const;
  void clear_obstacle(const std::string& path);
  void look_at_obstacle(const std::string& path, const std::optional<FileStat>& stat);
  void look_at_obstacles_above(const std::string& path);
  void look_below_a_directory(const std::string& path, const EntryPtr& entry);

  // replica_fold.cpp
  bool meets_twin(const Operation& operation);
  void rename_twin(const Operation& operation, const std::string& twin);
  void end_rename(const DiskChange& change, bool done);
  bool is_seen_twin(const Observation& seen);

  // replica_rot.cpp
  struct Repair {
    EntryPtr entry;
    std::function<void(Status)> done;
  };
  bool is_rotten(const std::string& path) const;
  void on_doubted(const EntryPtr& entry, const Observation& seen);
  void end_repair(const std::string& path, Status status);
  bool install_repair(const std::string& path, const std::string& temp);
  void run_repairs();

  // replica_receive.cpp
  struct Receiving {
    Received what;
    std::function<void(Result<std::string>)> done;
    int number = 0;  // of the name that is tried
    int tries = 0;
    bool installing = false;
  };
  void want_received(Receiving& receiving);
  void end_receive(const ContentId& content, Result<std::string> result);
  bool receive_failed(const std::string& waiter, const Error& error);
  bool install_received(const ContentId& content, const std::string& temp);
  void place_received(const ContentId& content, const std::string& temp);
  void run_receives();

  // remote
  void plan(Instant now);
  void plan_everything();
  static WantedContent wanted_of(const std::string& path, const Entry& entry);
  void want_content(const std::string& path, const EntryPtr& entry);
  void fetch_waiting(const ContentId& content);
  void drop_overdue(Instant now);
  void serve_waiting();
  bool begin_copy(const ContentId& content, const std::string& hint);
  void end_copy(const ContentId& content);
  void start_copies();
  void on_copied(const ContentId& content, const CopyJob& job);
  // replica_rename.cpp
  bool waits_for_old_name(const std::string& from, const std::string& path);
  bool waits_for_new_name(const std::string& path);
  bool is_going(const std::string& path) const;
  bool may_leave_trash(const std::string& name) const;
  bool was_renamed(const std::string& name, const std::set<std::string>& paths) const;
  bool make_do_without_copy(const ContentId& content, const Error& error);
  void start_move(const ContentId& content);
  bool take_from_trash(const std::string& path, const EntryPtr& entry);
  bool serve_from_trash(const ContentId& content);
  void note_where_it_stands(DiskChange& change) const;
  void note_left_trash(const DiskChange& change, const DiskOutcome& outcome);
  void on_content_ready(const ContentId& content, const std::string& temp);
  bool take_unplanned(const ContentId& content, const std::string& temp);
  bool is_unplanned(const std::string& waiter) const;
  void on_installed(const ContentId& content);
  void take_fetched();
  void queue_change(const Operation& operation, DiskChange::Kind kind, const std::string& temp);
  bool waits_for_children(const Operation& operation) const;
  bool waits_for_below(const std::string& path, const PathRecord& record) const;
  void carry_out(const Operation& operation, Instant now);
  void judge_deletes(const std::vector<Operation>& operations, Instant now);
  void forget_incoming(const std::vector<std::string>& paths, const Plan& planned, Instant now);
  bool may_be_renamed_to(const Operation& operation) const;
  bool deletes_here(const Operation& operation) const;
  bool waits_or_stays(const Operation& operation, Instant now);
  bool is_unseen_delete(const std::string& path) const;
  bool is_below_held(const std::string& path) const;
  void apply_incoming(const DeleteGuard::Change& change);
  void plan_incoming();
  void agree(const Operation& operation);
  std::vector<SourceId> sources_for(const std::string& path) const;
  std::vector<SourceId> sources_of(const ContentId& content, const std::string& path) const;
  void check_room(Instant now);
  std::uint64_t bytes_wanted() const;
  void note_short(const Error& error);
  void keep_ready(const ContentId& content, const std::string& temp);
  bool give_aside(const ContentId& content, const std::string& temp);
  void prune_ready(Instant now);
  void release_temp(const ContentId& content, const std::string& temp);
  void run_retries(Instant now);
  void start_apply(Instant now);
  void on_applied(const DiskBatch& batch);
  void note_displaced(const DiskChange& change, const DiskOutcome& outcome);
  void on_change_failed(const DiskChange& change, const DiskOutcome& outcome);
  void on_change_done(const DiskChange& change, const DiskOutcome& outcome);
  void plan_parent_of_deleted(const std::string& path);
  void keep_directory(const std::string& path);
  void start_commit(Instant now);
  void store_runs();
  void drop_interest(const std::string& path);
  bool waits_for_content() const;
  bool nobody_has(const std::string& path) const;
  void take_back_failure(const std::string& path);
  TrashItem displaced_item(const std::string& path, const EntryPtr& by) const;
  // replica_local.cpp, after a crash
  void take_up_journal();
  bool adopt(const std::string& path, const Entry& seen, const FileStat& stat);
  void save_journal(const std::vector<DiskChange>& changes);
  void note_absent(const std::string& path, const EntryPtr& entry);
  void retry_later(const std::string& path, Instant now, Duration delay);

  Options options_;
  const DiskLimits limits_;
  FoldedNames folded_;
  FileSystem& files_;
  IndexStore& store_;
  Executor& executor_;
  Fetcher& fetcher_;
  RandomSource& random_;
  const Clock& clock_;
  Log& log_;
  ReplicaEvents* events_ = nullptr;
  Index index_;
  ObservedTime observed_;
  Trash trash_;
  BatchJournal journal_;
  bool prune_again_ = false;

  bool remote_known_ = false;
  bool frozen_ = false;
  bool paused_ = false;
  std::string root_error_;

  // local
  std::shared_ptr<const IgnoreRules> rules_;
  std::string rules_text_;
  std::uint64_t rules_number_ = 0;
  ContentId rules_content_;  // of the rules' file when it was last looked at
  QuietTimer timer_;
  DeleteGuard guard_;
  ConfirmedRuns confirmed_runs_;
  std::set<RunId> rejected_runs_;  // what is not deleted here yet stays
  // What a person let go, until each of it has a tombstone.
  struct Confirming {
    Confirmed confirmed;
    std::set<std::string> waiting;
  };
  std::vector<Confirming> confirming_;
  // What is gone in large numbers is gone through in portions: found missing by a scan; children of
  // directories that are gone, to be counted and then to get their tombstones (after this one).
  struct Gone {
    std::deque<std::string> missing;
    std::map<std::string, std::string> counting;
    std::set<std::string> burying;
  };
  Gone gone_;
  std::map<std::string, std::vector<TimedEvent>> hints_;  // to be glanced at
  std::set<std::string> due_;                             // to be examined
  std::set<std::string> racy_;         // read within a tick of their last change: to be read again
  std::set<std::string> restless_;     // read though they never came to rest
  std::set<std::string> busy_;         // path locks
  std::vector<Observation> deferred_;  // seen while frozen
  int examines_running_ = 0;           // without those of large files
  ExamineQueue examine_queue_;
  int glances_running_ = 0;
  std::map<std::string, bool> comparing_;  // directories; true: compared once more after this
  bool scan_running_ = false;
  bool scan_again_ = false;
  bool initial_scan_done_ = false;
  bool initial_walk_done_ = false;
  bool importing_ = false;
  std::set<std::string> initial_;        // found by the first scan and not yet examined
  std::set<std::string> unknown_below_;  // directories that could not be read
  std::set<std::string> scan_problems_;  // what the last scan reported
  bool unwatched_ = false;
  Instant next_scan_ = kNever;
  Instant next_root_check_{};
  EditCounter counter_;
  std::uint64_t edit_reserved_ = 0;  // durable high-water mark
  std::map<std::string, std::string> problems_;
  Activity activity_;

  // remote
  std::set<std::string> plan_;
  bool more_to_plan_ = false;  // the last batch was full: a turn is due at once
  std::set<std::string> to_push_;
  bool push_changed_ = false;
  std::map<std::string, Instant> retry_;
  Obstacles obstacles_;
  std::map<ContentId, WaitingPaths> waiting_;
  Unfetched unfetched_;
  std::set<ContentId> to_serve_;  // where one of those four has ended
  std::map<std::string, ContentId> waits_for_;
  struct Aside {
    std::vector<SourceId> sources;
    AsideDone done;
  };
  std::map<ContentId, Aside> asides_;
  std::map<ContentId, Instant> expected_;  // till when
  std::map<ContentId, LocalCopy> copying_;
  std::set<ContentId> copies_due_;          // of those: to be started at the end of this turn
  std::map<std::string, int> copied_from_;  // what a copy reads is not deleted meanwhile
  std::map<ContentId, int> installing_;     // temp files of it on their way to a name
  std::set<ContentId> no_copy_;             // a local copy did not verify: fetch
  std::map<ContentId, ReadyTemps> ready_;   // verified temp files that no path has taken yet
  std::set<std::string> blocked_;           // planned again after the next batch
  std::vector<SourceId> sources_;
  std::map<std::string, SourceId> source_of_;
  std::map<ContentId, std::vector<SourceId>> extra_sources_;
  std::map<std::string, Instant> incoming_counted_;  // since when
  std::vector<DiskChange> changes_;
  std::set<std::string> deleting_;  // paths that are being deleted here because others did
  DeleteGuard incoming_guard_;
  RoomGuard room_;
  std::set<std::string> awaiting_room_;  // fetches that wait for room_
  Instant short_until_{};
  int applies_running_ = 0;
  bool commit_running_ = false;
  std::set<std::string> committing_;  // rows of the running commit
  std::optional<Instant> uncommitted_since_;
  std::vector<std::string> settled_;  // agreed on disk, row not yet durable
  std::vector<std::function<void()>> after_commit_;
  std::uint64_t copy_counter_ = 0;
  std::uint64_t paths_planned_ = 0;
  bool long_away_ = false;
  std::set<std::string> held_absent_;   // kHold
  std::set<std::string> brought_back_;  // by a reject, and nothing that the hub knows of
  std::uint64_t mismatches_ = 0;
  std::map<ContentId, Receiving> receiving_;
  std::vector<std::pair<std::function<void(Result<std::string>)>, Result<std::string>>>
      ended_receives_;
  std::map<std::string, FileStat> rotten_;
  std::map<std::string, Repair> repairs_;
  std::vector<std::pair<std::function<void(Status)>, Status>> ended_repairs_;
};

}  // namespace lansync
