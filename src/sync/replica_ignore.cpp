// What the ignore rules hide: when they are read, and what then leaves the index.
#include "sync/forget_here.h"
#include "sync/replica.h"

namespace lansync {

void Replica::load_ignore_rules() {
  auto text = std::make_shared<std::string>();
  const std::string name(IgnoreRules::kFileName);
  auto file = files_.open_file(name);
  if (file) {
    std::vector<std::uint8_t> buffer(IgnoreRules::kMaxFileBytes + 1);
    if (auto size = (*file)->read(0, buffer)) {
      text->assign(reinterpret_cast<const char*>(buffer.data()), *size);
    }
  } else if (auto stat = files_.stat(name);
             stat ? stat->kind == FileKind::kFile : stat.error().code != ErrorCode::kNotFound) {
    return;  // what was ignored must not be shared because the rules cannot be read for once
  }
  if (rules_text_ == *text) return;
  rules_text_ = *text;
  ++rules_number_;
  rules_ = std::make_shared<const IgnoreRules>(IgnoreRules::parse(*text));
  // What was to be fetched may not be wanted any more, and the other way round.
  std::vector<std::string> hidden;
  for (const auto& [path, record] : index_.paths()) {
    if (!index_.in_agreement(record)) plan_.insert(path);
    const EntryPtr& known = record.known();
    if (known && !known->is_tombstone() && !busy_.contains(path) && is_ignored(path, *known))
      hidden.push_back(path);
  }
  for (const std::string& path : hidden) forget_ignored(path);
  for (const std::string& problem : rules_->problems()) {
    log_.warn(str(IgnoreRules::kFileName, ": ", printable(problem)));
  }
}

// However the rules' file came, changed or went (by a person, a member, a restore, a rename of what
// is over it): what it hid or hides now is looked at.
void Replica::follow_ignore_rules() {
  const PathRecord* record = index_.find(std::string(IgnoreRules::kFileName));
  const ContentId content = record && record->live() ? record->local->content : ContentId{};
  if (content == rules_content_) return;
  rules_content_ = content;
  scan_again_ = true;
}

// A path that becomes ignored leaves the index without a tombstone and stays on every disk
// (DESIGN).
void Replica::forget_ignored(const std::string& path) {
  // Nor is a delete of it held any more, by whomever.
  apply_change(guard_.on_restored(path));
  if (incoming_counted_.erase(path) > 0) apply_incoming(incoming_guard_.on_restored(path));
  clear_obstacle(path);
  forget_here(index_, path);
  drop_interest(path);
  // A push of it is over, too; the plan tells the hub's part.
  to_push_.erase(path);
  plan_.insert(path);
}

bool Replica::is_ignored(const std::string& path, const Entry& entry) const {
  if (!entry.is_tombstone()) return rules_->ignored(path, entry.is_directory());
  // A tombstone may not say what it was, and rules like `!*/` ask for it.
  if (entry.was != EntryKind::kTombstone)
    return rules_->ignored(path, entry.was == EntryKind::kDirectory);
  return rules_->ignored(path, false) && rules_->ignored(path, true);
}

bool Replica::not_taken(const std::string& path, const PathRecord& record) const {
  const EntryPtr& meant = record.remote ? record.remote : record.local;
  if (record.live() || !meant) return false;
  if (!meant->is_tombstone()) return rules_->ignored(path, meant->is_directory());
  // Rules like `!*/` ask what it was. Nothing is done on this disk for it, so where that is not
  // known any more it is enough that one of the two is taken.
  EntryKind was = meant->was;
  if (was == EntryKind::kTombstone && record.synced) was = record.synced->kind;
  if (was != EntryKind::kTombstone) return rules_->ignored(path, was == EntryKind::kDirectory);
  return rules_->ignored(path, false) && rules_->ignored(path, true);
}

}  // namespace lansync
