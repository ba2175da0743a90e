// What a member can do with terms, sequences and rosters inside its sessions: it may be hub by the
// rules, and never by a number that nobody else could have come to.
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "sim/hostile_member.h"
#include "support/catch.h"

using namespace lansync;
using namespace lansync::sim;

namespace {

constexpr std::uint64_t kAll = std::numeric_limits<std::uint64_t>::max();
// The last ones are beyond what counts as a term at all.
constexpr std::uint64_t kFarTerms[] = {0xEFFFFFFF, 0xFFFFFFFF,       (std::uint64_t{1} << 48) - 2,
                                       1ULL << 48, (1ULL << 48) + 1, 1ULL << 62,
                                       1ULL << 63, kAll - 1001,      kAll - 1,
                                       kAll};

NodeId id_of(SimNode& node) { return node.node().replica().node(); }

// A `--role server` node with two members, and one more session of each: mallory's.
struct Reign {
  explicit Reign(std::uint64_t seed) : world(seed) {
    NodeOptions server;
    server.role = ManualRole::kServer;
    world.add("a", server);
    world.add("b");
    world.add("c");
    world.start_all();
    const bool fine = world.converge(60s);
    INFO(world.difference());
    REQUIRE(fine);
    REQUIRE(is_hub(hub().role()));
    mallory = std::make_unique<HostileMember>(world, 100, seed);
    mallory->keep_run();
  }

  SimNode& hub() { return world.node("a"); }

  // Nobody has another hub for a moment.
  bool undisturbed() {
    for (SimNode* node : world.running()) {
      const bool newcomer = node->name() == "d";
      const std::optional<NodeId> followed = node->node().election().hub();
      if (is_hub(node->role()) != (node == &hub())) return false;
      if (followed != id_of(hub()) && !(newcomer && !followed)) return false;
    }
    return true;
  }

  void state(std::uint64_t term, std::uint64_t sequence) {
    Hello& hello = mallory->hello();
    hello.role = Role::kProxy;
    hello.manual = ManualRole::kProxy;
    hello.members = std::numeric_limits<std::uint32_t>::max();
    hello.term = hello.sync_term = term;
    hello.seq = sequence;
    hello.in_sync = true;
    hello.disk_log2 = 63;
    hello.has_data = true;
  }

  // All that carries a term or a sequence, to everybody; what of it ends a session comes last.
  void lie(std::uint64_t term, std::uint64_t sequence) {
    // What a session begins with is honest, so that there is one.
    const Hello honest = mallory->hello();
    state(term, sequence);
    for (SimNode* node : world.running()) {
      if (!mallory->connected(*node)) {
        mallory->dial(*node);
        continue;
      }
      ++said;
      mallory->say_hello(*node, false);
      mallory->claim(*node);
      mallory->send(*node, Ping{sequence}, Channel::kHandshake);
      Roster roster;
      roster.term = term;
      roster.number = std::numeric_limits<std::uint32_t>::max();
      roster.rows.push_back({mallory->node(), {}, "mallory", {0x0A000065, 27801}, Role::kProxy});
      mallory->send(*node, roster);
      Update update;
      update.term = term;
      update.seq = sequence;
      update.away = sequence;
      update.last = true;
      mallory->send(*node, update);
      mallory->send(*node, HubHeard{mallory->node(), {0x0A000065, 27801}});
    }
    mallory->hello() = honest;
  }

  World world;
  std::unique_ptr<HostileMember> mallory;
  std::uint64_t said = 0;
};

}  // namespace

TEST_CASE("terms and sequences near the end of their range depose no hub for a moment") {
  for (std::uint64_t seed = 1; seed <= 3; ++seed) {
    Reign reign(seed);
    World& world = reign.world;
    const std::uint64_t before = reign.hub().node().election().term();
    for (std::uint64_t term : kFarTerms) {
      for (std::uint64_t sequence : {kMaxSeq, kMaxSeq >> 1}) {
        INFO("seed " << seed << ", term " << term << ", sequence " << sequence);
        reign.lie(term, sequence);
        // The first time opens the sessions.
        const bool disturbed = world.run_until([&] { return !reign.undisturbed(); }, 500ms);
        REQUIRE(!disturbed);
      }
    }
    // A node that comes meanwhile takes the hub's term, not the one that it hears first.
    world.add("d").start();
    for (int turn = 0; turn < 40; ++turn) {
      reign.lie(kFarTerms[turn % 3], kMaxSeq);
      REQUIRE(!world.run_until([&] { return !reign.undisturbed(); }, 100ms));
    }
    INFO(reign.said << " times, dropped " << reign.mallory->times_dropped());
    REQUIRE(reign.said > 60);
    reign.mallory.reset();
    const bool fine = world.converge(60s);
    INFO(world.verdict());
    REQUIRE(fine);
    for (SimNode* node : world.running()) {
      INFO(node->name());
      CHECK(node->node().election().term() == before);
    }
    // Numbers are small also for the reign that follows.
    reign.hub().stop();
    REQUIRE(world.run_until([&] { return !reign.hub().running(); }, 2s));
    world.node("b").write("later", "by b");
    REQUIRE(world.converge(60s));
    for (SimNode* node : world.running()) CHECK(node->node().election().term() <= before + 3);
  }
}

TEST_CASE("a word about a node's key from a member that is no hub costs a new id, and no company") {
  Reign reign(17);
  World& world = reign.world;
  const std::vector<NodeId> before = {id_of(world.node("a")), id_of(world.node("b"))};
  for (int turn = 0; turn < 12; ++turn) {
    for (const char* name : {"a", "b"}) {
      SimNode& victim = world.node(name);
      if (!reign.mallory->connected(victim)) {
        reign.mallory->dial(victim);
      } else {
        ++reign.said;
        reign.mallory->send(victim, Clone{turn % 2 == 0}, Channel::kHandshake);
        reign.mallory->send(victim, Clone{turn % 2 == 0});
      }
    }
    world.run_for(5s);
    for (SimNode* node : world.running()) {
      INFO(node->name());
      CHECK(node->node().status().state != NodeState::kError);
    }
  }
  CHECK(reign.said > 4);
  world.node("b").write("f", "goes on");
  REQUIRE(world.run_until([&] { return world.node("c").has("f"); }, 30s));
}
