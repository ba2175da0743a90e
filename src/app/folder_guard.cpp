#include "app/folder_guard.h"

#include <algorithm>
#include <filesystem>
#include <iterator>
#include <string_view>
#include <system_error>

#include "base/log.h"

namespace lansync {
namespace {

namespace fs = std::filesystem;

// These, and all that is below: nothing in them belongs to a person.
constexpr std::string_view kSystemTrees[] = {"/bin",   "/boot",  "/etc",    "/lib",
                                             "/lib32", "/lib64", "/libx32", "/proc",
                                             "/sbin",  "/sys",   "/usr"};
// These themselves; a folder within is fine (/dev/shm/x, /run/media/me/stick, /srv/share).
constexpr std::string_view kSystemDirectories[] = {
    "/dev", "/dev/shm",   "/home",    "/lost+found", "/media",  "/mnt",
    "/opt", "/root",      "/run",     "/run/user",   "/srv",    "/tmp",
    "/var", "/var/cache", "/var/lib", "/var/log",    "/var/tmp"};

// How far a search for nodes' folders below goes; a folder of a million files must start at once.
constexpr int kMaxDepth = 3;
constexpr int kMaxEntries = 20'000;

Error refused(const std::string& dir, const std::string& why) {
  return Error{ErrorCode::kRefused,
               str(printable(dir), " ", why, ": give a folder of its own, e.g. `lansync ~/LanSync`",
                   " (--force-dir takes it anyway)")};
}

bool below(std::string_view path, std::string_view tree) {
  return path == tree || (path.starts_with(tree) && path.substr(tree.size()).starts_with('/'));
}

// Follows symlinks: ~/link to / is / all the same.
std::string real_path(const std::string& dir) {
  std::error_code error;
  fs::path real = fs::weakly_canonical(dir, error);
  std::string text = error ? dir : real.string();
  while (text.size() > 1 && text.back() == '/') text.pop_back();
  return text;
}

bool is_node_folder(const fs::path& dir) {
  std::error_code error;
  return fs::is_directory(fs::symlink_status(dir / ".lansync", error));
}

// The folder of another node around `dir`; "" if there is none.
std::string node_around(const std::string& dir) {
  fs::path at = dir;
  while (at.has_relative_path()) {
    at = at.parent_path();
    if (is_node_folder(at)) return at.string();
  }
  return "";
}

// The folder of another node within `dir`; "" if none was found near its top.
std::string node_within(const std::string& dir) {
  std::error_code error;
  fs::recursive_directory_iterator at(dir, fs::directory_options::skip_permission_denied, error);
  for (int count = 0; !error && at != fs::end(at) && count < kMaxEntries; ++count) {
    std::error_code ignored;
    bool directory = fs::is_directory(at->symlink_status(ignored));
    if (directory && at->path().filename() == ".lansync") {
      if (at.depth() > 0) return at->path().parent_path().string();
      at.disable_recursion_pending();  // our own
    } else if (directory && at.depth() >= kMaxDepth) {
      at.disable_recursion_pending();
    }
    at.increment(error);
  }
  return "";
}

}  // namespace

Status check_folder(const std::string& dir, const Environment& environment) {
  std::string real = real_path(dir);
  if (real == "/") return refused(dir, "is the whole machine");
  bool home = (!environment.home.empty() && real == real_path(environment.home)) ||
              fs::path(real).parent_path() == "/home" || real == "/root";
  if (home) return refused(dir, "is a home directory itself");
  for (std::string_view tree : kSystemTrees)
    if (below(real, tree)) return refused(dir, "belongs to the system");
  if (std::find(std::begin(kSystemDirectories), std::end(kSystemDirectories), real) !=
      std::end(kSystemDirectories))
    return refused(dir, "belongs to the system");
  if (std::string other = node_around(real); !other.empty())
    return refused(dir, str("is within ", printable(other), ", another node's folder"));
  if (std::string other = node_within(real); !other.empty())
    return refused(dir, str("has ", printable(other), " in it, another node's folder"));
  return {};
}

}  // namespace lansync
