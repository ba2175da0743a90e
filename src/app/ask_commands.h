// The commands that ask other nodes through ours: index, hash, search, history. Rows are printed as
// they come; with --json they are one document at the end.
//
// Driven by run_command. Invariant: --json prints a whole document or nothing.
#pragma once

#include "app/commands.h"

namespace lansync {

// nullopt: not one of these.
std::optional<int> run_ask_command(const CommandLine& command, const CommandStreams& streams);

// What stands after the command's name and options, checked: "index shortlist FROM TO". The error
// line, or "".
std::string take_ask_words(const std::string& command, const std::vector<std::string>& words,
                           AskOptions& out);

}  // namespace lansync
