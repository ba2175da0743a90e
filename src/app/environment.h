// What the program finds around it: variables, home, current directory, host name. Passed in, so
// that a test decides which folder is "the default one".
#pragma once

#include <functional>
#include <optional>
#include <string>

namespace lansync {

struct Environment {
  std::function<std::optional<std::string>(const std::string& name)> variable;
  std::string current_directory;  // absolute
  std::string home;               // absolute; "" if unknown
  std::string host_name;
};

// The process's own.
Environment process_environment();

// `path` made absolute against `base`, with `.`, `..` and doubled slashes taken out of its text; no
// trailing slash. Symlinks are left alone.
std::string absolute_path(const std::string& path, const std::string& base);

}  // namespace lansync
