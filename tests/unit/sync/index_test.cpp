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
  REQUIRE(again.load(stored).empty());
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

TEST_CASE("a row that cannot be read is dropped, here and in the store, and no other") {
  Index index;
  for (const char* path : {"a", "b", "c", "d"}) {
    index.set_synced(path, file(path));
    index.set_local(path, file(path), FileStat{});
  }
  LoadedIndex stored;
  stored.rows = index.take_batch().rows;
  stored.rows[0].local.back() ^= 1;
  stored.rows[0].local.pop_back();
  stored.rows[1].synced = "x";
  stored.rows[2].path = "../c";
  Index again;
  CHECK(again.load(stored) == std::vector<std::string>{"a", "b", "../c"});
  CHECK(again.paths().size() == 1);
  CHECK(again.totals().files == 1);
  REQUIRE(again.dirty());
  const IndexBatch batch = again.take_batch();
  CHECK(batch.rows.size() == 3);
  for (const IndexRow& row : batch.rows) {
    CHECK(row.local.empty());
    CHECK(row.synced.empty());
  }
}

TEST_CASE("an entry that could not be read again leaves an empty row and not a broken one") {
  Index index;
  Entry entry = *file("a");
  entry.author_name = std::string(300, 'n');
  index.set_local("a", std::make_shared<const Entry>(entry), FileStat{});
  index.set_synced("a", std::make_shared<const Entry>(entry));
  LoadedIndex stored;
  stored.rows = index.take_batch().rows;
  REQUIRE(stored.rows.size() == 1);
  Index again;
  CHECK(again.load(stored).empty());
  CHECK(again.paths().empty());
}
