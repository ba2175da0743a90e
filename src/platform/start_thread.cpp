#include "platform/start_thread.h"

#include <signal.h>

#include <string>
#include <system_error>
#include <utility>

#include "base/log.h"

namespace lansync {

Result<std::thread> start_thread(std::function<void()> run) {
  // It inherits a mask that blocks them all.
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  std::thread started;
  std::string why;
  try {
    started = std::thread(std::move(run));
  } catch (const std::system_error& failed) {
    why = failed.what();
  }
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (!started.joinable()) return Error{ErrorCode::kBusy, str("cannot start a thread: ", why)};
  return started;
}

}  // namespace lansync
