#include "app/options.h"

#include <sys/stat.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <deque>

#include "app/ask_commands.h"
#include "app/folder_names.h"
#include "app/units.h"
#include "base/log.h"
#include "base/rel_path.h"

namespace lansync {
namespace {

// What CLI11 fills in; turned into a CommandLine afterwards.
struct RawOptions {
  std::string positional_dir;
  std::string dir;
  bool json = false;
  bool watch = false;
  std::string peers;
  std::string timeout;
  std::string restore;
  std::string since;
  std::vector<std::string> names;
  std::string peer;
  std::string output;
  bool by_enet = false;
  bool by_lane = false;
  bool by_tcp = false;
  std::vector<std::string> words;
  bool yes = false;
  bool all = false;
  AskOptions ask;
  bool force_dir = false;
  bool on_demand = false;
  std::deque<std::vector<std::string>> values;  // one for each entry of settings(); stable places
};

struct Command {
  const char* name;
  const char* summary;
  const char* example;
  bool needs_node;
  void (*build)(CLI::App&, RawOptions&);
};

void build_nothing(CLI::App&, RawOptions&) {}

void build_run(CLI::App& app, RawOptions& raw) {
  app.add_option("DIR", raw.positional_dir,
                 "the folder (default: $LANSYNC_DIR, else ~/LanSync); created if missing");
  for (const Setting& setting : settings()) {
    std::vector<std::string>& values = raw.values.emplace_back();
    std::string flag = std::string("--") + setting.key;
    if (setting.type == SettingType::kFlag) {
      app.add_flag(flag + ",!--no-" + setting.key, raw.on_demand, setting.meaning);
      continue;
    }
    CLI::Option* option = app.add_option(flag, values, setting.meaning);
    option->type_name(setting.argument)->type_size(1)->allow_extra_args(false);
    if (setting.type != SettingType::kList) option->expected(1);
    if (setting.type == SettingType::kList) option->take_all();
  }
  app.add_flag("--force-dir", raw.force_dir, "take DIR even where it looks like a mistake");
}

void build_status(CLI::App& app, RawOptions& raw) {
  app.add_flag("--watch", raw.watch, "again each second, until interrupted");
}

void build_why(CLI::App& app, RawOptions& raw) {
  app.add_option("NAME", raw.names, "a path in the folder (default: all that is not in sync)")
      ->expected(0, 1);
}

void build_wait(CLI::App& app, RawOptions& raw) {
  app.add_option("--peers", raw.peers, "how many other nodes must be known (default 0)")
      ->type_name("N");
  app.add_flag("--all", raw.all,
               "until every connected node has it (default: on the hub, one other node that keeps "
               "everything; elsewhere, the hub)");
  app.add_option("--timeout", raw.timeout, "give up after this time (default: never)")
      ->type_name("DUR");
}

void build_trash(CLI::App& app, RawOptions& raw) {
  app.add_option("--restore", raw.restore, "bring this file or directory back")
      ->type_name("NAME[@TIME]");
  app.add_option("--since", raw.since, "only what went there since (ISO 8601, epoch seconds)")
      ->type_name("T");
}

void build_names(CLI::App& app, RawOptions& raw) {
  app.add_option("NAME", raw.names, "files or directories, relative to the folder")
      ->required()
      ->take_all();
}

void build_confirm(CLI::App& app, RawOptions& raw) {
  app.add_option("WORD", raw.words,
                 "[KIND] [RUN]: deletes, network, room, absence, strays, or a NAME; and of deletes "
                 "which run (default: what is held, if it is one kind)")
      ->expected(0, 2);
  app.add_flag("-y,--yes", raw.yes, "do not ask on a terminal");
}

void build_reject(CLI::App& app, RawOptions& raw) {
  app.add_option("RUN", raw.words, "which run, as `status` names it (default: all that are held)")
      ->expected(0, 1);
}

void build_download(CLI::App& app, RawOptions& raw) {
  app.add_option("NAME", raw.names, "a file, relative to the folder")->required()->expected(1);
  app.add_option("--peer", raw.peer, "from that node (default: whoever holds it)")
      ->type_name("NAME");
  CLI::Option* enet = app.add_flag("--enet", raw.by_enet, "over ENet, within the session");
  CLI::Option* lane = app.add_flag("--udp", raw.by_lane, "over the lane, UDP beside the session");
  CLI::Option* tcp = app.add_flag("--tcp", raw.by_tcp, "over TCP");
  enet->excludes(lane)->excludes(tcp);
  lane->excludes(tcp);
  app.add_option("--output", raw.output, "write it there, and nothing into the folder")
      ->type_name("FILE");
}

void add_peer(CLI::App& app, RawOptions& raw) {
  app.add_option("--peer", raw.ask.peer,
                 "whom to ask (default: the hub; on the hub, the only other node)")
      ->type_name("NAME");
}

void build_index(CLI::App& app, RawOptions& raw) {
  app.add_option("WHAT", raw.words,
                 "longlist: every file; shortlist FROM TO: with a timestamp between the two (ISO "
                 "8601 or epoch seconds); regex PATTERN: whose name matches")
      ->allow_extra_args();
  app.add_flag("--directories", raw.ask.directories, "list directories as well");
  add_peer(app, raw);
}

void build_hash(CLI::App& app, RawOptions& raw) {
  app.add_option("WHAT", raw.words,
                 "verify NAME: one file, read anew from the disk there; checkall: every file")
      ->allow_extra_args();
  app.add_flag("--repair", raw.ask.repair,
               "what rotted there is fetched anew from a good holder; the bad copy goes to the "
               "trash");
  add_peer(app, raw);
}

void build_search(CLI::App& app, RawOptions& raw) {
  app.add_option("NAME", raw.words, "a path, or without a / the name of a file in any directory")
      ->allow_extra_args();
  app.add_flag("--regex", raw.ask.regex, "NAME is a pattern that is looked for in whole paths");
}

void build_upload(CLI::App& app, RawOptions& raw) {
  app.add_option("FILE", raw.words, "the file, anywhere")->allow_extra_args();
  app.add_option("--to", raw.ask.to_peer, "the node that it is for")->type_name("NAME");
}

void build_uploads(CLI::App& app, RawOptions& raw) {
  app.add_option("ANSWER", raw.words, "allow ID or deny ID; without: list them")
      ->allow_extra_args();
}

void build_history(CLI::App& app, RawOptions& raw) {
  app.add_option("--since", raw.since, "only what was asked since (ISO 8601, epoch seconds)")
      ->type_name("T");
}

const std::vector<Command>& commands() {
  static const std::vector<Command> kCommands{
      {"run", "keep DIR in sync with the group, in the foreground (the default command)",
       "lansync run ~/Shared --group family --password-file ~/.family", false, build_run},
      {"status", "role and why, hub, state, files, transfers, peers", "lansync status --watch",
       true, build_status},
      {"why", "why a path, or anything, is not the same everywhere; what ends it",
       "lansync why notes/todo.txt", true, build_why},
      {"wait", "until N other nodes are known and everything is in sync",
       "lansync wait --peers 2 --timeout 1m", true, build_wait},
      {"peers", "the other nodes, and who was turned away and why", "lansync -C ~/Shared peers",
       true, build_nothing},
      {"index", "files of another node: name, size, timestamp, type",
       "lansync index regex '\\.jpe?g$' --peer alice", true, build_index},
      {"hash", "have another node read its files anew and compare with ours",
       "lansync hash checkall --repair --peer alice", true, build_hash},
      {"search", "who in the group has a file", "lansync search report.pdf", true, build_search},
      {"upload", "offer a file to a node; it decides", "lansync upload ~/plan.pdf --to alice", true,
       build_upload},
      {"uploads", "offers that wait here; allow or deny one", "lansync uploads allow 1", true,
       build_uploads},
      {"history", "requests made by this node and to it",
       "lansync history --since 2026-11-21T00:00:00Z", true, build_history},
      {"conflicts", "conflict copies in the folder", "lansync conflicts --json", true,
       build_nothing},
      {"trash", "what sync deleted or replaced; bring it back",
       "lansync trash --restore notes/todo.txt", true, build_trash},
      {"get", "fetch the content of files on an on-demand node; returns when it is verified",
       "lansync get photos/2026 notes.txt", true, build_names},
      {"drop", "free the space of files that other nodes keep; they stay known",
       "lansync drop photos/2026", true, build_names},
      {"download", "fetch one file now, from a named node or whoever holds it",
       "lansync download report.pdf --peer alice --output /tmp", true, build_download},
      {"plan", "what a sync would do now; nothing is done", "lansync plan", true, build_nothing},
      {"confirm", "let held things through", "lansync confirm deletes", true, build_confirm},
      {"reject", "undo a run of deletes: the files come back", "lansync reject 3f2a9c01", true,
       build_reject},
      {"pause", "stop syncing; survives a restart", "lansync pause", true, build_nothing},
      {"resume", "go on syncing after pause", "lansync resume", true, build_nothing},
      {"rescan", "look at the whole folder now", "lansync rescan", true, build_nothing},
      {"stop", "end the node, with goodbye to the others", "lansync stop", true, build_nothing},
      {"doctor", "what was sent and heard on each interface; what to do", "lansync doctor", true,
       build_nothing},
      {"genpass", "print a password for a group (80 random bits)",
       "lansync genpass > ~/.family && chmod 600 ~/.family", false, build_nothing},
      {"version", "version of the program and of its protocol", "lansync version --json", false,
       build_nothing},
  };
  return kCommands;
}

// Commands of CONTRACT that this version has not: never taken for a folder to create.
constexpr std::string_view kReserved[] = {"put",     "copies",      "where",  "help",    "sniff",
                                          "sim",     "invite",      "join",   "folders", "shell",
                                          "service", "maintenance", "retire", "unpin"};

// Other names of commands (CONTRACT).
constexpr std::pair<std::string_view, std::string_view> kAliases[] = {{"IndexGet", "index"},
                                                                      {"FileHash", "hash"},
                                                                      {"FileDownload", "download"},
                                                                      {"FileUpload", "upload"}};

const Command* find_command(std::string_view name) {
  for (const auto& [alias, meant] : kAliases)
    if (name == alias) name = meant;
  for (const Command& command : commands())
    if (name == command.name) return &command;
  return nullptr;
}

bool is_directory(const std::string& path) {
  struct stat info {};
  return ::stat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode);
}

ParsedCommandLine usage_error(const std::string& line) {
  ParsedCommandLine result;
  result.exit_code = kExitUsage;
  result.error = line;
  return result;
}

ParsedCommandLine help_text(const std::string& text) {
  ParsedCommandLine result;
  result.out = text;
  return result;
}

// One letter too many, too few, wrong, or two swapped.
bool one_slip(std::string_view a, std::string_view b) {
  if (a.size() > b.size()) std::swap(a, b);
  if (b.size() - a.size() > 1) return false;
  std::size_t i = 0;
  while (i < a.size() && a[i] == b[i]) ++i;
  if (a.size() != b.size()) return a.substr(i) == b.substr(i + 1);
  if (i == a.size() || a.substr(i + 1) == b.substr(i + 1)) return true;
  return i + 1 < a.size() && a[i] == b[i + 1] && a[i + 1] == b[i] &&
         a.substr(i + 2) == b.substr(i + 2);
}

// The command that `word` is a slip of the hand for; "": none.
std::string near_command(const std::string& word) {
  for (const Command& command : commands())
    if (one_slip(word, command.name)) return command.name;
  return "";
}

std::string general_help() {
  std::string text =
      "lansync keeps folders on the machines of a LAN the same.\n\n"
      "Usage:\n"
      "  lansync [DIR] [OPTIONS]             run a node; the same as `lansync run [DIR]`\n"
      "  lansync [-C DIR] COMMAND [OPTIONS]  ask the node that runs in DIR\n\n"
      "Commands:\n";
  for (const Command& command : commands()) {
    std::string name = command.name;
    name.resize(12, ' ');
    text += "  " + name + command.summary + "\n";
  }
  text +=
      "\nEvery command takes --help; those that ask a node take --json.\n"
      "Exit: 0 done, 1 failed or not so, 2 wrong usage, 3 no node is running there.\n\n"
      "Example:\n  lansync ~/Shared\n";
  return text;
}

// Options that stand before the command and take a value, so that the value is not taken for one.
bool takes_value(const std::string& token) {
  if (token == "-C") return true;
  if (!token.starts_with("--") || token.find('=') != std::string::npos) return false;
  const Setting* setting = find_setting(std::string_view(token).substr(2));
  return setting && setting->type != SettingType::kFlag;
}

// The place of the first argument that is no option; arguments.size() if all are.
std::size_t first_word(const std::vector<std::string>& arguments) {
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    if (arguments[i] == "--") return arguments.size();
    if (takes_value(arguments[i]))
      ++i;
    else if (!arguments[i].starts_with("-"))
      return i;
  }
  return arguments.size();
}

