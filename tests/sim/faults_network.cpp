// What happens between machines, and what their clocks say meanwhile.
#include <set>

#include "sim/stage.h"

namespace lansync::sim {
namespace {

constexpr Duration kDay = 24h;

void partition(Stage& stage) {
  std::set<std::string> some;
  std::set<std::string> others;
  for (const std::string& name : stage.names) {
    (stage.chance(1, 2) ? some : others).insert(name);
  }
  const LinkFaults now = stage.world.network().defaults();
  stage.world.partition(some, others, stage.chance(1, 5));
  stage.later(stage.within(500ms, 25s), [&stage, now] {
    if (stage.resting) return;
    stage.world.heal();
    stage.world.network().set_all(now);
  });
}

void unplug(Stage& stage) {
  const std::string name = stage.any_node().name();
  stage.world.unplug(name);
  auto plug = [&stage, name] { stage.world.plug(name); };
  stage.later(stage.within(500ms, 20s), plug);
}

// Of two ways to a machine one goes, and the other has to do.
void lose_lan(Stage& stage) {
  SimNode& node = stage.any_node();
  if (!node.options().second_lan) return;
  const std::string name = node.name();
  const int lan = stage.chance(1, 2) ? 1 : 0;
  stage.world.cut_lan(name, lan, true);
  stage.later(stage.within(1s, 25s),
              [&stage, name, lan] { stage.world.cut_lan(name, lan, false); });
}

// A line that carries small packets alone: a tunnel between two machines.
void narrow(Stage& stage) {
  SimNode& one = stage.any_node();
  SimNode& other = stage.any_node();
  Network& network = stage.world.network();
  const std::size_t mtu = 576 + stage.random.below(900);
  for (auto [from, to] : {std::pair{one.ip(), other.ip()}, std::pair{other.ip(), one.ip()}}) {
    network.faults(from, to).mtu = mtu;
  }
  stage.later(stage.within(1s, 20s), [&network, &one, &other] {
    network.faults(one.ip(), other.ip()).mtu = 1500;
    network.faults(other.ip(), one.ip()).mtu = 1500;
  });
}

void step_clock(Stage& stage) { stage.any_node().clock().step(stage.within(0s, 20min) - 10min); }

// A dead battery, a typing error: years to and fro, of one machine, of the hub, or of all.
void step_years(Stage& stage) {
  const Duration by = stage.within(0s, 80 * 365 * kDay) - 40 * 365 * kDay;
  const std::uint64_t whose = stage.random.below(3);
  const SimNode& one = stage.any_node();
  for (SimNode* node : stage.world.nodes()) {
    if (whose == 0 && node != &one) continue;
    if (whose == 1 && !is_hub(node->role())) continue;
    node->clock().step(by);
    if (!stage.chance(1, 2)) continue;
    // And right again: somebody noticed.
    stage.later(stage.within(1s, 20s), [node, by] { node->clock().step(-by); });
  }
}

// Everybody goes on holiday: all machines are off while weeks or months go by, and come back one by
// one.
void months(Stage& stage) {
  for (SimNode* node : stage.world.running()) node->stop();
  const Duration by = stage.within(10 * kDay, (stage.chance(1, 3) ? 600 : 80) * kDay);
  stage.later(3s, [&stage, by] {
    stage.world.oracle().on_time_passed(by);
    for (SimNode* node : stage.world.nodes()) {
      node->kill();
      node->clock().step(by);
      stage.restart_later(*node);
    }
  });
}

constexpr Act kFaults[] = {
    {"partition", 4, 50, partition}, {"unplug", 2, 25, unplug},    {"lose-lan", 2, 50, lose_lan},
    {"narrow", 1, 20, narrow},       {"clock", 2, 25, step_clock}, {"years", 1, 12, step_years},
    {"months", 1, 12, months},
};

}  // namespace

std::span<const Act> network_faults() { return kFaults; }

}  // namespace lansync::sim
