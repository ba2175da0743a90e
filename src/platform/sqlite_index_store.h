// index.db: the index on disk, in SQLite (WAL, synchronous=FULL).
//
// Invariant: what load() returns is exactly what some commit left, or nothing. Every row carries a
// checksum and the header one over all rows, because SQLite itself does not notice a bit that flips
// inside a row (reliability.md F4); a database that fails is set aside as index.db.broken-<n> and
// an empty one takes its place, which means a new node id and a first join, and never a delete.
// An older schema is brought up to date step by step, each step whole or not at all; a newer one is
// refused and its file left as it is, and so is one from before nodes were keys. Driven by one
// thread at a time: load at start, the rest from JobClass::kIndex.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "sync/index_store.h"

struct sqlite3;
struct sqlite3_stmt;

namespace lansync {

// The SQL that leads from schema version i to i + 1.
using IndexSchema = std::span<const char* const>;
IndexSchema index_schema();

class SqliteIndexStore final : public IndexStore {
 public:
  // kRefused: a newer lansync made it. `path` is .../.lansync/index.db.
  // `schema`: another one in tests only.
  static Result<std::unique_ptr<SqliteIndexStore>> open(const std::string& path,
                                                        IndexSchema schema = index_schema());
  ~SqliteIndexStore() override;

  Result<LoadedIndex> load() override;
  Status commit(const IndexBatch& batch) override;
  Status add_history(const std::vector<HistoryRow>& rows) override;
  Result<std::vector<HistoryRow>> load_history(std::int64_t since_ns) override;
  Status add_types(const std::map<std::uint64_t, std::string>& types) override;
  Result<std::map<std::uint64_t, std::string>> load_types() override;
  // The schema that open() found, if it had to be brought up to date; 0: it had not.
  int migrated_from() const { return migrated_from_; }
  // An index was there and had to be set aside; `why_rebuilt` is a line for the log. Final after
  // load().
  bool rebuilt() const { return !why_rebuilt_.empty(); }
  const std::string& why_rebuilt() const { return why_rebuilt_; }

 private:
  struct CloseDatabase {
    void operator()(sqlite3* database) const;
  };
  struct Finalize {
    void operator()(sqlite3_stmt* statement) const;
  };
  using Statement = std::unique_ptr<sqlite3_stmt, Finalize>;
  // What the header row states about all others: kept in step by every commit.
  struct Sums {
    std::uint64_t rows = 0;
    std::uint64_t all = 0;  // the rows' checksums, xor
    bool operator==(const Sums&) const = default;
  };

  SqliteIndexStore(std::string path, IndexSchema schema)
      : path_(std::move(path)), schema_(schema) {}
  Status open_database();
  Status set_up();
  Status migrate(int from);
  Result<int> check_version();
  Status check_era();
  Status prepare_all();
  Status prepare(Statement& out, const char* sql);
  Status run(const char* sql);
  Result<std::int64_t> ask_number(const char* sql);
  Status set_aside(const std::string& why);
  void close();
  Error failure(const char* doing) const;

  Status read_header(Sums& out);
  Status write_header(const Sums& sums);
  Status load_entries(LoadedIndex& out, Sums& sums);
  Status load_trash(LoadedIndex& out, Sums& sums);
  Status load_meta(LoadedIndex& out, Sums& sums);
  Result<LoadedIndex> load_checked();
  Status apply(const IndexBatch& batch, Sums& sums);
  Status remove_row(Statement& find, Statement& erase, const std::string& key, Sums& sums);
  Status put_entry(const IndexRow& row, Sums& sums);
  Status put_trash(const TrashRow& row, Sums& sums);
  Status put_meta(const std::string& key, const std::string& value, Sums& sums);
  // Takes the old row of `key`, if any, out of the sums.
  Status forget_old(Statement& find, const std::string& key, Sums& sums, bool& found);
  Status step_done(Statement& statement, const char* doing);
  Status put_history(const std::vector<HistoryRow>& rows);
  Status roll_back(Status why);

  std::string path_;
  IndexSchema schema_;
  std::string why_rebuilt_;
  int migrated_from_ = 0;
  std::unique_ptr<sqlite3, CloseDatabase> database_;
  Sums sums_;
  Statement begin_, commit_, put_header_;
  Statement put_entry_, find_entry_, erase_entry_;
  Statement put_trash_, find_trash_, erase_trash_;
  Statement put_meta_, find_meta_, erase_meta_;
  Statement put_history_, drop_old_history_, drop_much_history_;
};

}  // namespace lansync
