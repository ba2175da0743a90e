#include "app/first_screen.h"

#include "base/log.h"

namespace lansync {

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
  out += "Stop: Ctrl-C, or `lansync stop`. What is going on: `lansync status`.\n";
  return out;
}

}  // namespace lansync
