// What nodes take away from people: by overwriting, by deleting, by emptying a trash.
//
// What sync takes from a folder is in that node's trash from the same moment on, or stands in the
// folder under another name; it leaves the trash by age (30 days) or by room (a tenth of the disk)
// and not otherwise, and never while it is the last copy of what nobody went past. What lies in the
// directory is what is listed (DESIGN, Deletes). Driven by SimNode (events) and World (the end).
#pragma once

#include <functional>
#include <map>
#include <string>
#include <utility>

#include "base/time.h"
#include "sim/disk.h"

namespace lansync::sim {

class SimNode;

class TrashWatch {
 public:
  using Report = std::function<void(std::string)>;

  // Whether some folder shows these bytes, or this link: that of `node`, or of another one.
  struct Stands {
    bool here = false;
    bool elsewhere = false;
  };
  using Where = std::function<Stands(const SimNode& node, const SeenFile& what)>;
  explicit TrashWatch(Report report) : report_(std::move(report)) {}
  void set_where(Where where) { where_ = std::move(where); }
  Stands stands(const SimNode& node, const SeenFile& what) const {
    return where_ ? where_(node, what) : Stands{};
  }

  // `passed`: somebody knowingly went past these bytes.
  void on_displaced(SimNode& node, const std::string& path, const SeenFile& what, bool passed,
                    const std::string& trash, Instant now);
  // `passed`: a person went past it.
  void on_purged(SimNode& node, const std::string& trash, const SeenFile& what, bool passed,
                 Instant now);
  void on_restored(SimNode& node, const std::string& trash);
  // Its trash is another one now: the power failed, a backup was restored, .lansync was lost.
  void on_set_back(SimNode& node);
  void pass(Duration by) { passed_ += by; }
  // All is at rest.
  void check(SimNode& node) const;

 private:
  struct Kept {
    std::string path;
    SeenFile what;
    Instant since{};
  };
  bool in_a_trash(const SeenFile& what) const;

  Report report_;
  Where where_;
  Duration passed_{};                                        // beside the world's time
  std::map<std::string, std::map<std::string, Kept>> kept_;  // by node, by name in the trash
};

}  // namespace lansync::sim
