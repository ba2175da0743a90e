// The index in the planner's terms.
#pragma once

#include <functional>
#include <string>

#include "base/rel_path.h"
#include "sync/index.h"
#include "sync/planner.h"

namespace lansync {

class IndexView final : public TreeView {
 public:
  explicit IndexView(const Index& index) : index_(index) {}
  PathState state(const std::string& path) const override {
    const PathRecord* record = index_.find(path);
    if (!record) return {};
    return {record->local, record->remote, record->synced, index_.wants(*record)};
  }
  void local_below(const std::string& directory,
                   const std::function<bool(const std::string&)>& visit) const override {
    std::string prefix = directory + '/';
    for (auto at = index_.paths().lower_bound(prefix); at != index_.paths().end(); ++at) {
      if (!is_within(at->first, directory)) return;
      if (at->second.live() && !visit(at->first)) return;
    }
  }

 private:
  const Index& index_;
};

}  // namespace lansync
