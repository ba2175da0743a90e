// What a node says of the others: who is behind, what is on no other machine, what was not
// finished.
#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "sim/may_not_replace.h"
#include "sim/what_is_told.h"
#include "sim/world.h"
#include "support/catch.h"

using namespace lansync;
using namespace lansync::sim;

namespace {

constexpr std::size_t kSize = 8'000'000;

std::string film() {
  std::string text(kSize, '\0');
  Prng random(5);
  for (char& c : text) c = static_cast<char>('a' + random.below(26));
  return text;
}

// A hub and its members on lines on which the film takes four seconds.
struct Company {
  explicit Company(std::uint64_t seed, const std::vector<std::string>& members) : world(seed) {
    if (std::getenv("LANSYNC_SIM_TRACE") != nullptr) {
      world.trace().set_sink([](const std::string& line) { std::puts(line.c_str()); });
    }
    NodeOptions first;
    first.role = ManualRole::kServer;
    hub = &world.add("hub", first);
    for (const std::string& name : members) all.push_back(&world.add(name));
    world.start_all();
    settle();
    LinkFaults faults;
    faults.bytes_per_second = 2'000'000;
    world.network().set_all(faults);
  }
  void settle(Duration limit = 120s) {
    const bool fine = world.converge(limit);
    INFO(world.verdict());
    INFO(world.difference());
    REQUIRE(fine);
  }
  PeerReport row(SimNode& at, const std::string& name) {
    for (const PeerReport& peer : at.node().status().peers)
      if (peer.name == name) return peer;
    return {};
  }
  World world;
  SimNode* hub = nullptr;
  std::vector<SimNode*> all;
};

struct Waiting {
  Waiting(SimNode& node, bool all) {
    (void)node.node().wait(WaitAsk{0, all}, [this](const Result<StatusReport>&) { done = true; });
  }
  bool done = false;
};

}  // namespace

TEST_CASE("`wait` on the hub lasts until another node has it, and meanwhile says who is behind") {
  Company company(900, {"b"});
  company.hub->write("film", film());
  Waiting wait(*company.hub, false);
  REQUIRE(company.world.run_until([&] { return company.row(*company.hub, "b").behind.files == 1; },
                                  5s));
  company.world.run_for(1s);
  CHECK_FALSE(wait.done);
  const StatusReport report = company.hub->node().status();
  CHECK(report.state == NodeState::kSyncing);
  CHECK(holds(report.reason, "b is behind by 1 file"));
  CHECK(company.row(*company.hub, "b").behind.bytes > 0);
  CHECK(company.row(*company.hub, "b").behind.bytes <= kSize);
  CHECK(report.left_files == 1);
  CHECK(company.world.run_until([&] { return wait.done; }, 60s));
  CHECK(company.all[0]->has("film"));
  company.settle();
  CHECK(company.hub->node().status().state == NodeState::kInSync);
  CHECK(company.row(*company.hub, "b").behind.files == 0);
}

TEST_CASE("`wait --all` lasts until every member has it, on the hub and on a member") {
  Company company(901, {"b", "c"});
  company.all[1]->pause();
  company.world.run_for(1s);
  company.hub->write("f", "text");
  Waiting one(*company.hub, false);
  Waiting all(*company.hub, true);
  REQUIRE(company.world.run_until([&] { return company.all[0]->has("f"); }, 10s));
  Waiting member(*company.all[0], true);
  company.world.run_for(20s);
  CHECK(one.done);
  CHECK_FALSE(all.done);
  CHECK_FALSE(member.done);
  // Named, with what ends it; and the hub does not pretend that something goes on.
  const PeerReport row = company.row(*company.hub, "c");
  CHECK(row.behind.files == 1);
  CHECK(holds(row.behind.why, "paused"));
  CHECK(company.hub->node().status().state == NodeState::kInSync);
  CHECK(holds(company.hub->node().status().reason, "c is behind by 1 file"));
  company.all[1]->resume();
  CHECK(company.world.run_until([&] { return all.done && member.done; }, 10s));
  company.settle();
}

TEST_CASE("who pushed it all itself keeps no `wait` of the hub waiting") {
  Company company(902, {"b"});
  for (int i = 0; i < 20; ++i) company.all[0]->write(str("f", i), str("text ", i));
  company.settle();
  Waiting wait(*company.hub, true);
  CHECK(company.world.run_until([&] { return wait.done; }, 5s));
}

