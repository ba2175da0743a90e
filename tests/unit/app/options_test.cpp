#include "app/options.h"

#include <sys/stat.h>

#include <filesystem>

#include "app/first_screen.h"
#include "support/catch.h"
#include "unit/app/fake_node.h"

using namespace lansync;

namespace {

Environment environment_at(const std::string& directory,
                           std::map<std::string, std::string> variables = {}) {
  Environment environment;
  environment.variable = [variables](const std::string& name) -> std::optional<std::string> {
    auto at = variables.find(name);
    return at == variables.end() ? std::nullopt : std::optional<std::string>(at->second);
  };
  environment.current_directory = directory;
  environment.home = "/home/nobody-here";
  environment.host_name = "thishost";
  return environment;
}

ParsedCommandLine parse(const std::vector<std::string>& arguments,
                        const Environment& environment = environment_at("/nowhere")) {
  return parse_command_line(arguments, environment);
}

RunOptions run_options(const std::vector<std::string>& arguments,
                       const Environment& environment = environment_at("/nowhere")) {
  ParsedCommandLine parsed = parse(arguments, environment);
  INFO(parsed.error);
  REQUIRE(parsed.command);
  REQUIRE(parsed.command->command == "run");
  return parsed.command->run;
}

AskOptions asked(const std::vector<std::string>& arguments) {
  ParsedCommandLine parsed = parse(arguments, environment_at("/nowhere"));
  INFO(parsed.error);
  REQUIRE(parsed.command);
  return parsed.command->ask;
}

void check_refused(const std::vector<std::string>& arguments, const std::string& part,
                   const Environment& environment = environment_at("/nowhere")) {
  ParsedCommandLine parsed = parse(arguments, environment);
  std::string all;
  for (const std::string& argument : arguments) all += argument + " ";
  INFO(all << "-> " << parsed.error);
  CHECK_FALSE(parsed.command);
  CHECK(parsed.exit_code == kExitUsage);
  CHECK(parsed.out.empty());
  CHECK(parsed.error.find(part) != std::string::npos);
  CHECK(parsed.error.find('\n') == std::string::npos);
}

}  // namespace

TEST_CASE("without arguments a node runs with the defaults of the contract") {
  RunOptions options = run_options({});
  CHECK(options.dir == "/home/nobody-here/LanSync");
  CHECK(options.role == ManualRole::kAuto);
  CHECK(options.group == "lansync");
  CHECK(options.password.empty());
  CHECK(options.name == "thishost");
  CHECK(options.interfaces.empty());
  CHECK(options.peers.empty());
  CHECK(options.port == 27801);
  CHECK_FALSE(options.port_given);
  CHECK(options.carrier == CarrierChoice::kAuto);
  CHECK_FALSE(options.on_demand);
  CHECK(options.copies == 2);
  CHECK(options.settle == 2s);
  CHECK(options.settle_max == 60s);
  CHECK(options.rescan == 10min);
  CHECK(options.uploads == UploadPolicy::kAsk);
  CHECK_FALSE(options.limit);
  CHECK(options.max_deletes == MaxDeletes{50, 50});
  CHECK_FALSE(options.max_file_size);
  CHECK(options.log_level == LogLevel::kInfo);
  CHECK(options.log_file.empty());
  CHECK(options.keylog.empty());
  CHECK_FALSE(options.force_dir);
}

