// Carries out one command line other than `run`: asks the node, prints the answer, gives the exit
// code. Driven by main; streams are passed in.
#pragma once

#include <functional>
#include <iosfwd>

#include "app/options.h"
#include "base/random.h"

namespace lansync {

// `keep_watching` is asked after each repetition of `status --watch`, and sleeps in between.
struct CommandStreams {
  std::ostream& out;
  std::ostream& error;
  bool terminal = false;  // `out` is one: --watch clears it
  std::function<bool()> keep_watching;
  // Asks whoever sits at the terminal and gives the line; none: nobody sits there.
  std::function<std::string(const std::string& question)> ask = {};
  // Shows one line in place of the last such; "" takes it away. Empty if nobody watches.
  std::function<void(const std::string& line)> progress = {};
};

int run_command(const CommandLine& command, RandomSource& random, const CommandStreams& streams);

// What stands on stdout beside an error line where --json was asked for; `code` is the exit code.
std::string error_document(std::string_view line, int code);

// "lansync 0.1.0"
const char* program_version();

}  // namespace lansync
