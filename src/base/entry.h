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

struct Entry {
  EntryKind kind = EntryKind::kFile;
  std::uint16_t mode = 0644;  // & 0777; 0 for tombstones; symlinks always 0777
  bool confirmed = false;     // tombstone: a person confirmed the mass delete that it belongs to
  std::uint64_t size = 0;     // files only
  std::int64_t mtime_ns = 0;  // files only
  ContentId content;   // SHA-256 of the file's bytes; of the target's for symlinks; else zero
  Md5 md5;             // files only
  std::string target;  // symlinks only
  VersionVector version;
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
// same_content, and the same mode, and for files the same mtime: nothing to do on disk.
bool same_on_disk(const Entry& a, const Entry& b);

}  // namespace lansync
