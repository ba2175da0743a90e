// What a person may ask of a node (NodeControl): answers from memory, and `wait`.
#include <algorithm>
#include <set>

#include "base/rel_path.h"
#include "roles/cheap_to_try.h"
#include "roles/node.h"
#include "sync/conflict_name.h"

namespace lansync {
namespace {

constexpr Duration kMarkerPatience = 2s;

constexpr const char* kNobodyHere = "no node that is here has it: start one that does";

// Files of the group that are wanted on this disk and are not on it.
std::uint64_t missing_files(const Index& index) {
  std::uint64_t files = 0;
  for (const auto& [path, record] : index.paths()) {
    const EntryPtr& theirs = record.remote;
    if (!theirs || !theirs->is_file() || !index.wants(record)) continue;
    if (record.known() && record.known()->version.covers(theirs->version) && !record.absent())
      continue;
    if (!record.live() || !same_content(*record.local, *theirs)) ++files;
  }
  return files;
}

// Of a hub that is alone: nothing is on its way to it. "": it has all.
std::string nowhere_text(std::uint64_t files) {
  if (files == 0) return {};
  return str(files, files == 1 ? " file is" : " files are",
             " on no node that is here: start one that has ", files == 1 ? "it" : "them");
}

std::string gone_text(const Unfinished::Row& row) {
  std::string text;
  if (row.done > 0 && row.entry->size > 0)
    text = str(static_cast<std::uint64_t>(100.0 * static_cast<double>(row.done) /
                                          static_cast<double>(row.entry->size)),
               " % of it is here and is kept: ");
  return str(text, printable(row.holder, 64), ", which held it, is gone: start it again");
}

// "" if there is no such file.
std::string not_held_text(const std::optional<MemberProgress::Told>& hub, const std::string& alone,
                          const std::string& name) {
  if (!hub || hub->obstacle != Obstacle::kCannot || hub->files == 0) return {};
  return str(alone, ": ", printable(name, 64), " cannot hold ", hub->files == 1 ? "it" : "them",
             " (`lansync why` here says which, there says why)");
}

PlanReport describe_operation(const Operation& operation, const PathRecord* record) {
  PlanReport report;
  report.path = operation.path;
  if (operation.entry) report.size = operation.entry->size;
  switch (operation.kind) {
    case OperationKind::kNone:
      report.action = "settle";
      report.why = operation.entry
                       ? "it was deleted here, and that goes out when it has rested (--settle)"
                       : "it was changed here, and goes out when it has rested (--settle)";
      break;
    case OperationKind::kPush: {
      bool gone = operation.entry->is_tombstone();
      report.action = gone ? "delete-there" : "push";
      report.why = gone ? "it was deleted here" : "this version is not on the hub";
      bool concurrent =
          record && record->local && record->remote &&
          record->local->version.compare(record->remote->version) == Order::kConcurrent;
      if (concurrent && !gone) {
        report.action = "conflict";
        report.why = "it was changed here and elsewhere: both are kept";
      }
      break;
    }
    case OperationKind::kFetch:
      report.action = "fetch";
      report.why = "the hub has a newer version";
      break;
    case OperationKind::kDelete:
      report.action = "delete";
      report.why = "it was deleted elsewhere; it goes to the trash";
      break;
    case OperationKind::kHold:
      report.action = "held";
      report.why = "away for over a year: confirm to push it";
      break;
    case OperationKind::kMakeDirectory:
    case OperationKind::kMakeSymlink:
      report.action = "make";
      report.why = "the hub has it";
      break;
    default:
      report.action = "metadata";
      report.why = "mode, mtime or version only";
  }
  return report;
}

// What a person changed here and this node may not, or cannot, read is on no hub.
bool unread_here(const Replica& replica) {
  return std::any_of(replica.problems().begin(), replica.problems().end(), [](const auto& one) {
    return one.second.starts_with("cannot open ") || one.second.starts_with("cannot read ");
  });
}

}  // namespace

std::vector<SessionId> Node::undo_peers() const {
  std::vector<SessionId> out;
  if (!hub_->acting()) {
    if (client_->hub() != 0) out.push_back(client_->hub());
    return out;
  }
  for (const auto& [id, peer] : sessions_) {
    if (hub_->is_member(id)) out.push_back(id);
  }
  return out;
}

NodeState Node::state_and_reason(const std::vector<HoldReport>& held, std::string& reason) const {
  if (!replica_->root_error().empty()) {
    reason = replica_->root_error();
    return NodeState::kError;
  }
  if (!outside_.empty()) {
    reason = outside_reason();
    return NodeState::kError;
  }
  if (disk_.stands()) {
    reason = disk_.text(config_.folder);
    return NodeState::kError;
  }
  if (!held.empty()) {
    reason = held_reason(held);
    return NodeState::kHeld;
  }
  if (replica_->paused()) {
    reason = "paused by a person: `lansync resume` goes on";
    return NodeState::kPaused;
  }
  // Said at once, whatever else is waited for: this is what a person can mend.
  if (cut_off()) {
    reason = network_.problem;
    return NodeState::kSeeking;
  }
  if (election_->seeking()) {
    // Sessions outlive their cable by some seconds.
    const bool cut_off = !network_.problem.empty() && (sessions_.empty() || !network_.lan);
    reason = cut_off                  ? network_.problem
             : roles_refused_.empty() ? election_->seek_reason(now_)
                                      : roles_refused_;
    if (std::string notice = version_notice(); !notice.empty()) reason += str("; ", notice);
    return NodeState::kSeeking;
  }
  if (std::string out = kept_out().text(); !out.empty()) {
    reason = network_.problem.empty() ? out : network_.problem;
    return NodeState::kSeeking;
  }
  if (!fetcher_->pause_reason().empty()) {
    reason = fetcher_->pause_reason();
    return NodeState::kSyncing;
  }
  if (!in_sync()) {
    if (!replica_->scanned()) {
      reason = "reading the folder";
      if (std::size_t left = replica_->unexamined(); left > 0)
        reason += str(": ", left, left == 1 ? " file" : " files", " to go");
    } else if (client_->following() && !client_->joined()) {
      reason = "comparing with the hub";
    } else if (!replica_->problems().empty()) {
      // What stands in the way for good holds up nothing but itself: what is waited for comes
      // first.
      const auto& problems = replica_->problems();
      auto first = std::find_if(problems.begin(), problems.end(), [&](const auto& one) {
        return !replica_->obstacles().stands(one.first);
      });
      if (first == problems.end()) first = problems.begin();
      reason = str(printable(first->first), ": ", first->second);
    } else if (!client_->refused().empty()) {
      const auto& [path, why] = *client_->refused().begin();
      reason = str(printable(path), ": the hub did not take it: ", printable(why));
    } else {
      reason = held_at_hub();
      if (reason.empty() && hub_->acting() && sessions_.empty())
        reason = nowhere_text(missing_files(replica_->index()));
      if (reason.empty()) reason = "changes are on their way";
      if (std::string other = carriage_->fallback_reason(); !other.empty())
        reason += str("; ", other);
    }
    return NodeState::kSyncing;
  }
  bool moves = false;
  const std::string behind = behind_reason(moves);
  if (moves) {
    reason = behind;
    return NodeState::kSyncing;
  }
  // What is here, and on a hub that cannot hold it, is not in sync with that hub.
  if (!hub_->acting()) {
    reason =
        not_held_text(people_.members.told(client_->hub()), only_here_text(), people_.hub_name);
    if (!reason.empty()) return NodeState::kSyncing;
  }
  // What somebody promised and took away with him is wanted here and is not here.
  if (reason = people_.unfinished.text(); !reason.empty()) return NodeState::kSyncing;
  if (hub_->acting() && sessions_.empty()) {
    reason = lonely_reason();
    if (const std::string alone = only_here_text(); !alone.empty())
      reason = reason.empty() ? alone : str(alone, "; ", reason);
  }
  if (reason.empty()) reason = held_elsewhere();
  if (reason.empty() && hub_->acting()) reason = people_.half_pushed.text();
  if (reason.empty()) reason = silent_text();
  if (std::string notice = version_notice(); !notice.empty()) {
    reason = notice;
  } else if (std::string twin = same_host_notice(); !twin.empty()) {
    reason = twin;
  } else if (!behind.empty()) {
    reason = behind;
  } else if (reason.empty() && !replica_->problems().empty()) {
    const auto& [path, problem] = *replica_->problems().begin();
    reason = str(replica_->problems().size(), " not synced, the first: ", printable(path), ": ",
                 printable(problem));
  } else if (unwatched_ > 0) {
    reason =
        "some directories are not watched, changes there are found by rescans only: `sysctl "
        "fs.inotify.max_user_watches=524288` mends it";
  } else if (reason.empty()) {
    reason = hub_->folded().text(replica_->index(), replica_->observed_ns());
    if (reason.empty()) reason = carriage_->fallback_reason();
  }
  return NodeState::kInSync;
}

StatusReport Node::status() {
  StatusReport report;
  report.id = node_;
  report.name = name_of(node_);
  report.version = config_.program_version;
  report.group = config_.group;
  report.open = config_.open;
  report.role = election_->role();
  report.why_role = election_->why_role();
  if (auto hub = election_->hub()) report.hub = HubReport{*hub, name_of(*hub)};
  report.term = election_->term();
  report.held = holds();
  report.state = state_and_reason(report.held, report.reason);
  report.folder = config_.folder;
  const Index::Totals& totals = replica_->index().totals();
  report.files = totals.files;
  report.directories = totals.directories;
  report.bytes = totals.bytes;
  report.on_demand = config_.on_demand;
  const Replica::Absent absent = replica_->absent();
  report.absent_files = absent.files;
  report.absent_bytes = absent.bytes;
  Replica::Pending pending = replica_->pending();
  report.pending_files = pending.files;
  report.pending_bytes = pending.bytes;
  report.held_deletes = replica_->held_deletes();
  report.conflicts = conflicts().size();
  report.only_here = only_here();
  report.offers = uploads_->offers();
  report.peers = peers();
  add_transfers(report);
  add_progress(report);
  const TransportCounters& transport = transport_->counters();
  const Carriage::Counters& carried = carriage_->counters();
  report.counters.bytes_sent = transport.bytes_sent + carried.bytes_sent;
  report.counters.bytes_received = transport.bytes_received + carried.bytes_received;
  report.counters.auth_failures = transport.auth_failures;
  report.counters.rejected = transport.rejected + discovery_->counters().rejected;
  report.counters.payload_sent = payload_sent_;
  report.counters.payload_received = fetcher_->counters().payload_received;
  report.counters.chunks_sent = chunks_sent_;
  report.counters.chunks_received = fetcher_->counters().chunks_received;
  report.counters.chunks_resent =
      fetcher_->counters().chunks_resent + carried.chunks_resent + chunks_resent_;
  report.counters.beacons_sent = discovery_->counters().sent;
  report.counters.beacons_received = discovery_->counters().received;
  return report;
}

std::vector<ConflictReport> Node::conflicts() {
  std::vector<ConflictReport> out;
  for (const auto& [path, record] : replica_->index().paths()) {
    if (!record.live()) continue;
    if (auto told = parse_conflict_name(path))
      out.push_back({path, told->of, told->host, told->edited});
  }
  return out;
}

NodeControl::Token Node::trash(std::optional<WallTime> since,
                               Callback<std::vector<TrashReport>> done) {
  undo_->list(since, std::move(done));
  return 0;
}

std::vector<PlanReport> Node::plan() {
  std::vector<PlanReport> out;
  const std::string held_there = held_at_hub();
  for (const Operation& operation : replica_->preview()) {
    if (operation.kind == OperationKind::kAgree) continue;
    PlanReport report = describe_operation(operation, replica_->index().find(operation.path));
    if (!held_there.empty() && operation.kind == OperationKind::kPush &&
        operation.entry->is_tombstone())
      report.why = held_there;
    if (operation.kind == OperationKind::kFetch && hub_->acting())
      report.why = sessions_.empty() ? kNobodyHere : "another node has a newer version";
    if (operation.kind == OperationKind::kFetch && replica_->room_held()) {
      report.action = "held";
      report.why = replica_->room().reason();
    }
    if (replica_->waits_for_word(operation.path)) {
      report.action = "held";
      report.why = "one of many deletes: confirm or reject";
    }
    out.push_back(std::move(report));
  }
  // What a hub had begun to hand out when it went is in nobody's plan, and wanted all the same.
  std::set<std::string> planned;
  for (const PlanReport& one : out) planned.insert(one.path);
  for (const auto& [path, row] : people_.unfinished.rows())
    if (!planned.contains(path)) out.push_back({"fetch", path, gone_text(row), row.entry->size});
  return out;
}

Result<ActionReport> Node::pause() {
  replica_->pause(true);
  replica_->index().set_meta("paused", "1");
  update_self(now_);
  return ActionReport{"paused; `lansync resume` goes on", 0, {}};
}

Result<ActionReport> Node::resume() {
  replica_->pause(false);
  replica_->index().set_meta("paused", "");
  update_self(now_);
  return ActionReport{"going on", 0, {}};
}

Result<ActionReport> Node::rescan() {
  replica_->rescan(now_);
  replica_->retry_now();
  return ActionReport{"the folder is being read", 0, {}};
}

Result<ActionReport> Node::stop() {
  const std::uint64_t files = only_here();
  const std::string alone = only_here_text();
  parts_.host.stop();
  return ActionReport{alone.empty() ? "stopping" : "stopping: " + alone, files, {}};
}

NodeControl::Token Node::trash_restore(const TrashRestore& what,
                                       Callback<std::vector<TrashReport>> done) {
  if (replica_->paused()) {
    done(Error{ErrorCode::kRefused, "this node is paused: `lansync resume` first"});
  } else {
    undo_->restore(what, std::move(done));
  }
  return 0;
}

// ---- wait
// -------------------------------------------------------------------------------------------

NodeControl::Token Node::wait(const WaitAsk& what, Callback<StatusReport> done) {
  Wait wait;
  wait.token = next_token_++;
  wait.what = what;
  wait.marker = str("marker-", to_hex(boot_).substr(0, 8), '-', wait.token);
  wait.fallback_at = now_ + kMarkerPatience;
  wait.done = std::move(done);
  if (!parts_.host.place_marker(wait.marker)) wait.fallback_at = now_;
  // Somebody who has mended what kept a file from this disk is not told that all is well before it
  // was tried again. What has to be fetched for that, and is large, waits for its time.
  if (waits_.empty() && cheap_to_try(*replica_)) replica_->retry_now();
  waits_.push_back(std::move(wait));
  return waits_.back().token;
}

NodeControl::Token Node::get(const std::vector<std::string>& names, Callback<ActionReport> done) {
  const Token token = next_token_++;
  demand_->get(token, names, now_, std::move(done));
  return token;
}

NodeControl::Token Node::drop(const std::vector<std::string>& names, Callback<ActionReport> done) {
  const Token token = next_token_++;
  demand_->drop(token, names, now_, std::move(done));
  return token;
}

void Node::cancel(Token token) {
  examinations_.erase(token);
  demand_->cancel(token);
  downloads_->cancel(token);
  questions_->cancel(token);
  holds_->cancel(token);
  uploads_->cancel(token);
  std::erase_if(waits_, [&](const Wait& wait) { return wait.token == token; });
}

void Node::on_marker(const std::string& name) {
  for (Wait& wait : waits_) {
    if (wait.marker == name) wait.noticed = true;
  }
  holds_->on_marker(name);
}

void Node::check_waits(Instant now) {
  std::vector<Wait> finished;
  for (Wait& wait : waits_) {
    if (!wait.noticed && now >= wait.fallback_at) {
      // No word from the watcher: a scan sees what it would have told.
      if (!wait.scanning) replica_->rescan(now);
      wait.noticed = wait.scanning && replica_->local_quiet();
      wait.scanning = true;
      wait.fallback_at = now + 100ms;
    }
    if (!wait.noticed || known_nodes() < wait.what.peers || !in_sync() ||
        !people_.unfinished.rows().empty())
      continue;
    // What waits for a person's word is not on the hub, or not done here.
    if (replica_->held_deletes() != 0 || unread_here(*replica_)) continue;
    if (cut_off() || !kept_out().what.empty()) continue;
    if (hub_->acting()) {
      if (!wait.seq || wait.term != election_->term()) {
        wait.seq = hub_->seq();
        wait.term = election_->term();
      }
      if (!members_have(*wait.seq, wait.what.all, 0).value_or(true)) continue;
    } else {
      // Everything that the hub had said before this moment has to be here too.
      if (wait.marked_with != client_->hub()) {
        wait.marked = false;
        wait.marked_with = client_->hub();
        wait.mark = next_mark_++;
        // Before the hub's answer: nobody is told that this node is in sync while the hub says that
        // it is behind.
        tell_synced_at_ = now;
        tell_synced(now);
        outbox_->send(client_->hub(), Mark{wait.mark, false, wait.what.all});
      }
      if (!wait.marked) continue;
    }
    finished.push_back(wait);
  }
  for (Wait& wait : finished) {
    cancel(wait.token);
    wait.done(status());
  }
}

}  // namespace lansync
