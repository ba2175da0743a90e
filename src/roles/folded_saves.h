// Files of which conflict copies take each other's place, because two programs save them again and
// again (DESIGN, Conflicts): for people, who may know that the file need not be synced at all.
//
// Invariant: nothing is wrong with what stands here, it is no problem of the file's; a file is said
// for an hour after its last fold, and at most kMaxPaths are. Times are observed time. Owned and
// driven by Hub; pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>

#include "sync/index.h"

namespace lansync {

// The line of .lansyncignore that means `path` and nothing else.
std::string ignore_line(const std::string& path);

class FoldedSaves {
 public:
  static constexpr std::size_t kMaxPaths = 16;
  static constexpr std::int64_t kLifeNs = 3600LL * 1'000'000'000;

  // A version of `path` by `author` lost once more. True: it is not said yet.
  bool note(const std::string& path, const std::string& author, std::int64_t now_ns);
  // Of the file that was folded last, with what to do. "": none. What left the index, because
  // somebody did just that or deleted it, is said no more.
  std::string text(const Index& index, std::int64_t now_ns) const;

 private:
  struct Fold {
    std::string author;
    std::int64_t at_ns = 0;
  };
  std::map<std::string, Fold> folds_;
};

}  // namespace lansync
