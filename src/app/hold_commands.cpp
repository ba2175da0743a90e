#include "app/hold_commands.h"

#include <algorithm>
#include <ostream>
#include <set>

#include "app/control_client.h"
#include "app/report_json.h"
#include "base/log.h"

namespace lansync {
namespace {

constexpr Duration kAnswerTimeout = 30s;
constexpr std::size_t kLeastRunText = 4;
constexpr std::size_t kMaxListed = 20;

int fail(const CommandStreams& streams, int code, const std::string& line) {
  streams.error << "lansync: " << line << '\n';
  return code;
}

std::optional<HoldKind> kind_of(const std::string& word) {
  for (HoldKind kind : {HoldKind::kDeletes, HoldKind::kNetwork, HoldKind::kRoom, HoldKind::kAbsence,
                        HoldKind::kStrays})
    if (word == to_string(kind)) return kind;
  return std::nullopt;
}

bool is_run(const HoldReport& hold, const std::string& word) {
  return hold.kind == HoldKind::kDeletes && word.size() >= kLeastRunText &&
         (hold.run.starts_with(word) || word.starts_with(hold.run));
}

std::string nothing_of(HoldKind kind) {
  switch (kind) {
    case HoldKind::kDeletes:
      return "no deletes are held";
    case HoldKind::kNetwork:
      return "no network is held";
    case HoldKind::kRoom:
      return "no first sync is held for want of room";
    case HoldKind::kAbsence:
      return "no files of a long absence are held";
    case HoldKind::kStrays:
    case HoldKind::kName:
      break;
  }
  return "no strays are held: this node is no store";
}

std::string listed(const std::vector<std::string>& names) {
  std::string text;
  for (std::size_t i = 0; i < names.size() && i < kMaxListed; ++i)
    text += str(i == 0 ? "" : ", ", printable(names[i], 200));
  if (names.size() > kMaxListed) text += str(" and ", names.size() - kMaxListed, " more");
  return text;
}

std::string question_of(const HoldChoice& choice) {
  std::uint64_t number = 0;
  for (const HoldReport& hold : choice.holds) number += hold.number;
  switch (choice.kind) {
    case HoldKind::kDeletes:
      return number == 1 ? "Delete this 1 file wherever it still is? [y/N] "
                         : str("Delete these ", number, " files wherever they still are? [y/N] ");
    case HoldKind::kNetwork:
      return "Let in whoever comes on this network? [y/N] ";
    case HoldKind::kRoom:
      return "Fetch as much as fits? [y/N] ";
    case HoldKind::kAbsence:
      return "Bring these files back everywhere? [y/N] ";
    case HoldKind::kStrays:
    case HoldKind::kName:
      break;
  }
  return "Let this through? [y/N] ";
}

}  // namespace

Result<HoldChoice> choose_hold(const std::vector<HoldReport>& holds,
                               const std::vector<std::string>& words) {
  HoldChoice choice;
  if (words.size() > 2) return Error{ErrorCode::kRefused, "confirm takes a kind and a run at most"};
  if (words.empty()) {
    std::set<HoldKind> kinds;
    for (const HoldReport& hold : holds) kinds.insert(hold.kind);
    if (kinds.empty()) return Error{ErrorCode::kNotFound, "nothing is held here"};
    if (kinds.size() > 1) {
      std::string line = "more than one thing is held, say which:";
      for (HoldKind kind : kinds) {
        line += str(" `lansync confirm ", to_string(kind), '`');
        for (const HoldReport& hold : holds)
          if (hold.kind == kind) line += str(" (", printable(hold.says, 300), ')');
      }
      return Error{ErrorCode::kRefused, line};
    }
    choice.kind = *kinds.begin();
    choice.holds = holds;
    return choice;
  }
  auto kind = kind_of(words[0]);
  std::string run = words.size() > 1 ? words[1] : "";
  if (!kind && words.size() == 1 &&
      std::any_of(holds.begin(), holds.end(), [&](const auto& h) { return is_run(h, words[0]); })) {
    kind = HoldKind::kDeletes;
    run = words[0];
  }
  if (!kind)
    return Error{ErrorCode::kNotFound,
                 str("nothing called ", printable(words[0], 200),
                     " is held: `lansync status` lists what is (deletes, network, room, absence, "
                     "strays, or a run)")};
  if (!run.empty() && *kind != HoldKind::kDeletes)
    return Error{ErrorCode::kRefused, "only deletes have runs"};
  choice.kind = *kind;
  choice.run = run;
  for (const HoldReport& hold : holds) {
    if (hold.kind == *kind && (run.empty() || is_run(hold, run))) choice.holds.push_back(hold);
  }
  if (choice.holds.empty() && !run.empty())
    return Error{ErrorCode::kNotFound, str("no run of deletes called ", printable(run, 32),
                                           " is held here: `lansync status` lists them")};
  if (choice.holds.empty()) return Error{ErrorCode::kNotFound, nothing_of(*kind)};
  return choice;
}

std::string hold_line(const HoldReport& hold) {
  std::string line = printable(hold.says, 400);
  if (hold.since && hold.since->ns != 0) line += str(" since ", to_iso8601(*hold.since));
  if (!hold.run.empty()) line += ", run " + printable(hold.run, 32);
  if (hold.names.empty()) return line;
  line += ": " + listed(hold.names);
  if (hold.number > hold.names.size()) line += ", ...";
  return line;
}

std::string render_reject(const RejectReport& report) {
  std::vector<std::string> of[3];
  for (const RejectRow& row : report.rows) of[static_cast<int>(row.outcome)].push_back(row.name);
  const auto& [back, left, missing] = of;
  std::string text =
      str(back.size(), back.size() == 1 ? " file is back\n" : " files and directories are back\n");
  if (!left.empty())
    text += str(left.size(), " live again and were left alone: ", listed(left), '\n');
  if (!missing.empty())
    text += str(missing.size(),
                " are on no node that is connected, and come when one that has them "
                "does: ",
                listed(missing), '\n');
  return text;
}

int run_confirm(const CommandLine& command, const CommandStreams& streams) {
  Json arguments = {{"words", command.words}};
  if (streams.ask && !command.yes && !command.json) {
    ControlAnswer answer = ask_node(command.dir, "holds", Json::object(), kAnswerTimeout);
    if (answer.exit_code != kExitDone) return fail(streams, answer.exit_code, answer.error);
    auto choice =
        choose_hold(from_json_text<std::vector<HoldReport>>(answer.result), command.words);
    if (!choice) {
      const bool usage = choice.error().code == ErrorCode::kRefused;
      return fail(streams, usage ? kExitUsage : kExitFailed, choice.error().detail);
    }
    for (const HoldReport& hold : choice->holds) streams.out << hold_line(hold) << '\n';
    streams.out.flush();
    const std::string said = streams.ask(question_of(*choice));
    if (said != "y" && said != "Y" && said != "yes")
      return fail(streams, kExitFailed, "it stays held");
  }
  ControlAnswer answer = ask_node(command.dir, "confirm", arguments, kAnswerTimeout);
  if (answer.exit_code != kExitDone) return fail(streams, answer.exit_code, answer.error);
  if (command.json) {
    streams.out << json_line(answer.result) << '\n';
  } else {
    streams.out << printable(from_json_text<ActionReport>(answer.result).message) << '\n';
  }
  streams.out.flush();
  return streams.out ? kExitDone : fail(streams, kExitFailed, "cannot write the answer");
}

int run_reject(const CommandLine& command, const CommandStreams& streams) {
  const std::string run = command.words.empty() ? "" : command.words.front();
  // As long as files keep coming back.
  ControlAnswer answer = ask_node(command.dir, "reject", Json{{"run", run}}, std::nullopt);
  if (answer.exit_code != kExitDone) return fail(streams, answer.exit_code, answer.error);
  const auto report = from_json_text<RejectReport>(answer.result);
  if (command.json) {
    streams.out << json_line(answer.result) << '\n';
  } else {
    streams.out << render_reject(report);
  }
  streams.out.flush();
  if (!streams.out) return fail(streams, kExitFailed, "cannot write the answer");
  const bool all = std::none_of(report.rows.begin(), report.rows.end(), [](const RejectRow& row) {
    return row.outcome == RejectOutcome::kMissing;
  });
  return all ? kExitDone : kExitFailed;
}

}  // namespace lansync
