#include "sync/planner.h"

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <string_view>
#include <tuple>
#include <utility>

#include "sync/seen_all.h"

namespace lansync {
namespace {

Operation operation(OperationKind kind, const std::string& path, EntryPtr entry) {
  Operation made;
  made.kind = kind;
  made.path = path;
  made.entry = std::move(entry);
  return made;
}

// Disk and hub say the same; is that written down?
Operation agree(const std::string& path, const PathState& s) {
  bool known = s.synced && s.synced->version == s.remote->version &&
               same_on_disk(*s.synced, *s.remote) && s.local->version == s.remote->version;
  return operation(known ? OperationKind::kNone : OperationKind::kAgree, path, s.remote);
}

// The hub's entry over nothing on the disk.
Operation create(const std::string& path, const PathState& s) {
  const Entry& remote = *s.remote;
  switch (remote.kind) {
    case EntryKind::kDirectory:
      return operation(OperationKind::kMakeDirectory, path, s.remote);
    case EntryKind::kSymlink:
      return operation(OperationKind::kMakeSymlink, path, s.remote);
    case EntryKind::kFile:
      if (s.wanted) return operation(OperationKind::kFetch, path, s.remote);
      if (!s.local && s.synced && s.synced->version == remote.version)
        return operation(OperationKind::kNone, path, s.remote);
      return operation(OperationKind::kNote, path, s.remote);
    case EntryKind::kTombstone:
      if (s.local) return agree(path, s);
      if (s.synced && s.synced->version == remote.version)
        return operation(OperationKind::kNone, path, s.remote);
      return operation(OperationKind::kAgree, path, s.remote);
    case EntryKind::kSetting:
      break;
  }
  return operation(OperationKind::kNone, path, s.remote);
}

// A newer version of the hub's over what the disk shows.
Operation apply_newer(const std::string& path, const PathState& s) {
  const Entry& local = *s.local;
  const Entry& remote = *s.remote;
  if (local.is_tombstone()) return create(path, s);
  if (remote.is_tombstone()) return operation(OperationKind::kDelete, path, s.remote);
  if (same_on_disk(local, remote)) return agree(path, s);
  if (same_content(local, remote)) return operation(OperationKind::kSetMetadata, path, s.remote);
  Operation made = operation(OperationKind::kFetch, path, s.remote);
  if (remote.is_directory()) made.kind = OperationKind::kMakeDirectory;
  if (remote.is_symlink()) made.kind = OperationKind::kMakeSymlink;
  if (remote.kind == EntryKind::kSetting) made.kind = OperationKind::kNone;
  made.replaces = local.kind != remote.kind;
  return made;
}

Operation push_unknown(const std::string& path, const PathState& s, const PlanOptions& options) {
  // The content is not here and this hub does not know the file (it was away when it was made):
  // whoever holds it pushes it anew, and till then its name and its author are what a person who
  // looks for it can be told. After a long absence it may have been deleted.
  if (!s.local) {
    bool forget = options.long_away && s.synced && s.synced->is_file();
    return operation(forget ? OperationKind::kForget : OperationKind::kNone, path, nullptr);
  }
  // Also of what was never agreed on: the version that it ends may be on its way to the hub, and
  // would come back.
  if (s.local->is_tombstone()) return operation(OperationKind::kPush, path, s.local);
  bool unchanged = s.synced && s.synced->version == s.local->version;
  bool hold = options.long_away && unchanged;
  return operation(hold ? OperationKind::kHold : OperationKind::kPush, path, s.local);
}

Operation plan_concurrent(const std::string& path, const PathState& s) {
  const Entry& local = *s.local;
  const Entry& remote = *s.remote;
  // A first join. The hub's version is the older brother: what is equal takes its vector, and a
  // delete of what the hub never saw from us deletes nothing of the hub's.
  if (!s.synced) {
    if (local.is_tombstone() && !has_seen_all(local.version, remote)) return create(path, s);
    if (same_content(local, remote)) {
      Operation made = operation(OperationKind::kAdopt, path, s.remote);
      made.set_metadata = !same_on_disk(local, remote);
      return made;
    }
  }
  return operation(OperationKind::kPush, path, s.local);
}

std::size_t depth_of(std::string_view path) {
  return static_cast<std::size_t>(std::count(path.begin(), path.end(), '/'));
}

bool removes(const Operation& op) {
  return op.kind == OperationKind::kDelete ||
         (op.kind == OperationKind::kPush && op.entry->is_tombstone());
}

// Puts something at its path, so that its parent has to be a directory on the disk.
bool makes(const Operation& op) {
  return op.kind == OperationKind::kFetch || op.kind == OperationKind::kMakeDirectory ||
         op.kind == OperationKind::kMakeSymlink;
}

// A path at which a directory gives way to a file or symlink, here or (pushed) at the hub.
bool takes_a_directorys_place(const Operation& op, const PathState& state) {
  if (op.kind == OperationKind::kPush) {
    return !op.entry->is_directory() && !op.entry->is_tombstone() && state.remote &&
           state.remote->is_directory();
  }
  return op.replaces && !op.entry->is_directory();
}

class Planner {
 public:
  Planner(const TreeView& view, const PlanOptions& options) : view_(view), options_(options) {}

