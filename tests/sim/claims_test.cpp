// Who is hub, against strangers that forge and replay beacons, and with a hub that is of no use:
// real nodes, real handshakes.
#include <map>
#include <memory>
#include <vector>

#include "sim/world.h"
#include "support/catch.h"

using namespace lansync;
using namespace lansync::sim;

namespace {

constexpr std::uint32_t kEve = 0x0A0000F0;

// A machine on the LAN without a node: hears all beacons, and sends what it likes.
class Eve {
 public:
  explicit Eve(World& world) : world_(world) {
    world_.network().attach(kEve, {[] {},
                                   [this](const Address&, const Bytes& bytes, std::uint32_t) {
                                     if (auto beacon = decode_beacon(bytes))
                                       heard_.push_back({*beacon, bytes});
                                   }});
  }
  ~Eve() { world_.network().detach(kEve); }
  void say(const Beacon& beacon) { say(encode_beacon(beacon, std::nullopt)); }
  void say(const Bytes& bytes) { world_.network().broadcast(kEve, bytes); }
  // All that was said by an earlier start of that node, in order.
  std::vector<Bytes> of_earlier_starts(const NodeId& node, const BootId& now) const {
    std::vector<Bytes> found;
    for (const auto& [beacon, bytes] : heard_)
      if (beacon.node == node && beacon.boot != now) found.push_back(bytes);
    return found;
  }
  const Beacon& last_of(const NodeId& node) const {
    const Beacon* last = nullptr;
    for (const auto& [beacon, bytes] : heard_)
      if (beacon.node == node) last = &beacon;
    REQUIRE(last != nullptr);
    return *last;
  }

 private:
  World& world_;
  std::vector<std::pair<Beacon, Bytes>> heard_;
};

std::optional<NodeId> hub_of(SimNode& node) { return node.node().election().hub(); }
NodeId id_of(SimNode& node) { return node.node().replica().node(); }

SimNode* acting(World& world) {
  for (SimNode* node : world.running())
    if (is_hub(node->role())) return node;
  return nullptr;
}

void stop_and_wait(World& world, SimNode& node) {
  node.stop();
  REQUIRE(world.run_until([&] { return !node.running(); }, 2s));
}

void require_converged(World& world, Duration limit = 60s) {
  const bool fine = world.converge(limit);
  INFO(world.verdict());
  REQUIRE(fine);
}

}  // namespace

TEST_CASE("what an earlier start of the hub said, played again, moves no member for a moment") {
  for (std::uint64_t seed = 1; seed <= 4; ++seed) {
    World world(seed);
    Eve eve(world);
    SimNode& a = world.add("a");
    SimNode& b = world.add("b");
    a.write("f", "1");
    world.start_all();
    require_converged(world);
    // Each was away once: the hub of now has an earlier start, which its member has not met.
    for (SimNode* node : {&a, &b}) {
      stop_and_wait(world, *node);
      world.run_for(3s);
      node->start();
      require_converged(world);
    }
    SimNode* hub = acting(world);
    REQUIRE(hub != nullptr);
    SimNode& member = hub == &a ? b : a;
    const BootId boot = eve.last_of(id_of(*hub)).boot;
    const std::vector<Bytes> said = eve.of_earlier_starts(id_of(*hub), boot);
    REQUIRE(said.size() > 3);
    REQUIRE((decode_beacon(said.back())->flags & Beacon::kGoodbye) != 0);
    const std::uint64_t term = member.node().election().term();
    bool left = false;
    for (const Bytes& bytes : said) {
      eve.say(bytes);
      left |= world.run_until([&] { return hub_of(member) != id_of(*hub); }, 50ms);
    }
    left |= world.run_until([&] { return hub_of(member) != id_of(*hub); }, 5s);
    CHECK_FALSE(left);
    CHECK(member.node().election().term() == term);
    require_converged(world);
  }
}

