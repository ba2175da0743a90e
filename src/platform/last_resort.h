// Hears the signals that end a node, and ends the process when the node does not come to an end by
// itself: when the control thread stands in a system call, or a worker is waited for that does.
//
// To end without any goodbye is safe at every instant: what is on disk and in index.db is kept as
// for a kill (invariant I5). A thread that the kernel lets nobody end (it writes to a file system
// that is frozen, or closes a file of a FUSE disk whose program stands) keeps its process until the
// kernel gives it back, whatever a program does; kill -9 does no more.
//
// Invariant: nobody is called after expect_end(), but for `end`, `patience` after whichever came
// first, the signal or that. Has a thread of its own; made by RunningNode, and ends after all else.
#pragma once

#include <csignal>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>

#include "base/result.h"
#include "base/time.h"
#include "platform/posix.h"

namespace lansync {

class LastResort {
 public:
  struct Calls {
    std::function<void(int signal)> heard;  // once, on the thread here
    std::function<void()> end;              // likewise; not expected to return
  };
  // SIGINT, SIGTERM and SIGHUP are blocked for the caller's thread from then on; all others have to
  // block them already (start_thread does).
  static Result<std::unique_ptr<LastResort>> start(Calls calls, Duration patience);
  ~LastResort();
  LastResort(const LastResort&) = delete;
  LastResort& operator=(const LastResort&) = delete;

  void expect_end();

 private:
  LastResort(Calls calls, Duration patience) : calls_(std::move(calls)), patience_(patience) {}
  void run();

  Calls calls_;
  Duration patience_;
  UniqueFd signals_;
  UniqueFd wake_;
  std::mutex mutex_;
  bool ending_ = false;    // with mutex_
  bool finished_ = false;  // with mutex_: the process ends by itself
  sigset_t before_{};
  std::thread thread_;
};

}  // namespace lansync
