// The name under which the loser of a conflict is kept: "name (conflict HOST
// 2026-11-21 12.30.05).ext".
//
// Invariant: a function of the losing version alone (its path, host, time, content), so that every
// node that meets the conflict makes the same name; and always a valid relative path.
// Driven by settlement.h. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/ids.h"
#include "base/time.h"

namespace lansync {

// How much of the content id stands in the name. Each step is taken only if the name before it is
// held by other bytes.
enum class ConflictNameStep { kPlain, kShortId, kFullId };

// `host` loses '/', parentheses, control bytes and invalid UTF-8. The directories of `path` are
// kept, unless the result would exceed a path's limit: then the deepest that leaves room. A part
// that would exceed 255 bytes is shortened before its extension, at a character border.
// A path that is a conflict copy's already keeps its host and time and gets the content id in place
// of another parenthesis (kPlain is then the same as kShortId).
std::string conflict_name(const std::string& path, std::string_view host, WallTime edited,
                          const ContentId& content, ConflictNameStep step);

// True if the last part of `path` has the form that conflict_name makes.
bool is_conflict_name(std::string_view path);

// What such a name tells.
struct ConflictNameParts {
  std::string of;  // the path that it is a version of
  std::string host;
  WallTime edited;  // the epoch where the digits are no time
};
std::optional<ConflictNameParts> parse_conflict_name(std::string_view path);

}  // namespace lansync
