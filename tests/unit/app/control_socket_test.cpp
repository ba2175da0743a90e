// Over real unix sockets: the node's end runs its loop on a thread, the commands on this one.
#include "app/control_socket.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <asio.hpp>
#include <filesystem>
#include <fstream>
#include <future>
#include <sstream>
#include <thread>

#include "unit/app/control_rig.h"

using namespace lansync;

namespace {

// Sends bytes as they are and returns all that comes back until the other end closes.
std::string raw_exchange(const std::string& dir, const std::string& bytes) {
  Result<int> fd = connect_control(dir);
  REQUIRE(fd);
  for (std::size_t sent = 0; sent < bytes.size();) {
    ssize_t count = ::send(*fd, bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL);
    if (count <= 0) break;
    sent += static_cast<std::size_t>(count);
  }
  std::string out;
  char buffer[4096];
  for (ssize_t count; (count = ::recv(*fd, buffer, sizeof buffer, 0)) > 0;)
    out.append(buffer, static_cast<std::size_t>(count));
  ::close(*fd);
  return out;
}

}  // namespace

TEST_CASE("a command is answered over the socket, as a document or for people") {
  TempFolder folder;
  RunningNode running(folder.path());
  Outcome json = run(folder.path(), "status", true);
  CHECK(json.code == kExitDone);
  CHECK(json.error.empty());
  CHECK(Json::parse(json.out) == to_json_document(sample_status()));
  CHECK(json.out.find('\n') == json.out.size() - 1);
  CHECK(run(folder.path(), "status").out.find("nobody else was heard") != std::string::npos);
  for (const char* name :
       {"peers", "conflicts", "trash", "plan", "doctor", "reject", "pause", "resume", "rescan"}) {
    INFO(name);
    Outcome outcome = run(folder.path(), name, true);
    CHECK(outcome.code == kExitDone);
    CHECK(outcome.error.empty());
    CHECK_FALSE(Json::parse(outcome.out, nullptr, false).is_discarded());
    CHECK_FALSE(run(folder.path(), name).out.empty());
  }
}

TEST_CASE("what the node refuses is exit 1 and its line on stderr") {
  TempFolder folder;
  RunningNode running(folder.path());
  running.on_loop([&] { running.node.report.held.clear(); });
  Outcome outcome = run(folder.path(), "confirm", true);
  CHECK(outcome.code == kExitFailed);
  CHECK(Json::parse(outcome.out)["error"]["code"] == kExitFailed);
  CHECK(outcome.error == "lansync: nothing is held here\n");
}

TEST_CASE("where nothing is held, whoever of the group waits for a person's word is named") {
  TempFolder folder;
  RunningNode running(folder.path());
  running.on_loop([&] {
    running.node.report.held.clear();
    running.node.report.peers.front().behind.why =
        "it waits for a person's word there (`lansync status` there says what is held)";
  });
  const Outcome outcome = run(folder.path(), "confirm");
  CHECK(outcome.code == kExitFailed);
  CHECK(outcome.error ==
        "lansync: nothing is held here; bob waits for a person's word: `lansync confirm` or "
        "`lansync reject` on bob\n");
}

