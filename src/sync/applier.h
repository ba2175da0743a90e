// Carries out a batch of planned changes on the disk in two jobs, in the order that makes it
// durable with two syncfs: temp files complete, syncfs; rename all, syncfs (DESIGN, Writing).
// Between the two the caller has made durable in the index what the batch is about to make true;
// the rows are written by the caller, afterwards.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/entry.h"
#include "base/executor.h"
#include "sync/file_system.h"
#include "sync/trash_list.h"

namespace lansync {

struct DiskChange {
  enum class Kind {
    kInstall,  // a verified temp file gets its real name
    kMakeDirectory,
    kMakeSymlink,
    kSetMetadata,  // same content, other mode or mtime
    kRenameFold,   // what `from` shows gets this name, which the disk takes for the same
    kTrash,        // a file or symlink goes to the trash
    kRemoveDirectory,
  };
  Kind kind = Kind::kInstall;
  std::string path;
  EntryPtr entry;                    // what is there afterwards
  std::optional<FileStat> expected;  // what the index says is there now; nullopt: nothing
  std::string temp;                  // kInstall
  std::string lies;                  // kInstall, instead: where in the trash the content lies
  FileStat lies_stat;                // what was verified there
  std::string from;                  // kRenameFold
  std::string trash;                 // name for what is displaced; "": nothing is
  TrashItem displaces;               // what that is
  // kTrash: it was renamed, and its content stands there as well. As long as that is so, nothing of
  // it has to be kept.
  std::string stands_at;
  FileStat stands_stat;
};

struct DiskOutcome {
  Status status;
  FileStat stat;              // of what is at path now (not for kTrash, kRemoveDirectory)
  bool content_lost = false;  // a sync failed: what was written may be gone
  bool displaced = false;     // something went to the trash under change.trash
  bool unkept = false;        // it did not, because it stands at change.stands_at
  bool unsure = false;        // it failed, and may be done all the same
};

struct DiskBatch {
  std::vector<DiskChange> changes;
  std::vector<DiskOutcome> outcomes;  // one a change, in order
};

// Makes the temp files ready and durable.
void prepare_batch(FileSystem& files, Executor& executor, std::shared_ptr<DiskBatch> batch,
                   std::function<void()> done);
// Then renames and removes. A change that fails does not stop the others.
void apply_batch(FileSystem& files, Executor& executor, std::shared_ptr<DiskBatch> batch,
                 std::function<void()> done);

}  // namespace lansync