  Plan run(const std::vector<std::string>& paths) {
    for (const std::string& path : paths) decide(path);
    add_parents();
    block_what_cannot_be_cleared();
    block_what_has_no_parent();
    order();
    return std::move(plan_);
  }

 private:
  struct Item {
    Operation op;
    bool place_of_directory = false;
  };
  using Items = std::map<std::string, Item, std::less<>>;

  Item& decide(const std::string& path) {
    auto found = items_.find(path);
    if (found != items_.end()) return found->second;
    PathState state = view_.state(path);
    bool mismatch = false;
    Item item;
    item.op = plan_path(path, state, options_, &mismatch);
    item.place_of_directory = takes_a_directorys_place(item.op, state);
    if (mismatch) ++plan_.mismatches;
    return items_.emplace(path, std::move(item)).first->second;
  }

  // What is made needs its directories first, also those that nobody asked about.
  void add_parents() {
    std::vector<std::string> making;
    for (const auto& [path, item] : items_) {
      if (makes(item.op)) making.push_back(path);
    }
    for (const std::string& path : making) {
      for (std::size_t slash = path.rfind('/'); slash != std::string::npos && slash > 0;
           slash = path.rfind('/', slash - 1)) {
        std::string parent = path.substr(0, slash);
        if (items_.count(parent) != 0) break;  // it, and so all above it, has been looked at
        PathState state = view_.state(parent);
        if (state.local && state.local->is_directory()) break;
        decide(parent);
      }
    }
  }

  bool goes_away(const std::string& path) const {
    auto found = items_.find(path);
    return found != items_.end() && found->second.op.kind == OperationKind::kDelete;
  }

  // The first path below `directory` that stays there; nullopt if all of it goes away in this plan.
  std::optional<std::string> stays_below(const std::string& directory) const {
    std::optional<std::string> stays;
    view_.local_below(directory, [&](const std::string& path) {
      if (goes_away(path)) return true;
      stays = path;
      return false;
    });
    return stays;
  }

  // A directory that has to go, by a tombstone or for a file, goes only with all that is in it.
  void block_what_cannot_be_cleared() {
    std::map<std::string, std::string> blocked;
    for (const auto& [path, item] : items_) {
      bool is_delete = item.op.kind == OperationKind::kDelete;
      bool is_swap = item.op.kind != OperationKind::kPush && item.place_of_directory;
      if (!is_delete && !is_swap) continue;
      if (auto stays = stays_below(path)) blocked.emplace(path, *stays);
    }
    for (const auto& [path, because] : blocked) block(path, because);
  }

