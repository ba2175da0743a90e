// `lansync why [NAME]`: why a path is not the same everywhere, what it waits for, what ends that.
// Put together here from what the node answers to other questions; asks nothing of its own.
#pragma once

#include <optional>
#include <string>

#include "app/commands.h"
#include "app/options.h"

namespace lansync {

// nullopt: the command is another one.
std::optional<int> run_why_command(const CommandLine& command, const CommandStreams& streams);

// What keeps `path` out of sync by a rule: the line of `.lansyncignore` (its text is `rules`), or
// that a built-in one does; "" if none does.
std::string ignoring_rule(const std::string& rules, const std::string& path, bool is_directory);

// What brings back a path that `rules` leave out: a line to add, lines that take another's place,
// or that nothing in the file does.
std::string advice_on_ignored(const std::string& rules, const std::string& path, bool is_directory);

}  // namespace lansync
