// What a batch of changes to the disk is about to make true, written to the index before its first
// rename: so a start after a crash knows its own work again. Without it a file that had got its new
// bytes passed for a person's edit (and made a second conflict copy), one that had gone for a
// person's delete (and was held, or went out as such), and what had been moved aside lay in the
// trash with nobody knowing what it was.
//
// Invariant: nothing is adopted that is not on the disk exactly as it was meant to be. Driven by
// Replica; one batch at a time.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/entry.h"
#include "sync/applier.h"
#include "sync/trash_list.h"

namespace lansync {

class BatchJournal {
 public:
  // In the index's meta: set with the batch's beginning, removed in the commit of its rows.
  static constexpr const char* kMetaKey = "applying";

  // With what is intended still. "" if that is nothing.
  std::string encode(const std::vector<DiskChange>& changes) const;
  // What a run left that ended in the middle; nothing of it if it does not decode.
  void load(std::string_view text);

  // Paths whose disk has not been looked at since.
  const std::map<std::string, EntryPtr>& intended() const { return intended_; }
  // Null: nothing was meant for it, or it has been looked at.
  EntryPtr intended(const std::string& path) const;
  // A change failed, perhaps after its rename: what is there may be ours.
  void expect(const std::string& path, const EntryPtr& entry) { intended_[path] = entry; }
  void resolve(const std::string& path) { intended_.erase(path); }
  bool resolved() const { return intended_.empty(); }

  // What was to be moved to the trash, under which name there.
  const std::map<std::string, TrashItem>& trash() const { return trash_; }
  // By temp file, the path that it was meant for.
  const std::map<std::string, std::string>& temps() const { return temps_; }

 private:
  std::map<std::string, EntryPtr> intended_;
  std::map<std::string, TrashItem> trash_;
  std::map<std::string, std::string> temps_;
};

}  // namespace lansync
