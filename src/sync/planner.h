// What has to be done so that disk and hub agree: plan(local, remote, synced) -> operations, after
// Dropbox Nucleus' three trees. Pure: no I/O, no clock, no state.
//
// Invariants: local bytes are overwritten or deleted only by a version that is newer by vector;
// content that is absent because it is not wanted here is never a delete; a directory that holds
// something which stays is never removed. Applying operations in any order that keeps each phase
// (see plan()) leads to the same trees.
// Driven by the replica, for the paths whose state changed; it carries the operations out and
// checks the disk once more right before each.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/entry.h"

namespace lansync {

struct PathState {
  // What the disk shows: null = never was here, or its content is not kept here; a tombstone = was
  // here and is gone.
  EntryPtr local;
  EntryPtr remote;  // what the hub says; null = it does not know the path
  EntryPtr synced;  // what disk and hub last agreed on; null = nothing yet
  // Files only: their content belongs here. False matters only while it is absent: a file that is
  // on the disk is kept up to date whatever the role says.
  bool wanted = true;
};

enum class OperationKind : std::uint8_t {
  kNone,
  kPush,   // send `entry` (= local) to the hub, which settles it
  kAgree,  // no disk change: local := synced := entry
  kNote,   // known, content not wanted here: local := null, synced := entry
  // Absent content that the hub does not know, after a long absence: local := synced := null.
  kForget,
  kAdopt,  // first join, same bytes: local := synced := entry; set_metadata says if on disk too
  kFetch,  // write the file's content; then local := synced := entry (so for all below)
  kMakeDirectory,  // also gives an existing directory its place back after a file
  kMakeSymlink,
  kSetMetadata,  // same content: set mode and mtime
  kDelete,       // what the disk shows goes to the trash (a directory: is removed)
  kHold,         // was away too long to know whether this file was deleted: not pushed unasked
};
const char* to_string(OperationKind kind);

struct Operation {
  OperationKind kind = OperationKind::kNone;
  std::string path;
  EntryPtr entry;  // what is made true; for kPush and kHold the local entry
  // The disk shows another kind of thing at `path`, which goes first: the file or symlink to the
  // trash, the directory (empty by then) removed.
  bool replaces = false;
  bool set_metadata = false;  // kAdopt: mode or mtime differ
};

struct PlanOptions {
  // Last in sync over 12 months ago: tombstones may have been dropped, so unchanged files that the
  // hub does not know are held (kHold) instead of pushed.
  bool long_away = false;
};

// What one path needs, regardless of others. `mismatch`, if given, is set when equal vectors have
// different content.
Operation plan_path(const std::string& path, const PathState& state,
                    const PlanOptions& options = {}, bool* mismatch = nullptr);

class TreeView {
 public:
  virtual ~TreeView() = default;
  virtual PathState state(const std::string& path) const = 0;
  // Calls `visit` with each path below `directory` (at any depth, any order) whose local entry is
  // live, until it returns false. What sync does not know (ignored, unreadable) is not in it:
  // FileSystem::remove_directory refuses for that.
  virtual void local_below(const std::string& directory,
                           const std::function<bool(const std::string& path)>& visit) const = 0;
};

// Why an operation has to wait. Plan these paths again after the next batch or update.
struct Blocked {
  Operation operation;
  std::string because;  // the path that stands in the way
};

struct Plan {
  std::vector<Operation> operations;  // without kNone
  std::vector<Blocked> blocked;
  std::uint64_t mismatches = 0;
};

// The operations for `paths` (duplicates are one), in the order in which they may be carried out:
//   1. deletes and pushes of tombstones below a path that becomes a file or symlink, deep first;
//   2. everything that makes, changes or agrees, shallow first (by depth, then name);
//   3. all other deletes and pushes of tombstones, deep first.
// So content that is copied from a file which goes away is still there (or in the trash), and a
// directory is there before what is in it. Missing parent directories that the hub knows are added.
Plan plan(const TreeView& view, const std::vector<std::string>& paths,
          const PlanOptions& options = {});

}  // namespace lansync
