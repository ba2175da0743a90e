// What a fetch that a command waits for still has to bring, told on a terminal each second.
//
// A thread of its own, because the command waits for its answer on a blocking socket; it asks the
// node for its status over another connection. Invariant: nothing is written after the destructor.
#pragma once

#include <atomic>
#include <string>
#include <thread>

#include "app/commands.h"

namespace lansync {

class FetchProgress {
 public:
  FetchProgress(const CommandLine& command, const CommandStreams& streams);
  ~FetchProgress();
  FetchProgress(const FetchProgress&) = delete;
  FetchProgress& operator=(const FetchProgress&) = delete;

 private:
  void tell(const std::string& dir, std::ostream& error);

  std::atomic<bool> over_{false};
  bool told_ = false;
  std::thread teller_;
};

}  // namespace lansync
