// The history: requests that this node made and that were made to it, kept in index.db across
// restarts (IndexStore bounds it: 90 days, 100,000 rows).
//
// Invariant: rows go to the store in the order in which they came, in one job at a time; a member
// that floods questions makes one row of many. Driven by roles/node on the control thread.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/executor.h"
#include "base/log.h"
#include "base/time.h"
#include "roles/ask_control.h"
#include "sync/index_store.h"

namespace lansync {

class Journal {
 public:
  // Waiting for the disk; more than that is counted and said in one row.
  static constexpr std::size_t kMaxWaiting = 1000;

  Journal(IndexStore& store, Executor& executor, const Clock& clock, Log& log)
      : store_(store), executor_(executor), clock_(clock), log_(log) {}

  void add(bool incoming, const std::string& peer, const std::string& command,
           const std::string& arguments, const std::string& result);
  // What is waiting is written first.
  void list(std::optional<WallTime> since, AskControl::Callback<std::vector<HistoryReport>> done);
  bool idle() const { return waiting_.empty() && !writing_; }

 private:
  void write();

  IndexStore& store_;
  Executor& executor_;
  const Clock& clock_;
  Log& log_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  std::vector<HistoryRow> waiting_;
  std::uint64_t left_out_ = 0;
  bool writing_ = false;
};

}  // namespace lansync
