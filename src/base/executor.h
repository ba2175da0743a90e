// The way from the control thread to the workers and back. Owned by the upper layers; implemented
// by platform (a thread pool) and by the simulator (virtual delays drawn from the seed).
#pragma once

#include <functional>

namespace lansync {

enum class JobClass {
  kDisk,   // short: write a block, rename, stat; keeps transfers going
  kBulk,   // long: walk a folder, hash a file. Slice what takes over ~50 ms.
  kIndex,  // index commits; run one at a time, in order
};

class Executor {
 public:
  virtual ~Executor() = default;
  // Runs `work` on a worker, then `done` on the control thread. `work` must own, or outlive, what
  // it touches and share nothing that the control thread writes meanwhile. Jobs of one class start
  // in order; two may run at once (but never two of kIndex). `done` is not run after shutdown
  // began.
  virtual void submit(JobClass job_class, std::function<void()> work,
                      std::function<void()> done) = 0;
};

}  // namespace lansync
