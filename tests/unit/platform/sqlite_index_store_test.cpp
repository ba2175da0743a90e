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
    INFO((loaded ? std::string("fine") : loaded.error().detail));
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

// A database that another version of the program left, as its SQL says.
void make_database(const std::string& path, const std::string& sql) {
  sqlite3* raw = nullptr;
  REQUIRE(sqlite3_open(path.c_str(), &raw) == SQLITE_OK);
  REQUIRE(sqlite3_exec(raw, sql.c_str(), nullptr, nullptr, nullptr) == SQLITE_OK);
  sqlite3_close(raw);
}

// As a program of before nodes were keys left it.
std::string index_before_keys() {
  return read_file(std::string(LANSYNC_SOURCE_DIR) +
                   "/tests/unit/platform/data/index_before_keys.sql");
}

TEST_CASE(
    "an index from before nodes were keys is refused in words that mend it, and not touched") {
  TempFolder dir;
  fs::create_directory(dir / ".lansync");
  const std::string path = dir / ".lansync/index.db";
  make_database(path, index_before_keys());
  const std::string before = read_file(path);
  auto store = SqliteIndexStore::open(path);
  REQUIRE_FALSE(store);
  CHECK(store.error().code == ErrorCode::kRefused);
  CHECK(store.error().detail.find("remove " + (dir / ".lansync")) != std::string::npos);
  CHECK(store.error().detail.find("files stay") != std::string::npos);
  CHECK(read_file(path) == before);
  CHECK_FALSE(fs::exists(path + ".broken-1"));
}

// What a program with one schema more would have.
std::array<const char*, 2> next_schema() {
  return {index_schema()[0],
          "CREATE TABLE places(id INTEGER PRIMARY KEY); CREATE INDEX by_id ON places(id);"};
}

TEST_CASE("an index of an older schema is brought up to date and complete") {
  TempFolder dir;
  const auto schema = next_schema();
  {
    auto store = open_store(dir / "index.db");
    IndexBatch batch = rows(0, 3);
    batch.meta["term"] = "7";
    batch.trash_added.push_back({"name", "path", std::string(32, '\1'), 1795234567, 12345});
    REQUIRE(store->commit(batch));
  }
  {
    auto store = SqliteIndexStore::open(dir / "index.db", schema);
    REQUIRE(store);
    CHECK((*store)->migrated_from() == 1);
    auto loaded = (*store)->load();
    REQUIRE(loaded);
    CHECK_FALSE((*store)->rebuilt());
    REQUIRE(loaded->rows.size() == 3);
    CHECK(loaded->rows[2].local == row(2).local);
    REQUIRE(loaded->trash.size() == 1);
    CHECK(loaded->trash[0].size == 12345);
    CHECK(loaded->meta.at("term") == "7");
    CHECK((*store)->add_history({{1, true, "b", "search", "x", "found"}}));
    REQUIRE((*store)->commit(rows(3, 6)));
  }
  {
    auto store = SqliteIndexStore::open(dir / "index.db", schema);
    REQUIRE(store);
    CHECK((*store)->migrated_from() == 0);
    CHECK((*store)->load()->rows.size() == 6);
    CHECK((*store)->load_history(0)->size() == 1);
  }
  auto older = SqliteIndexStore::open(dir / "index.db");
  REQUIRE_FALSE(older);
  CHECK(older.error().detail.find("newer") != std::string::npos);
}

TEST_CASE("a migration that cannot be done leaves the old index whole") {
  TempFolder dir;
  { REQUIRE(open_store(dir / "index.db")->commit(rows(0, 3))); }
  // The step makes an index of this name; what fails as SQL is taken for damage and set aside.
  make_database(dir / "index.db", "CREATE VIEW by_id AS SELECT 1;");
  const auto schema = next_schema();
  auto opened = SqliteIndexStore::open(dir / "index.db", schema);
  REQUIRE(opened);
  CHECK((*opened)->rebuilt());
  CHECK((*opened)->load()->rows.empty());
  sqlite3* raw = nullptr;
  REQUIRE(sqlite3_open((dir / "index.db.broken-1").c_str(), &raw) == SQLITE_OK);
  int count = 0;
  auto take = [](void* out, int, char** values, char**) {
    *static_cast<int*>(out) = std::stoi(values[0]);
    return 0;
  };
  REQUIRE(sqlite3_exec(raw, "SELECT schema * 100 + (SELECT count(*) FROM entries) FROM header",
                       take, &count, nullptr) == SQLITE_OK);
  CHECK(count == 103);
  sqlite3_close(raw);
}

