#include "sim/scenario.h"

#include <algorithm>
#include <string>
#include <vector>

#include "base/log.h"
#include "base/random.h"
#include "sim/world.h"

namespace lansync::sim {
namespace {

constexpr std::uint32_t kPercent = 10'000;  // of a million
// After the last fault: a rescan that finds what the watcher lost (30 s + 25 %), a refused push
// that is tried again (10 s), quiet timers, and room.
constexpr Duration kBound = 240s;

class Scenario {
 public:
  Scenario(std::uint64_t seed, const std::function<void(const std::string&)>& trace, bool datagrams)
      // Not drawn: the seeds that were pinned before there were on-demand nodes have other
      // remainders, and so keep their scenarios.
      : world_(seed), random_(seed * 0x9e3779b97f4a7c15u + 1), on_demand_(seed % 7 >= 5) {
    if (trace) world_.trace().set_sink(trace);
    world_.trace().tell_datagrams(datagrams);
  }

  ScenarioResult run();

 private:
  void draw();
  void draw_network();
  void add_nodes();
  void edit();
  void fault();
  void restart_later(SimNode& node);
  SimNode& any_node();
  std::string any_path();
  std::string new_text();
  std::string existing(SimNode& node);
  Duration within(Duration least, Duration most) {
    return least + Duration(random_.below(static_cast<std::uint64_t>((most - least).count()) + 1));
  }

