// Firewalls between members, as the simulated LAN has them: what each side's status and doctor say.
#include "sim/what_is_told.h"
#include "sim/world.h"
#include "support/catch.h"

using namespace lansync;
using namespace lansync::sim;

namespace {

// Nothing of `from` arrives at `to`.
void wall(World& world, SimNode& from, SimNode& to) {
  world.network().faults(from.ip(), to.ip()).cut = true;
}

std::string problems_of(World& world, SimNode& node) {
  std::string text;
  bool done = false;
  (void)node.node().doctor([&](const Result<DoctorFacts>& facts) {
    for (const DoctorFinding& one : facts->findings)
      if (one.problem) text += one.what + '\n';
    done = true;
  });
  REQUIRE(world.run_until([&] { return done; }, 5s));
  return text;
}

struct Group {
  explicit Group(std::uint64_t seed, const std::vector<std::string>& members) : world(seed) {
    NodeOptions first;
    first.role = ManualRole::kServer;
    hub = &world.add("hub", first);
    for (const std::string& name : members) all.push_back(&world.add(name));
    world.start_all();
    REQUIRE(world.converge(60s));
  }
  World world;
  SimNode* hub = nullptr;
  std::vector<SimNode*> all;
};

}  // namespace

TEST_CASE("who is not heard any more, and said no goodbye, is named by whoever is left alone") {
  Group group(932, {"b"});
  SimNode& b = *group.all[0];
  wall(group.world, *group.hub, b);
  wall(group.world, b, *group.hub);
  group.world.run_for(8s);
  const std::string first = group.hub->node().status().reason;
  CHECK((first.find("b (") != std::string::npos && first.find("silent") != std::string::npos));
  group.world.run_for(120s);
  for (auto [node, other] : {std::pair{group.hub, "b ("}, {&b, "hub ("}}) {
    const StatusReport report = node->node().status();
    CHECK(holds(report.reason, other));
    CHECK(holds(report.reason, "said no goodbye"));
    CHECK(holds(problems_of(group.world, *node), "said no goodbye"));
  }
  group.world.heal();
  REQUIRE(group.world.converge(120s));
}

TEST_CASE("who said goodbye is switched off, and nobody is told of a firewall") {
  for (const bool hub_goes : {false, true}) {
    Group group(933, {"b"});
    NodeHost& goes = hub_goes ? *group.hub : *group.all[0];
    SimNode& stays = hub_goes ? *group.all[0] : *group.hub;
    goes.stop();
    group.world.run_for(120s);
    const StatusReport report = stays.node().status();
    CHECK(report.state == NodeState::kInSync);
    CHECK(report.reason.find("goodbye") == std::string::npos);
    CHECK(report.reason.find("firewall") == std::string::npos);
  }
}
