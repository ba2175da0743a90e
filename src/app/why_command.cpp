#include "app/why_command.h"

#include <sys/stat.h>

#include <algorithm>
#include <map>
#include <ostream>
#include <set>
#include <vector>

#include "app/control_client.h"
#include "app/render.h"
#include "app/units.h"
#include "base/log.h"
#include "platform/posix.h"
#include "sync/ignore_rules.h"

namespace lansync {
namespace {

constexpr Duration kAnswerTimeout = 30s;
constexpr std::size_t kMostHolders = 200;
constexpr std::size_t kMostAsked = 50;

// One path, as far as it could be found out.
struct Why {
  std::string name;
  std::string state;
  std::string here;
  std::vector<std::string> holders;
  std::string waits_for;
  std::string advice;
  int order = 9;  // worst first
};

std::string text_of(const Json& row, const char* key) {
  auto at = row.is_object() ? row.find(key) : row.end();
  return row.is_object() && at != row.end() && at->is_string() ? at->get<std::string>() : "";
}

std::string on_disk(const std::string& path) {
  struct stat info {};
  if (::lstat(path.c_str(), &info) != 0) return "not here";
  if (S_ISDIR(info.st_mode)) return "a directory";
  if (S_ISLNK(info.st_mode)) return "a symbolic link";
  if (!S_ISREG(info.st_mode)) return "a socket, pipe or device";
  const WallTime time{std::int64_t{info.st_mtim.tv_sec} * 1'000'000'000 + info.st_mtim.tv_nsec};
  return str(format_size(static_cast<std::uint64_t>(info.st_size)), ", changed ", to_iso8601(time));
}

// `path` in gitignore's language, meaning itself alone.
std::string as_pattern(const std::string& path) {
  std::string out;
  for (const char letter : path) {
    if (std::string_view("*?[\\ ").find(letter) != std::string_view::npos) out += '\\';
    out += letter;
  }
  return out;
}

// What ends a problem of one path, by what is said of it.
std::string advice_for(const std::string& name, const std::string& problem) {
  const auto says = [&](std::string_view word) { return problem.find(word) != std::string::npos; };
  if (says("--max-file-size")) return "leave it, or start with a larger --max-file-size";
  if (says("socket, pipe or device"))
    return "leave it, or name it in .lansyncignore, which all nodes then obey";
  if (says("on no other machine"))
    return "`lansync why` on that hub says what keeps it; or start another machine that can hold "
           "it";
  if (says("no room") || says("no space")) return "free space: it goes on by itself";
  if (says("Permission denied"))
    return str("`chmod u+rw '", printable(name), "'` if it is yours, else its owner: `ls -l`");
  if (says("symlink") || says("symbolic link"))
    return "leave it: it stays on machines whose disk holds links";
  if (says("name")) return "rename it, here or where it was made";
  return "mend that; `lansync rescan` looks again at once";
}

// Why nothing moves at all, whatever the path; "" if it does.
std::string advice_for(const StatusReport& status) {
  if (status.state == NodeState::kPaused) return "`lansync resume`";
  if (status.state == NodeState::kError || status.state == NodeState::kSeeking)
    return "what `lansync status` says";
  return {};
}

// What the node would do now, in words of what it waits for.
void take_plan_row(const Json& row, const StatusReport& status, Why& out) {
  const std::string action = text_of(row, "action");
  out.state = action;
  out.waits_for = text_of(row, "why");
  const bool for_room =
      std::any_of(status.held.begin(), status.held.end(), [&](const HoldReport& hold) {
        return hold.kind == HoldKind::kRoom && hold.says == out.waits_for;
      });
  if (action == "held" && for_room) {
    out.order = 1;
    out.advice = "free space, or `lansync confirm room`, which fetches what fits";
  } else if (action == "held") {
    out.order = 1;
    out.advice =
        "`lansync status` says what is held; `lansync confirm` or `lansync reject` decides";
  } else if (action == "conflict") {
    out.order = 2;
    out.advice = "nothing: both versions are kept, `lansync conflicts` lists them";
  } else if (action == "fetch") {
    out.order = 3;
    out.advice = out.waits_for.find(": start ") != std::string::npos
                     ? "start that machine; it comes by itself then"
                     : "nothing: it comes by itself from who holds it";
  } else if (action == "settle" && out.waits_for.find("deleted") != std::string::npos) {
    out.order = 5;
    out.advice = "nothing: it goes out by itself; then `lansync trash --restore` brings it back";
  } else {
    out.order = action == "push" || action == "delete-there" ? 4 : 5;
    out.advice = out.waits_for.find("until a person there decides") != std::string::npos
                     ? "decide there"
                     : "nothing: it goes on by itself";
  }
  const std::string stands_still = advice_for(status);
  if (stands_still.empty() || action == "held" || action == "conflict") return;
  out.advice = stands_still;
  if (out.waits_for.empty()) out.waits_for = status.reason;
}

struct Answers {
  StatusReport status;
  Json plan = Json::array();
  Json findings = Json::array();
  int failed = kExitDone;
  std::string error;
};

Answers ask(const std::string& dir) {
  Answers out;
  for (const char* question : {"status", "plan", "doctor"}) {
    ControlAnswer answer = ask_node(dir, question, Json::object(), kAnswerTimeout);
    if (answer.exit_code != kExitDone) {
      out.failed = answer.exit_code;
      out.error = answer.error;
      return out;
    }
    const std::string_view name = question;
    if (name == "status") out.status = from_json_text<StatusReport>(answer.result);
    if (name == "plan" && answer.result.is_array()) out.plan = answer.result;
    if (name == "doctor" && answer.result.is_object() && answer.result.contains("findings"))
      out.findings = answer.result["findings"];
  }
  return out;
}

// The path (as it is printed) that a finding of doctor is about; "": it is about none. A name may
// hold ": " itself, so it is not cut out of "NAME: what is wrong with it".
std::string path_of(const Json& finding) {
  constexpr std::string_view kBefore = "`lansync why '";
  constexpr std::string_view kBehind = "'` says who has it";
  const std::string advice = text_of(finding, "advice");
  if (!advice.starts_with(kBefore) || !advice.ends_with(kBehind)) return {};
  if (advice.size() <= kBefore.size() + kBehind.size()) return {};
  return advice.substr(kBefore.size(), advice.size() - kBefore.size() - kBehind.size());
}

std::string problem_in(const Json& finding, const std::string& path) {
  const std::string what = text_of(finding, "what");
  return what.starts_with(path + ": ") ? what.substr(path.size() + 2) : what;
}

std::string problem_of(const Answers& answers, const std::string& name) {
  for (const Json& finding : answers.findings)
    if (path_of(finding) == printable(name)) return problem_in(finding, printable(name));
  return {};
}

std::vector<std::string> holders_of(const std::string& dir, const std::string& name) {
  std::vector<std::string> found;
  (void)ask_node(dir, "search", Json{{"name", name}, {"regex", false}, {"quiet", true}},
                 kAnswerTimeout, false, [&](const Json& part) {
                   auto rows = part.find("rows");
                   if (rows == part.end() || !rows->is_array()) return;
                   for (const Json& row : *rows)
                     if (text_of(row, "name") == name && found.size() < kMostHolders)
                       found.push_back(text_of(row, "node"));
                 });
  return found;
}

// What the node says of files that its hub cannot hold and that are on no other machine; "": none.
std::string not_at_hub(const StatusReport& status) {
  const bool says = status.reason.find("on no other machine") != std::string::npos &&
                    status.reason.find("cannot hold") != std::string::npos;
  return says && status.hub && status.hub->id != status.id ? status.hub->name : std::string();
}

std::string because_not_at_hub(const std::string& hub) {
  return str("it is on no other machine: ", printable(hub, 64), ", the hub, cannot hold it");
}

// Files of `peer` ("": the hub's), as name and what else a listing tells of their version.
std::map<std::string, std::string> listing_of(const std::string& dir, const std::string& peer) {
  std::map<std::string, std::string> files;
  (void)ask_node(dir, "index", Json{{"peer", peer}}, kAnswerTimeout, false, [&](const Json& part) {
    auto rows = part.find("rows");
    if (rows == part.end() || !rows->is_array()) return;
    for (Json row : *rows) {
      const std::string name = text_of(row, "name");
      row.erase("type");  // found out by each node for itself
      files[name] = row.dump(-1, ' ', false, Json::error_handler_t::replace);
    }
  });
  return files;
}

// The hub tells their number alone. They are what it does not list as this node does, and nobody
// else has.
std::vector<std::string> here_alone(const std::string& dir, const StatusReport& status,
                                    const std::set<std::string>& named) {
  std::vector<std::string> found;
  const auto there = listing_of(dir, "");
  std::size_t asked = 0;
  for (const auto& [name, row] : listing_of(dir, status.name)) {
    auto at = there.find(name);
    if ((at != there.end() && at->second == row) || named.contains(printable(name))) continue;
    if (found.size() >= status.only_here || ++asked > kMostAsked) break;
    if (holders_of(dir, name) == std::vector<std::string>{status.name}) found.push_back(name);
  }
  return found;
}

// As the node reads them: a link is none.
std::string rules_of(const std::string& dir) {
  const std::string path = dir + "/.lansyncignore";
  struct stat info {};
  if (::lstat(path.c_str(), &info) != 0 || !S_ISREG(info.st_mode)) return {};
  const auto rules = read_small_file(path, IgnoreRules::kMaxFileBytes + 1);
  return rules ? *rules : std::string();
}

Why why_of(const CommandLine& command, const Answers& answers, const std::string& name) {
  Why out;
  out.name = name;
  const std::string full = command.dir + "/" + name;
  out.here = on_disk(full);
  struct stat info {};
  const bool directory = ::lstat(full.c_str(), &info) == 0 && S_ISDIR(info.st_mode);
  const std::string text = rules_of(command.dir);
  out.waits_for = ignoring_rule(text, name, directory);
  if (!out.waits_for.empty()) {
    out.state = "ignored";
    out.order = 6;
    out.advice = advice_on_ignored(text, name, directory);
    return out;
  }
  out.holders = holders_of(command.dir, name);
  // The hub counts what this node has not told it yet, a delete that is held here for one.
  if (out.here == "not here") std::erase(out.holders, answers.status.name);
  if (std::string problem = problem_of(answers, name); !problem.empty()) {
    out.state = "not synced";
    out.waits_for = problem;
    out.order = 0;
    out.advice = advice_for(name, problem);
    return out;
  }
  for (const Json& row : answers.plan) {
    if (text_of(row, "name") != name) continue;
    take_plan_row(row, answers.status, out);
    return out;
  }
  const std::string cannot = not_at_hub(answers.status);
  if (!cannot.empty() && out.holders == std::vector<std::string>{answers.status.name}) {
    out.state = "not synced";
    out.waits_for = because_not_at_hub(cannot);
    out.advice = advice_for(name, out.waits_for);
    out.order = 0;
    return out;
  }
  if (out.here == "not here" && out.holders.empty()) {
    out.state = "unknown";
    out.waits_for = "no node of the group that is connected has a file of that name";
    out.advice = "`lansync search` finds a name in any directory, `lansync trash` what was deleted";
  } else if (out.here == "not here") {
    out.state = "absent";
    out.waits_for = "a person who asks for it";
    out.advice = "`lansync get` fetches it";
  } else {
    // Nothing is to be done with it. What the node says of another path is no reason of this one.
    const NodeState state = answers.status.state;
    const bool moves = state == NodeState::kSyncing || state == NodeState::kHeld;
    out.state = to_string(moves ? NodeState::kInSync : state);
    out.advice = advice_for(answers.status);
    if (!out.advice.empty()) out.waits_for = answers.status.reason;
  }
  return out;
}

std::vector<Why> why_all(const std::string& dir, const Answers& answers) {
  std::vector<Why> rows;
  std::set<std::string> named;
  for (const Json& row : answers.plan) {
    Why& why = rows.emplace_back();
    why.name = text_of(row, "name");
    take_plan_row(row, answers.status, why);
    if (std::string problem = problem_of(answers, why.name); !problem.empty()) {
      why.state = "not synced";
      why.waits_for = problem;
      why.advice = advice_for(why.name, problem);
      why.order = 0;
    }
    named.insert(printable(why.name));
  }
  // What is left out has no place in a plan: doctor names it, "path: why".
  for (const Json& finding : answers.findings) {
    const std::string path = path_of(finding);
    if (path.empty() || named.contains(path)) continue;
    Why& why = rows.emplace_back();
    why.name = path;
    why.state = "not synced";
    why.waits_for = problem_in(finding, path);
    why.advice = advice_for(why.name, why.waits_for);
    why.order = 0;
    named.insert(path);
  }
  if (const std::string hub = not_at_hub(answers.status); !hub.empty()) {
    for (const std::string& name : here_alone(dir, answers.status, named)) {
      Why& why = rows.emplace_back();
      why.name = name;
      why.state = "not synced";
      why.waits_for = because_not_at_hub(hub);
      why.advice = advice_for(name, why.waits_for);
      why.order = 0;
    }
  }
  std::stable_sort(rows.begin(), rows.end(),
                   [](const Why& a, const Why& b) { return a.order < b.order; });
  return rows;
}

Json to_json(const Why& why) {
  return {{"name", why.name},       {"state", why.state},         {"here", why.here},
          {"holders", why.holders}, {"waits_for", why.waits_for}, {"advice", why.advice}};
}

std::string to_text(const Why& why) {
  std::string held;
  for (const std::string& holder : why.holders)
    held += (held.empty() ? "" : ", ") + printable(holder, 64);
  std::vector<std::vector<std::string>> rows{{"name", printable(why.name)}, {"state", why.state}};
  if (!why.here.empty()) rows.push_back({"here", why.here});
  if (!held.empty()) rows.push_back({"on", held});
  if (!why.waits_for.empty()) rows.push_back({"because", printable(why.waits_for, 1000)});
  if (!why.advice.empty()) rows.push_back({"do", printable(why.advice, 300)});
  return table(rows);
}

}  // namespace

std::string ignoring_rule(const std::string& rules, const std::string& path, bool is_directory) {
  if (!IgnoreRules::parse(rules).ignored(path, is_directory)) return {};
  const bool built_in = IgnoreRules().ignored(path, is_directory);
  std::string line;
  std::size_t number = 0;
  std::size_t found = 0;
  for (std::size_t from = 0; from < rules.size();) {
    const std::size_t end = std::min(rules.find('\n', from), rules.size());
    const std::string one = rules.substr(from, end - from);
    from = end + 1;
    ++number;
    if (!built_in && IgnoreRules::parse(one).ignored(path, is_directory)) {
      line = one;
      found = number;
    }
  }
  if (found > 0)
    return str("line ", found, " of .lansyncignore leaves it out: ", printable(line, 200));
  return "a built-in rule leaves it out: temporary files of editors and desktops (.*.sw[a-p] 4913 "
         "~$* .#* .~lock.*# .goutputstream-*)";
}

std::string advice_on_ignored(const std::string& rules, const std::string& path,
                              bool is_directory) {
  const auto brings_back = [&](const std::string& lines) {
    return !IgnoreRules::parse(str(rules, '\n', lines, '\n')).ignored(path, is_directory);
  };
  const std::string line = str("!/", as_pattern(path));
  if (brings_back(line))
    return str("a line `", printable(line, 200), "` at the end of .lansyncignore brings it back");
  // A directory that is left out is left out whole: nothing below it can be named.
  std::string lines;
  std::string shown;
  const auto add = [&](const std::string& one) {
    lines += one + '\n';
    shown += str(shown.empty() ? "" : " ", '`', printable(one, 200), '`');
  };
  const IgnoreRules all = IgnoreRules::parse(rules);
  for (std::size_t slash = path.find('/'); slash != std::string::npos;
       slash = path.find('/', slash + 1)) {
    const std::string above = path.substr(0, slash);
    if (!all.ignored(above, true)) continue;
    add(str("!/", as_pattern(above), '/'));
    add(str('/', as_pattern(above), "/*"));
  }
  add(line);
  if (brings_back(lines))
    return str("the lines ", shown, ", in this order at the end of .lansyncignore, bring it back");
  return "take that line out of .lansyncignore, or give the file another name";
}

std::optional<int> run_why_command(const CommandLine& command, const CommandStreams& streams) {
  if (command.command != "why") return std::nullopt;
  const Answers answers = ask(command.dir);
  if (answers.failed != kExitDone) {
    streams.error << "lansync: " << answers.error << '\n';
    return answers.failed;
  }
  std::vector<Why> rows;
  if (command.names.empty()) {
    rows = why_all(command.dir, answers);
  } else {
    rows.push_back(why_of(command, answers, command.names.front()));
  }
  if (command.json) {
    Json document = Json::array();
    for (const Why& why : rows) document.push_back(to_json(why));
    streams.out << json_line(document) << '\n';
  } else {
    if (command.names.empty()) streams.out << state_line(answers.status) << '\n';
    for (std::size_t i = 0; i < rows.size(); ++i)
      streams.out << (i == 0 && !command.names.empty() ? "" : "\n") << to_text(rows[i]);
  }
  streams.out.flush();
  if (streams.out) return kExitDone;
  streams.error << "lansync: cannot write the answer\n";
  return kExitFailed;
}

}  // namespace lansync
