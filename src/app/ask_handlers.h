// The requests of a control socket that ask other nodes: index, hash, search, history. They answer
// in parts, {"rows": [...]}, and end with a summary.
//
// Invariant: one part is on its way at a time; the next page is asked for when it has been taken.
// Driven by start_command on the control thread.
#pragma once

#include <string_view>

#include "app/control_commands.h"

namespace lansync {

// nullptr: no request of this kind.
using AskHandler = StartedCommand (*)(NodeControl&, const Json& args, const ControlReply&);
AskHandler find_ask_handler(std::string_view name);

}  // namespace lansync
