// Refuses folders that are a mistake: `/`, a home directory itself, system directories, a folder
// within or around another node's folder. `--force-dir` overrides. Called by run_node before the
// folder is created or locked.
#pragma once

#include <string>

#include "app/environment.h"
#include "base/result.h"

namespace lansync {

// `dir` is absolute; it need not exist. The error says why and what to do.
Status check_folder(const std::string& dir, const Environment& environment);

}  // namespace lansync