// Why `word` is probably not meant as a folder; "" if it may be one.
std::string not_a_folder(const std::string& word, const Environment& environment) {
  if (std::find(std::begin(kReserved), std::end(kReserved), word) != std::end(kReserved))
    return str("unknown command '", word,
               "' (not in this version): see `lansync --help` (a folder of that name: ./", word,
               ")");
  if (word.find('/') != std::string::npos || word.size() < 4) return "";
  if (is_directory(absolute_path(word, environment.current_directory))) return "";
  // A slip of the hand must not create a folder and start a node on it.
  if (const std::string near = near_command(word); !near.empty())
    return str("unknown command '", printable(word, 64), "': did you mean `lansync ", near,
               "`? (a new folder of that name: ./", printable(word, 64), ")");
  return "";
}

bool take_count(const std::string& text, std::uint32_t max, std::uint32_t& out) {
  std::uint64_t value = 0;
  if (text.empty() || text.size() > 9) return false;
  for (char c : text) {
    if (c < '0' || c > '9') return false;
    value = value * 10 + static_cast<std::uint64_t>(c - '0');
  }
  out = static_cast<std::uint32_t>(value);
  return value <= max;
}

// NAME@TIME. A name may hold an @ of its own: only a date (2026-11-21...) or ten digits and more,
// epoch seconds of this century, count as a time.
void split_restore(const std::string& text, CommandLine& out) {
  out.restore = text;
  std::size_t at = text.rfind('@');
  if (at == std::string::npos || at == 0) return;
  std::string tail = text.substr(at + 1);
  bool date = tail.size() >= 10 &&
              (tail[4] == '-' || tail.find_first_not_of("0123456789") == std::string::npos);
  if (!date) return;
  if (std::optional<WallTime> time = parse_time(tail)) {
    out.restore = text.substr(0, at);
    out.restore_time = time;
  }
}

