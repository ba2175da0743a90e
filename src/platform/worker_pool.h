// The threads that hash, read, write and commit, so that the control thread never waits for a disk.
//
// Invariants: two kIndex jobs never run at once; long jobs (kBulk) leave at least one thread to the
// short ones where there are two; `done` runs on the thread that calls run_completions, and not
// after shutdown(). Driven by the event loop through completion_fd().
#pragma once

#include <chrono>
#include <condition_variable>
#include <deque>
#include <list>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "base/executor.h"
#include "base/result.h"
#include "base/time.h"
#include "platform/posix.h"

namespace lansync {

class WorkerPool final : public Executor {
 public:
  // Fewer threads than asked for is fine (a full process table); none is an error.
  static Result<std::unique_ptr<WorkerPool>> create(std::size_t threads = 2);
  ~WorkerPool() override;  // shutdown()

  void submit(JobClass job_class, std::function<void()> work, std::function<void()> done) override;

  int completion_fd() const { return wake_.get(); }  // readable while completions wait
  // Runs up to `max` of them; returns how many ran.
  std::size_t run_completions(std::size_t max = 256);
  // Lets running jobs end, runs the index commits that wait (they make promises durable), drops the
  // rest, and joins. Nothing is accepted after it.
  void shutdown();

  std::size_t threads() const { return threads_.size(); }
  std::size_t pending() const;  // submitted and not completed
  // For how long the oldest of the short jobs (kDisk, kIndex) runs by now.
  Duration waits() const;

 private:
  struct Job {
    JobClass job_class;
    std::function<void()> work;
    std::function<void()> done;
  };

  explicit WorkerPool(UniqueFd wake) : wake_(std::move(wake)) {}
  void run_thread();
  bool take_job(Job& out);  // with mutex_ held
  void ended(Job job);
  using Begun = std::list<std::chrono::steady_clock::time_point>;

  UniqueFd wake_;
  mutable std::mutex mutex_;
  std::condition_variable work_waits_;
  std::deque<Job> disk_, bulk_, index_;
  std::deque<std::function<void()>> completions_;
  std::size_t bulk_running_ = 0;
  std::size_t bulk_limit_ = 1;
  std::size_t running_ = 0;
  Begun short_begun_;  // of the short jobs that run, oldest first
  bool index_running_ = false;
  bool stopping_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace lansync
