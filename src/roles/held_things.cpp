#include "roles/held_things.h"

#include <algorithm>
#include <utility>

#include "base/rel_path.h"

namespace lansync {
namespace {

// Whoever let a run go may not have its number any more, and it is all that `reject` needs.
std::string let_go_text(const RunDecisions& decisions) {
  constexpr std::size_t kNamed = 3;
  std::vector<RunRecord> runs = decisions.let_go();
  if (runs.size() > kNamed) runs.resize(kNamed);
  std::string out;
  for (const RunRecord& run : runs) {
    out +=
        str(out.empty() ? "; let go were, the last first: " : ", ", "run ", run_text(run.run), " (",
            run.number, run.number == 1 ? " delete, " : " deletes, ", to_iso8601(run.time), ")");
  }
  if (!out.empty()) out += ": `lansync reject RUN` brings back what is in a trash, for a day";
  return out;
}

constexpr Duration kLook = 100ms;
constexpr std::size_t kLeastRunText = 4;

std::string deletes_text(std::uint64_t number) {
  return str(number, number == 1 ? " delete" : " deletes");
}

}  // namespace

std::string run_text(RunId run) {
  ByteWriter out;
  out.u64(run);
  return to_hex(out.bytes()).substr(0, 8);
}

HeldThings::HeldThings(Replica& replica, RunDecisions& decisions, const Clock& clock)
    : replica_(replica), decisions_(decisions), clock_(clock) {}

// ---- what is held
// -----------------------------------------------------------------------------------

std::vector<HoldReport> HeldThings::list(const NetworkGuard& network, Instant now) const {
  std::vector<HoldReport> out;
  if (network.held(now)) {
    HoldReport report;
    report.kind = HoldKind::kNetwork;
    report.number = 1;
    report.says = network.reason(now);
    out.push_back(std::move(report));
  }
  for (const Replica::HeldDeletes& held : replica_.held_runs()) {
    HoldReport report;
    report.kind = HoldKind::kDeletes;
    report.run = run_text(held.run.run);
    report.number = held.run.number;
    report.names = held.run.names;
    report.author = held.author;
    report.since = held.run.since;
    report.says = str(deletes_text(held.run.number), " by ",
                      held.author.empty() ? std::string("somebody") : printable(held.author, 64));
    out.push_back(std::move(report));
  }
  if (replica_.room_held()) {
    HoldReport report;
    report.kind = HoldKind::kRoom;
    report.number = 1;
    report.says = replica_.room().reason();
    out.push_back(std::move(report));
  }
  if (const std::set<std::string>& held = replica_.held_absent(); !held.empty()) {
    constexpr std::size_t kNames = 3;
    HoldReport report;
    report.kind = HoldKind::kAbsence;
    report.number = held.size();
    for (const std::string& name : held) {
      if (report.names.size() < kNames) report.names.push_back(name);
    }
    report.says = str(held.size(),
                      " files may have been deleted elsewhere while this node was away for over a "
                      "year: `lansync confirm absence` brings them back everywhere; delete here "
                      "those that are to go");
    out.push_back(std::move(report));
  }
  return out;
}

void HeldThings::note_shown() {
  shown_.clear();
  for (const Replica::HeldDeletes& held : replica_.held_runs())
    shown_[held.run.run] = held.run.mark;
}

Result<std::set<RunId>> HeldThings::find_runs(const std::string& text) const {
  std::set<RunId> held;
  for (const Replica::HeldDeletes& one : replica_.held_runs()) held.insert(one.run.run);
  if (text.empty()) return held;
  // Those that have gone out may be undone for a day.
  std::set<RunId> known = held;
  // Counted in time that was seen to pass: the calendar of who deleted may show any year.
  const std::int64_t since = replica_.observed_ns() - kRememberedNs;
  for (const auto& [path, record] : replica_.index().paths()) {
    // One of our own on its way is known, too: no more held here, and perhaps by the hub.
    if (record.local && record.local->is_tombstone() && record.local->run != 0 && record.remote &&
        !record.remote->is_tombstone())
      known.insert(record.local->run);
    const EntryPtr& entry = record.remote ? record.remote : record.local;
    if (!entry || !entry->is_tombstone() || entry->run == 0) continue;
    const bool carried_out = record.local && record.local->is_tombstone();
    if (!carried_out || record.since_ns >= since) known.insert(entry->run);
  }
  std::set<RunId> out;
  for (RunId run : known) {
    ByteWriter bytes;
    bytes.u64(run);
    if (text.size() >= kLeastRunText && to_hex(bytes.bytes()).starts_with(text)) out.insert(run);
  }
  if (out.size() == 1) return out;
  for (RunId run : decisions_.rejected()) {
    ByteWriter bytes;
    bytes.u64(run);
    if (out.empty() && text.size() >= kLeastRunText && to_hex(bytes.bytes()).starts_with(text))
      return Error{ErrorCode::kNotFound, str("run ", run_text(run),
                                             " was rejected before: its files are back, or come "
                                             "when a node that has them does")};
  }
  return Error{ErrorCode::kNotFound,
               out.empty() ? str("no run of deletes is called ", printable(text, 32),
                                 " here, or it ended more than 24 hours ago: `lansync status` "
                                 "lists those that are held")
                           : str("more than one run begins with ", printable(text, 32),
                                 ": give more of it")};
}

// ---- confirm
// ----------------------------------------------------------------------------------------

void HeldThings::confirm_deletes(Token token, const std::string& text,
                                 Callback<ActionReport> done) {
  if (!replica_.scanned()) {
    early_[token] = {
        {}, {}, [this, token, text, done](Instant) { confirm_deletes(token, text, done); }};
    return;
  }
  auto runs = find_runs(text);
  if (!runs) return done(runs.error());
  Confirm confirm;
  for (Replica::HeldDeletes& held : replica_.held_runs()) {
    if (!runs->contains(held.run.run)) continue;
    for (const std::string& path : replica_.paths_of_run(held.run.run))
      if (replica_.waits_for_word(path)) confirm.names.push_back(path);
    const std::uint64_t all = held.run.number;
    if (auto shown = shown_.find(held.run.run); shown != shown_.end())
      held.run.mark = std::min(held.run.mark, shown->second);
    const std::uint64_t number = replica_.confirm_deletes(held);
    confirm.number += number;
    confirm.later += all > number ? all - number : 0;
    confirm.runs.insert(held.run.run);
    confirm.label +=
        str(confirm.label.empty() ? "" : "`, `lansync reject ", run_text(held.run.run));
  }
  if (confirm.runs.empty()) return done(Error{ErrorCode::kNotFound, "no deletes are held"});
  confirm.done = std::move(done);
  confirms_.emplace(token, std::move(confirm));
}

Result<ActionReport> HeldThings::confirm_room() {
  if (!replica_.room_held()) return Error{ErrorCode::kNotFound, "no first sync is held"};
  replica_.confirm_room();
  return ActionReport{"the first sync begins, and takes what fits", 1, {}};
}

Result<ActionReport> HeldThings::confirm_absence() {
  if (replica_.held_absent().empty())
    return Error{ErrorCode::kNotFound, "no files of a long absence are held"};
  const std::vector<std::string> names(replica_.held_absent().begin(),
                                       replica_.held_absent().end());
  const std::uint64_t number = replica_.confirm_long_away();
  return ActionReport{str(number, " files go out"), number, names};
}

// ---- reject
// -----------------------------------------------------------------------------------------

bool HeldThings::lives(const std::string& path) const {
  const PathRecord* record = replica_.index().find(path);
  if (!record) return false;
  if (record->live()) return true;
  // Its content need not be here.
  return !record->local && record->remote && !record->remote->is_tombstone() &&
         !replica_.index().wants(*record);
}

void HeldThings::reject(Token token, const std::string& text, const std::string& marker,
                        Instant now, Callback<RejectReport> done) {
  // A node that was killed in the middle of it knows a part of the run until it has looked.
  if (replica_.scanned() && marker.empty()) return reject_now(token, text, now, std::move(done));
  early_[token] = {marker, now + kMarkerPatience, [this, token, text, done](Instant later) {
                     reject_now(token, text, later, done);
                   }};
}

void HeldThings::on_marker(const std::string& marker) {
  for (auto& [token, early] : early_) {
    if (early.marker == marker) early.marker.clear();
  }
}

void HeldThings::reject_now(Token token, const std::string& text, Instant now,
                            Callback<RejectReport> done) {
  auto runs = find_runs(text);
  if (!runs) return done(runs.error());
  if (runs->empty()) {
    std::string let_go = let_go_text(decisions_);
    if (let_go.empty())
      let_go = "; what sync deleted comes back with `lansync trash --restore NAME`";
    return done(Error{ErrorCode::kNotFound, "no deletes are held" + let_go});
  }
  Reject reject;
  for (RunId run : *runs) {
    std::set<std::string> paths = replica_.paths_of_run(run);
    for (const std::string& path : replica_.returned(run)) {
      if (!paths.contains(path) && lives(path))
        reject.report.rows.push_back({path, RejectOutcome::kLeft});
    }
    decisions_.reject(run, paths.size());
    reject.report.runs.push_back(run_text(run));
    reject.waiting.merge(paths);
  }
  reject.until = now + kPatience;
  reject.done = std::move(done);
  rejects_.emplace(token, std::move(reject));
}

void HeldThings::finish(Reject reject) const {
  RejectReport& report = reject.report;
  for (const std::string& path : reject.waiting)
    report.rows.push_back({path, RejectOutcome::kMissing});
  std::sort(report.rows.begin(), report.rows.end(),
            [](const RejectRow& a, const RejectRow& b) { return a.name < b.name; });
  reject.done(std::move(report));
}

void HeldThings::cancel(Token token) {
  early_.erase(token);
  confirms_.erase(token);
  rejects_.erase(token);
}

// ---- turns
// ------------------------------------------------------------------------------------------

void HeldThings::tick(Instant now) {
  std::vector<std::function<void(Instant)>> due;
  for (auto at = early_.begin(); at != early_.end();) {
    const Early& early = at->second;
    if (!replica_.scanned() || (!early.marker.empty() && now < early.until)) {
      ++at;
      continue;
    }
    due.push_back(early.ask);
    at = early_.erase(at);
  }
  for (const auto& ask : due) ask(now);
  for (const Replica::Confirmed& confirmed : replica_.take_confirmed()) {
    decisions_.confirm(confirmed);
    for (auto& [token, confirm] : confirms_) confirm.runs.erase(confirmed.run);
  }
  for (auto at = confirms_.begin(); at != confirms_.end();) {
    Confirm& confirm = at->second;
    std::erase_if(confirm.runs, [&](RunId run) { return !replica_.confirming(run); });
    if (!confirm.runs.empty()) {
      ++at;
      continue;
    }
    std::string message =
        deletes_text(confirm.number) + (confirm.number == 1 ? " goes out" : " go out");
    message += str(": `lansync reject ", confirm.label, "` brings the files back, within 24 hours");
    if (confirm.later > 0)
      message += str("; ", deletes_text(confirm.later),
                     " that came after you looked stay held: `lansync status` shows them");
    // What came after somebody looked is still held.
    std::erase_if(confirm.names,
                  [&](const std::string& path) { return replica_.waits_for_word(path); });
    ActionReport report{std::move(message), confirm.number, std::move(confirm.names)};
    // A word that a crash would take back was not given.
    replica_.commit_then([done = std::move(confirm.done), report] { done(report); });
    at = confirms_.erase(at);
  }
  std::vector<Reject> ended;
  for (auto at = rejects_.begin(); at != rejects_.end();) {
    Reject& reject = at->second;
    const std::size_t before = reject.waiting.size();
    std::erase_if(reject.waiting, [&](const std::string& path) {
      if (!lives(path)) return false;
      reject.report.rows.push_back({path, RejectOutcome::kBack});
      return true;
    });
    if (reject.waiting.size() < before) reject.until = now + kPatience;
    if (!reject.waiting.empty() && now < reject.until) {
      ++at;
      continue;
    }
    ended.push_back(std::move(reject));
    at = rejects_.erase(at);
  }
  for (Reject& reject : ended) finish(std::move(reject));
}

Instant HeldThings::deadline() const {
  Instant next = rejects_.empty() ? kNever : clock_.now() + kLook;
  for (const auto& [token, early] : early_) {
    if (!early.marker.empty()) next = std::min(next, early.until);
  }
  return next;
}

}  // namespace lansync
