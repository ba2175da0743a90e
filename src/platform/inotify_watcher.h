// Hints from the kernel about what changed in the folder. The scan is the truth (DESIGN, Reading).
//
// Invariants: a directory is watched before it is listed, so that nothing made in between is
// missed; a marker is reported only after every change that was made before it (events are in
// order, and markers wait while watches are still being placed); after lost events comes kOverflow,
// once everything is watched again, and the rescan that it asks for is then complete. Control
// thread only; driven by the event loop through fd() and by continue_setup().
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/result.h"
#include "platform/confined_directory.h"
#include "platform/root_guard.h"

namespace lansync {

enum class WatchEventKind {
  kModified,          // written to; still open for writing as far as we know
  kClosedAfterWrite,  // whoever wrote has closed it
  kCreated,           // a file or link appeared (also: found in a directory that is new to us)
  kDirectoryCreated,
  kDeleted,
  kMoved,     // `from` is now `path`; one that came from outside is kCreated, gone there kDeleted
  kAttrib,    // mode or mtime
  kMarker,    // `path` is the name of a .lansync/marker-* that was created
  kOverflow,  // events were lost: rescan everything
  kRootGone,  // the root was deleted, moved or unmounted
};

struct WatchEvent {
  WatchEventKind kind;
  std::string path;  // relative to the root, as on disk (may be invalid UTF-8)
  std::string from;  // kMoved only
  bool is_directory = false;
};

class InotifyWatcher {
 public:
  using Callback = std::function<void(const WatchEvent&)>;
  struct Options {
    std::size_t max_watches = SIZE_MAX;  // a test's stand-in for fs.inotify.max_user_watches
    // Directory names (not paths) below the root that are not watched, "" for none; ".lansync" at
    // the root never is.
    std::function<bool(const std::string& path)> skip;
  };

  // Places no watch yet but the root's and .lansync's. `guard` must outlive this.
  static Result<std::unique_ptr<InotifyWatcher>> create(const RootGuard& guard, Options options);
  static Result<std::unique_ptr<InotifyWatcher>> create(const RootGuard& guard);

  int fd() const { return inotify_.get(); }
  // Delivers at most about `max_events`; true if more wait.
  bool read_events(const Callback& callback, std::size_t max_events = 4096);
  // Watches (and lists) up to `max_directories` more; true if more wait. Call it each turn while it
  // says so. Start the first scan when it first says false.
  bool continue_setup(std::size_t max_directories, const Callback& callback);
  bool setup_pending() const { return !pending_.empty(); }

  // Written to since it was last closed by a writer. Bounded: among very many open files the answer
  // for some is false, and the quiet timer alone decides.
  bool open_for_write(const std::string& path) const { return open_for_write_.count(path) != 0; }
  bool degraded() const { return !unwatched_.empty(); }
  // Directories that could not be watched (at most 1000 of them, `unwatched_count` in all): rescans
  // are all there is for what lies in and below them.
  const std::set<std::string>& unwatched() const { return unwatched_; }
  std::size_t unwatched_count() const { return unwatched_count_; }
  // Tries those again (the person raised the limit).
  void retry_unwatched();
  std::size_t watch_count() const { return nodes_.size(); }

 private:
  // One watched directory. Paths are made by walking up, so that a rename of a directory with
  // 10,000 directories below it changes one node.
  struct Node {
    int parent = -1;
    std::string name;
    std::map<std::string, int> children;
  };
  struct Pending {
    std::string path;
    bool report;  // report what is found in it (it is new), not only watch
  };
  struct Moved {
    std::uint32_t cookie = 0;
    std::string path;
    int watch = -1;  // of the directory that moved
    bool is_directory = false;
  };

  InotifyWatcher(const RootGuard& guard, Options options, UniqueFd inotify);
  Status watch_roots();
  void set_up(const Pending& item, const Callback& callback);
  int add_watch(int directory_fd, std::uint32_t mask);
  void list_into_pending(UniqueFd directory, const Pending& item, const Callback& callback);
  int attach(int watch, const std::string& path);
  int find_watch(const std::string& path) const;
  std::string path_of(int watch, const std::string& name) const;
  void note_unwatched(const std::string& path);

  void handle(int watch, std::uint32_t mask, std::uint32_t cookie, const std::string& name,
              const Callback& callback);
  void handle_private(std::uint32_t mask, const std::string& name, const Callback& callback);
  void handle_file(std::uint32_t mask, const std::string& path, const Callback& callback);
  void handle_appeared(int watch, std::uint32_t mask, std::uint32_t cookie, const std::string& name,
                       const Callback& callback);
  void handle_vanished(int watch, std::uint32_t mask, std::uint32_t cookie, const std::string& name,
                       const Callback& callback);
  void flush_moved(const Callback& callback);
  void lost_events();
  void forget_below(int watch);
  void erase_node(int watch);
  void finish_setup(const Callback& callback);
  void rename_open_files(const std::string& from, const std::string& to);

  const RootGuard& guard_;
  Options options_;
  UniqueFd inotify_;
  ConfinedDirectory root_;
  int root_watch_ = -1;
  int private_watch_ = -1;
  std::unordered_map<int, Node> nodes_;  // looked up only, never iterated into an output
  std::deque<Pending> pending_;
  std::deque<std::string> held_markers_;
  std::vector<Moved> moved_;  // at most one: waits for its other half
  std::set<std::string> open_for_write_;
  std::set<std::string> unwatched_;
  std::size_t unwatched_count_ = 0;
  bool overflowed_ = false;
  bool root_gone_ = false;
};

}  // namespace lansync
