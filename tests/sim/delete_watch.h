// How much a node lets others take from its folder unasked (CONTRACT, Guards: `--max-deletes`).
//
// Invariant: it counts less than a node has to, never more: not what is elsewhere in the folder, or
// came after the run began, or what a person let go, or whose path or bytes are there again a
// moment later. Driven by SimNode and RunWatch; a run is judged when it is over.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "base/time.h"
#include "sim/disk.h"

namespace lansync::sim {

class SimNode;

class DeleteWatch {
 public:
  using Report = std::function<void(std::string)>;
  explicit DeleteWatch(Report report) : report_(std::move(report)) {}

  // Something is new at a path of the node's folder, or gone from it.
  void on_changed(SimNode& node, const std::string& path, const std::optional<SeenFile>& now,
                  Instant when);
  // The disk changed its bytes in silence. Whoever renames the file elsewhere moves those before,
  // and what the node takes away stands for them. (Seed 976.)
  void on_damaged(const std::string& node, const std::string& path, const SeenFile& before);
  SeenFile undamaged(const std::string& node, const std::string& path, const SeenFile& what);
  // The node's hand took a file away, and `elsewhere` in the folder its bytes stand or do not.
  void on_deleted(SimNode& node, const std::string& path, const SeenFile& what, bool elsewhere,
                  Instant when);
  // A person gave up its bytes here; the group has it still.
  void on_dropped(SimNode& node, const std::string& path);
  void on_started(SimNode& node);
  // Since when what is in sync here is so: looked at four times a second.
  void on_turn(SimNode& node, Instant now);
  // A person let the delete of `path` go: each machine may carry it out, once.
  void on_let_go(const std::string& path);
  // The run of that node is over, or the world is.
  void judge(SimNode& node);

 private:
  struct Gone {
    Bytes bytes;
    Instant when{};
  };
  struct Run {
    Instant begin{};
    Instant last{};
    std::uint64_t files = 0;        // at its begin
    std::set<std::string> in_sync;  // kDecided before
    std::map<std::string, Gone> gone;
    bool doubtful = false;  // it may have begun with a delete that is not counted here
  };
  // Bytes that came to a name: one delete of the same within the minute is half of a rename.
  struct Came {
    Instant when{};
    std::string path;
    Bytes bytes;
  };
  // Deletes of others that the node holds: nothing on its disk tells of them, and its run is open.
  struct Held {
    std::uint64_t number = 0;
    Instant since{};
    Instant last{};  // the number grew
  };
  struct Folder {
    std::map<std::string, Instant> files;    // since when
    std::map<std::string, Instant> in_sync;  // since when
    Instant looked = kNever;                 // kNever: not since its start
    std::deque<Came> came;
    std::map<std::string, SeenFile> damaged;
    std::set<std::string> let_go;
    Held held;
    Run run;
  };

  static bool take_came(Folder& folder, const std::string& path, const SeenFile& what,
                        Instant when);
  // True: it was some delete's other half.
  static bool forgive(Run& run, const std::string& path, const SeenFile& now, Instant when);
  static void look_at_held(Held& held, SimNode& node, Instant now);

  Report report_;
  std::map<std::string, Folder> folders_;
};

}  // namespace lansync::sim
