#include "platform/folder_rules.h"

#include <pwd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <filesystem>
#include <sstream>
#include <string_view>

#include "base/log.h"
#include "platform/posix.h"

namespace lansync {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMaxEntriesLookedAt = 50'000;
constexpr int kMaxLevelsLookedAt = 8;
constexpr std::size_t kMaxMountInfo = 1 << 20;
constexpr std::size_t kMaxNames = 64;

// Refused with everything below them.
constexpr std::array<std::string_view, 15> kSystemTrees = {
    "/bin",  "/boot", "/dev", "/etc",  "/lib", "/lib32", "/lib64",     "/libx32",
    "/proc", "/run",  "/sys", "/sbin", "/usr", "/snap",  "/lost+found"};
// Except these: people do keep their own things there.
constexpr std::array<std::string_view, 4> kFreeTrees = {"/dev/shm", "/run/user", "/run/media",
                                                        "/usr/local"};
// Refused themselves; a folder below is fine.
constexpr std::array<std::string_view, 16> kSharedDirectories = {
    "/home", "/root",  "/tmp", "/var", "/var/tmp",   "/var/lib", "/var/log",  "/var/run",
    "/mnt",  "/media", "/opt", "/srv", "/var/cache", "/dev/shm", "/run/user", "/usr/local"};

bool is_below(std::string_view path, std::string_view tree) {
  return path.size() > tree.size() && path.substr(0, tree.size()) == tree &&
         path[tree.size()] == '/';
}

bool is_system(std::string_view path) {
  if (std::find(kSharedDirectories.begin(), kSharedDirectories.end(), path) !=
      kSharedDirectories.end()) {
    return true;
  }
  for (std::string_view tree : kFreeTrees) {
    if (is_below(path, tree)) return false;
  }
  return std::any_of(kSystemTrees.begin(), kSystemTrees.end(),
                     [&](std::string_view tree) { return path == tree || is_below(path, tree); });
}

bool is_node_folder(const fs::path& path) {
  std::error_code ignored;
  return fs::is_directory(fs::symlink_status(path / ".lansync", ignored));
}

std::optional<std::string> find_node_above(const fs::path& path) {
  for (fs::path p = path.parent_path();; p = p.parent_path()) {
    if (is_node_folder(p)) return p.string();
    if (p == p.parent_path()) return std::nullopt;
  }
}

std::optional<std::string> find_node_below(const fs::path& path) {
  std::error_code failed;
  fs::recursive_directory_iterator it(path, fs::directory_options::skip_permission_denied, failed);
  std::size_t seen = 0;
  for (; !failed && it != fs::recursive_directory_iterator(); it.increment(failed)) {
    if (++seen > kMaxEntriesLookedAt) break;
    std::error_code ignored;
    if (!it->is_directory(ignored) || it->is_symlink(ignored)) continue;
    if (it->path().filename() == ".lansync") return it->path().parent_path().string();
    if (it.depth() >= kMaxLevelsLookedAt) it.disable_recursion_pending();
  }
  return std::nullopt;
}

// One line of /proc/self/mountinfo.
struct Mount {
  std::string device;  // major:minor
  std::string root;    // what of the file system is mounted
  std::string where;
};

std::string unescape(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    bool octal = text[i] == '\\' && i + 3 < text.size();
    if (!octal) {
      out += text[i];
      continue;
    }
    out +=
        static_cast<char>((text[i + 1] - '0') * 64 + (text[i + 2] - '0') * 8 + text[i + 3] - '0');
    i += 3;
  }
  return out;
}

std::vector<Mount> read_mounts() {
  std::vector<Mount> mounts;
  auto text = read_small_file("/proc/self/mountinfo", kMaxMountInfo);
  if (!text) return mounts;
  std::istringstream lines(*text);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream fields(line);
    std::string id, parent, device, root, where;
    if (!(fields >> id >> parent >> device >> root >> where)) continue;
    mounts.push_back({device, unescape(root), unescape(where)});
  }
  return mounts;
}

std::string below(const std::string& path, const std::string& tree) {
  return tree == "/" ? path : path.substr(tree.size());
}

