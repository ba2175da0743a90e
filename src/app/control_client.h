// The caller's end of a control socket: one request, one answer. Blocking, with a deadline; used by
// the commands of the program and never inside a node.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "app/report_json.h"
#include "base/time.h"

namespace lansync {

struct ControlAnswer {
  int exit_code = 0;  // of CONTRACT
  bool timed_out = false;
  bool hung_up = false;  // the node went away before it answered
  Json result;           // when exit_code is 0
  std::string error;     // one line, otherwise
};

// What comes before the answer: rows, progress.
using PartSink = std::function<void(const Json& part)>;

// Asks the node in `dir`. Without a `timeout` it waits for ever. `until_gone`: returns only when
// the node's process has ended, at most `timeout` later.
ControlAnswer ask_node(const std::string& dir, const std::string& command, const Json& arguments,
                       std::optional<Duration> timeout, bool until_gone = false,
                       const PartSink& on_part = {});

}  // namespace lansync
