#include "platform/inotify_watcher.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "base/log.h"

namespace lansync {
namespace {

// No IN_OPEN, IN_ACCESS, IN_CLOSE_NOWRITE: our own hashing would wake us up.
constexpr std::uint32_t kMask = IN_MODIFY | IN_CLOSE_WRITE | IN_CREATE | IN_DELETE | IN_MOVED_FROM |
                                IN_MOVED_TO | IN_ATTRIB | IN_DELETE_SELF | IN_EXCL_UNLINK |
                                IN_ONLYDIR;
constexpr std::uint32_t kPrivateMask = IN_CREATE | IN_ONLYDIR;
constexpr std::size_t kMaxOpenTracked = 65'536;
constexpr std::size_t kMaxUnwatchedNames = 1000;
constexpr std::size_t kMaxHeldMarkers = 1000;
constexpr std::string_view kMarkerPrefix = "marker-";

std::string join(const std::string& directory, const std::string& name) {
  if (directory.empty()) return name;
  return name.empty() ? directory : directory + "/" + name;
}

}  // namespace

InotifyWatcher::InotifyWatcher(const RootGuard& guard, Options options, UniqueFd inotify)
    : guard_(guard),
      options_(std::move(options)),
      inotify_(std::move(inotify)),
      root_(UniqueFd(::openat(guard.root_fd(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)), false) {}

Result<std::unique_ptr<InotifyWatcher>> InotifyWatcher::create(const RootGuard& guard) {
  return create(guard, Options{});
}

Result<std::unique_ptr<InotifyWatcher>> InotifyWatcher::create(const RootGuard& guard,
                                                               Options options) {
  UniqueFd inotify(::inotify_init1(IN_NONBLOCK | IN_CLOEXEC));
  if (!inotify.valid()) {
    // EMFILE is fs.inotify.max_user_instances here; its text would blame open files.
    return posix_error(errno, "watch the folder (fs.inotify.max_user_instances may be used up)");
  }
  std::unique_ptr<InotifyWatcher> watcher(
      new InotifyWatcher(guard, std::move(options), std::move(inotify)));
  LS_TRY(watcher->watch_roots());
  return watcher;
}

// The magic link leads to exactly the directory that is open; a path could be swapped meanwhile.
int InotifyWatcher::add_watch(int directory_fd, std::uint32_t mask) {
  std::string self = str("/proc/self/fd/", directory_fd);
  return ::inotify_add_watch(inotify_.get(), self.c_str(), mask);
}

Status InotifyWatcher::watch_roots() {
  root_watch_ = add_watch(guard_.root_fd(), kMask | IN_MOVE_SELF);
  if (root_watch_ < 0) return posix_error(errno, "watch the folder");
  private_watch_ = add_watch(guard_.private_fd(), kPrivateMask);
  if (private_watch_ < 0) return posix_error(errno, "watch .lansync");
  nodes_[root_watch_] = Node{};
  pending_.push_back({"", false});
  return {};
}

int InotifyWatcher::find_watch(const std::string& path) const {
  int at = root_watch_;
  for (std::size_t begin = 0; begin < path.size();) {
    std::size_t end = std::min(path.find('/', begin), path.size());
    auto node = nodes_.find(at);
    if (node == nodes_.end()) return -1;
    auto child = node->second.children.find(path.substr(begin, end - begin));
    if (child == node->second.children.end()) return -1;
    at = child->second;
    begin = end + 1;
  }
  return at;
}

std::string InotifyWatcher::path_of(int watch, const std::string& name) const {
  std::vector<const std::string*> parts;
  auto node = nodes_.find(watch);
  while (node != nodes_.end() && node->first != root_watch_) {
    parts.push_back(&node->second.name);
    node = nodes_.find(node->second.parent);
  }
  std::string out;
  for (auto part = parts.rbegin(); part != parts.rend(); ++part) out = join(out, **part);
  return join(out, name);
}

// Puts the watch at `path` in the tree, also if it was elsewhere (the kernel gives one watch per
// directory, so a moved one comes back under its old number). -1: its parent is not watched.
int InotifyWatcher::attach(int watch, const std::string& path) {
  if (watch == root_watch_) return watch;
  std::size_t slash = path.rfind('/');
  int parent = slash == std::string::npos ? root_watch_ : find_watch(path.substr(0, slash));
  std::string name = slash == std::string::npos ? path : path.substr(slash + 1);
  if (parent < 0 || parent == watch) return -1;
  Node& node = nodes_[watch];
  if (auto old = nodes_.find(node.parent); old != nodes_.end()) {
    auto child = old->second.children.find(node.name);
    if (child != old->second.children.end() && child->second == watch) {
      old->second.children.erase(child);
    }
  }
  node.parent = parent;
  node.name = name;
  nodes_[parent].children[name] = watch;
  return watch;
}

void InotifyWatcher::note_unwatched(const std::string& path) {
  ++unwatched_count_;
  if (unwatched_.size() < kMaxUnwatchedNames) unwatched_.insert(path);
}

void InotifyWatcher::retry_unwatched() {
  if (unwatched_count_ > unwatched_.size()) {
    pending_.push_back({"", true});
  } else {
    for (const std::string& path : unwatched_) pending_.push_back({path, true});
  }
  unwatched_.clear();
  unwatched_count_ = 0;
}

bool InotifyWatcher::continue_setup(std::size_t max_directories, const Callback& callback) {
  bool worked = !pending_.empty();
  for (std::size_t i = 0; i < max_directories && !pending_.empty(); ++i) {
    Pending item = std::move(pending_.front());
    pending_.pop_front();
    set_up(item, callback);
  }
  if (worked && pending_.empty()) finish_setup(callback);
  return !pending_.empty();
}

void InotifyWatcher::finish_setup(const Callback& callback) {
  if (overflowed_) {
    overflowed_ = false;
    callback({WatchEventKind::kOverflow, "", "", true});
  }
  while (!held_markers_.empty()) {
    callback({WatchEventKind::kMarker, held_markers_.front(), "", false});
    held_markers_.pop_front();
  }
}

void InotifyWatcher::set_up(const Pending& item, const Callback& callback) {
  auto opened = root_.open_directory(item.path, O_RDONLY);
  // Gone, moved, a link, or unreadable: the first three bring their own events, the last is the
  // scan's to report.
  if (!opened) return;
  struct stat st {};
  if (::fstat(opened->get(), &st) != 0 || st.st_dev != guard_.root_identity().device) return;
  bool is_new = false;
  if (!item.path.empty()) {
    int watch = -1;
    errno = ENOSPC;
    if (nodes_.size() < options_.max_watches) watch = add_watch(opened->get(), kMask);
    if (watch < 0) {
      // What lies below is not tried: with the limit reached each directory would cost a call.
      if (errno == ENOSPC || errno == ENOMEM) note_unwatched(item.path);
      return;
    }
    is_new = nodes_.count(watch) == 0;
    if (attach(watch, item.path) < 0) {
      if (is_new) ::inotify_rm_watch(inotify_.get(), watch);
      nodes_.erase(watch);
      note_unwatched(item.path);
      return;
    }
  }
  list_into_pending(std::move(*opened), {item.path, item.report && (is_new || item.path.empty())},
                    callback);
}

void InotifyWatcher::list_into_pending(UniqueFd directory, const Pending& item,
                                       const Callback& callback) {
  DIR* listing = ::fdopendir(directory.get());
  if (listing == nullptr) return;
  int at = directory.release();
  while (const dirent* entry = ::readdir(listing)) {
    std::string name = entry->d_name;
    if (name == "." || name == "..") continue;
    if (item.path.empty() && name == ".lansync") continue;
    bool is_directory = entry->d_type == DT_DIR;
    if (entry->d_type == DT_UNKNOWN) {
      struct stat st {};
      is_directory =
          ::fstatat(at, name.c_str(), &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode);
    }
    std::string path = join(item.path, name);
    if (item.report) {
      callback({is_directory ? WatchEventKind::kDirectoryCreated : WatchEventKind::kCreated, path,
                "", is_directory});
    }
    if (is_directory && !(options_.skip && options_.skip(path))) {
      pending_.push_back({path, item.report});
    }
  }
  ::closedir(listing);
}

bool InotifyWatcher::read_events(const Callback& callback, std::size_t max_events) {
  alignas(inotify_event) std::array<char, 64 * 1024> buffer;
  std::size_t handled = 0;
  while (handled < max_events) {
    ssize_t got = ::read(inotify_.get(), buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) {
      flush_moved(callback);
      return false;
    }
    for (std::size_t at = 0; at < static_cast<std::size_t>(got);) {
      inotify_event event{};
      std::memcpy(&event, buffer.data() + at, sizeof event);
      // The name is padded with zeros to event.len.
      std::string name(event.len > 0 ? buffer.data() + at + sizeof event : "");
      at += sizeof event + event.len;
      ++handled;
      handle(event.wd, event.mask, event.cookie, name, callback);
    }
  }
  return true;
}

void InotifyWatcher::handle(int watch, std::uint32_t mask, std::uint32_t cookie,
                            const std::string& name, const Callback& callback) {
  // The two halves of a rename stand side by side in the queue; anything else between them means
  // that the other half lies outside the folder.
  if (!moved_.empty() && ((mask & IN_MOVED_TO) == 0 || cookie != moved_.front().cookie)) {
    flush_moved(callback);
  }
  if (mask & IN_Q_OVERFLOW) return lost_events();
  if (watch == private_watch_) return handle_private(mask, name, callback);
  if (nodes_.count(watch) == 0) return;  // removed by us, events still in the queue
  if (watch == root_watch_ && (mask & (IN_DELETE_SELF | IN_MOVE_SELF | IN_UNMOUNT | IN_IGNORED))) {
    if (!root_gone_) callback({WatchEventKind::kRootGone, "", "", true});
    root_gone_ = true;
    return;
  }
  if (mask & (IN_IGNORED | IN_DELETE_SELF | IN_UNMOUNT)) {
    if (mask & IN_IGNORED) erase_node(watch);
    return;
  }
  // A root that is removed while we hold it open stays allocated: no IN_DELETE_SELF comes, only a
  // change of its link count. The same for .lansync, whose parent tells.
  bool about_root = watch == root_watch_ && (name.empty() || name == ".lansync");
  if (about_root && !root_gone_ && !guard_.same_root()) {
    root_gone_ = true;
    return callback({WatchEventKind::kRootGone, "", "", true});
  }
  if (name.empty()) {
    std::string path = path_of(watch, name);
    if (mask & IN_ATTRIB) callback({WatchEventKind::kAttrib, path, "", true});
    return;
  }
  if (watch == root_watch_ && name == ".lansync") return;
  if (mask & (IN_CREATE | IN_MOVED_TO)) return handle_appeared(watch, mask, cookie, name, callback);
  if (mask & (IN_DELETE | IN_MOVED_FROM)) {
    return handle_vanished(watch, mask, cookie, name, callback);
  }
  // A watched directory tells of its own attributes; once is enough. One that could not be opened
  // when it was found has no watch, and now perhaps it can.
  if (mask & IN_ISDIR) {
    const std::string path = path_of(watch, name);
    if (nodes_[watch].children.count(name) != 0 || (options_.skip && options_.skip(path))) return;
    pending_.push_back({path, true});
    return callback({WatchEventKind::kAttrib, path, "", true});
  }
  handle_file(mask, path_of(watch, name), callback);
}

void InotifyWatcher::handle_private(std::uint32_t mask, const std::string& name,
                                    const Callback& callback) {
  if ((mask & IN_CREATE) == 0 || name.rfind(kMarkerPrefix, 0) != 0) return;
  if (pending_.empty()) return callback({WatchEventKind::kMarker, name, "", false});
  if (held_markers_.size() < kMaxHeldMarkers) held_markers_.push_back(name);
}

void InotifyWatcher::handle_file(std::uint32_t mask, const std::string& path,
                                 const Callback& callback) {
  if (mask & IN_MODIFY) {
    if (open_for_write_.size() < kMaxOpenTracked) open_for_write_.insert(path);
    callback({WatchEventKind::kModified, path, "", false});
  }
  if (mask & IN_CLOSE_WRITE) {
    open_for_write_.erase(path);
    callback({WatchEventKind::kClosedAfterWrite, path, "", false});
  }
  if (mask & IN_ATTRIB) callback({WatchEventKind::kAttrib, path, "", false});
}

void InotifyWatcher::handle_appeared(int watch, std::uint32_t mask, std::uint32_t cookie,
                                     const std::string& name, const Callback& callback) {
  std::string path = path_of(watch, name);
  bool is_directory = (mask & IN_ISDIR) != 0;
  if ((mask & IN_MOVED_TO) && !moved_.empty() && moved_.front().cookie == cookie) {
    Moved moved = std::move(moved_.front());
    moved_.clear();
    if (moved.watch >= 0) attach(moved.watch, path);
    rename_open_files(moved.path, path);
    // Looked through again: parts of it may have waited for their watch under the old name.
    if (is_directory) pending_.push_back({path, true});
    return callback({WatchEventKind::kMoved, path, moved.path, is_directory});
  }
  // What was renamed over has no writer under this name any more.
  if (mask & IN_MOVED_TO) open_for_write_.erase(path);
  if (is_directory && !(options_.skip && options_.skip(path))) pending_.push_back({path, true});
  callback({is_directory ? WatchEventKind::kDirectoryCreated : WatchEventKind::kCreated, path, "",
            is_directory});
}

void InotifyWatcher::handle_vanished(int watch, std::uint32_t mask, std::uint32_t cookie,
                                     const std::string& name, const Callback& callback) {
  std::string path = path_of(watch, name);
  bool is_directory = (mask & IN_ISDIR) != 0;
  int child = -1;
  if (is_directory) {
    auto& children = nodes_[watch].children;
    if (auto it = children.find(name); it != children.end()) {
      child = it->second;
      children.erase(it);
    }
  }
  if (mask & IN_MOVED_FROM) {
    moved_.push_back({cookie, path, child, is_directory});
    return;
  }
  open_for_write_.erase(path);
  callback({WatchEventKind::kDeleted, path, "", is_directory});
}

void InotifyWatcher::flush_moved(const Callback& callback) {
  if (moved_.empty()) return;
  Moved moved = std::move(moved_.front());
  moved_.clear();
  // It left the folder with everything below it.
  if (moved.watch >= 0) forget_below(moved.watch);
  open_for_write_.erase(moved.path);
  callback({WatchEventKind::kDeleted, moved.path, "", moved.is_directory});
}

void InotifyWatcher::rename_open_files(const std::string& from, const std::string& to) {
  open_for_write_.erase(to);
  std::vector<std::string> under;
  auto it = open_for_write_.lower_bound(from);
  while (it != open_for_write_.end() && it->compare(0, from.size(), from) == 0) {
    bool within = it->size() == from.size() || (*it)[from.size()] == '/';
    if (within) under.push_back(it->substr(from.size()));
    it = within ? open_for_write_.erase(it) : std::next(it);
  }
  for (const std::string& rest : under) open_for_write_.insert(to + rest);
}

void InotifyWatcher::forget_below(int watch) {
  std::vector<int> gone = {watch};
  for (std::size_t i = 0; i < gone.size(); ++i) {
    auto node = nodes_.find(gone[i]);
    if (node == nodes_.end()) continue;
    for (const auto& [name, child] : node->second.children) gone.push_back(child);
    ::inotify_rm_watch(inotify_.get(), gone[i]);
    nodes_.erase(node);
  }
}

void InotifyWatcher::erase_node(int watch) {
  auto node = nodes_.find(watch);
  if (node == nodes_.end()) return;
  if (auto parent = nodes_.find(node->second.parent); parent != nodes_.end()) {
    auto& children = parent->second.children;
    // A new directory may have the name already.
    auto child = children.find(node->second.name);
    if (child != children.end() && child->second == watch) children.erase(child);
  }
  nodes_.erase(node);
}

// Among the lost events may be renames of directories, so no path that we know is certain: all
// watches but the root's are placed anew, and kOverflow follows when they are.
void InotifyWatcher::lost_events() {
  overflowed_ = true;
  moved_.clear();
  open_for_write_.clear();
  std::vector<int> below;
  for (const auto& [watch, node] : nodes_) {
    if (watch != root_watch_) below.push_back(watch);
  }
  for (int watch : below) {
    ::inotify_rm_watch(inotify_.get(), watch);
    nodes_.erase(watch);
  }
  nodes_[root_watch_].children.clear();
  unwatched_.clear();
  unwatched_count_ = 0;
  pending_.clear();
  pending_.push_back({"", false});
}

}  // namespace lansync
