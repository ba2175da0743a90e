// `wait` and `why` over a real socket: what they wait for, how they end, what they say.
#include <chrono>
#include <future>

#include "unit/app/control_rig.h"

using namespace lansync;

TEST_CASE("wait returns when the node says so") {
  TempFolder folder;
  RunningNode running(folder.path());
  CommandLine command = command_in(folder.path(), "wait", true);
  command.peers = 2;
  auto outcome = std::async(std::launch::async, [&] { return run(command); });
  REQUIRE(running.eventually([&] { return running.node.waiting.size() == 1; }));
  CHECK(running.on_loop([&] { return running.node.wait_peers; }) == 2);
  running.on_loop([&] {
    auto done = running.node.waiting.begin()->second;
    running.node.waiting.clear();
    done(running.node.report);
  });
  Outcome result = outcome.get();
  CHECK(result.code == kExitDone);
  CHECK(Json::parse(result.out)["state"] == "syncing");
}

TEST_CASE("wait is answered at once where it is so already") {
  TempFolder folder;
  RunningNode running(folder.path());
  running.on_loop([&] { running.node.wait_at_once = true; });
  CHECK(run(folder.path(), "wait").code == kExitDone);
}

TEST_CASE("wait at its timeout is exit 1 with the reason, and the node forgets it") {
  TempFolder folder;
  RunningNode running(folder.path());
  CommandLine command = command_in(folder.path(), "wait", true);
  command.peers = 4;
  command.timeout = 100ms;
  Outcome outcome = run(command);
  CHECK(outcome.code == kExitFailed);
  CHECK(Json::parse(outcome.out)["error"]["code"] == kExitFailed);
  CHECK(outcome.error.find("not so after 100ms: 1 of 4 other nodes known") != std::string::npos);
  CHECK(running.eventually([&] { return running.node.cancelled == 1; }));
  CHECK(running.eventually([&] { return running.server()->connections() == 0; }));
}

TEST_CASE("a hub that waits for a node that it only hears says so, and not that it is in sync") {
  TempFolder folder;
  RunningNode running(folder.path());
  running.on_loop([&] {
    StatusReport& report = running.node.report;
    report.state = NodeState::kInSync;
    report.reason.clear();
    PeerReport heard = report.peers.front();
    heard.name = "carl";
    heard.state = PeerState::kKnown;
    report.peers.push_back(heard);
  });
  CommandLine command = command_in(folder.path(), "wait");
  command.peers = 2;
  command.timeout = 100ms;
  CHECK(run(command).error.find("1 of 2 other nodes connected (carl heard and not connected)") !=
        std::string::npos);
}

TEST_CASE("why of a file knows its name, its hold and who has to be started") {
  TempFolder folder;
  RunningNode running(folder.path());
  running.on_loop([&] {
    FakeNode& node = running.node;
    HoldReport room;
    room.kind = HoldKind::kRoom;
    room.says = "12 MB do not fit";
    node.report.held = {room};
    node.planned = {{"held", "big", "12 MB do not fit", 9},
                    {"fetch", "far", "no node that is here has it: start one that does", 9}};
    node.examined.findings = {{true, "what: now?.txt: this disk holds no names with :",
                               "`lansync why 'what: now?.txt'` says who has it"},
                              {true, "secret: cannot be read: Permission denied",
                               "`lansync why 'secret'` says who has it"}};
  });
  std::map<std::string, Json> rows;
  for (const Json& row : Json::parse(run(folder.path(), "why", true).out))
    rows[row["name"].get<std::string>()] = row;
  REQUIRE(rows.contains("what: now?.txt"));
  CHECK(rows["what: now?.txt"]["waits_for"] == "this disk holds no names with :");
  CHECK_FALSE(rows.contains("what"));
  CHECK(rows["secret"]["advice"].get<std::string>().find("chmod u+rw 'secret'") !=
        std::string::npos);
  CHECK(rows["big"]["advice"].get<std::string>().find("confirm room") != std::string::npos);
  CHECK(rows["far"]["advice"].get<std::string>().starts_with("start that machine"));
  // A file whose name is the beginning of another's.
  CommandLine why = command_in(folder.path(), "why", true);
  why.names = {"what"};
  CHECK(Json::parse(run(why).out)[0]["state"] == "unknown");
}

TEST_CASE("wait without a node is exit 3 at its timeout") {
  TempFolder folder;
  CommandLine command = command_in(folder.path(), "wait");
  command.timeout = 150ms;
  CHECK(run(command).code == kExitNoNode);
  command.timeout = 0ms;
  CHECK(run(command).code == kExitNoNode);
}

TEST_CASE("wait waits for a node to appear") {
  TempFolder folder;
  CommandLine command = command_in(folder.path(), "wait");
  auto outcome = std::async(std::launch::async, [&] { return run(command); });
  RunningNode running(folder.path());
  running.on_loop([&] { running.node.wait_at_once = true; });
  // It may have asked before the line above.
  running.eventually([&] {
    if (running.node.waiting.empty()) return running.node.wait_peers == 0;
    auto done = running.node.waiting.begin()->second;
    running.node.waiting.clear();
    done(running.node.report);
    return true;
  });
  while (outcome.wait_for(1ms) != std::future_status::ready) {
    running.on_loop([&] {
      if (running.node.waiting.empty()) return;
      auto done = running.node.waiting.begin()->second;
      running.node.waiting.clear();
      done(running.node.report);
    });
  }
  CHECK(outcome.get().code == kExitDone);
}