// NAME as people and shells write it: ./a/b/ is a/b; from within the folder also as seen from
// there.
Result<std::string> name_argument(const std::string& text, const CommandLine& command,
                                  const Environment& environment) {
  std::string name = name_in_folder(text, command.dir, environment.current_directory);
  while (name.size() > 1 && name.ends_with('/')) name.pop_back();
  while (name.starts_with("./")) name.erase(0, 2);
  // The folder itself, where that is a directory like any other.
  if (name.empty() && !text.empty()) name = ".";
  if (name == "." && (command.command == "get" || command.command == "drop")) return name;
  if (Status valid = validate_relpath(name); !valid) {
    return Error{ErrorCode::kRefused,
                 str("'", printable(text, 200), "' is no name in the folder (",
                     valid.error().detail, "): give a path relative to it, / between parts")};
  }
  return name;
}

// The options of a command to a node, from texts to values. The error line, or "".
std::string take_values(const CLI::App& app, const RawOptions& raw, const Environment& environment,
                        CommandLine& out) {
  auto given = [&app](const char* option) {
    const CLI::Option* found = app.get_option_no_throw(option);
    return found && found->count() > 0;
  };
  if (given("--peers") && !take_count(raw.peers, 100000, out.peers))
    return str("--peers: '", printable(raw.peers, 64), "' is no number of nodes");
  if (given("--timeout")) {
    out.timeout = parse_duration(raw.timeout);
    if (!out.timeout)
      return str("--timeout: '", printable(raw.timeout, 64),
                 "' is no duration: write 500ms, 2s, 10m, 1h");
  }
  if (given("--since")) {
    out.since = parse_time(raw.since);
    if (!out.since)
      return str("--since: '", printable(raw.since, 64), "' is no time: write ", kTimeForms);
  }
  if (given("--restore")) {
    if (raw.restore.empty()) return "--restore: takes a name; `lansync trash` lists them";
    split_restore(raw.restore, out);
    Result<std::string> path = name_argument(out.restore, out, environment);
    if (!path) return path.error().detail;
    out.restore = std::move(*path);
  }
  if (given("--restore") && given("--since")) return "--restore and --since do not go together";
  for (const std::string& name : raw.names) {
    Result<std::string> path = name_argument(name, out, environment);
    if (!path) return path.error().detail;
    out.names.push_back(std::move(*path));
  }
  out.words = raw.words;
  out.yes = raw.yes;
  out.all = raw.all;
  out.peer = raw.peer;
  out.output = raw.output;
  if (raw.by_enet) out.carrier = CarrierChoice::kEnet;
  if (raw.by_lane) out.carrier = CarrierChoice::kLane;
  if (raw.by_tcp) out.carrier = CarrierChoice::kTcp;
  if (given("--output") && raw.output.empty()) return "--output: takes a file or a directory";
  if (out.watch && out.json) return "--watch and --json do not go together: --json is one document";
  return "";
}

