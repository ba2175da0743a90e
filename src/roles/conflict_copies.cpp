#include "roles/conflict_copies.h"

#include <memory>
#include <utility>

#include "sync/conflict_name.h"
#include "sync/copies_of.h"
#include "sync/settlement.h"

namespace lansync {
namespace {

// An author's third and later losing version of a path within that takes the place of the one
// before (DESIGN, Conflicts).
constexpr std::int64_t kFoldWithinNs = 3600LL * 1'000'000'000;

}  // namespace

// All times are the author's own.
std::optional<Fold> fold_of(const Index& index, const std::string& copy) {
  const PathRecord* made = index.find(copy);
  const auto told = parse_conflict_name(copy);
  if (!told || !made || !made->remote) return std::nullopt;
  const Entry& last = *made->remote;
  if (!is_as_made(*told, last)) return std::nullopt;
  Fold fold;
  int earlier = 0;
  visit_copies(index, told->of, [&](const std::string& path, const EntryPtr& there) {
    if (path == copy || there->author != last.author) return;
    if (there->edited.ns > last.edited.ns || there->edited.ns < last.edited.ns - kFoldWithinNs)
      return;
    if (there->is_tombstone()) return;
    const auto name = parse_conflict_name(path);
    if (!name || !is_as_made(*name, *there)) return;
    ++earlier;
    if (fold.entry && fold.entry->edited.ns > there->edited.ns) return;
    fold.previous = path;
    fold.entry = there;
  });
  if (earlier < 2) return std::nullopt;
  return fold;
}

EntryPtr tombstone_of(Replica& replica, const Fold& fold) {
  const PathRecord* record = replica.index().find(fold.previous);
  const VersionVector& version = fold.entry->version;
  if (!record || !record->local || record->local->version != version) return nullptr;
  if (version.parts().size() != 1) return nullptr;
  auto next = VersionVector::next(version, settling_id(short_id(replica.node())),
                                  replica.edit_count() + 1, kMaxVectorFromOutside);
  if (!next) return nullptr;
  replica.use_counts(1);
  auto gone = std::make_shared<Entry>();
  gone->kind = EntryKind::kTombstone;
  gone->was = fold.entry->kind;
  gone->mode = fold.entry->mode;
  gone->content = fold.entry->content;
  gone->author = fold.entry->author;
  gone->author_name = fold.entry->author_name;
  gone->edited = fold.entry->edited;
  gone->version = std::move(*next);
  return gone;
}

}  // namespace lansync
