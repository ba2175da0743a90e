// The tables of index.db that only serve people: types of content (sync/content_types.h). What is
// lost here is found out again.
#include <sqlite3.h>

#include "platform/sqlite_index_store.h"

namespace lansync {

Status SqliteIndexStore::add_types(const std::map<std::uint64_t, std::string>& types) {
  if (database_ == nullptr) return Error{ErrorCode::kIo, "index.db is not open"};
  if (types.empty()) return {};
  Statement put;
  LS_TRY(prepare(put, "INSERT OR REPLACE INTO types VALUES(?1, ?2)"));
  LS_TRY(step_done(begin_, "begin a change of"));
  Status done;
  for (const auto& [content, type] : types) {
    sqlite3_bind_int64(put.get(), 1, static_cast<sqlite3_int64>(content));
    sqlite3_bind_blob64(put.get(), 2, type.data(), type.size(), SQLITE_STATIC);
    done = step_done(put, "write types in");
    if (!done) break;
  }
  if (done) done = step_done(commit_, "commit");
  return done ? done : roll_back(done);
}

Result<std::map<std::uint64_t, std::string>> SqliteIndexStore::load_types() {
  if (database_ == nullptr) return Error{ErrorCode::kIo, "index.db is not open"};
  Statement all;
  LS_TRY(prepare(all, "SELECT content, type FROM types"));
  std::map<std::uint64_t, std::string> out;
  int code = SQLITE_ROW;
  while ((code = sqlite3_step(all.get())) == SQLITE_ROW) {
    const void* bytes = sqlite3_column_blob(all.get(), 1);
    auto size = static_cast<std::size_t>(sqlite3_column_bytes(all.get(), 1));
    if (bytes == nullptr || size > 100) continue;
    out.emplace(static_cast<std::uint64_t>(sqlite3_column_int64(all.get(), 0)),
                std::string(static_cast<const char*>(bytes), size));
    if (out.size() <= kMaxTypes) continue;
    // Content of years that is long gone: the walk finds out anew what is still here.
    Statement drop;
    LS_TRY(prepare(drop, "DELETE FROM types"));
    LS_TRY(step_done(drop, "clear types in"));
    return std::map<std::uint64_t, std::string>{};
  }
  if (code != SQLITE_DONE) return failure("read the types in");
  return out;
}

}  // namespace lansync
