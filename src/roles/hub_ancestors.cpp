// The directories above what is pushed: one that the group does not have is made first, and a file
// or link that stands in its place is kept as a conflict copy before it gives way.
#include "base/log.h"
#include "roles/hub.h"

namespace lansync {
namespace {

constexpr std::size_t kMostBelow = 8192;  // offers that wait for one directory

}  // namespace

// The copy is published before the name changes hands, as for any conflict: a hub that dies between
// the two, or whose pusher goes, would leave these bytes in trashes alone. True: the offer waits
// behind that, and is settled anew then. (Simulator's seed 1332.)
bool Hub::waits_for_ancestor(const Offer& offer) {
  if (offer.item.entry->is_tombstone()) return false;
  const auto above = revive_ancestors(offer.item.name, view_of(offer.item.name));
  if (!above) return false;
  std::uint64_t counts = 0;
  for (const AncestorChange& change : *above) {
    ++counts;
    if (auto copy = candidates_.find(change.copy_path); copy != candidates_.end()) {
      queue_behind(copy->second.queue, offer, kMostBelow);
      return true;
    }
    auto under_way = candidates_.find(change.path);
    const bool waits_itself = under_way != candidates_.end() && !under_way->second.entry;
    if (!waits_itself && !change.copy) continue;
    if (!waits_itself) {
      replica_.use_counts(counts);
      keep_what_gives_way(change);
    }
    queue_behind(candidates_[change.path].queue, offer, kMostBelow);
    return true;
  }
  return false;
}

void Hub::keep_what_gives_way(const AncestorChange& change) {
  Candidate waiting;
  SessionId holder = 0;
  auto under_way = candidates_.find(change.path);
  if (under_way != candidates_.end()) {
    // Its bytes are its pusher's, whose push is settled anew against what there is then.
    waiting.offer = under_way->second.offer;
    waiting.before = under_way->second.before;
    waiting.queue = withdraw(change.path, false);
    holder = waiting.offer.session;
  } else {
    waiting.offer = Offer{0, {change.path, change.entry}};
    waiting.before = published(change.path);
  }
  waiting.waits_for = change.copy_path;
  log_.debug(str("conflict: ", printable(change.path), " becomes a directory; what stood there is ",
                 "kept as ", printable(change.copy_path)));
  candidates_[change.path] = std::move(waiting);
  copy_for_[change.copy_path] = change.path;
  propose(change.copy_path, change.copy, Offer{holder, {change.copy_path, change.copy}});
}

bool Hub::propose_ancestors(const std::string& path) {
  const auto above = revive_ancestors(path, view_of(path));
  if (!above) return false;
  for (const AncestorChange& change : *above) {
    replica_.use_counts(1);
    auto under_way = candidates_.find(change.path);
    if (under_way != candidates_.end()) {
      if (!under_way->second.entry) continue;
      // A delete (or a file, of which a copy is kept by now) of that name is on its way: it would
      // wait for ever for what is made below it now. The directory, whose vector covers it, is what
      // gets published in its stead.
      under_way->second.entry = change.entry;
      replica_.set_remote(change.path, change.entry);
      continue;
    }
    Candidate parent;
    parent.offer = Offer{0, {change.path, change.entry}};
    parent.entry = change.entry;
    parent.before = published(change.path);
    candidates_[change.path] = std::move(parent);
    replica_.set_remote(change.path, change.entry);
  }
  return true;
}

}  // namespace lansync
