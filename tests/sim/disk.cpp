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
  if (refused(operation, subject)) {
    return Error{ErrorCode::kDenied, "permission denied: " + subject};
  }
  if (io_errors_ > 0 && random_.below(kMillion) < io_errors_) {
    return Error{ErrorCode::kIo, "input/output error (injected)"};
  }
  if (no_space_ > 0 && (operation == "write" || operation == "create_temp") &&
      random_.below(kMillion) < no_space_) {
    return Error{ErrorCode::kNoSpace, "no space left on device (injected)"};
  }
  if (operation == "write" || operation == "set_size") {
    if (auto at = temp_.find(subject); at != temp_.end()) {
      Unsynced& one = unsynced_[at->second->stat.inode];
      one.node = at->second;
      one.since = clock_.now();
    }
  } else if (operation == "sync") {
    if (auto at = temp_.find(subject); at != temp_.end()) {
      unsynced_.erase(at->second->stat.inode);
    }
  }
  return std::nullopt;
}

bool SimDisk::refused(const std::string& operation, const std::string& subject) const {
  if (unreadable_.empty()) return false;
  if (operation == "open_file" || operation == "list" || operation == "copy_to_temp") {
    return !readable(subject);
  }
  // Temp and trash names are not below the folder's directories.
  static const std::set<std::string> kOfPaths = {
      "stat",           "read_link",        "install_temp", "move_to_trash",
      "make_directory", "remove_directory", "make_symlink", "set_metadata"};
  return kOfPaths.contains(operation) && !readable(std::string(parent_path(subject)));
}

