#include "platform/worker_pool.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>

#include "base/assert.h"
#include "platform/start_thread.h"

namespace lansync {
namespace {

void signal_fd(int fd) {
  std::uint64_t one = 1;
  // EAGAIN means that the counter is at its end: it is readable, which is all that is wanted.
  (void)!::write(fd, &one, sizeof one);
}

}  // namespace

Result<std::unique_ptr<WorkerPool>> WorkerPool::create(std::size_t threads) {
  LS_ASSERT(threads > 0);
  UniqueFd wake(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
  if (!wake.valid()) return posix_error(errno, "make an eventfd");
  std::unique_ptr<WorkerPool> pool(new WorkerPool(std::move(wake)));
  pool->bulk_limit_ = std::max<std::size_t>(1, threads - 1);
  for (std::size_t i = 0; i < threads; ++i) {
    auto thread = start_thread([raw = pool.get()] { raw->run_thread(); });
    if (thread) {
      pool->threads_.push_back(std::move(*thread));
    } else if (pool->threads_.empty()) {
      return thread.error();
    } else {
      break;  // slower with fewer, but it works
    }
  }
  return pool;
}

WorkerPool::~WorkerPool() { shutdown(); }

void WorkerPool::submit(JobClass job_class, std::function<void()> work,
                        std::function<void()> done) {
  {
    std::lock_guard lock(mutex_);
    if (stopping_) return;
    auto& queue = job_class == JobClass::kDisk    ? disk_
                  : job_class == JobClass::kIndex ? index_
                                                  : bulk_;
    queue.push_back({job_class, std::move(work), std::move(done)});
  }
  work_waits_.notify_one();
}

bool WorkerPool::take_job(Job& out) {
  std::deque<Job>* from = nullptr;
  if (!index_.empty() && !index_running_) {
    from = &index_;
    index_running_ = true;
  } else if (!disk_.empty() && !stopping_) {
    from = &disk_;
  } else if (!bulk_.empty() && !stopping_ && bulk_running_ < bulk_limit_) {
    from = &bulk_;
    ++bulk_running_;
  } else {
    return false;
  }
  out = std::move(from->front());
  from->pop_front();
  ++running_;
  return true;
}

void WorkerPool::run_thread() {
  while (true) {
    Job job;
    Begun::iterator begun;
    {
      std::unique_lock lock(mutex_);
      while (!take_job(job)) {
        if (stopping_ && (index_.empty() || index_running_)) return;
        work_waits_.wait(lock);
      }
      if (job.job_class != JobClass::kBulk)
        begun = short_begun_.insert(short_begun_.end(), std::chrono::steady_clock::now());
    }
    job.work();
    job.work = nullptr;  // what it owns is given up on the worker, not under the lock
    if (job.job_class != JobClass::kBulk) {
      std::lock_guard lock(mutex_);
      short_begun_.erase(begun);
    }
    ended(std::move(job));
  }
}

void WorkerPool::ended(Job job) {
  bool wake = false;
  {
    std::lock_guard lock(mutex_);
    --running_;
    if (job.job_class == JobClass::kIndex) index_running_ = false;
    if (job.job_class == JobClass::kBulk) --bulk_running_;
    wake = completions_.empty();
    completions_.push_back(std::move(job.done));
  }
  if (wake) signal_fd(wake_.get());
  // Ending one may allow another that was held back (index, bulk).
  work_waits_.notify_one();
}

std::size_t WorkerPool::run_completions(std::size_t max) {
  std::uint64_t count = 0;
  (void)!::read(wake_.get(), &count, sizeof count);
  std::deque<std::function<void()>> ready;
  bool more = false;
  {
    std::lock_guard lock(mutex_);
    if (stopping_) return 0;
    if (completions_.size() <= max) {
      ready.swap(completions_);
    } else {
      for (std::size_t i = 0; i < max; ++i) {
        ready.push_back(std::move(completions_.front()));
        completions_.pop_front();
      }
      more = true;
    }
  }
  if (more) signal_fd(wake_.get());
  for (auto& done : ready) {
    if (done) done();
  }
  return ready.size();
}

Duration WorkerPool::waits() const {
  std::lock_guard lock(mutex_);
  if (short_begun_.empty()) return Duration::zero();
  return std::chrono::duration_cast<Duration>(std::chrono::steady_clock::now() -
                                              short_begun_.front());
}

std::size_t WorkerPool::pending() const {
  std::lock_guard lock(mutex_);
  return disk_.size() + bulk_.size() + index_.size() + running_ + completions_.size();
}

void WorkerPool::shutdown() {
  std::deque<Job> dropped_disk;
  std::deque<Job> dropped_bulk;
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
    dropped_disk.swap(disk_);
    dropped_bulk.swap(bulk_);
  }
  work_waits_.notify_all();
  for (std::thread& thread : threads_) {
    if (thread.joinable()) thread.join();
  }
}

}  // namespace lansync
