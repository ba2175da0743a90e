#include "roles/demand.h"

#include <algorithm>

namespace lansync {
namespace {

// A fetch that nobody can serve: another version may be on its way, and an on-demand hub may first
// have to get the content itself, which takes two rounds of the fetcher (10 and 20 s).
constexpr Duration kRefusedPatience = 3s;
constexpr Duration kRelayPatience = 45s;
constexpr Duration kAlonePatience = 5s;
constexpr Duration kAnswerPatience = 5s;
constexpr Duration kCheck = 500ms;
// A second request for what is not here comes after the fetcher's backoff.
constexpr Duration kMissedTwice = 3s;
constexpr std::size_t kMaxMissed = 1024;
constexpr std::size_t kMaxQuestions = 256;
constexpr std::size_t kMaxLetGo = 10'000;

std::string first_failure(const std::map<std::string, std::string>& failed, std::uint64_t done,
                          std::string_view what) {
  const auto& [path, why] = *failed.begin();
  std::string line = str(printable(path), ": ", printable(why));
  if (failed.size() > 1) line += str(" (and ", failed.size() - 1, " more)");
  if (done > 0) line += str("; ", done, " files ", what);
  return line;
}

// And the group goes on without it, or waits for a person's word on it.
bool deleted_here(const PathRecord& record) {
  return record.local && record.local->is_tombstone() &&
         (!record.remote || record.local->version.covers(record.remote->version));
}

}  // namespace

// ---- get
// --------------------------------------------------------------------------------------------

void Demand::get(NodeControl::Token token, const std::vector<std::string>& names, Instant now,
                 Done done) {
  if (replica_.paused()) {
    done(Error{ErrorCode::kUnsupported, "this node is paused: `lansync resume` first"});
    return;
  }
  Get get;
  get.token = token;
  get.done = std::move(done);
  for (const std::string& name : names) {
    std::vector<std::string> paths = replica_.files_at(name);
    const PathRecord* record = replica_.index().find(name);
    if (paths.empty() && !name.empty() && !(record && record->live())) {
      get.failed[name] = "no file of that name in the group (see `lansync index longlist`)";
    }
    get.open.insert(paths.begin(), paths.end());
  }
  for (const std::string& path : std::vector<std::string>(get.open.begin(), get.open.end())) {
    if (replica_.is_here(path)) {
      settle_get(get, path, {});
    } else if (replica_.too_large(path)) {
      settle_get(get, path, "it is larger than this node's --max-file-size");
    } else {
      replica_.ask_for(path);
    }
  }
  gets_.emplace(token, std::move(get));
  next_check_ = now;
}

void Demand::settle_get(Get& get, const std::string& path, std::string why) {
  get.open.erase(path);
  get.refused.erase(path);
  if (!why.empty()) {
    get.failed[path] = std::move(why);
    return;
  }
  ++get.files;
  get.names.push_back(path);
  get.bytes += replica_.index().find(path)->local->size;
}

void Demand::on_settled(const std::string& path) {
  for (auto& [token, get] : gets_) {
    if (get.open.contains(path) && replica_.is_here(path)) settle_get(get, path, {});
  }
}

void Demand::on_fetch_failed(const std::string& path, const std::string& reason, Instant now) {
  const PathRecord* record = replica_.index().find(path);
  if (!record || !record->remote) return;
  for (auto& [token, get] : gets_) {
    if (!get.open.contains(path)) continue;
    Get::Refusal& refusal = get.refused[path];
    if (refusal.content != record->remote->content) refusal = {record->remote->content, now, {}};
    refusal.reason = reason;
  }
}

void Demand::check_get(Get& get, Instant now) {
  if (view_.sources) get.alone_since = kNever;
  if (!view_.sources && get.alone_since == kNever) get.alone_since = now;
  bool alone = get.alone_since != kNever && now - get.alone_since >= kAlonePatience;
  const Duration patience = view_.hub || view_.hub_is_full ? kRefusedPatience : kRelayPatience;
  for (const std::string& path : std::vector<std::string>(get.open.begin(), get.open.end())) {
    const PathRecord* record = replica_.index().find(path);
    auto refused = get.refused.find(path);
    if (replica_.is_here(path)) {
      settle_get(get, path, {});
    } else if (!record || (record->remote && !record->remote->is_file()) || deleted_here(*record)) {
      settle_get(get, path, "it was deleted: `lansync trash --restore` brings it back");
    } else if (alone) {
      settle_get(get, path, "no node that holds it is here");
    } else if (record->synced && !record->remote && replica_.is_remote_known()) {
      settle_get(get, path,
                 str("no node that holds it is here (this version was made on ",
                     printable(record->synced->author_name, 64), ")"));
    } else if (refused != get.refused.end() && now - refused->second.at >= patience &&
               record->remote && record->remote->content == refused->second.content &&
               !replica_.is_on_its_way(path)) {
      settle_get(get, path, str("no node that is here holds it: ", refused->second.reason));
    }
    // Asked for no more: a node that cannot have it is in sync all the same.
    if (get.failed.contains(path)) replica_.unask(path);
  }
}

void Demand::check_gets(Instant now) {
  std::vector<Get> finished;
  for (auto at = gets_.begin(); at != gets_.end();) {
    if (now >= next_check_) check_get(at->second, now);
    if (!at->second.open.empty()) {
      ++at;
      continue;
    }
    finished.push_back(std::move(at->second));
    at = gets_.erase(at);
  }
  if (now >= next_check_) next_check_ = now + kCheck;
  for (Get& get : finished) {
    if (get.failed.empty()) {
      get.done(ActionReport{str(get.files, get.files == 1 ? " file, " : " files, ", get.bytes,
                                " bytes: here and verified"),
                            get.files, std::move(get.names)});
    } else {
      get.done(Error{ErrorCode::kNotFound, first_failure(get.failed, get.files, "are here")});
    }
  }
}

// ---- drop
// -------------------------------------------------------------------------------------------

void Demand::drop(NodeControl::Token token, const std::vector<std::string>& names, Instant now,
                  Done done) {
  if (replica_.index().wants_all()) {
    done(Error{ErrorCode::kUnsupported,
               "this node keeps everything: start it with --on-demand to drop files"});
    return;
  }
  Drop drop;
  drop.token = token;
  drop.done = std::move(done);
  for (const std::string& name : names) {
    const PathRecord* named = replica_.index().find(name);
    std::vector<std::string> paths = replica_.files_at(name);
    if (paths.empty() && !name.empty() && !(named && named->live())) {
      drop.failed[name] = "no file of that name in the group";
    }
    for (const std::string& path : paths) {
      const PathRecord* record = replica_.index().find(path);
      if (!record->live()) {
        replica_.unask(path);
      } else if (Status may = replica_.may_drop(path); !may) {
        drop.failed[path] = str("kept: ", may.error().detail);
      } else {
        drop.open[path] = record->local->content;
      }
    }
  }
  drops_.emplace(token, std::move(drop));
  ask_next(token, now);
}

void Demand::ask_next(NodeControl::Token token, Instant now) {
  auto at = drops_.find(token);
  if (at == drops_.end() || at->second.asking || at->second.open.empty()) return;
  Drop& drop = at->second;
  std::map<std::string, ContentId> asked;
  std::vector<ContentId> hashes;
  while (!drop.open.empty() && asked.size() < kMaxEntriesPerMessage) {
    auto first = drop.open.begin();
    hashes.push_back(first->second);
    asked.insert(drop.open.extract(first));
  }
  drop.asking = true;
  ask(std::move(hashes), now,
      [this, token, asked](const std::set<ContentId>& held) { on_answer(token, asked, held); });
}

void Demand::on_answer(NodeControl::Token token, const std::map<std::string, ContentId>& asked,
                       const std::set<ContentId>& held) {
  auto at = drops_.find(token);
  if (at == drops_.end()) return;
  at->second.asking = false;
  for (const auto& [path, content] : asked) {
    Drop& drop = at->second;
    if (!held.contains(content)) {
      drop.failed[path] = "kept: no full replica that is here and in sync says that it holds it";
      continue;
    }
    Status may = replica_.may_drop(path);
    const PathRecord* record = replica_.index().find(path);
    if (may && record->local->content != content) {
      may = Error{ErrorCode::kChanged, "it was changed a moment ago: try again"};
    }
    if (!may) {
      drop.failed[path] = str("kept: ", may.error().detail);
      continue;
    }
    ++drop.removing;
    const std::uint64_t size = record->local->size;
    replica_.drop(path, [this, token, name = path, size](const Status& status) {
      auto now_at = drops_.find(token);
      if (now_at == drops_.end()) return;
      Drop& now_drop = now_at->second;
      --now_drop.removing;
      if (!status) {
        now_drop.failed[name] = str("kept: ", status.error().detail);
        return;
      }
      ++now_drop.files;
      now_drop.names.push_back(name);
      now_drop.bytes += size;
    });
  }
}

void Demand::check_drops(Instant now) {
  std::vector<Drop> finished;
  std::vector<NodeControl::Token> more;
  for (auto at = drops_.begin(); at != drops_.end();) {
    Drop& drop = at->second;
    if (!drop.open.empty() && !drop.asking) more.push_back(at->first);
    if (!drop.open.empty() || drop.asking || drop.removing > 0) {
      ++at;
      continue;
    }
    finished.push_back(std::move(drop));
    at = drops_.erase(at);
  }
  for (NodeControl::Token token : more) ask_next(token, now);
  for (Drop& drop : finished) {
    if (drop.failed.empty()) {
      drop.done(
          ActionReport{str(drop.files, drop.files == 1 ? " file dropped, " : " files dropped, ",
                           drop.bytes, " bytes freed"),
                       drop.files, std::move(drop.names)});
    } else {
      drop.done(
          Error{ErrorCode::kNotFound, first_failure(drop.failed, drop.files, "were dropped")});
    }
  }
}

void Demand::cancel(NodeControl::Token token) {
  gets_.erase(token);
  drops_.erase(token);
}

// ---- who keeps it
// -----------------------------------------------------------------------------------

void Demand::ask(std::vector<ContentId> hashes, Instant now,
                 std::function<void(const std::set<ContentId>& held)> done) {
  Question question;
  if (view_.hub) {
    question.asked.insert(view_.full_replicas.begin(), view_.full_replicas.end());
  } else if (view_.hub_session != 0) {
    question.asked.insert(view_.hub_session);
  }
  question.hashes = std::move(hashes);
  question.until = now + kAnswerPatience;
  question.done = std::move(done);
  const std::uint64_t token = next_question_++;
  for (SessionId session : question.asked) {
    outbox_.send(session, Holds{token, false, question.hashes});
  }
  questions_.emplace(token, std::move(question));
}

void Demand::finish_question(std::uint64_t token) {
  auto at = questions_.find(token);
  Question question = std::move(at->second);
  questions_.erase(at);
  question.done(question.held);
}

bool Demand::on_holds(SessionId session, const Holds& message, Instant now) {
  if (!message.answer) {
    answer(session, message, now);
    return true;
  }
  auto at = questions_.find(message.token);
  if (at == questions_.end() || at->second.asked.erase(session) == 0) return true;  // late
  const std::set<ContentId> asked(at->second.hashes.begin(), at->second.hashes.end());
  for (const ContentId& hash : message.hashes) {
    if (!asked.contains(hash)) return false;
    at->second.held.insert(hash);
  }
  return true;
}

void Demand::answer(SessionId session, const Holds& question, Instant now) {
  Holds reply{question.token, true, {}};
  const bool full = replica_.index().wants_all();
  if (full && (view_.hub || view_.in_sync)) {
    std::vector<NamedContent> contents;
    for (const ContentId& hash : question.hashes) contents.push_back({{}, hash});
    replica_.look_for(std::move(contents),
                      [this, session, question](const std::vector<bool>& found) {
                        Holds held{question.token, true, {}};
                        for (std::size_t i = 0; i < found.size(); ++i) {
                          if (found[i]) held.hashes.push_back(question.hashes[i]);
                        }
                        note_let_go(session, held.hashes);
                        outbox_.send(session, held);
                      });
    return;
  }
  // An on-demand hub keeps no promise itself; it knows who does.
  if (!full && view_.hub && questions_.size() < kMaxQuestions) {
    ask(question.hashes, now,
        [this, session, token = question.token](const std::set<ContentId>& held) {
          note_let_go(session, {held.begin(), held.end()});
          outbox_.send(session, Holds{token, true, {held.begin(), held.end()}});
        });
    return;
  }
  outbox_.send(session, reply);
}

void Demand::note_let_go(SessionId session, const std::vector<ContentId>& hashes) {
  if (let_go_.size() > kMaxLetGo) let_go_.clear();
  for (const ContentId& hash : hashes) let_go_.insert({session, hash});
}

void Demand::on_session_down(SessionId session, Instant) {
  std::erase_if(let_go_, [session](const auto& one) { return one.first == session; });
  for (auto& [token, question] : questions_) question.asked.erase(session);
}

void Demand::on_request(const std::string& name, const ContentId& content, Instant now) {
  if (!view_.hub || replica_.index().wants_all()) return;
  const PathRecord* record = replica_.index().find(name);
  bool missing = record && record->absent() && record->remote && record->remote->content == content;
  if (!missing || replica_.index().wants(*record)) return;
  auto [at, first] = missed_.try_emplace(content, now);
  if (first) {
    if (missed_.size() > kMaxMissed) {
      auto oldest =
          std::min_element(missed_.begin(), missed_.end(),
                           [](const auto& a, const auto& b) { return a.second < b.second; });
      missed_.erase(oldest);
    }
    return;
  }
  if (now - at->second < kMissedTwice) return;
  missed_.erase(at);
  log_.debug(str(printable(name), " is fetched for a member that asks this hub for it"));
  replica_.keep_for_group(name);
}

// ---- turns
// ------------------------------------------------------------------------------------------

void Demand::pump(Instant now) {
  std::vector<std::uint64_t> over;
  for (const auto& [token, question] : questions_) {
    if (question.asked.empty() || now >= question.until) over.push_back(token);
  }
  for (std::uint64_t token : over) finish_question(token);
  check_gets(now);
  check_drops(now);
}

Instant Demand::deadline() const {
  Instant next = gets_.empty() ? kNever : next_check_;
  for (const auto& [token, question] : questions_) {
    next = std::min(next, question.asked.empty() ? Instant{} : question.until);
  }
  for (const auto& [token, drop] : drops_) {
    if (!drop.asking && drop.removing == 0) next = Instant{};
  }
  return next;
}

}  // namespace lansync
