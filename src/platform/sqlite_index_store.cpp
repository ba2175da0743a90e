#include "platform/sqlite_index_store.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <xxhash.h>

#include <array>
#include <cstdio>
#include <filesystem>

#include "base/bytes.h"
#include "base/log.h"
#include "platform/posix.h"

namespace lansync {
namespace {

// Rows of the history that have to agree on how old another is.
constexpr std::int64_t kAgreeing = 100;

namespace fs = std::filesystem;

// Broken ones are kept for a person who wants to look; not without end.
constexpr int kBrokenKept = 3;

// A new database is an old one of version 0. A step is never changed once it was released:
// databases of every version are out there. One that touches rows of entries, trash or meta has to
// keep their sums and the header's.
constexpr std::array<const char*, 1> kSchema = {
    "CREATE TABLE entries(path BLOB PRIMARY KEY NOT NULL, local BLOB NOT NULL,"
    " synced BLOB NOT NULL, sum INTEGER NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE trash(name BLOB PRIMARY KEY NOT NULL, path BLOB NOT NULL, content BLOB NOT NULL,"
    " time_ns INTEGER NOT NULL, size INTEGER NOT NULL, put_at_ns INTEGER NOT NULL,"
    " reason INTEGER NOT NULL, symlink INTEGER NOT NULL, sum INTEGER NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE meta(key BLOB PRIMARY KEY NOT NULL, value BLOB NOT NULL,"
    " sum INTEGER NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE history(id INTEGER PRIMARY KEY, time_ns INTEGER NOT NULL,"
    " outgoing INTEGER NOT NULL, peer BLOB NOT NULL, command BLOB NOT NULL,"
    " arguments BLOB NOT NULL, result BLOB NOT NULL);"
    "CREATE INDEX history_time ON history(time_ns);"
    "CREATE TABLE types(content INTEGER PRIMARY KEY, type BLOB NOT NULL);"
    // `schema` repeats user_version: a flipped bit there must not read as "made by a newer
    // program". `era` tells this count of schemas from the one before nodes were keys.
    "CREATE TABLE header(id INTEGER PRIMARY KEY CHECK(id = 1), schema INTEGER NOT NULL,"
    " row_count INTEGER NOT NULL, row_sum INTEGER NOT NULL, era INTEGER NOT NULL);"
    "INSERT INTO header VALUES(1, 1, 0, 0, 2);"};

// XXH3: detects accidents, not attackers; the file is ours alone. Lengths go in, so that a border
// between two fields cannot move.
class RowSum {
 public:
  explicit RowSum(char table) { writer_.u8(static_cast<std::uint8_t>(table)); }
  RowSum& add(std::string_view text) {
    writer_.text(text);
    return *this;
  }
  RowSum& add(std::uint64_t number) {
    writer_.u64(number);
    return *this;
  }
  std::uint64_t value() const {
    return XXH3_64bits(writer_.bytes().data(), writer_.bytes().size());
  }

