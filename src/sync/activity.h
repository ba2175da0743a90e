// What happened to people's files, in lines for the log and the live view: which came, from whom,
// which went, which were changed here. A burst becomes one line with its first names and a count.
//
// Invariant: everything noted is told within kWindow, in at most kKinds lines for each author, and
// what is kept meanwhile does not grow with the number of files. Pure; owned and driven by the
// replica.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "base/time.h"

namespace lansync {

class Activity {
 public:
  enum class Kind : std::uint8_t {
    kCame,         // new or changed content of another node stands here now
    kConflict,     // the version that lost stands beside the file, which is told as what came
    kSet,          // mode or time alone
    kDeleted,      // here, because another node deleted it
    kRenamed,      // the old name of what another node renamed went
    kChangedHere,  // by a person at this disk: it goes to the others
    kDeletedHere,
  };
  static constexpr Duration kWindow = 2s;
  static constexpr std::size_t kNames = 3;     // told by name
  static constexpr std::size_t kAuthors = 16;  // told apart at once; more are "others"

  void note(Kind kind, const std::string& path, const std::string& author, Instant now);
  // The lines that are due. Names are made printable.
  std::vector<std::string> take_lines(Instant now);
  Instant deadline() const { return due_; }

 private:
  struct Batch {
    std::uint64_t count = 0;
    std::vector<std::string> names;
  };
  // In the order of kinds: what came before what went.
  std::map<std::pair<Kind, std::string>, Batch> batches_;
  Instant due_ = kNever;
};

}  // namespace lansync
