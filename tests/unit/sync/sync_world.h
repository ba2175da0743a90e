// A toy group: nodes with a disk in memory, one of which is the hub. Drives planner and settlement
// the way the replica does, but at once and without a network, and checks that each operation was
// possible when its turn came. Only for tests.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "base/random.h"
#include "sync/planner.h"
#include "sync/settlement.h"

namespace lansync::test {

using Tree = std::map<std::string, EntryPtr>;

// Bytes that a person (or a conflict copy) put at a path, and the version that did.
struct Introduced {
  std::string path;
  VersionVector version;
  ContentId content;
};

struct Node : TreeView {
  ShortId id = 0;
  std::string name;
  std::uint64_t count = 0;
  bool wants_all = true;
  Tree local;
  Tree synced;
  Tree remote;  // on the hub: the group's tree itself

  PathState state(const std::string& path) const override;
  void local_below(const std::string& directory,
                   const std::function<bool(const std::string&)>& visit) const override;
};

class SyncWorld {
 public:
  SyncWorld(std::uint64_t seed, int nodes);

  // One random thing that a person does on a random node.
  void edit();
  // A random node hears the hub's tree and carries out its plan, at most a random part of it if
  // `cut`. True if there was anything to do.
  bool round(bool cut);
  bool sync_node(std::size_t index, bool cut);
  // Another node becomes hub, with the tree that it had heard: perhaps an old one.
  void change_hub();
  // Rounds without edits until nobody has anything to do; the number of them, or `limit`.
  int settle_down(int limit);

  // Empty if all is well, else what is not.
  std::string broken_invariant() const;
  std::size_t conflicts() const { return conflicts_; }

  std::vector<Node> nodes;
  std::size_t hub = 0;

 private:
  Prng random_;
  std::uint64_t next_content_ = 1;
  std::int64_t wall_ = 1'795'264'205'000'000'000;
  std::size_t conflicts_ = 0;
  std::vector<Introduced> introduced_;
  struct Edited {
    std::string path;
    VersionVector version;
    ContentId replaced;  // what was there, in full knowledge of the one who edited
  };
  std::vector<Edited> edits_;  // by people: contents, deletes, changes of kind
  std::string failure_;

  std::string random_path();
  void put(Node& node, const std::string& path, Entry entry);
  void put_file(Node& node, const std::string& path);
  void remove(Node& node, const std::string& path);
  bool make_parents(Node& node, const std::string& path);
  void carry_out(Node& node, const Operation& op);
  void push(Node& node, const Operation& op);
  void commit(const std::string& path, const EntryPtr& entry);
  void commit_copy(const std::string& path, const EntryPtr& copy);
  HubView hub_view(const std::string& path);
  void check_disk(const Node& node, const Operation& op);
  void fail(const std::string& what);
};

// Live entries of a tree below `directory`.
bool any_live_below(const Tree& tree, const std::string& directory);

}  // namespace lansync::test
