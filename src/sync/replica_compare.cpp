// What no event tells: the difference between a directory and what the index knows below it, and
// who has a file open.
#include <memory>
#include <utility>

#include "base/rel_path.h"
#include "sync/doubt.h"
#include "sync/forget_here.h"
#include "sync/past_problems.h"
#include "sync/replica.h"

namespace lansync {

void Replica::look_below(const std::string& directory, Instant) {
  auto [at, fresh] = comparing_.emplace(directory, false);
  if (!fresh) {
    // What is being walked may have been walked past already.
    at->second = true;
    return;
  }
  run_scan(files_, executor_, rules_, directory, [this, directory](ScanResult result) {
    const bool again = comparing_.extract(directory).mapped();
    on_compared(directory, result, clock_.now());
    if (again) look_below(directory, clock_.now());
  });
}

void Replica::on_compared(const std::string& directory, const ScanResult& result, Instant now) {
  if (!result.status) {
    scan_again_ = true;  // it says what is wrong with the folder
    return;
  }
  std::erase_if(unknown_below_,
                [&](const std::string& path) { return is_within(path, directory); });
  std::set<std::string> there;
  for (const ScanProblem& problem : result.problems) {
    if (!problem.gone) there.insert(problem.path);
  }
  drop_problems_below(directory, there, index_, obstacles_, problems_);
  for (const ScanProblem& problem : result.problems) {
    if (problem.unknown_below) unknown_below_.insert(problem.path);
    if (problem.gone || scan_problems_.size() >= kMaxProblems) continue;
    note_problem(problem.path, problem.reason);
    scan_problems_.insert(problem.path);
  }
  if (!unknown_below_.contains(directory) && scan_problems_.erase(directory) > 0)
    clear_problem(directory);
  for (const ScannedPath& seen : result.paths) on_hint({seen.path, FileEvent::kCreate}, now);
  hint_missing(index_.live_below(directory), result, now);
}

// What the index has and a scan has not seen may be gone. Both are in order.
void Replica::hint_missing(const std::vector<std::string>& known, const ScanResult& seen, Instant) {
  auto at = seen.paths.begin();
  for (const std::string& path : known) {
    while (at != seen.paths.end() && at->path < path) ++at;
    if (at != seen.paths.end() && at->path == path) continue;
    if (unknown_region(path)) continue;
    if (rules_->ignored(path, index_.find(path)->local->is_directory())) {
      forget_ignored(path);
    } else if (doubts_missing(index_)) {
      forget_here(index_, path);
      plan_.insert(path);
    } else {
      gone_.missing.push_back(path);
    }
  }
}

void Replica::ask_writers() {
  struct Question {
    std::string path;
    std::optional<bool> writing;
  };
  auto questions = std::make_shared<std::vector<Question>>();
  for (std::string& path : timer_.take_doubtful())
    questions->push_back({std::move(path), std::nullopt});
  if (questions->empty()) return;
  executor_.submit(
      JobClass::kDisk,
      [this, questions] {
        for (Question& question : *questions) {
          auto writing = files_.has_writer(question.path);
          if (writing) {
            question.writing = *writing;
          } else if (writing.error().code == ErrorCode::kNotFound) {
            question.writing = false;
          }
        }
      },
      [this, questions] {
        for (const Question& question : *questions)
          timer_.on_writer(question.path, question.writing, clock_.now());
      });
}

}  // namespace lansync
