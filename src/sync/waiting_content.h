// Content that paths wait for, and how it is made of what is on this disk. Values of Replica's,
// which keeps them by content id (sync/replica_content.cpp, sync/replica_rename.cpp).
#pragma once

#include <cstddef>
#include <set>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "sync/fetcher.h"
#include "sync/file_system.h"

namespace lansync {

// Paths that wait for one content, be it fetched or copied. As long as there are any, one of these
// brings the next of them on: a temp file that is ready, a copy, an install of it, the fetcher.
struct WaitingPaths {
  WantedContent wanted;
  std::set<std::string> paths;
  bool cramped = false;  // there is no room for a copy beside what is here
  // Verified in the trash, for one of these to be moved out of there; "": nothing is.
  std::string lies;
  FileStat lies_stat;
};

// What a content is copied from at the moment.
struct LocalCopy {
  std::string from;
  bool from_trash = false;
  bool move = false;  // out of the trash
};

// Some copies of one content.
struct CopyJob {
  std::vector<std::string> temps;
  std::size_t made = 0;
  Status status;
};

// Verified temp files that no path has taken yet.
struct ReadyTemps {
  std::vector<std::string> temps;
  Instant since;
};

}  // namespace lansync