bool SimDisk::readable(const std::string& path) const {
  return std::none_of(unreadable_.begin(), unreadable_.end(),
                      [&](const std::string& one) { return is_within(path, one); });
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

void SimDisk::begin_act() {
  set_clock();
  durable_act_ = unsynced_rate_ == 0 || random_.below(kMillion) >= unsynced_rate_;
}

bool SimDisk::write(const std::string& path, const Bytes& bytes) {
  if (!write_open(path, bytes)) return false;
  close_file(path);
  return true;
}

bool SimDisk::write_open(const std::string& path, const Bytes& bytes) {
  begin_act();
  if (!make_parents(path)) return false;
  auto at = files_.find(path);
  if (at != files_.end() && at->second->stat.kind != FileKind::kFile) return false;
  const bool existed = at != files_.end();
  Unsynced before;
  if (existed) before = {at->second, clock_.now(), true, at->second->bytes, at->second->stat, true};
  const std::uint16_t mode = existed ? at->second->stat.mode : 0644;
  write_file(path, bytes, mode);
  const NodePtr& node = files_.at(path);
  if (durable_act_) {
    unsynced_.erase(node->stat.inode);
  } else if (existed) {
    // Of several writes the first knows what the disk has.
    unsynced_.try_emplace(node->stat.inode, std::move(before)).first->second.persons = true;
  }
  person_changed(path);
  if (!existed) told(path, FileEvent::kCreate);
  told(path, FileEvent::kModify);
  return true;
}

std::optional<std::uint64_t> SimDisk::inode(const std::string& path) const {
  auto at = files_.find(path);
  if (at == files_.end()) return std::nullopt;
  return at->second->stat.inode;
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

void SimDisk::rewrite(const std::string& path, const Bytes& bytes) {
  set_clock();
  rewrite_file(path, bytes);
  person_changed(path);
  told(path, FileEvent::kModify);
  told(path, FileEvent::kCloseWrite);
}

bool SimDisk::rename(const std::string& from, const std::string& to) {
  begin_act();
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
  begin_act();
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
  begin_act();
  if (files_.contains(path) || !make_parents(path)) return false;
  NodePtr node = make_node(FileKind::kSymlink, 0777);
  node->target = target;
  node->stat.size = target.size();
  files_[path] = std::move(node);
  person_changed(path);
  told(path, FileEvent::kCreate);
  return true;
}

bool SimDisk::touch(const std::string& path, std::int64_t mtime_ns) {
  set_clock();
  auto at = files_.find(path);
  if (at == files_.end() || at->second->stat.kind != FileKind::kFile) return false;
  at->second->stat.mtime_ns = mtime_ns;
  at->second->stat.ctime_ns = next_time();
  changed(path, true);
  told(path, FileEvent::kAttributes);
  return true;
}

bool SimDisk::rewrite_quietly(const std::string& path, const Bytes& bytes) {
  auto at = files_.find(path);
  if (at == files_.end() || at->second->bytes.size() != bytes.size()) return false;
  const std::int64_t mtime_ns = at->second->stat.mtime_ns;
  return write(path, bytes) && touch(path, mtime_ns);
}

bool SimDisk::make_pipe(const std::string& path) {
  begin_act();
  if (files_.contains(path) || !make_parents(path)) return false;
  files_[path] = make_node(FileKind::kOther, 0644);
  person_changed(path);
  told(path, FileEvent::kCreate);
  return true;
}

bool SimDisk::set_readable(const std::string& path, bool readable) {
  if (readable) {
    if (unreadable_.erase(path) == 0) return false;
  } else {
    auto at = files_.find(path);
    if (at == files_.end() || at->second->stat.kind == FileKind::kSymlink) return false;
    unreadable_.insert(path);
  }
  set_clock();
  if (auto at = files_.find(path); at != files_.end()) at->second->stat.ctime_ns = next_time();
  told(path, FileEvent::kAttributes);
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

bool SimDisk::shows(const SeenFile& what) const {
  return std::any_of(files_.begin(), files_.end(), [&](const auto& named) {
    const Node& node = *named.second;
    return node.stat.kind == what.kind && node.bytes == what.bytes && node.target == what.target;
  });
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

void SimDisk::fill_up(std::uint64_t free) {
  set_capacity(0);  // used_bytes() counts only where a capacity matters
  set_capacity(used_bytes() + free);
}

void SimDisk::revive() {
  dead_ = false;
  die_in_ = 0;
}

void SimDisk::note_names() {
  states_.emplace_back(clock_.now(), Image{files_, temp_, trash_});
  forget_written_back();
}

void SimDisk::forget_written_back() {
  // More unsynced changes than this: the oldest count as written back, as a kernel does in time.
  if (states_.size() > kMaxStates) states_.pop_front();
  const Instant limit = clock_.now() - kWriteback;
  while (states_.size() > 1 && states_[1].first < limit) states_.pop_front();
  std::erase_if(unsynced_,
                [&](const auto& one) { return one.second.persons && one.second.since < limit; });
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
  if (!durable_act_) {
    note_names();
    if (at == files_.end()) return;
    Unsynced& one = unsynced_[at->second->stat.inode];
    if (!one.node) one = {at->second, clock_.now(), true, {}, {}, false};
    one.persons = true;
    return;
  }
  for (auto& [when, state] : states_) {
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

void SimDisk::tear(Unsynced& one, PowerLoss& loss) {
  Node& node = *one.node;
  const std::uint64_t fate = random_.below(one.persons ? 6 : 4);
  if (node.stat.kind != FileKind::kFile || node.bytes.empty() || fate == 0) return;
  const Bytes before = node.bytes;
  const std::uint64_t kept = random_.below(node.bytes.size());
  const auto from = node.bytes.begin() + static_cast<std::ptrdiff_t>(kept);
  switch (fate) {
    case 1:
      node.bytes.clear();
      break;
    case 2:
      node.bytes.resize(kept);
      break;
    case 3:
      std::fill(from, node.bytes.end(), std::uint8_t{0});
      break;
    case 4:
      // Nothing of it was written back, the times neither.
      if (!one.was_there) return;
      node.bytes = one.durable;
      node.stat = one.durable_stat;
      break;
    default:
      // The times were, and of the bytes a part.
      if (!one.was_there) return;
      for (std::size_t i = kept; i < node.bytes.size(); ++i) {
        node.bytes[i] = i < one.durable.size() ? one.durable[i] : std::uint8_t{0};
      }
      break;
  }
  node.stat.size = node.bytes.size();
  node.written = node.bytes.size();
  if (!one.persons || node.bytes == before) return;
  loss.hidden = loss.hidden || node.bytes.size() == before.size();
  if (node.bytes != one.durable || !one.was_there) loss.torn.push_back(node.bytes);
}

SimDisk::PowerLoss SimDisk::power_cut() {
  forget_written_back();
  PowerLoss loss;
  std::vector<Bytes> at_risk;
  for (const auto& [inode, one] : unsynced_) {
    if (one.persons && one.node->stat.kind == FileKind::kFile) at_risk.push_back(one.node->bytes);
  }
  Image state = std::move(states_[random_.below(states_.size())].second);
  files_ = std::move(state.files);
  temp_ = std::move(state.temp);
  trash_ = std::move(state.trash);
  for (auto& [inode, one] : unsynced_) tear(one, loss);
  std::set<Bytes> after;
  for (const auto& [path, node] : files_) {
    if (node->stat.kind == FileKind::kFile) after.insert(node->bytes);
  }
  for (Bytes& bytes : at_risk) {
    if (!after.contains(bytes)) loss.lost.push_back(std::move(bytes));
  }
  unsynced_.clear();
  states_.clear();
  note_names();
  return loss;
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

bool SimDisk::rot(const std::string& path) {
  auto at = files_.find(path);
  if (at == files_.end() || at->second->bytes.empty()) return false;
  Bytes& bytes = at->second->bytes;
  bytes[random_.below(bytes.size())] ^= static_cast<std::uint8_t>(1 + random_.below(255));
  return true;
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
  if (events_.on_restored) events_.on_restored(path, files_.at(path)->bytes);
  // By the node's hand, but at a person's word: nothing else brings anything back.
  changed(path, true);
  told(path, FileEvent::kCreate);
  return result;
}

Result<FileStat> SimDisk::install_trash(const std::string& trash_name, const std::string& path,
                                        const FileStat& expected) {
  auto result = MemoryFileSystem::install_trash(trash_name, path, expected);
  if (!result) return result;
  note_names();
  if (events_.on_left_trash) events_.on_left_trash(trash_name);
  changed(path, false);
  if (events_.on_installed) events_.on_installed(path, files_.at(path)->bytes);
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
