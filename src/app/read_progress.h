// How far a check of every file is, in one line: how many of about how many, how fast, how long
// yet.
//
// Invariant: never says that nothing is left while files come; the total is a guess (what this node
// has itself) and gives way to what was counted. Driven by `hash checkall`; pure.
#pragma once

#include <cstdint>
#include <string>

#include "base/time.h"
#include "roles/progress.h"

namespace lansync {

class ReadProgress {
 public:
  // 0: not known.
  explicit ReadProgress(std::uint64_t about) : about_(about) {}

  // `read` files in all have been read by `now`.
  std::string line(std::uint64_t read, Instant now);

 private:
  std::uint64_t about_ = 0;
  Instant next_sample_{};
  Progress progress_;
};

}  // namespace lansync
