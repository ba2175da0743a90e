#include "sync/settlement.h"

#include <algorithm>
#include <utility>

#include "base/bytes.h"
#include "sync/conflict_name.h"
#include "sync/hashing.h"
#include "sync/seen_all.h"

namespace lansync {
namespace {

// Names after the content's own id; each is taken only by somebody's prank.
constexpr int kLastResorts = 8;

// Kinds whose bytes a copy can keep.
bool is_leaf(const Entry& entry) { return entry.is_file() || entry.is_symlink(); }

// One decision, step by step. Each step of settle() either finishes it or leaves it to the next.
class Settler {
 public:
  Settler(const PushedVersion& pushed, const EntryPtr& hub_entry, const HubView& hub)
      : pushed_(pushed), mine_(hub_entry), hub_(hub) {}

  Settlement run() {
    const Entry& theirs = pushed_.entry;
    if (!mine_) return accept_as_is();
    switch (theirs.version.compare(mine_->version)) {
      case Order::kOlder:
        return have(mine_);
      case Order::kNewer:
        return settle_newer();
      case Order::kEqual:
        // Metadata alone under equal vectors: the hub's stands, everybody converges on it.
        if (same_content(theirs, *mine_)) return have(mine_);
        out_.mismatch = true;
        break;
      case Order::kConcurrent:
        break;
    }
    return settle_concurrent();
  }

 private:
  Settlement accept_as_is() { return accept(std::make_shared<Entry>(pushed_.entry)); }

  Settlement accept(EntryPtr entry) {
    out_.kind = SettlementKind::kAccept;
    out_.changed = true;
    out_.content_needed = entry->is_file() && !(mine_ && same_content(*entry, *mine_));
    out_.entry = std::move(entry);
    return std::move(out_);
  }

  Settlement have(EntryPtr entry) {
    out_.kind = SettlementKind::kHave;
    out_.changed = entry != mine_;
    out_.entry = std::move(entry);
    return std::move(out_);
  }

  Settlement conflict(std::shared_ptr<Entry> winner, const Entry& loser, bool hub_lost) {
    // Nothing is deleted where both are kept. A directory that went on being part of its run was
    // undone again by each node where that run had been rejected, each time with a new version, for
    // as long as the group lived. (Simulator's seeds 1038, 1139, 2643.)
    if (!winner->is_tombstone()) winner->run = 0;
    std::optional<ConflictCopy> copy = make_conflict_copy(pushed_.path, loser, hub_.lookup);
    if (!copy) return refuse("every name that its conflict copy could have is taken");
    out_.kind = SettlementKind::kConflict;
    out_.changed = true;
    out_.content_needed = winner->is_file() && !(mine_ && same_content(*winner, *mine_));
    out_.entry = std::move(winner);
    out_.copy_path = std::move(copy->path);
    out_.copy = std::move(copy->entry);
    out_.hub_lost = hub_lost;
    return std::move(out_);
  }

  // `content` under a vector that covers both sides and, by the hub's own count, nothing else: two
  // hubs that decide differently make concurrent versions, never equal vectors with different
  // content. Asked for only after can_decide().
  std::shared_ptr<Entry> decided(const Entry& content) {
    auto entry = std::make_shared<Entry>(content);
    entry->version = *decided_version_;
    out_.count_used = true;
    return entry;
  }

  // The same content on both sides: no decision, so no count; any two hubs make the same vector.
  EntryPtr merged_vectors() {
    auto entry = std::make_shared<Entry>(*mine_);
    entry->version = merged_;
    const LastEdits& mine = mine_->edits;
    const LastEdits& theirs = pushed_.entry.edits;
    entry->edits.content = later(mine.content, theirs.content);
    entry->edits.mode = later(mine.mode, theirs.mode);
    entry->edits.mtime = later(mine.mtime, theirs.mtime);
    return entry;
  }

  bool i_changed(const Edit& mine) const { return !has_seen(pushed_.entry.version, mine); }
  bool they_changed(const Edit& theirs) const { return !has_seen(mine_->version, theirs); }

  // Of two edits that made the same of it, the one that the other side has not seen; by a rule that
  // every hub has.
  Edit later(const Edit& mine, const Edit& theirs) const {
    const bool my_turn = i_changed(mine);
    if (my_turn != they_changed(theirs)) return my_turn ? mine : theirs;
    return std::max(mine, theirs);
  }

  // There is room for the hub's decision beside what both sides know.
  bool can_decide() {
    merged_ = VersionVector::merged(pushed_.entry.version, mine_->version);
    decided_version_ =
        VersionVector::next(merged_, settler_, hub_.next_count, kMaxVectorFromOutside);
    return decided_version_.has_value();
  }

  Settlement settle_newer() {
    // The pusher did not know what is in this directory: it is edited, in effect, and an edit beats
    // a delete.
    bool keeps_directory =
        mine_->is_directory() && hub_.live_children && !pushed_.entry.is_directory();
    if (!keeps_directory) return accept_as_is();
    if (!can_decide()) return refuse(kTooManyAuthors);
    if (pushed_.entry.is_tombstone()) return have(decided(*mine_));
    return conflict(decided(*mine_), pushed_.entry, false);
  }

