#include "sim/trash_watch.h"

#include <algorithm>
#include <set>

#include "base/log.h"
#include "sim/node.h"

namespace lansync::sim {
namespace {

constexpr Duration kKept = 30 * 24h;
// A node counts the time that it saw pass: it may have stood still, and its clock drifts.
constexpr Duration kSlack = 1h;

bool same(const SeenFile& a, const SeenFile& b) {
  return a.kind == b.kind && a.bytes == b.bytes && a.target == b.target;
}

}  // namespace

void TrashWatch::on_displaced(SimNode& node, const std::string& path, const SeenFile& what,
                              bool passed, const std::string& trash, Instant now) {
  if (what.kind == FileKind::kDirectory) return;
  if (!trash.empty()) {
    kept_[node.name()][trash] = {path, what, now + passed_};
    return;
  }
  const Stands found = stands(node, what);
  // `drop` frees the space of what another node keeps, or kept when it was asked: a person there
  // may have gone past it since. (Seed 2831.)
  const bool dropped = node.options().on_demand && !node.has(path);
  if (found.here || (dropped && (found.elsewhere || passed))) return;
  report_(str("I1: ", node.name(), " took what stood at ", printable(path),
              " away, and put it into no trash"));
}

void TrashWatch::on_purged(SimNode& node, const std::string& trash, const SeenFile& what,
                           bool passed, Instant now) {
  auto& kept = kept_[node.name()];
  auto at = kept.find(trash);
  const bool old = at == kept.end() || now + passed_ - at->second.since >= kKept - kSlack;
  const std::string path = at == kept.end() ? trash : at->second.path;
  if (at != kept.end()) kept.erase(at);
  std::uint64_t bytes = what.bytes.size();
  for (const auto& [name, there] : node.disk().trash_files()) bytes += there.size();
  const bool beyond = bytes > node.disk().total_bytes().value() / 10;
  const Stands found = stands(node, what);
  if (!old && !beyond && !found.here && !found.elsewhere) {
    report_(str("I1: ", node.name(), " purged what had stood at ", printable(path),
                " before its time and with room enough"));
  }
  // Whose successor was made with it in view may go. Of anything else the program's own reason is
  // the word that nobody went past it: a conflict's loser, a damaged copy, what a crash left.
  const TrashItem* item =
      node.running() ? node.node().replica().index().trash().find(trash) : nullptr;
  if (item != nullptr && !went_past(item->reason) && what.kind == FileKind::kFile && !found.here &&
      !found.elsewhere) {
    report_(str("I1: ", node.name(), " purged what had stood at ", printable(path),
                ", and stands nowhere else, though nobody went past it"));
    return;
  }
  if (passed || found.here || found.elsewhere || in_a_trash(what)) return;
  report_(str("I1: ", node.name(), " purged the last copy of what had stood at ", printable(path),
              ", which nobody went past"));
}

void TrashWatch::on_restored(SimNode& node, const std::string& trash) {
  kept_[node.name()].erase(trash);
}

void TrashWatch::on_set_back(SimNode& node) {
  const std::map<std::string, Bytes> there = node.disk().trash_files();
  std::erase_if(kept_[node.name()], [&](const auto& one) { return !there.contains(one.first); });
}

bool TrashWatch::in_a_trash(const SeenFile& what) const {
  return std::any_of(kept_.begin(), kept_.end(), [&](const auto& node) {
    return std::any_of(node.second.begin(), node.second.end(),
                       [&](const auto& one) { return same(one.second.what, what); });
  });
}

void TrashWatch::check(SimNode& node) const {
  const std::map<std::string, Bytes> lies = node.disk().trash_files();
  const auto& listed = node.store().contents().trash;
  for (const auto& [name, bytes] : lies) {
    if (listed.contains(name)) continue;
    report_(str("I5: in the trash of ", node.name(), " and not listed: ", printable(name)));
  }
  for (const auto& [name, row] : listed) {
    if (lies.contains(name)) continue;
    report_(str("I5: listed and not in the trash of ", node.name(), ": ", printable(name)));
  }
  auto kept = kept_.find(node.name());
  if (kept == kept_.end()) return;
  for (const auto& [name, one] : kept->second) {
    if (lies.contains(name)) continue;
    const Stands found = stands(node, one.what);
    if (found.here || found.elsewhere) continue;
    report_(str("I1: what ", node.name(), " took from ", printable(one.path),
                " is not in its trash any more: ", printable(name)));
  }
}

}  // namespace lansync::sim
