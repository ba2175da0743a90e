#include "app/control_commands.h"

#include <algorithm>
#include <utility>

#include "app/ask_handlers.h"
#include "app/hold_commands.h"
#include "app/options.h"
#include "app/units.h"
#include "base/log.h"
#include "base/rel_path.h"

namespace lansync {
namespace {

template <typename T>
Json answer_of(const Result<T>& result) {
  return result ? ok_answer(to_json_document(*result))
                : error_answer(kExitFailed, result.error().detail);
}

constexpr std::size_t kMaxNesting = 16;

// How deep brackets stand in each other at most, strings left out. Of what is no JSON, any number.
std::size_t nesting_of(std::string_view text) {
  std::size_t depth = 0;
  std::size_t deepest = 0;
  bool quoted = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (quoted && c == '\\') {
      ++i;
    } else if (c == '"') {
      quoted = !quoted;
    } else if (!quoted && (c == '[' || c == '{')) {
      deepest = std::max(deepest, ++depth);
    } else if (!quoted && (c == ']' || c == '}') && depth > 0) {
      --depth;
    }
  }
  return deepest;
}

using Handler = StartedCommand (*)(NodeControl&, const Json& args, const ControlReply&);

template <Result<ActionReport> (NodeControl::*Action)()>
StartedCommand act(NodeControl& node, const Json&, const ControlReply& reply) {
  reply(answer_of((node.*Action)()));
  return {};
}

// A time in `args`; false if it is there and is none.
bool time_argument(const Json& args, const char* key, std::optional<WallTime>& out) {
  auto at = args.find(key);
  if (at == args.end() || at->is_null()) return true;
  if (!at->is_string()) return false;
  out = parse_time(at->get<std::string>());
  return out.has_value();
}

StartedCommand list_trash(NodeControl& node, const Json& args, const ControlReply& reply) {
  std::optional<WallTime> since;
  if (!time_argument(args, "since", since)) {
    reply(error_answer(kExitUsage, str("since: not a time: write ", kTimeForms)));
    return {};
  }
  return {node.trash(since, [reply](auto result) { reply(answer_of(result)); }), false};
}

StartedCommand restore_trash(NodeControl& node, const Json& args, const ControlReply& reply) {
  TrashRestore what;
  auto path = args.find("path");
  bool fits = path != args.end() && path->is_string() && time_argument(args, "time", what.time);
  // It goes to members, who would take one that is no path for an attack.
  fits = fits && validate_relpath(path->get<std::string>());
  if (!fits) {
    reply(error_answer(kExitUsage, "restore: takes a path and perhaps a time"));
    return {};
  }
  what.path = path->get<std::string>();
  return {node.trash_restore(what, [reply](auto result) { reply(answer_of(result)); }), false};
}

StartedCommand wait_in_sync(NodeControl& node, const Json& args, const ControlReply& reply) {
  std::uint64_t peers = 0;
  auto at = args.find("peers");
  if (at != args.end() && at->is_number_unsigned()) peers = at->get<std::uint64_t>();
  if (peers > 100000) {
    reply(error_answer(kExitUsage, "wait: no group is that large"));
    return {};
  }
  auto all = args.find("all");
  const WaitAsk what{static_cast<std::uint32_t>(peers),
                     all != args.end() && all->is_boolean() && all->get<bool>()};
  return {node.wait(what, [reply](auto result) { reply(answer_of(result)); }), false};
}

// What is shown here is what a `confirm` that follows means.
StartedCommand show_status(NodeControl& node, const Json&, const ControlReply& reply) {
  reply(ok_answer(to_json_document(node.status())));
  node.note_shown();
  return {};
}

StartedCommand show_holds(NodeControl& node, const Json&, const ControlReply& reply) {
  reply(ok_answer(to_json_document(node.holds())));
  node.note_shown();
  return {};
}

// Nothing waits here, and somebody asked: where in the group it is that something does. "":
// nowhere.
std::string held_elsewhere(NodeControl& node) {
  std::string text;
  for (const PeerReport& peer : node.peers()) {
    if (peer.behind.why.find("a person's word") == std::string::npos) continue;
    const std::string name = printable(peer.name, 64);
    text += str("; ", name, " waits for a person's word: `lansync confirm` or `lansync reject` on ",
                name);
  }
  return text;
}

StartedCommand confirm(NodeControl& node, const Json& args, const ControlReply& reply) {
  std::vector<std::string> words;
  if (auto at = args.find("words"); at != args.end() && at->is_array()) {
    for (const Json& word : *at)
      if (word.is_string()) words.push_back(word.get<std::string>());
  }
  auto choice = choose_hold(node.holds(), words);
  if (!choice) {
    const bool usage = choice.error().code == ErrorCode::kRefused;
    const bool none = node.holds().empty();
    reply(error_answer(usage ? kExitUsage : kExitFailed,
                       choice.error().detail + (none ? held_elsewhere(node) : std::string())));
    return {};
  }
  return {
      node.confirm(choice->kind, choice->run, [reply](auto result) { reply(answer_of(result)); }),
      false};
}

StartedCommand reject(NodeControl& node, const Json& args, const ControlReply& reply) {
  auto run = args.find("run");
  const std::string text =
      run != args.end() && run->is_string() ? run->get<std::string>() : std::string();
  const std::string elsewhere = node.holds().empty() ? held_elsewhere(node) : std::string();
  return {node.reject(text,
                      [reply, elsewhere](auto result) {
                        if (!result)
                          result = Error{result.error().code, result.error().detail + elsewhere};
                        reply(answer_of(result));
                      }),
          false};
}

StartedCommand examine(NodeControl& node, const Json&, const ControlReply& reply) {
  return {node.doctor([reply](auto result) { reply(answer_of(result)); }), false};
}

// The names in `args`, "" for "." (the folder); empty if there are none, or something else.
std::vector<std::string> names_argument(const Json& args) {
  std::vector<std::string> names;
  auto at = args.find("names");
  if (at == args.end() || !at->is_array()) return names;
  for (const Json& name : *at) {
    if (!name.is_string()) return {};
    std::string text = name.get<std::string>();
    if (text == ".") {
      text.clear();
    } else if (!validate_relpath(text)) {
      return {};
    }
    names.push_back(std::move(text));
  }
  return names;
}

using NamesCommand = NodeControl::Token (NodeControl::*)(const std::vector<std::string>&,
                                                         NodeControl::Callback<ActionReport>);

template <NamesCommand Command>
StartedCommand act_on_names(NodeControl& node, const Json& args, const ControlReply& reply) {
  std::vector<std::string> names = names_argument(args);
  if (names.empty()) {
    reply(error_answer(kExitUsage, "takes names of files or directories in the folder"));
    return {};
  }
  return {(node.*Command)(names, [reply](auto result) { reply(answer_of(result)); }), false};
}

StartedCommand download(NodeControl& node, const Json& args, const ControlReply& reply) {
  DownloadAsk what;
  auto text = [&args](const char* key) {
    auto at = args.find(key);
    return at != args.end() && at->is_string() ? at->get<std::string>() : std::string();
  };
  what.name = text("name");
  what.peer = text("peer");
  for (CarrierChoice choice : {CarrierChoice::kEnet, CarrierChoice::kLane, CarrierChoice::kTcp}) {
    if (text("carrier") == to_string(choice)) what.carrier = choice;
  }
  auto aside = args.find("aside");
  what.aside = aside != args.end() && aside->is_boolean() && aside->get<bool>();
  if (!validate_relpath(what.name)) {
    reply(error_answer(kExitUsage, "download: takes the name of a file in the folder"));
    return {};
  }
  return {node.download(what, [reply](auto result) { reply(answer_of(result)); }), false};
}

StartedCommand give_back_download(NodeControl& node, const Json& args, const ControlReply& reply) {
  auto token = args.find("token");
  if (token != args.end() && token->is_number_unsigned()) {
    node.give_back(token->get<NodeControl::Token>());
  }
  reply(ok_answer(Json::object()));
  return {};
}

StartedCommand stop_node(NodeControl& node, const Json&, const ControlReply& reply) {
  reply(answer_of(node.stop()));
  return {0, true};
}

template <auto Question>
StartedCommand ask(NodeControl& node, const Json&, const ControlReply& reply) {
  reply(ok_answer(to_json_document((node.*Question)())));
  return {};
}

constexpr std::pair<std::string_view, Handler> kHandlers[] = {
    {"status", show_status},
    {"holds", show_holds},
    {"peers", ask<&NodeControl::peers>},
    {"conflicts", ask<&NodeControl::conflicts>},
    {"plan", ask<&NodeControl::plan>},
    {"doctor", examine},
    {"trash", list_trash},
    {"trash-restore", restore_trash},
    {"wait", wait_in_sync},
    {"get", act_on_names<&NodeControl::get>},
    {"drop", act_on_names<&NodeControl::drop>},
    {"download", download},
    {"download-give-back", give_back_download},
    {"confirm", confirm},
    {"reject", reject},
    {"pause", act<&NodeControl::pause>},
    {"resume", act<&NodeControl::resume>},
    {"rescan", act<&NodeControl::rescan>},
    {"stop", stop_node},
};

}  // namespace

