// What the index keeps of content that is not on this disk.
#include "sync/index.h"

#include "support/catch.h"
#include "sync/hashing.h"

using namespace lansync;

namespace {

EntryPtr file(const std::string& text) {
  Entry entry;
  entry.size = text.size();
  entry.content = content_id_of(as_bytes(text));
  entry.version.raise(1, 1);
  return std::make_shared<const Entry>(std::move(entry));
}

Index reloaded(Index& index) {
  LoadedIndex stored;
  for (IndexRow& row : index.take_batch().rows) {
    if (!row.local.empty() || !row.synced.empty()) stored.rows.push_back(std::move(row));
  }
  Index again;
  REQUIRE(again.load(stored));
  return again;
}

}  // namespace

TEST_CASE("what was asked for, and is not here yet, is known after a restart") {
  Index index;
  index.set_wants_all(false);
  index.set_synced("a", file("a"));
  index.set_synced("b", file("b"));
  index.set_wanted("a", PathRecord::kAskedFor);
  Index again = reloaded(index);
  again.set_wants_all(false);
  REQUIRE(again.find("a"));
  CHECK(again.find("a")->absent());
  CHECK(again.wants(*again.find("a")));
  CHECK_FALSE(again.wants(*again.find("b")));
  again.set_wants_all(true);
  CHECK(again.wants(*again.find("b")));
}

TEST_CASE("a file that is here needs no word that it is wanted") {
  Index index;
  index.set_wants_all(false);
  index.set_synced("a", file("a"));
  index.set_wanted("a", PathRecord::kAskedFor);
  index.set_local("a", file("a"), FileStat{});
  CHECK_FALSE(index.find("a")->absent());
  Index again = reloaded(index);
  CHECK(again.find("a")->wanted == PathRecord::kNotAsked);
  // Dropped: it does not come back by itself.
  again.set_wants_all(false);
  again.set_local("a", nullptr, FileStat{});
  CHECK(again.find("a")->absent());
  CHECK_FALSE(again.wants(*again.find("a")));
}

TEST_CASE("absent content agrees with the hub as long as it is not wanted") {
  Index index;
  index.set_wants_all(false);
  index.set_synced("a", file("a"));
  index.set_remote("a", file("a"));
  CHECK(index.in_agreement(*index.find("a")));
  index.set_wanted("a", PathRecord::kAskedFor);
  CHECK_FALSE(index.in_agreement(*index.find("a")));
  CHECK(index.totals().files == 0);
}