SettingTexts given_settings(const CLI::App& app, const RawOptions& raw) {
  SettingTexts texts;
  for (std::size_t i = 0; i < settings().size(); ++i) {
    const Setting& setting = settings()[i];
    if (app.get_option(std::string("--") + setting.key)->count() == 0) continue;
    if (setting.type == SettingType::kFlag)
      texts[setting.key] = {raw.on_demand ? "true" : "false"};
    else
      texts[setting.key] = raw.values[i];
  }
  if (raw.force_dir) texts["force-dir"] = {"true"};
  return texts;
}

ParsedCommandLine finish_run(const CLI::App& app, const RawOptions& raw,
                             const Environment& environment, CommandLine command) {
  if (!raw.positional_dir.empty() && !raw.dir.empty()) {
    const std::string& word = raw.positional_dir;
    if (word.find('/') != std::string::npos ||
        is_directory(absolute_path(word, environment.current_directory)))
      return usage_error("give the folder once: as DIR or with -C DIR");
    // With the folder given already, a word is meant as a command.
    const std::string near = near_command(word);
    return usage_error(str("unknown command '", printable(word, 64), "': ",
                           near.empty() ? std::string("see `lansync --help`")
                                        : str("did you mean `lansync ", near, "`?")));
  }
  command.dir = run_folder(raw.positional_dir.empty() ? raw.dir : raw.positional_dir, environment);
  if (command.dir.empty())
    return usage_error("which folder? give it: lansync DIR ($HOME is not set)");
  Result<RunOptions> options =
      resolve_run_options(command.dir, given_settings(app, raw), environment);
  if (!options) return usage_error(options.error().detail);
  command.run = std::move(*options);
  ParsedCommandLine result;
  result.command = std::move(command);
  return result;
}