  Settlement settle_concurrent() {
    const Entry& theirs = pushed_.entry;
    if (!can_decide()) return refuse(kTooManyAuthors);
    if (theirs.is_tombstone() && mine_->is_tombstone()) return have(merged_vectors());
    // Edit beats delete, both ways; but not one that has lost this name to what was deleted, and
    // has its copy: then it would stand twice. (Simulator's seeds 986, 4027, 8891: the delete was
    // held, or overtook the push that waited for the winner's bytes.)
    if (theirs.is_tombstone()) {
      const bool over = ends(theirs, *mine_) || (is_leaf(*mine_) && kept_before(*mine_));
      return over ? accept(decided(theirs)) : have(decided(*mine_));
    }
    if (mine_->is_tombstone()) {
      const bool over = ends(*mine_, theirs) || (is_leaf(theirs) && kept_before(theirs));
      return over ? have(decided(*mine_)) : accept(decided(theirs));
    }
    if (same_content(theirs, *mine_)) {
      if (same_on_disk(theirs, *mine_)) return have(merged_vectors());
      return have(with_merged_metadata(*mine_));
    }
    if (is_leaf(theirs) && is_leaf(*mine_)) return settle_leaves();
    return settle_directory();
  }

  // What only one side changed is no conflict, a delete neither: while a conflict is settled, the
  // winner's author deletes it, and what the settlement adds to its vector is no edit. It would
  // come back to whoever deleted it, and where nobody else had it yet it could come from nowhere,
  // for good. (Simulator's seed 1869.)
  bool ends(const Entry& tombstone, const Entry& live) const {
    if (live.is_directory() && hub_.live_children) return false;
    return has_seen_all(tombstone.version, live);
  }

  // Two different contents. What only one side changed is no conflict. (Neither: two hubs have
  // decided differently on the same two.)
  Settlement settle_leaves() {
    const Entry& theirs = pushed_.entry;
    const bool mine_is_new = i_changed(mine_->edits.content);
    const bool theirs_is_new = they_changed(theirs.edits.content);
    if (mine_is_new && !theirs_is_new) return have(with_merged_metadata(*mine_));
    if (theirs_is_new && !mine_is_new) return accept(with_merged_metadata(theirs));
    if (kept_before(*mine_) && !kept_before(theirs)) return conflict(decided(theirs), *mine_, true);
    return conflict(decided(*mine_), theirs, false);
  }

  // It has lost this name already: its copy stands, as it was made. A hub publishes the copy first,
  // and one that could not write its index, or waited for the winner's bytes, gave up in between;
  // the next hub decided the other way, and the loser's bytes stood under both names. (Simulator's
  // seeds 3209, 5875, 8768, 8856, 9225.)
  bool kept_before(const Entry& version) const {
    const std::optional<ConflictCopy> copy = make_conflict_copy(pushed_.path, version, hub_.lookup);
    if (!copy || copy->entry) return false;
    // One that somebody wrote to may go any moment.
    const EntryPtr there = hub_.lookup(copy->path);
    return there && there->version.parts().size() == 1;
  }

  // A directory against a file or a symlink: the directory keeps the name, whoever's it is.
  Settlement settle_directory() {
    const Entry& theirs = pushed_.entry;
    bool mine_is_directory = mine_->is_directory();
    const Entry& directory = mine_is_directory ? *mine_ : theirs;
    const Entry& leaf = mine_is_directory ? theirs : *mine_;
    if (!directory.is_directory() || !is_leaf(leaf)) {
      // kSetting has no bytes to keep: the hub's stands.
      return have(decided(*mine_));
    }
    // Whoever made the directory had removed exactly these bytes, knowingly.
    const bool leaf_unchanged = has_seen(directory.version, leaf.edits.content);
    // But who kept the bytes against that directory's run knew of it.
    const bool leaf_kept = directory.run != 0 && has_seen(leaf.version, directory.edits.content);
    if (leaf_unchanged && !leaf_kept)
      return mine_is_directory ? have(decided(directory)) : accept(decided(directory));
    return conflict(decided(directory), leaf, !mine_is_directory);
  }

  // `content` with mode and mtime merged apart; both changed: the hub's.
  EntryPtr with_merged_metadata(const Entry& content) {
    std::shared_ptr<Entry> entry = decided(content);
    const Entry& theirs = pushed_.entry;
    if (same_content(theirs, *mine_))
      entry->edits.content = later(mine_->edits.content, theirs.edits.content);
    // A link has neither, and what stands beside it is none of the file's.
    if (theirs.kind != mine_->kind || entry->is_symlink()) return entry;
    const bool their_mode = they_changed(theirs.edits.mode) && !i_changed(mine_->edits.mode);
    const Entry& mode_from = their_mode ? theirs : *mine_;
    entry->mode = mode_from.mode;
    entry->edits.mode = mode_from.edits.mode;
    if (!entry->is_file()) return entry;
    const bool their_mtime = they_changed(theirs.edits.mtime) && !i_changed(mine_->edits.mtime);
    const Entry& mtime_from = their_mtime ? theirs : *mine_;
    entry->mtime_ns = mtime_from.mtime_ns;
    entry->edits.mtime = mtime_from.edits.mtime;
    return entry;
  }

