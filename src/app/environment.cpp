#include "app/environment.h"

#include <pwd.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>

namespace lansync {

Environment process_environment() {
  Environment environment;
  environment.variable = [](const std::string& name) -> std::optional<std::string> {
    const char* value = std::getenv(name.c_str());
    return value ? std::optional<std::string>(value) : std::nullopt;
  };
  std::error_code error;
  environment.current_directory = std::filesystem::current_path(error).string();
  if (environment.current_directory.empty()) environment.current_directory = "/";
  std::optional<std::string> home = environment.variable("HOME");
  if (home && !home->empty() && home->front() == '/') {
    environment.home = *home;
  } else if (const passwd* entry = getpwuid(geteuid()); entry && entry->pw_dir) {
    // A service may be started without $HOME.
    environment.home = entry->pw_dir;
  }
  char name[256] = {};
  if (gethostname(name, sizeof name - 1) == 0) environment.host_name = name;
  return environment;
}

std::string absolute_path(const std::string& path, const std::string& base) {
  std::filesystem::path joined = std::filesystem::path(base) / path;
  std::string text = joined.lexically_normal().string();
  while (text.size() > 1 && text.back() == '/') text.pop_back();
  return text;
}

}  // namespace lansync
