// Carries out a batch of planned changes on the disk, in one job, in the order that makes it
// durable with two syncfs: temp files complete, syncfs, rename all, syncfs (DESIGN, Writing). The
// index row is written by the caller, afterwards.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/entry.h"
#include "base/executor.h"
#include "sync/file_system.h"

namespace lansync {

struct DiskChange {
  enum class Kind {
    kInstall,  // a verified temp file gets its real name
    kMakeDirectory,
    kMakeSymlink,
    kSetMetadata,  // same content, other mode or mtime
    kTrash,        // a file or symlink goes to the trash
    kRemoveDirectory,
  };
  Kind kind = Kind::kInstall;
  std::string path;
  EntryPtr entry;                    // what is there afterwards
  std::optional<FileStat> expected;  // what the index says is there now; nullopt: nothing
  std::string temp;                  // kInstall
  std::string trash;                 // name for what is displaced
};

struct DiskOutcome {
  Status status;
  FileStat stat;              // of what is at path now (not for kTrash, kRemoveDirectory)
  bool content_lost = false;  // a sync failed: what was written may be gone
  bool displaced = false;     // something went to the trash under change.trash
};

// `done` gets one outcome a change, in order. A change that fails does not stop the others.
void run_apply(FileSystem& files, Executor& executor, std::vector<DiskChange> changes,
               std::function<void(std::vector<DiskChange>, std::vector<DiskOutcome>)> done);

}  // namespace lansync
