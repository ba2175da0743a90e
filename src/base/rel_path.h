// The only way a name gets in: from a peer, from the disk, from the command line. In base because
// the messages (transport) and the trees (sync) obey the same rule and may not know each other.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace lansync {

inline constexpr std::size_t kMaxPathBytes = 4095;
inline constexpr std::size_t kMaxPartBytes = 255;
// reliability.md §2: bounds recursion and openat2 walks.
inline constexpr std::size_t kMaxPathDepth = 64;
inline constexpr std::string_view kPrivateDirectory = ".lansync";

// Nullptr if `path` is relative, has no empty, "." or ".." part, no NUL, no control byte or DEL, is
// valid UTF-8, within the limits above, and has no part ".lansync" (a folder within may be
// another node's) nor another spelling of it (base/private_name.h); else the rule that it breaks,
// as a phrase ("is empty"). Allocates nothing: it runs for each entry of each message.
const char* broken_path_rule(std::string_view path);
// The same with the name in the error (printable) and code kRefused.
Status validate_relpath(std::string_view path);

// Strict UTF-8: no overlong forms, no surrogates, nothing above U+10FFFF.
bool is_valid_utf8(std::string_view text);

std::string_view parent_path(std::string_view path);  // "" for a path at the root
std::string_view last_part(std::string_view path);
// True if `path` is `directory` or below it. Everything is below "".
bool is_within(std::string_view path, std::string_view directory);

}  // namespace lansync