  World world_;
  Prng random_;
  const bool on_demand_;
  std::vector<std::string> names_;
  std::uint64_t texts_ = 0;
  // What this seed does at all: each seed leaves most things out, so that what remains gets far
  // ("swarm testing", Groce et al. 2012).
  bool crashes_ = false;
  bool power_ = false;
  bool partitions_ = false;
  bool stops_ = false;
  bool clocks_ = false;
  bool disk_errors_ = false;
  bool index_lost_ = false;
  bool freezes_ = false;
  bool large_files_ = false;
  int edits_ = 0;
  int faults_ = 0;
};

void Scenario::draw_network() {
  LinkFaults faults;
  switch (random_.below(4)) {
    case 0:
      break;
    case 1:
      faults.loss = 1 * kPercent;
      break;
    case 2:
      faults.loss = 5 * kPercent;
      break;
    default:
      faults.loss = static_cast<std::uint32_t>(random_.below(20)) * kPercent;
      break;
  }
  if (random_.chance(1, 3)) faults.duplicated = 2 * kPercent;
  if (random_.chance(1, 3)) faults.reordered = 5 * kPercent;
  if (random_.chance(1, 4)) faults.corrupted = kPercent / 2;
  if (random_.chance(1, 4)) {
    faults.delay = 20ms;
    faults.jitter = 30ms;
  }
  if (random_.chance(1, 5)) faults.bytes_per_second = 250'000;
  world_.network().set_all(faults);
}

void Scenario::add_nodes() {
  const std::uint64_t count = 2 + random_.below(4);
  NodeOptions options;
  options.settle = random_.chance(1, 3) ? 2s : 300ms;
  if (random_.chance(1, 3)) options.lost_hints = 10 * kPercent;
  for (std::uint64_t i = 0; i < count; ++i) {
    names_.push_back(std::string(1, static_cast<char>('a' + i)));
    options.disk_log2 = static_cast<std::uint8_t>(random_.below(8));
    // One full replica at least: what nobody keeps may be lost with one disk.
    options.on_demand = on_demand_ && i > 0 && random_.chance(1, 2);
    SimNode& node = world_.add(names_.back(), options);
    if (clocks_) {
      node.clock().set_drift_ppm(static_cast<std::int64_t>(random_.below(400)) - 200);
      node.clock().step(within(0s, 2h) - 1h);
    }
  }
}

void Scenario::draw() {
  crashes_ = random_.chance(1, 2);
  power_ = random_.chance(1, 3);
  partitions_ = random_.chance(1, 2);
  stops_ = random_.chance(1, 2);
  clocks_ = random_.chance(1, 4);
  disk_errors_ = random_.chance(1, 4);
  index_lost_ = random_.chance(1, 5);
  freezes_ = random_.chance(1, 4);
  large_files_ = random_.chance(1, 3);
  edits_ = static_cast<int>(10 + random_.below(50));
  faults_ = static_cast<int>(random_.below(10));
  draw_network();
  add_nodes();
}

SimNode& Scenario::any_node() { return world_.node(names_[random_.below(names_.size())]); }

// Few names, so that people get in each other's way.
std::string Scenario::any_path() {
  static const char* const kFolders[] = {"", "", "d/", "d/e/", "f/"};
  return str(kFolders[random_.below(5)], static_cast<char>('p' + random_.below(6)),
             random_.chance(1, 2) ? ".txt" : "");
}

std::string Scenario::new_text() {
  std::string text = str("text ", ++texts_, " ");
  std::uint64_t size = random_.below(200);
  if (random_.chance(1, 5)) size = random_.below(5'000);
  if (large_files_ && random_.chance(1, 5)) size = random_.below(400'000);
  while (text.size() < size) text += static_cast<char>('a' + random_.below(26));
  return text;
}

std::string Scenario::existing(SimNode& node) {
  const std::vector<std::string> files = node.disk().files_below("");
  return files.empty() ? any_path() : files[random_.below(files.size())];
}

void Scenario::edit() {
  SimNode& node = any_node();
  if (node.options().on_demand && random_.chance(1, 2)) {
    SimNode& other = any_node();
    if (random_.chance(2, 3)) {
      node.get(random_.chance(1, 5) ? "d" : existing(other));
    } else {
      node.drop(random_.chance(1, 5) ? "d" : existing(node));
    }
    return;
  }
  switch (random_.below(12)) {
    case 0:
    case 1:
    case 2:
      node.write(any_path(), new_text());
      break;
    case 3:
    case 4:
      node.write(existing(node), new_text());
      break;
    case 5:
      node.save(any_path(), new_text());
      break;
    case 6:
      node.append(existing(node), new_text());
      break;
    case 7:
      node.rename(existing(node), any_path());
      break;
    case 8:
      node.erase(existing(node));
      break;
    case 9:
      node.chmod(existing(node), random_.chance(1, 2) ? 0600 : 0755);
      break;
    case 10:
      if (random_.chance(1, 3)) {
        node.erase(random_.chance(1, 2) ? "d" : "d/e");
      } else {
        node.make_folder(random_.chance(1, 2) ? "f" : "d/g");
      }
      break;
    default:
      if (random_.chance(1, 2)) {
        node.rename("d", "h");
      } else {
        node.link(any_path() + ".lnk", any_path());
      }
      break;
  }
}

void Scenario::restart_later(SimNode& node) {
  world_.schedule(within(10ms, 10s), [this, &node] {
    if (node.running()) return;
    // A person may change their mind about what a folder is for.
    bool changes = on_demand_ && node.name() != names_.front() && random_.chance(1, 4);
    if (changes) node.options().on_demand = !node.options().on_demand;
    node.start();
  });
}

void Scenario::fault() {
  SimNode& node = any_node();
  switch (random_.below(8)) {
    case 0:
      if (!crashes_ || !node.running()) break;
      if (random_.chance(1, 2)) {
        node.kill();
      } else {
        node.kill_after_operations(1 + random_.below(60), false);
        world_.schedule(5s, [&node] { node.kill(); });
      }
      world_.schedule(5s, [this, &node] { restart_later(node); });
      break;
    case 1:
      if (!power_ || !node.running()) break;
      if (random_.chance(1, 2)) {
        node.power_cut();
      } else {
        node.kill_after_operations(1 + random_.below(60), true);
        world_.schedule(5s, [&node] {
          if (node.running()) node.power_cut();
        });
      }
      world_.schedule(5s, [this, &node] { restart_later(node); });
      break;
    case 2:
      if (!stops_ || !node.running()) break;
      node.stop();
      world_.schedule(3s, [this, &node] { restart_later(node); });
      break;
    case 3:
    case 4: {
      if (!partitions_) break;
      std::set<std::string> some;
      std::set<std::string> others;
      for (const std::string& name : names_) (random_.chance(1, 2) ? some : others).insert(name);
      world_.partition(some, others, random_.chance(1, 5));
      const LinkFaults now = world_.network().faults(0, 0);
      world_.schedule(within(500ms, 25s), [this, now] {
        world_.heal();
        world_.network().set_all(now);
      });
      break;
    }
    case 5:
      if (!disk_errors_) break;
      node.disk().set_error_rates(2 * kPercent, 2 * kPercent);
      world_.schedule(within(1s, 15s), [&node] { node.disk().set_error_rates(0, 0); });
      break;
    case 6:
      if (index_lost_ && node.running() && random_.chance(1, 2)) {
        node.kill();
        node.lose_index();
        restart_later(node);
      } else if (freezes_) {
        node.freeze(within(100ms, 8s));
      }
      break;
    default:
      if (clocks_) node.clock().step(within(0s, 20min) - 10min);
      break;
  }
}

ScenarioResult Scenario::run() {
  draw();
  const Duration span = within(10s, 60s);
  for (SimNode* node : world_.nodes()) {
    if (random_.chance(1, 2)) node->write(any_path(), new_text());
    world_.schedule(random_.chance(1, 2) ? 0s : within(0s, 10s), [node] {
      if (!node->running()) node->start();
    });
  }
  for (int i = 0; i < edits_; ++i) {
    world_.schedule(within(0s, span), [this] { edit(); });
  }
  for (int i = 0; i < faults_; ++i) {
    world_.schedule(within(0s, span), [this] { fault(); });
  }
  // The last restart and the last heal come within 25 s of the last fault.
  world_.run_for(span + 26s);
  world_.heal();
  for (SimNode* node : world_.nodes()) node->disk().set_error_rates(0, 0);
  world_.start_all();
  ScenarioResult result;
  result.passed = world_.converge(kBound) && world_.rest();
  result.verdict = world_.verdict();
  result.trace_hash = world_.trace().hash();
  result.datagrams = world_.network().counters().delivered;
  result.virtual_ms = (world_.now() - EventQueue::kBegin).count() / 1000;
  result.summary = str(names_.size(), " nodes, ", edits_, " edits, ", faults_, " faults");
  return result;
}

}  // namespace

ScenarioResult run_scenario(std::uint64_t seed,
                            const std::function<void(const std::string&)>& trace, bool datagrams) {
  return Scenario(seed, trace, datagrams).run();
}

}  // namespace lansync::sim
