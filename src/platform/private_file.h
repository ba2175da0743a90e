// Files that other users of this machine must not read, or must not have prepared: secrets that are
// written, passwords and settings that are read.
//
// Invariant: nothing secret goes into a file that somebody else owns, can read, or reaches by a
// second name; no name is opened in a way that can hang or that touches a device. Errors are one
// line that says what to do. Driven at start.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "platform/posix.h"

namespace lansync {

// A regular file with mode 0600 to append to. A new one is made, never through a link. One that is
// there is taken only if it is ours alone, and is empty or begins with `mark`: what an earlier run
// wrote. A file that others could read before is never taken, also if its mode is right now: who
// has it open goes on reading.
Result<UniqueFd> open_secret_log(const std::string& path, std::string_view mark);

// Whether lines may be appended to `path`: there is nothing yet, or a regular file of ours or
// root's, reached by no link that somebody else made.
Status check_log_file(const std::string& path);

struct GuardedText {
  std::string text;
  bool others_read = false;
  bool others_write = false;
};
// The whole of a file that we, root or `owner` own, of at most `max_bytes`. A pipe (`<(...)` of a
// shell) is read to its end, for 10 s at most. A file that everybody may write is refused, except
// on file systems that keep no modes.
Result<GuardedText> read_guarded_file(const std::string& path, std::size_t max_bytes,
                                      std::optional<uid_t> owner = std::nullopt);

// `path`, which need not exist, lies below the directory `folder`; links are followed.
bool lies_below(const std::string& path, const std::string& folder);

}  // namespace lansync
