// `lansync run`: makes the platform's objects, the node and what surrounds it, and runs the loop
// until the node is told to stop. Called by main, once.
#pragma once

#include "app/settings.h"

namespace lansync {

// The program's exit code.
int run_node(const RunOptions& options);

}  // namespace lansync
