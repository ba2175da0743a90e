#include "support/memory_file_system.h"

#include <algorithm>
#include <utility>

namespace lansync {

namespace {

Error not_found(const std::string& name) { return {ErrorCode::kNotFound, "no such file: " + name}; }

std::string parent_of(const std::string& path) {
  const auto slash = path.rfind('/');
  return slash == std::string::npos ? std::string() : path.substr(0, slash);
}

std::size_t read_at(const Bytes& bytes, std::uint64_t offset, std::span<std::uint8_t> out) {
  if (offset >= bytes.size()) return 0;
  const std::size_t count = std::min(out.size(), bytes.size() - static_cast<std::size_t>(offset));
  std::copy_n(bytes.begin() + static_cast<std::ptrdiff_t>(offset), count, out.begin());
  return count;
}

// A directory's size and times follow what is in it.
bool is_expected(const FileStat& now, const FileStat& expected) {
  if (expected.kind != FileKind::kDirectory) return now == expected;
  return now.kind == expected.kind && now.inode == expected.inode && now.device == expected.device;
}

}  // namespace

class MemoryFileSystem::OpenRead : public ReadFile {
 public:
  OpenRead(MemoryFileSystem& fs, NodePtr node, std::string path)
      : fs_(fs), node_(std::move(node)), path_(std::move(path)) {}
  Result<std::size_t> read(std::uint64_t offset, std::span<std::uint8_t> out) override {
    LS_TRY(fs_.check("read", path_));
    return read_at(node_->bytes, offset, out);
  }
  Result<FileStat> stat() override {
    LS_TRY(fs_.check("fstat", path_));
    return node_->stat;
  }

 private:
  MemoryFileSystem& fs_;
  NodePtr node_;
  std::string path_;
};

class MemoryFileSystem::OpenTemp : public TempFile {
 public:
  OpenTemp(MemoryFileSystem& fs, NodePtr node, std::string name)
      : fs_(fs), node_(std::move(node)), name_(std::move(name)) {}
  Status write(std::uint64_t offset, ByteView bytes) override {
    LS_TRY(fs_.check("write", name_));
    return fs_.write_at(*node_, offset, bytes);
  }
  Result<std::size_t> read(std::uint64_t offset, std::span<std::uint8_t> out) override {
    LS_TRY(fs_.check("read_temp", name_));
    return read_at(node_->bytes, offset, out);
  }
  Status set_size(std::uint64_t size) override {
    LS_TRY(fs_.check("set_size", name_));
    node_->bytes.resize(static_cast<std::size_t>(size));
    node_->written = std::min(node_->written, size);
    node_->stat.size = size;
    node_->stat.mtime_ns = node_->stat.ctime_ns = fs_.next_time();
    return {};
  }
  Status set_metadata(std::uint16_t mode, std::int64_t mtime_ns) override {
    LS_TRY(fs_.check("set_temp_metadata", name_));
    node_->stat.mode = mode;
    node_->stat.mtime_ns = mtime_ns;
    node_->stat.ctime_ns = fs_.next_time();
    return {};
  }
  Status sync() override { return fs_.check("sync", name_); }