TEST_CASE("every option of the contract is taken, with or without the word run") {
  std::vector<std::string> arguments{"--role",
                                     "client",
                                     "--group",
                                     "g",
                                     "--name",
                                     "n",
                                     "--interface",
                                     "lo",
                                     "--interface",
                                     "eth7",
                                     "--peer",
                                     "bob",
                                     "--peer=10.0.0.1:9",
                                     "/data/x",
                                     "--port",
                                     "4000",
                                     "--carrier",
                                     "tcp",
                                     "--on-demand",
                                     "--copies",
                                     "3",
                                     "--settle",
                                     "60s",
                                     "--settle-max",
                                     "5m",
                                     "--rescan",
                                     "1h",
                                     "--uploads",
                                     "deny",
                                     "--limit",
                                     "20M",
                                     "--max-deletes",
                                     "10%",
                                     "--max-file-size",
                                     "1G",
                                     "--log-level",
                                     "debug",
                                     "--log-file",
                                     "log",
                                     "--keylog",
                                     "/k",
                                     "--force-dir"};
  std::vector<std::string> with_word = arguments;
  if (GENERATE(false, true)) arguments.insert(arguments.begin(), "run");
  RunOptions options = run_options(arguments);
  CHECK(options.dir == "/data/x");
  CHECK(options.role == ManualRole::kClient);
  CHECK(options.group == "g");
  CHECK(options.name == "n");
  CHECK(options.interfaces == std::vector<std::string>{"lo", "eth7"});
  CHECK(options.peers == std::vector<std::string>{"bob", "10.0.0.1:9"});
  CHECK(options.port == 4000);
  CHECK(options.port_given);
  CHECK(options.carrier == CarrierChoice::kTcp);
  CHECK(options.on_demand);
  CHECK(options.copies == 3);
  CHECK(options.settle == 60s);
  CHECK(options.settle_max == 5min);
  CHECK(options.rescan == 1h);
  CHECK(options.uploads == UploadPolicy::kDeny);
  CHECK(options.limit == 20'000'000u);
  CHECK(options.max_deletes == MaxDeletes{std::nullopt, 10});
  CHECK(options.max_file_size == 1'000'000'000u);
  CHECK(options.log_level == LogLevel::kDebug);
  CHECK(options.log_file == "/nowhere/log");
  CHECK(options.keylog == "/k");
  CHECK(options.force_dir);
  CHECK(options.warnings.size() == 1);
}

TEST_CASE("--max-deletes 0 holds one delete, and 100% holds none") {
  for (const char* none : {"0", "0%"}) {
    INFO(none);
    CHECK(run_options({"/folder", "--max-deletes", none}).max_deletes.exceeded_by(1, 1000));
  }
  const RunOptions all = run_options({"/folder", "--max-deletes", "100%"});
  CHECK_FALSE(all.max_deletes.exceeded_by(1000, 1000));
}

TEST_CASE("wrong usage is exit 2 and one line that says what is wrong") {
  check_refused({"--role", "king"}, "--role");
  check_refused({"--nonsense"}, "--nonsense");
  check_refused({"--port", "0"}, "--port");
  check_refused({"--port", "65535"}, "--port");
  check_refused({"--port", "27800"}, "beacons");
  check_refused({"--port"}, "--port");
  check_refused({"--settle", "2"}, "--settle");
  check_refused({"--settle", "5m", "--settle-max", "1m"}, "settle-max");
  check_refused({"--rescan", "0"}, "--rescan");
  check_refused({"--limit", "fast"}, "--limit");
  check_refused({"--limit", "0"}, "--limit");
  check_refused({"--max-deletes", "101%"}, "--max-deletes");
  check_refused({"--copies", "0"}, "--copies");
  check_refused({"--peer", "a:b:c"}, "--peer");
  check_refused({"--peer", ":27801"}, "--peer");
  check_refused({"--name", "a\x1b[2J"}, "--name");
  check_refused({"--name", std::string(65, 'x')}, "--name");
  check_refused({"--password", "hunter22"}, "--password-file");
  check_refused({"--password=hunter22"}, "--password-file");
  check_refused({"a", "b"}, "b");
  check_refused({"status", "extra"}, "extra");
  check_refused({"status", "--watch", "--json"}, "--json");
  check_refused({"wait", "--timeout", "soon"}, "--timeout");
  check_refused({"wait", "--peers", "-1"}, "peers");
  check_refused({"wait", "--peers", "two"}, "--peers");
  check_refused({"trash", "--since", "yesterday"}, "--since");
}

TEST_CASE("index, hash and search take their words, and say which are missing") {
  AskOptions list =
      asked({"index", "shortlist", "1700000000", "2023-11-14T22:13:30Z", "--peer", "b"});
  CHECK(list.action == "shortlist");
  CHECK(list.peer == "b");
  CHECK(list.from->ns == 1'700'000'000'000'000'000);
  // That second is included, as it is shown.
  CHECK(list.to->ns == 1'700'000'010'999'999'999);
  CHECK(asked({"IndexGet", "regex", "a b|c"}).name == "a b|c");
  CHECK(asked({"hash", "verify", "--", "-dash"}).name == "-dash");
  CHECK(asked({"FileHash", "checkall", "--repair"}).repair);
  CHECK(asked({"search", "--regex", "x"}).regex);
  check_refused({"index"}, "longlist");
  check_refused({"index", "longlist", "more"}, "longlist");
  check_refused({"index", "shortlist", "1"}, "two times");
  check_refused({"index", "shortlist", "2", "1"}, "later");
  check_refused({"index", "shortlist", "now", "2"}, "no time");
  check_refused({"index", "regex"}, "pattern");
  check_refused({"hash", "verify"}, "one name");
  check_refused({"hash", "checkall", "x"}, "no name");
  check_refused({"search"}, "one name");
}

TEST_CASE("a command that does not exist is never taken for a folder") {
  for (const char* word : {"put", "copies", "where", "invite", "join", "folders", "retire"})
    check_refused({word}, "unknown command");
  check_refused({"statsu"}, "lansync status");
  check_refused({"confrm"}, "lansync confirm");
  check_refused({"--port", "4000", "peer"}, "lansync peers");
  CHECK(run_options({"./statsu"}).dir == "/nowhere/statsu");
  CHECK(run_options({"run", "status"}).dir == "/nowhere/status");
  CHECK(run_options({"photos"}).dir == "/nowhere/photos");
  CHECK(run_options({"--name", "status"}).name == "status");
}

TEST_CASE(
    "a folder and a command in the wrong order, or misspelt, are answered with the right line") {
  TempFolder folder;
  std::filesystem::create_directory(folder.path() + "/Shared");
  const Environment here = environment_at(folder.path());
  check_refused({"-C", "Shared", "foo"}, "unknown command 'foo'", here);
  check_refused({"-C", "Shared", "statsu"}, "lansync status", here);
  check_refused({"-C", "/z", "Shared"}, "once", here);
  check_refused({"Shared", "status"}, "lansync -C Shared status", here);
  check_refused({"status", "Shared"}, "lansync -C Shared status", here);
  check_refused({"--pasword-file", "empty"}, "did you mean --password-file", here);
  check_refused({"--gruop=family"}, "did you mean --group", here);
  check_refused({"wait", "--timeot", "1s"}, "did you mean --timeout", here);
  check_refused({"--nothing-like-it"}, "unknown option --nothing-like-it", here);
}

TEST_CASE("a folder is taken although its name is near a command, if it is there") {
  TempFolder folder;
  std::filesystem::create_directory(folder.path() + "/statu");
  CHECK(run_options({"statu"}, environment_at(folder.path())).dir == folder.path() + "/statu");
}

TEST_CASE("the folder of a node comes from argument, variable, home, in this order") {
  Environment environment = environment_at("/here", {{"LANSYNC_DIR", "var"}});
  CHECK(run_options({}, environment).dir == "/here/var");
  CHECK(run_options({"x/../y/"}, environment).dir == "/here/y");
  CHECK(run_options({"-C", "/z"}, environment).dir == "/z");
  check_refused({"-C", "/z", "/y"}, "once", environment);
}

TEST_CASE("a command asks the node of -C, else of the nearest folder above, else the default") {
  TempFolder folder;
  std::filesystem::create_directories(folder.path() + "/a/b");
  Environment environment = environment_at(folder.path() + "/a/b");
  CHECK(parse({"status"}, environment).command->dir == folder.path());
  CHECK(parse({"-C", "/q", "status"}, environment).command->dir == "/q");
  CHECK(parse({"status", "-C", ".."}, environment).command->dir == folder.path() + "/a");
  CHECK(parse({"status"}, environment_at("/proc")).command->dir == "/home/nobody-here/LanSync");
}

TEST_CASE("options of commands arrive") {
  CHECK(parse({"status", "--json"}).command->json);
  CHECK(parse({"--json", "status"}).command->json);
  CHECK(parse({"status", "--watch"}).command->watch);
  CommandLine wait = *parse({"wait", "--peers", "2", "--timeout", "30s"}).command;
  CHECK(wait.peers == 2);
  CHECK(wait.timeout == Duration(30s));
  CommandLine trash = *parse({"trash", "--restore", "a@b/c@2026-11-21T10:00:00Z"}).command;
  CHECK(trash.restore == "a@b/c");
  REQUIRE(trash.restore_time);
  CHECK(to_iso8601(*trash.restore_time) == "2026-11-21T10:00:00Z");
  trash = *parse({"trash", "--restore", "mail@2024"}).command;
  CHECK(trash.restore == "mail@2024");
  CHECK_FALSE(trash.restore_time);
  for (const char* name : {"peers", "conflicts", "plan", "confirm", "reject", "pause", "resume",
                           "rescan", "stop", "doctor", "genpass", "version"}) {
    ParsedCommandLine parsed = parse({name, "--json"});
    INFO(name << ": " << parsed.error);
    REQUIRE(parsed.command);
    CHECK(parsed.command->command == name);
    CHECK(parsed.command->json);
  }
}

TEST_CASE("help is exit 0, on stdout, with an example for each command") {
  CHECK(parse({"--help"}).out.find("Commands:") != std::string::npos);
  for (const char* name :
       {"run", "status", "wait", "peers", "conflicts", "trash", "plan", "confirm", "reject",
        "pause", "resume", "rescan", "stop", "doctor", "genpass", "version"}) {
    ParsedCommandLine parsed = parse({name, "--help"});
    INFO(name);
    CHECK_FALSE(parsed.command);
    CHECK(parsed.exit_code == kExitDone);
    CHECK(parsed.out.find("Example:") != std::string::npos);
    CHECK(parsed.out.find("lansync") != std::string::npos);
  }
  for (const char* name : {"run", "confirm", "download", "upload", "search", "index", "hash"}) {
    const std::string text = parse({name, "--help"}).out;
    INFO(text);
    for (const char* mark : {"{false}", "(0x)", "Excludes", "[FILE...]", "[NAME...]", "[WHAT...]"})
      CHECK(text.find(mark) == std::string::npos);
  }
}

TEST_CASE("the command line wins over the config file") {
  TempFolder folder;
  folder.write(".lansync/config.toml",
               "group = \"family\"\nport = 5000\non-demand = true\nsettle = \"9s\"\n"
               "interface = [\"eth1\", \"eth2\"]\npeer = \"bob\"\nlimit = 1000\n"
               "log-file = \".lansync/node.log\"\nmax-deletes = 7\n");
  RunOptions options = run_options({folder.path()});
  CHECK(options.group == "family");
  CHECK(options.port == 5000);
  CHECK(options.port_given);
  CHECK(options.on_demand);
  CHECK(options.settle == 9s);
  CHECK(options.interfaces == std::vector<std::string>{"eth1", "eth2"});
  CHECK(options.peers == std::vector<std::string>{"bob"});
  CHECK(options.limit == 1000u);
  CHECK(options.log_file == folder.path() + "/.lansync/node.log");
  CHECK(options.max_deletes == MaxDeletes{7, std::nullopt});
  options = run_options(
      {folder.path(), "--group", "work", "--port", "6000", "--no-on-demand", "--interface", "lo"});
  CHECK(options.group == "work");
  CHECK(options.port == 6000);
  CHECK_FALSE(options.on_demand);
  CHECK(options.interfaces == std::vector<std::string>{"lo"});
  CHECK(options.settle == 9s);
}

TEST_CASE("a config file with an unknown key, a wrong type or wrong syntax is refused by name") {
  TempFolder folder;
  auto refused = [&folder](const std::string& text, const std::string& part) {
    folder.write(".lansync/config.toml", text);
    check_refused({folder.path()}, part);
  };
  refused("colour = \"red\"\n", "unknown key 'colour'");
  refused("password = \"hunter22\"\n", "unknown key 'password'");
  refused("port = \"5000\"\n", "'port' takes a whole number");
  refused("on-demand = \"yes\"\n", "'on-demand' takes true or false");
  refused("role = 1\n", "'role' takes a text");
  refused("peer = [1]\n", "'peer' takes");
  refused("settle = \"soon\"\n", "settle: 'soon'");
  refused("[run]\nport = 1\n", "unknown key 'run'");
  refused("port = \n", "config.toml:1");
  refused("a\x1b = 1\n", "config.toml");
  refused(std::string(1024 * 1024 + 1, '#'), "longer than");
}

TEST_CASE("a config.toml that is a pipe or a directory is refused at once, and named") {
  TempFolder folder;
  std::filesystem::create_directories(folder.path() + "/.lansync");
  const std::string config = folder.path() + "/.lansync/config.toml";
  for (const bool pipe : {true, false}) {
    std::filesystem::remove(config);
    if (pipe)
      REQUIRE(::mkfifo(config.c_str(), 0600) == 0);
    else
      std::filesystem::create_directory(config);
    const auto options = resolve_run_options(folder.path(), {}, environment_at("/nowhere"));
    REQUIRE_FALSE(options);
    CHECK(options.error().detail.find("config.toml is no plain file") != std::string::npos);
  }
}

TEST_CASE("a password comes from a file or a variable, and is long enough") {
  TempFolder folder;
  folder.write("good", "correct horse\n");
  folder.write("short", "1234567\n");
  folder.write("umlauts", "\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\n");
  std::string good = folder.path() + "/good";
  ::chmod(good.c_str(), 0600);
  RunOptions options = run_options({"--password-file", good});
  CHECK(options.password == "correct horse");
  CHECK(options.warnings.empty());
  ::chmod(good.c_str(), 0644);
  CHECK(run_options({"--password-file", good}).warnings.size() == 1);
  check_refused({"--password-file", folder.path() + "/short"}, "8 characters");
  check_refused({"--password-file", folder.path() + "/umlauts"}, "8 characters");
  check_refused({"--password-file", folder.path() + "/none"}, "cannot read");
  Environment variable = environment_at("/nowhere", {{"LANSYNC_PASSWORD", "from the variable"}});
  CHECK(run_options({}, variable).password == "from the variable");
  CHECK(run_options({"--password-file", good}, variable).password == "correct horse");
  // Set but empty is a mistake in a script, not a wish for an open group.
  check_refused({}, "LANSYNC_PASSWORD", environment_at("/nowhere", {{"LANSYNC_PASSWORD", ""}}));
  folder.write(".lansync/config.toml", "password-file = \"good\"\n");
  CHECK(run_options({folder.path()}).password == "correct horse");
  CHECK(run_options({folder.path()}, variable).password == "from the variable");
}

TEST_CASE("what would be synced is no place for a log, and none for a password without a word") {
  TempFolder folder;
  folder.write("photos/x", "x");
  for (const char* option : {"--keylog", "--log-file"}) {
    check_refused({folder.path(), option, folder.path() + "/file"}, "would be synced");
    check_refused({folder.path(), option, folder.path() + "/photos/file"}, "would be synced");
    run_options({folder.path(), option, folder.path() + "/.lansync/file"});
    run_options({folder.path(), option, folder.path() + "-elsewhere"});
  }
  folder.write("password", "correct horse\n");
  ::chmod((folder.path() + "/password").c_str(), 0600);
  std::vector<std::string> warnings =
      run_options({folder.path(), "--password-file", folder.path() + "/password"}).warnings;
  REQUIRE(warnings.size() == 1);
  CHECK(warnings[0].find("is synced with the folder") != std::string::npos);
}

TEST_CASE("settings and passwords that everybody on the machine may change are refused") {
  TempFolder folder;
  folder.write(".lansync/config.toml", "group = \"family\"\n");
  std::string config = folder.path() + "/.lansync/config.toml";
  ::chmod(config.c_str(), 0644);
  CHECK(run_options({folder.path()}).group == "family");
  ::chmod(config.c_str(), 0666);
  check_refused({folder.path()}, "chmod 600");
  ::chmod(config.c_str(), 0600);
  folder.write("password", "correct horse\n");
  ::chmod((folder.path() + "/password").c_str(), 0666);
  check_refused({"/data", "--password-file", folder.path() + "/password"}, "chmod 600");
}

TEST_CASE("the first screen names folder and group, and how to close an open one") {
  std::string open = first_screen(run_options({"/data", "--group", "family"}));
  CHECK(open.find("/data") != std::string::npos);
  CHECK(open.find("family") != std::string::npos);
  CHECK(open.find("OPEN") != std::string::npos);
  CHECK(open.find("--password-file") != std::string::npos);
  CHECK(open.find("`lansync -C /data status`") != std::string::npos);
  CHECK(first_screen(run_options({"/my own/anna's"}))
            .find("`lansync -C '/my own/anna'\\''s' stop`") != std::string::npos);
  std::string closed = first_screen(
      run_options({}, environment_at("/nowhere", {{"LANSYNC_PASSWORD", "a secret thing"}})));
  CHECK(closed.find("OPEN") == std::string::npos);
  CHECK(closed.find("a secret thing") == std::string::npos);
}

TEST_CASE("a repeatable option does not swallow the folder behind it") {
  RunOptions options = run_options({"--interface", "lo", "--peer", "bob", "/data"});
  CHECK(options.interfaces == std::vector<std::string>{"lo"});
  CHECK(options.peers == std::vector<std::string>{"bob"});
  CHECK(options.dir == "/data");
}
