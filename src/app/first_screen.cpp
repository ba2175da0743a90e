#include "app/first_screen.h"

#include <string>
#include <string_view>

#include "base/log.h"

namespace lansync {
namespace {

// A folder as a shell takes it: whoever copies a line gets this node, wherever they stand. (Without
// it a newcomer asked ~/LanSync, was told to start a node there, and had two.)
std::string as_typed(const std::string& dir) {
  constexpr std::string_view kPlain =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-+,:@%";
  if (!dir.empty() && dir.find_first_not_of(kPlain) == std::string::npos) return dir;
  std::string out = "'";
  for (char c : printable(dir)) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return out + "'";
}

}  // namespace

std::string first_screen(const RunOptions& options) {
  std::string out = str("lansync: ", printable(options.name), " keeps ", printable(options.dir),
                        " in sync with group '", printable(options.group), "'\n");
  if (options.password.empty()) {
    out +=
        "WARNING: the group is OPEN: anyone on this network can read, change and delete its "
        "files.\n"
        "         To close it: `lansync genpass > FILE`, the same FILE on every machine, and "
        "start\n"
        "         each node with `--password-file FILE`.\n";
  } else {
    out += str("The group is closed by the password in ", options.password_from, ".\n");
  }
  for (const std::string& warning : options.warnings) out += str("WARNING: ", warning, "\n");
  const std::string commands = str("lansync -C ", as_typed(options.dir));
  out +=
      str("Stop: Ctrl-C, or `", commands, " stop`. What is going on: `", commands, " status`.\n");
  return out;
}

}  // namespace lansync
