// The command line: which command, where, with what.
//
// Invariant: parse_command_line touches nothing but its arguments and, for `run`, the config and
// password files that they name. What it cannot understand is one line that says what to do, and
// exit code 2. Driven by main.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "app/environment.h"
#include "app/settings.h"
#include "base/time.h"

namespace lansync {

// CONTRACT, Commands to a running node.
inline constexpr int kExitDone = 0;
inline constexpr int kExitFailed = 1;
inline constexpr int kExitUsage = 2;
inline constexpr int kExitNoNode = 3;

// Of the commands that ask other nodes.
struct AskOptions {
  std::string action;  // longlist, shortlist, regex; verify, checkall
  std::string name;    // or a pattern
  std::optional<WallTime> from;
  std::optional<WallTime> to;
  std::string peer;      // "": whoever is asked without a word
  std::string file;      // upload: absolute
  std::string to_peer;   // upload
  std::uint32_t id = 0;  // uploads
  bool directories = false;
  bool regex = false;
  bool repair = false;
};

struct CommandLine {
  std::string command;  // "run", "status", ...
  std::string dir;      // absolute: the node's folder; "" for genpass and version
  bool json = false;
  bool watch = false;                            // status
  std::uint32_t peers = 0;                       // wait
  bool all = false;                              // wait
  std::optional<Duration> timeout;               // wait
  std::string restore;                           // trash: a path; "" = list
  std::optional<WallTime> restore_time;          // trash
  std::optional<WallTime> since;                 // trash, history
  std::vector<std::string> words;                // confirm: [KIND] [RUN]; reject: [RUN]
  bool yes = false;                              // confirm: do not ask
  std::vector<std::string> names;                // get, drop, download: relative to the folder
  std::string peer;                              // download
  std::string output;                            // download: absolute; "": into the folder
  CarrierChoice carrier = CarrierChoice::kAuto;  // download
  AskOptions ask;                                // index, hash, search, upload, uploads
  RunOptions run;                                // run
};

// Either a command to carry out, or a text to print and an exit code.
struct ParsedCommandLine {
  std::optional<CommandLine> command;
  int exit_code = kExitDone;
  std::string out;    // help; for stdout
  std::string error;  // one line, for stderr
};

// `arguments` without the program's name.
ParsedCommandLine parse_command_line(const std::vector<std::string>& arguments,
                                     const Environment& environment);

// The folder that `lansync run` takes: argument, else $LANSYNC_DIR, else ~/LanSync.
std::string run_folder(const std::string& argument, const Environment& environment);
// The folder whose node a command asks: -C, else the nearest directory above the current one that
// holds .lansync, else run_folder("").
std::string command_folder(const std::string& argument, const Environment& environment);

}  // namespace lansync
