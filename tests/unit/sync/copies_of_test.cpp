// Which conflict copies of one path are known, and which of them take another's place.
#include "sync/copies_of.h"

#include "support/catch.h"
#include "sync/conflict_name.h"

using namespace lansync;

namespace {

const WallTime kFirst = *parse_time("2026-11-21T12:30:05Z");
const WallTime kLater = *parse_time("2026-11-21T12:40:05Z");

// What lost, edited then by its one author.
Entry lost(WallTime edited, std::uint8_t fill) {
  Entry entry;
  entry.size = 1;
  entry.content.bytes.fill(fill);
  entry.author = 7;
  entry.edited = edited;
  entry.version.raise(7, fill);
  return entry;
}

std::string name_of(WallTime edited) {
  return conflict_name("t.txt", "desk", edited, {}, ConflictNameStep::kPlain);
}

void put(Index& index, const std::string& path, Entry entry) {
  index.set_remote(path, std::make_shared<const Entry>(std::move(entry)));
}

}  // namespace

TEST_CASE("a conflict copy has a later one if its author lost again") {
  Index index;
  put(index, name_of(kFirst), lost(kFirst, 1));
  CHECK_FALSE(has_later_copy(index, name_of(kFirst), lost(kFirst, 1)));
  put(index, name_of(kLater), lost(kLater, 2));
  CHECK(has_later_copy(index, name_of(kFirst), lost(kFirst, 1)));
  CHECK_FALSE(has_later_copy(index, name_of(kLater), lost(kLater, 2)));
}

TEST_CASE("what somebody made of a later conflict copy takes no other's place") {
  Index index;
  const Entry first = lost(kFirst, 1);
  put(index, name_of(kFirst), first);
  Entry made = lost(kLater, 2);
  made.kind = EntryKind::kDirectory;
  put(index, name_of(kLater), made);
  CHECK_FALSE(has_later_copy(index, name_of(kFirst), first));
  made = lost({kLater.ns + 60'000'000'000}, 3);
  put(index, name_of(kLater), made);
  CHECK_FALSE(has_later_copy(index, name_of(kFirst), first));
  // Nor is it one of those that are folded, once somebody has written to it.
  put(index, name_of(kLater), lost(kLater, 2));
  CHECK_FALSE(has_later_copy(index, name_of(kFirst), lost({kFirst.ns + 60'000'000'000}, 4)));
}
