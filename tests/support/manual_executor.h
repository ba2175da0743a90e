// An Executor without threads: jobs wait until a test runs them, in the order they came or in an
// order drawn from a seed. `done` runs right after its `work`, as if the control thread were idle.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <utility>

#include "base/executor.h"
#include "base/random.h"

namespace lansync {

class ManualExecutor : public Executor {
 public:
  ManualExecutor() = default;
  // Any waiting job may be next: what a pool of many threads can do, jobs of kIndex apart.
  explicit ManualExecutor(std::uint64_t seed) : shuffled_(true), random_(seed) {}

  void submit(JobClass job_class, std::function<void()> work, std::function<void()> done) override {
    jobs_.push_back({job_class, std::move(work), std::move(done)});
  }

  std::size_t waiting() const { return jobs_.size(); }
  // Runs one job; false if none waits.
  bool run_one() {
    if (jobs_.empty()) return false;
    std::size_t pick = 0;
    if (shuffled_) {
      pick = static_cast<std::size_t>(random_.below(jobs_.size()));
      if (jobs_[pick].job_class == JobClass::kIndex) {
        pick = 0;
        while (jobs_[pick].job_class != JobClass::kIndex) ++pick;
      }
    }
    Job job = std::move(jobs_[pick]);
    jobs_.erase(jobs_.begin() + static_cast<std::ptrdiff_t>(pick));
    job.work();
    if (job.done) job.done();
    return true;
  }
  // Until none waits, those that were submitted meanwhile included.
  void run_all() {
    while (run_one()) {
    }
  }
  // What a kill does: nothing of it ever runs.
  void forget_all() { jobs_.clear(); }

 private:
  struct Job {
    JobClass job_class;
    std::function<void()> work;
    std::function<void()> done;
  };
  std::deque<Job> jobs_;
  bool shuffled_ = false;
  Prng random_{0};
};

}  // namespace lansync
