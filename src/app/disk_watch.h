// Whether the disk of the folder answers, and what the control thread wants of it without waiting:
// a look each second at the control socket's place, and the watcher's markers. On a thread of its
// own, since all workers may stand in a disk that does not answer.
//
// Invariant: nothing here waits for a disk but shutdown(). Driven by RunningNode: look() each
// second, run_completions() when completion_fd() is readable.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/result.h"
#include "base/time.h"
#include "platform/worker_pool.h"

namespace lansync {

class DiskWatch {
 public:
  // `workers` outlive it; `directory_fd` is that of .lansync.
  static Result<std::unique_ptr<DiskWatch>> create(const WorkerPool& workers, int directory_fd);

  // `look`, on the thread here, says whether what was left in the folder is there still.
  void look(std::function<bool()> look);
  // What the last look said; false also while it gets no answer.
  bool in_place() const;
  // Makes and removes a file of that name in the directory.
  void place_marker(std::string name);
  // For how long the disk has not answered. A worker that waits for long says little: a slow disk
  // may write for minutes what a sync asks of it. So then a small file is made and removed here.
  Duration waits() const;

  int completion_fd() const { return pool_->completion_fd(); }
  void run_completions() { pool_->run_completions(); }
  void shutdown() { pool_->shutdown(); }

 private:
  DiskWatch(const WorkerPool& workers, int directory_fd, std::unique_ptr<WorkerPool> pool)
      : workers_(workers), directory_fd_(directory_fd), pool_(std::move(pool)) {}
  void make_file(std::string name, std::function<void()> done);

  const WorkerPool& workers_;
  int directory_fd_;
  std::unique_ptr<WorkerPool> pool_;
  bool probing_ = false;
  bool looking_ = false;
  bool in_place_ = true;
};

}  // namespace lansync
