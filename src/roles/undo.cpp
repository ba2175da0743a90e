#include "roles/undo.h"

#include <algorithm>
#include <cstdlib>
#include <memory>

#include "base/rel_path.h"
#include "roles/batching.h"

namespace lansync {
namespace {

constexpr std::size_t kRowBytes = 128;  // beside its names
// Between what is put into the trash and the index's word that it is gone: a batch of changes.
constexpr std::int64_t kSameDelete = 60LL * 1'000'000'000;

std::int64_t second_of(std::int64_t ns) { return ns / 1'000'000'000; }

bool lives(const PathRecord* record) {
  return record != nullptr &&
         (record->live() || (record->remote && !record->remote->is_tombstone()));
}

// What a person sees at `path`; nullopt: nothing, or a directory, which nothing replaces.
std::optional<ContentId> shown_at(const Replica& replica, const std::string& path) {
  const PathRecord* record = replica.index().find(path);
  if (!record || !record->live() || record->local->is_directory()) return std::nullopt;
  return record->local->content;
}

// No trash has directories: their tombstones tell of them. Those at or below `what` that are
// missing, went no longer ago than a trash keeps what was in them, and at or before the asked time.
using Directories = std::vector<std::pair<std::string, std::uint16_t>>;
Directories directories_of(const Replica& replica, const TrashRestore& what, std::size_t most) {
  Directories out;
  const auto& paths = replica.index().paths();
  const std::int64_t since = replica.observed_ns() - Trash::kKeptNs;
  for (auto at = paths.lower_bound(what.path); at != paths.end() && out.size() < most; ++at) {
    const auto& [path, record] = *at;
    if (!path.starts_with(what.path)) break;
    if (!is_within(path, what.path) || lives(&record) || record.since_ns < since) continue;
    const EntryPtr& gone = record.remote ? record.remote : record.local;
    if (!gone || !gone->is_tombstone() || gone->was != EntryKind::kDirectory) continue;
    if (what.time && second_of(gone->edited.ns) > second_of(what.time->ns)) continue;
    out.emplace_back(path, gone->mode);
  }
  return out;
}

// What restores have taken the place of, so that the same asked for once more does not bring that
// back: "CONTENT PATH" lines in the index, the last first.
constexpr const char* kRestoredOver = "restored_over";
constexpr std::size_t kMaxRestoredOver = 64;

std::string restored_over_line(const std::string& path, const ContentId& content) {
  return to_hex(content) + ' ' + path + '\n';
}

void note_restored_over(Index& index, const std::string& path, const ContentId& content) {
  std::string text = restored_over_line(path, content) + index.meta(kRestoredOver);
  std::size_t end = 0;
  for (std::size_t lines = 0; lines < kMaxRestoredOver && end != std::string::npos; ++lines)
    end = text.find('\n', end == 0 ? 0 : end + 1);
  if (end != std::string::npos) text.resize(end + 1);
  index.set_meta(kRestoredOver, text);
}

bool was_restored_over(const Index& index, const std::string& path, const ContentId& content) {
  const std::string text = '\n' + index.meta(kRestoredOver);
  return text.find('\n' + restored_over_line(path, content)) != std::string::npos;
}

// What several answers to one question add up to.
struct Sum {
  std::size_t left = 0;
  std::vector<FoundTrash> rows;
  std::string error;
};

}  // namespace

Undo::Undo(Replica& replica, Outbox& outbox, const UndoLinks& links, const Clock& clock)
    : replica_(replica), outbox_(outbox), links_(links), clock_(clock) {}

// The newest, if there are more than one answer takes.
std::vector<FoundTrash> Undo::own_rows(const std::string& path) const {
  std::vector<FoundTrash> rows;
  for (const auto& [name, item] : replica_.index().trash().items()) {
    if (!is_within(item.path, path)) continue;
    rows.push_back({name, item.path, item.time_ns, item.size, links_.self()});
  }
  std::sort(rows.begin(), rows.end(),
            [](const FoundTrash& a, const FoundTrash& b) { return a.time_ns > b.time_ns; });
  if (rows.size() > kMaxRows) rows.resize(kMaxRows);
  return rows;
}

// What this run deleted, and nothing older of the same name. Which bytes that were is its author's
// word, and one who forged it named others or none: then it is what went when the name did.
std::vector<FoundTrash> Undo::own_rows_of_run(RunId run) const {
  std::map<std::string, std::pair<bool, FoundTrash>> best;
  for (const auto& [name, item] : replica_.index().trash().items()) {
    const PathRecord* record = replica_.index().find(item.path);
    if (!record) continue;
    const EntryPtr& gone = record->remote ? record->remote : record->local;
    if (!gone || !gone->is_tombstone() || gone->run != run) continue;
    const bool empty_file = gone->was == EntryKind::kFile && gone->content.is_zero();
    const bool same = empty_file ? item.size == 0 : item.content == gone->content;
    // A link has no content id in a trash.
    const bool as_said = same || (gone->was == EntryKind::kSymlink && item.content.is_zero());
    const bool with_it = item.reason == TrashReason::kDeleted && record->since_ns != 0 &&
                         std::abs(item.put_at_ns - record->since_ns) <= kSameDelete;
    if (!as_said && !with_it) continue;
    const std::pair row{as_said,
                        FoundTrash{name, item.path, item.time_ns, item.size, links_.self()}};
    auto [at, fresh] = best.try_emplace(item.path, row);
    auto& [said, kept] = at->second;
    if (!fresh && (said != as_said ? as_said : kept.time_ns < row.second.time_ns)) at->second = row;
  }
  std::vector<FoundTrash> rows;
  for (auto& [path, row] : best) {
    if (rows.size() < kMaxRows) rows.push_back(std::move(row.second));
  }
  return rows;
}

TrashReport Undo::report_of(const FoundTrash& row) const {
  return {row.name, row.path, WallTime{row.time_ns}, row.size, links_.shown_name(row.node)};
}

// ---- asking the others
// ---------------------------------------------------------------------------------------

void Undo::gather(const std::string& path, RunId run, SessionId except, Found done) {
  Gathering gathering;
  for (SessionId session : links_.undo_peers()) {
    if (session != except) gathering.waiting.insert(session);
  }
  if (gathering.waiting.empty()) return done({}, {});
  std::uint64_t token = next_token_++;
  gathering.until = clock_.now() + kListPatience;
  gathering.done = std::move(done);
  // A member's hub asks the others for it.
  TrashGet question{token, path, !links_.acts_as_hub(), run};
  for (SessionId session : gathering.waiting) outbox_.send(session, question);
  gatherings_.emplace(token, std::move(gathering));
}

void Undo::on_get(SessionId session, const TrashGet& message) {
  std::vector<FoundTrash> own =
      message.run != 0 ? own_rows_of_run(message.run) : own_rows(message.path);
  if (!message.all || !links_.acts_as_hub() || gatherings_.size() >= kMaxAsked) {
    answer(session, message.token, own, {});
    return;
  }
  gather(message.path, message.run, session,
         [this, session, token = message.token, own = std::move(own)](std::vector<FoundTrash> rows,
                                                                      const std::string&) {
           rows.insert(rows.begin(), own.begin(), own.end());
           if (rows.size() > kMaxRows) rows.resize(kMaxRows);
           answer(session, token, rows, {});
         });
}

void Undo::answer(SessionId session, std::uint64_t token, const std::vector<FoundTrash>& rows,
                  const std::string& error) {
  auto bytes_of = [](const FoundTrash& row) {
    return row.name.size() + row.path.size() + kRowBytes;
  };
  in_batches(rows, bytes_of, [&](std::vector<FoundTrash> batch) {
    outbox_.send(session, TrashRows{token, std::move(batch), {}, false});
  });
  outbox_.send(session, TrashRows{token, {}, error, true});
}

void Undo::on_rows(SessionId session, const TrashRows& message) {
  auto at = gatherings_.find(message.token);
  // An answer that comes after our patience has ended is late, not wrong.
  if (at == gatherings_.end() || !at->second.waiting.contains(session)) return;
  Gathering& gathering = at->second;
  for (const FoundTrash& row : message.rows) {
    if (gathering.rows.size() < kMaxRows) gathering.rows.push_back(row);
  }
  if (!message.error.empty()) gathering.error = message.error;
  if (!message.last) return;
  gathering.waiting.erase(session);
  finish_if_done(message.token);
}

void Undo::finish_if_done(std::uint64_t token) {
  auto at = gatherings_.find(token);
  if (at == gatherings_.end() || !at->second.waiting.empty()) return;
  Gathering gathering = std::move(at->second);
  gatherings_.erase(at);
  gathering.done(std::move(gathering.rows), std::move(gathering.error));
}

void Undo::on_session_down(SessionId session) {
  std::vector<std::uint64_t> touched;
  for (auto& [token, gathering] : gatherings_) {
    if (gathering.waiting.erase(session) == 0) continue;
    gathering.error = "a node left while it was asked";
    touched.push_back(token);
  }
  for (std::uint64_t token : touched) finish_if_done(token);
}

void Undo::tick(Instant now) {
  std::vector<std::uint64_t> late;
  for (auto& [token, gathering] : gatherings_) {
    if (now < gathering.until) continue;
    gathering.waiting.clear();
    gathering.error = "a node did not answer in time";
    late.push_back(token);
  }
  for (std::uint64_t token : late) finish_if_done(token);
  std::vector<Arrival> arrived;
  auto is_here = [&](const Arrival& arrival) {
    return now >= arrival.until ||
           std::all_of(arrival.rows.begin(), arrival.rows.end(), [&](const TrashReport& row) {
             const PathRecord* record = replica_.index().find(row.path);
             return record && record->live();
           });
  };
  for (auto at = arrivals_.begin(); at != arrivals_.end();) {
    if (!is_here(*at)) {
      ++at;
      continue;
    }
    arrived.push_back(std::move(*at));
    at = arrivals_.erase(at);
  }
  for (Arrival& arrival : arrived) arrival.done(std::move(arrival.rows));
}

Instant Undo::deadline() const {
  Instant next = kNever;
  for (const auto& [token, gathering] : gatherings_) next = std::min(next, gathering.until);
  for (const Arrival& arrival : arrivals_) next = std::min(next, arrival.until);
  return next;
}

// ---- list
// ---------------------------------------------------------------------------------------

void Undo::list(std::optional<WallTime> since, Callback<Rows> done) {
  gather({}, 0, 0, [this, since, done](std::vector<FoundTrash> rows, const std::string&) {
    std::vector<FoundTrash> own = own_rows({});
    rows.insert(rows.end(), own.begin(), own.end());
    Rows out;
    for (const FoundTrash& row : rows) {
      if (since && row.time_ns < since->ns) continue;
      out.push_back(report_of(row));
    }
    std::stable_sort(out.begin(), out.end(),
                     [](const TrashReport& a, const TrashReport& b) { return a.time > b.time; });
    done(std::move(out));
  });
}

// ---- restore
// ---------------------------------------------------------------------------------------

void Undo::restore(const TrashRestore& what, Callback<Rows> done) {
  const std::optional<ContentId> seen = shown_at(replica_, what.path);
  gather(what.path, 0, 0,
         [this, what, seen, done](std::vector<FoundTrash> rows, const std::string&) {
           // The answers took their time, and nobody goes past what was made or came meanwhile.
           const std::optional<ContentId> now = shown_at(replica_, what.path);
           if (now && now != seen) {
             done(Error{ErrorCode::kExists, str(printable(what.path),
                                                " has become another version meanwhile and is left "
                                                "alone; look at it, and ask again")});
             return;
           }
           std::vector<FoundTrash> own = own_rows(what.path);
           rows.insert(rows.begin(), own.begin(), own.end());
           choose(what, seen, rows, done);
         });
}

// Of each path the latest version that was displaced at or before the asked time, ours before the
// others' (whose clocks may be off). What is below a directory comes back only where it is missing
// in the group: undoing a delete must not undo edits of what was not deleted.
void Undo::choose(const TrashRestore& what, const std::optional<ContentId>& seen,
                  const std::vector<FoundTrash>& rows, Callback<Rows> done) {
  std::map<std::string, FoundTrash> best;
  for (const FoundTrash& row : rows) {
    if (!is_within(row.path, what.path)) continue;
    // People give the seconds that the list shows.
    if (what.time && second_of(row.time_ns) > second_of(what.time->ns)) continue;
    const PathRecord* record = replica_.index().find(row.path);
    if (row.path != what.path && lives(record)) continue;
    auto [at, fresh] = best.try_emplace(row.path, row);
    if (fresh) continue;
    bool own = row.node == links_.self();
    bool had_own = at->second.node == links_.self();
    bool newer = row.time_ns != at->second.time_ns ? row.time_ns > at->second.time_ns
                                                   : row.node < at->second.node;
    if (own != had_own ? own : newer) at->second = row;
  }
  if (auto named = best.find(what.path); !what.time && named != best.end()) {
    const TrashItem* item = replica_.index().trash().find(named->second.name);
    const bool own = named->second.node == links_.self();
    if (own && item && lives(replica_.index().find(what.path)) &&
        was_restored_over(replica_.index(), what.path, item->content)) {
      done(Error{ErrorCode::kExists, str(printable(what.path),
                                         " was brought back already; another version of it comes "
                                         "with NAME@TIME, as `lansync trash` lists them")});
      return;
    }
  }
  Directories directories = directories_of(replica_, what, kMaxRows);
  if (best.empty() && directories.empty()) {
    done(Error{ErrorCode::kNotFound, str("nothing called ", printable(what.path),
                                         " that is missing is in the trash here or of a member "
                                         "that is connected; `lansync trash` lists it",
                                         replica_.held_deletes() == 0
                                             ? ""
                                             : ". Deletes that are held here are in none: `lansync "
                                               "reject` brings back what they are about")});
    return;
  }
  Rows made;
  for (const auto& [path, mode] : directories) {
    auto below = best.lower_bound(path + '/');
    const bool empty = below == best.end() || !is_within(below->first, path);
    if (empty) made.push_back(report_of({{}, path, clock_.wall().ns, 0, links_.self()}));
  }
  std::vector<Chosen> chosen;
  for (auto& [path, row] : best) {
    // What a person names, and saw there, is gone past; anything else that lives is left alone.
    const bool named = path == what.path;
    chosen.push_back({std::move(row), named ? seen : std::nullopt});
  }
  // Before what is in them, which would make them with any mode.
  replica_.make_directories_again(
      std::move(directories),
      [this, chosen = std::move(chosen), made = std::move(made), done = std::move(done)] {
        if (chosen.empty()) {
          arrivals_.push_back({made, clock_.now() + kArrivalPatience, done});
          return;
        }
        bring_back(chosen, [made, done](Result<Rows> back) {
          if (!back && made.empty()) return done(back.error());
          Rows all = made;
          if (back) all.insert(all.end(), back->begin(), back->end());
          done(std::move(all));
        });
      });
}

void Undo::bring_back(const std::vector<Chosen>& chosen, Callback<Rows> done) {
  std::map<std::pair<NodeId, std::optional<ContentId>>, std::vector<std::string>> names;
  for (const auto& [row, over] : chosen) {
    if (over) note_restored_over(replica_.index(), row.path, *over);
    names[{row.node, over}].push_back(row.name);
  }
  auto sum = std::make_shared<Sum>();
  sum->left = names.size();
  auto part = [this, sum, done](std::vector<FoundTrash> rows, const std::string& error) {
    sum->rows.insert(sum->rows.end(), rows.begin(), rows.end());
    if (!error.empty()) sum->error = error;
    if (--sum->left > 0) return;
    if (sum->rows.empty()) {
      done(Error{ErrorCode::kIo, sum->error.empty() ? "nothing came back" : sum->error});
      return;
    }
    Arrival arrival{{}, clock_.now() + kArrivalPatience, done};
    for (const FoundTrash& row : sum->rows) arrival.rows.push_back(report_of(row));
    arrivals_.push_back(std::move(arrival));
  };
  for (const auto& [where, list] : names) restore_at(where.first, list, where.second, part);
}

void Undo::restore_at(const NodeId& node, const std::vector<std::string>& names,
                      const std::optional<ContentId>& over, const Found& done) {
  if (node == links_.self()) return restore_own(names, over, done);
  SessionId session = links_.session_with(node);
  std::vector<SessionId> peers = links_.undo_peers();
  if (session == 0 && !links_.acts_as_hub() && !peers.empty()) session = peers.front();
  if (session == 0) return done({}, str(links_.shown_name(node), ", whose trash has it, left"));
  ask_restore(session, node, names, over, done);
}

void Undo::find_of_run(RunId run, Found done) {
  gather(
      {}, run, 0,
      [this, run, done = std::move(done)](std::vector<FoundTrash> rows, const std::string& error) {
        std::vector<FoundTrash> own = own_rows_of_run(run);
        rows.insert(rows.begin(), own.begin(), own.end());
        done(std::move(rows), error);
      });
}

void Undo::bring_back_missing(const std::vector<FoundTrash>& rows, std::function<void()> done) {
  std::map<NodeId, std::vector<std::string>> names;
  for (const FoundTrash& row : rows) names[row.node].push_back(row.name);
  if (names.empty()) return done();
  auto left = std::make_shared<std::size_t>(names.size());
  const Found part = [left, done = std::move(done)](const std::vector<FoundTrash>&,
                                                    const std::string&) {
    if (--*left == 0) done();
  };
  for (const auto& [node, list] : names) restore_at(node, list, std::nullopt, part);
}

void Undo::ask_restore(SessionId session, const NodeId& node, const std::vector<std::string>& names,
                       const std::optional<ContentId>& over, Found done) {
  auto sum = std::make_shared<Sum>();
  auto part = [sum, done = std::move(done)](std::vector<FoundTrash> rows,
                                            const std::string& error) {
    sum->rows.insert(sum->rows.end(), rows.begin(), rows.end());
    if (!error.empty()) sum->error = error;
    if (--sum->left == 0) done(std::move(sum->rows), sum->error);
  };
  std::vector<RestoreTrash> messages;
  in_batches(
      names, [](const std::string& name) { return name.size() + 8; },
      [&](std::vector<std::string> batch) {
        messages.push_back({next_token_++, node, std::move(batch), over});
      });
  sum->left = messages.size();
  for (RestoreTrash& message : messages) {
    Gathering gathering;
    gathering.waiting = {session};
    gathering.until = clock_.now() + kRestorePatience;
    gathering.done = part;
    gatherings_.emplace(message.token, std::move(gathering));
    outbox_.send(session, message);
  }
}

void Undo::on_restore(SessionId session, const RestoreTrash& message) {
  auto reply = [this, session, token = message.token](std::vector<FoundTrash> rows,
                                                      const std::string& error) {
    answer(session, token, rows, error);
  };
  if (gatherings_.size() >= kMaxAsked) return reply({}, "busy, try again");
  if (message.node == links_.self()) return restore_own(message.names, message.over, reply);
  SessionId owner = links_.acts_as_hub() ? links_.session_with(message.node) : 0;
  if (owner == 0 || owner == session) return reply({}, "the node whose trash has it is not here");
  ask_restore(owner, message.node, message.names, message.over, reply);
}

void Undo::restore_own(const std::vector<std::string>& names, const std::optional<ContentId>& over,
                       Found done) {
  if (names.empty()) return done({}, {});
  auto sum = std::make_shared<Sum>();
  sum->left = names.size();
  auto finish = std::make_shared<Found>(std::move(done));
  for (const std::string& name : names) {
    FoundTrash row;
    row.name = name;
    row.node = links_.self();
    if (const TrashItem* item = replica_.index().trash().find(name)) {
      row.path = item->path;
      row.time_ns = item->time_ns;
      row.size = item->size;
    }
    replica_.restore_trash(name, over, [sum, finish, row](Status status) {
      if (status) {
        sum->rows.push_back(row);
      } else {
        sum->error = status.error().detail;
      }
      if (--sum->left == 0) (*finish)(std::move(sum->rows), sum->error);
    });
  }
}

}  // namespace lansync
