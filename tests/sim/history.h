// What people did to each path, and what each of them had before his eyes when he did it; from
// that, what may stand there in the end. It knows nothing of the nodes' vectors, and judges them.
//
// An act is an edit of one path by a person at one machine. An act knows another one of its path if
// it was made there earlier, or if what that one left was what the disk showed. What nobody who
// knew it went past may stand at the end; nothing else may: a delete does not come back, a setting
// that was not contested is not lost, links and directories included; and a conflict copy is kept
// only of what was contested (DESIGN, Conflicts).
//
// Invariant: it errs towards knowing less, and who knows less goes past less. So it allows more
// than it should where it cannot tell, and what it reports is wrong. Driven by SimNode and by
// World.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/time.h"
#include "sim/disk.h"

namespace lansync::sim {

class History {
 public:
  using Report = std::function<void(std::string)>;

  // The disk of `node` shows this at `path` now (nullopt: nothing).
  void observe(const std::string& node, const std::string& path, const std::optional<SeenFile>& now,
               bool by_person, Instant when);
  // The node died. What a person did in the moments after a version came, and before the index had
  // heard of it, is an edit of the version before it for all that the node can know.
  void on_died(const std::string& node, Instant when);
  // What the disk shows was set back: by a power cut, or by a backup.
  void on_set_back(const std::string& node, const SeenTree& tree);
  // Also its index, which may not have known yet what stood there when the backup was made: to that
  // node it is new. (Seed 1181: a rename of a moment before.)
  void on_backup_restored(const std::string& node, const SeenTree& tree);
  // What its people did is now only what stands on its disk, and that counts as made anew: a first
  // join, until the next convergence.
  void on_index_lost(const std::string& node, const SeenTree& tree);
  // A run of deletes was rejected, or something was brought back from a trash: what was deleted
  // there ("" is all) may live again.
  void on_undone(const std::string& path);
  // People may do there what they like: not judged (an ignored path).
  void exempt(const std::string& path) { exempt_.insert(path); }
  // Every node runs and all agree: this is the tree that everybody knows.
  void on_converged(const std::map<std::string, SeenTree>& trees, const SeenTree& agreed);

  // Is this tree, which all agree on, one that may come of what people did?
  void check(const SeenTree& tree, const Report& report) const;

 private:
  using Key = std::uint64_t;
  struct State {
    bool there = false;
    FileKind kind = FileKind::kFile;
    Key content = 0;  // of bytes or target
    std::uint16_t mode = 0;
    std::int64_t mtime_ns = 0;
    bool same_content(const State& o) const {
      return there == o.there && (!there || (kind == o.kind && content == o.content));
    }
  };
  struct Act {
    std::string node;
    State after;
    bool sets_content = false;
    bool sets_mode = false;
    bool sets_mtime = false;
    // Of this path's acts. What it knew it went past, if `certain`.
    std::set<std::size_t> known;
    bool certain = true;
    // Made before the index can have heard of what stood there: see on_died.
    bool fragile = false;
    // What is made below a directory is a reason for it to be there.
    std::vector<std::pair<std::string, std::size_t>> above;
  };
  struct View {  // of one path on one node
    State shown;
    std::set<std::size_t> known;
    bool by_person = false;
    Instant hand_at{};  // when the node's hand changed it last
    bool touched = false;
    bool unheard = false;  // it died before its index can have heard of that
  };
  struct Path {
    std::vector<Act> acts;
    std::map<std::string, View> views;
  };
  enum class Part { kContent, kMode, kMtime };

  // Everybody knows it, and nobody in particular made it.
  static Act agreed_on(const State& state);
  static State state_of(const std::optional<SeenFile>& seen);
  static bool sets(const Act& act, Part part);
  static bool matches(const Act& act, Part part, const State& state);
  // The acts that must be known to who sees this state.
  std::set<std::size_t> told_by(const Path& path, const State& state) const;
  void learn(const std::string& node, const std::string& path, const std::set<std::size_t>& acts);
  std::size_t add(const std::string& node, const std::string& path, Act act);
  void add_above(const std::string& node, const std::string& path, std::size_t act);
  void forget_acts_of(const std::string& node);
  void set_shown(const std::string& node, const SeenTree& tree);
  static bool went_past(const Path& path, std::size_t later, std::size_t earlier);
  // Which nobody who knew them went past.
  static std::vector<const Act*> standing(const Path& path, Part part);
  static bool contested(const Path& path);
  static bool set_on_what_was_contested(const Path& path, const Act& act);
  bool judged(const std::string& path) const;
  bool blocked_above(const std::string& path, const SeenTree& tree) const;
  void check_path(const std::string& name, const Path& path, const SeenTree& tree,
                  const Report& report) const;
  void check_copy(const std::string& name, const SeenTree& tree, const Report& report) const;
  static std::string describe(const State& state);
  static std::string describe(const std::vector<const Act*>& acts);

  std::map<std::string, Path> paths_;
  std::set<std::string> first_join_;  // nodes whose acts are those of a joiner
  std::set<std::string> exempt_;
  std::set<std::string> judged_copies_;
};

}  // namespace lansync::sim
