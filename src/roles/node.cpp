#include "roles/node.h"

#include <algorithm>

#include "base/assert.h"
#include "roles/stored_number.h"
#include "roles/term.h"

namespace lansync {
namespace {

constexpr Duration kHousekeeping = 1h;
// So long without us and the others have chosen another hub (Election::Options::hub_silence).
constexpr Duration kAway = 2s;
constexpr Duration kTellNotHeld = 50ms;
// DESIGN, Self-assignment 4: a hub that cannot commit for so long names a successor.
constexpr Duration kStuckCommit = DiskSilence::kPatience;

bool same_self(const Beacon& a, const Beacon& b) {
  return a.flags == b.flags && a.role == b.role && a.manual == b.manual && a.term == b.term &&
         a.index_seq == b.index_seq && a.port == b.port && a.name == b.name;
}

bool same_rank(const Rank& a, const Rank& b) {
  return a.manual == b.manual && a.full_replica == b.full_replica && a.has_data == b.has_data &&
         a.term == b.term && a.seq == b.seq && a.disk_log2 == b.disk_log2 && a.node == b.node;
}

}  // namespace

Node::Node(const NodeConfig& config, const Identity& identity, const BootId& boot,
           const NodeParts& parts)
    : config_(config),
      signer_(identity.signer),
      node_(identity.node()),
      boot_(boot),
      parts_(parts),
      fresh_(identity.fresh),
      identity_meta_(identity.meta),
      people_(config.group, config.open, config.protocol) {
  discovery_ = std::make_unique<Discovery>(
      Discovery::Options{group_tag(config.group), node_, boot, config.protocol, &parts.clock},
      parts.beacons, parts.random, parts.log);
  FetcherOptions fetching;
  fetching.reserve_bytes = config.reserve_bytes;
  fetcher_ = std::make_unique<Fetcher>(parts.files, parts.executor, parts.clock, fetching);
  Replica::Options options;
  options.node = node_;
  options.node_name = config.name;
  options.settle = config.settle;
  options.settle_max = config.settle_max;
  options.rescan = config.rescan;
  options.max_deletes = config.max_deletes;
  options.max_file_size = config.max_file_size;
  options.on_demand = config.on_demand;
  options.reserve_bytes = config.reserve_bytes;
  replica_ = std::make_unique<Replica>(options, parts.files, parts.store, parts.executor, *fetcher_,
                                       parts.random, parts.clock, parts.log);
  provider_ = std::make_unique<Provider>(parts.files, parts.executor, parts.clock, *this, *this);
  Carriage::Options carrying;
  carrying.choice = config.carrier;
  carriage_ = std::make_unique<Carriage>(carrying, parts.random, parts.log);
  provider_->set_partials([this](const ContentId& hash) { return fetcher_->on_disk(hash); },
                          [this](SourceId asker, const ContentId& hash) {
                            return fetcher_->comes_from_others(hash, asker);
                          });
  provider_->set_on_changed(
      [this](const std::string& path) { replica_->on_content_changed(path); });
  replica_->set_events(this);
  copied_ = identity.new_reason;
}

Node::~Node() = default;

void Node::start(SessionTransport& transport, const LoadedIndex& loaded, Instant now) {
  transport_ = &transport;
  now_ = alone_since_ = now;
  if (!network_.problem.empty()) parts_.log.warn(network_.problem);
  outbox_ = std::make_unique<Outbox>(transport);
  hub_ = std::make_unique<Hub>(*replica_, *outbox_, parts_.log);
  client_ = std::make_unique<Client>(*replica_, *outbox_, parts_.log);
  demand_ = std::make_unique<Demand>(*replica_, *outbox_, parts_.log);
  downloads_ = std::make_unique<Downloads>(*this, *replica_);
  undo_ = std::make_unique<Undo>(*replica_, *outbox_, *this, parts_.clock);
  start_holds();
  fetcher_->load_partials();
  decisions_->load(loaded.meta);
  replica_->start(loaded, fresh_, now);
  Index& index = replica_->index();
  key_limit_.load(loaded.meta, now, parts_.clock.wall());
  if (copied_.empty())
    for (const auto& [key, value] : identity_meta_) index.set_meta(key, value);
  if (!copied_.empty() && key_limit_.allows(now)) change_key(std::exchange(copied_, {}), now);
  outside_ = copied_;
  if (!outside_.empty()) parts_.log.warn(outside_reason());
  store_key_limit(now);
  run_durable_ = replica_->commit_first();
  if (!run_durable_) replica_->commit_then([this] { run_durable_ = true; });
  start_asking();
  make_election(now);
  contacts_.load(index.meta("contacts"));
  BeaconKey key;
  if (from_hex(index.meta("beacon_key"), key.bytes)) use_beacon_key(key, false);
  met_keys_.load(loaded.meta);
  store_met_keys();
  start_guard(now);
  if (outside_.empty()) {
    election_->start(now);
    update_self(now);
    discovery_->start(now);
  }
  next_ping_ = now;
  next_housekeeping_ = now + 1min;
}

// ---- one turn
// ---------------------------------------------------------------------------------------

void Node::turn(Instant now) {
  now_ = now;
  outbox_->set_now(now);
  if (!outside_.empty()) return turn_outside(now);
  judge_clones(now);
  discovery_->tick(now);
  take_discovery_events(now);
  guard_step(now);
  if (NodeId hub = election_->hub().value_or(NodeId{}); !hub.is_zero() && hub != node_) {
    SessionId session = session_of(hub);
    if (session != 0) election_->on_hub_heard(transport_->last_heard(session));
    if (session != 0) election_->on_hub_carried(carriage_->last_heard(session));
  }
  for (std::uint64_t term : durable_terms_) election_->term_durable(term, now);
  durable_terms_.clear();
  election_->tick(now);
  run_elections(now);
  pump(now);
  run_elections(now);
  update_self(now);
  check_waits(now);
  answer_marks(now);
  undo_->tick(now);
  if (now >= next_housekeeping_) housekeeping(now);
  outbox_->pump();
}

void Node::pump(Instant now) {
  // Before anything is pushed: a version under an id that has forgotten some of its counts would
  // pass for a newer one.
  check_identity(now);
  poll_carriers();
  fetcher_->tick(now);
  replica_->pump(now);
  step_holds(now);
  hub_->pump();
  client_->pump(now);
  demand_->set_view(demand_view());
  demand_->pump(now);
  downloads_->pump(now);
  // What hub and client decided may be carried out at once: a turn later would be a network turn
  // later.
  replica_->pump(now);
  // Before asking: a source that has just been found is asked in this turn; and after it, for what
  // was asked for the first time.
  if (now >= next_coming_ask_) ask_for_coming();
  if (find_due_) find_sources();
  send_requests();
  if (find_due_) find_sources();
  send_returned();
  provider_->pump();
  give_credit();
  send_ends();
  send_roster();
  ping(now);
  note_sync(now);
  tell_synced(now);
  ask_step(now);
}

Instant Node::deadline() const {
  if (!outside_.empty()) {
    Instant next = std::min({replica_->deadline(), fetcher_->deadline(), key_limit_.allowed_at()});
    for (const Wait& wait : waits_)
      if (!wait.noticed) next = std::min(next, wait.fallback_at);
    return next;
  }
  Instant next = std::min(discovery_->deadline(), election_->deadline());
  next = std::min({next, fetcher_->deadline(), clones_.deadline()});
  next = std::min(next, replica_->deadline());
  next = std::min(next, client_->deadline());
  next = std::min(next, carriage_->deadline());
  next = std::min({next, next_networks_, guard_->deadline(), ask_deadline()});
  if (!told_held_) next = std::min(next, guard_->held_at());
  next = std::min({next, demand_->deadline(), downloads_->deadline()});
  next = std::min({next, undo_->deadline(), mender_->deadline(), holds_->deadline()});
  if (!sessions_.empty()) next = std::min({next, next_ping_, next_coming_ask_});
  if (synced_untold()) next = std::min(next, tell_synced_at_);
  if (limited_) next = std::min(next, allowance_at_ + 5ms);
  for (const Wait& wait : waits_) {
    if (!wait.noticed) next = std::min(next, wait.fallback_at);
  }
  return std::min(next, next_housekeeping_);
}

void Node::take_discovery_events(Instant now) {
  for (const DiscoveryEvent& event : discovery_->take_events()) {
    const Neighbour* neighbour = discovery_->find(event.node);
    switch (event.kind) {
      case DiscoveryEvent::Kind::kHeard: {
        if (!neighbour) break;
        people_.refusals.note_beacon(neighbour->address, neighbour->beacon.name,
                                     neighbour->beacon.boot, neighbour->beacon.tag_valid, now);
        hear(*neighbour, now);
        break;
      }
      case DiscoveryEvent::Kind::kGoodbye:
        // Without a tag anybody may have said it.
        if (event.tag_valid) {
          election_->on_goodbye(event.node, now);
        } else {
          election_->on_expired(event.node, now);
        }
        break;
      case DiscoveryEvent::Kind::kHint:
        election_->on_stranger_hint(event.address, now);
        break;
      case DiscoveryEvent::Kind::kExpired:
        election_->on_expired(event.node, now);
        break;
      case DiscoveryEvent::Kind::kMoved: {
        if (!neighbour) break;
        std::vector<Address> addresses;
        for (const NeighbourPath& path : neighbour->paths) addresses.push_back(path.address);
        election_->on_moved(event.node, addresses, now);
        break;
      }
    }
  }
  // Whoever sends our own id proves nothing by it: the handshake shows whether it has our key.
  if (auto address = discovery_->take_own_id_heard()) transport_->dial(*address);
}

// ---- roles
// ------------------------------------------------------------------------------------------

void Node::run_elections(Instant now) {
  // An action may make the next one; a bound, because a bug here must not hang the node.
  for (int round = 0; round < 8; ++round) {
    std::vector<ElectionAction> actions = election_->take_actions();
    if (actions.empty()) return;
    for (const ElectionAction& action : actions) {
      if (!stopping_) perform(action, now);
    }
  }
}

void Node::perform(const ElectionAction& action, Instant now) {
  if (const auto* dial = std::get_if<DialAction>(&action)) {
    dials_[dial->address] = dial->node;
    transport_->dial(dial->address);
  } else if (const auto* close = std::get_if<CloseAction>(&action)) {
    SessionId session = session_of(close->node);
    bool used = session == client_->hub() || hub_->is_member(session) ||
                questions_->uses(session) || queries_->uses(session) || uploads_->uses(session) ||
                downloads_->uses(session);
    if (session == 0 || (close->reason == kIdleClose && used)) return;
    outbox_->send_urgent(session, Bye{close->reason, NodeId{}});
    transport_->close(session);
  } else if (const auto* persist = std::get_if<PersistTermAction>(&action)) {
    std::uint64_t term = persist->term;
    replica_->index().set_meta("term", std::to_string(term));
    replica_->commit_then([this, term] { durable_terms_.push_back(term); });
  } else if (const auto* become = std::get_if<BecomeHubAction>(&action)) {
    become_hub(*become, now);
  } else if (const auto* follows = std::get_if<FollowAction>(&action)) {
    follow(*follows, now);
  } else if (const auto* seek = std::get_if<SeekAction>(&action)) {
    hub_lost_ = seek->hub_lost;
    hub_->stop();
    note_hub_gone();
    client_->leave();
    replica_->remote_unknown();
    update_sources();
    if (seek->hub_lost) discovery_->restart_burst(now);
  } else if (const auto* down = std::get_if<StepDownAction>(&action)) {
    parts_.log.info(str("no longer hub: ", printable(name_of(down->successor)), " is"));
    for (const auto& [id, peer] : sessions_) {
      if (peer.hello) outbox_->send_urgent(id, Bye{"step-down", down->successor});
    }
    hub_->stop();
  } else if (const auto* tell = std::get_if<TellHubHeardAction>(&action)) {
    if (client_->hub() != 0) {
      outbox_->send_urgent(client_->hub(), HubHeard{tell->other_hub, tell->address});
    }
  } else if (std::get_if<AnnounceAction>(&action)) {
    for (auto& [id, peer] : sessions_) {
      if (peer.greeted) send_hello(id, true);
    }
  } else if (const auto* refused = std::get_if<RefuseRolesAction>(&action)) {
    roles_refused_ = refused->reason;
  }
}

void Node::become_hub(const BecomeHubAction& action, Instant now) {
  hub_lost_ = false;
  roles_refused_.clear();
  Index& index = replica_->index();
  index.set_meta("term", std::to_string(action.term));
  if (!beacon_key_) use_beacon_key(parts_.random.id<BeaconKey>(), true);
  if (hub_->acting()) {
    hub_->set_term(action.term);
  } else {
    note_hub_gone();  // leaving forgets what the hub had
    client_->leave();
    std::uint64_t seq =
        std::max(stored_number(index.meta("sync_seq"), kMaxSeq / 2), client_->seq());
    // It orders what one reign publishes; no hub's word brings the next to the end of the numbers.
    if (seq >= kMaxSeq / 2) seq = 0;
    replica_->expect_first_pull(false);
    people_.members.begin_reign();
    for (auto& [id, peer] : sessions_) peer.synced_at.reset();
    hub_->start(action.term, seq, now);
    mender_->wake(now);
    parts_.log.info(
        str("role ", to_string(action.role), ", term ", action.term, ": ", election_->why_role()));
  }
  send_to_all(Claim{action.term, election_->members()});
  sent_succession_.clear();
  ++roster_number_;
  update_sources();
}

void Node::follow(const FollowAction& action, Instant) {
  hub_lost_ = false;
  roles_refused_.clear();
  SessionId session = session_of(action.hub);
  if (session == 0) return;  // it went down in this very turn: the election hears of that
  hub_->stop();
  replica_->expect_first_pull(replica_->index().meta("pulled").empty());
  if (client_->hub() != session) {
    synced_at_.reset();
    synced_told_.reset();
    note_hub_gone();
    client_->follow(session, action.term, away_of(action.hub));
  }
  people_.hub_name = name_of(action.hub);
  const Peer& peer = sessions_.at(session);
  if (peer.hello && peer.hello->beacon_key) use_beacon_key(*peer.hello->beacon_key, true);
  replica_->index().set_meta("term", std::to_string(action.term));
  parts_.log.info(
      str("role client: ", printable(name_of(action.hub)), " is hub, term ", action.term));
  update_sources();
}

void Node::use_beacon_key(const BeaconKey& key, bool store) {
  if (beacon_key_ == key) return;
  beacon_key_ = key;
  transport_->set_beacon_key(key);
  discovery_->set_key(key);
  if (store) replica_->index().set_meta("beacon_key", to_hex(key));
}

void Node::update_self(Instant now) {
  Index& index = replica_->index();
  Rank rank = last_rank_;
  rank.node = node_;
  // A paused node takes no pushes: somebody else is hub meanwhile, if there is anybody.
  bool alone = sessions_.empty() && discovery_->neighbours().empty();
  rank.manual = replica_->paused() && !alone ? ManualRole::kClient : config_.manual;
  rank.has_data = index.totals().files > 0;
  rank.term = stored_number(index.meta("sync_term"), kLargestTerm);
  rank.seq = stored_number(index.meta("sync_seq"), kMaxSeq / 2);
  if (!same_rank(rank, last_rank_)) {
    last_rank_ = rank;
    election_->set_self(rank, now);
  }
  Beacon self;
  self.role = election_->role();
  self.manual = config_.manual;
  self.full_replica = !config_.on_demand;
  self.disk_log2 = config_.disk_log2;
  self.term = rank.term;
  self.index_seq = rank.seq;
  self.port = config_.port;
  self.name = config_.name.substr(0, kMaxBeaconName);
  if (election_->seeking()) self.flags |= Beacon::kSeek;
  if (rank.has_data) self.flags |= Beacon::kHasData;
  if (election_->seeking() && hub_lost_) self.flags |= Beacon::kHubLost;
  if (guard_ && kept_apart()) {
    // Members have to hear us; strangers would dial a hub or wait for a candidate in vain.
    self.role = Role::kNone;
    self.manual = ManualRole::kClient;
    self.flags &= static_cast<std::uint8_t>(~(Beacon::kSeek | Beacon::kHubLost));
  }
  if (same_self(self, last_self_)) return;
  last_self_ = self;
  discovery_->set_self(self, now);
}

void Node::update_sources() {
  std::vector<SourceId> sources;
  if (hub_->acting()) {
    for (const auto& [id, peer] : sessions_) {
      if (hub_->is_member(id)) sources.push_back(id);
    }
  } else if (client_->hub() != 0) {
    sources.push_back(client_->hub());
  }
  replica_->set_sources(std::move(sources));
}

DemandView Node::demand_view() const {
  DemandView view;
  view.hub = hub_->acting();
  view.hub_session = client_->joined() ? client_->hub() : 0;
  view.in_sync = last_in_sync_;
  view.sources = view.hub_session != 0;
  for (const auto& [id, peer] : sessions_) {
    if (!peer.hello) continue;
    if (id == view.hub_session) view.hub_is_full = peer.hello->full_replica;
    if (!view.hub || !hub_->is_member(id)) continue;
    view.sources = true;
    if (peer.hello->full_replica && peer.hello->in_sync) view.full_replicas.push_back(id);
  }
  return view;
}

bool Node::in_sync() const {
  if (!outside_.empty() || !replica_->in_sync() || election_->seeking() || kept_apart())
    return false;
  return hub_->acting() ? hub_->idle() : client_->idle();
}

void Node::note_sync(Instant now) {
  election_->set_full(replica_->short_of_room(now), now);
  election_->set_stuck(disk_.stands() || replica_->commit_waits(now) >= kStuckCommit, now);
  election_->set_unanswered(client_->unanswered(now), now);
  // From the moment in which the first pull begins, a disk that is too small is one that fills.
  bool begun = client_->joined() ? !replica_->room().waits() : hub_->has_members();
  if (begun && replica_->index().meta("pulled").empty()) {
    replica_->index().set_meta("pulled", "1");
  }
  bool synced = in_sync();
  // What the hub has no room for keeps nobody from taking over from it.
  bool ready = synced || (replica_->caught_up() && client_->only_refused(now));
  if (ready != last_in_sync_) {
    last_in_sync_ = ready;
    election_->on_in_sync(ready, now);
  }
  if (!synced) return;
  // The last sample of it is up to half a second old, or more; what is told of now is nothing.
  people_.left = {};
  bool shared = client_->hub() != 0;
  // A member's last hello says nothing of what was made since: it has stated the sequence.
  for (const auto& [id, peer] : sessions_)
    shared |= shares_with(id, peer) && people_.members.has(id, hub_->seq());
  if (shared) {
    replica_->note_shared();
    // The mark of a first contact is not an hour late.
    const bool first = !contacts_.shared_ago(replica_->observed_ns());
    contacts_.note_shared(replica_->observed_ns());
    replica_->observed_time().on_contact();
    if (first) keep_contacts();
  }
  Index& index = replica_->index();
  std::uint64_t seq = hub_->acting() ? hub_->seq() : client_->seq();
  if (!hub_->acting()) synced_at_ = seq;
  std::string term = std::to_string(election_->term());
  if (index.meta("sync_seq") == std::to_string(seq) && index.meta("sync_term") == term) return;
  index.set_meta("sync_seq", std::to_string(seq));
  index.set_meta("sync_term", term);
}

// ---- what the outside tells
// -------------------------------------------------------------------------

void Node::on_beacon(const Address& from, ByteView datagram, Instant now, std::uint32_t interface) {
  if (!outside_.empty()) return;
  discovery_->on_datagram(from, datagram, now, interface);
}

void Node::on_watch_overflow(Instant now) {
  parts_.log.warn("the kernel dropped file events: the folder is scanned");
  replica_->rescan(now);
}

void Node::on_stall(Instant now, Duration slept) {
  now_ = now;
  if (!outside_.empty()) return;
  if (slept >= kAway) on_link_lost(now);
  election_->on_stall(now, slept);
  if (slept < kAway) return;
  run_elections(now);
  update_self(now);
  discovery_->restart_burst(now);
}

void Node::set_unwatched(std::size_t directories, Instant now) {
  if (directories > 0 && unwatched_ == 0) {
    parts_.log.warn(
        "not all directories can be watched: changes there are found by rescans only; "
        "`sysctl fs.inotify.max_user_watches=524288` mends it");
  }
  unwatched_ = directories;
  replica_->set_unwatched(directories > 0, now);
}

void Node::on_network(const NetworkFacts& network, Instant now) {
  NetworkFacts before = std::exchange(network_, network);
  if (!election_ || !outside_.empty()) return;
  now_ = now;
  bool back = network.lan && !before.lan;
  if (!network.lan && before.lan) network_lost_ = now;
  if (!network.problem.empty() && network.problem != before.problem)
    parts_.log.warn(network.problem);
  if (network.problem.empty() && !before.problem.empty()) parts_.log.info("the network is back");
  if (network.interfaces == before.interfaces && network.addresses == before.addresses) return;
  look_at_networks(now);
  discovery_->set_interfaces(network.interfaces);
  // A cable that was out for a moment is no absence: the sessions have not noticed.
  election_->on_network(network.lan, back && now - network_lost_ >= kAway, reached(), now);
  take_discovery_events(now);
  run_elections(now);
  update_self(now);
  discovery_->restart_burst(now);
}

// Those who said something within the time after which silence counts.
std::set<NodeId> Node::reached() const {
  std::set<NodeId> nodes;
  for (const auto& [id, peer] : sessions_)
    if (now_ - transport_->last_heard(id) < kAway) nodes.insert(peer.info.node);
  return nodes;
}

void Node::on_settled(const std::string& path) {
  people_.unfinished.settle(replica_->index(), now_);
  people_.half_pushed.settle(replica_->index(), now_);
  hub_->on_settled(path);
  // Who pushed what this disk cannot hold hears at once that it is on no other machine.
  if (hub_->acting() && !replica_->problems().empty() && replica_->problems().contains(path))
    next_ping_ = std::min(next_ping_, now_ + kTellNotHeld);
  mender_->on_settled(path, now_);
  demand_->on_settled(path);
}

void Node::on_fetch_failed(const std::string& path, const std::string& reason) {
  find_due_ = true;
  if (hub_->acting()) hub_->on_fetch_failed(path, reason);
  demand_->on_fetch_failed(path, reason, now_);
  downloads_->on_fetch_failed(path, reason, now_);
}

void Node::begin_stop(Instant now) {
  if (stopping_) return;
  stopping_ = true;
  store_key_limit(now);
  NodeId successor;
  if (hub_->acting()) successor = election_->successor().value_or(NodeId{});
  if (std::string alone = only_here_text(); !alone.empty()) parts_.log.warn("stopping: " + alone);
  keep_contacts();
  replica_->keep_observed();
  for (auto& [id, peer] : sessions_) {
    outbox_->send_urgent(id, Bye{"stop", successor});
    transport_->close(id);
  }
  discovery_->goodbye(now);
  fetcher_->suspend();
  hub_->stop();
  replica_->pause(true);
}

bool Node::stopped() const { return stopping_ && sessions_.empty() && replica_->idle(); }

void Node::housekeeping(Instant now) {
  next_housekeeping_ = now + kHousekeeping;
  store_key_limit(now);
  keep_contacts();
  replica_->keep_observed();
  replica_->prune_trash();
  replica_->drop_old_tombstones();
  decisions_->prune();
  people_.refusals.prune(now);
  std::erase_if(lost_, [&](const auto& item) { return now - item.second.since > 24h; });
}

}  // namespace lansync
