// The requests that a node answers on its control socket, by name: a table, so that a new command
// is one more row.
//
// A request is {"command": NAME, "args": {...}}; an answer {"ok": true, "result": DOCUMENT} or
// {"ok": false, "exit": CODE, "error": LINE}. Driven by ControlServer on the control thread.
#pragma once

#include <functional>
#include <string_view>

#include "app/report_json.h"
#include "roles/node_control.h"

namespace lansync {

// Called once with a whole answer document; maybe before start_command returns.
using ControlReply = std::function<void(const Json& answer)>;

struct StartedCommand {
  NodeControl::Token token = 0;  // not 0: can be cancelled while no reply has come
  bool ends_node = false;        // the connection stays open until the node is gone
};

StartedCommand start_command(NodeControl& node, std::string_view request_line, ControlReply reply);

Json ok_answer(Json result);
Json error_answer(int exit_code, std::string_view line);

}  // namespace lansync