TEST_CASE("confirm and reject say which hold, and a terminal is asked before") {
  TempFolder folder;
  RunningNode running(folder.path());
  CommandLine confirm = command_in(folder.path(), "confirm");
  CHECK(run(confirm).out == "2 deletes go out\n");
  CHECK(running.on_loop([&] { return running.node.confirmed; }) == "deletes ");
  confirm.words = {"0a0b"};
  CHECK(run(confirm).code == kExitDone);
  CHECK(running.on_loop([&] { return running.node.confirmed; }) == "deletes 0a0b");
  running.on_loop([&] { running.node.confirmed = "nothing"; });
  for (const char* said : {"n", "", "Yes!", "y"}) {
    INFO(said);
    Prng random(1);
    std::ostringstream out;
    std::ostringstream error;
    CommandStreams streams{
        out, error, true, {}, [&](const std::string& question) {
          CHECK(question == "Delete these 15 files wherever they still are? [y/N] ");
          return std::string(said);
        }};
    const bool yes = std::string(said) == "y";
    CHECK(run_command(confirm, random, streams) == (yes ? kExitDone : kExitFailed));
    CHECK(out.str().find("15 deletes by bob") != std::string::npos);
    CHECK(running.on_loop([&] { return running.node.confirmed; }) ==
          (yes ? "deletes 0a0b" : "nothing"));
  }
  running.on_loop([&] {
    HoldReport network;
    network.kind = HoldKind::kNetwork;
    network.says = "strangers";
    running.node.report.held.push_back(network);
  });
  confirm.words.clear();
  CHECK(run(confirm).code == kExitUsage);
  CommandLine reject = command_in(folder.path(), "reject");
  reject.words = {"0a0b0c0d"};
  Outcome outcome = run(reject);
  CHECK(outcome.code == kExitDone);
  CHECK(outcome.out == "1 file is back\n1 live again and were left alone: left.txt\n");
  CHECK(running.on_loop([&] { return running.node.rejected; }) == "0a0b0c0d");
}

TEST_CASE("without a node there every command is exit 3 and says how to start one") {
  TempFolder folder;
  for (const char* name : {"status", "peers", "conflicts", "trash", "plan", "confirm", "reject",
                           "pause", "resume", "rescan", "stop", "doctor"}) {
    Outcome outcome = run(folder.path(), name, true);
    INFO(name);
    CHECK(outcome.code == kExitNoNode);
    CHECK(Json::parse(outcome.out)["error"]["code"] == kExitNoNode);
    CHECK(outcome.error.find("no node is running in " + folder.path()) != std::string::npos);
    CHECK(std::count(outcome.error.begin(), outcome.error.end(), '\n') == 1);
  }
  CHECK(run("/nonexistent/folder", "status").code == kExitNoNode);
  // Nobody is sent to start a node in a folder by a slip of the hand.
  CHECK(run("/nonexistent/folder", "status").error.find("does not exist") != std::string::npos);
  CHECK(run("/nonexistent/folder", "status").error.find("start one") == std::string::npos);
  CHECK(run(folder.path(), "status").error.find("-C DIR") != std::string::npos);
}