// CLI11's help without its own marks, and with the words that a command cannot do without.
std::string plain_help(std::string text, std::string_view command) {
  const auto put = [&text](std::string_view from, std::string_view to) {
    const std::size_t at = text.find(from);
    if (at != std::string::npos) text.replace(at, from.size(), to);
  };
  put("{false}", "");
  put("[WORD(0x)]", "[KIND] [RUN]");
  if (command == "upload" || command == "search") {
    put("[FILE...]", "FILE");
    put("[NAME...]", "NAME");
    put("TEXT ...", "");
  }
  if (command == "index" || command == "hash") put("[WHAT...]", "WHAT...");
  for (std::size_t at; (at = text.find(" Excludes: ")) != std::string::npos;)
    text.erase(at, text.find('\n', at) - at);
  return text;
}

// What was probably meant by an argument that no option or place takes; "" if that is not known.
std::string extra_line(const CLI::App& app, const Command& command,
                       const std::vector<std::string>& arguments, const Environment& environment) {
  for (const std::string& argument : arguments) {
    if (argument == "--") break;
    const std::string option = argument.substr(0, argument.find('='));
    if (!option.starts_with("--") || app.get_option_no_throw(option) != nullptr) continue;
    for (const CLI::Option* known : app.get_options())
      for (const std::string& name : known->get_lnames())
        if (one_slip(option, "--" + name))
          return str("unknown option ", printable(option, 64), ": did you mean --", name,
                     "? (see `lansync ", command.name, " --help`)");
    return str("unknown option ", printable(option, 64), " (see `lansync ", command.name,
               " --help`)");
  }
  // A folder and a command, in the order in which other programs take them.
  std::string folder;
  std::string asked = std::string_view(command.name) == "run" ? "" : command.name;
  for (const std::string& argument : arguments) {
    if (argument.starts_with("-")) return "";
    if (is_directory(absolute_path(argument, environment.current_directory))) {
      folder = argument;
    } else if (asked.empty() && find_command(argument) != nullptr) {
      asked = argument;
    }
  }
  if (folder.empty() || asked.empty()) return "";
  return str("the folder goes behind -C: write `lansync -C ", printable(folder, 200), ' ', asked,
             '`');
}

