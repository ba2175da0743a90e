// A LAN with machines, people and faults, all of it a function of one seed: virtual time, virtual
// disks, real ENet over virtual datagrams, the real Node.
//
//   World world(7);
//   world.add("a"); world.add("b"); world.start_all();
//   world.node("a").write("f", "v1");
//   REQUIRE(world.converge(30s));
//
// Invariant: the same seed and the same calls give the same trace().hash().
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "sim/event_queue.h"
#include "sim/network.h"
#include "sim/node.h"
#include "sim/oracle.h"
#include "sim/trace.h"

namespace lansync::sim {

class World {
 public:
  explicit World(std::uint64_t seed);
  ~World();

  SimNode& add(const std::string& name, const NodeOptions& options = {});
  SimNode& node(const std::string& name) { return *nodes_.at(name); }
  std::vector<SimNode*> nodes();
  std::vector<SimNode*> running();
  void start_all();
  Network& network() { return network_; }
  Trace& trace() { return trace_; }
  Oracle& oracle() { return oracle_; }
  Instant now() const { return queue_.now(); }

  // Nothing passes between the two sets; one-way: nothing from the first to the second.
  void partition(const std::set<std::string>& some, const std::set<std::string>& others,
                 bool one_way = false);
  // The cable of that machine is out, or in again: it is told, as by its kernel, and reaches
  // nobody, or everybody.
  void unplug(const std::string& name) { set_plugged(name, false); }
  void plug(const std::string& name) { set_plugged(name, true); }
  // Of a machine on both LANs: nothing passes between it and the others on one of them (0, 1).
  void cut_lan(const std::string& name, int lan, bool off);
  // Every link is whole and fast again.
  void heal();

  void run_for(Duration how_long);
  // Looks every 10 ms of the world's time. False: the limit came first.
  bool run_until(const std::function<bool()>& predicate, Duration limit);
  // At that time from now, within whatever run is under way.
  void schedule(Duration delay, std::function<void()> what) {
    queue_.after(delay, std::move(what));
  }

  // All that run show the same tree (on-demand nodes: but for files that they do not hold) and say
  // that they are in sync, and one of them is hub.
  bool converged();
  // Why not, for the message of a test.
  std::string difference();
  // Runs until converged, then checks: quiet for 10 s (I3), and the oracle on the tree and on the
  // trashes (I1, I2, I4, I5, I7). False if it did not converge or anything is violated: see
  // verdict(). What all agree on then is what everybody knows: the world may go on.
  bool converge(Duration limit);
  // A minute in which nobody does anything: nor do the nodes, but for what the clock asks (I12),
  // and they hold no more memory than before (I9). Requires: converged.
  bool rest();
  // What is wrong, one line each; empty if nothing is.
  std::string verdict();

 private:
  std::vector<std::string> look_at_rest();
  // A full replica, if there is one: it shows the group's tree.
  static SimNode* reference(const std::vector<SimNode*>& all);
  void set_plugged(const std::string& name, bool plugged);
  void cut(SimNode& from, SimNode& to, bool off);
  void make_current() { network_.make_current(); }
  // By name of those that run: what they show of what all should show.
  std::map<std::string, SeenTree> shared_trees();
  std::uint64_t payload_sent();
  void blame_the_silent();
  void check_quiet();
  void check_trees();

  EventQueue queue_;
  Instant look_again_at_{};  // at the trees, which were not the same
  Trace trace_{queue_};
  Oracle oracle_;
  std::uint64_t seed_;
  Network network_;
  std::map<std::string, std::unique_ptr<SimNode>> nodes_;
};

}  // namespace lansync::sim
