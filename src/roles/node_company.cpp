// The node's part that knows how far the others are, and how far it is itself: for people, and for
// `wait`.
#include <algorithm>

#include "roles/gone_member.h"
#include "roles/node.h"

namespace lansync {
namespace {

void take(const Progress::Report& progress, StatusReport& report) {
  report.total_files = progress.files;
  report.total_bytes = progress.bytes;
  report.files_per_second = progress.files_per_second;
  report.bytes_per_second = progress.bytes_per_second;
  report.seconds_left = progress.seconds_left;
}

constexpr Duration kSampleInterval = 500ms;
// What is left is counted over the whole index: of a million paths each ten seconds.
constexpr Duration kSampleCost = 10us;

std::string counted_files(std::uint64_t files) {
  return str(files, files == 1 ? " file" : " files");
}

// Strangers that are kept out keep nothing of the group's from this node.
bool holds_content(const std::vector<HoldReport>& held) {
  return std::any_of(held.begin(), held.end(),
                     [](const HoldReport& hold) { return hold.kind != HoldKind::kNetwork; });
}

std::string size_text(std::uint64_t bytes) {
  if (bytes < 1000) return str(bytes, " B");
  static constexpr const char* kUnits[] = {"kB", "MB", "GB", "TB", "PB", "EB"};
  std::size_t unit = 0;
  std::uint64_t value = bytes / 1000;
  while (value >= 1000 && unit + 1 < std::size(kUnits)) {
    value /= 1000;
    ++unit;
  }
  return str(value, ' ', kUnits[unit]);
}

// A node that is paused pushes nothing, and still knows what would go.
std::uint64_t changed_in_pause(const Replica& replica) {
  std::uint64_t files = 0;
  for (const Operation& operation : replica.preview()) {
    const PathRecord* record = replica.index().find(operation.path);
    if (operation.kind == OperationKind::kNone) {
      files += !operation.entry && (!record || !record->live() || record->local->is_file());
    } else if (operation.kind == OperationKind::kPush && operation.entry->is_file()) {
      const EntryPtr theirs = !record ? nullptr : record->remote ? record->remote : record->synced;
      files += !theirs || !same_content(*theirs, *operation.entry);
    }
  }
  return files;
}

// What a hub told this node that it cannot hold, and that this node has alone.
std::uint64_t not_held_by(const std::optional<MemberProgress::Told>& hub) {
  return hub && hub->obstacle == Obstacle::kCannot ? hub->files : 0;
}

// Files and links of the group that are wanted here and cannot stand on this disk as it has them.
// `tried_too`: also those that are tried again at this moment, as they are now and then for as long
// as they do not stand. Between two tries the copy is lacking as well.
std::uint64_t lacking_files(const Replica& replica, bool synced, bool tried_too) {
  std::uint64_t files = 0;
  for (const auto& [path, reason] : replica.problems()) {
    const PathRecord* record = replica.index().find(path);
    if (!record || !record->remote || record->remote->is_tombstone()) continue;
    // What is tried again soon, or waits for room, is counted among what is on its way.
    const bool known = tried_too && record->agreed_elsewhere();
    if (!synced && !known && !replica.obstacles().stands(path)) continue;
    if (record->live() && same_content(*record->local, *record->remote)) continue;
    // What nobody asked for (--on-demand) is not lacking. What is above --max-file-size is: no copy
    // of it stands here, whoever said so.
    if (!replica.index().wants(*record)) continue;
    ++files;
  }
  return files;
}

// Files of the group that this hub published and cannot hold, and that no other full replica than
// its author is known to have. `holder` is a session of that author's. `elsewhere(seq)`: another
// one has all that was published up to there; `has(seq)`: `holder` has.
template <typename Elsewhere, typename Has>
std::uint64_t held_there_alone(const Replica& replica, const Hub& hub, SessionId holder,
                               ShortId author, const Elsewhere& elsewhere, const Has& has) {
  std::uint64_t files = 0;
  // Who has all up to a sequence has all up to the ones before it: few are asked for.
  std::optional<std::uint64_t> known_elsewhere;
  std::optional<std::uint64_t> known_nowhere;
  for (const auto& [path, reason] : replica.problems()) {
    const PathRecord* record = replica.index().find(path);
    if (!record || !record->agreed_elsewhere() || !record->synced->is_file()) continue;
    if (record->live() && same_content(*record->local, *record->synced)) continue;
    // Who has it from its author is no only holder, though that one is off, and was before this
    // reign began.
    if (record->synced->author != author || !replica.index().wants(*record)) continue;
    const std::uint64_t seq = hub.published_at(path);
    if (hub.published_by(path) != holder && !has(seq)) continue;
    if (known_elsewhere && seq <= *known_elsewhere) continue;
    if (!known_nowhere || seq < *known_nowhere) {
      if (elsewhere(seq)) {
        known_elsewhere = seq;
        continue;
      }
      known_nowhere = seq;
    }
    ++files;
  }
  return files;
}

}  // namespace

// ---- what this node has still to do
// ----------------------------------------------------------------------

Ping Node::make_ping(SessionId to) const {
  Ping ping;
  if (hub_->acting()) {
    // Deletes of that member's that wait here for a person: it says so there, where they were made.
    const auto peer = sessions_.find(to);
    if (peer == sessions_.end() || !peer->second.hello) return ping;
    for (const Replica::HeldDeletes& held : replica_->held_runs())
      if (held.author == peer->second.hello->name) ping.files += held.run.number;
    if (ping.files > 0) {
      ping.obstacle = Obstacle::kHeld;
      return ping;
    }
    // What stands on that member's disk alone, as this one cannot hold it: it is there that a
    // person would think it is on two.
    const bool full = peer->second.hello->full_replica;
    ping.files = held_there_alone(
        *replica_, *hub_, to, short_id(peer->second.info.node),
        [&](std::uint64_t seq) {
          if (members_have(seq, false, to).value_or(false)) return true;
          return std::any_of(lost_.begin(), lost_.end(), [&](const auto& gone) {
            return gone.first != peer->second.info.node &&
                   people_.members.has(as_gone(gone.first), seq);
          });
        },
        [&](std::uint64_t seq) { return full && people_.members.complete(to, seq); });
    if (ping.files > 0) ping.obstacle = Obstacle::kCannot;
    return ping;
  }
  const bool to_hub = to == client_->hub();
  // Of the hub alone is it known what its sequence means.
  if (!to_hub || !client_->joined()) return ping;
  if (synced_at_) ping.seq = *synced_at_ + 1;
  ping.heard = std::min(client_->seq(), kMaxSeq);
  if (!in_sync()) {
    // What it has to send itself is not what it lacks.
    PeerBehind own = behind_of(client_->hub());
    own.files -= not_held_by(people_.members.told(client_->hub()));
    const std::uint64_t noticed = replica_->unexamined();
    ping.files = people_.left.files - std::min(people_.left.files, own.files + noticed);
    if (ping.files > 0) ping.bytes = people_.left.bytes - std::min(people_.left.bytes, own.bytes);
  }
  const std::uint64_t cannot = cannot_hold();
  ping.files = std::max(ping.files + lacking_files(*replica_, in_sync(), false), cannot);
  if (!replica_->root_error().empty()) {
    ping.obstacle = Obstacle::kError;
  } else if (replica_->paused()) {
    ping.obstacle = Obstacle::kPaused;
  } else if (const std::vector<HoldReport> held = holds_->list(*guard_, now_);
             holds_content(held)) {
    ping.obstacle = Obstacle::kHeld;
    for (const HoldReport& hold : held)
      if (hold.kind == HoldKind::kDeletes) ping.files = std::max(ping.files, hold.number);
  } else if (!fetcher_->pause_reason().empty() || replica_->short_of_room(now_)) {
    ping.obstacle = Obstacle::kNoRoom;
  } else if (cannot > 0) {
    // Whatever else is on its way (`bytes` tells): of these no copy stands here.
    ping.obstacle = Obstacle::kCannot;
  }
  return ping;
}

std::uint64_t Node::cannot_hold() const { return lacking_files(*replica_, in_sync(), true); }

// "" if the hub waits for nobody's word on what was deleted here.
std::string Node::held_at_hub() const {
  if (hub_->acting() || client_->hub() == 0) return {};
  const auto told = people_.members.told(client_->hub());
  if (!told || told->obstacle != Obstacle::kHeld || told->files == 0) return {};
  return str(
      told->files, told->files == 1 ? " delete that was" : " deletes that were", " made here ",
      told->files == 1 ? "is" : "are", " held on ", printable(people_.hub_name, 64),
      " until a person there decides: `lansync confirm deletes` there lets them go, `lansync "
      "reject` there brings the files back");
}

// Whoever made what another member holds has no session with that one: the hub says it.
void Node::tell_who_holds(Instant now) {
  if (!hub_->acting() || now < people_.tell_holders_at) return;
  people_.tell_holders_at = now + PeopleView::kTellEach;
  std::size_t told_of = 0;
  for (const auto& [holder, peer] : sessions_) {
    const auto told = people_.members.told(holder);
    if (!peer.hello || silent(holder) || !told || told->obstacle != Obstacle::kHeld) continue;
    if (++told_of > PeopleView::kMaxElsewhere) return;
    for (const auto& [id, other] : sessions_) {
      if (id == holder || !other.greeted || !hub_->is_member(id)) continue;
      outbox_->send(id,
                    Mark{0, true, true, peer.info.node, told->files, told->bytes, told->obstacle});
    }
  }
}

std::string Node::held_elsewhere() const {
  for (const auto& [node, told] : people_.elsewhere) {
    if (now_ - told.at > PeopleView::kElsewhereLife || told.obstacle != Obstacle::kHeld) continue;
    return str(printable(name_of(node), 64),
               told.files > 0 ? str(" is behind by ", counted_files(told.files)) : std::string(),
               ": ", to_words(told.obstacle));
  }
  return {};
}

// Until he is back only he has it, and the group's version is another, or none.
void Node::note_pusher_gone(SessionId id, const Peer& peer) {
  if (!hub_->acting() || !peer.hello) return;
  std::map<std::string, std::uint64_t> done;
  for (const TransferProgress& transfer : fetcher_->progress())
    if (transfer.incoming) done[transfer.name] += transfer.done;
  for (const auto& [path, entry] : hub_->promised_by(id)) {
    if (entry->size == 0) continue;
    people_.half_pushed.on_pusher_gone(path, entry, done[path], peer.hello->name, now_);
    parts_.log.warn(
        str(printable(peer.hello->name, 64), " left before all of ", printable(path), " was here"));
  }
}

void Node::sample_progress(Instant now) {
  if (now < people_.next_sample) return;
  people_.next_sample =
      now + std::max<Duration>(kSampleInterval, kSampleCost * replica_->index().paths().size());
  people_.unfinished.settle(replica_->index(), now);
  people_.half_pushed.settle(replica_->index(), now);
  people_.reading.sample(replica_->scanned() ? 0 : replica_->unexamined(), 0, now);
  people_.left = in_sync() ? Replica::Pending{} : replica_->pending();
  std::uint64_t done = 0;
  for (const TransferProgress& transfer : fetcher_->progress()) done += transfer.done;
  people_.left.bytes -= std::min(people_.left.bytes, done);
  Replica::Pending left = people_.left;
  if (left.files == 0 && hub_->acting()) {
    for (const auto& [id, peer] : sessions_) {
      const PeerBehind behind = behind_of(id);
      if (behind.files > left.files) left = {behind.files, behind.bytes};
    }
  }
  people_.progress.sample(left.files, left.bytes, now);
}

// One row for a file and a peer, however many ranges of it are on their way.
void Node::add_transfers(StatusReport& report) {
  const std::map<NodeId, std::string> names = shown_names(named_peers());
  std::map<Bars::Key, TransferReport> rows;
  std::vector<Bars::Key> order;
  auto add = [&](const std::vector<TransferProgress>& transfers) {
    for (const TransferProgress& transfer : transfers) {
      TransferReport line;
      line.name = transfer.name;
      line.sending = !transfer.incoming;
      auto at = sessions_.find(transfer.peer);
      if (at != sessions_.end() && at->second.hello) {
        auto named = names.find(at->second.info.node);
        line.peer = named == names.end() ? at->second.hello->name : named->second;
      }
      line.carrier = via_name(transfer.via);
      line.size = transfer.size;
      const Bars::Key key{line.sending, line.sending ? line.peer : "", line.name, line.size};
      auto [row, fresh] = rows.try_emplace(key, std::move(line));
      if (fresh) order.push_back(key);
      row->second.done += transfer.done;
      row->second.rate += static_cast<std::uint64_t>(transfer.rate);
    }
  };
  add(fetcher_->progress());
  add(provider_->progress());
  for (const Bars::Key& key : order) {
    TransferReport& row = rows.at(key);
    row.done = people_.bars.shown(key, std::min(row.done, row.size), now_);
    report.transfers.push_back(std::move(row));
  }
}

void Node::add_progress(StatusReport& report) const {
  // What the others have is not known before that: what is read is all that can be counted.
  if (report.state == NodeState::kSyncing && !replica_->scanned()) {
    report.left_files = replica_->unexamined();
    take(people_.reading.report(report.left_files, 0), report);
    return;
  }
  std::uint64_t done = 0;
  for (const TransferReport& transfer : report.transfers)
    if (!transfer.sending) done += transfer.done;
  report.left_files = report.pending_files;
  report.left_bytes = report.pending_bytes - std::min(report.pending_bytes, done);
  if (report.left_files == 0) {
    for (const PeerReport& peer : report.peers) {
      if (peer.behind.files <= report.left_files) continue;
      report.left_files = peer.behind.files;
      report.left_bytes = peer.behind.bytes;
    }
  }
  if (report.state != NodeState::kSyncing) return;  // what is held or paused gets no nearer
  take(people_.progress.report(report.left_files, report.left_bytes), report);
}

// ---- the others
// ------------------------------------------------------------------------------------------

PeerBehind Node::behind_of(SessionId id) const {
  PeerBehind behind;
  if (!hub_->acting()) {
    if (id == 0 || id != client_->hub()) return behind;
    for (const std::string& path : replica_->to_push()) {
      const PathRecord* record = replica_->index().find(path);
      if (!record || !record->local) continue;
      ++behind.files;
      behind.bytes += record->local->size;
    }
    const auto told = people_.members.told(id);
    const std::uint64_t not_there = not_held_by(told);
    if (not_there > 0 && behind.files == 0) behind.why = to_words(told->obstacle);
    behind.files += not_there;
    return behind;
  }
  auto told = people_.members.told(id);
  // What `wait` goes by: the two are never at odds.
  if (!told || people_.members.complete(id, hub_->seq())) {
    if (told && told->obstacle == Obstacle::kPaused) behind.why = to_words(told->obstacle);
    return behind;
  }
  behind.files = told->files;
  behind.bytes = told->bytes;
  // It cannot hold some of it, and the rest is on its way.
  const bool moves = told->obstacle == Obstacle::kCannot && told->bytes > 0;
  if (!moves) behind.why = to_words(told->obstacle);
  if (told->heard < hub_->seq() && !people_.members.has(id, hub_->seq())) {
    const Hub::Amount since = hub_->published_since(told->heard, id);
    behind.files += since.files;
    behind.bytes += since.bytes;
  }
  return behind;
}

// A hub's own folder may be in sync while another machine still fetches: then that is what goes on.
// `moves`: nothing that a person would have to end keeps the first of those named.
std::string Node::behind_reason(bool& moves) const {
  moves = false;
  std::string text;
  std::size_t others = 0;
  if (!hub_->acting()) return text;
  for (const auto& [id, peer] : sessions_) {
    if (!peer.hello || silent(id)) continue;
    const PeerBehind behind = behind_of(id);
    auto told = people_.members.told(id);
    if (behind.files == 0 && !(told && lacks_something(told->obstacle))) continue;
    if (!text.empty()) {
      ++others;
      moves = moves || behind.why.empty();
      continue;
    }
    moves = behind.why.empty();
    text = printable(name_of(peer.info.node), 64);
    if (behind.files > 0)
      text += str(" is behind by ", counted_files(behind.files),
                  behind.bytes > 0 ? str(" (", size_text(behind.bytes), ')') : std::string());
    if (!behind.why.empty()) text += ": " + behind.why;
  }
  if (others > 0) text += str("; and ", others, others == 1 ? " other node" : " other nodes");
  return text;
}

// Whether one full replica besides this hub (all: every connected node) has what it published up to
// `seq`. nullopt: none is connected.
std::optional<bool> Node::members_have(std::uint64_t seq, bool all, SessionId but) const {
  std::optional<bool> answer;
  for (const auto& [id, peer] : sessions_) {
    // One whose cable is out is connected to nobody, whatever the session's time limit says.
    if (!peer.hello || id == but || silent(id) || (!all && !peer.hello->full_replica)) continue;
    const bool has = people_.members.complete(id, seq);
    answer = all ? answer.value_or(true) && has : answer.value_or(false) || has;
  }
  return answer;
}

// Members whose `wait --all` waits for the others.
void Node::answer_marks(Instant now) {
  if (people_.marks.empty()) return;
  const bool holds_all = cannot_hold() == 0;
  std::erase_if(people_.marks, [&](PeopleView::AllMark& mark) {
    if (!hub_->acting() || mark.term != election_->term() || now >= mark.until) return true;
    if (!sessions_.contains(mark.session)) return true;
    // What this disk cannot hold has to stand on another full replica. A plain `wait` is among the
    // marks for that alone, and is told of nobody.
    const bool stands = holds_all || members_have(mark.seq, false, mark.session).value_or(false);
    if (!stands || (mark.all && !members_have(mark.seq, true, mark.session).value_or(true))) {
      if (mark.all) tell_who_is_behind(mark, now);
      return false;
    }
    outbox_->send(mark.session, Mark{mark.token, true, mark.all});
    return true;
  });
}

// So that `wait --all` on a member can say whom it waits for.
void Node::tell_who_is_behind(PeopleView::AllMark& mark, Instant now) {
  if (now < mark.tell_at) return;
  mark.tell_at = now + PeopleView::kTellEach;
  std::size_t told = 0;
  for (const auto& [id, peer] : sessions_) {
    if (!peer.hello || id == mark.session || silent(id)) continue;
    if (people_.members.complete(id, mark.seq)) continue;
    if (++told > PeopleView::kMaxElsewhere) return;
    const PeerBehind behind = behind_of(id);
    const auto last = people_.members.told(id);
    outbox_->send(mark.session, Mark{mark.token, true, true, peer.info.node, behind.files,
                                     behind.bytes, last ? last->obstacle : Obstacle::kNone});
  }
}

void Node::on_mark_answer(const Mark& mark) {
  if (!mark.behind.is_zero()) {
    std::erase_if(people_.elsewhere, [&](const auto& item) {
      return now_ - item.second.at > PeopleView::kElsewhereLife;
    });
    if (people_.elsewhere.size() < PeopleView::kMaxElsewhere)
      people_.elsewhere[mark.behind] = {mark.files, mark.bytes, mark.obstacle, now_};
    return;
  }
  for (Wait& wait : waits_) {
    if (wait.mark == mark.token) wait.marked = true;
  }
}

// ---- what is here alone, and what is not here
// -------------------------------------------------------------

void Node::note_hub_gone() {
  if (!client_->following() && people_.hub_name.empty()) return;
  std::map<std::string, std::uint64_t> done;
  for (const TransferProgress& transfer : fetcher_->progress()) done[transfer.name] = transfer.done;
  people_.unfinished.on_hub_gone(replica_->index(), done, config_.max_file_size, people_.hub_name,
                                 now_);
  people_.hub_name.clear();
}

// Files of this disk that no other node is known to have. On a hub those of this reign; before it
// they were on the hub of that time, if there was one.
std::uint64_t Node::only_here() const {
  std::uint64_t files = replica_->unexamined();
  if (replica_->paused()) files = std::max(files, changed_in_pause(*replica_));
  if (!hub_->acting()) {
    for (const std::string& path : replica_->to_push()) {
      const PathRecord* record = replica_->index().find(path);
      if (!record || !record->live() || !record->local->is_file()) continue;
      const EntryPtr& theirs = record->remote ? record->remote : record->synced;
      if (!theirs || !same_content(*theirs, *record->local)) ++files;
    }
    return files + not_held_by(people_.members.told(client_->hub()));
  }
  if (!contacts_.shared_ago(replica_->observed_ns())) return replica_->index().totals().files;
  std::uint64_t own = hub_->own_since(people_.members.best());
  // One that cannot hold some of it has the rest.
  for (const auto& [id, peer] : sessions_) {
    const auto told = people_.members.told(id);
    if (!told || told->obstacle != Obstacle::kCannot || !peer.hello || !peer.hello->full_replica)
      continue;
    if (!peer.synced_at || !people_.members.has(id, *peer.synced_at)) continue;
    own = std::min(own, hub_->own_since(*peer.synced_at) + told->files);
  }
  // Alone since it was started: what it made before that, alone too, is in no count of this reign.
  if (people_.members.best() != 0 || !sessions_.empty()) return files + own;
  return files + std::max(own, replica_->files_not_shared());
}

std::string Node::only_here_text() const {
  const std::uint64_t files = only_here();
  if (files == 0) return {};
  return str(counted_files(files), files == 1 ? " is" : " are", " on no other machine yet");
}

}  // namespace lansync
