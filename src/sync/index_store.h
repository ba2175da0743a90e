// Where the index lives: index.db in the program (SQLite, WAL, synchronous=FULL), memory in the
// simulator. The node id, edit counter and term live here and nowhere else (DESIGN, Identity).
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"

namespace lansync {

// One row per path. `local` is the encoded record of the disk's side (sync/index.h), `synced` the
// encoded entry that disk and hub last agreed on; empty = none.
struct IndexRow {
  std::string path;
  std::string local;
  std::string synced;
};

struct TrashRow {
  std::string name;     // below .lansync/trash
  std::string path;     // where it was
  std::string content;  // 32 bytes content id; empty: not read yet
  std::int64_t time_ns = 0;
  std::uint64_t size = 0;
  std::int64_t put_at_ns = 0;  // observed time
  std::uint8_t reason = 0;     // TrashReason
  bool symlink = false;
};

// A change of the index: applied whole or not at all. A row whose `local` and `synced` are both
// empty is removed.
struct IndexBatch {
  std::vector<IndexRow> rows;
  std::vector<TrashRow> trash_added;
  std::vector<std::string> trash_removed;
  std::map<std::string, std::string> meta;  // set; an empty value removes
  bool empty() const {
    return rows.empty() && trash_added.empty() && trash_removed.empty() && meta.empty();
  }
};

// A request that this node made, or that was made to it (CONTRACT, history).
struct HistoryRow {
  std::int64_t time_ns = 0;
  bool outgoing = false;
  std::string peer;
  std::string command;
  std::string arguments;
  std::string result;
  bool operator==(const HistoryRow&) const = default;
};

struct LoadedIndex {
  std::vector<IndexRow> rows;
  std::vector<TrashRow> trash;
  std::map<std::string, std::string> meta;
};

class IndexStore {
 public:
  virtual ~IndexStore() = default;
  virtual Result<LoadedIndex> load() = 0;
  // Durable when it returns ok. Called from one JobClass::kIndex job at a time.
  virtual Status commit(const IndexBatch& batch) = 0;

  // For people, and apart from the index: history that is lost or damaged makes no index a lost
  // one. What is older than 90 days or beyond 100,000 rows goes when something is added. From
  // JobClass::kIndex jobs too.
  static constexpr std::int64_t kHistoryNs = 90LL * 24 * 3600 * 1'000'000'000;
  static constexpr std::int64_t kHistoryRows = 100'000;
  static constexpr std::size_t kHistoryField = 4096;  // longer texts are cut
  virtual Status add_history(const std::vector<HistoryRow>& rows) = 0;
  // Of that time and later, in the order in which they were added.
  virtual Result<std::vector<HistoryRow>> load_history(std::int64_t since_ns) = 0;

  // What kind of content is what (sync/content_types.h), by the first 8 bytes of its id. As apart
  // as the history, and only saves work.
  static constexpr std::size_t kMaxTypes = 2'000'000;
  virtual Status add_types(const std::map<std::uint64_t, std::string>&) { return {}; }
  virtual Result<std::map<std::uint64_t, std::string>> load_types() {
    return std::map<std::uint64_t, std::string>{};
  }
};

}  // namespace lansync
