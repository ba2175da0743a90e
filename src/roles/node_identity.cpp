// The node's part that knows whether its key is still its own (DESIGN, Identity): what makes it
// take a new one, how often it may, and which of two sessions of one key is let in.
#include <algorithm>

#include "roles/node.h"
#include "roles/stored_number.h"
#include "roles/term.h"
#include "sync/settlement.h"

namespace lansync {

// ---- what makes a new key necessary
// -------------------------------------------------------------------------------------

void Node::check_identity(Instant now) {
  if (now - key_limit_written_ >= KeyLimit::kWriteInterval && !key_limit_.allows(now))
    store_key_limit(now);
  std::optional<std::uint64_t> seen = client_->take_count_seen();
  if (hub_->take_identity_doubt() || (seen && replica_->forgot_counts(*seen))) count_doubt_ = true;
  // Nothing stops for it: within the hour such a count is one like any other.
  if (!count_doubt_ || !key_limit_.allows(now)) return;
  take_new_identity(
      "the group has seen later edits of this node than its index knows (a restored backup)", now);
}

bool Node::has_unknown_count(const Update& update) const {
  const ShortId own = short_id(node_);
  return std::any_of(update.entries.begin(), update.entries.end(), [&](const NamedEntry& named) {
    if (!named.entry) return false;
    const VersionVector& version = named.entry->version;
    return replica_->forgot_counts(
        std::max(version.count_of(own), version.count_of(settling_id(own))));
  });
}

// Both ends see the same two boot ids: one of them gives way.
bool Node::is_own_key(const SessionInfo& session) {
  if (session.node != node_) return false;
  transport_->close(session.id);
  if (boot_ < session.boot)
    need_new_key("another machine uses the same key (a cloned disk or a copied folder)", now_);
  return true;
}

// False: it has been told, and is closed.
bool Node::states_its_past(SessionId id, const Peer& peer, const Hello& hello) {
  if (hello.runs.empty()) {
    ++rejected_;
    transport_->violation(id, "a first hello without runs");
    return false;
  }
  const StartId known = met_keys_.run_of(peer.info.node);
  const bool stated =
      known.is_zero() || std::any_of(hello.runs.begin(), hello.runs.end(),
                                     [&](const Run& run) { return run.id == known; });
  if (!stated) tell_clone(id, false);
  return stated;
}

void Node::tell_clone(SessionId session, bool live) {
  outbox_->send_urgent(session, Clone{live});
  outbox_->pump();
  transport_->close(session);
}

// ---- two sessions of one key
// --------------------------------------------------------------------------------------------

bool Node::vies(const SessionInfo& session) {
  std::vector<SessionId> older = clones_.waiting_of(session.node);
  for (const auto& [id, peer] : sessions_)
    if (peer.info.node == session.node && peer.info.boot != session.boot) older.push_back(id);
  if (older.empty()) return false;
  for (SessionId id : older) outbox_->send_urgent(id, Ping{});
  clones_.add(session, std::move(older), now_);
  return true;
}

void Node::judge_clones(Instant now) {
  auto heard = [this](SessionId id) { return transport_->last_heard(id); };
  for (CloneWatch::Verdict& verdict : clones_.step(now, heard)) {
    switch (verdict.kind) {
      case CloneWatch::Verdict::Kind::kAdmit:
        admit(verdict.session);
        for (const CloneWatch::Packet& packet : verdict.packets)
          on_packet(verdict.session.id, packet.channel, packet.bytes);
        break;
      case CloneWatch::Verdict::Kind::kClone:
        parts_.log.warn(str(to_string(verdict.session.address),
                            " has the key of a node that is here: it is told to take another"));
        tell_clone(verdict.session.id, true);
        break;
      case CloneWatch::Verdict::Kind::kClose:
        transport_->close(verdict.session.id);
        break;
    }
  }
}

// ---- a new key
// ----------------------------------------------------------------------------------------------------------

void Node::need_new_key(const std::string& reason, Instant now) {
  if (stopping_ || !outside_.empty()) return;
  if (key_limit_.allows(now)) {
    take_new_identity(reason, now);
  } else {
    stay_out(reason, now);
  }
}

void Node::change_key(const std::string& reason, Instant now) {
  count_doubt_ = false;
  signer_ = SigningKey::generate(parts_.random);
  node_ = node_id_of(signer_.public_key());
  parts_.log.warn(str("this node has a new id, ", to_hex(node_).substr(0, 8), ": ", reason));
  Index& index = replica_->index();
  for (const auto& [key, value] : identity_meta_) index.set_meta(key, value);
  for (const auto& [key, value] : meta_of(signer_)) index.set_meta(key, value);
  key_limit_.took(now);
  store_key_limit(now);
  replica_->change_identity(node_);
  parts_.host.on_new_identity(signer_);
  discovery_->set_node(node_, now);
}

// Sessions were made under the old key: all of them end, and the search begins anew.
void Node::end_sessions() {
  for (auto& [id, peer] : sessions_) {
    outbox_->send_urgent(id, Bye{"clone", NodeId{}});
    transport_->close(id);
  }
  client_->leave();
}

void Node::take_new_identity(const std::string& reason, Instant now) {
  end_sessions();
  change_key(reason, now);
  // The group's tree at a hub is its own: with the old names in it, equal bytes would merge
  // vectors, and the new names would claim to know what was made under the old key elsewhere.
  if (hub_->acting()) hub_->restart(now);
  update_self(now);
}

// Under a key that is somebody else's too nothing may be said, and another one is not due yet.
void Node::stay_out(const std::string& reason, Instant now) {
  outside_ = reason;
  parts_.log.error(outside_reason());
  end_sessions();
  hub_->stop();
  replica_->remote_unknown();
  update_sources();
  discovery_->goodbye(now);
  hub_lost_ = false;
  make_election(now);
}

std::string Node::outside_reason() const {
  const auto left = std::max(key_limit_.allowed_at() - now_, Duration::zero());
  const auto minutes = std::chrono::duration_cast<std::chrono::minutes>(left).count() + 1;
  return str(outside_,
             ": it needs a new key, and takes one an hour at most; it stays out of the "
             "group for ",
             minutes, " more minutes and goes on by itself");
}

void Node::turn_outside(Instant now) {
  if (key_limit_.allows(now)) {
    change_key(std::exchange(outside_, {}), now);
    look_at_networks(now);
    discovery_->set_interfaces(network_.interfaces);
    make_election(now);
    election_->start(now);
    update_self(now);
    discovery_->start(now);
  }
  poll_carriers();
  fetcher_->tick(now);
  replica_->pump(now);
  check_waits(now);
  undo_->tick(now);
  if (now >= next_housekeeping_) housekeeping(now);
  outbox_->pump();
}

void Node::make_election(Instant now) {
  Index& index = replica_->index();
  Election::Options options;
  options.self.manual = config_.manual;
  options.self.full_replica = !config_.on_demand;
  options.self.node = node_;
  options.self.disk_log2 = config_.disk_log2;
  options.self.has_data = index.totals().files > 0;
  options.self.term = stored_number(index.meta("sync_term"), kLargestTerm);
  options.self.seq = stored_number(index.meta("sync_seq"), kMaxSeq / 2);
  options.term = stored_number(index.meta("term"), kLargestTerm);
  options.port = config_.port;
  last_rank_ = options.self;
  election_ = std::make_unique<Election>(options, parts_.log);
  for (const Address& peer : config_.peers) election_->on_hub_hint(NodeId{}, peer, now);
}

void Node::store_key_limit(Instant now) {
  key_limit_written_ = now;
  for (const auto& [key, value] : key_limit_.meta(now, parts_.clock.wall()))
    replica_->index().set_meta(key, value);
}

void Node::store_met_keys() {
  for (const auto& [row, value] : met_keys_.take_changes()) replica_->index().set_meta(row, value);
}

}  // namespace lansync
