// How much a node lets others take from its folder unasked (CONTRACT, Guards: `--max-deletes`).
//
// Invariant: it counts less than a node has to, never more: what is elsewhere in the folder, or
// came after the run began, and all once somebody confirmed anything. Driven by SimNode.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
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
  // The node's hand took a file away, and `elsewhere` in the folder its bytes stand or do not.
  void on_deleted(SimNode& node, const std::string& path, bool elsewhere, Instant when);
  void on_started(const std::string& node) { folders_[node].run = {}; }
  // From now on nobody can tell from outside which deletes were meant.
  void on_confirmed() { confirmed_ = true; }

 private:
  struct Run {
    Instant begin{};
    Instant last{};
    std::uint64_t files = 0;  // at its begin
    std::uint64_t count = 0;
    bool reported = false;
  };
  struct Folder {
    std::map<std::string, Instant> files;  // since when
    Run run;
  };

  Report report_;
  std::map<std::string, Folder> folders_;
  bool confirmed_ = false;
};

}  // namespace lansync::sim