TEST_CASE("without another node `wait` on the hub is about its own folder") {
  Company company(903, {"b"});
  company.all[0]->kill();
  company.world.run_for(10s);
  company.hub->write("f", "text");
  Waiting wait(*company.hub, true);
  CHECK(company.world.run_until([&] { return wait.done; }, 10s));
}

TEST_CASE(
    "a hub that stops while a member fetches says what is nowhere else; the member, what it "
    "misses") {
  for (const bool killed : {false, true}) {
    Company company(904, {"b", "c"});
    INFO((killed ? "killed" : "stopped"));
    company.hub->write("film", film());
    REQUIRE(company.world.run_until(
        [&] {
          const auto rows = company.all[0]->node().status().transfers;
          return !rows.empty() && rows.front().done > kSize / 5;
        },
        20s));
    const Result<ActionReport> said = company.hub->node().stop();
    CHECK(holds(said->message, "1 file is on no other machine yet"));
    CHECK(said->count == 1);
    if (killed) company.hub->kill();
    company.world.run_for(12s);
    for (SimNode* member : company.all) {
      const StatusReport report = member->node().status();
      INFO(member->name());
      CHECK(holds(report.reason, "film is here by "));
      CHECK(holds(report.reason, "hub, which held it, is gone"));
      // `why` goes by the plan.
      const std::vector<PlanReport> plan = member->node().plan();
      const auto row = std::find_if(plan.begin(), plan.end(),
                                    [](const PlanReport& one) { return one.path == "film"; });
      REQUIRE(row != plan.end());
      CHECK(row->action == "fetch");
      CHECK(holds(row->why, "hub, which held it, is gone: start it again"));
    }
    company.hub->start();
    company.settle();
    for (SimNode* member : company.all) {
      CHECK(member->has("film"));
      CHECK_FALSE(holds(member->node().status().reason, "is gone"));
    }
  }
}

TEST_CASE("a bar does not go back when the hub is killed in between and comes again") {
  Company company(905, {"b"});
  company.hub->write("film", film());
  std::uint64_t most = 0;
  bool fell = false;
  auto look = [&] {
    for (const TransferReport& row : company.all[0]->node().status().transfers) {
      fell = fell || row.done < most;
      most = std::max(most, row.done);
    }
    return most > kSize / 5;
  };
  REQUIRE(company.world.run_until(look, 20s));
  company.hub->kill();
  company.world.run_until([&] { return look() && false; }, 5s);
  company.hub->start();
  company.world.run_until([&] { return look() && company.all[0]->has("film"); }, 60s);
  CHECK_FALSE(fell);
  company.settle();
}

TEST_CASE("a machine whose cable is out is not in sync, and waits for nothing to come true") {
  Company company(906, {"b"});
  company.world.unplug("hub");
  company.world.run_for(5s);
  CHECK(company.hub->node().status().state == NodeState::kSeeking);
  Waiting wait(*company.hub, false);
  company.world.run_for(5s);
  CHECK_FALSE(wait.done);
  company.world.plug("hub");
  CHECK(company.world.run_until([&] { return wait.done; }, 20s));
  company.settle();
}

TEST_CASE("the hub says which file was only half here when its pusher left") {
  Company company(908, {"b", "c"});
  SimNode& pusher = *company.all[0];
  pusher.write("film", film());
  REQUIRE(company.world.run_until(
      [&] {
        const auto rows = company.hub->node().status().transfers;
        return !rows.empty() && rows.front().done > kSize / 5;
      },
      20s));
  pusher.kill();
  company.world.run_for(40s);  // more than its session's time limit
  const StatusReport report = company.hub->node().status();
  CHECK(holds(report.reason, "film is here by "));
  CHECK(holds(report.reason, "b, which held it, is gone"));
  pusher.start();
  company.settle();
  company.world.run_for(5s);
  CHECK(company.hub->node().status().reason.empty());
}

