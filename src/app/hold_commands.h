// `confirm` and `reject`: what a person means by their words, the question on a terminal, and what
// is said of the outcome.
//
// Invariant: without a word only what is the one kind that is held is confirmed. choose_hold is
// pure and used by both sides: the node decides, the terminal shows beforehand what it will decide.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "app/commands.h"
#include "app/options.h"
#include "base/result.h"
#include "roles/node_control.h"

namespace lansync {

struct HoldChoice {
  HoldKind kind = HoldKind::kDeletes;
  std::string run;                // deletes of that run only; "": all
  std::vector<HoldReport> holds;  // what that is
};

// `words`: [KIND] [RUN]. kRefused: the words are wrong, or not enough, which is wrong usage.
Result<HoldChoice> choose_hold(const std::vector<HoldReport>& holds,
                               const std::vector<std::string>& words);
// "120 deletes by anna since 12:03:04, run 3f2a9c01: a.txt, b.txt, ...": one line.
std::string hold_line(const HoldReport& hold);
std::string render_reject(const RejectReport& report);

int run_confirm(const CommandLine& command, const CommandStreams& streams);
int run_reject(const CommandLine& command, const CommandStreams& streams);

}  // namespace lansync
