// Questions between two members and their answers (commands index, hash, search, upload). `id` is
// the asker's, unique among what it has running on the session; every answer carries it.
//
// Invariant: an answer that can be long comes in pages, and each page is asked for: the asker sends
// its question again with `after` set to what the page before named as `next`. So neither side
// keeps more than a page, and the answering side keeps nothing that a lost session could make
// wrong.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/address.h"
#include "base/ids.h"

namespace lansync {

inline constexpr std::size_t kMaxPattern = 1000;
inline constexpr std::size_t kMaxTypeBytes = 128;
inline constexpr std::size_t kMaxPageRows = 512;

// "What files have you?" `from` and `to` are times in ns, both included; an empty `pattern` matches
// everything, else it is a regular expression (RE2's syntax) that is looked for in the name.
struct IndexQuery {
  std::uint32_t id = 0;
  bool directories = false;  // these as well
  std::optional<std::int64_t> from;
  std::optional<std::int64_t> to;
  std::string pattern;
  std::string after;  // names that come after this one; empty: from the start
};
struct FileRow {
  std::string name;
  std::uint64_t size = 0;
  std::int64_t mtime_ns = 0;
  std::string type;  // MIME
};
// Rows by name. `next` is where to go on; it may be beyond the last row.
struct IndexPage {
  std::uint32_t id = 0;
  std::vector<FileRow> rows;
  std::string next;
  bool last = false;
};

// "Read that file anew from your disk" (`name` empty: each file, from `after` on). `repair`: fetch
// what rotted anew.
struct FileHash {
  std::uint32_t id = 0;
  std::string name;
  std::string after;
  bool repair = false;
};
enum class HashState : std::uint8_t {
  kGood = 0,        // the bytes are those of the index
  kChanged = 1,     // it was changed, and is not in the index yet
  kRotten = 2,      // the bytes differ though nobody touched the file
  kRepaired = 3,    // it was rotten; good bytes are there now, the bad ones in the trash
  kUnreadable = 4,  // `reason`
  kGone = 5,
};
struct HashRow {
  std::string name;
  std::uint64_t size = 0;
  std::int64_t mtime_ns = 0;
  Md5 md5;  // of what was read; zero if nothing was
  HashState state = HashState::kGood;
  std::string reason;
};
struct FileHashes {
  std::uint32_t id = 0;
  std::vector<HashRow> rows;
  std::string next;
  bool last = false;
};

// "Who has it?", asked of the hub. `regex`: looked for in the whole name; else `name` is a path, or
// without '/' the last part of one. Records come by (name, node).
struct Search {
  std::uint32_t id = 0;
  std::string name;
  bool regex = false;
  std::string after;
  NodeId after_node;
  // A program's question, which no person asked: of a plain name it is in nobody's history.
  bool quiet = false;

  bool untold() const { return quiet && !regex; }
};
struct FoundRecord {
  std::string name;
  std::string type;
  std::uint64_t size = 0;
  std::int64_t mtime_ns = 0;
  Address address;  // zeros: the answering node's own
  NodeId id;
  std::string node;  // what it calls itself
};
struct Found {
  std::uint32_t id = 0;
  std::vector<FoundRecord> records;
  std::string next;
  NodeId next_node;
  bool last = false;
};
struct NotFound {
  std::uint32_t id = 0;
};

// The answer takes longer: each second, so that a slow disk is told from a dead node.
struct Working {
  std::uint32_t id = 0;
};
struct Failed {
  std::uint32_t id = 0;
  std::string reason;
};
// The asker has no use for the answer any more.
struct Cancel {
  std::uint32_t id = 0;
};

// "I offer this file." The answer allows or denies; after an allow the asked node fetches the
// content by its hash, and a second `file_upload_allow` with `done` tells under which name it is.
struct FileUpload {
  std::uint32_t id = 0;
  std::string name;  // one part
  std::uint64_t size = 0;
  std::int64_t mtime_ns = 0;
  std::uint16_t mode = 0;
  ContentId hash;
  Md5 md5;
};
struct FileUploadAllow {
  std::uint32_t id = 0;
  bool done = false;
  std::string name;  // done: where it is
};
struct FileUploadDeny {
  std::uint32_t id = 0;
  std::string reason;
};

// "Somebody here asked me for this file, and I had it from you (or would have): so it ended." For
// the other side's history alone; a `request` does not say that a person stands behind it.
struct FileDownloaded {
  std::string name;
  std::string result;
};

}  // namespace lansync
