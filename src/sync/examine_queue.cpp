#include "sync/examine_queue.h"

#include <algorithm>
#include <utility>

#include "base/assert.h"

namespace lansync {

void ExamineQueue::put_aside(std::vector<Observation>& seen,
                             const std::vector<ExamineRequest>& requests) {
  LS_ASSERT(seen.size() == requests.size());
  const bool any = std::any_of(seen.begin(), seen.end(), [](const Observation& one) {
    return one.kind == Observation::Kind::kLarge;
  });
  if (!any) return;
  std::vector<ExamineRequest> group;
  std::vector<Observation> rest;
  for (std::size_t i = 0; i < seen.size(); ++i) {
    const auto& known = requests[i].known;
    const bool half_of_a_rename = seen[i].kind == Observation::Kind::kAbsent && known &&
                                  known->kind == FileKind::kFile && is_large(known->size);
    if (seen[i].kind == Observation::Kind::kLarge || half_of_a_rename) {
      group.push_back(requests[i]);
      group.back().leave_large = false;
      aside_.insert(requests[i].path);
    } else {
      rest.push_back(std::move(seen[i]));
    }
  }
  waiting_.push_back(std::move(group));
  seen = std::move(rest);
}

std::vector<ExamineRequest> ExamineQueue::take_large() {
  if (waiting_.empty() || running_ >= kLargeAtOnce) return {};
  std::vector<ExamineRequest> group = std::move(waiting_.front());
  waiting_.pop_front();
  ++running_;
  return group;
}

void ExamineQueue::on_large_done(const std::vector<Observation>& seen) {
  --running_;
  for (const Observation& one : seen) aside_.erase(one.path);
}

std::set<std::string> ExamineQueue::take_preferred(std::set<std::string>& due, const Waits& waits,
                                                   std::size_t most) {
  std::set<std::string> taken;
  for (auto at = preferred_.begin(); at != preferred_.end() && taken.size() < most;) {
    if (due.contains(*at) && waits(*at)) {
      ++at;
      continue;
    }
    if (due.erase(*at) > 0) taken.insert(*at);
    at = preferred_.erase(at);
  }
  return taken;
}

}  // namespace lansync
