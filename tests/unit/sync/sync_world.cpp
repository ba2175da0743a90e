#include "unit/sync/sync_world.h"

#include <algorithm>

#include "base/log.h"
#include "base/rel_path.h"
#include "sync/conflict_name.h"
#include "sync/hashing.h"

namespace lansync::test {
namespace {

EntryPtr find(const Tree& tree, const std::string& path) {
  auto found = tree.find(path);
  return found == tree.end() ? nullptr : found->second;
}

bool live(const EntryPtr& entry) { return entry && !entry->is_tombstone(); }

// The range of paths below a directory: '0' is the byte after '/'.
template <typename Visit>
void below(const Tree& tree, const std::string& directory, Visit visit) {
  auto end = tree.lower_bound(directory + '0');
  for (auto at = tree.lower_bound(directory + '/'); at != end; ++at) {
    if (!visit(at->first, at->second)) return;
  }
}

}  // namespace

bool any_live_below(const Tree& tree, const std::string& directory) {
  bool any = false;
  below(tree, directory, [&](const std::string&, const EntryPtr& entry) {
    any = any || live(entry);
    return !any;
  });
  return any;
}

PathState Node::state(const std::string& path) const {
  return {find(local, path), find(remote, path), find(synced, path), wants_all};
}

void Node::local_below(const std::string& directory,
                       const std::function<bool(const std::string&)>& visit) const {
  below(local, directory, [&](const std::string& path, const EntryPtr& entry) {
    return !live(entry) || visit(path);
  });
}

SyncWorld::SyncWorld(std::uint64_t seed, int count) : random_(seed) {
  for (int i = 0; i < count; ++i) {
    Node node;
    node.id = static_cast<ShortId>(i + 1) * 1000;
    node.name = str("host", i);
    nodes.push_back(std::move(node));
  }
}

void SyncWorld::fail(const std::string& what) {
  if (failure_.empty()) failure_ = what;
}

std::string SyncWorld::random_path() {
  std::string path;
  for (std::uint64_t depth = random_.below(3) + 1; depth > 0; --depth) {
    if (!path.empty()) path += '/';
    path += static_cast<char>('a' + random_.below(3));
  }
  return path;
}

// A person's edit: the node's own count added to the vector that it had for the path.
void SyncWorld::put(Node& node, const std::string& path, Entry entry) {
  EntryPtr before = find(node.local, path);
  entry.version = before ? before->version : VersionVector();
  const VersionVector grown_from = entry.version;
  entry.version.raise(node.id, ++node.count);
  note_edits(entry, live(before) ? before.get() : nullptr, grown_from);
  entry.author = node.id;
  entry.author_name = node.name;
  wall_ += 1'000'000'000;
  entry.edited.ns = wall_;
  bool metadata_only = before && same_content(*before, entry);
  if (!metadata_only) {
    edits_.push_back({path, entry.version, before ? before->content : ContentId{}});
    if (entry.is_file() || entry.is_symlink())
      introduced_.push_back({path, entry.version, entry.content});
  }
  node.local[path] = std::make_shared<Entry>(entry);
}

void SyncWorld::put_file(Node& node, const std::string& path) {
  Entry entry;
  entry.kind = random_.chance(1, 8) ? EntryKind::kSymlink : EntryKind::kFile;
  // Now and then the same bytes as somebody else's.
  std::uint64_t number = random_.chance(1, 6) ? random_.below(3) + 1'000'000 : next_content_++;
  std::string bytes = str("content ", number);
  entry.content = content_id_of(as_bytes(bytes));
  if (entry.is_symlink()) {
    entry.target = bytes;
  } else {
    entry.size = bytes.size();
    entry.mtime_ns = static_cast<std::int64_t>(random_.below(5));
  }
  put(node, path, entry);
}

void SyncWorld::remove(Node& node, const std::string& path) {
  std::vector<std::string> gone{path};
  below(node.local, path, [&](const std::string& name, const EntryPtr& entry) {
    if (live(entry)) gone.push_back(name);
    return true;
  });
  for (const std::string& name : gone) {
    if (!live(find(node.local, name))) continue;
    Entry tombstone;
    tombstone.kind = EntryKind::kTombstone;
    tombstone.mode = 0;
    put(node, name, tombstone);
  }
}

bool SyncWorld::make_parents(Node& node, const std::string& path) {
  for (std::size_t slash = path.find('/'); slash != std::string::npos;
       slash = path.find('/', slash + 1)) {
    std::string parent = path.substr(0, slash);
    EntryPtr there = find(node.local, parent);
    if (there && there->is_directory()) continue;
    if (live(there)) {
      if (!random_.chance(1, 2)) return false;
      remove(node, parent);
    }
    Entry directory;
    directory.kind = EntryKind::kDirectory;
    directory.mode = 0755;
    put(node, parent, directory);
  }
  return true;
}

void SyncWorld::edit() {
  Node& node = nodes[random_.below(nodes.size())];
  std::string path = random_path();
  EntryPtr there = find(node.local, path);
  switch (random_.below(8)) {
    case 0:  // rm -r
      if (live(there)) remove(node, path);
      return;
    case 1:  // chmod or touch
      if (live(there) && !there->is_symlink()) {
        Entry entry = *there;
        if (entry.is_file() && random_.chance(1, 2)) {
          entry.mtime_ns += 1;
        } else {
          entry.mode = static_cast<std::uint16_t>(0700 + random_.below(8));
        }
        put(node, path, entry);
      }
      return;
    case 2: {  // mkdir, perhaps in the place of a file
      if (!make_parents(node, path)) return;
      if (there && there->is_directory()) return;
      if (live(there)) remove(node, path);
      Entry directory;
      directory.kind = EntryKind::kDirectory;
      directory.mode = 0755;
      put(node, path, directory);
      return;
    }
    case 3: {  // mv of a file
      std::string to = random_path();
      if (!there || !there->is_file() || is_within(to, path) || live(find(node.local, to))) return;
      if (!make_parents(node, to) || !live(find(node.local, path))) return;
      put(node, to, *there);
      remove(node, path);
      return;
    }
    case 4: {  // an edit of a conflict copy
      std::vector<std::string> copies;
      for (const auto& [name, entry] : node.local) {
        if (live(entry) && is_conflict_name(name)) copies.push_back(name);
      }
      if (copies.empty()) return;
      const std::string& copy = copies[random_.below(copies.size())];
      if (random_.chance(1, 2)) {
        put_file(node, copy);
      } else {
        remove(node, copy);
      }
      return;
    }
    default:  // write a file, perhaps in the place of a directory
      if (!make_parents(node, path)) return;
      there = find(node.local, path);
      if (there && there->is_directory()) {
        if (!random_.chance(1, 3)) return;
        remove(node, path);
      }
      put_file(node, path);
  }
}

HubView SyncWorld::hub_view(const std::string& path) {
  Node& node = nodes[hub];
  HubView view;
  view.hub = node.id;
  view.next_count = node.count + 1;
  view.live_children = any_live_below(node.remote, path);
  view.lookup = [&node](const std::string& name) { return find(node.remote, name); };
  return view;
}

void SyncWorld::commit(const std::string& path, const EntryPtr& entry) {
  nodes[hub].remote[path] = entry;
  if (entry->is_tombstone()) return;
  const auto above = revive_ancestors(path, hub_view(path));
  if (!above) return fail(str("no directory can stand above ", path));
  for (const AncestorChange& change : *above) {
    ++nodes[hub].count;
    nodes[hub].remote[change.path] = change.entry;
    if (!change.copy_path.empty()) commit_copy(change.copy_path, change.copy);
  }
}

void SyncWorld::commit_copy(const std::string& path, const EntryPtr& copy) {
  ++conflicts_;
  if (!validate_relpath(path)) fail(str("the conflict copy ", path, " is no valid path"));
  if (!copy) return;
  introduced_.push_back({path, copy->version, copy->content});
  commit(path, copy);
}

void SyncWorld::push(Node& /*node*/, const Operation& op) {
  EntryPtr before = find(nodes[hub].remote, op.path);
  HubView view = hub_view(op.path);
  Settlement settled = settle({op.path, *op.entry}, before, view);
  if (settled.kind == SettlementKind::kRefuse) return fail(str("refused: ", settled.reason));
  if (before && !settled.entry->version.covers(before->version))
    fail(str("the hub forgot an edit of ", op.path));
  if (!settled.entry->version.covers(op.entry->version) && settled.kind != SettlementKind::kHave)
    fail(str("the hub forgot the pushed edit of ", op.path));
  if (settled.count_used) ++nodes[hub].count;
  // The copy first: its bytes are where the winner's will be.
  if (settled.kind == SettlementKind::kConflict) commit_copy(settled.copy_path, settled.copy);
  if (settled.changed) commit(op.path, settled.entry);
}

// What the file system would refuse.
void SyncWorld::check_disk(const Node& node, const Operation& op) {
  EntryPtr there = find(node.local, op.path);
  std::string parent(parent_path(op.path));
  auto complain = [&](const char* what) {
    fail(str(to_string(op.kind), " of ", op.path, ": ", what));
  };
  bool makes = op.kind == OperationKind::kFetch || op.kind == OperationKind::kMakeDirectory ||
               op.kind == OperationKind::kMakeSymlink;
  if (makes && !parent.empty()) {
    EntryPtr above = find(node.local, parent);
    if (!above || !above->is_directory()) complain("its parent is no directory");
  }
  bool clears = op.kind == OperationKind::kDelete ||
                (makes && there && there->is_directory() && !op.entry->is_directory());
  if (clears && any_live_below(node.local, op.path)) complain("the directory is not empty");
  if (makes && op.replaces != (live(there) && there->kind != op.entry->kind))
    complain("replaces is wrong");
  if (op.kind == OperationKind::kDelete && !live(there)) complain("nothing is there");
  // The one that counts: bytes go only for a version that knew them.
  if (live(there) && (makes || op.kind == OperationKind::kDelete) &&
      op.entry->version.compare(there->version) != Order::kNewer)
    complain("the version is not newer");
  if (op.kind == OperationKind::kSetMetadata && !same_content(*there, *op.entry))
    complain("the content differs");
  if (op.kind == OperationKind::kAdopt && op.set_metadata == same_on_disk(*there, *op.entry))
    complain("set_metadata is wrong");
}

void SyncWorld::carry_out(Node& node, const Operation& op) {
  check_disk(node, op);
  switch (op.kind) {
    case OperationKind::kPush:
      return push(node, op);
    case OperationKind::kNote:
      node.local.erase(op.path);
      node.synced[op.path] = op.entry;
      return;
    case OperationKind::kForget:
      node.local.erase(op.path);
      node.synced.erase(op.path);
      return;
    case OperationKind::kHold:
    case OperationKind::kNone:
      return fail("an operation that does nothing");
    default:
      node.local[op.path] = op.entry;
      node.synced[op.path] = op.entry;
  }
}

bool SyncWorld::sync_node(std::size_t index, bool cut) {
  Node& node = nodes[index];
  if (index != hub) node.remote = nodes[hub].remote;
  std::set<std::string> all;
  for (const Tree* tree : {&node.local, &node.remote, &node.synced}) {
    for (const auto& [path, entry] : *tree) all.insert(path);
  }
  std::vector<std::string> paths(all.begin(), all.end());
  for (std::size_t i = paths.size(); i > 1; --i) std::swap(paths[i - 1], paths[random_.below(i)]);
  // A part of the paths must do, too: parents that are missing are the planner's affair.
  if (cut && !paths.empty()) paths.resize(random_.below(paths.size()) + 1);
  Plan made = plan(node, paths);
  std::vector<Operation>& ops = made.operations;
  // Operations of one depth that follow each other may be done in any order.
  auto depth = [](const Operation& op) { return std::count(op.path.begin(), op.path.end(), '/'); };
  for (std::size_t i = 0; i < ops.size();) {
    std::size_t end = i;
    while (end < ops.size() && depth(ops[end]) == depth(ops[i])) ++end;
    for (std::size_t j = end - i; j > 1; --j) std::swap(ops[i + j - 1], ops[i + random_.below(j)]);
    i = end;
  }
  bool busy = !ops.empty() || !made.blocked.empty();
  if (cut && !ops.empty()) ops.resize(random_.below(ops.size()) + 1);
  for (const Operation& op : ops) carry_out(node, op);
  return busy;
}

bool SyncWorld::round(bool cut) { return sync_node(random_.below(nodes.size()), cut); }

void SyncWorld::change_hub() {
  // What a hub published is durable on its disk (DESIGN, Publication), though perhaps nowhere else.
  while (sync_node(hub, false)) {
  }
  hub = random_.below(nodes.size());
}

int SyncWorld::settle_down(int limit) {
  for (int rounds = 0; rounds < limit; ++rounds) {
    bool busy = false;
    for (std::size_t i = 0; i < nodes.size(); ++i) busy = sync_node(i, false) || busy;
    if (!busy || !failure_.empty()) return rounds;
  }
  return limit;
}

std::string SyncWorld::broken_invariant() const {
  if (!failure_.empty()) return failure_;
  const Tree& tree = nodes[hub].remote;
  std::set<ContentId> alive;
  std::set<std::pair<ContentId, std::int64_t>> copies;
  for (const auto& [path, entry] : tree) {
    if (!live(entry)) continue;
    if (entry->is_file() || entry->is_symlink()) alive.insert(entry->content);
    std::string parent(parent_path(path));
    EntryPtr above = find(tree, parent);
    if (!parent.empty() && (!above || !above->is_directory()))
      return str("I3: ", path, " is below no directory");
    if (path.find("(conflict", path.find("(conflict") + 1) != std::string::npos &&
        is_conflict_name(parent) == false)
      return str("I4: a copy of a copy: ", path);
    // A copy that nobody edited: one for each losing version.
    bool untouched = is_conflict_name(path) && entry->version.parts().size() == 1;
    if (untouched && !copies.emplace(entry->content, entry->edited.ns).second)
      return str("I4: a second copy: ", path);
  }
  for (const Node& node : nodes) {
    for (const auto& [path, entry] : tree) {
      EntryPtr here = find(node.local, path);
      if (live(entry) != live(here)) {
        if (!node.wants_all && live(entry) && entry->is_file()) continue;
        return str("I3: ", node.name, live(entry) ? " lacks " : " still has ", path);
      }
      if (live(here) && !same_on_disk(*here, *entry))
        return str("I3: ", node.name, " differs at ", path);
    }
    for (const auto& [path, entry] : node.local) {
      if (live(entry) && !live(find(tree, path))) return str("I3: only ", node.name, " has ", path);
    }
  }
  for (const Introduced& bytes : introduced_) {
    if (alive.count(bytes.content) != 0) continue;
    // Replaced by somebody who knew that version, or who knew these bytes there (the same bytes can
    // be written twice, and a three-way merge looks at bytes).
    bool knowingly = std::any_of(edits_.begin(), edits_.end(), [&](const Edited& e) {
      return e.path == bytes.path &&
             (e.replaced == bytes.content || e.version.compare(bytes.version) == Order::kNewer);
    });
    // Its fate is then that of the copy, which is in introduced_ too.
    bool copied = std::any_of(introduced_.begin(), introduced_.end(), [&](const Introduced& other) {
      return other.content == bytes.content && other.path != bytes.path &&
             is_conflict_name(other.path);
    });
    if (!knowingly && !copied) return str("I1: bytes of ", bytes.path, " are lost");
  }
  return "";
}

}  // namespace lansync::test