// Other names of the same directory, by bind mounts: what is mounted at `path` or above it may be
// mounted, from a directory further up, elsewhere as well.
std::vector<std::string> names_by_mounts(const std::string& path) {
  const std::vector<Mount> mounts = read_mounts();
  const Mount* at = nullptr;
  for (const Mount& mount : mounts) {
    bool holds = mount.where == "/" || path == mount.where || is_below(path, mount.where);
    // The last of equal ones lies on top.
    if (holds && (at == nullptr || mount.where.size() >= at->where.size())) at = &mount;
  }
  std::vector<std::string> names;
  if (at == nullptr) return names;
  std::string inside = (at->root == "/" ? "" : at->root) + below(path, at->where);
  if (inside.empty()) inside = "/";
  for (const Mount& mount : mounts) {
    bool holds = mount.device == at->device &&
                 (mount.root == "/" || inside == mount.root || is_below(inside, mount.root));
    if (!holds || names.size() >= kMaxNames) continue;
    std::string name = (mount.where == "/" ? "" : mount.where) + below(inside, mount.root);
    while (name.size() > 1 && name.back() == '/') name.pop_back();
    if (name != path && !name.empty()) names.push_back(name);
  }
  return names;
}

std::optional<std::string> why_name_is_refused(const FolderFacts& facts, const std::string& path) {
  const std::string shown = printable(path, 500);
  const char* way_out = "; give another folder (lansync DIR), or --force-dir if you mean it";
  if (path.empty() || path == "/") {
    return str("/ is the whole system", way_out);
  }
  bool user_home = is_below(path, "/home") &&
                   path.find('/', std::string_view("/home/").size()) == std::string::npos;
  if (user_home || std::find(facts.homes.begin(), facts.homes.end(), path) != facts.homes.end()) {
    return str(shown, " is a home directory: keys, mail and browser data would be shared", way_out);
  }
  if (is_system(path)) return str(shown, " is a system directory", way_out);
  if (facts.node_above) {
    return str(shown, " lies within the folder of another node, ",
               printable(*facts.node_above, 500), way_out);
  }
  if (facts.node_below) {
    return str(shown, " lies around the folder of another node, ",
               printable(*facts.node_below, 500), way_out);
  }
  return std::nullopt;
}

}  // namespace

std::optional<std::string> why_folder_is_refused(const FolderFacts& facts) {
  if (auto why = why_name_is_refused(facts, facts.path)) return why;
  for (const std::string& name : facts.other_names) {
    // Desktops, containers and services mount people's disks a second time below these.
    bool managed = is_below(name, "/run") || is_below(name, "/proc") || is_below(name, "/dev") ||
                   is_below(name, "/snap");
    if (managed && is_system(name)) continue;
    if (auto why = why_name_is_refused(facts, name)) {
      return str(printable(facts.path, 500), " is another name of a folder: ", *why);
    }
  }
  return std::nullopt;
}

FolderFacts gather_folder_facts(const std::string& path) {
  FolderFacts facts;
  std::error_code failed;
  fs::path real = fs::weakly_canonical(path, failed);
  if (failed) real = fs::absolute(path, failed);
  if (!real.has_filename() && real.has_relative_path()) real = real.parent_path();
  facts.path = real.string();
  auto add_home = [&](const char* home) {
    if (home == nullptr || home[0] != '/') return;
    std::error_code ignored;
    fs::path canonical = fs::weakly_canonical(home, ignored);
    // Accounts without a home say "/" or /nonexistent; "/" has a rule of its own.
    if (!ignored && canonical != "/") facts.homes.push_back(canonical.string());
  };
  add_home(std::getenv("HOME"));
  if (const passwd* account = ::getpwuid(::getuid())) add_home(account->pw_dir);
  facts.other_names = names_by_mounts(facts.path);
  facts.node_above = find_node_above(real);
  for (const std::string& name : facts.other_names) {
    if (!facts.node_above) facts.node_above = find_node_above(name);
  }
  // A folder that is a node's already was looked at when it became one; a node that was put into it
  // since has been refused by the rule above.
  if (!is_node_folder(real)) facts.node_below = find_node_below(real);
  return facts;
}

}  // namespace lansync
