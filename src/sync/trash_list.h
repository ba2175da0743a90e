// What lies in `.lansync/trash`, as the index knows it: one row for each file or symlink there, why
// it was put there and when. In memory, with what has to be written to index.db.
//
// Invariant: a row that says that a person went past its content says so of every row with that
// content. Owned by Index; sync/trash.h keeps rows and disk the same.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/ids.h"
#include "sync/index_store.h"

namespace lansync {

// Stored: numbers are not reused.
enum class TrashReason : std::uint8_t {
  kFound = 0,     // lay there without a row: what a crash left, or another program put there
  kReplaced = 1,  // a version of a person who had this one took its place
  kDeleted = 2,   // a person deleted it
  kLost = 3,      // it lost a conflict, or gave way to one that nobody made with it in view
  kDamaged = 4,   // its bytes were not those that had been verified
};

// Only of these may the trash's limits take the last copy.
inline bool went_past(TrashReason reason) {
  return reason == TrashReason::kReplaced || reason == TrashReason::kDeleted;
}

struct TrashItem {
  std::string path;          // where it was
  ContentId content;         // zero: not read yet
  std::int64_t time_ns = 0;  // the calendar's, for people
  std::uint64_t size = 0;
  std::int64_t put_at_ns = 0;  // observed time (base/observed_time.h): its age counts in that
  TrashReason reason = TrashReason::kFound;
  bool symlink = false;  // `content` is then that of its target's text
  bool operator==(const TrashItem&) const = default;
};

class TrashList {
 public:
  using Items = std::map<std::string, TrashItem>;

  // Rows that are not what this program writes are taken as far as they make sense: the disk says
  // what is there, and what is not known of it is found out anew.
  void load(const std::vector<TrashRow>& rows);

  const Items& items() const { return items_; }
  const TrashItem* find(const std::string& name) const;
  // A file (no symlink) with that content.
  std::optional<std::string> find_content(const ContentId& content) const;
  // Of all items.
  std::uint64_t bytes() const { return bytes_; }
  // Oldest first.
  std::vector<std::string> by_age() const;
  // Those that nobody has read yet.
  const std::set<std::string>& unread() const { return unread_; }

  // Adds, or takes the place of, the row of that name.
  void put(const std::string& name, const TrashItem& item);
  void remove(const std::string& name);

  bool dirty() const { return !added_.empty() || !removed_.empty(); }
  // Moves what has changed to the batch.
  void take(IndexBatch& batch);
  void put_back(const IndexBatch& batch);

 private:
  struct Place {
    std::uint64_t key = 0;
    const std::string* name = nullptr;
    bool operator<(const Place& other) const {
      return key != other.key ? key < other.key : *name < *other.name;
    }
  };
  void index(const std::string& name, const TrashItem& item);
  void unindex(const std::string& name, const TrashItem& item);
  void spread_going_past(const TrashItem& item);

  Items items_;
  std::set<Place> by_content_;  // the first 8 bytes of the content id, and the map's own key
  std::set<Place> by_age_;
  std::set<std::string> unread_;
  std::uint64_t bytes_ = 0;
  std::set<std::string> added_;
  std::set<std::string> removed_;
};

}  // namespace lansync
