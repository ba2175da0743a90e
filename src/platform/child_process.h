// Runs a few programs side by side and keeps what they print: for looking at the machine with its
// own tools (nft, firewall-cmd). No shell; programs are found in the system's directories only.
//
// Invariant: returns within the limit and a little, whatever the programs do; those that are not
// done are killed. Blocks: to be called on a worker, never on the control thread.
#pragma once

#include <string>
#include <vector>

#include "base/time.h"

namespace lansync {

struct ChildOutput {
  bool found = false;  // the program is on this machine, and was started
  int exit_code = -1;  // -1: killed, by us or by itself
  std::string text;    // stdout and stderr together, at most kMaxChildOutput bytes
};

inline constexpr std::size_t kMaxChildOutput = 4 * 1024 * 1024;

// One answer for each command, in their order. A command is a program's name and its arguments.
std::vector<ChildOutput> run_children(const std::vector<std::vector<std::string>>& commands,
                                      Duration limit);

}  // namespace lansync
