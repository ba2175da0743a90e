// What the index knows of one path. One immutable object per version, shared by the three trees:
// with 100,000 files in sync, local, synced and remote point to the same Entry.
//
// In base because it is the vocabulary that messages (transport) and trees (sync) share, and
// neither of those may know the other.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "base/ids.h"
#include "base/last_edits.h"
#include "base/time.h"
#include "base/version_vector.h"

namespace lansync {

// Beyond it offset arithmetic in 64 bits could overflow; no file system has such files, but a
// sparse one can say so.
inline constexpr std::uint64_t kMaxFileSize = std::uint64_t{1} << 62;
// Of sizes that others state: as much as there can be, not less than one of them.
constexpr std::uint64_t sum_of(std::uint64_t a, std::uint64_t b) {
  return a + b < a ? ~std::uint64_t{0} : a + b;
}

enum class EntryKind : std::uint8_t {
  kFile = 1,
  kDirectory = 2,
  kSymlink = 3,
  kTombstone = 4,
  kSetting = 5,  // reserved: wanted copies under a proxy
};

// A run of deletes (DESIGN, Deletes): a random number of its author's.
using RunId = std::uint64_t;

struct Entry {
  EntryKind kind = EntryKind::kFile;
  // & 0777; symlinks always 0777; tombstones: of what was deleted
  std::uint16_t mode = 0644;
  std::uint64_t size = 0;     // files only
  std::int64_t mtime_ns = 0;  // files only
  // SHA-256 of the file's bytes; of the target's for symlinks; of a tombstone what was deleted
  // had, so that a run can be undone; zero for all else, and where that was empty.
  ContentId content;
  // Tombstones: what was deleted (a tombstone: not known), and the run that it was deleted in. A
  // delete that was half of a rename is in none, 0. The run also of a directory or link that took
  // the place of what was deleted in it.
  EntryKind was = EntryKind::kTombstone;
  RunId run = 0;
  Md5 md5;             // files only
  std::string target;  // symlinks only
  VersionVector version;
  LastEdits edits;
  ShortId author = 0;       // whose edit this is
  std::string author_name;  // that node's name at the time; names the host in a conflict copy
  WallTime edited;          // when; used for the conflict copy's name only

  bool is_file() const { return kind == EntryKind::kFile; }
  bool is_directory() const { return kind == EntryKind::kDirectory; }
  bool is_symlink() const { return kind == EntryKind::kSymlink; }
  bool is_tombstone() const { return kind == EntryKind::kTombstone; }
};

using EntryPtr = std::shared_ptr<const Entry>;

// The same kind and the same bytes (content id; target): what decides whether a conflict needs a
// copy.
bool same_content(const Entry& a, const Entry& b);
// Ends a file or link that stood at its path: a tombstone, or another kind in its place.
inline bool is_delete(const EntryPtr& entry) {
  return entry && (entry->is_tombstone() || entry->run != 0);
}

// The run that a tombstone counts in: its own, or where its author gave none, one for the author.
inline RunId run_label(const Entry& tombstone) {
  return tombstone.run != 0 ? tombstone.run : ~tombstone.author;
}

// `made` is an edit of `before` (null: of nothing, or of what was deleted) and has its vector
// already, which grew from `grown_from`: what it changed is its edit, the rest has the edits that
// it had.
void note_edits(Entry& made, const Entry* before, const VersionVector& grown_from);

// same_content, and the same mode, and for files the same mtime: nothing to do on disk.
bool same_on_disk(const Entry& a, const Entry& b);

}  // namespace lansync