TEST_CASE(
    "what a member misses is known also when its session with the hub ends before the hub is "
    "lost") {
  // A member that stands still while the hub dies counts the hub's silence anew; the session's own
  // time limit goes by.
  for (const Duration frozen : {Duration(2500ms), Duration(5s), Duration(12s)}) {
    Company company(907, {"b", "c"});
    INFO("frozen for " << to_string(frozen));
    company.hub->write("film", film());
    SimNode& member = *company.all[0];
    REQUIRE(company.world.run_until(
        [&] {
          const auto rows = member.node().status().transfers;
          return !rows.empty() && rows.front().done > kSize / 5;
        },
        20s));
    company.hub->kill();
    member.freeze(frozen);
    company.world.run_for(frozen + 15s);
    const StatusReport report = member.node().status();
    CHECK(holds(report.reason, "film is here by "));
    CHECK(holds(report.reason, "hub, which held it, is gone"));
    company.hub->start();
    company.settle();
    CHECK(member.has("film"));
  }
}

TEST_CASE("a member whose disk cannot hold a file is behind by it, and `wait --all` names it") {
  Company company(908, {"b", "c"});
  SimNode& lacking = *company.all[0];
  SimNode& other = *company.all[1];
  REQUIRE(lacking.make_pipe("x"));
  company.world.run_for(3s);
  company.hub->write("x", "has no place there");
  company.world.run_for(60s);
  REQUIRE(other.has("x"));
  CHECK(lacking.node().status().state == NodeState::kInSync);
  const PeerReport row = company.row(*company.hub, "b");
  CHECK(row.behind.files == 1);
  CHECK(holds(row.behind.why, "cannot hold"));
  CHECK(holds(company.hub->node().status().reason, "b is behind by 1 file"));
  Waiting one(*company.hub, false);
  Waiting all(*company.hub, true);
  Waiting member(other, true);
  company.world.run_for(10s);
  CHECK(one.done);
  CHECK_FALSE(all.done);
  CHECK_FALSE(member.done);
  const PeerReport told = company.row(other, "b");
  CHECK(told.behind.files == 1);
  CHECK(holds(told.why, "cannot hold"));
  REQUIRE(lacking.erase("x"));
  CHECK(company.world.run_until([&] { return all.done && member.done; }, 60s));
  CHECK(lacking.has("x"));
  CHECK(company.row(*company.hub, "b").behind.files == 0);
}

TEST_CASE("what was made alone is counted, also by the next start, until another node has it") {
  Company company(909, {"b"});
  SimNode& member = *company.all[0];
  company.hub->write("f", "text");
  company.settle();
  CHECK(member.node().status().only_here == 0);
  CHECK(company.hub->node().status().only_here == 0);
  company.world.run_for(5s);
  company.hub->kill();
  // Also what is made within a moment of the last contact.
  member.write("alone0", "text 0");
  company.world.run_for(15s);
  for (int i = 1; i < 3; ++i) member.write(str("alone", i), str("text ", i));
  company.world.run_for(10s);
  CHECK(member.node().status().only_here == 3);
  CHECK(holds(member.node().status().reason, "3 files are on no other machine yet"));
  member.kill();
  member.start();
  company.world.run_for(10s);
  CHECK(member.node().status().only_here == 3);
  company.hub->start();
  company.settle();
  CHECK(member.node().status().only_here == 0);
  CHECK(company.hub->node().status().only_here == 0);
}

// ---- what a limit of a size leaves out
// ----------------------------------------------------------------------------------

namespace {

void restart_with_limit(Company& company, SimNode& node, std::uint64_t most) {
  node.stop();
  REQUIRE(company.world.run_until([&] { return !node.running(); }, 5s));
  node.options().max_file_size = most;
  node.start();
  company.settle();
}

}  // namespace

TEST_CASE("a member whose --max-file-size refuses a file is no holder of it: `wait`, stop") {
  Company company(910, {"b"});
  SimNode& b = *company.all[0];
  restart_with_limit(company, b, 1000);
  company.hub->write("small", "s");
  company.hub->write("thesis", std::string(5000, 't'));
  company.settle();
  REQUIRE(b.has("small"));
  REQUIRE_FALSE(b.has("thesis"));
  Waiting one(*company.hub, false);
  Waiting all(*company.hub, true);
  company.world.run_for(10s);
  CHECK_FALSE(one.done);
  CHECK_FALSE(all.done);
  const PeerReport row = company.row(*company.hub, "b");
  CHECK(row.behind.files == 1);
  CHECK(holds(row.behind.why, "cannot hold that"));
  CHECK(company.hub->node().status().only_here == 1);
  company.hub->write("small too", "s");
  company.settle();
  CHECK(company.hub->node().status().only_here == 1);
  restart_with_limit(company, b, 0);
  CHECK(company.world.run_until([&] { return one.done && all.done; }, 10s));
  CHECK(company.hub->node().status().only_here == 0);
}

