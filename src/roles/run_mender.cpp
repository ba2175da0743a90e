#include "roles/run_mender.h"

#include <algorithm>
#include <map>
#include <memory>
#include <utility>

namespace lansync {
namespace {

// What has just come back has to become a version, and what a member still holds to be undone
// there, before it can be said to be missing.
constexpr Duration kFirstLook = 200ms;
constexpr Duration kLooks[] = {1s, 3s, 10s, 30s};

}  // namespace

RunMender::RunMender(Replica& replica, Undo& undo, const RunDecisions& decisions,
                     const UndoLinks& links)
    : replica_(replica), undo_(undo), decisions_(decisions), links_(links) {}

void RunMender::wake(Instant now) {
  tries_ = 0;
  next_ = std::min(next_, now + kFirstLook);
}

void RunMender::on_settled(const std::string& path, Instant now) {
  if (decisions_.rejected().empty()) return;
  const PathRecord* record = replica_.index().find(path);
  if (!record || !record->remote || !record->remote->is_tombstone()) return;
  if (decisions_.rejected().contains(record->remote->run)) wake(now);
}

void RunMender::tick(Instant now) {
  if (running_ || now < next_) return;
  next_ = kNever;
  if (links_.acts_as_hub() && !decisions_.rejected().empty() && !replica_.paused()) look(now);
}

void RunMender::look(Instant now) {
  std::set<RunId> runs;
  for (const auto& [path, gone] : replica_.gone_in(decisions_.rejected())) runs.insert(gone->run);
  if (runs.empty()) return;
  if (tries_ < static_cast<int>(std::size(kLooks))) next_ = now + kLooks[tries_++];
  running_ = true;
  auto left = std::make_shared<std::size_t>(runs.size());
  for (RunId run : runs) {
    undo_.find_of_run(run, [this, run, left](std::vector<FoundTrash> found, const std::string&) {
      bring(run, std::move(found));
      if (--*left == 0) running_ = false;
    });
  }
}

// Each once: from the own trash if it is there, else from the first that has it. What a tombstone
// says that it was is its author's word: what some trash has was no directory.
void RunMender::bring(RunId run, std::vector<FoundTrash> found) {
  std::map<std::string, EntryPtr> missing;
  for (const auto& [path, gone] : replica_.gone_in({run})) missing.emplace(path, gone);
  std::vector<FoundTrash> chosen;
  for (FoundTrash& row : found) {
    if (missing.erase(row.path) > 0) chosen.push_back(std::move(row));
  }
  std::vector<std::pair<std::string, std::uint16_t>> directories;
  for (auto at = missing.begin(); at != missing.end();) {
    const auto& [path, gone] = *at;
    const bool directory = gone->was == EntryKind::kDirectory && gone->content.is_zero();
    if (directory) directories.emplace_back(path, gone->mode);
    at = directory ? missing.erase(at) : std::next(at);
  }
  // Before what is in them, which would make them with any mode.
  replica_.make_directories_again(std::move(directories),
                                  [this, chosen = std::move(chosen), missing = std::move(missing)] {
                                    undo_.bring_back_missing(chosen, [] {});
                                    for (const auto& [path, gone] : missing)
                                      copy_from_folder(path, *gone);
                                  });
}

void RunMender::copy_from_folder(const std::string& path, const Entry& gone) {
  if (gone.content.is_zero()) return;
  const auto other = replica_.index().find_content(gone.content, path);
  if (!other) return;
  const Entry& there = *replica_.index().find(*other)->local;
  Replica::Received what;
  what.name = path;
  what.content = there.content;
  what.md5 = there.md5;
  what.size = there.size;
  what.mtime_ns = there.mtime_ns;
  what.mode = gone.mode;
  replica_.receive(what, [](const Result<std::string>&) {});
}

}  // namespace lansync
