#include "roles/journal.h"

#include <utility>

namespace lansync {

void Journal::add(bool incoming, const std::string& peer, const std::string& command,
                  const std::string& arguments, const std::string& result) {
  if (waiting_.size() >= kMaxWaiting) {
    ++left_out_;
    return;
  }
  waiting_.push_back({clock_.wall().ns, !incoming, peer, command, arguments, result});
  write();
}

void Journal::write() {
  if (writing_ || waiting_.empty()) return;
  writing_ = true;
  if (left_out_ > 0) {
    waiting_.push_back(
        {clock_.wall().ns, false, "", "history", "",
         str(std::exchange(left_out_, 0), " more requests, too many to write down")});
  }
  auto rows = std::make_shared<std::vector<HistoryRow>>(std::exchange(waiting_, {}));
  auto status = std::make_shared<Status>();
  executor_.submit(
      JobClass::kIndex, [&store = store_, rows, status] { *status = store.add_history(*rows); },
      [this, alive = std::weak_ptr<bool>(alive_), status] {
        if (alive.expired()) return;
        writing_ = false;
        if (!*status) log_.warn(str("the history cannot be written: ", status->error().detail));
        write();
      });
}

void Journal::list(std::optional<WallTime> since,
                   AskControl::Callback<std::vector<HistoryReport>> done) {
  write();
  auto rows = std::make_shared<std::optional<Result<std::vector<HistoryRow>>>>();
  std::int64_t from = since ? since->ns : 0;
  executor_.submit(
      JobClass::kIndex, [&store = store_, rows, from] { rows->emplace(store.load_history(from)); },
      [alive = std::weak_ptr<bool>(alive_), rows, done = std::move(done)] {
        if (alive.expired()) return;
        Result<std::vector<HistoryRow>>& found = **rows;
        if (!found) return done(found.error());
        std::vector<HistoryReport> reports;
        reports.reserve(found->size());
        for (HistoryRow& row : *found)
          reports.push_back({WallTime{row.time_ns}, !row.outgoing, std::move(row.peer),
                             std::move(row.command), std::move(row.arguments),
                             std::move(row.result)});
        done(std::move(reports));
      });
}

}  // namespace lansync