TEST_CASE("`wait` of a member is not over while the hub refuses its file and nobody else has it") {
  Company company(911, {"b", "c"});
  SimNode& b = *company.all[0];
  SimNode& c = *company.all[1];
  restart_with_limit(company, *company.hub, 1000);
  c.stop();
  REQUIRE(company.world.run_until([&] { return !c.running(); }, 5s));
  b.write("thesis", std::string(5000, 't'));
  company.settle();
  Waiting wait(b, false);
  company.world.run_for(20s);
  CHECK_FALSE(wait.done);
  c.start();
  CHECK(company.world.run_until([&] { return wait.done; }, 60s));
  CHECK(c.has("thesis"));
}

// ---- what has not rested yet
// ----------------------------------------------------------------------------------

TEST_CASE("what waits for its rest is in the plan, and a file that was just deleted is not got") {
  Company company(912, {"b"});
  SimNode& hub = *company.hub;
  const auto planned = [&](const std::string& path) {
    for (const PlanReport& row : hub.node().plan())
      if (row.path == path) return row;
    return PlanReport{};
  };
  hub.write("f", "first");
  company.settle();
  CHECK(hub.node().plan().empty());
  hub.write("f", "second");
  company.world.run_for(100ms);
  CHECK(planned("f").action == "settle");
  CHECK(holds(planned("f").why, "changed here"));
  company.settle();
  hub.erase("f");
  company.world.run_for(100ms);
  CHECK(planned("f").action == "settle");
  CHECK(holds(planned("f").why, "deleted here"));
  std::optional<std::string> answer;
  hub.get("f", [&](const std::string& why_not) { answer = why_not; });
  CHECK(company.world.run_until([&] { return answer.has_value(); }, 10s));
  CHECK(holds(answer.value_or(""), "it was deleted"));
  company.settle();
}

TEST_CASE("deletes, renames and directories are no files that are on no other machine yet") {
  Company company(913, {"b"});
  SimNode& hub = *company.hub;
  const auto alone = [&] {
    company.world.run_for(100ms);
    return hub.node().status().only_here;
  };
  for (const char* path : {"a", "b", "d/c"}) hub.write(path, str("text of ", path));
  company.settle();
  CHECK(alone() == 0);
  hub.erase("a");
  CHECK(alone() == 0);
  hub.rename("b", "renamed");
  CHECK(alone() == 0);
  hub.erase("d/c");
  hub.erase("d");
  CHECK(alone() == 0);
  company.settle();
  hub.write("e/new", "new");
  CHECK(alone() == 1);
  company.settle();
  hub.write("e/new", "newer");
  CHECK(alone() == 1);
  company.settle();
  CHECK(alone() == 0);
}

TEST_CASE("a first reading of eight files has eight to go") {
  World world(914);
  SimNode& a = world.add("a");
  for (int i = 0; i < 8; ++i) a.write(str("f", i), "text");
  world.start_all();
  const auto reason = [&] { return a.node().status().reason; };
  REQUIRE(world.run_until([&] { return reason().find("to go") != std::string::npos; }, 5s));
  CHECK(holds(reason(), "reading the folder: 8 files to go"));
}

TEST_CASE("a member that may not replace a file has it at no moment: `wait` on the hub, stop") {
  Company company(931, {"b"});
  SimNode& hub = *company.hub;
  SimNode& b = *company.all[0];
  hub.write("f", "base");
  company.settle();
  const MayNotReplace kept(b, "f");
  for (int i = 0; i < 4; ++i) {
    hub.write("f", str("edit ", i));
    Waiting one(hub, false);
    // From the moment in which it is noticed b is behind by it, whatever b does meanwhile.
    REQUIRE(company.world.run_until([&] { return company.row(hub, "b").behind.files == 1; }, 10s));
    for (int step = 0; step < 400; ++step) {
      company.world.run_for(20ms);
      if (step == 150) hub.write("other", str("other ", i));
      if (step == 250) (void)b.node().rescan();
      REQUIRE_FALSE(one.done);
      REQUIRE(company.row(hub, "b").behind.files >= 1);
    }
    CHECK(b.text("other") == str("other ", i));
    CHECK(b.text("f") == "base");
    CHECK(hub.node().status().only_here == 1);
  }
  CHECK(holds(hub.node().stop()->message, "1 file is on no other machine yet"));
}