 private:
  MemoryFileSystem& fs_;
  NodePtr node_;
  std::string name_;
};

// ---- helpers -----------------------------------------------------------------------------------

MemoryFileSystem::NodePtr MemoryFileSystem::make_node(FileKind kind, std::uint16_t mode) {
  auto node = std::make_shared<Node>();
  node->stat.kind = kind;
  node->stat.mode = mode;
  node->stat.inode = next_inode_++;
  node->stat.device = kDevice;
  node->stat.mtime_ns = node->stat.ctime_ns = next_time();
  return node;
}

Status MemoryFileSystem::check(const std::string& operation, const std::string& subject) {
  if (!fault_) return {};
  if (auto error = fault_(operation, subject)) return *error;
  return {};
}

Result<MemoryFileSystem::NodePtr> MemoryFileSystem::find(const Names& names,
                                                         const std::string& name) const {
  auto at = names.find(name);
  if (at == names.end()) return not_found(name);
  return at->second;
}

Status MemoryFileSystem::check_parent(const std::string& path) const {
  const std::string parent = parent_of(path);
  if (parent.empty()) return {};
  auto at = files_.find(parent);
  if (at == files_.end()) return not_found(parent);
  if (at->second->stat.kind != FileKind::kDirectory)
    return Error{ErrorCode::kNotFound, "not a directory: " + parent};
  return {};
}

Status MemoryFileSystem::check_expected(const std::string& path,
                                        const std::optional<FileStat>& expected) const {
  auto at = files_.find(path);
  if (!expected) {
    if (at == files_.end()) return {};
    return Error{ErrorCode::kExists, "something is there already: " + path};
  }
  if (at != files_.end() && is_expected(at->second->stat, *expected)) return {};
  return Error{ErrorCode::kChanged, "not what was expected: " + path};
}

bool MemoryFileSystem::is_below(const std::string& path, const std::string& prefix) const {
  if (limits_.tells_names()) return path.starts_with(prefix);
  return fold_name(path, limits_).starts_with(fold_name(prefix, limits_));
}

// What the disk shows instead of what it was told.
void MemoryFileSystem::apply_limits(FileStat& stat) const {
  if (!limits_.keeps_modes) stat.mode = 0777;
  stat.mtime_ns -= stat.mtime_ns % limits_.mtime_step_ns;
  stat.ctime_ns -= stat.ctime_ns % limits_.mtime_step_ns;
  if (!limits_.own_change_time) stat.ctime_ns = stat.mtime_ns;
}

bool MemoryFileSystem::has_children(const std::string& path) const {
  auto at = files_.lower_bound(path + "/");
  return at != files_.end() && is_below(at->first, path + "/");
}

Result<FileStat> MemoryFileSystem::put_at(const std::string& path, NodePtr node,
                                          const std::optional<FileStat>& expected,
                                          const std::string& trash_name) {
  LS_TRY(check_parent(path));
  LS_TRY(check_expected(path, expected));
  NodePtr& place = files_[path];
  if (place && place->stat.kind == FileKind::kDirectory)
    return Error{ErrorCode::kChanged, "a directory is there: " + path};
  if (place && !trash_name.empty()) {
    place->stat.ctime_ns = next_time();
    trash_[trash_name] = place;
  }
  place = std::move(node);
  place->stat.ctime_ns = next_time();
  apply_limits(place->stat);
  return place->stat;
}

Status MemoryFileSystem::check_room(std::uint64_t bytes) const {
  if (used_bytes() + bytes <= capacity_) return {};
  return Error{ErrorCode::kNoSpace, "no space left on device"};
}

Status MemoryFileSystem::write_at(Node& node, std::uint64_t offset, ByteView bytes) {
  const std::uint64_t end = offset + bytes.size();
  LS_TRY(check_room(bytes.size()));
  if (end > node.bytes.size()) node.bytes.resize(static_cast<std::size_t>(end));
  std::copy(bytes.begin(), bytes.end(), node.bytes.begin() + static_cast<std::ptrdiff_t>(offset));
  node.written = std::min<std::uint64_t>(node.bytes.size(), node.written + bytes.size());
  node.stat.size = node.bytes.size();
  node.stat.mtime_ns = node.stat.ctime_ns = next_time();
  bytes_written_ += bytes.size();
  return {};
}

// ---- what a test does and sees -----------------------------------------------------------------

void MemoryFileSystem::write_file(const std::string& path, ByteView bytes, std::uint16_t mode) {
  for (auto slash = path.find('/'); slash != std::string::npos; slash = path.find('/', slash + 1))
    if (NodePtr& directory = files_[path.substr(0, slash)]; !directory)
      directory = make_node(FileKind::kDirectory, 0755);
  NodePtr& node = files_[path];
  if (!node) node = make_node(FileKind::kFile, mode);
  node->bytes.assign(bytes.begin(), bytes.end());
  node->written = bytes.size();
  node->stat.mode = mode;
  node->stat.size = bytes.size();
  node->stat.mtime_ns = node->stat.ctime_ns = next_time();
  apply_limits(node->stat);
}

void MemoryFileSystem::rewrite_file(const std::string& path, ByteView bytes) {
  Node& node = *files_.at(path);
  node.bytes.assign(bytes.begin(), bytes.end());
  node.stat.size = bytes.size();
  node.stat.ctime_ns = next_time();
  apply_limits(node.stat);
}

void MemoryFileSystem::remove(const std::string& path) {
  std::erase_if(files_, [&](const auto& named) {
    if (named.first != path && !named.first.starts_with(path + "/")) return false;
    named.second->stat.ctime_ns = next_time();  // whoever has it open sees that
    return true;
  });
}

namespace {

template <typename Names>
std::optional<Bytes> bytes_in(const Names& names, const std::string& name) {
  auto at = names.find(name);
  if (at == names.end()) return std::nullopt;
  return at->second->bytes;
}

template <typename Names>
std::vector<std::string> keys_of(const Names& names) {
  std::vector<std::string> keys;
  for (const auto& [name, node] : names) keys.push_back(name);
  return keys;
}

}  // namespace

std::optional<Bytes> MemoryFileSystem::contents(const std::string& path) const {
  return bytes_in(files_, path);
}
std::optional<Bytes> MemoryFileSystem::temp_contents(const std::string& name) const {
  return bytes_in(temp_, name);
}
std::optional<Bytes> MemoryFileSystem::trash_contents(const std::string& name) const {
  return bytes_in(trash_, name);
}

void MemoryFileSystem::put_temp(const std::string& name, ByteView bytes) {
  NodePtr node = make_node(FileKind::kFile, 0600);
  node->bytes.assign(bytes.begin(), bytes.end());
  node->written = bytes.size();
  node->stat.size = bytes.size();
  temp_[name] = node;
}

std::vector<std::string> MemoryFileSystem::temp_names() const { return keys_of(temp_); }
std::vector<std::string> MemoryFileSystem::paths() const { return keys_of(files_); }

std::uint64_t MemoryFileSystem::used_bytes() const {
  // Walked only where a capacity matters: with thousands of files each write would pay for it.
  if (capacity_ >= 1ull << 40) return 0;
  std::uint64_t used = 0;
  for (const Names* names : {&files_, &temp_, &trash_})
    for (const auto& [name, node] : *names) used += node->written;
  return used;
}

// ---- FileSystem --------------------------------------------------------------------------------

Status MemoryFileSystem::check_root() { return check("check_root", ""); }

Result<FileStat> MemoryFileSystem::stat(const std::string& path) {
  LS_TRY(check("stat", path));
  if (path.empty()) {
    FileStat root;
    root.kind = FileKind::kDirectory;
    root.mode = 0700;
    root.inode = 2;
    root.device = kDevice;
    return root;
  }
  auto node = find(files_, path);
  if (!node) return node.error();
  return (*node)->stat;
}

Result<std::vector<DirectoryItem>> MemoryFileSystem::list(const std::string& path) {
  LS_TRY(check("list", path));
  if (!path.empty()) {
    auto node = find(files_, path);
    if (!node) return node.error();
    if ((*node)->stat.kind != FileKind::kDirectory) return not_found(path);
  }
  std::vector<DirectoryItem> items;
  const std::string prefix = path.empty() ? "" : path + "/";
  for (auto at = files_.lower_bound(prefix); at != files_.end() && is_below(at->first, prefix);
       ++at) {
    std::string name = at->first.substr(prefix.size());
    if (name.find('/') == std::string::npos) items.push_back({std::move(name), at->second->stat});
  }
  return items;
}

Result<std::string> MemoryFileSystem::read_link(const std::string& path) {
  LS_TRY(check("read_link", path));
  auto node = find(files_, path);
  if (!node) return node.error();
  if ((*node)->stat.kind != FileKind::kSymlink)
    return Error{ErrorCode::kChanged, "not a symlink: " + path};
  return (*node)->target;
}

Result<std::unique_ptr<ReadFile>> MemoryFileSystem::open_file(const std::string& path) {
  LS_TRY(check("open_file", path));
  auto node = find(files_, path);
  if (!node) return node.error();
  if ((*node)->stat.kind != FileKind::kFile)
    return Error{ErrorCode::kChanged, "not a regular file: " + path};
  return std::unique_ptr<ReadFile>(std::make_unique<OpenRead>(*this, *node, path));
}

Result<std::uint64_t> MemoryFileSystem::free_bytes() {
  LS_TRY(check("free_bytes", ""));
  return capacity_ - std::min(capacity_, used_bytes());
}

Result<std::uint64_t> MemoryFileSystem::total_bytes() { return capacity_; }

Result<std::unique_ptr<TempFile>> MemoryFileSystem::create_temp(const std::string& name) {
  LS_TRY(check("create_temp", name));
  NodePtr& node = temp_[name];
  if (!node) node = make_node(FileKind::kFile, 0600);
  // O_TRUNC keeps the inode: whoever has it open sees it shrink.
  node->bytes.clear();
  node->written = 0;
  node->stat.size = 0;
  node->stat.mtime_ns = node->stat.ctime_ns = next_time();
  return std::unique_ptr<TempFile>(std::make_unique<OpenTemp>(*this, node, name));
}

Result<std::unique_ptr<TempFile>> MemoryFileSystem::open_temp(const std::string& name) {
  LS_TRY(check("open_temp", name));
  auto node = find(temp_, name);
  if (!node) return node.error();
  return std::unique_ptr<TempFile>(std::make_unique<OpenTemp>(*this, *node, name));
}

Result<std::vector<DirectoryItem>> MemoryFileSystem::list_temp() {
  LS_TRY(check("list_temp", ""));
  std::vector<DirectoryItem> items;
  for (const auto& [name, node] : temp_) items.push_back({name, node->stat});
  return items;
}

Status MemoryFileSystem::remove_temp(const std::string& name) {
  LS_TRY(check("remove_temp", name));
  if (temp_.erase(name) == 0) return not_found(name);
  return {};
}

Status MemoryFileSystem::copy_to_temp(const std::string& path, const std::string& name) {
  LS_TRY(check("copy_to_temp", path));
  auto node = find(files_, path);
  if (!node) return node.error();
  LS_TRY(check_room((*node)->bytes.size()));
  put_temp(name, (*node)->bytes);
  return {};
}

Status MemoryFileSystem::copy_trash_to_temp(const std::string& trash_name,
                                            const std::string& name) {
  LS_TRY(check("copy_trash_to_temp", trash_name));
  auto node = find(trash_, trash_name);
  if (!node) return node.error();
  LS_TRY(check_room((*node)->bytes.size()));
  put_temp(name, (*node)->bytes);
  return {};
}

Result<FileStat> MemoryFileSystem::install_temp(const std::string& name, const std::string& path,
                                                const std::optional<FileStat>& expected,
                                                const std::string& trash_name) {
  LS_TRY(check("install_temp", path));
  auto node = find(temp_, name);
  if (!node) return node.error();
  auto stat = put_at(path, *node, expected, trash_name);
  if (stat) temp_.erase(name);
  return stat;
}

Status MemoryFileSystem::move_to_trash(const std::string& path, const FileStat& expected,
                                       const std::string& trash_name) {
  LS_TRY(check("move_to_trash", path));
  LS_TRY(check_expected(path, expected));
  auto at = files_.find(path);
  if (at->second->stat.kind == FileKind::kDirectory)
    return Error{ErrorCode::kChanged, "a directory is there: " + path};
  at->second->stat.ctime_ns = next_time();
  if (!trash_name.empty()) trash_[trash_name] = at->second;
  files_.erase(at);
  return {};
}

Status MemoryFileSystem::make_directory(const std::string& path, std::uint16_t mode) {
  LS_TRY(check("make_directory", path));
  LS_TRY(check_parent(path));
  LS_TRY(check_expected(path, std::nullopt));
  files_[path] = make_node(FileKind::kDirectory, mode);
  apply_limits(files_[path]->stat);
  return {};
}

Status MemoryFileSystem::remove_directory(const std::string& path) {
  LS_TRY(check("remove_directory", path));
  auto node = find(files_, path);
  if (!node) return node.error();
  if ((*node)->stat.kind != FileKind::kDirectory || has_children(path))
    return Error{ErrorCode::kChanged, "not an empty directory: " + path};
  files_.erase(path);
  return {};
}

Result<FileStat> MemoryFileSystem::make_symlink(const std::string& target, const std::string& path,
                                                const std::optional<FileStat>& expected,
                                                const std::string& trash_name) {
  LS_TRY(check("make_symlink", path));
  if (!limits_.makes_links) return Error{ErrorCode::kDenied, "no links here: " + path};
  NodePtr node = make_node(FileKind::kSymlink, 0777);
  node->target = target;
  node->stat.size = target.size();
  return put_at(path, std::move(node), expected, trash_name);
}

Result<FileStat> MemoryFileSystem::set_metadata(const std::string& path, std::uint16_t mode,
                                                std::optional<std::int64_t> mtime_ns,
                                                const FileStat& expected) {
  LS_TRY(check("set_metadata", path));
  LS_TRY(check_expected(path, expected));
  Node& node = *files_.at(path);
  node.stat.mode = mode;
  if (mtime_ns) node.stat.mtime_ns = *mtime_ns;
  node.stat.ctime_ns = next_time();
  apply_limits(node.stat);
  return node.stat;
}

Status MemoryFileSystem::rename_fold(const std::string& from, const std::string& to,
                                     const FileStat& expected) {
  LS_TRY(check("rename_fold", to));
  LS_TRY(check_expected(from, expected));
  std::vector<std::pair<std::string, NodePtr>> moved;
  for (const auto& [name, node] : files_) {
    if (fold_name(name, limits_) == fold_name(from, limits_) || is_below(name, from + "/"))
      moved.emplace_back(name, node);
  }
  for (const auto& [name, node] : moved) files_.erase(name);
  for (const auto& [name, node] : moved) files_[to + name.substr(from.size())] = node;
  files_[to]->stat.ctime_ns = next_time();
  return {};
}

Status MemoryFileSystem::restore_from_trash(const std::string& trash_name,
                                            const std::string& path) {
  LS_TRY(check("restore_from_trash", trash_name));
  auto node = find(trash_, trash_name);
  if (!node) return node.error();
  auto stat = put_at(path, *node, std::nullopt, "");
  if (!stat) return stat.error();
  trash_.erase(trash_name);
  return {};
}

Result<FileStat> MemoryFileSystem::install_trash(const std::string& trash_name,
                                                 const std::string& path,
                                                 const FileStat& expected) {
  LS_TRY(check("install_trash", trash_name));
  auto node = find(trash_, trash_name);
  if (!node) return node.error();
  if (!(*node)->stat.same_file_bytes(expected))
    return Error{ErrorCode::kChanged, "not what was looked at: " + trash_name};
  auto stat = put_at(path, *node, std::nullopt, "");
  if (stat) trash_.erase(trash_name);
  return stat;
}

Status MemoryFileSystem::remove_trash(const std::string& trash_name) {
  LS_TRY(check("remove_trash", trash_name));
  trash_.erase(trash_name);
  return {};
}

Result<std::vector<DirectoryItem>> MemoryFileSystem::list_trash() {
  LS_TRY(check("list_trash", ""));
  std::vector<DirectoryItem> items;
  for (const auto& [name, node] : trash_) items.push_back({name, node->stat});
  return items;
}

Result<std::unique_ptr<ReadFile>> MemoryFileSystem::open_trash(const std::string& trash_name) {
  LS_TRY(check("open_trash", trash_name));
  auto node = find(trash_, trash_name);
  if (!node) return node.error();
  if ((*node)->stat.kind != FileKind::kFile)
    return Error{ErrorCode::kChanged, "not a regular file: " + trash_name};
  return std::unique_ptr<ReadFile>(std::make_unique<OpenRead>(*this, *node, trash_name));
}

Result<std::string> MemoryFileSystem::read_trash_link(const std::string& trash_name) {
  LS_TRY(check("read_trash_link", trash_name));
  auto node = find(trash_, trash_name);
  if (!node) return node.error();
  if ((*node)->stat.kind != FileKind::kSymlink)
    return Error{ErrorCode::kChanged, "not a symlink: " + trash_name};
  return (*node)->target;
}

Status MemoryFileSystem::sync_all() {
  LS_TRY(check("sync_all", ""));
  ++syncs_;
  return {};
}

}  // namespace lansync
