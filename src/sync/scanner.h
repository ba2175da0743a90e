// Walks the folder on a worker, a slice of directories a job, and hands the whole picture to the
// control thread. Knows nothing of versions: what differs from the index is the replica's to judge.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/executor.h"
#include "sync/file_system.h"

namespace lansync {

class IgnoreRules;

struct ScannedPath {
  std::string path;
  FileStat stat;
};

// Something on this disk that is not synced, and why: shown by status, never a delete.
struct ScanProblem {
  std::string path;  // raw bytes of the disk
  std::string reason;
  bool unknown_below = false;  // a directory that could not be read: nothing is known below it
  bool gone = false;           // since it was listed: its own event or the next scan tells
};

struct ScanResult {
  Status status;                   // of the root itself, also at the end of the walk
  std::vector<ScannedPath> paths;  // files, directories, symlinks; sorted by path
  std::vector<ScanProblem> problems;
};

// Runs one scan below `from` ("" = all); `done` comes on the control thread. `rules` is a snapshot.
// Slices of kDirectoriesPerJob keep a worker from being taken for seconds by a large tree.
void run_scan(FileSystem& files, Executor& executor, std::shared_ptr<const IgnoreRules> rules,
              std::string from, std::function<void(ScanResult)> done);

}  // namespace lansync
