#include "app/folder_names.h"

#include <sys/stat.h>

#include <filesystem>
#include <optional>

namespace lansync {
namespace {

// `path` as seen from `dir`: "" for itself; nullopt if it is not in it.
std::optional<std::string> below(const std::string& path, const std::string& dir) {
  if (path == dir) return "";
  const std::string start = dir.ends_with('/') ? dir : dir + "/";
  if (!path.starts_with(start)) return std::nullopt;
  return path.substr(start.size());
}

std::string normal(const std::string& path) {
  std::string out = std::filesystem::path(path).lexically_normal().string();
  while (out.size() > 1 && out.ends_with('/')) out.pop_back();
  return out;
}

bool starts_here(const std::string& typed) {
  return typed == "." || typed == ".." || typed.starts_with("./") || typed.starts_with("../");
}

std::string resolved(const std::string& path) {
  std::error_code failed;
  const std::string out = std::filesystem::weakly_canonical(path, failed).string();
  return failed ? path : out;
}

}  // namespace

std::string name_in_folder(const std::string& typed, const std::string& dir,
                           const std::string& current,
                           const std::function<bool(const std::string&)>& exists) {
  if (typed.empty() || dir.empty()) return typed;
  if (typed.front() == '/') {
    const auto inside = below(normal(typed), dir);
    return inside && !inside->empty() ? *inside : typed;
  }
  const auto standing = below(current, dir);
  if (!standing) return typed;
  const auto from_here = below(normal(current + "/" + typed), dir);
  if (!from_here || from_here->empty()) return typed;
  if (starts_here(typed)) return *from_here;
  if (standing->empty() || exists(dir + "/" + typed)) return typed;
  return exists(dir + "/" + *from_here) ? *from_here : typed;
}

std::string name_in_folder(const std::string& typed, const std::string& dir,
                           const std::string& current) {
  auto exists = [](const std::string& path) {
    struct stat info {};
    return ::lstat(path.c_str(), &info) == 0;
  };
  const std::string root = resolved(dir);
  // A link below the folder is a name there; one above it is the way to it.
  if (typed.starts_with('/') && !below(normal(typed), root)) {
    if (auto by_link = below(normal(typed), normal(dir)); by_link && !by_link->empty())
      return *by_link;
    const std::filesystem::path path = normal(typed);
    const std::string other =
        resolved(path.parent_path().string()) + "/" + path.filename().string();
    return name_in_folder(below(other, root) ? other : typed, root, resolved(current), exists);
  }
  return name_in_folder(typed, root, resolved(current), exists);
}

}  // namespace lansync
