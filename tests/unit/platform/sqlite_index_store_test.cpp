#include "platform/sqlite_index_store.h"

#include <sqlite3.h>

#include <chrono>

#include "base/random.h"
#include "temp_folder.h"

namespace lansync {
namespace {

namespace fs = std::filesystem;

std::unique_ptr<SqliteIndexStore> open_store(const std::string& path) {
  auto store = SqliteIndexStore::open(path);
  REQUIRE(store);
  return std::move(*store);
}

IndexRow row(int i, std::size_t bytes = 40) {
  std::string number = std::to_string(i);
  return {"dir/file" + std::string(6 - std::min<std::size_t>(6, number.size()), '0') + number,
          std::string(bytes, static_cast<char>('a' + i % 26)), "synced" + number};
}

IndexBatch rows(int from, int to, std::size_t bytes = 40) {
  IndexBatch batch;
  for (int i = from; i < to; ++i) batch.rows.push_back(row(i, bytes));
  return batch;
}

// Copies the closed database with `damage` done to its bytes, opens and loads it.
template <typename Damage>
Result<LoadedIndex> load_damaged(const TempFolder& dir, std::string bytes, Damage damage,
                                 bool& rebuilt) {
  fs::remove_all(dir / "copy");
  fs::create_directory(dir / "copy");
  damage(bytes);
  write_file(dir / "copy/index.db", bytes);
  auto store = SqliteIndexStore::open(dir / "copy/index.db");
  if (!store) return store.error();
  auto loaded = (*store)->load();
  rebuilt = (*store)->rebuilt();
  if (rebuilt && loaded) {
    // Usable afterwards, and the damaged one is still there for a person.
    CHECK((*store)->commit(rows(0, 3)));
    CHECK((*store)->load()->rows.size() == 3);
    CHECK(fs::exists(dir / "copy/index.db.broken-1"));
  }
  return loaded;
}

TEST_CASE("what was committed is loaded, and what was removed is not") {
  TempFolder dir;
  {
    auto store = open_store(dir / "index.db");
    IndexBatch batch = rows(0, 100);
    batch.meta = {{"node_id", std::string("\0\xff id", 5)}, {"term", "7"}};
    batch.trash_added = {{"2026/x", "dir/x", std::string(32, '\1'), -5, 1ULL << 63}};
    REQUIRE(store->commit(batch));
    IndexBatch second;
    second.rows = {{row(3).path, "", ""}, {row(4).path, "new", ""}, {"unknown", "", ""}};
    second.meta = {{"term", ""}, {"never", ""}};
    REQUIRE(store->commit(second));
  }
  auto store = open_store(dir / "index.db");
  auto loaded = store->load();
  REQUIRE(loaded);
  CHECK_FALSE(store->rebuilt());
  REQUIRE(loaded->rows.size() == 99);
  CHECK(loaded->rows[3].path == row(4).path);
  CHECK(loaded->rows[3].local == "new");
  CHECK(loaded->rows[3].synced.empty());
  CHECK(loaded->meta ==
        std::map<std::string, std::string>{{"node_id", std::string("\0\xff id", 5)}});
  REQUIRE(loaded->trash.size() == 1);
  CHECK(loaded->trash[0].time_ns == -5);
  CHECK(loaded->trash[0].size == 1ULL << 63);
  IndexBatch third;
  third.trash_removed = {"2026/x", "no such"};
  REQUIRE(store->commit(third));
  CHECK(store->load()->trash.empty());
}

TEST_CASE("an index that is cut at any length is either read whole or set aside") {
  TempFolder dir;
  {
    auto store = open_store(dir / "index.db");
    REQUIRE(store->commit(rows(0, 300)));
  }
  const std::string whole = read_file(dir / "index.db");
  REQUIRE(whole.size() > 20'000);
  for (std::size_t length = 0; length < whole.size(); length += length < 200 ? 13 : 1531) {
    bool rebuilt = false;
    auto loaded = load_damaged(
        dir, whole, [&](std::string& bytes) { bytes.resize(length); }, rebuilt);
    INFO("cut at " << length);
    REQUIRE(loaded);
    CHECK(rebuilt);
    CHECK(loaded->rows.empty());
  }
}

TEST_CASE("a flipped bit gives the index as it was, or a new one, and never a part") {
  TempFolder dir;
  {
    auto store = open_store(dir / "index.db");
    REQUIRE(store->commit(rows(0, 300)));
  }
  const std::string whole = read_file(dir / "index.db");
  Prng random(20'261'121);
  int noticed = 0;
  for (int i = 0; i < 300; ++i) {
    // Half of them in the header and the schema, where single bits matter most.
    std::size_t at = random.below(i % 2 == 0 ? 4096 : whole.size());
    int bit = static_cast<int>(random.below(8));
    bool rebuilt = false;
    auto loaded = load_damaged(
        dir, whole,
        [&](std::string& bytes) { bytes[at] = static_cast<char>(bytes[at] ^ 1 << bit); }, rebuilt);
    INFO("bit " << bit << " of byte " << at);
    REQUIRE(loaded);
    CHECK(loaded->rows.size() == (rebuilt ? 0u : 300u));
    for (std::size_t n = 0; n < loaded->rows.size(); ++n) {
      CHECK(loaded->rows[n].local == row(static_cast<int>(n)).local);
    }
    noticed += rebuilt;
  }
  CHECK(noticed > 50);
}

TEST_CASE("rows that vanish without a broken checksum are noticed") {
  TempFolder dir;
  {
    auto store = open_store(dir / "index.db");
    REQUIRE(store->commit(rows(0, 10)));
  }
  sqlite3* raw = nullptr;
  REQUIRE(sqlite3_open((dir / "index.db").c_str(), &raw) == SQLITE_OK);
  REQUIRE(sqlite3_exec(raw, "DELETE FROM entries WHERE path = CAST('dir/file000004' AS BLOB)",
                       nullptr, nullptr, nullptr) == SQLITE_OK);
  REQUIRE(sqlite3_changes(raw) == 1);
  sqlite3_close(raw);
  auto store = open_store(dir / "index.db");
  auto loaded = store->load();
  REQUIRE(loaded);
  CHECK(store->rebuilt());
  CHECK(loaded->rows.empty());
}

TEST_CASE("an index of a newer program is refused and left as it is") {
  TempFolder dir;
  { REQUIRE(open_store(dir / "index.db")->commit(rows(0, 10))); }
  sqlite3* raw = nullptr;
  REQUIRE(sqlite3_open((dir / "index.db").c_str(), &raw) == SQLITE_OK);
  REQUIRE(sqlite3_exec(raw, "UPDATE header SET schema = 99; PRAGMA user_version = 99;", nullptr,
                       nullptr, nullptr) == SQLITE_OK);
  sqlite3_close(raw);
  auto store = SqliteIndexStore::open(dir / "index.db");
  REQUIRE_FALSE(store);
  CHECK(store.error().code == ErrorCode::kRefused);
  CHECK(store.error().detail.find("newer") != std::string::npos);
  CHECK(fs::exists(dir / "index.db"));
  CHECK_FALSE(fs::exists(dir / "index.db.broken-1"));
}

TEST_CASE("a stranger's file in the index's place is set aside") {
  TempFolder dir;
  for (const char* text : {"not a database at all", "SQLite format 3"}) {
    write_file(dir / "index.db", text);
    auto store = open_store(dir / "index.db");
    CHECK(store->load()->rows.empty());
    CHECK(store->rebuilt());
  }
  CHECK(read_file(dir / "index.db.broken-1") == "not a database at all");
}

// Not in the default run. unit_platform "[.bench]"
TEST_CASE("loading 100,000 rows and committing 10,000", "[.bench]") {
  TempFolder dir;
  auto time_of = [](auto work) {
    auto begin = std::chrono::steady_clock::now();
    work();
    std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - begin;
    return took.count();
  };
  auto store = open_store(dir / "index.db");
  REQUIRE(store->commit(rows(0, 100'000, 150)));
  for (int n = 0; n < 4; ++n) {
    IndexBatch batch = rows(n * 10'000, n * 10'000 + 10'000, 160);
    WARN("commit of 10,000: " << time_of([&] { REQUIRE(store->commit(batch)); }) << " ms");
  }
  WARN("load of 100,000: " << time_of([&] { REQUIRE(store->load()); }) << " ms");
}

}  // namespace
}  // namespace lansync