  Settlement refuse(const char* why) {
    Settlement refused;
    refused.kind = SettlementKind::kRefuse;
    refused.mismatch = out_.mismatch;
    refused.reason = why;
    return refused;
  }

  const PushedVersion& pushed_;
  const EntryPtr& mine_;
  const HubView& hub_;
  const ShortId settler_ = settling_id(hub_.hub);
  VersionVector merged_;
  std::optional<VersionVector> decided_version_;
  Settlement out_;
};

// SHA-256("copy" | path | content): the same at every hub that makes this copy.
ShortId copy_author(const std::string& path, const ContentId& content) {
  ByteWriter seed;
  seed.raw(as_bytes("copy"));
  seed.text(path);
  seed.raw(content);
  return short_id_from(content_id_of(seed.bytes()));
}

// Null: no vector that others take would cover what stands there.
EntryPtr copy_entry(const std::string& path, const Entry& loser, const EntryPtr& before) {
  auto entry = std::make_shared<Entry>(loser);
  const VersionVector version = before ? before->version : VersionVector();
  ShortId author = copy_author(path, loser.content);
  const std::uint64_t count = std::min(version.count_of(author) + 1, kCountLimit - 1);
  auto next = VersionVector::next(version, author, count, kMaxVectorFromOutside);
  if (!next) return nullptr;
  entry->version = std::move(*next);
  note_edits(*entry, nullptr, version);
  return entry;
}

}  // namespace

Settlement settle(const PushedVersion& pushed, const EntryPtr& hub_entry, const HubView& hub) {
  return Settler(pushed, hub_entry, hub).run();
}

std::optional<ConflictCopy> make_conflict_copy(const std::string& path, const Entry& loser,
                                               const EntryLookup& lookup) {
  std::optional<ConflictCopy> over_tombstone;
  ContentId id = loser.content;
  for (int attempt = 0; attempt < 3 + kLastResorts; ++attempt) {
    ConflictNameStep step = attempt == 0   ? ConflictNameStep::kPlain
                            : attempt == 1 ? ConflictNameStep::kShortId
                                           : ConflictNameStep::kFullId;
    // Other bytes under the whole content id: only somebody's prank. Their place is after these.
    if (attempt == 3 && over_tombstone) return over_tombstone;
    if (attempt >= 3) id = content_id_of(ByteView(id.bytes));
    std::string name = conflict_name(path, loser.author_name, loser.edited, id, step);
    if (name == path) continue;  // the loser has this name already, and loses it now
    EntryPtr there = lookup(name);
    if (!there) return ConflictCopy{name, copy_entry(name, loser, nullptr)};
    if (same_content(*there, loser)) return ConflictCopy{name, nullptr};
    if (!there->is_tombstone() || over_tombstone) continue;
    // Somebody deleted such a copy: a new one must not be older than that tombstone.
    if (EntryPtr copy = copy_entry(name, loser, there)) over_tombstone = ConflictCopy{name, copy};
  }
  return over_tombstone;
}

std::optional<std::vector<AncestorChange>> revive_ancestors(const std::string& path,
                                                            const HubView& hub) {
  std::vector<AncestorChange> changes;
  std::uint64_t count = hub.next_count;
  for (std::size_t slash = path.find('/'); slash != std::string::npos;
       slash = path.find('/', slash + 1)) {
    std::string ancestor = path.substr(0, slash);
    EntryPtr before = hub.lookup(ancestor);
    if (before && before->is_directory()) continue;
    auto entry = std::make_shared<Entry>();
    entry->kind = EntryKind::kDirectory;
    // As it was, where it was one.
    const bool was_one = before && before->is_tombstone() && before->was == EntryKind::kDirectory;
    entry->mode = was_one && before->mode != 0 ? before->mode : 0755;
    const VersionVector grown_from = before ? before->version : VersionVector();
    auto version =
        VersionVector::next(grown_from, settling_id(hub.hub), count, kMaxVectorFromOutside);
    if (!version) return std::nullopt;
    entry->version = std::move(*version);
    note_edits(*entry, nullptr, grown_from);
    ++count;
    entry->author = hub.hub;
    AncestorChange change{ancestor, entry, "", nullptr};
    if (before && is_leaf(*before)) {
      std::optional<ConflictCopy> copy = make_conflict_copy(ancestor, *before, hub.lookup);
      if (!copy) return std::nullopt;
      change.copy_path = std::move(copy->path);
      change.copy = std::move(copy->entry);
    }
    changes.push_back(std::move(change));
  }
  return changes;
}

}  // namespace lansync
