#include "sync/copies_of.h"

namespace lansync {

void visit_copies(const Index& index, const std::string& path,
                  const std::function<void(const std::string&, const EntryPtr&)>& visit) {
  const std::size_t slash = path.rfind('/');
  const std::size_t dot = path.rfind('.');
  const bool extension = dot != std::string::npos && (slash == std::string::npos || dot > slash);
  const std::string prefix = (extension ? path.substr(0, dot) : path) + " (conflict ";
  const auto& paths = index.paths();
  for (auto at = paths.lower_bound(prefix); at != paths.end() && at->first.starts_with(prefix);
       ++at) {
    const auto told = parse_conflict_name(at->first);
    if (told && told->of == path && at->second.remote) visit(at->first, at->second.remote);
  }
}

bool has_later_copy(const Index& index, const std::string& path, const Entry& is) {
  const auto told = parse_conflict_name(path);
  if (!told || !is_as_made(*told, is)) return false;
  bool found = false;
  visit_copies(index, told->of, [&](const std::string& other, const EntryPtr& there) {
    // As it was made, as the hub asks when it folds: what somebody wrote there since, or made under
    // that name, is no later losing version. (Simulator's seed 3611: one who made directories of
    // two copies deleted the other's unasked.)
    const auto later = parse_conflict_name(other);
    found = found || (other != path && (there->is_file() || there->is_symlink()) && later &&
                      is_as_made(*later, *there) && there->author == is.author &&
                      there->edited.ns >= is.edited.ns);
  });
  return found;
}

std::string copy_that_keeps(const Index& index, const std::string& path, const Entry& is) {
  std::string found;
  visit_copies(index, path, [&](const std::string& other, const EntryPtr& there) {
    const PathRecord* record = index.find(other);
    if (there->is_file() && record->live() && record->local->is_file() &&
        record->local->content == is.content && there->content == is.content)
      found = other;
  });
  return found;
}

bool is_as_made(const ConflictNameParts& told, const Entry& there) {
  constexpr std::int64_t kSecond = 1'000'000'000;
  return there.edited.ns >= told.edited.ns && there.edited.ns < told.edited.ns + kSecond;
}

}  // namespace lansync
