#include "roles/queries.h"

#include <algorithm>

#include "base/rel_path.h"
#include "roles/batching.h"

namespace lansync {
namespace {

// Of types that have to be found out: libmagic takes up to a millisecond each.
constexpr std::size_t kUntypedPerPage = 64;
// A page ends after so many names even if none fitted, so that the asker sees that it goes on.
constexpr std::uint64_t kScannedPerPage = 32768;
constexpr std::uint64_t kVisitCost = 50;

// About: what the longest types take more stays far below kMaxMessageBytes with kMaxPageRows rows.
std::size_t row_bytes(const std::string& name) { return name.size() + 130; }

std::int64_t mtime_of(const PathRecord& record, const Entry& entry) {
  return entry.is_file() ? entry.mtime_ns : record.stat.mtime_ns;
}

}  // namespace

std::pair<std::string, std::string> describe_question(const Message& message) {
  if (const auto* m = std::get_if<IndexQuery>(&message)) {
    if (!m->pattern.empty()) return {"index regex", printable(m->pattern, 200)};
    if (m->from || m->to) {
      return {"index shortlist",
              str(m->from ? to_iso8601({*m->from}) : "", ' ', m->to ? to_iso8601({*m->to}) : "")};
    }
    return {"index longlist", ""};
  }
  if (const auto* m = std::get_if<FileHash>(&message)) {
    const char* repair = m->repair ? "--repair" : "";
    if (m->name.empty()) return {"hash checkall", repair};
    return {"hash verify", str(printable(m->name, 500), m->repair ? " " : "", repair)};
  }
  if (const auto* m = std::get_if<Search>(&message))
    return {"search", str(m->regex ? "--regex " : "", printable(m->name, 500))};
  return {std::string(message_type(message)), ""};
}

Queries::Queries(QueryHost& host, Replica& replica, FileSystem& files, Executor& executor,
                 ContentTypes& types)
    : host_(host),
      replica_(replica),
      files_(files),
      executor_(executor),
      types_(types),
      alive_(std::make_shared<bool>(true)) {}

Queries::~Queries() = default;

// ---- questions come
// -----------------------------------------------------------------------------------

bool Queries::on_message(SessionId session, const Message& message, Instant now) {
  Run run;
  std::string pattern;
  std::uint32_t id = 0;
  if (const auto* index = std::get_if<IndexQuery>(&message)) {
    run.question = *index;
    run.cursor = index->after;
    pattern = index->pattern;
    id = index->id;
  } else if (const auto* hash = std::get_if<FileHash>(&message)) {
    run.question = *hash;
    run.cursor = hash->after;
    id = hash->id;
  } else if (const auto* search = std::get_if<Search>(&message)) {
    run.question = *search;
    run.cursor = search->after;
    run.cursor_node = search->after_node;
    if (search->regex) pattern = search->name;
    id = search->id;
  } else if (const auto* cancel = std::get_if<Cancel>(&message)) {
    Key key{session, cancel->id};
    if (runs_.contains(key)) finish(key, "the asker had enough");
    return true;
  } else {
    return false;
  }
  return begin({session, id}, std::move(run), pattern, now);
}

bool Queries::begin(const Key& key, Run run, const std::string& pattern, Instant now) {
  run.since = now;
  if (auto at = runs_.find(key); at != runs_.end()) {
    Run& known = at->second;
    // One page at a time, and of the same question.
    if (known.stage != Stage::kPaused || known.question.index() != run.question.index())
      return false;
    known.cursor = run.cursor;
    known.cursor_node = run.cursor_node;
    continue_run(known, now);
    return true;
  }
  auto of_session = [&](const auto& item) { return item.first.first == key.first; };
  auto running = static_cast<std::size_t>(std::count_if(runs_.begin(), runs_.end(), of_session));
  if (running >= kMaxPerSession || runs_.size() >= kMaxInAll) {
    host_.answer(key.first, Failed{key.second, "it answers too many questions already: try again"});
    return true;
  }
  run.serial = next_serial_++;
  runs_[key] = std::move(run);
  if (std::holds_alternative<Search>(runs_[key].question) && !host_.acts_as_hub()) {
    fail(key, "it is not the hub (any more): try again");
    return true;
  }
  if (!pattern.empty()) {
    auto compiled = NamePattern::compile(pattern);
    if (!compiled) {
      fail(key, compiled.error().detail);
      return true;
    }
    runs_[key].pattern = std::move(*compiled);
  }
  if (const auto* hash = std::get_if<FileHash>(&runs_[key].question);
      hash != nullptr && !hash->name.empty()) {
    const PathRecord* record = replica_.index().find(hash->name);
    if (record == nullptr || !record->live()) {
      fail(key, str("it has no ", printable(hash->name, 120)));
      return true;
    }
    if (!record->local->is_file()) {
      fail(key, str(printable(hash->name, 120), " is no regular file there"));
      return true;
    }
  }
  continue_run(runs_[key], now);
  return true;
}

void Queries::continue_run(Run& run, Instant now) {
  run.stage = Stage::kScanning;
  run.picked.clear();
  run.records.clear();
  run.untyped.clear();
  run.hashes.clear();
  run.page_bytes = 0;
  run.scanned = 0;
  run.last = false;
  run.since = now;
  run.sign_at = now + kSignOfLife;
  scanning_ = true;
}

void Queries::on_session_down(SessionId session) {
  for (;;) {
    auto at = runs_.lower_bound({session, 0});
    if (at == runs_.end() || at->first.first != session) return;
    finish(at->first, "the asker went away");
  }
}

bool Queries::uses(SessionId session) const {
  auto at = runs_.lower_bound({session, 0});
  return at != runs_.end() && at->first.first == session;
}

void Queries::fail(const Key& key, const std::string& reason) {
  host_.answer(key.first, Failed{key.second, reason});
  finish(key, "failed: " + reason);
}

void Queries::finish(Key key, const std::string& result) {
  auto at = runs_.find(key);
  auto described = std::visit([](const auto& question) { return describe_question(question); },
                              at->second.question);
  const auto* search = std::get_if<Search>(&at->second.question);
  const bool untold = search != nullptr && search->untold();
  runs_.erase(at);
  if (!untold) host_.answered(key.first, described.first, described.second, result);
}

Queries::Run* Queries::find(const Key& key, std::uint64_t serial) {
  auto at = runs_.find(key);
  return at == runs_.end() || at->second.serial != serial ? nullptr : &at->second;
}

// ---- turns
// --------------------------------------------------------------------------------------------

void Queries::pump(Instant now) {
  std::vector<Key> forgotten;
  for (auto& [key, run] : runs_) {
    if (run.stage == Stage::kPaused) {
      if (now - run.since >= kForgotten) forgotten.push_back(key);
    } else if (now >= run.sign_at) {
      run.sign_at = now + kSignOfLife;
      host_.answer(key.first, Working{key.second});
    }
  }
  for (const Key& key : forgotten) finish(key, "the asker never asked for more");
  // In turns, so that one large question does not keep the others waiting.
  std::uint64_t cost = 0;
  scanning_ = false;
  std::vector<Key> order;
  for (auto at = runs_.lower_bound(next_turn_); at != runs_.end(); ++at) order.push_back(at->first);
  for (auto at = runs_.begin(); at != runs_.end() && at->first < next_turn_; ++at)
    order.push_back(at->first);
  for (const Key& key : order) {
    auto at = runs_.find(key);
    if (at == runs_.end() || at->second.stage != Stage::kScanning) continue;
    if (cost >= kTurnCost) {
      scanning_ = true;
      next_turn_ = key;
      return;
    }
    cost += step(key, at->second, now);
    at = runs_.find(key);
    if (at != runs_.end() && at->second.stage == Stage::kScanning) {
      scanning_ = true;
      next_turn_ = {key.first, key.second + 1};
    }
  }
}

Instant Queries::deadline() const {
  if (scanning_) return Instant{};
  Instant next = kNever;
  for (const auto& [key, run] : runs_)
    next = std::min(next, run.stage == Stage::kPaused ? run.since + kForgotten : run.sign_at);
  return next;
}

std::uint64_t Queries::step(const Key& key, Run& run, Instant now) {
  std::uint64_t cost = 0;
  bool more = true;  // of this page
  if (std::holds_alternative<IndexQuery>(run.question)) {
    cost = scan_index(run, kTurnCost / 4);
    more = run.picked.size() < kMaxPageRows && run.page_bytes < kBatchBytes &&
           run.untyped.size() < kUntypedPerPage;
  } else if (std::holds_alternative<Search>(run.question)) {
    cost = scan_group(run, kTurnCost / 4);
    more = run.records.size() < kMaxPageRows && run.page_bytes < kBatchBytes &&
           run.untyped.size() < kUntypedPerPage;
  } else {
    cost = scan_files(run);
    more = false;
  }
  if (more && !run.last && run.scanned < kScannedPerPage) return cost;
  end_page(key, run, now);
  return cost;
}

// Of the disk's tree: what this node has.
std::uint64_t Queries::scan_index(Run& run, std::uint64_t budget) {
  const IndexQuery& question = std::get<IndexQuery>(run.question);
  const auto& paths = replica_.index().paths();
  std::uint64_t cost = 0;
  auto at = paths.upper_bound(run.cursor);
  for (; at != paths.end() && cost < budget; ++at) {
    if (run.picked.size() >= kMaxPageRows || run.page_bytes >= kBatchBytes ||
        run.untyped.size() >= kUntypedPerPage || run.scanned >= kScannedPerPage)
      return cost;
    const auto& [path, record] = *at;
    run.cursor = path;
    ++run.scanned;
    cost += kVisitCost;
    if (!record.live()) continue;
    const Entry& entry = *record.local;
    if (!entry.is_file() && !entry.is_symlink() && !(entry.is_directory() && question.directories))
      continue;
    std::int64_t mtime = mtime_of(record, entry);
    if ((question.from && mtime < *question.from) || (question.to && mtime > *question.to))
      continue;
    if (run.pattern) {
      cost += run.pattern->cost(path);
      if (!run.pattern->matches(path)) continue;
    }
    run.picked.emplace_back(path, record.local);
    run.page_bytes += row_bytes(path);
    if (!types_.known(entry)) run.untyped.push_back({path, record.local, record.stat});
  }
  run.last = at == paths.end();
  return cost;
}

// Of the group's tree: what was published, and who holds it.
std::uint64_t Queries::scan_group(Run& run, std::uint64_t budget) {
  const Search& question = std::get<Search>(run.question);
  const auto& paths = replica_.index().paths();
  const bool in_any_directory = !question.regex && question.name.find('/') == std::string::npos;
  std::uint64_t cost = 0;
  // The records of one name may fill more than a page.
  bool again = !run.cursor_node.is_zero();
  if (!question.regex && !in_any_directory) {
    const PathRecord* record = replica_.index().find(question.name);
    if (record == nullptr || add_records(run, question.name, *record)) run.last = true;
    return kVisitCost;
  }
  auto at = again ? paths.lower_bound(run.cursor) : paths.upper_bound(run.cursor);
  for (; at != paths.end() && cost < budget; ++at) {
    const auto& [path, record] = *at;
    if (run.records.size() >= kMaxPageRows || run.page_bytes >= kBatchBytes ||
        run.untyped.size() >= kUntypedPerPage || run.scanned >= kScannedPerPage)
      return cost;
    ++run.scanned;
    cost += kVisitCost;
    bool fits = false;
    if (run.pattern) {
      cost += run.pattern->cost(path);
      fits = run.pattern->matches(path);
    } else {
      fits = last_part(path) == question.name;
    }
    if (fits && !add_records(run, path, record)) return cost;
    run.cursor = path;
    run.cursor_node = NodeId{};
  }
  run.last = at == paths.end();
  return cost;
}

// False: the page is full before all holders are in it; the cursor stands within them.
bool Queries::add_records(Run& run, const std::string& path, const PathRecord& record) {
  if (!record.remote || record.remote->is_tombstone() || record.remote->kind == EntryKind::kSetting)
    return true;
  const Entry& entry = *record.remote;
  NodeId after = run.cursor == path ? run.cursor_node : NodeId{};
  bool typed = types_.known(entry).has_value();
  for (const HolderInfo& holder : host_.holders_of(path, record)) {
    if (!after.is_zero() && holder.node <= after) continue;
    if (run.records.size() >= kMaxPageRows) return false;
    FoundRecord row;
    row.name = path;
    row.size = entry.is_file() ? entry.size : 0;
    row.mtime_ns = mtime_of(record, entry);
    row.address = holder.address;
    row.id = holder.node;
    row.node = holder.name;
    run.records.push_back(std::move(row));
    run.page_bytes += row_bytes(path);
    run.cursor = path;
    run.cursor_node = holder.node;
    if (run.picked.empty() || run.picked.back().first != path) {
      run.picked.emplace_back(path, record.remote);
      // Only what is here can be looked into.
      bool here = record.live() && same_content(*record.local, entry);
      if (!typed && here) run.untyped.push_back({path, record.local, record.stat});
    }
  }
  run.cursor = path;
  run.cursor_node = NodeId{};
  return true;
}

std::uint64_t Queries::scan_files(Run& run) {
  const FileHash& question = std::get<FileHash>(run.question);
  if (!question.name.empty()) {
    run.cursor = question.name;
    const PathRecord* record = replica_.index().find(question.name);
    if (record != nullptr && record->live()) run.picked.emplace_back(question.name, record->local);
    run.last = true;
    return kVisitCost;
  }
  const auto& paths = replica_.index().paths();
  std::uint64_t bytes = 0;
  auto at = paths.upper_bound(run.cursor);
  for (; at != paths.end() && run.picked.size() < kHashFiles && bytes < kHashBytes &&
         run.scanned < kScannedPerPage;
       ++at) {
    run.cursor = at->first;
    ++run.scanned;
    if (!at->second.live() || !at->second.local->is_file()) continue;
    run.picked.emplace_back(at->first, at->second.local);
    bytes += at->second.local->size;
  }
  run.last = at == paths.end();
  return run.scanned * kVisitCost;
}

// ---- pages go
// -----------------------------------------------------------------------------------------

void Queries::end_page(const Key& key, Run& run, Instant now) {
  run.sign_at = std::min(run.sign_at, now + kSignOfLife);
  if (std::holds_alternative<FileHash>(run.question)) {
    read_anew(key, run, now);
    return;
  }
  if (run.untyped.empty()) {
    send_page(key, run);
    return;
  }
  run.stage = Stage::kWorking;
  types_.determine(std::exchange(run.untyped, {}),
                   [this, key, serial = run.serial, alive = std::weak_ptr<bool>(alive_)] {
                     if (alive.expired()) return;
                     if (Run* now_there = find(key, serial)) send_page(key, *now_there);
                   });
}

void Queries::send_page(const Key& key, Run& run) {
  run.stage = Stage::kPaused;
  if (std::holds_alternative<IndexQuery>(run.question)) {
    send_index_page(key, run);
  } else if (std::holds_alternative<Search>(run.question)) {
    send_found(key, run);
  } else {
    send_hashes(key, run);
  }
  if (!run.last) return;
  const char* what = std::holds_alternative<IndexQuery>(run.question) ? " name"
                     : std::holds_alternative<Search>(run.question)   ? " record"
                                                                      : " file";
  finish(key, str(run.told, what, run.told == 1 ? "" : "s"));
}

void Queries::send_index_page(const Key& key, Run& run) {
  IndexPage page;
  page.id = key.second;
  for (const auto& [path, entry] : run.picked) {
    const PathRecord* record = replica_.index().find(path);
    FileRow row;
    row.name = path;
    row.size = entry->is_file() ? entry->size : 0;
    row.mtime_ns = record != nullptr ? mtime_of(*record, *entry) : entry->mtime_ns;
    row.type = types_.known(*entry).value_or(kUnknownType);
    page.rows.push_back(std::move(row));
  }
  run.told += page.rows.size();
  page.next = run.cursor;
  page.last = run.last;
  host_.answer(key.first, page);
}

void Queries::send_found(const Key& key, Run& run) {
  run.told += run.records.size();
  if (run.last && run.told == 0) {
    host_.answer(key.first, NotFound{key.second});
    return;
  }
  std::map<std::string, EntryPtr> entries(run.picked.begin(), run.picked.end());
  Found found;
  found.id = key.second;
  found.records = std::move(run.records);
  for (FoundRecord& record : found.records)
    record.type = types_.known(*entries.at(record.name)).value_or(kUnknownType);
  found.next = run.cursor;
  found.next_node = run.cursor_node;
  found.last = run.last;
  host_.answer(key.first, found);
}

void Queries::send_hashes(const Key& key, Run& run) {
  run.told += run.hashes.size();
  FileHashes page;
  page.id = key.second;
  page.rows = std::move(run.hashes);
  page.next = run.cursor;
  page.last = run.last;
  host_.answer(key.first, page);
}

// ---- reading anew
// -------------------------------------------------------------------------------------

void Queries::read_anew(const Key& key, Run& run, Instant) {
  run.stage = Stage::kWorking;
  std::vector<ExamineRequest> requests;
  for (const auto& [path, entry] : run.picked) requests.push_back({path, std::nullopt, true});
  if (requests.empty()) {
    send_page(key, run);
    return;
  }
  run_examine(files_, executor_, std::move(requests),
              [this, key, serial = run.serial,
               alive = std::weak_ptr<bool>(alive_)](const std::vector<Observation>& seen) {
                if (!alive.expired()) on_read(key, serial, seen);
              });
}

void Queries::on_read(const Key& key, std::uint64_t serial, const std::vector<Observation>& seen) {
  Run* run = find(key, serial);
  if (run == nullptr) return;
  for (const Observation& one : seen) run->hashes.push_back(judge(one));
  repair(key, *run);
}

HashRow Queries::judge(const Observation& seen) {
  HashRow row;
  row.name = seen.path;
  const PathRecord* record = replica_.index().find(seen.path);
  bool indexed = record != nullptr && record->live() && record->local->is_file();
  if (seen.kind == Observation::Kind::kAbsent) {
    row.state = HashState::kGone;
    replica_.on_content_changed(seen.path);
    return row;
  }
  if (seen.kind != Observation::Kind::kPresent || seen.stat.kind != FileKind::kFile) {
    row.state = HashState::kUnreadable;
    row.reason = seen.kind == Observation::Kind::kUnstable ? "it changed while it was read"
                 : seen.reason.empty()                     ? "it is no regular file any more"
                                                           : seen.reason;
    return row;
  }
  row.size = seen.stat.size;
  row.mtime_ns = seen.stat.mtime_ns;
  row.md5 = seen.md5;
  if (indexed && seen.content == record->local->content) return row;
  if (indexed && seen.stat == record->stat) {
    row.state = HashState::kRotten;
    row.reason = "the bytes differ from what was last verified, and nobody touched the file";
    replica_.on_rot(seen.path);
    return row;
  }
  row.state = HashState::kChanged;
  row.reason = "it was changed and is not in the index yet";
  replica_.on_content_changed(seen.path);
  return row;
}

void Queries::repair(const Key& key, Run& run) {
  const FileHash& question = std::get<FileHash>(run.question);
  if (question.repair) {
    for (std::size_t i = 0; i < run.hashes.size(); ++i) {
      if (run.hashes[i].state != HashState::kRotten) continue;
      ++run.repairs;
      replica_.repair(run.hashes[i].name, [this, key, serial = run.serial, i,
                                           alive = std::weak_ptr<bool>(alive_)](Status status) {
        Run* now_there = alive.expired() ? nullptr : find(key, serial);
        if (now_there == nullptr) return;
        HashRow& row = now_there->hashes[i];
        if (status) {
          const PathRecord* record = replica_.index().find(row.name);
          row.state = HashState::kRepaired;
          row.reason = "the bad copy is in the trash there";
          if (record != nullptr && record->live()) {
            row.md5 = record->local->md5;
            row.size = record->local->size;
            row.mtime_ns = record->local->mtime_ns;
          }
        } else {
          row.reason = "rotten, and not repaired: " + status.error().detail;
        }
        if (--now_there->repairs == 0) send_page(key, *now_there);
      });
    }
  }
  if (run.repairs == 0) send_page(key, run);
}

}  // namespace lansync
