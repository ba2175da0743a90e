// The requests that a node answers on its control socket, by name: a table, so that a new command
// is one more row.
//
// A request is {"command": NAME, "args": {...}}; an answer {"ok": true, "result": DOCUMENT} or
// {"ok": false, "exit": CODE, "error": LINE}, after any number of lines {"part": DOCUMENT}: rows as
// they come, progress. Driven by ControlServer on the control thread.
#pragma once

#include <functional>
#include <string_view>
#include <utility>

#include "app/report_json.h"
#include "roles/node_control.h"

namespace lansync {

// How a command answers: called once with a whole answer document, maybe before start_command
// returns; before that, any number of parts.
class ControlReply {
 public:
  using Taken = std::function<void()>;
  using Answer = std::function<void(const Json& answer)>;
  using Part = std::function<void(const Json& part, Taken taken)>;

  ControlReply(Answer answer, Part part) : answer_(std::move(answer)), part_(std::move(part)) {}

  void operator()(const Json& answer) const { answer_(answer); }
  // `taken` is called when the other side has taken it, so that a slow reader slows whoever has
  // more; never, if it went away (cancel comes then). Without `taken` it is progress, which may be
  // left out when the last one still waits.
  void part(const Json& document, Taken taken = {}) const { part_(document, std::move(taken)); }

 private:
  Answer answer_;
  Part part_;
};

struct StartedCommand {
  NodeControl::Token token = 0;  // not 0: can be cancelled while no reply has come
  bool ends_node = false;        // the connection stays open until the node is gone
};

StartedCommand start_command(NodeControl& node, std::string_view request_line, ControlReply reply);

Json ok_answer(Json result);
Json error_answer(int exit_code, std::string_view line);

}  // namespace lansync