Json ok_answer(Json result) { return {{"ok", true}, {"result", std::move(result)}}; }

Json error_answer(int exit_code, std::string_view line) {
  return {{"ok", false}, {"exit", exit_code}, {"error", line}};
}

StartedCommand start_command(NodeControl& node, std::string_view request_line, ControlReply reply) {
  // nlohmann's parser keeps its own stack, but a copy of what it made would use ours: 1 MiB of '['.
  if (nesting_of(request_line) > kMaxNesting) {
    reply(error_answer(kExitUsage, "not a request: no command nests so deep"));
    return {};
  }
  Json request = Json::parse(request_line, nullptr, false);
  auto command = request.is_object() ? request.find("command") : request.end();
  if (!request.is_object() || command == request.end() || !command->is_string()) {
    reply(error_answer(kExitUsage, "not a request: one line of JSON with a \"command\""));
    return {};
  }
  auto name = command->get<std::string>();
  auto found = request.find("args");
  Json args = found != request.end() && found->is_object() ? *found : Json::object();
  if (AskHandler handler = find_ask_handler(name)) return handler(node, args, reply);
  for (const auto& [known, handler] : kHandlers)
    if (known == name) return handler(node, args, reply);
  reply(error_answer(kExitUsage, str("the node that runs there does not know '",
                                     printable(name, 64), "': is it an older version?")));
  return {};
}

}  // namespace lansync
