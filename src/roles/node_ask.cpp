// The node's part that asks others for a person and answers what they ask: who is asked, sessions
// that are opened for it, types of content, the history.
#include <algorithm>

#include "base/rel_path.h"
#include "roles/node.h"

namespace lansync {
namespace {

// A session that was opened for a question stays a while: commands come in rows.
constexpr Duration kKeptForQuestions = 5s;
constexpr std::size_t kTypesAtOnce = 32;
// In a larger folder types are found out when somebody asks: 100,000 files kept a core busy for a
// minute after the first sync, and the index was written meanwhile.
constexpr std::uint64_t kTypesAtIdle = 5000;
constexpr std::size_t kTypesWritten = 1024;
// Paths looked at in a turn for content whose type is not known yet.
constexpr std::size_t kTypesLookedAt = 2048;

}  // namespace

void Node::start_asking() {
  types_ = std::make_unique<ContentTypes>(parts_.files, parts_.executor, parts_.types);
  if (parts_.types != nullptr) {
    if (auto kept = parts_.store.load_types()) types_->load(*kept);
  }
  journal_ = std::make_unique<Journal>(parts_.store, parts_.executor, parts_.clock, parts_.log);
  queries_ = std::make_unique<Queries>(*this, *replica_, parts_.files, parts_.executor, *types_);
  uploads_ = std::make_unique<Uploads>(*this, *replica_, parts_.executor, parts_.clock, parts_.log,
                                       config_.uploads);
  questions_ = std::make_unique<Questions>(*this, *replica_, parts_.files, parts_.executor);
}

// ---- whom to ask
// --------------------------------------------------------------------------------------

// CONTRACT: the hub; on the hub, the only other node, else an error that lists the names.
Result<NodeId> Node::pick_peer(const std::string& name) const {
  if (!name.empty()) {
    Result<NodeId> found = find_named(named_peers(), name, node_);
    // Ourselves too: reading one's own files anew is a question like any other.
    return found;
  }
  if (!hub_->acting()) {
    if (client_->hub() == 0) {
      return Error{ErrorCode::kIo, "this node has no hub at the moment: `lansync status` says why"};
    }
    return NodeId(sessions_.at(client_->hub()).info.node);
  }
  std::vector<NodeId> others;
  for (const auto& [id, peer] : sessions_) {
    // One that died without a word is no answer to "who is here".
    if (peer.hello && !silent(id)) others.push_back(peer.info.node);
  }
  std::sort(others.begin(), others.end());
  others.erase(std::unique(others.begin(), others.end()), others.end());
  if (others.size() == 1) return NodeId(others.front());
  if (others.empty()) {
    return Error{ErrorCode::kIo, "this node is the hub, and no other node is here to be asked"};
  }
  std::set<std::string> sorted;
  for (const NodeId& other : others) sorted.insert(printable(name_of(other), 64));
  std::string names;
  std::size_t listed = 0;
  for (const std::string& one : sorted) {
    if (listed == 10) break;
    names += str(listed++ == 0 ? "" : ", ", one);
  }
  if (sorted.size() > listed) names += str(" and ", sorted.size() - listed, " more");
  return Error{ErrorCode::kRefused,
               str("this node is the hub: say whom to ask with --peer NAME; here are: ", names)};
}

NodeControl::Token Node::index(const IndexAsk& what, Rows<FileReport> rows, Callback<AskEnd> done) {
  Result<NodeId> node = pick_peer(what.peer);
  if (!node) {
    done(node.error());
    return 0;
  }
  Token token = next_token_++;
  questions_->index(token, *node, what, std::move(rows), std::move(done), now_);
  return token;
}

NodeControl::Token Node::hash(const HashAsk& what, Rows<HashReport> rows, Callback<AskEnd> done) {
  Result<NodeId> node = pick_peer(what.peer);
  if (!node) {
    done(node.error());
    return 0;
  }
  Token token = next_token_++;
  questions_->hash(token, *node, what, std::move(rows), std::move(done), now_);
  return token;
}

NodeControl::Token Node::search(const SearchAsk& what, Rows<RecordReport> rows,
                                Callback<AskEnd> done) {
  Result<NodeId> node = hub_->acting() ? Result<NodeId>(NodeId(node_)) : pick_peer("");
  if (!node) {
    done(node.error());
    return 0;
  }
  Token token = next_token_++;
  questions_->search(token, *node, what, std::move(rows), std::move(done), now_);
  return token;
}

NodeControl::Token Node::history(std::optional<WallTime> since,
                                 Callback<std::vector<HistoryReport>> done) {
  journal_->list(since, std::move(done));
  return 0;
}

// ---- upload
// ------------------------------------------------------------------------------------------------

NodeControl::Token Node::upload(const UploadAsk& what, Callback<UploadReport> done) {
  std::string name(last_part(what.file));
  Result<NodeId> node = find_peer(what.to);
  Status fine = validate_relpath(name);
  if (!node || !fine) {
    done(node ? fine.error() : node.error());
    return 0;
  }
  Token token = next_token_++;
  uploads_->offer(
      token, *node, name,
      [&host = parts_.host, file = what.file] { return host.open_outside(file); }, std::move(done),
      now_);
  return token;
}

std::optional<LocatedContent> Node::locate(const ContentId& content, const std::string& hint) {
  // What was allowed may be read, wherever it is; the folder's own copy is the better source.
  if (auto here = replica_->locate(content, hint)) return here;
  return uploads_->locate(content);
}

std::optional<NodeId> Node::node_of(SessionId session) const {
  auto at = sessions_.find(session);
  return at == sessions_.end() ? std::nullopt : std::optional<NodeId>(at->second.info.node);
}

std::string Node::carrier_to(SessionId session) const {
  for (const TransferProgress& transfer : provider_->progress()) {
    if (transfer.peer == session) return via_name(transfer.via);
  }
  return {};
}

void Node::journal(bool incoming, const NodeId& node, const std::string& command,
                   const std::string& arguments, const std::string& result) {
  journal_->add(incoming, name_of(node), command, arguments, result);
}

// ---- QuestionHost
// -------------------------------------------------------------------------------------

SessionId Node::usable_session(const NodeId& node) const {
  if (node == node_) return kSelfSession;
  for (const auto& [id, peer] : sessions_) {
    // One that died without a word is found out by the transport later than a person waits.
    if (peer.info.node == node && peer.hello && !silent(id)) return id;
  }
  return 0;
}

// Two members talk to each other themselves: the hub hands out addresses, not answers.
Status Node::reach(const NodeId& node) {
  std::string name = printable(name_of(node), 64);
  if (SessionId session = session_of(node); session != 0) {
    if (!silent(session)) return {};  // its hello is on the way
    if (session == client_->hub() || hub_->is_member(session))
      return Error{ErrorCode::kIo, str(name, " is not heard at the moment")};
    // Dead, but it may be back as another process: dialled anew when this end is closed.
    ask_again_.insert(node);
    transport_->close(session);
    return {};
  }
  Address address;
  if (auto at = roster_.find(node); at != roster_.end()) {
    address = at->second.address;
  } else if (const Neighbour* neighbour = discovery_->find(node)) {
    address = neighbour->address;
  } else {
    return Error{ErrorCode::kIo, str(name,
                                     " is not here at the moment: `lansync peers` "
                                     "shows who is")};
  }
  ask_dials_[address] = node;
  transport_->dial(address);
  return {};
}

bool Node::silent(SessionId session) const {
  return now_ - transport_->last_heard(session) >= Questions::kSilence;
}

void Node::ask(SessionId session, const Message& message) {
  if (session == kSelfSession) {
    to_self_.push_back(message);
  } else {
    outbox_->send(session, message);
  }
}

Instant Node::last_heard(SessionId session) const {
  return session == kSelfSession ? now_ : transport_->last_heard(session);
}

Address Node::address_of(SessionId session) const {
  auto at = sessions_.find(session);
  if (at != sessions_.end()) return at->second.info.address;
  return {guard_->own_address(), config_.port};
}

void Node::lied(SessionId session, const std::string& what) {
  if (session == kSelfSession || !sessions_.contains(session)) return;
  ++rejected_;
  transport_->violation(session, what);
}

void Node::asked(const NodeId& node, const std::string& command, const std::string& arguments,
                 const std::string& result) {
  journal_->add(false, name_of(node), command, arguments, result);
}

// ---- QueryHost
// ----------------------------------------------------------------------------------------

void Node::answer(SessionId session, const Message& message) { ask(session, message); }

void Node::answered(SessionId session, const std::string& command, const std::string& arguments,
                    const std::string& result) {
  // What this node asked itself stands there already.
  if (session == kSelfSession) return;
  auto at = sessions_.find(session);
  if (at != sessions_.end()) asked_by_[session] = name_of(at->second.info.node);
  journal_->add(true, asked_by_[session], command, arguments, result);
}

// A member holds what it has told: a full replica everything that was published before it was last
// in sync with us, and whoever pushed it.
std::vector<HolderInfo> Node::holders_of(const std::string& path, const PathRecord& record) const {
  std::vector<HolderInfo> holders;
  if (record.live() && same_content(*record.local, *record.remote))
    holders.push_back({node_, {}, config_.name});
  const std::uint64_t published = hub_->published_at(path);
  const SessionId pusher = hub_->published_by(path);
  for (const auto& [id, peer] : sessions_) {
    if (!peer.hello || !hub_->is_member(id)) continue;
    if (now_ - transport_->last_heard(id) > Questions::kSilence) continue;
    bool synced = peer.hello->full_replica && peer.synced_at && *peer.synced_at >= published;
    const bool pushed = pusher == id && !demand_->has_let_go(id, record.remote->content);
    if (pushed || synced) holders.push_back({peer.info.node, peer.info.address, peer.hello->name});
  }
  std::sort(holders.begin(), holders.end(),
            [](const HolderInfo& a, const HolderInfo& b) { return a.node < b.node; });
  return holders;
}

// ---- turns
// --------------------------------------------------------------------------------------------

bool Node::on_question(SessionId id, const Message& message) {
  // First: a cancelled offer and a cancelled question look the same.
  if (id != kSelfSession && uploads_->on_message(id, message, now_)) return true;
  if (const auto* over = std::get_if<FileDownloaded>(&message)) {
    if (auto node = node_of(id))
      journal(true, *node, "download", printable(over->name, 500), printable(over->result, 300));
    return true;
  }
  if (queries_->on_message(id, message, now_)) return true;
  return questions_->on_message(id, message, now_);
}

void Node::ask_step(Instant now) {
  for (const Message& message : std::exchange(to_self_, {}))
    (void)on_question(kSelfSession, message);
  queries_->pump(now);
  questions_->pump(now);
  uploads_->pump(now);
  for (auto at = direct_.begin(); at != direct_.end();) {
    auto& [session, used] = *at;
    bool gone = !sessions_.contains(session);
    bool busy = questions_->uses(session) || queries_->uses(session) || uploads_->uses(session) ||
                downloads_->uses(session) || fetcher_->charged_bytes(session) > 0;
    if (!gone && busy) used = now;
    if (!gone && now - used < kKeptForQuestions) {
      ++at;
      continue;
    }
    bool needed = gone || session == client_->hub() || hub_->is_member(session);
    if (!needed) {
      outbox_->send_urgent(session, Bye{std::string(kIdleClose), NodeId{}});
      transport_->close(session);
    }
    at = direct_.erase(at);
  }
  find_types(now);
}

Instant Node::ask_deadline() const {
  // As find_types() does: a walk that waits until the node is in sync again asks for no turn.
  const bool types_go_on = types_more_ && !types_->busy() && last_in_sync_ && queries_->idle();
  if (!to_self_.empty() || types_go_on) return Instant{};
  Instant next = std::min({queries_->deadline(), questions_->deadline(), uploads_->deadline()});
  if (types_->found() > 0) next = std::min(next, types_write_at_);
  for (const auto& [session, used] : direct_) next = std::min(next, used + kKeptForQuestions);
  return next;
}

void Node::ask_session_up(const SessionInfo& session) {
  auto dialled = ask_dials_.find(session.address);
  if (dialled == ask_dials_.end()) return;
  // Somebody else lives at that address now.
  if (dialled->second != session.node) {
    questions_->on_unreachable(dialled->second, "another node answers at its address");
    uploads_->on_unreachable(dialled->second, "another node answers at its address");
    downloads_->on_unreachable(dialled->second, "another node answers at its address");
  }
  ask_dials_.erase(dialled);
  if (session.outgoing) direct_[session.id] = now_;
}

void Node::ask_session_down(SessionId session, const NodeId& node, CloseReason reason) {
  asked_by_[session] = name_of(node);
  queries_->on_session_down(session);
  asked_by_.erase(session);
  direct_.erase(session);
  questions_->on_session_down(session, to_string(reason));
  uploads_->on_session_down(session);
  if (ask_again_.erase(node) == 0 || session_of(node) != 0) return;
  if (Status tried = reach(node); !tried) {
    questions_->on_unreachable(node, tried.error().detail);
    uploads_->on_unreachable(node, tried.error().detail);
    downloads_->on_unreachable(node, tried.error().detail);
  }
}

// True: the dial was ours alone, the election knows nothing of it.
bool Node::ask_dial_failed(const Address& address, DialFailure failure) {
  auto dialled = ask_dials_.find(address);
  if (dialled == ask_dials_.end()) return false;
  NodeId node = dialled->second;
  ask_dials_.erase(dialled);
  questions_->on_unreachable(node, to_string(failure));
  uploads_->on_unreachable(node, to_string(failure));
  downloads_->on_unreachable(node, to_string(failure));
  return !dials_.contains(address) && !content_dials_.contains(address);
}

// While nothing else happens: what is not known is found out some files at a time.
void Node::find_types(Instant now) {
  // Many at a time: each batch is a durable change of the index.
  if (types_->found() >= kTypesWritten || (types_->found() > 0 && now >= types_write_at_)) {
    types_write_at_ = now + 10s;
    auto rows = std::make_shared<std::map<ContentTypes::Key, std::string>>(types_->take_found());
    parts_.executor.submit(
        JobClass::kIndex, [&store = parts_.store, rows] { (void)store.add_types(*rows); }, [] {});
  }
  if (parts_.types == nullptr || types_->busy() || !last_in_sync_) return;
  if (replica_->index().totals().files > kTypesAtIdle) {
    types_more_ = false;
    return;
  }
  // Anew whenever the group's tree or ours has changed since the last walk began.
  std::uint64_t state = replica_->index().totals().bytes ^
                        (replica_->index().paths().size() << 40) ^
                        (hub_->acting() ? hub_->seq() : client_->seq());
  if (!types_more_ && state != types_state_) {
    types_state_ = state;
    types_more_ = true;
    types_at_.clear();
  }
  if (!types_more_ || !queries_->idle()) return;
  const auto& paths = replica_->index().paths();
  std::vector<ContentTypes::Wanted> wanted;
  auto at = paths.upper_bound(types_at_);
  for (std::size_t seen = 0; at != paths.end() && seen < kTypesLookedAt; ++at, ++seen) {
    if (wanted.size() >= kTypesAtOnce) break;
    types_at_ = at->first;
    const PathRecord& record = at->second;
    if (record.live() && !types_->known(*record.local))
      wanted.push_back({at->first, record.local, record.stat});
  }
  if (at == paths.end()) types_more_ = false;
  if (!wanted.empty()) types_->determine(std::move(wanted), [] {});
}

}  // namespace lansync
