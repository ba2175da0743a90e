#include "sim/disk.h"

#include <algorithm>
#include <utility>

#include "base/rel_path.h"

namespace lansync::sim {
namespace {

// Kernels take file times from a tick, so that two writes may have one time.
constexpr std::int64_t kTickNs = 4'000'000;
constexpr std::uint32_t kMillion = 1'000'000;

// Clearing tmp ends when nothing is left there, and is no change that lasts.
bool only_looks(const std::string& operation) {
  static const std::set<std::string> kLooks = {
      "check_root", "free_bytes", "fstat", "list",      "list_temp", "open_file",
      "open_temp",  "read",       "stat",  "read_link", "read_temp", "remove_temp"};
  return kLooks.contains(operation);
}

bool is_user_temp(const std::string& path) { return path.ends_with("~save"); }

}  // namespace

SimDisk::SimDisk(const SimClock& clock, std::uint64_t seed) : clock_(clock), random_(seed) {
  set_fault([this](const std::string& operation, const std::string& subject) {
    return on_check(operation, subject);
  });
  note_names();
}

void SimDisk::set_clock() { set_time(clock_.wall().ns / kTickNs * kTickNs); }

std::optional<Error> SimDisk::on_check(const std::string& operation, const std::string& subject) {
  set_clock();
  if (!only_looks(operation)) ++changes_;
  if (dead_) return Error{ErrorCode::kIo, "the process is dead"};
  if (die_in_ > 0 && --die_in_ == 0) {
    dead_ = true;
    if (events_.on_operation) events_.on_operation("died", operation);
    return Error{ErrorCode::kIo, "the process is dead"};
  }
  if (events_.on_operation) events_.on_operation(operation, subject);
  if (failing_) {
    if (auto error = failing_(operation)) return error;
  }
  if (io_errors_ > 0 && random_.below(kMillion) < io_errors_) {
    return Error{ErrorCode::kIo, "input/output error (injected)"};
  }
  if (no_space_ > 0 && (operation == "write" || operation == "create_temp") &&
      random_.below(kMillion) < no_space_) {
    return Error{ErrorCode::kNoSpace, "no space left on device (injected)"};
  }
  if (operation == "write" || operation == "set_size") {
    if (auto at = temp_.find(subject); at != temp_.end()) unsynced_.insert(at->second);
  } else if (operation == "sync") {
    if (auto at = temp_.find(subject); at != temp_.end()) unsynced_.erase(at->second);
  }
  return std::nullopt;
}

// ---- a person ----------------------------------------------------------------------------------

bool SimDisk::make_parents(const std::string& path) {
  for (auto slash = path.find('/'); slash != std::string::npos; slash = path.find('/', slash + 1)) {
    const std::string directory = path.substr(0, slash);
    auto at = files_.find(directory);
    if (at == files_.end()) {
      if (!make_folder(directory)) return false;
    } else if (at->second->stat.kind != FileKind::kDirectory) {
      return false;
    }
  }
  return true;
}

void SimDisk::told(const std::string& path, FileEvent event) {
  if (events_.on_hint) events_.on_hint({path, event});
}

bool SimDisk::write(const std::string& path, const Bytes& bytes) {
  set_clock();
  if (!make_parents(path)) return false;
  auto at = files_.find(path);
  if (at != files_.end() && at->second->stat.kind != FileKind::kFile) return false;
  const bool existed = at != files_.end();
  // An inode that a state before this one knows under another name must not change there.
  const std::uint16_t mode = existed ? at->second->stat.mode : 0644;
  write_file(path, bytes, mode);
  unsynced_.erase(files_.at(path));
  person_changed(path);
  if (!existed) told(path, FileEvent::kCreate);
  told(path, FileEvent::kModify);
  told(path, FileEvent::kCloseWrite);
  return true;
}

bool SimDisk::save(const std::string& path, const Bytes& bytes) {
  auto at = files_.find(path);
  if (at != files_.end() && at->second->stat.kind != FileKind::kFile) return false;
  const std::string temporary = path + "~save";
  if (!write(temporary, bytes)) return false;
  return rename(temporary, path);
}

bool SimDisk::append(const std::string& path, const Bytes& bytes) {
  auto at = files_.find(path);
  if (at == files_.end() || at->second->stat.kind != FileKind::kFile) return false;
  Bytes whole = at->second->bytes;
  whole.insert(whole.end(), bytes.begin(), bytes.end());
  return write(path, whole);
}

bool SimDisk::rename(const std::string& from, const std::string& to) {
  set_clock();
  auto at = files_.find(from);
  if (at == files_.end() || from == to || is_within(to, from)) return false;
  if (!make_parents(to)) return false;
  at = files_.find(from);
  const bool directory = at->second->stat.kind == FileKind::kDirectory;
  auto target = files_.find(to);
  if (target != files_.end()) {
    if (directory || target->second->stat.kind == FileKind::kDirectory) return false;
  }
  std::vector<std::pair<std::string, NodePtr>> moved;
  for (const auto& [path, node] : files_) {
    if (is_within(path, from)) moved.emplace_back(path, node);
  }
  for (const auto& [path, node] : moved) files_.erase(path);
  for (const auto& [path, node] : moved) files_[to + path.substr(from.size())] = node;
  files_.at(to)->stat.ctime_ns = next_time();
  for (const auto& [path, node] : moved) {
    person_changed(path);
    person_changed(to + path.substr(from.size()));
  }
  told(from, FileEvent::kDelete);
  told(to, FileEvent::kCreate);
  if (directory && events_.on_directory_moved) events_.on_directory_moved(to);
  return true;
}

bool SimDisk::erase(const std::string& path) {
  set_clock();
  std::vector<std::string> gone;
  for (const auto& [name, node] : files_) {
    if (is_within(name, path)) gone.push_back(name);
  }
  std::reverse(gone.begin(), gone.end());
  for (const std::string& name : gone) {
    files_.erase(name);
    person_changed(name);
    told(name, FileEvent::kDelete);
  }
  return !gone.empty();
}

void SimDisk::take_away(const std::string& path) {
  set_clock();
  std::vector<std::string> gone;
  for (const auto& [name, node] : files_) {
    if (is_within(name, path)) gone.push_back(name);
  }
  for (const std::string& name : gone) {
    files_.erase(name);
    person_changed(name);
  }
  told(path, FileEvent::kDelete);
}

bool SimDisk::make_folder(const std::string& path) {
  set_clock();
  if (files_.contains(path) || !make_parents(path)) return false;
  files_[path] = make_node(FileKind::kDirectory, 0755);
  person_changed(path);
  told(path, FileEvent::kCreate);
  return true;
}

bool SimDisk::chmod(const std::string& path, std::uint16_t mode) {
  set_clock();
  auto at = files_.find(path);
  if (at == files_.end() || at->second->stat.kind == FileKind::kSymlink) return false;
  at->second->stat.mode = mode;
  at->second->stat.ctime_ns = next_time();
  changed(path, true);
  told(path, FileEvent::kAttributes);
  return true;
}

bool SimDisk::link(const std::string& path, const std::string& target) {
  set_clock();
  if (files_.contains(path) || !make_parents(path)) return false;
  NodePtr node = make_node(FileKind::kSymlink, 0777);
  node->target = target;
  node->stat.size = target.size();
  files_[path] = std::move(node);
  person_changed(path);
  told(path, FileEvent::kCreate);
  return true;
}

SeenFile SimDisk::seen_of(const Node& node) {
  SeenFile seen;
  seen.kind = node.stat.kind;
  seen.mode = node.stat.mode;
  if (seen.kind == FileKind::kFile) {
    seen.mtime_ns = node.stat.mtime_ns;
    seen.bytes = node.bytes;
  }
  seen.target = node.target;
  return seen;
}

SeenTree SimDisk::tree() const {
  SeenTree tree;
  for (const auto& [path, node] : files_) tree.emplace(path, seen_of(*node));
  return tree;
}

std::optional<SeenFile> SimDisk::seen(const std::string& path) const {
  auto at = files_.find(path);
  if (at == files_.end()) return std::nullopt;
  return seen_of(*at->second);
}

std::map<std::string, Bytes> SimDisk::trash_files() const {
  std::map<std::string, Bytes> out;
  for (const auto& [name, node] : trash_) out.emplace(name, node->bytes);
  return out;
}

std::vector<std::string> SimDisk::files_below(const std::string& path) const {
  std::vector<std::string> out;
  for (const auto& [name, node] : files_) {
    if (node->stat.kind != FileKind::kFile || is_user_temp(name)) continue;
    if (path.empty() || is_within(name, path)) out.push_back(name);
  }
  return out;
}

// ---- faults ------------------------------------------------------------------------------------

void SimDisk::set_error_rates(std::uint32_t io, std::uint32_t no_space) {
  io_errors_ = io;
  no_space_ = no_space;
}

void SimDisk::revive() {
  dead_ = false;
  die_in_ = 0;
}

void SimDisk::note_names() {
  states_.push_back({files_, temp_, trash_});
  // More unsynced changes than this: the oldest count as written back, as a kernel does in time.
  if (states_.size() > kMaxStates) states_.pop_front();
}

void SimDisk::changed(const std::string& path, bool by_person) {
  if (events_.on_changed) events_.on_changed(path, by_person);
}

void SimDisk::displaced(const std::string& path, const std::optional<SeenFile>& before,
                        const std::string& trash_name) {
  changed(path, false);
  if (before && events_.on_displaced) events_.on_displaced(path, *before, trash_name);
}

void SimDisk::person_changed(const std::string& path) {
  changed(path, true);
  auto at = files_.find(path);
  for (Image& state : states_) {
    if (at == files_.end()) {
      state.files.erase(path);
      continue;
    }
    // The directories above it too: they are durable with it.
    for (auto parent = parent_path(path); !parent.empty(); parent = parent_path(parent)) {
      const std::string above(parent);
      if (auto there = files_.find(above); there != files_.end())
        state.files[above] = there->second;
    }
    state.files[path] = at->second;
    // It is one inode: the name that it had before the node installed it is gone for good.
    const NodePtr& node = at->second;
    std::erase_if(state.temp, [&](const auto& named) { return named.second == node; });
    std::erase_if(state.trash, [&](const auto& named) { return named.second == node; });
  }
}

void SimDisk::power_cut() {
  Image state = states_[random_.below(states_.size())];
  files_ = std::move(state.files);
  temp_ = std::move(state.temp);
  trash_ = std::move(state.trash);
  for (const NodePtr& node : unsynced_) {
    const std::uint64_t fate = random_.below(4);
    if (node->bytes.empty() || fate == 0) continue;  // it happened to be written
    const std::uint64_t kept = random_.below(node->bytes.size());
    if (fate == 1) {
      node->bytes.clear();
    } else if (fate == 2) {
      node->bytes.resize(kept);
    } else {
      std::fill(node->bytes.begin() + static_cast<std::ptrdiff_t>(kept), node->bytes.end(),
                std::uint8_t{0});
    }
    node->stat.size = node->bytes.size();
  }
  unsynced_.clear();
  states_.clear();
  note_names();
}

namespace {
template <typename Names>
Names deep_copy(const Names& names) {
  Names out;
  for (const auto& [name, node] : names) {
    out[name] = std::make_shared<typename Names::mapped_type::element_type>(*node);
  }
  return out;
}
}  // namespace

SimDisk::Image SimDisk::backup() const {
  return {deep_copy(files_), deep_copy(temp_), deep_copy(trash_)};
}

void SimDisk::restore(const Image& image) {
  files_ = deep_copy(image.files);
  temp_ = deep_copy(image.temp);
  trash_ = deep_copy(image.trash);
  // What was written back from a backup has the old bytes and times in new inodes.
  set_clock();
  for (Names* names : {&files_, &temp_, &trash_}) {
    for (auto& [name, node] : *names) {
      node->stat.inode = make_node(node->stat.kind, 0)->stat.inode;
      node->stat.ctime_ns = next_time();
    }
  }
  unsynced_.clear();
  states_.clear();
  note_names();
}

void SimDisk::lose_private() {
  temp_.clear();
  trash_.clear();
  unsynced_.clear();
  states_.clear();
  note_names();
}

// ---- FileSystem --------------------------------------------------------------------------------

Result<FileStat> SimDisk::install_temp(const std::string& name, const std::string& path,
                                       const std::optional<FileStat>& expected,
                                       const std::string& trash_name) {
  const auto before = seen(path);
  auto result = MemoryFileSystem::install_temp(name, path, expected, trash_name);
  if (!result) return result;
  note_names();
  displaced(path, before, trash_name);
  if (events_.on_installed) events_.on_installed(path, files_.at(path)->bytes);
  if (expected) told(path, FileEvent::kDelete);
  told(path, FileEvent::kCreate);
  return result;
}

Status SimDisk::move_to_trash(const std::string& path, const FileStat& expected,
                              const std::string& trash_name) {
  const auto before = seen(path);
  Status result = MemoryFileSystem::move_to_trash(path, expected, trash_name);
  if (!result) return result;
  note_names();
  displaced(path, before, trash_name);
  told(path, FileEvent::kDelete);
  return result;
}

Status SimDisk::make_directory(const std::string& path, std::uint16_t mode) {
  Status result = MemoryFileSystem::make_directory(path, mode);
  if (!result) return result;
  note_names();
  changed(path, false);
  told(path, FileEvent::kCreate);
  return result;
}

Status SimDisk::remove_directory(const std::string& path) {
  Status result = MemoryFileSystem::remove_directory(path);
  if (!result) return result;
  note_names();
  changed(path, false);
  told(path, FileEvent::kDelete);
  return result;
}

Result<FileStat> SimDisk::make_symlink(const std::string& target, const std::string& path,
                                       const std::optional<FileStat>& expected,
                                       const std::string& trash_name) {
  const auto before = seen(path);
  auto result = MemoryFileSystem::make_symlink(target, path, expected, trash_name);
  if (!result) return result;
  note_names();
  displaced(path, before, trash_name);
  told(path, FileEvent::kCreate);
  return result;
}

Result<FileStat> SimDisk::set_metadata(const std::string& path, std::uint16_t mode,
                                       std::optional<std::int64_t> mtime_ns,
                                       const FileStat& expected) {
  auto result = MemoryFileSystem::set_metadata(path, mode, mtime_ns, expected);
  if (!result) return result;
  changed(path, false);
  told(path, FileEvent::kAttributes);
  return result;
}

Status SimDisk::restore_from_trash(const std::string& trash_name, const std::string& path) {
  Status result = MemoryFileSystem::restore_from_trash(trash_name, path);
  if (!result) return result;
  note_names();
  if (events_.on_left_trash) events_.on_left_trash(trash_name);
  // By the node's hand, but at a person's word: nothing else brings anything back.
  changed(path, true);
  told(path, FileEvent::kCreate);
  return result;
}

Status SimDisk::remove_trash(const std::string& trash_name) {
  auto at = trash_.find(trash_name);
  const NodePtr before = at == trash_.end() ? nullptr : at->second;
  Status result = MemoryFileSystem::remove_trash(trash_name);
  if (!result) return result;
  note_names();
  if (before && events_.on_purged) events_.on_purged(trash_name, seen_of(*before));
  return result;
}

Status SimDisk::sync_all() {
  Status result = MemoryFileSystem::sync_all();
  if (!result) return result;
  unsynced_.clear();
  states_.clear();
  note_names();
  return result;
}

}  // namespace lansync::sim