 private:
  ByteWriter writer_;
};

std::uint64_t sum_of(const IndexRow& row) {
  return RowSum('e').add(row.path).add(row.local).add(row.synced).value();
}
std::uint64_t sum_of(const TrashRow& row) {
  return RowSum('t')
      .add(row.name)
      .add(row.path)
      .add(row.content)
      .add(static_cast<std::uint64_t>(row.time_ns))
      .add(row.size)
      .add(static_cast<std::uint64_t>(row.put_at_ns))
      .add(std::uint64_t{row.reason})
      .add(std::uint64_t{row.symlink})
      .value();
}
std::uint64_t sum_of(const std::string& key, const std::string& value) {
  return RowSum('m').add(key).add(value).value();
}

ErrorCode code_of(int sqlite_code) {
  switch (sqlite_code & 0xff) {
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
    case SQLITE_FORMAT:
    case SQLITE_MISMATCH:
    case SQLITE_CONSTRAINT:
    case SQLITE_ERROR:  // "no such table": the file is an SQLite one, but not ours any more
      return ErrorCode::kCorrupt;
    case SQLITE_FULL:
      return ErrorCode::kNoSpace;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return ErrorCode::kBusy;
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_AUTH:
      return ErrorCode::kDenied;
    default:
      return ErrorCode::kIo;
  }
}

// Bound without a copy: the caller's strings outlive the step.
void bind_blob(sqlite3_stmt* statement, int at, const std::string& bytes) {
  // A null pointer would bind NULL, not an empty blob.
  sqlite3_bind_blob64(statement, at, bytes.empty() ? "" : bytes.data(), bytes.size(),
                      SQLITE_STATIC);
}
void bind_number(sqlite3_stmt* statement, int at, std::uint64_t number) {
  sqlite3_bind_int64(statement, at, static_cast<sqlite3_int64>(number));
}
std::string blob_at(sqlite3_stmt* statement, int column) {
  const void* data = sqlite3_column_blob(statement, column);
  int size = sqlite3_column_bytes(statement, column);
  return data == nullptr ? std::string()
                         : std::string(static_cast<const char*>(data), static_cast<size_t>(size));
}
std::uint64_t number_at(sqlite3_stmt* statement, int column) {
  return static_cast<std::uint64_t>(sqlite3_column_int64(statement, column));
}

Error corrupt(const char* what) {
  return Error{ErrorCode::kCorrupt, str("index.db is damaged: ", what)};
}

}  // namespace

IndexSchema index_schema() { return kSchema; }

void SqliteIndexStore::CloseDatabase::operator()(sqlite3* database) const {
  sqlite3_close_v2(database);
}
void SqliteIndexStore::Finalize::operator()(sqlite3_stmt* statement) const {
  sqlite3_finalize(statement);
}

SqliteIndexStore::~SqliteIndexStore() { close(); }

void SqliteIndexStore::close() {
  for (Statement* statement :
       {&begin_, &commit_, &put_header_, &put_entry_, &find_entry_, &erase_entry_, &put_trash_,
        &find_trash_, &erase_trash_, &put_meta_, &find_meta_, &erase_meta_, &put_history_,
        &drop_old_history_, &drop_much_history_}) {
    statement->reset();
  }
  database_.reset();
}

Error SqliteIndexStore::failure(const char* doing) const {
  return Error{code_of(sqlite3_extended_errcode(database_.get())),
               str("cannot ", doing, " index.db: ", printable(sqlite3_errmsg(database_.get())))};
}

Status SqliteIndexStore::run(const char* sql) {
  if (sqlite3_exec(database_.get(), sql, nullptr, nullptr, nullptr) != SQLITE_OK) {
    return failure("set up");
  }
  return {};
}

Status SqliteIndexStore::prepare(Statement& out, const char* sql) {
  sqlite3_stmt* statement = nullptr;
  if (sqlite3_prepare_v3(database_.get(), sql, -1, SQLITE_PREPARE_PERSISTENT, &statement,
                         nullptr) != SQLITE_OK) {
    return failure("prepare");
  }
  out.reset(statement);
  return {};
}

Result<std::int64_t> SqliteIndexStore::ask_number(const char* sql) {
  Statement ask;
  LS_TRY(prepare(ask, sql));
  int code = sqlite3_step(ask.get());
  // A damaged schema can make an empty table of a full one: no error to SQLite.
  if (code == SQLITE_DONE) return corrupt("it has lost its header");
  if (code != SQLITE_ROW) return failure("ask");
  return std::int64_t{sqlite3_column_int64(ask.get(), 0)};
}

Result<std::unique_ptr<SqliteIndexStore>> SqliteIndexStore::open(const std::string& path,
                                                                 IndexSchema schema) {
  std::unique_ptr<SqliteIndexStore> store(new SqliteIndexStore(path, schema));
  std::error_code failed;
  bool was_there = fs::exists(fs::symlink_status(path, failed));
  // A file of no bytes is a valid, new database to SQLite. To us it is an index that was lost.
  if (was_there && fs::is_regular_file(path, failed) && fs::file_size(path, failed) == 0) {
    LS_TRY(store->set_aside("index.db was empty"));
  }
  Status opened = store->open_database();
  if (!opened && opened.error().code == ErrorCode::kCorrupt) {
    LS_TRY(store->set_aside(opened.error().detail));
    opened = store->open_database();
  }
  if (!opened) return opened.error();
  return store;
}

Status SqliteIndexStore::open_database() {
  // It holds the group's beacon key and every name in the folder. A copy of .lansync may lie where
  // the directory's own mode does not keep others out; the write-ahead log gets the same mode.
  UniqueFd made(::open(path_.c_str(), O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  made.reset();
  sqlite3* raw = nullptr;
  int code = sqlite3_open_v2(
      path_.c_str(), &raw,
      SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_FULLMUTEX | SQLITE_OPEN_NOFOLLOW,
      nullptr);
  database_.reset(raw);
  if (raw == nullptr) return Error{ErrorCode::kIo, "no memory for index.db"};
  if (code != SQLITE_OK) return failure("open");
  sqlite3_extended_result_codes(raw, 1);
  Status ready = set_up();
  if (!ready) close();
  return ready;
}

// A database that is refused is left as it is: nothing is written, a WAL that its own program left
// is not moved into it, before its version is known to be ours.
//
// EXCLUSIVE: nobody else opens it, and WAL then needs no shared memory file, which some file
// systems cannot give. FULL: a commit is on the disk when it returns.
Status SqliteIndexStore::set_up() {
  sqlite3_db_config(database_.get(), SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
  sqlite3_db_config(database_.get(), SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, nullptr);
  sqlite3_db_config(database_.get(), SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, nullptr);
  LS_TRY(run("PRAGMA locking_mode=EXCLUSIVE; PRAGMA cell_size_check=ON;"));
  auto version = check_version();
  if (!version) return version.error();
  sqlite3_db_config(database_.get(), SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0, nullptr);
  LS_TRY(
      run("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA temp_store=MEMORY;"
          "PRAGMA cache_size=-16384; PRAGMA wal_autocheckpoint=4000;"
          "PRAGMA journal_size_limit=33554432;"));
  LS_TRY(migrate(*version));
  LS_TRY(prepare_all());
  return read_header(sums_);
}

// 0: there is nothing in it yet.
Result<int> SqliteIndexStore::check_version() {
  auto version = ask_number("PRAGMA user_version");
  if (!version) return version.error();
  if (*version == 0) {
    auto tables = ask_number("SELECT count(*) FROM sqlite_schema");
    if (!tables) return tables.error();
    if (*tables != 0) return corrupt("it states no version");
    return 0;
  }
  LS_TRY(check_era());
  auto stated = ask_number("SELECT schema FROM header WHERE id = 1");
  if (!stated) return stated.error();
  if (*stated != *version || *version < 0) return corrupt("it states two versions");
  if (*version > static_cast<std::int64_t>(schema_.size())) {
    return Error{
        ErrorCode::kRefused,
        str("index.db was made by a newer lansync (schema ", *version, ", this one knows ",
            schema_.size(),
            "): install that lansync again, or move .lansync/index.db away (this node then "
            "joins anew; no file is lost by it)")};
  }
  return static_cast<int>(*version);
}

// Before nodes were keys schemas were counted from 1 as well.
Status SqliteIndexStore::check_era() {
  constexpr const char* kColumns = "SELECT count(*) FROM pragma_table_info('header')";
  auto old = ask_number(str(kColumns, " WHERE name IN ('schema', 'row_sum')").c_str());
  if (!old) return old.error();
  auto era = ask_number(str(kColumns, " WHERE name = 'era'").c_str());
  if (!era) return era.error();
  if (*old != 2 || *era != 0) return {};
  return Error{
      ErrorCode::kRefused,
      str("index.db is of a lansync from before 0.1.0, which this one does not read: remove ",
          printable(fs::path(path_).parent_path().string(), 500),
          " (your files stay as they are) and start again")};
}

Status SqliteIndexStore::migrate(int from) {
  const int newest = static_cast<int>(schema_.size());
  for (int version = from; version < newest; ++version) {
    std::string step = str("BEGIN IMMEDIATE;", schema_[static_cast<std::size_t>(version)],
                           "UPDATE header SET schema = ", version + 1,
                           "; PRAGMA user_version = ", version + 1, "; COMMIT;");
    Status done = run(step.c_str());
    if (!done) return roll_back(done);
  }
  if (from != 0 && from != newest) migrated_from_ = from;
  return {};
}

Status SqliteIndexStore::prepare_all() {
  LS_TRY(prepare(begin_, "BEGIN IMMEDIATE"));
  LS_TRY(prepare(commit_, "COMMIT"));
  LS_TRY(prepare(put_header_, "UPDATE header SET row_count = ?1, row_sum = ?2 WHERE id = 1"));
  LS_TRY(prepare(put_entry_, "INSERT OR REPLACE INTO entries VALUES(?1, ?2, ?3, ?4)"));
  LS_TRY(prepare(find_entry_, "SELECT sum FROM entries WHERE path = ?1"));
  LS_TRY(prepare(erase_entry_, "DELETE FROM entries WHERE path = ?1"));
  LS_TRY(prepare(put_trash_,
                 "INSERT OR REPLACE INTO trash VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)"));
  LS_TRY(prepare(find_trash_, "SELECT sum FROM trash WHERE name = ?1"));
  LS_TRY(prepare(erase_trash_, "DELETE FROM trash WHERE name = ?1"));
  LS_TRY(prepare(put_meta_, "INSERT OR REPLACE INTO meta VALUES(?1, ?2, ?3)"));
  LS_TRY(prepare(find_meta_, "SELECT sum FROM meta WHERE key = ?1"));
  LS_TRY(prepare(erase_meta_, "DELETE FROM meta WHERE key = ?1"));
  LS_TRY(prepare(put_history_,
                 "INSERT INTO history(time_ns, outgoing, peer, command, arguments, result)"
                 " VALUES(?1, ?2, ?3, ?4, ?5, ?6)"));
  LS_TRY(prepare(drop_old_history_,
                 "DELETE FROM history WHERE time_ns < (SELECT min(time_ns) FROM"
                 " (SELECT time_ns FROM history ORDER BY id DESC LIMIT ?2)) - ?1"));
  return prepare(drop_much_history_,
                 "DELETE FROM history WHERE id <= (SELECT max(id) FROM history) - ?1");
}

Status SqliteIndexStore::set_aside(const std::string& why) {
  close();
  std::error_code failed;
  int number = 1;
  auto broken = [&](int n) { return str(path_, ".broken-", n); };
  while (number < 1'000'000 && fs::exists(fs::symlink_status(broken(number), failed))) ++number;
  if (number > kBrokenKept) {
    // Full: the newest takes the last place, so that the first (perhaps the best) stay.
    number = kBrokenKept;
  }
  for (const char* suffix : {"", "-wal", "-shm", "-journal"}) {
    if (!fs::exists(fs::symlink_status(path_ + suffix, failed))) continue;
    fs::rename(path_ + suffix, broken(number) + suffix, failed);
    if (failed) {
      return Error{ErrorCode::kIo, str("cannot set a damaged index.db aside: ", failed.message())};
    }
  }
  why_rebuilt_ = str(why, "; it was set aside as index.db.broken-", number,
                     " and a new one begun: this node joins anew");
  return {};
}

Status SqliteIndexStore::read_header(Sums& out) {
  Statement ask;
  LS_TRY(prepare(ask, "SELECT row_count, row_sum FROM header WHERE id = 1"));
  if (sqlite3_step(ask.get()) != SQLITE_ROW) return corrupt("it has no header");
  out = Sums{number_at(ask.get(), 0), number_at(ask.get(), 1)};
  return {};
}

Status SqliteIndexStore::write_header(const Sums& sums) {
  bind_number(put_header_.get(), 1, sums.rows);
  bind_number(put_header_.get(), 2, sums.all);
  return step_done(put_header_, "write the header of");
}

Status SqliteIndexStore::load_entries(LoadedIndex& out, Sums& sums) {
  Statement all;
  LS_TRY(prepare(all, "SELECT path, local, synced, sum FROM entries"));
  int code = SQLITE_ROW;
  while ((code = sqlite3_step(all.get())) == SQLITE_ROW) {
    IndexRow row{blob_at(all.get(), 0), blob_at(all.get(), 1), blob_at(all.get(), 2)};
    std::uint64_t sum = number_at(all.get(), 3);
    if (sum != sum_of(row)) return corrupt("an entry's checksum is wrong");
    // Out of order, a later look-up would miss the row.
    if (!out.rows.empty() && row.path <= out.rows.back().path) return corrupt("wrong order");
    ++sums.rows;
    sums.all ^= sum;
    out.rows.push_back(std::move(row));
  }
  return code == SQLITE_DONE ? Status{} : Status(failure("read"));
}

Status SqliteIndexStore::load_trash(LoadedIndex& out, Sums& sums) {
  Statement all;
  LS_TRY(prepare(
      all,
      "SELECT name, path, content, time_ns, size, put_at_ns, reason, symlink, sum FROM trash"));
  int code = SQLITE_ROW;
  while ((code = sqlite3_step(all.get())) == SQLITE_ROW) {
    TrashRow row{blob_at(all.get(), 0),
                 blob_at(all.get(), 1),
                 blob_at(all.get(), 2),
                 sqlite3_column_int64(all.get(), 3),
                 number_at(all.get(), 4),
                 sqlite3_column_int64(all.get(), 5),
                 static_cast<std::uint8_t>(number_at(all.get(), 6)),
                 number_at(all.get(), 7) != 0};
    std::uint64_t sum = number_at(all.get(), 8);
    if (sum != sum_of(row)) return corrupt("a checksum in the trash's list is wrong");
    if (!out.trash.empty() && row.name <= out.trash.back().name) return corrupt("wrong order");
    ++sums.rows;
    sums.all ^= sum;
    out.trash.push_back(std::move(row));
  }
  return code == SQLITE_DONE ? Status{} : Status(failure("read"));
}

Status SqliteIndexStore::load_meta(LoadedIndex& out, Sums& sums) {
  Statement all;
  LS_TRY(prepare(all, "SELECT key, value, sum FROM meta"));
  int code = SQLITE_ROW;
  while ((code = sqlite3_step(all.get())) == SQLITE_ROW) {
    std::string key = blob_at(all.get(), 0);
    std::string value = blob_at(all.get(), 1);
    std::uint64_t sum = number_at(all.get(), 2);
    if (sum != sum_of(key, value)) return corrupt("a setting's checksum is wrong");
    ++sums.rows;
    sums.all ^= sum;
    if (!out.meta.emplace(std::move(key), std::move(value)).second) return corrupt("a double key");
  }
  return code == SQLITE_DONE ? Status{} : Status(failure("read"));
}

Result<LoadedIndex> SqliteIndexStore::load_checked() {
  LoadedIndex out;
  Sums stated;
  Sums sums;
  LS_TRY(read_header(stated));
  // A hint for one allocation, bounded: the number comes from the disk.
  out.rows.reserve(std::min<std::uint64_t>(stated.rows, 1 << 20));
  LS_TRY(load_entries(out, sums));
  LS_TRY(load_trash(out, sums));
  LS_TRY(load_meta(out, sums));
  if (sums != stated) return corrupt("rows are missing");
  sums_ = sums;
  return out;
}

Result<LoadedIndex> SqliteIndexStore::load() {
  if (database_ == nullptr) return Error{ErrorCode::kIo, "index.db is not open"};
  auto loaded = load_checked();
  if (loaded || loaded.error().code != ErrorCode::kCorrupt) return loaded;
  LS_TRY(set_aside(loaded.error().detail));
  LS_TRY(open_database());
  return load_checked();
}

Status SqliteIndexStore::step_done(Statement& statement, const char* doing) {
  int code = sqlite3_step(statement.get());
  Status out = code == SQLITE_DONE ? Status{} : Status(failure(doing));
  sqlite3_reset(statement.get());
  return out;
}

Status SqliteIndexStore::forget_old(Statement& find, const std::string& key, Sums& sums,
                                    bool& found) {
  bind_blob(find.get(), 1, key);
  int code = sqlite3_step(find.get());
  found = code == SQLITE_ROW;
  if (found) {
    --sums.rows;
    sums.all ^= number_at(find.get(), 0);
  }
  Status out = found || code == SQLITE_DONE ? Status{} : Status(failure("read"));
  sqlite3_reset(find.get());
  return out;
}

Status SqliteIndexStore::remove_row(Statement& find, Statement& erase, const std::string& key,
                                    Sums& sums) {
  bool found = false;
  LS_TRY(forget_old(find, key, sums, found));
  if (!found) return {};
  bind_blob(erase.get(), 1, key);
  return step_done(erase, "remove a row of");
}

Status SqliteIndexStore::put_entry(const IndexRow& row, Sums& sums) {
  bool found = false;
  LS_TRY(forget_old(find_entry_, row.path, sums, found));
  const std::uint64_t sum = sum_of(row);
  bind_blob(put_entry_.get(), 1, row.path);
  bind_blob(put_entry_.get(), 2, row.local);
  bind_blob(put_entry_.get(), 3, row.synced);
  bind_number(put_entry_.get(), 4, sum);
  ++sums.rows;
  sums.all ^= sum;
  return step_done(put_entry_, "write");
}

Status SqliteIndexStore::put_trash(const TrashRow& row, Sums& sums) {
  bool found = false;
  LS_TRY(forget_old(find_trash_, row.name, sums, found));
  const std::uint64_t sum = sum_of(row);
  bind_blob(put_trash_.get(), 1, row.name);
  bind_blob(put_trash_.get(), 2, row.path);
  bind_blob(put_trash_.get(), 3, row.content);
  sqlite3_bind_int64(put_trash_.get(), 4, row.time_ns);
  bind_number(put_trash_.get(), 5, row.size);
  sqlite3_bind_int64(put_trash_.get(), 6, row.put_at_ns);
  bind_number(put_trash_.get(), 7, row.reason);
  bind_number(put_trash_.get(), 8, row.symlink ? 1 : 0);
  bind_number(put_trash_.get(), 9, sum);
  ++sums.rows;
  sums.all ^= sum;
  return step_done(put_trash_, "write");
}

Status SqliteIndexStore::put_meta(const std::string& key, const std::string& value, Sums& sums) {
  bool found = false;
  LS_TRY(forget_old(find_meta_, key, sums, found));
  const std::uint64_t sum = sum_of(key, value);
  bind_blob(put_meta_.get(), 1, key);
  bind_blob(put_meta_.get(), 2, value);
  bind_number(put_meta_.get(), 3, sum);
  ++sums.rows;
  sums.all ^= sum;
  return step_done(put_meta_, "write");
}

Status SqliteIndexStore::apply(const IndexBatch& batch, Sums& sums) {
  for (const IndexRow& row : batch.rows) {
    LS_TRY(row.local.empty() && row.synced.empty()
               ? remove_row(find_entry_, erase_entry_, row.path, sums)
               : put_entry(row, sums));
  }
  for (const std::string& name : batch.trash_removed) {
    LS_TRY(remove_row(find_trash_, erase_trash_, name, sums));
  }
  for (const TrashRow& row : batch.trash_added) LS_TRY(put_trash(row, sums));
  for (const auto& [key, value] : batch.meta) {
    LS_TRY(value.empty() ? remove_row(find_meta_, erase_meta_, key, sums)
                         : put_meta(key, value, sums));
  }
  return write_header(sums);
}

// SQLite has rolled back by itself after some errors (a full disk); then it must not be asked
// again.
Status SqliteIndexStore::roll_back(Status why) {
  if (sqlite3_get_autocommit(database_.get()) == 0) (void)run("ROLLBACK");
  return why;
}

Status SqliteIndexStore::commit(const IndexBatch& batch) {
  if (database_ == nullptr) return Error{ErrorCode::kIo, "index.db is not open"};
  if (batch.empty()) return {};
  LS_TRY(step_done(begin_, "begin a change of"));
  Sums sums = sums_;
  Status done = apply(batch, sums);
  if (done) done = step_done(commit_, "commit");
  if (!done) return roll_back(done);
  sums_ = sums;
  return {};
}

// ---- history
// The times are the calendar's, which may jump by a year for a minute: a row is old when all of the
// last hundred say so.
// ----------------------------------------------------------------------------------------

Status SqliteIndexStore::put_history(const std::vector<HistoryRow>& rows) {
  for (const HistoryRow& row : rows) {
    sqlite3_bind_int64(put_history_.get(), 1, row.time_ns);
    bind_number(put_history_.get(), 2, row.outgoing ? 1 : 0);
    int at = 3;
    for (const std::string* text : {&row.peer, &row.command, &row.arguments, &row.result}) {
      sqlite3_bind_blob64(put_history_.get(), at++, text->empty() ? "" : text->data(),
                          std::min(text->size(), kHistoryField), SQLITE_STATIC);
    }
    LS_TRY(step_done(put_history_, "write the history in"));
  }
  sqlite3_bind_int64(drop_old_history_.get(), 1, kHistoryNs);
  sqlite3_bind_int64(drop_old_history_.get(), 2, kAgreeing);
  LS_TRY(step_done(drop_old_history_, "shorten the history in"));
  sqlite3_bind_int64(drop_much_history_.get(), 1, kHistoryRows);
  return step_done(drop_much_history_, "shorten the history in");
}

Status SqliteIndexStore::add_history(const std::vector<HistoryRow>& rows) {
  if (database_ == nullptr) return Error{ErrorCode::kIo, "index.db is not open"};
  if (rows.empty()) return {};
  LS_TRY(step_done(begin_, "begin a change of"));
  Status done = put_history(rows);
  if (done) done = step_done(commit_, "commit");
  return done ? done : roll_back(done);
}

Result<std::vector<HistoryRow>> SqliteIndexStore::load_history(std::int64_t since_ns) {
  if (database_ == nullptr) return Error{ErrorCode::kIo, "index.db is not open"};
  Statement all;
  LS_TRY(prepare(all,
                 "SELECT time_ns, outgoing, peer, command, arguments, result FROM history"
                 " WHERE time_ns >= ?1 ORDER BY id"));
  sqlite3_bind_int64(all.get(), 1, since_ns);
  std::vector<HistoryRow> out;
  int code = SQLITE_ROW;
  while ((code = sqlite3_step(all.get())) == SQLITE_ROW) {
    out.push_back({sqlite3_column_int64(all.get(), 0), number_at(all.get(), 1) != 0,
                   blob_at(all.get(), 2), blob_at(all.get(), 3), blob_at(all.get(), 4),
                   blob_at(all.get(), 5)});
  }
  if (code != SQLITE_DONE) return failure("read the history in");
  return out;
}

}  // namespace lansync
