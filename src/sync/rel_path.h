// The only way a name gets in: from a peer, from the disk, from the command line.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace lansync {

inline constexpr std::size_t kMaxPathBytes = 4095;
inline constexpr std::size_t kMaxPartBytes = 255;
inline constexpr std::size_t kMaxPathDepth = 64;  // reliability.md §2: bounds recursion and openat2 walks
inline constexpr std::string_view kPrivateDirectory = ".lansync";

// Ok if `path` is relative, has no empty, "." or ".." part, no NUL, no control byte or DEL, is valid
// UTF-8, within the limits above, and has no part ".lansync" at the root. The error says which rule.
Status validate_relpath(std::string_view path);

std::string_view parent_path(std::string_view path);  // "" for a path at the root
std::string_view last_part(std::string_view path);
// True if `path` is `directory` or below it. Everything is below "".
bool is_within(std::string_view path, std::string_view directory);

}  // namespace lansync
