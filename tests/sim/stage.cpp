#include "sim/stage.h"

#include <algorithm>

#include "base/log.h"

namespace lansync::sim {

Stage::Stage(std::uint64_t seed) : world(seed), random(seed * 0x9e3779b97f4a7c15u + 1) {}

SimNode& Stage::any_node() { return world.node(names[random.below(names.size())]); }

SimNode* Stage::any_running() {
  const std::vector<SimNode*> all = world.running();
  return all.empty() ? nullptr : all[random.below(all.size())];
}

SimNode* Stage::another(SimNode& not_this) {
  std::vector<SimNode*> all = world.running();
  std::erase(all, &not_this);
  return all.empty() ? nullptr : all[random.below(all.size())];
}

std::string Stage::any_path() {
  static const char* const kFolders[] = {"", "", "d/", "d/e/", "f/"};
  // One draw a line, here and wherever else: compilers differ in the order in which they look at
  // arguments, and a seed means the same with each of them.
  const char* folder = kFolders[random.below(5)];
  const char name = static_cast<char>('p' + random.below(6));
  return str(folder, name, random.chance(1, 2) ? ".txt" : "");
}

std::string Stage::existing(SimNode& node) {
  const std::vector<std::string> files = node.disk().files_below("");
  return files.empty() ? any_path() : files[random.below(files.size())];
}

std::string Stage::new_text() {
  std::uint64_t size = random.below(200);
  if (random.chance(1, 5)) size = random.below(5'000);
  if (large > 0 && random.chance(1, 5)) size = random.below(large);
  return text_of(size);
}

std::string Stage::text_of(std::uint64_t size) {
  std::string text = str("text ", next_number(), " ");
  text.reserve(size + 8);
  while (text.size() < size) {
    const std::uint64_t word = random.next();
    for (int i = 0; i < 64; i += 8) text += static_cast<char>('a' + (word >> i) % 26);
  }
  return text;
}

Duration Stage::within(Duration least, Duration most) {
  return least + Duration(random.below(static_cast<std::uint64_t>((most - least).count()) + 1));
}

SimNode& Stage::add_node(const NodeOptions& options) {
  names.push_back(std::string(1, static_cast<char>('a' + names.size())));
  return world.add(names.back(), options);
}

void Stage::restart_later(SimNode& node) {
  later(within(10ms, 10s), [this, &node] {
    if (node.running()) return;
    // A person may change their mind about what a folder is for.
    const bool changes = on_demand && node.name() != names.front() && chance(1, 4);
    if (changes) node.options().on_demand = !node.options().on_demand;
    node.start();
  });
}

void Stage::come_to_rest() {
  resting = true;
  for (const auto& what : std::exchange(at_rest_, {})) what();
}

void Repertoire::add(std::span<const Act> acts, Prng& random) {
  for (const Act& act : acts) {
    if (!random.chance(act.share, 100)) continue;
    acts_.push_back(act);
    weights_ += act.weight;
  }
}

void Repertoire::play(Stage& stage) const {
  if (weights_ == 0) return;
  std::uint64_t drawn = stage.random.below(weights_);
  for (const Act& act : acts_) {
    if (drawn < act.weight) return act.act(stage);
    drawn -= act.weight;
  }
}

bool Repertoire::has(std::string_view name) const {
  return std::any_of(acts_.begin(), acts_.end(), [&](const Act& act) { return act.name == name; });
}

std::string Repertoire::names() const {
  std::string out;
  for (const Act& act : acts_) out += str(out.empty() ? "" : " ", act.name);
  return out;
}

}  // namespace lansync::sim
