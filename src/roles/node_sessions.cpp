// The node's part that talks: what comes on sessions goes to whom it is for, what they say goes
// out.
#include <algorithm>

#include "base/assert.h"
#include "roles/cheap_to_try.h"
#include "roles/gone_member.h"
#include "roles/node.h"

namespace lansync {
namespace {

constexpr Duration kPingInterval = 500ms;
constexpr Duration kSyncedInterval = 50ms;
constexpr int kRenewJitterPercent = 2;
constexpr Duration kRenewQuiet = 2s;
// Of answers that wait for a session to take them. More than a page of anything; the listing that a
// join is answered with may be longer, but then there is one of it.
constexpr std::uint64_t kMaxAnswersWaiting = 32 * 1024 * 1024;

// What is answered at once, with much more than it takes to ask.
bool asks_for_much(const Message& message) {
  if (const auto* holds = std::get_if<Holds>(&message)) return !holds->answer;
  return std::holds_alternative<IndexGet>(message) || std::holds_alternative<Where>(message) ||
         std::holds_alternative<TrashGet>(message) || std::holds_alternative<RestoreTrash>(message);
}

// A size belongs to a content: an entry that names one that stands here with another is made up.
// (It would be taken for here, and a size that nobody has keeps others from their first sync.) The
// disk has to say so too: a row of our own that is damaged must not make an honest hub a liar.
bool is_made_up(const Index& index, const std::string& name, const EntryPtr& entry) {
  if (!entry || !entry->is_file()) return false;
  const std::optional<std::string> at = index.find_content(entry->content, name);
  if (!at) return false;
  const PathRecord& record = *index.find(*at);
  return record.local->size == record.stat.size && record.local->size != entry->size;
}

bool has_made_up_entry(const Index& index, const Message& message) {
  auto any = [&](const auto& items) {
    return std::any_of(items.begin(), items.end(),
                       [&](const auto& item) { return is_made_up(index, item.name, item.entry); });
  };
  if (const auto* push = std::get_if<Push>(&message)) return any(push->items);
  if (const auto* update = std::get_if<Update>(&message)) return any(update->entries);
  if (const auto* verdict = std::get_if<Verdict>(&message)) return any(verdict->items);
  const auto* done = std::get_if<Done>(&message);
  return done != nullptr && any(done->published);
}

}  // namespace

// ---- up and down
// ------------------------------------------------------------------------------------

void Node::on_session_up(const SessionInfo& session) {
  if (stopping_) {
    // Somebody dialled while we were saying goodbye: waiting for it would make the exit slow.
    transport_->close(session.id);
    return;
  }
  if (!run_durable_ || !outside_.empty()) {
    transport_->close(session.id);
    return;
  }
  NodeId expected = session.node;
  if (auto at = dials_.find(session.address); at != dials_.end()) {
    if (!at->second.is_zero()) expected = at->second;
    dials_.erase(at);
  }
  if (is_own_key(session)) return;
  const bool met = met_keys_.met(session.node);
  if (!guard_->admits(session.node, session.address.ip, {}, met, now_)) {
    // Whoever was dialled is not who its beacon said it is: the election tries the next.
    if (session.outgoing)
      election_->on_dial_failed(expected, session.address, DialFailure::kBusy, now_);
    transport_->close(session.id);
    return;
  }
  if (!vies(session)) admit(session);
}

void Node::admit(const SessionInfo& session) {
  Peer peer;
  peer.info = session;
  // Spread, so that a hub of a thousand does not shake hands with all of them in one second.
  if (session.outgoing)
    peer.renew_at = now_ + parts_.random.jitter(config_.session_life, kRenewJitterPercent);
  peer.since = now_;
  sessions_[session.id] = std::move(peer);
  if (content_dials_.erase(session.address) > 0 && session.outgoing)
    content_sessions_.insert(session.id);
  people_.refusals.forget(session.address);
  discovery_->session_up(session.node, session.boot);
  ask_session_up(session);
  if (session.outgoing) send_hello(session.id, false);
}

void Node::on_session_down(SessionId id, CloseReason reason) {
  clones_.on_down(id);
  auto at = sessions_.find(id);
  if (at == sessions_.end()) {
    outbox_->forget(id);  // told to be a clone, perhaps
    return;
  }
  note_contact(id, at->second);
  // Before its source, and what it had, are forgotten: the election hears of its end later.
  if (client_->hub() == id) note_hub_gone();
  note_pusher_gone(id, at->second);
  Peer peer = std::move(at->second);
  // What it had is still there when its node is off; what it could not hold is not known any more.
  const bool keeps = peer.hello && peer.hello->full_replica;
  if (const auto had = peer.synced_at; keeps && had && people_.members.has(id, *had)) {
    // Under its own name too, for those who have to know whether another has it.
    if (people_.members.complete(id, *had))
      people_.members.on_ping(as_gone(peer.info.node), Ping{*had + 1}, true);
    people_.members.on_ping(id, Ping{*had + 1}, true);
  }
  sessions_.erase(at);
  if (sessions_.empty()) alone_since_ = now_;
  outbox_->forget(id);
  ends_.erase(id);
  provider_->on_source_down(id);
  fetcher_->remove_source(id);
  carriage_->session_down(id);
  hub_->on_member_down(id);
  people_.members.on_down(id);
  demand_->on_session_down(id, now_);
  undo_->on_session_down(id);
  decisions_->on_session_down(id);
  if (client_->hub() == id) client_->leave();
  if (peer.hello) {
    RosterRow row{peer.info.node, peer.info.boot, peer.hello->name, peer.info.address,
                  peer.hello->role};
    // A hub that is silent is given up before its session's time limit.
    const bool no_word =
        reason == CloseReason::kTimeout || (reason == CloseReason::kLocal && hub_lost_);
    lost_[peer.info.node] = {row, now_, no_word};
    if (reason == CloseReason::kTimeout && hub_->acting()) discovery_->search_lost(now_);
  }
  ask_session_down(id, peer.info.node, reason);
  if (session_of(peer.info.node) == 0) {
    discovery_->session_down(peer.info.node);
    election_->on_session_down(peer.info.node, now_);
  }
  update_sources();
}

void Node::on_dial_failed(const Address& address, DialFailure failure, int peer_version) {
  if (ask_dial_failed(address, failure)) return;
  NodeId node;
  if (auto at = content_dials_.find(address); at != content_dials_.end()) {
    finder_.on_dial_failed(at->second, now_);
    content_dials_.erase(at);
    // It says nothing about who can be hub: a holder's port may be shut to all but the hub.
    if (!dials_.contains(address)) return;
  }
  if (auto at = dials_.find(address); at != dials_.end()) {
    node = at->second;
    dials_.erase(at);
  }
  if (failure == DialFailure::kWrongPassword || failure == DialFailure::kProtocol ||
      failure == DialFailure::kIdentity) {
    on_refused(address, failure, peer_version);
  }
  // A renewal that failed: the session that it was for goes on, and it is tried again later.
  bool renewal = std::any_of(sessions_.begin(), sessions_.end(),
                             [&](const auto& item) { return item.second.info.address == address; });
  if (!renewal) election_->on_dial_failed(node, address, failure, now_);
}

void Node::on_refused(const Address& address, DialFailure failure, int peer_version) {
  const bool news = people_.refusals.note(address, failure, peer_version, now_);
  for (const auto& [node, neighbour] : discovery_->neighbours()) {
    if (neighbour.address == address)
      people_.refusals.note_beacon(address, neighbour.beacon.name, neighbour.beacon.boot, false,
                                   neighbour.last_heard);
  }
  const Refusals::Row& row = *people_.refusals.find(address);
  const std::string name = row.name.empty() ? std::string() : str(printable(row.name, 64), " at ");
  if (news) parts_.log.warn(str("turned away ", name, to_string(address), ": ", row.why));
}

SessionId Node::session_of(const NodeId& node) const {
  for (const auto& [id, peer] : sessions_) {
    if (peer.info.node == node) return id;
  }
  return 0;
}

// ---- hello
// ------------------------------------------------------------------------------------------

Hello Node::make_hello(bool answer) const {
  Hello hello;
  hello.answer = answer;
  hello.name = config_.name;
  hello.program = config_.program_version;
  hello.role = election_->role();
  hello.manual = config_.manual;
  hello.full_replica = !config_.on_demand;
  hello.has_data = last_rank_.has_data;
  hello.disk_log2 = config_.disk_log2;
  hello.term = election_->highest_term();
  hello.seq = last_rank_.seq;
  hello.sync_term = last_rank_.term;
  hello.members = election_->members();
  hello.port = config_.port;
  hello.hub = election_->hub().value_or(NodeId{});
  hello.hub_term = election_->term();
  hello.hub_live = election_->hub_live(now_);
  hello.in_sync = last_in_sync_;
  hello.full = election_->full();
  hello.unanswered = election_->unanswered();
  if (is_hub(election_->role())) hello.beacon_key = beacon_key_;
  return hello;
}

void Node::send_hello(SessionId id, bool answer) {
  Hello hello = make_hello(answer);
  if (!std::exchange(sessions_.at(id).greeted, true)) hello.runs = replica_->runs();
  outbox_->send_urgent(id, hello);
}

void Node::send_to_all(const Message& message) {
  for (const auto& [id, peer] : sessions_) {
    if (peer.hello) outbox_->send_urgent(id, message);
  }
}

PeerFacts Node::facts_of(const Peer& peer) const {
  const Hello& hello = *peer.hello;
  PeerFacts facts;
  facts.rank = {hello.manual, hello.full_replica, hello.has_data, hello.sync_term,
                hello.seq,    hello.disk_log2,    peer.info.node};
  facts.boot = peer.info.boot;
  facts.name = hello.name;
  facts.address = peer.info.address;
  facts.role = hello.role;
  facts.hub = hello.hub;
  facts.hub_term = hello.hub_term;
  facts.hub_live = hello.hub_live;
  facts.term = hello.term;
  facts.members = hello.members;
  facts.in_sync = hello.in_sync;
  facts.full = hello.full;
  facts.unanswered = hello.unanswered;
  return facts;
}

void Node::on_hello(SessionId id, Peer& peer, const Hello& hello) {
  bool first = !peer.hello;
  if (first && !states_its_past(id, peer, hello)) return;
  peer.hello = hello;
  if (first) {
    meet(peer);
    fetcher_->add_source(id);
    carriage_->session_up(peer.info, transport_->session_keys(id), hello.name);
    find_due_ = find_due_ || content_sessions_.contains(id);
    questions_->on_session_up(id, peer.info.node, now_);
    uploads_->on_session_up(id, peer.info.node, now_);
  }
  if (!peer.greeted) send_hello(id, true);
  if (first) {
    decisions_->on_session_up(id);
    mender_->wake(now_);
  }
  if (hello.beacon_key && client_->hub() == id) use_beacon_key(*hello.beacon_key, true);
  election_->on_facts(facts_of(peer), now_);
  for (const auto& [channel, packet] : peer.early.take()) {
    // One that breaks the rules ends the session.
    if (auto at = sessions_.find(id); at != sessions_.end())
      dispatch(id, at->second, channel, packet);
  }
}

// ---- packets
// ----------------------------------------------------------------------------------------

void Node::on_packet(SessionId id, Channel channel, ByteView bytes) {
  auto at = sessions_.find(id);
  if (at == sessions_.end()) {
    if (clones_.keep(id, channel, bytes)) return;
    // It cannot know that it waits: when this machine slept, a node that is back for long has said
    // all that to it. It comes again.
    clones_.on_down(id);
    transport_->close(id);
    return;
  }
  if (channel == Channel::kContent && is_chunk(bytes)) {
    auto chunk = decode_chunk(bytes);
    at->second.content_at = now_;
    if (!chunk || !fetcher_->on_chunk(id, chunk->transfer, chunk->number, chunk->bytes)) {
      ++rejected_;
      transport_->violation(id, "a chunk that was not asked for");
    }
    return;
  }
  dispatch(id, at->second, channel, bytes);
}

void Node::dispatch(SessionId id, Peer& peer, Channel channel, ByteView bytes) {
  std::string why;
  std::optional<Message> message = decode_message(bytes, &why);
  if (!message) {
    ++rejected_;
    transport_->violation(id, why);
    return;
  }
  if (const auto* hello = std::get_if<Hello>(&*message)) {
    on_hello(id, peer, *hello);
    return;
  }
  if (const auto* clone = std::get_if<Clone>(&*message)) {
    // Anybody in the group can say it, and cannot prove it. The hub that this node follows, or who
    // answers it while it has no company yet, may keep it out for that; from others it costs a new
    // key an hour, and no company.
    const bool alone = client_->hub() == 0 && !hub_->acting();
    if (!alone && client_->hub() != id && !key_limit_.allows(now_)) return;
    need_new_key(clone->live
                     ? "another machine is at work with this node's key (a cloned disk)"
                     : "the group knows a later run of this node than its index (a restored "
                       "backup, or a copy of this folder went on)",
                 now_);
    return;
  }
  // Who does not say who it is gets no answers. What follows hello on another channel waits for it.
  if (peer.hello ? on_member_message(id, peer, *message) : peer.early.keep(channel, bytes)) return;
  ++rejected_;
  transport_->violation(id, str("a message out of place: ", message_type(*message)));
}

bool Node::on_member_message(SessionId id, Peer& peer, const Message& message) {
  const NodeId& node = peer.info.node;
  // It asks on and does not read what it is told: the memory is ours.
  if (asks_for_much(message) && outbox_->waiting_bytes(id) > kMaxAnswersWaiting) return false;
  if (has_made_up_entry(replica_->index(), message)) return false;
  if (const auto* ping = std::get_if<Ping>(&message)) {
    if (ping->seq > 0) peer.synced_at = ping->seq - 1;
    if (hub_->acting()) people_.members.on_ping(id, *ping, peer.hello->full_replica);
    if (id == client_->hub()) people_.members.on_ping(id, *ping, false);
    return true;
  }
  if (const auto* claim = std::get_if<Claim>(&message)) {
    election_->on_claim(node, claim->term, claim->members, now_);
    return true;
  }
  if (const auto* bye = std::get_if<Bye>(&message)) {
    election_->on_bye(node, bye->successor, now_);
    return true;
  }
  if (const auto* roster = std::get_if<Roster>(&message)) {
    std::vector<RosterEntry> rows;
    std::map<NodeId, RosterRow> known;
    for (const RosterRow& row : roster->rows) {
      rows.push_back({row.node, row.boot, row.name, row.address});
      if (row.node != node_) known[row.node] = row;
    }
    if (election_->hub() == node) {
      for (const auto& [member, row] : known) {
        if (roster_.contains(member)) continue;
        fetcher_->retry_failed();
        break;
      }
      roster_ = std::move(known);
    }
    election_->on_roster(node, roster->term, roster->number, rows, now_);
    return true;
  }
  if (const auto* heard = std::get_if<HubHeard>(&message)) {
    election_->on_hub_hint(heard->node, heard->address, now_);
    return true;
  }
  if (const auto* carrier = std::get_if<Carrier>(&message)) {
    carriage_->on_message(id, *carrier, now_);
    poll_carriers();
    return true;
  }
  if (const auto* request = std::get_if<Request>(&message)) return on_request(id, *request);
  if (const auto* where = std::get_if<Where>(&message)) {
    on_where(id, *where);
    return true;
  }
  if (const auto* holders = std::get_if<Holders>(&message)) {
    on_holders(id, *holders);
    return true;
  }
  if (const auto* download = std::get_if<Download>(&message)) return on_download(id, *download);
  if (const auto* holds = std::get_if<Holds>(&message)) {
    return demand_->on_holds(id, *holds, now_);
  }
  if (const auto* hole = std::get_if<Hole>(&message)) {
    return fetcher_->on_hole(id, hole->transfer, {hole->begin, hole->end});
  }
  if (const auto* done = std::get_if<Done>(&message)) return on_done(id, *done);
  if (const auto* get = std::get_if<TrashGet>(&message)) {
    undo_->on_get(id, *get);
    return true;
  }
  if (const auto* rows = std::get_if<TrashRows>(&message)) {
    undo_->on_rows(id, *rows);
    return true;
  }
  if (const auto* restore = std::get_if<RestoreTrash>(&message)) {
    undo_->on_restore(id, *restore);
    return true;
  }
  if (const auto* known = std::get_if<RunsKnown>(&message)) {
    decisions_->on_known(id, *known);
    return true;
  }
  if (const auto* word = std::get_if<RunWord>(&message)) return decisions_->on_word(id, *word);
  return on_question(id, message) || on_hub_message(id, message);
}

// Between a hub and its member. A message that crossed with a change of hub is late, not hostile.
bool Node::on_hub_message(SessionId id, const Message& message) {
  const NodeId& node = sessions_.at(id).info.node;
  if (const auto* get = std::get_if<IndexGet>(&message)) {
    if (!hub_->acting()) return true;
    on_away(get->away);
    const Hub::Joiner joiner{node, sessions_.at(id).hello->full_replica, away_of(node),
                             unsynced_of(node)};
    hub_->on_index_get(id, joiner, *get);
    update_sources();
    return true;
  }
  if (const auto* push = std::get_if<Push>(&message)) {
    if (hub_->acting() && hub_->is_member(id)) hub_->on_push(id, *push, key_limit_.allows(now_));
    return true;
  }
  if (const auto* mark = std::get_if<Mark>(&message)) {
    if (!mark->answer) {
      hub_->pump();
      if (mark->all || cannot_hold() > 0) {
        // Somebody waits for it, and what kept it away may be mended.
        if (people_.marks.empty() && cheap_to_try(*replica_)) replica_->retry_now();
        if (people_.marks.size() >= PeopleView::kMaxMarks) return true;
        people_.marks.push_back({id, mark->token, hub_->seq(), election_->term(),
                                 now_ + PeopleView::kMarkLife, now_ + PeopleView::kTellEach / 4,
                                 mark->all});
        answer_marks(now_);
        return true;
      }
      outbox_->send(id, Mark{mark->token, true, false});
      return true;
    }
    if (client_->hub() == id) on_mark_answer(*mark);
    return true;
  }
  if (client_->hub() != id) return true;
  if (const auto* update = std::get_if<Update>(&message)) {
    if (has_unknown_count(*update)) {
      count_doubt_ = true;
      // Nothing is compared with it before our own edits have their new name.
      if (key_limit_.allows(now_)) return true;
    }
    note_published(id, *update);
    if (update->snapshot && update->last) judge_absence(*update);
    return client_->on_update(*update, now_);
  }
  if (const auto* coming = std::get_if<Coming>(&message)) {
    on_coming(id, *coming);
    return true;
  }
  if (const auto* verdict = std::get_if<Verdict>(&message)) {
    client_->on_verdict(*verdict, now_);
    return true;
  }
  return false;
}

// ---- keeping company
// --------------------------------------------------------------------------------

void Node::ping(Instant now) {
  if (now < next_ping_) return;
  next_ping_ = now + kPingInterval;
  sample_progress(now);
  look_for_stuck();
  renew_sessions(now);
  find_sources();
  if (hub_->acting()) forget_askers();
  tell_who_holds(now);
  for (const auto& [id, peer] : sessions_) {
    if (!peer.greeted) continue;
    outbox_->send_urgent(id, make_ping(id));
  }
}

// Whoever waited for this node to be in sync may ask the hub at once who has what: the next ping
// would tell it up to half a second too late.
void Node::tell_synced(Instant now) {
  if (!synced_untold() || now < tell_synced_at_) return;
  tell_synced_at_ = now + kSyncedInterval;
  auto hub = sessions_.find(client_->hub());
  if (hub == sessions_.end() || !hub->second.greeted) return;
  synced_told_ = synced_at_;
  outbox_->send_urgent(hub->first, make_ping(hub->first));
}

// A quiet moment is better: what is on its way begins anew.
void Node::renew_sessions(Instant now) {
  for (auto& [id, peer] : sessions_) {
    if (now < peer.renew_at) continue;
    bool busy = transport_->queued(id) > 0 || now - peer.content_at < kRenewQuiet;
    if (busy && now - peer.renew_at < config_.session_life / 24) continue;
    peer.renew_at += config_.session_life / 24;
    transport_->renew(id);
  }
}

void Node::send_roster() {
  if (!hub_->acting()) return;
  std::vector<NodeId> succession = election_->succession();
  std::size_t members = 0;
  for (const auto& [id, peer] : sessions_) members += peer.hello ? 1 : 0;
  if (succession == sent_succession_ && members == sent_roster_rows_) return;
  sent_succession_ = succession;
  sent_roster_rows_ = members;
  Roster roster;
  roster.term = election_->term();
  roster.number = ++roster_number_;
  std::set<NodeId> listed;
  auto add = [&](const NodeId& node) {
    SessionId id = session_of(node);
    if (id == 0 || !sessions_.at(id).hello || roster.rows.size() >= kMaxRoster) return;
    if (!listed.insert(node).second) return;
    const Peer& peer = sessions_.at(id);
    roster.rows.push_back(
        {node, peer.info.boot, peer.hello->name, peer.info.address, peer.hello->role});
  };
  for (const NodeId& node : succession) add(node);
  // Those that can never be hub stand at the end: for `peers`, not for the succession.
  for (const auto& [id, peer] : sessions_) add(peer.info.node);
  send_to_all(roster);
}

}  // namespace lansync