  void block_what_has_no_parent() {
    std::map<std::string, std::string> blocked;
    // Ascending by name: a directory is judged before what is in it.
    for (const auto& [path, item] : items_) {
      if (!makes(item.op)) continue;
      std::size_t slash = path.rfind('/');
      if (slash == std::string::npos) continue;
      std::string parent = path.substr(0, slash);
      if (blocked.count(parent) != 0 || !becomes_directory(parent)) blocked.emplace(path, parent);
    }
    for (const auto& [path, because] : blocked) block(path, because);
  }

  bool becomes_directory(const std::string& path) const {
    auto found = items_.find(path);
    if (found != items_.end()) {
      const Operation& op = found->second.op;
      if (op.kind == OperationKind::kMakeDirectory) return true;
      if (op.kind == OperationKind::kDelete || op.replaces) return false;
    }
    EntryPtr local = view_.state(path).local;
    return local && local->is_directory();
  }

  void block(const std::string& path, const std::string& because) {
    auto found = items_.find(path);
    plan_.blocked.push_back({std::move(found->second.op), because});
    items_.erase(found);
  }

  bool below_a_swap(const std::string& path) const {
    for (std::size_t slash = path.find('/'); slash != std::string::npos;
         slash = path.find('/', slash + 1)) {
      auto found = items_.find(std::string_view(path).substr(0, slash));
      if (found != items_.end() && found->second.place_of_directory) return true;
    }
    return false;
  }

  void order() {
    // (phase, depth or its reverse, path): see plan() in the header.
    std::vector<std::tuple<int, long, std::string>> keys;
    for (const auto& [path, item] : items_) {
      if (item.op.kind == OperationKind::kNone) continue;
      long depth = static_cast<long>(depth_of(path));
      if (!removes(item.op)) {
        keys.emplace_back(2, depth, path);
      } else {
        keys.emplace_back(below_a_swap(path) ? 1 : 3, -depth, path);
      }
    }
    std::sort(keys.begin(), keys.end());
    plan_.operations.reserve(keys.size());
    for (const auto& key : keys)
      plan_.operations.push_back(std::move(items_.find(std::get<2>(key))->second.op));
  }

  const TreeView& view_;
  const PlanOptions& options_;
  Items items_;
  Plan plan_;
};

}  // namespace

const char* to_string(OperationKind kind) {
  switch (kind) {
    case OperationKind::kNone:
      return "none";
    case OperationKind::kPush:
      return "push";
    case OperationKind::kAgree:
      return "agree";
    case OperationKind::kNote:
      return "note";
    case OperationKind::kForget:
      return "forget";
    case OperationKind::kAdopt:
      return "adopt";
    case OperationKind::kFetch:
      return "fetch";
    case OperationKind::kMakeDirectory:
      return "make-directory";
    case OperationKind::kMakeSymlink:
      return "make-symlink";
    case OperationKind::kSetMetadata:
      return "set-metadata";
    case OperationKind::kDelete:
      return "delete";
    case OperationKind::kHold:
      return "hold";
  }
  return "none";
}

Operation plan_path(const std::string& path, const PathState& state, const PlanOptions& options,
                    bool* mismatch) {
  if (!state.remote) return push_unknown(path, state, options);
  if (!state.local) return create(path, state);
  switch (state.local->version.compare(state.remote->version)) {
    case Order::kNewer:
      return operation(OperationKind::kPush, path, state.local);
    case Order::kOlder:
      return apply_newer(path, state);
    case Order::kConcurrent:
      return plan_concurrent(path, state);
    case Order::kEqual:
      break;
  }
  if (same_on_disk(*state.local, *state.remote)) return agree(path, state);
  if (same_content(*state.local, *state.remote))
    return operation(OperationKind::kSetMetadata, path, state.remote);
  if (mismatch) *mismatch = true;
  return operation(OperationKind::kPush, path, state.local);
}

Plan plan(const TreeView& view, const std::vector<std::string>& paths, const PlanOptions& options) {
  return Planner(view, options).run(paths);
}

}  // namespace lansync
