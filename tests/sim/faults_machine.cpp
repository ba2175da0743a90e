// What happens to machines: they die, lose power, stand still, come late; their disks and indexes
// fail.
#include "base/log.h"
#include "sim/stage.h"

namespace lansync::sim {
namespace {

void crash(Stage& stage) {
  SimNode& node = stage.any_node();
  if (!node.running()) return;
  if (stage.chance(1, 2)) {
    node.kill();
  } else {
    node.kill_after_operations(1 + stage.random.below(60), false);
    stage.later(5s, [&node] { node.kill(); });
  }
  stage.later(5s, [&stage, &node] { stage.restart_later(node); });
}

void power(Stage& stage) {
  SimNode& node = stage.any_node();
  if (!node.running()) return;
  if (stage.chance(1, 2)) {
    node.power_cut();
  } else {
    node.kill_after_operations(1 + stage.random.below(60), true);
    stage.later(5s, [&node] {
      if (node.running()) node.power_cut();
    });
  }
  stage.later(5s, [&stage, &node] { stage.restart_later(node); });
}

void stop(Stage& stage) {
  SimNode& node = stage.any_node();
  if (!node.running()) return;
  node.stop();
  stage.later(3s, [&stage, &node] { stage.restart_later(node); });
}

void freeze(Stage& stage) { stage.any_node().freeze(stage.within(100ms, 8s)); }

void slow_disk(Stage& stage) {
  SimNode* node = stage.any_running();
  if (node == nullptr) return;
  node->executor().set_slowness(5 + stage.random.below(40));
  stage.later(stage.within(1s, 15s), [node] {
    if (node->running()) node->executor().set_slowness(1);
  });
}

void disk_errors(Stage& stage) {
  SimNode& node = stage.any_node();
  node.disk().set_error_rates(2 * kPercent, 2 * kPercent);
  stage.later(stage.within(1s, 15s), [&node] { node.disk().set_error_rates(0, 0); });
}

void disk_full(Stage& stage) {
  SimNode& node = stage.any_node();
  node.disk().fill_up(stage.random.below(3'000));
  stage.later(stage.within(1s, 15s), [&node] { node.disk().set_capacity(1ull << 40); });
}

void commit_errors(Stage& stage) {
  SimNode& node = stage.any_node();
  node.set_commit_errors(stage.chance(1, 3) ? 100 * kPercent : 20 * kPercent);
  stage.later(stage.within(1s, 18s), [&node] { node.set_commit_errors(0); });
}

// One byte, of a file that somebody else has too: else nothing could mend it.
void rot(Stage& stage) {
  SimNode& node = stage.any_node();
  SimNode* other = stage.another(node);
  if (other == nullptr) return;
  const std::string path = stage.existing(node);
  if (!node.has(path) || !other->has(path) || node.text(path) != other->text(path)) return;
  node.rot(path);
}

void lose_index(Stage& stage) {
  SimNode& node = stage.any_node();
  if (!node.running()) return;
  node.kill();
  node.lose_index();
  if (stage.chance(1, 3)) node.lose_private();
  stage.restart_later(node);
}

void back_up(Stage& stage) {
  SimNode& node = stage.any_node();
  stage.backups.insert_or_assign(node.name(), node.backup());
}

void restore_backup(Stage& stage) {
  SimNode& node = stage.any_node();
  auto backup = stage.backups.find(node.name());
  if (backup == stage.backups.end()) return;
  node.kill();
  // What only this disk had is gone with it.
  std::vector<SeenTree> elsewhere;
  for (SimNode* other : stage.world.nodes()) {
    if (other != &node) elsewhere.push_back(other->disk().tree());
  }
  for (const auto& [path, seen] : node.disk().tree()) {
    bool kept = false;
    for (const SeenTree& tree : elsewhere) {
      for (const auto& [other, there] : tree) kept = kept || there.bytes == seen.bytes;
    }
    if (!kept && seen.kind == FileKind::kFile) stage.world.oracle().forgive(seen.bytes);
  }
  node.restore(backup->second);
  if (stage.chance(1, 4)) node.move_place();
  stage.restart_later(node);
}

// A machine's disk is copied and the copy is started beside it, or after it has died.
void clone(Stage& stage) {
  if (stage.names.size() >= 6) return;
  SimNode& node = stage.any_node();
  NodeOptions options = node.options();
  if (stage.chance(1, 2))
    options.place = node.options().place.empty() ? node.name() : node.options().place;
  SimNode& copy = stage.add_node(options);
  copy.restore(node.backup());
  if (stage.chance(1, 3)) node.kill();
  copy.start();
  stage.restart_later(node);
}

void newcomer(Stage& stage) {
  if (stage.names.size() >= 6) return;
  NodeOptions options = stage.any_node().options();
  options.place.clear();
  SimNode& node = stage.add_node(options);
  const std::uint64_t files = stage.random.below(4);
  for (std::uint64_t i = 0; i < files; ++i) {
    const std::string path = stage.any_path();
    node.write(path, stage.new_text());
  }
  node.start();
}

constexpr Act kFaults[] = {
    {"crash", 3, 50, crash},
    {"power", 3, 40, power},
    {"stop", 3, 50, stop},
    {"freeze", 2, 30, freeze},
    {"slow-disk", 1, 25, slow_disk},
    {"disk-errors", 2, 30, disk_errors},
    {"disk-full", 1, 25, disk_full},
    {"commit-errors", 2, 25, commit_errors},
    {"rot", 2, 20, rot},
    {"lose-index", 1, 20, lose_index},
    {"back-up", 2, 25, back_up},
    {"restore-backup", 2, 30, restore_backup},
    {"clone", 1, 15, clone},
    {"newcomer", 1, 25, newcomer},
};

}  // namespace

std::span<const Act> machine_faults() { return kFaults; }

}  // namespace lansync::sim
