#include "platform/folder_rules.h"

#include <pwd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <filesystem>
#include <string_view>

#include "base/log.h"

namespace lansync {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMaxEntriesLookedAt = 50'000;
constexpr int kMaxLevelsLookedAt = 8;

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

}  // namespace

std::optional<std::string> why_folder_is_refused(const FolderFacts& facts) {
  const std::string shown = printable(facts.path, 500);
  const char* way_out = "; give another folder (lansync DIR), or --force-dir if you mean it";
  if (facts.path.empty() || facts.path == "/") {
    return str("/ is the whole system", way_out);
  }
  bool user_home = is_below(facts.path, "/home") &&
                   facts.path.find('/', std::string_view("/home/").size()) == std::string::npos;
  if (user_home ||
      std::find(facts.homes.begin(), facts.homes.end(), facts.path) != facts.homes.end()) {
    return str(shown, " is a home directory: keys, mail and browser data would be shared", way_out);
  }
  if (is_system(facts.path)) return str(shown, " is a system directory", way_out);
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
  facts.node_above = find_node_above(real);
  // A folder that is a node's already was looked at when it became one; a node that was put into it
  // since has been refused by the rule above.
  if (!is_node_folder(real)) facts.node_below = find_node_below(real);
  return facts;
}

}  // namespace lansync