TEST_CASE("the socket that a dead node left is no node, and the next node takes its place") {
  TempFolder folder;
  int fd = ::socket(AF_UNIX, SOCK_STREAM, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::string path = folder.path() + "/.lansync/control.sock";
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  REQUIRE(::bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
  ::close(fd);
  CHECK(run(folder.path(), "status").code == kExitNoNode);
  RunningNode running(folder.path());
  CHECK(run(folder.path(), "status").code == kExitDone);
}

TEST_CASE("the socket is for its owner alone, and gone after a clean end") {
  TempFolder folder;
  std::string path = folder.path() + "/.lansync/control.sock";
  {
    RunningNode running(folder.path());
    struct stat info {};
    REQUIRE(::stat(path.c_str(), &info) == 0);
    CHECK(S_ISSOCK(info.st_mode));
    CHECK((info.st_mode & 0777) == 0600);
  }
  CHECK_FALSE(std::filesystem::exists(path));
}

TEST_CASE("a folder whose path is longer than a socket's address works the same") {
  TempFolder folder("/" + std::string(200, 'x') + "/" + std::string(200, 'y'));
  RunningNode running(folder.path());
  CHECK(run(folder.path(), "status").code == kExitDone);
  CHECK(std::filesystem::exists(folder.path() + "/.lansync/control.sock"));
}

TEST_CASE("where no socket can be made, the folder names one in a private directory") {
  TempFolder folder;
  TempFolder runtime;
  Result<ControlListener> listener = listen_control(folder.path(), runtime.path(), true);
  REQUIRE(listener);
  CHECK(listener->path.starts_with(runtime.path()));
  struct stat info {};
  REQUIRE(::stat(listener->private_dir.c_str(), &info) == 0);
  CHECK((info.st_mode & 0777) == 0700);
  Result<int> client = connect_control(folder.path());
  REQUIRE(client);
  ::close(*client);
  // A killed node's directory is found through the pointer and removed by the next.
  ::close(listener->fd);
  CHECK_FALSE(connect_control(folder.path()));
  Result<ControlListener> next = listen_control(folder.path(), runtime.path(), true);
  REQUIRE(next);
  CHECK_FALSE(std::filesystem::exists(listener->private_dir));
  close_control(*next);
  CHECK_FALSE(std::filesystem::exists(next->private_dir));
  CHECK_FALSE(std::filesystem::exists(folder.path() + "/.lansync/control.path"));
}

TEST_CASE("a pipe or a directory in place of the pointer to the socket hangs no command") {
  TempFolder folder;
  std::filesystem::create_directories(folder.path() + "/.lansync");
  const std::string pointer = folder.path() + "/.lansync/control.path";
  REQUIRE(::mkfifo(pointer.c_str(), 0600) == 0);
  CHECK_FALSE(connect_control(folder.path()));
  std::filesystem::remove(pointer);
  std::filesystem::create_directory(pointer);
  CHECK_FALSE(connect_control(folder.path()));
}

TEST_CASE("a node whose folder was moved or removed is found by the folder's name, and by that") {
  TempFolder place;
  TempFolder runtime;
  const std::string dir = place.path() + "/Shared";
  std::filesystem::create_directories(dir + "/.lansync");
  Result<ControlListener> listener = listen_control(dir, runtime.path());
  REQUIRE(listener);
  CHECK(is_in_place(*listener));
  CHECK_FALSE(has_refuge(dir));
  std::filesystem::rename(dir, place.path() + "/Elsewhere");
  CHECK_FALSE(is_in_place(*listener));
  CHECK_FALSE(connect_control(dir));
  // Also where the person's environment is another than the node's.
  for (const RuntimeDir& where : {RuntimeDir(), RuntimeDir("/nowhere")}) {
    Result<ControlListener> refuge = listen_refuge(dir, where);
    REQUIRE(refuge);
    CHECK(has_refuge(dir));
    Result<int> client = connect_control(dir);
    REQUIRE(client);
    ::close(*client);
    close_control(*refuge);
    CHECK_FALSE(has_refuge(dir));
  }
  // Back again, and a socket that another node has made meanwhile is not ours to remove.
  std::filesystem::rename(place.path() + "/Elsewhere", dir);
  CHECK(is_in_place(*listener));
  ::unlink(listener->path.c_str());
  Result<ControlListener> other = listen_control(dir, runtime.path());
  REQUIRE(other);
  close_control(*listener);
  CHECK(is_in_place(*other));
  close_control(*other);
}

TEST_CASE(
    "what a node left that was killed while its folder was gone goes when somebody looks for it") {
  TempFolder place;
  TempFolder runtime;
  const std::string dir = place.path() + "/Shared";
  for (const bool starts : {true, false}) {
    Result<ControlListener> refuge = listen_refuge(dir, std::nullopt);
    REQUIRE(refuge);
    CHECK(has_refuge(dir));
    ::close(refuge->fd);  // as the kernel does
    REQUIRE(std::filesystem::exists(std::filesystem::symlink_status(refuge->path)));
    if (starts) {
      CHECK_FALSE(has_refuge(dir));
    } else {
      CHECK_FALSE(connect_control(dir));  // `lansync stop`
    }
    CHECK_FALSE(std::filesystem::exists(std::filesystem::symlink_status(refuge->path)));
  }
  // What is no socket of ours is left where it is.
  Result<ControlListener> refuge = listen_refuge(dir, std::nullopt);
  REQUIRE(refuge);
  close_control(*refuge);
  std::ofstream(refuge->path) << "somebody's";
  CHECK_FALSE(has_refuge(dir));
  CHECK(std::filesystem::exists(refuge->path));
  std::filesystem::remove(refuge->path);
}

TEST_CASE("a runtime directory that others can write is no place for the socket") {
  TempFolder folder;
  TempFolder runtime;
  REQUIRE(::chmod(runtime.path().c_str(), 0777) == 0);
  Result<ControlListener> listener = listen_control(folder.path(), runtime.path(), true);
  REQUIRE(listener);
  CHECK_FALSE(listener->path.starts_with(runtime.path()));
  struct stat info {};
  REQUIRE(::stat(listener->private_dir.c_str(), &info) == 0);
  CHECK((info.st_mode & 0777) == 0700);
  close_control(*listener);
  if (::geteuid() != 0) return;
  // As $XDG_RUNTIME_DIR is after `sudo -E`.
  REQUIRE(::chmod(runtime.path().c_str(), 0700) == 0);
  REQUIRE(::chown(runtime.path().c_str(), 12345, 12345) == 0);
  listener = listen_control(folder.path(), runtime.path(), true);
  REQUIRE(listener);
  CHECK_FALSE(listener->path.starts_with(runtime.path()));
  close_control(*listener);
}

TEST_CASE("garbage is answered with an error and harms nobody") {
  TempFolder folder;
  ControlServer::Limits limits;
  limits.request_bytes = 4096;
  RunningNode running(folder.path(), limits);
  for (const std::string& bytes :
       {std::string("\n"), std::string("hello\n"), std::string("[]\n"), std::string("{}\n"),
        std::string("{\"command\":3}\n"), std::string("{\"command\":\"fly\"}\n"),
        std::string(3000, '[') + "\n", std::string("\0\xff\x1b\n", 4),
        std::string("{\"command\":\"trash\",\"args\":{\"since\":5}}\n"),
        std::string("{\"command\":\"trash-restore\",\"args\":[]}\n"),
        std::string("{\"command\":\"wait\",\"args\":{\"peers\":99999999999}}\n"),
        std::string(100'000, 'x')}) {
    INFO(bytes.substr(0, 60));
    std::string answer = raw_exchange(folder.path(), bytes);
    REQUIRE_FALSE(answer.empty());
    Json json = Json::parse(answer);
    CHECK(json["ok"] == false);
    CHECK(json["exit"] == kExitUsage);
  }
  CHECK(run(folder.path(), "status").code == kExitDone);
}

TEST_CASE("a request that nests as deep as it is long is refused, wherever the depth is") {
  TempFolder folder;
  RunningNode running(folder.path());
  const std::string deep(500'000, '[');
  const std::string closed = deep + std::string(500'000, ']');
  for (const std::string& bytes :
       {"{\"command\":\"status\",\"args\":{\"x\":" + closed + "}}\n",
        "{\"x\":" + closed + ",\"command\":\"status\"}\n",
        "{\"command\":\"get\",\"args\":{\"names\":" + closed + "}}\n", deep + "\n"}) {
    Json json = Json::parse(raw_exchange(folder.path(), bytes));
    CHECK(json["ok"] == false);
    CHECK(json["exit"] == kExitUsage);
  }
  // Brackets in a name are a name.
  const std::string name(64, '[');
  Json json =
      Json::parse(raw_exchange(folder.path(), "{\"command\":\"get\",\"args\":{\"names\":[\"" +
                                                  name + "\\\"" + name + "\"]}}\n"));
  CHECK(json["ok"] == true);
  CHECK(run(folder.path(), "status").code == kExitDone);
}

TEST_CASE("what is restored is a path, or nobody is asked for it") {
  TempFolder folder;
  RunningNode running(folder.path());
  for (const char* path : {"../x", "/x", "", "a//b", ".lansync/index.db"}) {
    Json json = Json::parse(
        raw_exchange(folder.path(),
                     str("{\"command\":\"trash-restore\",\"args\":{\"path\":\"", path, "\"}}\n")));
    CHECK(json["exit"] == kExitUsage);
  }
}

TEST_CASE("a connection that says nothing is closed, and there are never too many") {
  TempFolder folder;
  ControlServer::Limits limits;
  limits.connections = 2;
  limits.idle = 200ms;
  RunningNode running(folder.path(), limits);
  Result<int> first = connect_control(folder.path());
  Result<int> second = connect_control(folder.path());
  REQUIRE(first);
  REQUIRE(second);
  REQUIRE(running.eventually([&] { return running.server()->connections() == 2; }));
  ControlAnswer refused = ask_node(folder.path(), "status", Json::object(), 10s);
  CHECK(refused.exit_code == kExitFailed);
  CHECK(refused.error.find("too many") != std::string::npos);
  char byte = 0;
  CHECK(::recv(*first, &byte, 1, 0) == 0);
  CHECK(::recv(*second, &byte, 1, 0) == 0);
  ::close(*first);
  ::close(*second);
  CHECK(run(folder.path(), "status").code == kExitDone);
}

TEST_CASE("a node that ends cancels what is under way and closes every connection") {
  TempFolder folder;
  auto running = std::make_unique<RunningNode>(folder.path());
  auto answer = std::async(std::launch::async, [&] {
    return ask_node(folder.path(), "wait", Json::object(), std::nullopt);
  });
  REQUIRE(running->eventually([&] { return running->node.waiting.size() == 1; }));
  running.reset();
  ControlAnswer result = answer.get();
  CHECK(result.hung_up);
  CHECK(result.exit_code == kExitFailed);
}

TEST_CASE("stop returns when the node has closed its end") {
  TempFolder folder;
  RunningNode running(folder.path());
  Outcome outcome = run(folder.path(), "stop");
  CHECK(outcome.code == kExitDone);
  CHECK(running.node.stops == 1);
  CHECK(run(folder.path(), "status").code == kExitNoNode);
}

TEST_CASE("trash takes a time, and restores a name as of a time") {
  TempFolder folder;
  RunningNode running(folder.path());
  CommandLine list = command_in(folder.path(), "trash");
  list.since = parse_time("2026-11-21T10:00:00Z");
  CHECK(run(list).out.find("gone.txt") != std::string::npos);
  CHECK(running.on_loop([&] { return running.node.trash_since; }) == list.since);
  CommandLine restore = command_in(folder.path(), "trash");
  restore.restore = "a/b";
  restore.restore_time = list.since;
  CHECK(run(restore).out ==
        "brought back a/b, which went 1970-01-01T00:00:00Z, from the trash of bob\n");
  // What a person sees go is said to be kept.
  folder.write("letter", "of today");
  restore.restore = "letter";
  restore.restore_time.reset();
  CHECK(run(restore).out.find("; what stood there is in the trash\n") != std::string::npos);
  restore.restore = "a/b";
  restore.restore_time = list.since;
  CHECK(run(restore).code == kExitDone);
  CHECK(running.on_loop([&] { return running.node.restored.time; }) == list.since);
}

TEST_CASE("rows come in parts, each when the one before was taken, as one document with --json") {
  TempFolder folder;
  RunningNode running(folder.path());
  running.node.index_rows = 5000;
  running.node.index_page = 100;
  CommandLine command = command_in(folder.path(), "index", true);
  command.ask.action = "regex";
  command.ask.name = "f.*";
  command.ask.peer = "bob";
  Outcome outcome = run(command);
  CHECK(outcome.code == kExitDone);
  Json document = Json::parse(outcome.out);
  REQUIRE(document.size() == 5000);
  CHECK(document[4999]["name"] == "f4999");
  CHECK(document[4999]["size"] == 4999);
  CHECK(document[0]["type"] == "text/plain");
  CHECK(running.node.most_pages_waiting == 1);
  CHECK(running.node.index_asked.peer == "bob");
  CHECK(running.node.index_asked.pattern == "f.*");
  command.json = false;
  CHECK(run(command).out.find("text/plain                f17\n") != std::string::npos);
  command.ask.name = "(";
  CHECK(run(command).code == kExitUsage);
  running.node.ask_error = Error{ErrorCode::kIo, "bob went away"};
  command.ask.name = "f";
  command.json = true;
  outcome = run(command);
  CHECK(outcome.code == kExitFailed);
  CHECK(Json::parse(outcome.out)["error"]["code"] == kExitFailed);
  CHECK(outcome.error == "lansync: bob went away\n");
}

TEST_CASE("a hash that differs is exit 1, and so is a search that finds nothing") {
  TempFolder folder;
  RunningNode running(folder.path());
  CommandLine command = command_in(folder.path(), "hash", true);
  command.ask.action = "verify";
  command.ask.name = "a.txt";
  Outcome outcome = run(command);
  CHECK(outcome.code == kExitDone);
  CHECK(Json::parse(outcome.out)["same"] == true);
  running.node.hashes[0].same = false;
  CHECK(run(command).code == kExitFailed);
  running.node.hashes[0].same.reset();
  outcome = run(command);
  CHECK(outcome.code == kExitDone);
  CHECK(Json::parse(outcome.out)["same"].is_null());
  command.ask.action = "checkall";
  running.node.hashes[0].state = "rotten";
  outcome = run(command);
  CHECK(outcome.code == kExitFailed);
  CHECK(Json::parse(outcome.out).is_array());
  CommandLine search = command_in(folder.path(), "search", true);
  search.ask.name = "b.txt";
  CHECK(run(search).code == kExitDone);
  running.node.ask_error = Error{ErrorCode::kNotFound, "nobody in the group has b.txt"};
  outcome = run(search);
  CHECK(outcome.code == kExitFailed);
  CHECK(outcome.out == "[]\n");
  CHECK(outcome.error == "lansync: nobody in the group has b.txt\n");
  outcome = run(folder.path(), "history", true);
  CHECK(Json::parse(outcome.out)[0]["direction"] == "in");
}

TEST_CASE("version and genpass need no node") {
  Outcome version = run("", "version", true);
  CHECK(version.code == kExitDone);
  CHECK(Json::parse(version.out)["protocol"] == 2);
  CHECK(run("", "version").out.starts_with("lansync "));
  CHECK(run("", "genpass").out.size() == 20);
  CHECK(Json::parse(run("", "genpass", true).out)["password"].get<std::string>().size() == 19);
}

TEST_CASE("an answer that cannot be written is a failure") {
  TempFolder folder;
  RunningNode running(folder.path());
  Prng random(1);
  std::ostringstream out;
  out.setstate(std::ios::badbit);
  std::ostringstream error;
  CHECK(run_command(command_in(folder.path(), "status", true), random, {out, error, false, {}}) ==
        kExitFailed);
}

TEST_CASE("whoever closed the pipe has seen enough, and is told nothing") {
  struct ClosedPipe : std::streambuf {
    int overflow(int) override { return fail(); }
    int sync() override { return fail(); }
    int fail() {
      errno = EPIPE;
      return -1;
    }
  } pipe;
  TempFolder folder;
  RunningNode running(folder.path());
  Prng random(1);
  std::ostream out(&pipe);
  std::ostringstream error;
  CHECK(run_command(command_in(folder.path(), "plan"), random, {out, error, false, {}}) ==
        kExitFailed);
  CHECK(error.str().empty());
}

TEST_CASE("`hash checkall` shows how far it is where its rows do not go by, and takes that away") {
  TempFolder folder;
  RunningNode running(folder.path());
  for (const bool json : {false, true}) {
    for (const bool terminal : {false, true}) {
      CommandLine command = command_in(folder.path(), "hash", json);
      command.ask.action = "checkall";
      Prng random(1);
      std::ostringstream out;
      std::ostringstream error;
      std::vector<std::string> shown;
      CommandStreams streams{out, error, terminal, {}};
      streams.progress = [&](const std::string& line) { shown.push_back(line); };
      (void)run_command(command, random, streams);
      INFO(json << terminal << out.str() << error.str());
      if (!json && terminal) {
        CHECK(shown.empty());
        continue;
      }
      REQUIRE(shown.size() >= 2);
      CHECK(shown.front().ends_with(" files read"));
      CHECK(shown.front().find(" of about ") != std::string::npos);
      CHECK(shown.back().empty());
      CHECK(out.str().find("of about") == std::string::npos);
    }
  }
}
