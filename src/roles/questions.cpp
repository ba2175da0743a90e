#include "roles/questions.h"

#include <algorithm>
#include <utility>

#include "base/rel_path.h"
#include "roles/queries.h"

namespace lansync {
namespace {

// "1 row", "2 rows"
std::string lines(std::uint64_t rows, std::string_view what) {
  return str(rows, ' ', what.substr(0, what.size() - (rows == 1 ? 1 : 0)));
}

FileReport file_report(const std::string& name, std::uint64_t size, std::int64_t mtime_ns,
                       const std::string& type) {
  return {name, size, WallTime{mtime_ns}, type};
}

// Rising, after `after`, and not beyond `next`. Empty: all is well.
template <typename Row>
std::string order_fault(const std::vector<Row>& rows, const std::string& after,
                        const std::string& next, bool last) {
  std::string before = after;
  for (const Row& row : rows) {
    if (row.name <= before) return "names that do not rise";
    before = row.name;
  }
  if (next < before || (!last && next <= after)) return "pages that do not go on";
  return {};
}

const char* state_name(HashState state) {
  static constexpr const char* kNames[] = {"good",     "changed",    "rotten",
                                           "repaired", "unreadable", "gone"};
  return kNames[static_cast<std::size_t>(state)];
}

}  // namespace

Questions::Questions(QuestionHost& host, const Replica& replica, FileSystem& files,
                     Executor& executor)
    : host_(host),
      replica_(replica),
      files_(files),
      executor_(executor),
      alive_(std::make_shared<bool>(true)) {}

Questions::~Questions() = default;

// ---- asking
// -------------------------------------------------------------------------------------------

void Questions::index(Token token, const NodeId& node, const IndexAsk& what, Rows<FileReport> rows,
                      Callback<AskEnd> done, Instant now) {
  auto ask = std::make_shared<Ask>();
  IndexState state;
  state.question.directories = what.directories;
  if (what.from) state.question.from = what.from->ns;
  if (what.to) state.question.to = what.to->ns;
  state.question.pattern = what.pattern;
  state.rows = std::move(rows);
  if (!what.pattern.empty()) {
    auto pattern = NamePattern::compile(what.pattern);
    if (!pattern) return done(pattern.error());
    state.pattern = std::move(*pattern);
  }
  ask->token = token;
  ask->node = node;
  ask->state = std::move(state);
  ask->done = std::move(done);
  start(std::move(ask), now);
}

void Questions::hash(Token token, const NodeId& node, const HashAsk& what, Rows<HashReport> rows,
                     Callback<AskEnd> done, Instant now) {
  auto ask = std::make_shared<Ask>();
  HashAskState state;
  state.question.name = what.name;
  state.question.repair = what.repair;
  state.rows = std::move(rows);
  if (!what.name.empty()) {
    if (Status fine = validate_relpath(what.name); !fine) return done(fine.error());
  }
  ask->token = token;
  ask->node = node;
  ask->state = std::move(state);
  ask->done = std::move(done);
  start(std::move(ask), now);
}

void Questions::search(Token token, const NodeId& node, const SearchAsk& what,
                       Rows<RecordReport> rows, Callback<AskEnd> done, Instant now) {
  auto ask = std::make_shared<Ask>();
  SearchState state;
  state.question.name = what.name;
  state.question.regex = what.regex;
  state.question.quiet = what.quiet;
  state.rows = std::move(rows);
  if (what.regex) {
    auto pattern = NamePattern::compile(what.name);
    if (!pattern) return done(pattern.error());
    state.pattern = std::move(*pattern);
  } else if (Status fine = validate_relpath(what.name); !fine) {
    return done(fine.error());
  }
  ask->token = token;
  ask->node = node;
  ask->quiet = what.quiet;
  ask->state = std::move(state);
  ask->done = std::move(done);
  start(std::move(ask), now);
}

void Questions::start(AskPtr ask, Instant now) {
  now_ = now;
  if (asks_.size() >= kMaxAtOnce) {
    return ask->done(Error{ErrorCode::kBusy, "this node asks too much already: try again"});
  }
  ask->id = next_id_++;
  SessionId session = host_.usable_session(ask->node);
  if (session == 0) {
    Status tried = host_.reach(ask->node);
    if (!tried) return ask->done(tried.error());
    ask->until = now + kReachPatience;
    asks_[ask->token] = std::move(ask);
    return;
  }
  ask->session = session;
  asks_[ask->token] = ask;
  send(*ask, now);
}

Message Questions::message_of(const Ask& ask) {
  Message message =
      std::visit([](const auto& state) -> Message { return state.question; }, ask.state);
  std::visit(
      [&](auto& m) {
        using M = std::decay_t<decltype(m)>;
        if constexpr (std::is_same_v<M, IndexQuery> || std::is_same_v<M, FileHash> ||
                      std::is_same_v<M, Search>)
          m.id = ask.id;
      },
      message);
  return message;
}

void Questions::send(Ask& ask, Instant now) {
  ask.stage = Stage::kAwaiting;
  ask.until = now + kAnswerPatience;
  host_.ask(ask.session, message_of(ask));
}

void Questions::cancel(Token token) {
  auto at = asks_.find(token);
  if (at == asks_.end()) return;
  AskPtr ask = at->second;
  if (ask->session != 0) host_.ask(ask->session, Cancel{ask->id});
  ask->done = [](const Result<AskEnd>&) {};
  end(ask, Error{ErrorCode::kBusy, ""}, "cancelled");
}

// ---- sessions
// -----------------------------------------------------------------------------------------

void Questions::on_session_up(SessionId session, const NodeId& node, Instant now) {
  now_ = now;
  for (const auto& [token, ask] : asks_) {
    if (ask->node != node || ask->stage != Stage::kReaching) continue;
    ask->session = session;
    send(*ask, now);
  }
}

void Questions::on_session_down(SessionId session, const std::string& why) {
  std::vector<AskPtr> cut;
  for (const auto& [token, ask] : asks_) {
    if (ask->session == session) cut.push_back(ask);
  }
  for (const AskPtr& ask : cut) {
    // Two nodes that dialled each other keep one of the two sessions.
    SessionId other = host_.usable_session(ask->node);
    if (other != 0 && other != session) {
      ask->session = other;
      if (ask->stage == Stage::kAwaiting) send(*ask, now_);
      continue;
    }
    ask->session = 0;
    std::string far = ask->rows > 0
                          ? str(" in the middle of its answer, after ", lines(ask->rows, "rows"))
                          : std::string(" before it answered");
    fail(ask, ErrorCode::kIo,
         str(printable(host_.name_of(ask->node), 64), " went away", far, " (", why,
             "): ask again, or ask another with --peer"));
  }
}

void Questions::on_unreachable(const NodeId& node, const std::string& why) {
  std::vector<AskPtr> cut;
  for (const auto& [token, ask] : asks_) {
    if (ask->node == node && ask->stage == Stage::kReaching) cut.push_back(ask);
  }
  for (const AskPtr& ask : cut) {
    fail(ask, ErrorCode::kIo,
         str(printable(host_.name_of(node), 64), " cannot be reached from here: ", why));
  }
}

bool Questions::uses(SessionId session) const {
  return std::any_of(asks_.begin(), asks_.end(),
                     [&](const auto& item) { return item.second->session == session; });
}

bool Questions::waits_for(const NodeId& node) const {
  return std::any_of(asks_.begin(), asks_.end(), [&](const auto& item) {
    return item.second->node == node && item.second->stage == Stage::kReaching;
  });
}

void Questions::pump(Instant now) {
  now_ = now;
  std::vector<std::pair<AskPtr, std::string>> late;
  for (const auto& [token, ask] : asks_) {
    std::string who = printable(host_.name_of(ask->node), 64);
    if (ask->stage == Stage::kReaching) {
      if (now >= ask->until)
        late.emplace_back(
            ask, str(who, " cannot be reached from here within ", to_string(kReachPatience)));
    } else if (ask->session != kSelfSession && now - host_.last_heard(ask->session) >= kSilence) {
      late.emplace_back(ask, str(who, " was not heard for ", to_string(kSilence), ", after ",
                                 lines(ask->rows, "rows"), ": it is gone, or the network is"));
    } else if (ask->stage == Stage::kAwaiting && now >= ask->until) {
      late.emplace_back(ask, str(who, " does not answer: it may be very busy; try again"));
    }
  }
  for (const auto& [ask, why] : late) {
    if (ask->session != 0) host_.ask(ask->session, Cancel{ask->id});
    fail(ask, ErrorCode::kIo, why);
  }
}

Instant Questions::deadline() const {
  Instant next = kNever;
  for (const auto& [token, ask] : asks_) {
    if (ask->stage != Stage::kHandedOn) next = std::min(next, ask->until);
    if (ask->session != 0 && ask->session != kSelfSession)
      next = std::min(next, host_.last_heard(ask->session) + kSilence);
  }
  return next;
}

// ---- answers
// ------------------------------------------------------------------------------------------

Questions::AskPtr Questions::find(SessionId session, std::uint32_t id) const {
  for (const auto& [token, ask] : asks_) {
    if (ask->session == session && ask->id == id) return ask;
  }
  return nullptr;
}

bool Questions::on_message(SessionId session, const Message& message, Instant now) {
  now_ = now;
  auto id = std::visit(
      [](const auto& m) -> std::optional<std::uint32_t> {
        using M = std::decay_t<decltype(m)>;
        if constexpr (std::is_same_v<M, IndexPage> || std::is_same_v<M, FileHashes> ||
                      std::is_same_v<M, Found> || std::is_same_v<M, NotFound> ||
                      std::is_same_v<M, Working> || std::is_same_v<M, Failed>)
          return m.id;
        return std::nullopt;
      },
      message);
  if (!id) return false;
  AskPtr ask = find(session, *id);
  // To a question that was given up: late, and no fault.
  if (!ask) return *id != 0 && *id < next_id_;
  if (ask->stage != Stage::kAwaiting) {
    lie(ask, "a page that was not asked for");
    return true;
  }
  if (std::get_if<Working>(&message)) {
    ask->until = now + kAnswerPatience;
  } else if (const auto* failed = std::get_if<Failed>(&message)) {
    fail(ask, ErrorCode::kRefused,
         str(printable(host_.name_of(ask->node), 64), ": ", printable(failed->reason, 300)));
  } else if (std::get_if<NotFound>(&message) && std::holds_alternative<SearchState>(ask->state)) {
    const Search& question = std::get<SearchState>(ask->state).question;
    fail(ask, ErrorCode::kNotFound,
         str("nobody in the group has ", question.regex ? "a name that matches " : "",
             printable(question.name, 300)));
  } else if (const auto* page = std::get_if<IndexPage>(&message);
             page && std::holds_alternative<IndexState>(ask->state)) {
    on_page(ask, *page, now);
  } else if (const auto* hashes = std::get_if<FileHashes>(&message);
             hashes && std::holds_alternative<HashAskState>(ask->state)) {
    on_hashes(ask, *hashes, now);
  } else if (const auto* found = std::get_if<Found>(&message);
             found && std::holds_alternative<SearchState>(ask->state)) {
    on_found(ask, *found, now);
  } else {
    lie(ask, "an answer to another question");
  }
  return true;
}

bool Questions::counts_empty(const AskPtr& ask, std::size_t rows) {
  ask->empty_pages = rows == 0 ? ask->empty_pages + 1 : 0;
  if (ask->empty_pages <= kMaxEmptyPages) return true;
  lie(ask, "pages without an end");
  return false;
}

void Questions::on_page(const AskPtr& ask, const IndexPage& page, Instant) {
  IndexState& state = std::get<IndexState>(ask->state);
  std::string fault = order_fault(page.rows, state.question.after, page.next, page.last);
  std::vector<FileReport> rows;
  for (const FileRow& row : page.rows) {
    const IndexQuery& question = state.question;
    bool asked = (!question.from || row.mtime_ns >= *question.from) &&
                 (!question.to || row.mtime_ns <= *question.to) &&
                 (!state.pattern || state.pattern->matches(row.name));
    if (!asked && fault.empty()) fault = "names that were not asked for";
    rows.push_back(file_report(row.name, row.size, row.mtime_ns, row.type));
  }
  if (!fault.empty()) return lie(ask, fault);
  if (!counts_empty(ask, rows.size())) return;
  ask->rows += rows.size();
  ask->last = page.last;
  ask->stage = Stage::kHandedOn;
  state.question.after = page.next;
  if (rows.empty()) return go_on(ask);
  state.rows(rows, taken(ask));
}

void Questions::on_found(const AskPtr& ask, const Found& page, Instant) {
  SearchState& state = std::get<SearchState>(ask->state);
  const Search& question = state.question;
  std::pair<std::string, NodeId> before{question.after, question.after_node};
  const bool exact = !question.regex && question.name.find('/') != std::string::npos;
  std::string fault;
  std::vector<RecordReport> rows;
  for (const FoundRecord& record : page.records) {
    std::pair<std::string, NodeId> here{record.name, record.id};
    // A zero node stands for all of that name.
    bool rises = before.second.is_zero() ? here.first > before.first : here > before;
    bool asked = question.regex ? state.pattern->matches(record.name)
                 : exact        ? record.name == question.name
                                : last_part(record.name) == question.name;
    if (!rises || record.id.is_zero()) fault = "records that do not rise";
    if (!asked && fault.empty()) fault = "names that were not asked for";
    before = here;
    Address address = record.address;
    if (address.ip == 0) address = host_.address_of(ask->session);
    rows.push_back({file_report(record.name, record.size, record.mtime_ns, record.type),
                    ip_to_string(address.ip), address.port, record.node});
  }
  bool goes_on = page.next > question.after ||
                 (page.next == question.after && !question.after_node.is_zero() &&
                  (page.next_node.is_zero() || page.next_node > question.after_node));
  if (page.next < before.first || (!page.last && !goes_on)) fault = "pages that do not go on";
  if (!fault.empty()) return lie(ask, fault);
  if (!counts_empty(ask, rows.size())) return;
  ask->rows += rows.size();
  ask->last = page.last;
  ask->stage = Stage::kHandedOn;
  state.question.after = page.next;
  state.question.after_node = page.next_node;
  if (rows.empty()) return go_on(ask);
  state.rows(rows, taken(ask));
}

void Questions::on_hashes(const AskPtr& ask, const FileHashes& page, Instant) {
  HashAskState& state = std::get<HashAskState>(ask->state);
  std::string fault;
  if (state.question.name.empty()) {
    fault = order_fault(page.rows, state.question.after, page.next, page.last);
  } else if (page.rows.size() != 1 || page.rows[0].name != state.question.name || !page.last) {
    fault = "hashes that were not asked for";
  }
  for (const HashRow& row : page.rows) {
    if (row.state == HashState::kRepaired && !state.question.repair && fault.empty())
      fault = "a repair that was not asked for";
  }
  if (!fault.empty()) return lie(ask, fault);
  if (!counts_empty(ask, page.rows.size())) return;
  ask->rows += page.rows.size();
  ask->last = page.last;
  ask->stage = Stage::kHandedOn;
  state.question.after = page.next;
  if (page.rows.empty()) return go_on(ask);
  compare_with_ours(ask, page.rows);
}

// `same` is about the bytes on both disks: ours are read anew as well.
void Questions::compare_with_ours(const AskPtr& ask, std::vector<HashRow> rows) {
  std::vector<ExamineRequest> requests;
  for (const HashRow& row : rows) {
    const PathRecord* record = replica_.index().find(row.name);
    bool ours = record != nullptr && record->live() && record->local->is_file();
    if (ours && ask->session != kSelfSession) requests.push_back({row.name, std::nullopt, true});
  }
  if (requests.empty()) return deliver_hashes(ask, rows, {});
  run_examine(files_, executor_, std::move(requests),
              [this, ask, rows = std::move(rows),
               alive = std::weak_ptr<bool>(alive_)](const std::vector<Observation>& ours) {
                if (alive.expired() || !asks_.contains(ask->token)) return;
                deliver_hashes(ask, rows, ours);
              });
}

void Questions::deliver_hashes(const AskPtr& ask, const std::vector<HashRow>& rows,
                               const std::vector<Observation>& ours) {
  std::map<std::string, const Observation*> here;
  for (const Observation& seen : ours) here[seen.path] = &seen;
  std::vector<HashReport> reports;
  for (const HashRow& row : rows) {
    HashReport report;
    report.name = row.name;
    report.size = row.size;
    report.mtime = WallTime{row.mtime_ns};
    if (!row.md5.is_zero()) report.md5 = to_hex(row.md5);
    report.state = state_name(row.state);
    report.note = row.reason;
    // Our own disk was asked: what was read there is ours, and as it should be or not.
    if (ask->session == kSelfSession && !row.md5.is_zero())
      report.same = row.state != HashState::kRotten;
    auto at = here.find(row.name);
    if (at != here.end() && at->second->kind == Observation::Kind::kPresent && !row.md5.is_zero()) {
      report.same = at->second->md5 == row.md5;
      const PathRecord* record = replica_.index().find(row.name);
      bool rot = record != nullptr && record->live() && record->stat == at->second->stat &&
                 record->local->content != at->second->content;
      if (rot) report.note += str(report.note.empty() ? "" : "; ", "our own copy is rotten");
    }
    reports.push_back(std::move(report));
  }
  std::get<HashAskState>(ask->state).rows(reports, taken(ask));
}

// ---- ends
// ---------------------------------------------------------------------------------------------

AskControl::Taken Questions::taken(const AskPtr& ask) {
  return [this, weak = std::weak_ptr<Ask>(ask), alive = std::weak_ptr<bool>(alive_)] {
    AskPtr still = weak.lock();
    if (!alive.expired() && still && asks_.contains(still->token)) go_on(still);
  };
}

void Questions::go_on(const AskPtr& ask) {
  if (!ask->last) return send(*ask, now_);
  AskEnd summary{host_.name_of(ask->node), ask->rows};
  end(ask, summary, lines(ask->rows, "rows"));
}

void Questions::lie(const AskPtr& ask, const std::string& what) {
  SessionId session = ask->session;
  // First the end: the session's own end would call it a death.
  fail(ask, ErrorCode::kCorrupt,
       str(printable(host_.name_of(ask->node), 64), " (", to_string(host_.address_of(session)),
           ") answers with lies: ", what, "; its session is closed"));
  host_.lied(session, str("an answer with ", what));
}

void Questions::fail(const AskPtr& ask, ErrorCode code, const std::string& why) {
  end(ask, Error{code, why}, "failed: " + why);
}

void Questions::end(const AskPtr& ask, Result<AskEnd> result, const std::string& told) {
  asks_.erase(ask->token);
  auto [command, arguments] = describe_question(message_of(*ask));
  if (!ask->quiet) host_.asked(ask->node, command, arguments, told);
  ask->done(std::move(result));
}

}  // namespace lansync
