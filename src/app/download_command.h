// `lansync download`: asks the node for one file, and with --output writes it where the caller
// said.
//
// The caller writes, not the node: it is the caller's right to write there that counts, and the
// file is to be the caller's (root may ask the node of another user). Invariant: FILE is replaced
// by a whole file whose MD5 is what the node said, or not touched. Driven by run_command.
#pragma once

#include <optional>

#include "app/commands.h"

namespace lansync {

// nullopt: not this command.
std::optional<int> run_download_command(const CommandLine& command, const CommandStreams& streams);

}  // namespace lansync
