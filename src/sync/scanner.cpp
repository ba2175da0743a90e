#include "sync/scanner.h"

#include <algorithm>
#include <deque>

#include "base/rel_path.h"
#include "sync/ignore_rules.h"

namespace lansync {
namespace {

constexpr std::size_t kDirectoriesPerJob = 256;

struct Walk {
  FileSystem& files;
  Executor& executor;
  std::shared_ptr<const IgnoreRules> rules;
  std::function<void(ScanResult)> done;
  std::deque<std::string> todo;
  std::uint64_t root_device = 0;
  ScanResult result;
};

void take_item(Walk& walk, const std::string& directory, DirectoryItem& item) {
  std::string path = directory.empty() ? item.name : directory + '/' + item.name;
  if (Status valid = validate_relpath(path); !valid) {
    walk.result.problems.push_back({path, valid.error().detail, false});
    return;
  }
  bool is_directory = item.stat.kind == FileKind::kDirectory;
  if (walk.rules->ignored(path, is_directory)) return;
  if (item.stat.kind == FileKind::kOther) {
    walk.result.problems.push_back({path, "a socket, pipe or device is not synced", false});
    return;
  }
  if (is_directory && item.stat.device != walk.root_device) {
    walk.result.problems.push_back({path, "is on another file system and is not entered", true});
    return;
  }
  if (is_directory) walk.todo.push_back(path);
  walk.result.paths.push_back({std::move(path), item.stat});
}

void walk_slice(Walk& walk) {
  for (std::size_t i = 0; i < kDirectoriesPerJob && !walk.todo.empty(); ++i) {
    std::string directory = std::move(walk.todo.front());
    walk.todo.pop_front();
    auto listed = walk.files.list(directory);
    if (!listed) {
      if (directory.empty()) {
        walk.result.status = listed.error();
        return;
      }
      // Gone since its parent was listed is no problem: the next event or scan sees it.
      const bool gone = listed.error().code == ErrorCode::kNotFound;
      walk.result.problems.push_back({directory, listed.error().detail, true, gone});
      continue;
    }
    for (DirectoryItem& item : *listed) take_item(walk, directory, item);
  }
}

void schedule(std::shared_ptr<Walk> walk) {
  Executor& executor = walk->executor;
  executor.submit(
      JobClass::kBulk,
      [walk] {
        if (walk->root_device == 0) {
          auto root = walk->files.stat("");
          if (!root) {
            walk->result.status = root.error();
            walk->todo.clear();
            return;
          }
          walk->root_device = root->device;
        }
        walk_slice(*walk);
        if (walk->result.status && !walk->todo.empty()) return;
        // Of what was no longer the folder when it was read, nothing is missing.
        if (Status root = walk->files.check_root(); !root) walk->result.status = root;
      },
      [walk] {
        if (walk->result.status.has_value() && !walk->todo.empty()) {
          schedule(walk);
          return;
        }
        std::sort(walk->result.paths.begin(), walk->result.paths.end(),
                  [](const ScannedPath& a, const ScannedPath& b) { return a.path < b.path; });
        walk->done(std::move(walk->result));
      });
}

}  // namespace

void run_scan(FileSystem& files, Executor& executor, std::shared_ptr<const IgnoreRules> rules,
              std::string from, std::function<void(ScanResult)> done) {
  auto walk = std::make_shared<Walk>(
      Walk{files, executor, std::move(rules), std::move(done), {std::move(from)}, 0, {}});
  schedule(std::move(walk));
}

}  // namespace lansync
