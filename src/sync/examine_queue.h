// In which order what waits for a look at its content gets one: large files apart, so that nothing
// small waits for them, and edits before what a first scan found.
//
// Invariant: at most kLargeAtOnce groups of large files are read at a time; a group stays together,
// because the delete and the new name of one large file are one rename. No clock, no I/O; driven by
// the replica.
#pragma once

#include <cstddef>
#include <deque>
#include <functional>
#include <set>
#include <string>
#include <vector>

#include "sync/examiner.h"

namespace lansync {

class ExamineQueue {
 public:
  static constexpr int kLargeAtOnce = 2;

  // A look at a batch is over. What is left of it is for now; what is put aside waits for a place
  // among the large: those that were not read for their size, and with them what is gone and was as
  // large.
  void put_aside(std::vector<Observation>& seen, const std::vector<ExamineRequest>& requests);
  // The next group that may be read; empty: none, or there is no place.
  std::vector<ExamineRequest> take_large();
  void on_large_done(const std::vector<Observation>& seen);
  // Paths that are put aside or being read there.
  bool idle() const { return waiting_.empty() && running_ == 0; }
  const std::set<std::string>& aside() const { return aside_; }

  // An edit: before what is only due.
  void prefer(const std::string& path) { preferred_.insert(path); }
  // Up to `most` of those that are in `due` and wait for nothing, and out of it.
  using Waits = std::function<bool(const std::string&)>;
  std::set<std::string> take_preferred(std::set<std::string>& due, const Waits& waits,
                                       std::size_t most);

 private:
  std::deque<std::vector<ExamineRequest>> waiting_;
  int running_ = 0;
  std::set<std::string> aside_;
  std::set<std::string> preferred_;
};

}  // namespace lansync
