// The node's part that knows the others: what they are called, who may be talked to on this
// network, and what people are told of them.
#include <algorithm>

#include "roles/node.h"

namespace lansync {
namespace {

constexpr Duration kSameHostTold = 10min;
// So long a neighbour may take to come in, and so old its last beacon may be.
constexpr Duration kShut = 10s;
constexpr Duration kShutHeard = 45s;

}  // namespace

// ---- names -------------------------------------------------------------------------------------

std::map<NodeId, NamedPeer> Node::named_peers() const {
  std::map<NodeId, NamedPeer> names;
  for (const auto& [node, item] : lost_) names[node] = {item.row.name, false};
  for (const auto& [node, neighbour] : discovery_->neighbours()) {
    if (!guard_->is_stranger(node)) names[node] = {neighbour.beacon.name, false};
  }
  if (client_->hub() != 0) {
    for (const auto& [node, row] : roster_) names[node] = {row.name, true};
  }
  for (const auto& [id, peer] : sessions_) {
    if (peer.hello) names[peer.info.node] = {peer.hello->name, true};
  }
  names[node_] = {config_.name, true};
  return names;
}

std::string Node::name_of(const NodeId& node) const {
  auto names = shown_names(named_peers());
  auto at = names.find(node);
  return at == names.end() ? to_hex(node).substr(0, 8) : at->second;
}

Result<NodeId> Node::find_peer(const std::string& name) const {
  std::map<NodeId, NamedPeer> others = named_peers();
  // With ourselves among them, so that a name that we share is ambiguous here too.
  Result<NodeId> found = find_named(others, name, node_);
  if (found && *found == node_) {
    return Error{ErrorCode::kRefused, str(printable(name, 64), " is this node itself")};
  }
  return found;
}

std::uint32_t Node::known_nodes() const {
  std::set<NodeId> known;
  for (const auto& [id, peer] : sessions_) {
    if (peer.hello) known.insert(peer.info.node);
  }
  if (client_->hub() != 0) {
    for (const auto& [node, row] : roster_) known.insert(node);
  }
  known.erase(node_);
  return static_cast<std::uint32_t>(known.size());
}

// ---- for people --------------------------------------------------------------------------------

std::vector<PeerReport> Node::peers() {
  std::map<NodeId, PeerReport> by_node;
  auto report_of = [](const NodeId& node, Role role, const Address& address, PeerState state) {
    PeerReport report;
    report.id = node;
    report.role = role;
    report.address = ip_to_string(address.ip);
    report.port = address.port;
    report.state = state;
    report.protocol = kProtocolVersion;
    return report;
  };
  const bool kept = !not_asked().empty();
  for (const auto& [node, item] : lost_) {
    by_node[node] = report_of(node, Role::kNone, item.row.address, PeerState::kLost);
    by_node[node].why = item.silent ? "nothing is heard of it any more, and it said no goodbye"
                                    : "its session ended";
  }
  for (const auto& [node, neighbour] : discovery_->neighbours()) {
    if (!neighbour.beacon.tag_valid && lost_.contains(node)) continue;
    by_node[node] = report_of(node, neighbour.beacon.role, neighbour.address, PeerState::kKnown);
    std::string refused;
    if (const Refusals::Row* row = people_.refusals.find(neighbour.address)) {
      refused = row->why;
    } else if (election_->is_busy(node)) {
      refused = why_busy({neighbour.beacon.name, neighbour.address, {}, false, true});
    } else if (kept && neighbour.beacon.role == Role::kClient) {
      refused = "not asked: the hub of this group does not let this node in";
    }
    if (!refused.empty()) {
      by_node[node].state = PeerState::kRefused;
      by_node[node].name = neighbour.beacon.name;
      by_node[node].why = refused;
    }
    if (!guard_->is_stranger(node)) continue;
    by_node[node].state = PeerState::kRefused;
    by_node[node].name = neighbour.beacon.name;
    by_node[node].why =
        "not known to this folder, on a network that is new to it, in an open group";
  }
  if (client_->hub() != 0) {
    for (const auto& [node, row] : roster_) {
      by_node[node] = report_of(node, row.role, row.address, PeerState::kKnown);
      auto told = people_.elsewhere.find(node);
      if (told == people_.elsewhere.end() || now_ - told->second.at > PeopleView::kElsewhereLife)
        continue;
      by_node[node].behind = {told->second.files, told->second.bytes,
                              to_words(told->second.obstacle)};
      by_node[node].why = by_node[node].behind.why;
    }
  }
  for (const auto& [id, peer] : sessions_) {
    if (!peer.hello) continue;
    PeerReport report =
        report_of(peer.info.node, peer.hello->role, peer.info.address, PeerState::kConnected);
    report.rtt_ms = transport_->rtt_ms(id);
    if (silent(id)) {
      // The session is there until its time limit, and so is nobody else.
      report.state = PeerState::kLost;
      report.why = "it has been silent for some seconds";
    } else {
      report.behind = behind_of(id);
      report.why = report.behind.why;
    }
    by_node[peer.info.node] = report;
  }
  by_node.erase(node_);
  const std::map<NodeId, std::string> names = shown_names(named_peers());
  std::vector<PeerReport> out;
  for (auto& [node, report] : by_node) {
    if (auto at = names.find(node); at != names.end()) report.name = at->second;
    out.push_back(report);
  }
  add_turned_away(out);
  return out;
}

void Node::add_turned_away(std::vector<PeerReport>& out) const {
  std::set<std::uint32_t> other_version;
  auto add = [&out](const Address& address, int protocol, const std::string& why) {
    PeerReport report;
    report.address = ip_to_string(address.ip);
    report.port = address.port;
    report.state = PeerState::kRefused;
    report.protocol = protocol;
    report.why = why;
    out.push_back(std::move(report));
  };
  for (const auto& [address, foreign] : discovery_->other_versions()) {
    other_version.insert(address.ip);
    add(address, foreign.version, people_.refusals.version_refusal(foreign.version));
    out.back().id = foreign.node;
  }
  std::set<Address> heard;
  for (const auto& [node, neighbour] : discovery_->neighbours()) heard.insert(neighbour.address);
  for (const auto& [address, refusal] : people_.refusals.rows()) {
    // Heard as well as dialled: one row.
    if (refusal.other_version && other_version.contains(address.ip)) continue;
    if (heard.contains(address)) continue;
    add(address, refusal.protocol, refusal.why);
    out.back().name = refusal.name;
  }
}

// Nobody's folder may pass for in sync while somebody of the group cannot be talked to.
std::string Node::version_notice() const {
  std::map<std::uint32_t, int> theirs;
  for (const auto& [address, foreign] : discovery_->other_versions())
    theirs[address.ip] = foreign.version;
  for (const auto& [address, refusal] : people_.refusals.rows()) {
    if (refusal.other_version) theirs[address.ip] = refusal.protocol;
  }
  if (theirs.empty()) return {};
  std::string more = theirs.size() > 1 ? str(" (and ", theirs.size() - 1, " more)") : std::string();
  const auto& [ip, version] = *theirs.begin();
  return str("not in sync with ", ip_to_string(ip), more, ": ",
             people_.refusals.version_refusal(version));
}

// Members that are heard beside a hub that does not let this node in: they share its password.
std::vector<std::string> Node::not_asked() const {
  std::vector<std::string> names;
  bool hub_refuses = false;
  for (const auto& [id, peer] : sessions_)
    if (peer.hello) return names;
  for (const auto& [node, neighbour] : discovery_->neighbours()) {
    const Refusals::Row* row = people_.refusals.find(neighbour.address);
    const Role role = neighbour.beacon.role;
    const bool refuses = (row != nullptr && !row->other_version) || election_->is_busy(node);
    hub_refuses = hub_refuses || (refuses && is_hub(role));
    if (row == nullptr && role == Role::kClient)
      names.push_back(printable(neighbour.beacon.name, 64));
  }
  if (!hub_refuses) names.clear();
  return names;
}

// While nodes of this group's name refuse this one, or do not answer, and nobody else is reached,
// nobody's folder may pass for in sync (CONTRACT, status). Empty: it is not so.
Complaint Node::kept_out() const {
  for (const auto& [id, peer] : sessions_)
    if (peer.hello) return {};
  Complaint refused = people_.refusals.kept_out(not_asked(), now_);
  if (!refused.what.empty()) return refused;
  if (std::string notice = version_notice(); !notice.empty()) return {notice, ""};
  // Nobody answers by a cable that is out, or through a firewall of this machine's own.
  if (!network_.lan || !network_.problem.empty()) return {};
  if (std::string hub = election_->kept_out(now_); !hub.empty()) return {hub, ""};
  // In an open group nobody has to have a password, and still one may keep this node out.
  if (!config_.open || now_ - alone_since_ < kShut || !election_->silent(now_).empty()) return {};
  std::string who;
  std::size_t more = 0;
  for (const auto& [node, neighbour] : discovery_->neighbours()) {
    const bool there = now_ - neighbour.last_heard < kShutHeard && !neighbour.leaving;
    if (!there || now_ - neighbour.first_heard < kShut || guard_->is_stranger(node)) continue;
    if (lost_.contains(node)) continue;
    if (!who.empty()) {
      ++more;
      continue;
    }
    who = str(printable(neighbour.beacon.name, 64), " (", ip_to_string(neighbour.address.ip), ')');
  }
  if (who.empty()) return {};
  if (more > 0) who += str(" and ", more, " more");
  return {str(who, more > 0 ? " are heard in this group and do not let this node in"
                            : " is heard in this group and does not let this node in"),
          "a node on a network that is new to its folder keeps out whom it has not met; "
          "`lansync status` there says so, and `lansync confirm network` there lets this node in"};
}

std::string Node::same_host_notice() const {
  for (const auto& [node, at] : same_host_) {
    if (now_ - at >= kSameHostTold || session_of(node) == 0) continue;
    return str(printable(name_of(node), 64),
               " on this machine is in the same group: both folders become one");
  }
  return {};
}

// ---- who may be talked to ----------------------------------------------------------------------

void Node::start_guard(Instant now) {
  Index& index = replica_->index();
  guard_ = std::make_unique<NetworkGuard>(config_.open, index.meta("networks"));
  std::set<std::uint32_t> typed;
  for (const Address& peer : config_.peers) typed.insert(peer.ip);
  guard_->set_typed(std::move(typed));
  look_at_networks(now);
}

void Node::look_at_networks(Instant now) {
  guard_->set_networks(parts_.host.networks(), now);
  next_networks_ = now + guard_->look_again(now);
}

void Node::hear(const Neighbour& neighbour, Instant now) {
  const Beacon& beacon = neighbour.beacon;
  const bool met = met_keys_.met(beacon.node);
  if (!guard_->admits(beacon.node, neighbour.address.ip, beacon.name, met, now)) return;
  PeerFacts facts;
  facts.rank = {beacon.manual, beacon.full_replica, (beacon.flags & Beacon::kHasData) != 0,
                beacon.term,   beacon.index_seq,    beacon.disk_log2,
                beacon.node};
  facts.boot = beacon.boot;
  facts.name = beacon.name;
  facts.address = neighbour.address;
  for (std::size_t i = 1; i < neighbour.paths.size(); ++i)
    facts.others.push_back(neighbour.paths[i].address);
  facts.hears_us = hears(beacon.heard, node_);
  facts.role = beacon.role;
  election_->on_beacon(facts, beacon.tag_valid, (beacon.flags & Beacon::kSeek) != 0, now);
}

void Node::guard_step(Instant now) {
  if (now >= next_networks_) look_at_networks(now);
  guard_->tick(now);
  if (guard_->held(now) != told_held_) {
    told_held_ = !told_held_;
    parts_.log.warn(told_held_ ? str("held: ", guard_->reason(now))
                               : std::string("not held any more: no stranger is kept out"));
  }
  if (guard_->take_changed()) {
    replica_->index().set_meta("networks", guard_->networks_text());
  }
  if (!guard_->allows_again()) return;
  for (const auto& [node, neighbour] : discovery_->neighbours()) hear(neighbour, now);
  discovery_->restart_burst(now);
}

// Strangers about, and nobody else to work with.
bool Node::kept_apart() const {
  return guard_->blocks() && std::none_of(sessions_.begin(), sessions_.end(), [](const auto& item) {
           return item.second.hello.has_value();
         });
}

void Node::on_link_lost(Instant now) {
  if (!guard_) return;
  now_ = now;
  guard_->doubt(now);
  look_at_networks(now);
}

// A session whose other end said who it is.
void Node::meet(const Peer& peer) {
  const NodeId& node = peer.info.node;
  met_keys_.meet(peer.info.key, peer.hello->runs.back().id);
  store_met_keys();
  lost_.erase(node);
  // The same machine under a new id is nobody's twin.
  std::erase_if(lost_, [&](const auto& item) {
    const RosterRow& row = item.second.row;
    return row.name == peer.hello->name && row.address == peer.info.address;
  });
  if (!guard_->is_own(peer.info.address.ip)) return;
  same_host_[node] = now_;
  if (same_host_.size() > kMaxSameHost) same_host_.erase(same_host_.begin());
  parts_.log.warn(str(printable(name_of(node), 64), " (", to_string(peer.info.address),
                      "), another lansync on this machine, is in the same group: its folder and ",
                      printable(config_.folder, 500),
                      " become one. If that is not meant, stop one of them and start it with "
                      "another --group"));
}

}  // namespace lansync