// CLI11's message, on one line, with what this program would say instead where people stumble.
std::string parse_error_line(const CLI::App& app, const CLI::ParseError& error,
                             const Command& command, const std::vector<std::string>& arguments,
                             const Environment& environment) {
  for (const std::string& argument : arguments)
    if (argument.starts_with("--password") && !argument.starts_with("--password-file"))
      return "a password never goes on the command line, where others can read it: use "
             "--password-file FILE or $LANSYNC_PASSWORD";
  if (error.get_exit_code() == static_cast<int>(CLI::ExitCodes::ExtrasError)) {
    if (std::string line = extra_line(app, command, arguments, environment); !line.empty())
      return line;
  }
  std::string text = error.what();
  text = text.substr(0, text.find('\n'));
  return str(printable(text, 300), " (see `lansync ", command.name, " --help`)");
}

ParsedCommandLine parse_with(const Command& command, std::vector<std::string> arguments,
                             const Environment& environment) {
  RawOptions raw;
  CLI::App app(command.summary, std::string("lansync ") + command.name);
  app.footer(std::string("\nExample:\n  ") + command.example);
  app.option_defaults()->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
  command.build(app, raw);
  // Of no use to version and genpass, and in nobody's way: scripts give it to every command.
  app.add_option("-C", raw.dir, "the node's folder")->type_name("DIR");
  if (std::string_view(command.name) != "run")
    app.add_flag("--json", raw.json, "one JSON document on stdout");
  try {
    std::vector<std::string> reversed(arguments.rbegin(), arguments.rend());
    app.parse(std::move(reversed));
  } catch (const CLI::CallForHelp&) {
    return help_text(plain_help(app.help(), command.name));
  } catch (const CLI::ParseError& error) {
    return usage_error(parse_error_line(app, error, command, arguments, environment));
  }
  CommandLine line;
  line.command = command.name;
  line.json = raw.json;
  line.watch = raw.watch;
  if (line.command == "run") return finish_run(app, raw, environment, std::move(line));
  if (command.needs_node) {
    line.dir = command_folder(raw.dir, environment);
    if (line.dir.empty())
      return usage_error("which folder? give it: lansync -C DIR " + line.command);
  }
  if (std::string error = take_values(app, raw, environment, line); !error.empty())
    return usage_error(error);
  line.ask = raw.ask;
  if (std::string error = take_ask_words(line.command, raw.words, line.ask); !error.empty())
    return usage_error(error);
  if (line.command == "upload")
    line.ask.file = absolute_path(line.ask.file, environment.current_directory);
  const bool names_a_path =
      line.ask.action == "verify" ||
      (line.command == "search" && !line.ask.regex && line.ask.name.find('/') != std::string::npos);
  if (names_a_path)
    line.ask.name = name_in_folder(line.ask.name, line.dir, environment.current_directory);
  ParsedCommandLine result;
  result.command = std::move(line);
  return result;
}

}  // namespace

std::string run_folder(const std::string& argument, const Environment& environment) {
  if (!argument.empty()) return absolute_path(argument, environment.current_directory);
  std::optional<std::string> variable = environment.variable("LANSYNC_DIR");
  if (variable && !variable->empty())
    return absolute_path(*variable, environment.current_directory);
  return environment.home.empty() ? "" : absolute_path("LanSync", environment.home);
}

std::string command_folder(const std::string& argument, const Environment& environment) {
  if (!argument.empty()) return absolute_path(argument, environment.current_directory);
  std::string at = environment.current_directory;
  while (!at.empty()) {
    if (is_directory((at == "/" ? "" : at) + "/.lansync")) return at;
    if (at == "/") break;
    at = at.substr(0, at.rfind('/'));
    if (at.empty()) at = "/";
  }
  return run_folder("", environment);
}

ParsedCommandLine parse_command_line(const std::vector<std::string>& arguments,
                                     const Environment& environment) {
  std::size_t word = first_word(arguments);
  const Command* command = word < arguments.size() ? find_command(arguments[word]) : nullptr;
  if (command) {
    std::vector<std::string> rest = arguments;
    rest.erase(rest.begin() + static_cast<std::ptrdiff_t>(word));
    return parse_with(*command, std::move(rest), environment);
  }
  for (const std::string& argument : arguments) {
    if (argument == "--") break;
    if (argument == "--help" || argument == "-h") return help_text(general_help());
    if (argument == "--version") return parse_with(*find_command("version"), {}, environment);
  }
  if (word < arguments.size()) {
    std::string why = not_a_folder(arguments[word], environment);
    if (!why.empty()) return usage_error(why);
  }
  return parse_with(*find_command("run"), arguments, environment);
}

}  // namespace lansync
