#include "sim/delete_watch.h"

#include "base/log.h"
#include "sim/node.h"
#include "sync/delete_guard.h"

namespace lansync::sim {
namespace {

bool is_over(const MaxDeletes& limit, std::uint64_t count, std::uint64_t files) {
  if (!limit.count && !limit.percent) return false;
  if (limit.count && count <= *limit.count) return false;
  return !limit.percent || count * 100 > *limit.percent * files;
}

}  // namespace

void DeleteWatch::on_changed(SimNode& node, const std::string& path,
                             const std::optional<SeenFile>& now, Instant when) {
  Folder& folder = folders_[node.name()];
  if (now && now->kind == FileKind::kFile) {
    folder.files.try_emplace(path, when);
  } else {
    folder.files.erase(path);
  }
}

void DeleteWatch::on_let_go(const std::string& path) {
  for (auto& [name, folder] : folders_) folder.let_go.insert(path);
}

void DeleteWatch::on_deleted(SimNode& node, const std::string& path, bool elsewhere, Instant when) {
  Folder& folder = folders_[node.name()];
  auto at = folder.files.find(path);
  if (at == folder.files.end()) return;
  const Instant since = at->second;
  Run& run = folder.run;
  if (folder.let_go.erase(path) > 0) {
    folder.files.erase(at);
    return;
  }
  const bool over =
      when - run.last > DeleteGuard::kRunGap || when - run.begin > DeleteGuard::kRunLength;
  if (run.count == 0 || over) {
    run = Run{when, when, folder.files.size(), 0, false};
  }
  folder.files.erase(at);
  // What has come since is no loss of what was there, and a move is none.
  if (elsewhere || since > run.begin) return;
  run.last = when;
  ++run.count;
  if (run.reported) return;
  if (!is_over(node.options().max_deletes, run.count, run.files)) return;
  run.reported = true;
  report_(str("I7: ", node.name(), " let others delete ", run.count, " of ", run.files,
              " files unasked, the last ", printable(path)));
}

}  // namespace lansync::sim