TEST_CASE("an index of a newer program keeps every byte, its write-ahead log included") {
  TempFolder dir;
  { REQUIRE(open_store(dir / "index.db")->commit(rows(0, 3))); }
  sqlite3* raw = nullptr;
  REQUIRE(sqlite3_open((dir / "index.db").c_str(), &raw) == SQLITE_OK);
  std::string sql =
      "PRAGMA journal_mode=WAL; PRAGMA wal_autocheckpoint=0;"
      "UPDATE header SET schema = 99; PRAGMA user_version = 99;";
  REQUIRE(sqlite3_exec(raw, sql.c_str(), nullptr, nullptr, nullptr) == SQLITE_OK);
  // As that program left them when it was killed.
  fs::create_directory(dir / "copy");
  for (const char* name : {"index.db", "index.db-wal"})
    fs::copy_file(dir / name, (dir / "copy/") + name);
  sqlite3_close(raw);
  const std::string before = read_file(dir / "copy/index.db");
  const std::string log = read_file(dir / "copy/index.db-wal");
  REQUIRE_FALSE(log.empty());
  auto store = SqliteIndexStore::open(dir / "copy/index.db");
  REQUIRE_FALSE(store);
  CHECK(store.error().code == ErrorCode::kRefused);
  CHECK(store.error().detail.find("index.db away") != std::string::npos);
  CHECK(read_file(dir / "copy/index.db") == before);
  CHECK(read_file(dir / "copy/index.db-wal") == log);
}

TEST_CASE("history is kept in order, by time and by number, and survives") {
  TempFolder dir;
  constexpr std::int64_t kDay = IndexStore::kHistoryNs / 90;
  {
    auto store = open_store(dir / "index.db");
    REQUIRE(store->add_history({{kDay, false, "b", "index", "longlist", "12"},
                                {2 * kDay, true, std::string("b\0\xff", 3), "hash", "", ""}}));
    REQUIRE(store->add_history({{3 * kDay, true, "c", "search", std::string(9000, 'x'), "ok"}}));
    REQUIRE(store->add_history({}));
  }
  auto store = open_store(dir / "index.db");
  auto all = store->load_history(0);
  REQUIRE(all);
  REQUIRE(all->size() == 3);
  CHECK((*all)[0] == HistoryRow{kDay, false, "b", "index", "longlist", "12"});
  CHECK((*all)[1].peer == std::string("b\0\xff", 3));
  CHECK((*all)[2].arguments.size() == IndexStore::kHistoryField);
  CHECK(store->load_history(2 * kDay)->size() == 2);
  // A clock that jumps by a year for a moment makes nothing old.
  REQUIRE(store->add_history({{400 * kDay, true, "c", "x", "", ""}}));
  REQUIRE(store->add_history({{4 * kDay, true, "c", "x", "", ""}}));
  CHECK(store->load_history(0)->size() == 5);
  // Ninety days later the first is gone.
  const std::vector<HistoryRow> later(100, {92 * kDay, true, "c", "x", "", ""});
  REQUIRE(store->add_history(later));
  CHECK(store->load_history(0)->size() == 104);
  // The index does not count it.
  REQUIRE(store->commit(rows(0, 3)));
  CHECK(store->load()->rows.size() == 3);
  CHECK_FALSE(store->rebuilt());
}

TEST_CASE("a new index is nobody else's to read") {
  TempFolder dir;
  auto store = open_store(dir / "index.db");
  REQUIRE(store->commit(rows(0, 3)));
  for (const char* name : {"index.db", "index.db-wal"}) {
    CHECK((fs::status(dir / name).permissions() & fs::perms::all) ==
          (fs::perms::owner_read | fs::perms::owner_write));
  }
}

TEST_CASE("history is bounded") {
  TempFolder dir;
  auto store = open_store(dir / "index.db");
  std::vector<HistoryRow> many(static_cast<std::size_t>(IndexStore::kHistoryRows),
                               {1, true, "b", "x", "", ""});
  REQUIRE(store->add_history(many));
  REQUIRE(store->add_history({{2, true, "c", "last", "", ""}, {2, true, "c", "last", "", ""}}));
  auto all = store->load_history(0);
  REQUIRE(all->size() == many.size());
  CHECK(all->back().command == "last");
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
