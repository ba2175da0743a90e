// What the acts of a drawn scenario share: the world, the seed's random numbers, the names that
// people use, and which kinds of acts this seed has at all.
//
// Invariant: whatever an act leaves standing (a pause, a full disk, a pipe in the folder) it takes
// back by at_rest(), or it is something under which a group must come to rest all the same. Driven
// by scenario.cpp; acts are functions in acts_*.cpp and faults_*.cpp, one file a subject.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "base/random.h"
#include "sim/world.h"

namespace lansync::sim {

inline constexpr std::uint32_t kPercent = 10'000;  // of a million, the unit of rates

class Stage {
 public:
  explicit Stage(std::uint64_t seed);

  World world;
  Prng random;
  std::vector<std::string> names;  // of the nodes, in the order in which they came
  bool on_demand = false;          // some of them are
  std::uint64_t large = 0;         // content may be so large now and then
  std::map<std::string, SimNode::Backup> backups;
  bool resting = false;  // no faults any more: what now starts, starts whole

  SimNode& any_node();
  SimNode* any_running();               // nullptr: none is
  SimNode* another(SimNode& not_this);  // that runs
  // Few names, so that people get in each other's way.
  std::string any_path();
  std::string existing(SimNode& node);
  // Never the same twice.
  std::string new_text();
  std::string text_of(std::uint64_t size);
  Duration within(Duration least, Duration most);
  bool chance(std::uint64_t one, std::uint64_t of) { return random.chance(one, of); }
  std::uint64_t next_number() { return ++numbers_; }

  SimNode& add_node(const NodeOptions& options);
  void later(Duration delay, std::function<void()> what) { world.schedule(delay, std::move(what)); }
  void restart_later(SimNode& node);
  void at_rest(std::function<void()> what) { at_rest_.push_back(std::move(what)); }
  void come_to_rest();

 private:
  std::uint64_t numbers_ = 0;
  std::vector<std::function<void()>> at_rest_;
};

// A kind of act. Each seed has each kind with the chance `share` of a hundred ("swarm testing",
// Groce et al. 2012): what is left out lets the rest get far. Of those that it has, one is drawn by
// weight.
struct Act {
  const char* name;
  std::uint32_t weight;
  std::uint32_t share;
  void (*act)(Stage& stage);
};

// Nobody is asked whether an act can be done as things are: one that cannot does nothing.
std::span<const Act> acts_on_files();       // acts_files.cpp
std::span<const Act> acts_of_the_folder();  // acts_folder.cpp: what is not synced, and why
std::span<const Act> acts_of_haste();       // acts_meddle.cpp
std::span<const Act> demands();             // acts_commands.cpp: of nodes on demand
std::span<const Act> commands();            // acts_commands.cpp
std::span<const Act> machine_faults();      // faults_machine.cpp
std::span<const Act> network_faults();      // faults_network.cpp

class Repertoire {
 public:
  void add(std::span<const Act> acts, Prng& random);
  void play(Stage& stage) const;
  bool has(std::string_view name) const;
  std::string names() const;

 private:
  std::vector<Act> acts_;
  std::uint64_t weights_ = 0;
};

}  // namespace lansync::sim
