// How much a node lets others take from its folder unasked (CONTRACT, Guards: `--max-deletes`).
//
// Invariant: it counts less than a node has to, never more: not what is elsewhere in the folder, or
// came after the run began, or what a person let go. Driven by SimNode and RunWatch.
#pragma once

#include <cstdint>
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
  // The node's hand took a file away, and `elsewhere` in the folder its bytes stand or do not.
  void on_deleted(SimNode& node, const std::string& path, bool elsewhere, Instant when);
  void on_started(const std::string& node) { folders_[node].run = {}; }
  // A person let the delete of `path` go: each machine may carry it out, once.
  void on_let_go(const std::string& path);

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
    std::set<std::string> let_go;
    Run run;
  };

  Report report_;
  std::map<std::string, Folder> folders_;
};

}  // namespace lansync::sim
