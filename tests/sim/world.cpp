#include "sim/world.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "base/assert.h"
#include "base/log.h"
#include "sim/not_shared.h"
#include "sim/rest.h"

namespace lansync::sim {
namespace {

constexpr Duration kLook = 10ms;
// I3: after convergence nothing moves for this long.
constexpr Duration kQuiet = 10s;
// I12: and for this long nobody does more than the clock asks for.
constexpr Duration kRest = 60s;

std::uint64_t seed_for(std::uint64_t seed, const std::string& name) {
  for (const char c : name) seed = (seed ^ static_cast<std::uint8_t>(c)) * 0x100000001b3u;
  return seed;
}

std::string describe(const SeenFile* seen) {
  if (seen == nullptr) return "nothing";
  switch (seen->kind) {
    case FileKind::kDirectory:
      return str("a directory of mode ", seen->mode);
    case FileKind::kSymlink:
      return str("a link to ", seen->target);
    default:
      break;
  }
  std::string_view text = as_text(seen->bytes).substr(0, 40);
  return str("a file of ", seen->bytes.size(), " bytes, mode ", seen->mode, ", mtime ",
             seen->mtime_ns, " \"", printable(text), "\"");
}

std::string describe(const EntryPtr& entry) {
  if (!entry) return "-";
  static const char* const kKinds[] = {"?", "file", "directory", "symlink", "tombstone", "setting"};
  std::string out = str(kKinds[static_cast<int>(entry->kind)], " {");
  for (const VersionVector::Part& part : entry->version.parts()) {
    out += str(to_hex(std::span(reinterpret_cast<const std::uint8_t*>(&part.id), 2)), ":",
               part.count % 1'000'000, " ");
  }
  return out + "}" + (entry->content.is_zero() ? "" : to_hex(entry->content).substr(0, 6));
}

// What keeps a node from being in sync, path by path.
std::string open_paths(SimNode& node) {
  constexpr int kMaxShown = 6;
  std::string out;
  int shown = 0;
  const Replica& replica = node.node().replica();
  for (const auto& [path, record] : replica.index().paths()) {
    const bool pushed = replica.to_push().contains(path);
    if (replica.index().in_agreement(record) && !pushed) continue;
    if (++shown > kMaxShown) break;
    out +=
        str("  ", printable(path), pushed ? " (to push)" : "", ": local ", describe(record.local),
            ", synced ", describe(record.synced), ", remote ", describe(record.remote), "\n");
  }
  for (const std::string& line : node.node().hub().describe_candidates()) {
    out += str("  candidate: ", line, "\n");
  }
  for (const auto& [path, why] : replica.problems()) {
    out += str("  problem: ", printable(path), ": ", printable(why), "\n");
  }
  return out;
}

// Of which a node says that nobody has it.
NotShared::Missed missed(const std::vector<SimNode*>& nodes) {
  NotShared::Missed out;
  for (SimNode* one : nodes) {
    const Replica& replica = one->node().replica();
    for (const auto& [path, why] : replica.problems()) {
      const PathRecord* record = replica.index().find(path);
      if (why.starts_with("nobody who is here has") && record && record->remote)
        out.emplace_back(path, record->remote);
    }
  }
  return out;
}

// A directory's mtime is nobody's edit, and its mode is.
std::string first_difference(const SeenTree& a, const SeenTree& b) {
  auto left = a.begin();
  auto right = b.begin();
  while (left != a.end() || right != b.end()) {
    const bool take_left = right == b.end() || (left != a.end() && left->first <= right->first);
    const bool take_right = left == a.end() || (right != b.end() && right->first <= left->first);
    const SeenFile* one = take_left ? &left->second : nullptr;
    const SeenFile* other = take_right ? &right->second : nullptr;
    if (one == nullptr || other == nullptr || *one != *other) {
      return str(printable(take_left ? left->first : right->first), " is ", describe(one), " and ",
                 describe(other));
    }
    ++left;
    ++right;
  }
  return {};
}

// What an on-demand node may lack of a full tree.
SeenTree without_absent_files(const SeenTree& full, const SeenTree& some) {
  SeenTree out;
  for (const auto& [path, seen] : full) {
    if (seen.kind != FileKind::kFile || some.contains(path)) out.emplace(path, seen);
  }
  return out;
}

}  // namespace

World::World(std::uint64_t seed)
    : seed_(seed), network_(queue_, trace_, seed_for(seed, "network")) {
  if (std::getenv("LANSYNC_SIM_TRACE") != nullptr) {
    trace_.set_sink([](const std::string& line) { std::puts(line.c_str()); });
  }
  oracle_.trash().set_where([this](const SimNode& node, const SeenFile& what) {
    TrashWatch::Stands stands;
    for (const auto& [name, other] : nodes_) {
      if (!other->disk().shows(what)) continue;
      (other.get() == &node ? stands.here : stands.elsewhere) = true;
    }
    return stands;
  });
  oracle_.runs().set_running([this] { return running(); });
}

World::~World() {
  make_current();
  nodes_.clear();
}

SimNode& World::add(const std::string& name, const NodeOptions& options) {
  make_current();
  auto node =
      std::make_unique<SimNode>(queue_, network_, trace_, oracle_, name,
                                static_cast<std::uint32_t>(nodes_.size()), seed_for(seed_, name));
  node->options() = options;
  SimNode& added = *node;
  LS_ASSERT(nodes_.emplace(name, std::move(node)).second);
  return added;
}

std::vector<SimNode*> World::nodes() {
  std::vector<SimNode*> out;
  for (auto& [name, node] : nodes_) out.push_back(node.get());
  return out;
}

std::vector<SimNode*> World::running() {
  std::vector<SimNode*> out = nodes();
  std::erase_if(out, [](const SimNode* node) { return !node->running(); });
  return out;
}

void World::start_all() {
  make_current();
  for (auto& [name, node] : nodes_) {
    if (!node->running()) node->start();
  }
}

void World::partition(const std::set<std::string>& some, const std::set<std::string>& others,
                      bool one_way) {
  std::string text = one_way ? "one-way partition:" : "partition:";
  for (const std::string& name : some) text += " " + name;
  text += " |";
  for (const std::string& name : others) text += " " + name;
  trace_.line("world", text);
  for (const std::string& from : some) {
    for (const std::string& to : others) {
      cut(node(from), node(to), true);
      if (!one_way) cut(node(to), node(from), true);
    }
  }
}

void World::cut(SimNode& from, SimNode& to, bool off) {
  network_.faults(from.ip(), to.ip()).cut = off;
  network_.faults(from.second_ip(), to.second_ip()).cut = off;
}

void World::cut_lan(const std::string& name, int lan, bool off) {
  SimNode& one = node(name);
  trace_.line(name, str("LAN ", lan, off ? " does not reach it" : " reaches it again"));
  for (const auto& [other, there] : nodes_) {
    if (other == name) continue;
    const auto ip = [&](SimNode& which) { return lan == 0 ? which.ip() : which.second_ip(); };
    network_.faults(ip(one), ip(*there)).cut = off;
    network_.faults(ip(*there), ip(one)).cut = off;
  }
}

void World::set_plugged(const std::string& name, bool plugged) {
  SimNode& one = node(name);
  trace_.line(name, plugged ? "its cable is in" : "its cable is out");
  for (const auto& [other, there] : nodes_) {
    if (other == name) continue;
    cut(one, *there, !plugged);
    cut(*there, one, !plugged);
  }
  one.tell_network(plugged);
}

void World::heal() {
  trace_.line("world", "every link is whole");
  network_.heal_all();
}

void World::run_for(Duration how_long) {
  make_current();
  const Instant end = queue_.now() + how_long;
  while (queue_.next() <= end) queue_.run_one();
  queue_.advance_to(end);
}

bool World::run_until(const std::function<bool()>& predicate, Duration limit) {
  const Instant end = queue_.now() + limit;
  for (;;) {
    if (predicate()) return true;
    if (queue_.now() >= end) return false;
    run_for(kLook);
  }
}

bool World::converged() {
  std::vector<SimNode*> all = running();
  if (all.empty()) return true;
  for (SimNode* one : all) {
    if (!one->settled()) return false;
  }
  const auto hubs =
      std::count_if(all.begin(), all.end(), [](const SimNode* one) { return is_hub(one->role()); });
  if (hubs != 1) return false;
  // A hub that was killed and came back alone is not the one that its members still listen to, for
  // the two seconds that they cannot know. (Seed 1992.)
  const auto term = [](SimNode* one) { return one->node().election().term(); };
  if (std::any_of(all.begin(), all.end(),
                  [&](SimNode* one) { return term(one) != term(all.front()); }))
    return false;
  // Who is in sync and differs is asked each 10 ms for minutes: of large files that took longer
  // than a seed may.
  if (now() < look_again_at_) return false;
  const std::map<std::string, SeenTree> trees = shared_trees();
  const SeenTree& full = trees.at(reference(all)->name());
  const bool same = std::all_of(all.begin(), all.end(), [&](SimNode* one) {
    const SeenTree& tree = trees.at(one->name());
    return one->options().on_demand ? tree == without_absent_files(full, tree) : tree == full;
  });
  if (!same) look_again_at_ = now() + 500ms;
  return same;
}

SimNode* World::reference(const std::vector<SimNode*>& all) {
  auto full =
      std::find_if(all.begin(), all.end(), [](SimNode* one) { return !one->options().on_demand; });
  return full == all.end() ? all.front() : *full;
}

std::map<std::string, SeenTree> World::shared_trees() {
  std::map<std::string, SeenTree> trees;
  std::vector<NotShared::Folder> folders;
  for (SimNode* one : running()) {
    const SeenTree& tree = trees[one->name()] = one->disk().tree();
    folders.push_back({&tree, one->options().max_file_size});
  }
  const std::string rules = trees.empty()
                                ? std::string()
                                : reference(running())->text(std::string(IgnoreRules::kFileName));
  const NotShared apart(folders, rules, missed(running()));
  for (auto& [name, tree] : trees) tree = apart.without(std::move(tree));
  return trees;
}

std::string World::difference() {
  std::string out;
  std::vector<SimNode*> all = running();
  for (SimNode* one : all) {
    const StatusReport status = one->node().status();
    out += str(one->name(), ": ", to_string(status.role), ", term ", status.term, ", ",
               status.state == NodeState::kInSync ? "in sync" : "not in sync", " ", status.reason,
               "; hub ", status.hub ? status.hub->name : "none", "; pending ", status.pending_files,
               one->in_sync() ? "" : "; not in_sync()", "\n");
    if (!one->in_sync()) out += open_paths(*one);
  }
  if (all.empty()) return out;
  SimNode* first = reference(all);
  const std::map<std::string, SeenTree> trees = shared_trees();
  for (SimNode* one : all) {
    const SeenTree& tree = trees.at(one->name());
    SeenTree full = trees.at(first->name());
    if (one->options().on_demand) full = without_absent_files(full, tree);
    const std::string differs = first_difference(full, tree);
    if (!differs.empty()) {
      out += str("on ", first->name(), " and ", one->name(), ": ", differs, "\n");
    }
  }
  return out;
}

std::uint64_t World::payload_sent() {
  std::uint64_t sum = 0;
  for (SimNode* one : running()) sum += one->payload_sent();
  return sum;
}

// Who is not in sync says what it waits for: a node that is `syncing` without a reason leaves a
// person with nothing to do.
void World::blame_the_silent() {
  for (SimNode* one : running()) {
    const StatusReport status = one->node().status();
    if (status.state == NodeState::kInSync || !status.reason.empty()) continue;
    oracle_.violation(str("I8: ", one->name(), " is not in sync and does not say why"));
  }
}

// I3: nothing moves any more. What is not to be the same everywhere may: who waited for a file that
// somebody has no room for, as in sync as can be, looks for a holder each ten seconds. (Seeds 6597,
// 8299.)
void World::check_quiet() {
  const std::uint64_t sent = payload_sent();
  std::map<std::string, SeenTree> before = shared_trees();
  const bool all_shared = std::all_of(before.begin(), before.end(), [&](const auto& one) {
    return one.second.size() == node(one.first).disk().tree().size();
  });
  run_for(kQuiet);
  if (all_shared && payload_sent() != sent)
    oracle_.violation("I3: content was sent after all were in sync");
  // A rescan may be under way at this very moment: that alone is no unrest.
  if (!run_until([this] { return converged(); }, 1s)) {
    oracle_.violation(str("I3: what had converged came apart\n", difference()));
  }
  const std::map<std::string, SeenTree> after = shared_trees();
  for (SimNode* one : running()) {
    if (before.at(one->name()) == after.at(one->name())) continue;
    oracle_.violation(str("I3: ", one->name(), " changed its tree after all were in sync: ",
                          first_difference(before.at(one->name()), after.at(one->name()))));
  }
}

std::vector<std::string> World::look_at_rest() {
  std::vector<std::string> found;
  std::map<std::string, RestSample> before;
  for (SimNode* one : running()) before[one->name()] = sample_rest(*one);
  const std::uint64_t heap = live_heap_bytes();
  run_for(kRest);
  const std::vector<SimNode*> all = running();
  std::size_t refused = 0;
  for (const SimNode* one : all) refused += one->refused();
  const auto report = [&](std::string text) { found.push_back(std::move(text)); };
  for (SimNode* one : all) {
    check_rest(one->name(), before.at(one->name()), sample_rest(*one), kRest, one->options().rescan,
               all.size() - 1, refused, report);
  }
  check_heap(heap, live_heap_bytes(), all.size(), report);
  return found;
}

// What was begun before may still end in the first minute, once (a run of deletes does, 60 s after
// its last one): then the second one counts.
bool World::rest() {
  std::vector<std::string> found;
  for (int minute = 0; minute < 2; ++minute) {
    found = look_at_rest();
    if (found.empty()) break;
  }
  for (std::string& text : found) oracle_.violation(std::move(text));
  return oracle_.violations().empty();
}

void World::check_trees() {
  const std::vector<SimNode*> all = running();
  if (all.empty()) return;
  const std::map<std::string, SeenTree> shared = shared_trees();
  const SeenTree& agreed = shared.at(reference(all)->name());
  // What is not shared stands where it was made, and may.
  SeenTree whole = agreed;
  for (SimNode* one : all) {
    const SeenTree tree = one->disk().tree();
    oracle_.check_whole(one->name(), tree);
    oracle_.trash().check(*one);
    oracle_.deletes().judge(*one);
    for (const auto& [path, seen] : tree) {
      if (shared.at(one->name()).contains(path)) continue;
      oracle_.history().exempt(path);
      whole.emplace(str("of ", one->name(), "/", whole.size()), seen);
    }
  }
  oracle_.check_final(whole);
  if (all.size() == nodes_.size()) oracle_.history().on_converged(shared, agreed);
}

bool World::converge(Duration limit) {
  // What people did at this very instant is not noticed yet. (Seed 187: they deleted the ignore
  // rules, and all were said to be in sync.)
  run_for(100ms);
  const auto at_rest = [this] { return !oracle_.runs().mending(queue_.now()) && converged(); };
  if (!run_until(at_rest, limit)) {
    oracle_.violation(str("I3: not converged within ", to_string(limit), "\n", difference()));
    blame_the_silent();
    return false;
  }
  trace_.line("world", "all are in sync");
  check_quiet();
  check_trees();
  return oracle_.violations().empty();
}

std::string World::verdict() {
  std::string out;
  for (const std::string& line : oracle_.violations()) out += line + "\n";
  return out;
}

}  // namespace lansync::sim
