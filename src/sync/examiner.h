// Finds out what is at given paths: stat, and where that says so the hash of the content in one
// pass. A file that changes while it is read is reported as unstable, never with a torn hash.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/executor.h"
#include "base/ids.h"
#include "base/result.h"
#include "sync/file_system.h"

namespace lansync {

// Takes longer to read than everybody else should wait.
constexpr bool is_large(std::uint64_t size) { return size > 16 * 1024 * 1024; }

struct ExamineRequest {
  std::string path;
  std::optional<FileStat> known;  // of the last verification: equal means nothing to read
  bool from_disk = false;         // not from the page cache
  bool leave_large = false;       // a large file is told from its stat, and not read
};

struct Observation {
  enum class Kind {
    kUnchanged,  // its stat is `known`
    kAbsent,     // nothing is there, its parent could be read
    kPresent,    // stat, and content or target
    kUnstable,   // changed while it was read: ask again later
    kUnknown,    // could not be read: `reason`; never a delete
    kLarge,      // not read: see leave_large
    kLater,      // not looked at: enough was read for one batch with leave_large
  };
  std::string path;
  Kind kind = Kind::kUnknown;
  FileStat stat;
  ContentId content;
  Md5 md5;
  std::string target;
  std::string reason;
};

// `done` comes on the control thread with one observation a request, in order. Files are hashed in
// slices of 16 MiB a job, so that a worker is never taken for more than some tens of milliseconds.
void run_examine(FileSystem& files, Executor& executor, std::vector<ExamineRequest> requests,
                 std::function<void(std::vector<Observation>)> done);

}  // namespace lansync
