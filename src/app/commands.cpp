#include "app/commands.h"

#include <sys/stat.h>

#include <cerrno>
#include <chrono>
#include <ostream>
#include <sstream>
#include <thread>

#include "app/ask_commands.h"
#include "app/control_client.h"
#include "app/download_command.h"
#include "app/fetch_progress.h"
#include "app/genpass.h"
#include "app/hold_commands.h"
#include "app/render.h"
#include "app/units.h"
#include "app/why_command.h"
#include "base/role.h"

#ifndef LANSYNC_VERSION
#define LANSYNC_VERSION "unknown"
#endif

namespace lansync {
namespace {

// Everything but wait is answered at once or after a few files moved.
constexpr Duration kAnswerTimeout = 30s;
// `stop`: the node has 2 s (CONTRACT); a slow disk some more.
constexpr Duration kStopTimeout = 15s;
constexpr Duration kRetry = 100ms;

int report_error(const CommandStreams& streams, int code, const std::string& line) {
  streams.error << "lansync: " << line << '\n';
  return code;
}

// A full disk or a closed pipe: a script must not take half a document for a whole one. Whoever
// closed the pipe (head) has seen enough, and is not told of it.
int cannot_write(const CommandStreams& streams) {
  if (errno == EPIPE) return kExitFailed;
  return report_error(streams, kExitFailed, "cannot write the answer");
}

// Prints what the answer is about: the document, or what `render` makes of it.
template <typename Render>
int print_answer(const ControlAnswer& answer, const CommandLine& command,
                 const CommandStreams& streams, Render render) {
  if (answer.exit_code != kExitDone) return report_error(streams, answer.exit_code, answer.error);
  errno = 0;
  if (command.json)
    streams.out << json_line(answer.result) << '\n';
  else
    streams.out << render(answer.result);
  streams.out.flush();
  return streams.out ? kExitDone : cannot_write(streams);
}

template <typename T>
std::string rendered(const Json& json, std::string (*render)(const T&)) {
  return render(from_json_text<T>(json));
}

std::string action_text(const Json& json) {
  return printable(from_json_text<ActionReport>(json).message) + "\n";
}

int run_status(const CommandLine& command, const CommandStreams& streams) {
  for (;;) {
    ControlAnswer answer = ask_node(command.dir, "status", Json::object(), kAnswerTimeout);
    if (command.watch && streams.terminal) streams.out << "\x1b[H\x1b[2J";
    int code = print_answer(answer, command, streams, [](const Json& json) {
      return rendered<StatusReport>(json, render_status);
    });
    if (code != kExitDone || !command.watch || !streams.keep_watching || !streams.keep_watching())
      return code;
    if (!streams.terminal) streams.out << '\n';
  }
}

// Why it is not in sync yet, for the line at the timeout.
std::string not_yet(const CommandLine& command) {
  ControlAnswer answer = ask_node(command.dir, "status", Json::object(), 1s);
  std::string line = str("not so after ", to_string(*command.timeout));
  if (answer.exit_code != kExitDone) return line + ": " + answer.error;
  auto status = from_json_text<StatusReport>(answer.result);
  std::size_t known = 0;
  std::size_t connected = 0;
  std::string apart;
  for (const PeerReport& peer : status.peers) {
    known += peer.state == PeerState::kConnected || peer.state == PeerState::kKnown ? 1 : 0;
    connected += peer.state == PeerState::kConnected ? 1 : 0;
    if (peer.state == PeerState::kKnown)
      apart += str(apart.empty() ? "" : ", ", printable(peer.name, 64));
  }
  // A hub has a session with every member; whom it only hears does not count.
  const bool waits_for_them = connected < command.peers && is_hub(status.role) && !apart.empty();
  if (waits_for_them)
    line += str(": ", connected, " of ", command.peers, " other nodes connected (", apart,
                " heard and not connected), ");
  else if (known < command.peers)
    line += str(": ", known, " of ", command.peers, " other nodes known, ");
  else
    line += ": ";
  std::string text = line + state_line(status);
  // On the hub: whose fault it is that it is nowhere else, and what ends that.
  for (const PeerReport& peer : status.peers) {
    const std::string behind = behind_text(peer);
    if (!behind.empty() && text.find(behind) == std::string::npos) text += "; " + behind;
  }
  return text + " (see `lansync status`)";
}

int run_wait(const CommandLine& command, const CommandStreams& streams) {
  using SteadyClock = std::chrono::steady_clock;
  SteadyClock::time_point start = SteadyClock::now();
  bool appeared = false;
  ControlAnswer answer;
  for (;;) {
    std::optional<Duration> left;
    if (command.timeout) {
      auto gone = std::chrono::duration_cast<Duration>(SteadyClock::now() - start);
      left = std::max<Duration>(*command.timeout - gone, 0us);
    }
    answer =
        ask_node(command.dir, "wait", Json{{"peers", command.peers}, {"all", command.all}}, left);
    if (answer.exit_code != kExitNoNode) appeared = true;
    // A node that ended meanwhile may be one that is being restarted: the wait begins anew with it.
    bool again = answer.exit_code == kExitNoNode || answer.hung_up;
    if (!again || left == Duration(0)) break;
    std::this_thread::sleep_for(left ? std::min(*left, kRetry) : kRetry);
  }
  if (answer.exit_code == kExitNoNode && appeared)
    return report_error(streams, kExitFailed, "the node that ran there has ended: start it again");
  if (answer.timed_out) return report_error(streams, kExitFailed, not_yet(command));
  return print_answer(answer, command, streams, [](const Json& json) {
    return state_line(from_json_text<StatusReport>(json)) + "\n";
  });
}

int run_trash(const CommandLine& command, const CommandStreams& streams) {
  Json arguments = Json::object();
  if (command.restore.empty()) {
    if (command.since) arguments["since"] = to_iso8601(*command.since);
    ControlAnswer answer = ask_node(command.dir, "trash", arguments, kAnswerTimeout);
    return print_answer(answer, command, streams, [](const Json& json) {
      return rendered<std::vector<TrashReport>>(json, render_trash);
    });
  }
  arguments["path"] = command.restore;
  if (command.restore_time) arguments["time"] = to_iso8601(*command.restore_time);
  struct stat before {};
  const std::string place = command.dir + "/" + command.restore;
  const bool over = ::lstat(place.c_str(), &before) == 0 && !S_ISDIR(before.st_mode);
  // A directory of many files, from other machines perhaps: as long as it takes.
  ControlAnswer answer = ask_node(command.dir, "trash-restore", arguments, std::nullopt);
  if (answer.exit_code == kExitFailed && !command.restore_time &&
      command.restore.find('@') != std::string::npos)
    answer.error += str("; what stands behind an @ is no time: write NAME@", kTimeForms);
  return print_answer(answer, command, streams, [&](const Json& json) {
    std::string text;
    for (const TrashReport& item : from_json_text<std::vector<TrashReport>>(json)) {
      text += "brought back " + printable(item.path);
      // Directories are in no trash: they are made anew.
      if (!item.name.empty())
        text += str(", which went ", to_iso8601(item.time), ", from the trash of ",
                    printable(item.node, 64));
      if (over && item.path == command.restore) text += "; what stood there is in the trash";
      text += "\n";
    }
    return text;
  });
}

int run_on_names(const CommandLine& command, const CommandStreams& streams) {
  ControlAnswer answer;
  {
    FetchProgress progress(command, streams);
    answer = ask_node(command.dir, command.command, Json{{"names", command.names}}, std::nullopt);
  }
  return print_answer(answer, command, streams, action_text);
}

int run_version(const CommandLine& command, const CommandStreams& streams) {
  if (command.json)
    streams.out << json_line(Json{{"version", program_version()},
                                  {"protocol", static_cast<unsigned>(kProtocolVersion)}})
                << '\n';
  else
    streams.out << "lansync " << program_version() << ", protocol "
                << static_cast<unsigned>(kProtocolVersion) << '\n';
  return kExitDone;
}

int run_genpass(const CommandLine& command, RandomSource& random, const CommandStreams& streams) {
  std::string password = generate_password(random);
  if (command.json)
    streams.out << json_line(Json{{"password", password}}) << '\n';
  else
    streams.out << password << '\n';
  streams.out.flush();
  return streams.out ? kExitDone : report_error(streams, kExitFailed, "cannot write the password");
}

template <typename T>
int run_question(const CommandLine& command, const CommandStreams& streams,
                 std::string (*render)(const T&)) {
  ControlAnswer answer = ask_node(command.dir, command.command, Json::object(), kAnswerTimeout);
  return print_answer(answer, command, streams,
                      [render](const Json& json) { return rendered<T>(json, render); });
}

// Exit 1 if something is wrong: a script asks no other question.
int run_doctor(const CommandLine& command, const CommandStreams& streams) {
  ControlAnswer answer = ask_node(command.dir, "doctor", Json::object(), kAnswerTimeout);
  const int code = print_answer(answer, command, streams, [](const Json& json) {
    return rendered<DoctorFacts>(json, render_doctor);
  });
  if (code != 0 || !answer.result.is_object()) return code;
  for (const Json& finding : answer.result.value("findings", Json::array()))
    if (finding.value("problem", false)) return 1;
  return code;
}

}  // namespace

const char* program_version() { return LANSYNC_VERSION; }

namespace {

int run_any(const CommandLine& command, RandomSource& random, const CommandStreams& streams) {
  const std::string& name = command.command;
  if (std::optional<int> done = run_download_command(command, streams)) return *done;
  if (std::optional<int> asked = run_ask_command(command, streams)) return *asked;
  if (std::optional<int> why = run_why_command(command, streams)) return *why;
  if (name == "status") return run_status(command, streams);
  if (name == "wait") return run_wait(command, streams);
  if (name == "trash") return run_trash(command, streams);
  if (name == "get" || name == "drop") return run_on_names(command, streams);
  if (name == "confirm") return run_confirm(command, streams);
  if (name == "reject") return run_reject(command, streams);
  if (name == "version") return run_version(command, streams);
  if (name == "genpass") return run_genpass(command, random, streams);
  if (name == "peers") return run_question<std::vector<PeerReport>>(command, streams, render_peers);
  if (name == "conflicts")
    return run_question<std::vector<ConflictReport>>(command, streams, render_conflicts);
  if (name == "plan") return run_question<std::vector<PlanReport>>(command, streams, render_plan);
  if (name == "doctor") return run_doctor(command, streams);
  bool stop = name == "stop";
  ControlAnswer answer =
      ask_node(command.dir, name, Json::object(), stop ? kStopTimeout : kAnswerTimeout, stop);
  return print_answer(answer, command, streams, action_text);
}

}  // namespace

// A script that reads stdout alone must see that it failed, and why.
int run_command(const CommandLine& command, RandomSource& random, const CommandStreams& streams) {
  if (!command.json) return run_any(command, random, streams);
  std::ostringstream out;
  std::ostringstream error;
  const int code =
      run_any(command, random,
              CommandStreams{out, error, false, streams.keep_watching, {}, streams.progress});
  const std::string said = error.str();
  errno = 0;
  if (code == kExitDone || !out.str().empty()) {
    streams.out << out.str();
  } else {
    streams.out << error_document(said, code) << '\n';
  }
  streams.out.flush();
  const bool written = static_cast<bool>(streams.out);
  const int failed = written ? code : cannot_write(streams);
  streams.error << said;
  return failed;
}

std::string error_document(std::string_view line, int code) {
  constexpr std::string_view kName = "lansync: ";
  if (line.starts_with(kName)) line.remove_prefix(kName.size());
  while (line.ends_with('\n')) line.remove_suffix(1);
  return json_line(Json{{"error", {{"message", line}, {"code", code}}}});
}

}  // namespace lansync
