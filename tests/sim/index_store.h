// index.db in memory: a commit is there whole or not at all, and stays when its node dies.
//
// Invariant: what commit() answered with ok survives everything but lose() and replace(). Owned by
// SimNode beyond the life of the running node.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "sync/index_store.h"

namespace lansync::sim {

class SimIndexStore final : public IndexStore {
 public:
  struct Contents {
    std::map<std::string, IndexRow> rows;
    std::map<std::string, TrashRow> trash;
    std::map<std::string, std::string> meta;
    std::vector<HistoryRow> history;
  };

  Result<LoadedIndex> load() override {
    LoadedIndex loaded;
    for (const auto& [path, row] : contents_.rows) loaded.rows.push_back(row);
    for (const auto& [name, row] : contents_.trash) loaded.trash.push_back(row);
    loaded.meta = contents_.meta;
    return loaded;
  }
  Status commit(const IndexBatch& batch) override {
    if (fault_) {
      if (auto error = fault_()) return *error;
    }
    for (const IndexRow& row : batch.rows) {
      if (row.local.empty() && row.synced.empty()) {
        contents_.rows.erase(row.path);
      } else {
        contents_.rows[row.path] = row;
      }
    }
    for (const TrashRow& row : batch.trash_added) contents_.trash[row.name] = row;
    for (const std::string& name : batch.trash_removed) contents_.trash.erase(name);
    for (const auto& [key, value] : batch.meta) {
      if (value.empty()) {
        contents_.meta.erase(key);
      } else {
        contents_.meta[key] = value;
      }
    }
    ++commits_;
    // Durable, and the answer is lost.
    if (late_fault_) {
      if (auto error = late_fault_()) return *error;
    }
    return {};
  }

  Status add_history(const std::vector<HistoryRow>& rows) override {
    contents_.history.insert(contents_.history.end(), rows.begin(), rows.end());
    return {};
  }
  Result<std::vector<HistoryRow>> load_history(std::int64_t since_ns) override {
    std::vector<HistoryRow> out;
    for (const HistoryRow& row : contents_.history) {
      if (row.time_ns >= since_ns) out.push_back(row);
    }
    return out;
  }

  void set_fault(std::function<std::optional<Error>()> fault) { fault_ = std::move(fault); }
  void set_late_fault(std::function<std::optional<Error>()> fault) {
    late_fault_ = std::move(fault);
  }
  void lose() { contents_ = Contents{}; }
  const Contents& contents() const { return contents_; }
  void replace(Contents contents) { contents_ = std::move(contents); }
  std::uint64_t commits() const { return commits_; }

 private:
  Contents contents_;
  std::function<std::optional<Error>()> fault_;
  std::function<std::optional<Error>()> late_fault_;
  std::uint64_t commits_ = 0;
};

}  // namespace lansync::sim