TEST_CASE("forged hubs keep two fresh nodes apart for seconds, and make nothing flap after") {
  for (std::uint64_t seed = 1; seed <= 4; ++seed) {
    World world(seed);
    Eve eve(world);
    Prng random(seed);
    world.add("a").write("of-a", "a");
    world.add("b").write("of-b", "b");
    Beacon forged;
    forged.group = group_tag("sim");
    forged.role = Role::kServer;
    forged.manual = ManualRole::kProxy;
    forged.flags = Beacon::kHasData;
    forged.node = random.id<NodeId>();
    const auto attack = [&](Duration how_long) {
      for (Duration done{}; done < how_long; done += 100ms) {
        ++forged.counter;
        forged.boot = random.id<BootId>();
        forged.port = static_cast<std::uint16_t>(1 + random.below(60000));
        forged.term = random.next();
        if (seed % 2 == 0) forged.node = random.id<NodeId>();
        forged.flags =
            static_cast<std::uint8_t>(Beacon::kHasData | random.below(2) * Beacon::kSeek);
        eve.say(forged);
        // In the name of those that are there, too.
        if (random.chance(1, 4) && world.node("a").running()) {
          Beacon as_a = forged;
          as_a.node = id_of(random.chance(1, 2) ? world.node("a") : world.node("b"));
          eve.say(as_a);
        }
        world.run_for(100ms);
      }
    };
    attack(1s);
    world.start_all();
    attack(10s);
    INFO("seed " << seed << ": " << world.difference());
    REQUIRE(world.converged());
    SimNode* hub = acting(world);
    const std::uint64_t term = hub->node().election().term();
    attack(60s);
    CHECK(acting(world) == hub);
    CHECK(hub->node().election().term() == term);
    world.node("b").write("late", "b");
    attack(4s);
    CHECK(world.node("a").text("late") == "b");
  }
}

TEST_CASE("a hub whose index cannot be written gives the group to another within 15 s") {
  World world(7);
  for (const char* name : {"a", "b", "c"}) world.add(name);
  world.node("a").write("f", "1");
  world.start_all();
  require_converged(world);
  SimNode* hub = acting(world);
  REQUIRE(hub != nullptr);
  hub->store().set_fault([] { return Error{ErrorCode::kIo, "input/output error"}; });
  SimNode* writer = hub == &world.node("a") ? &world.node("b") : &world.node("a");
  writer->write("f", "2, while the hub's index cannot be written");
  const bool another = world.run_until(
      [&] {
        SimNode* now = acting(world);
        return now != nullptr && now != hub;
      },
      20s);
  INFO(world.difference());
  REQUIRE(another);
  // Between the two that can write the edit arrives, and the sick one is not asked again.
  std::vector<SimNode*> well;
  for (SimNode* node : world.running())
    if (node != hub) well.push_back(node);
  CHECK(world.run_until(
      [&] { return well[0]->text("f").size() > 10 && well[0]->text("f") == well[1]->text("f"); },
      20s));
  world.run_for(60s);
  CHECK(acting(world) != hub);
  hub->store().set_fault({});
  require_converged(world, 120s);
}

TEST_CASE("a node with another password leaves both seeking by their word, and hub by their role") {
  World world(9);
  world.add("a").write("f", "1");
  world.add("b").options().password = 2;
  world.start_all();
  world.run_for(10s);
  for (const char* name : {"a", "b"}) {
    StatusReport report = world.node(name).node().status();
    INFO(name << ": " << report.reason);
    CHECK(is_hub(report.role));
    CHECK(report.state == NodeState::kSeeking);
    CHECK(report.reason.find(name[0] == 'a' ? "b has" : "a has") != std::string::npos);
    CHECK(report.reason.find("--password-file") != std::string::npos);
    // It is answered at the end, when there is somebody.
    auto waited = std::make_shared<bool>(false);
    (void)world.node(name).node().wait({}, [waited](Result<StatusReport>) { *waited = true; });
    world.run_for(3s);
    CHECK_FALSE(*waited);
  }
  // One of its own group, and it is as well as ever.
  world.add("c").start();
  CHECK(
      world.run_until([&] { return world.node("a").in_sync() && world.node("c").in_sync(); }, 10s));
  CHECK(world.node("a").node().status().state == NodeState::kInSync);
}
