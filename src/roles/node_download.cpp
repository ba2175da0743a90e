// The node's part that `download` needs: sessions with holders that a person names, which are
// closed again when nothing uses them.
#include "roles/node.h"

namespace lansync {
namespace {

// Downloads come in rows; a session costs a ping each half second.
constexpr Duration kKept = 10s;

}  // namespace

NodeControl::Token Node::download(const DownloadAsk& what, Callback<DownloadReport> done) {
  const Token token = next_token_++;
  downloads_->start(token, what, now_, std::move(done));
  return token;
}

void Node::give_back(Token token) { downloads_->give_back(token); }

SessionId Node::usable_session(const NodeId& node) const {
  for (const auto& [id, peer] : sessions_) {
    if (peer.info.node == node && peer.hello) return id;
  }
  return 0;
}

Status Node::reach(const NodeId& node) {
  if (session_of(node) != 0) return {};  // its hello is on the way
  Address address;
  if (auto at = roster_.find(node); at != roster_.end()) {
    address = at->second.address;
  } else if (const Neighbour* neighbour = discovery_->find(node)) {
    address = neighbour->address;
  } else {
    return Error{ErrorCode::kNotFound,
                 str(printable(name_of(node), 64),
                     " is not here at the moment: `lansync peers` shows who is")};
  }
  person_dials_[address] = node;
  transport_->dial(address);
  return {};
}

std::string Node::name_of_source(SourceId source) const {
  auto at = sessions_.find(source);
  return at == sessions_.end() ? std::string() : name_of(at->second.info.node);
}

bool Node::has_sources() const { return demand_view().sources; }

void Node::choose_carrier(const ContentId& content, CarrierChoice carrier) {
  carrier_of_[content] = carrier;
}

void Node::forget_carrier(const ContentId& content) { carrier_of_.erase(content); }

CarrierChoice Node::carrier_for(const ContentId& content) const {
  auto at = carrier_of_.find(content);
  return at == carrier_of_.end() ? config_.carrier : at->second;
}

void Node::on_fetched(const ContentId& content, SourceId source, Via via) {
  downloads_->on_fetched(content, source, via);
}

// True: the dial was for a person, the election knows nothing of it.
bool Node::person_dial_failed(const Address& address, DialFailure failure) {
  auto at = person_dials_.find(address);
  if (at == person_dials_.end()) return false;
  downloads_->on_unreachable(at->second, to_string(failure));
  person_dials_.erase(at);
  return !dials_.contains(address);
}

void Node::note_person_session(const SessionInfo& session) {
  if (person_dials_.erase(session.address) > 0) person_sessions_[session.id] = now_;
}

void Node::close_person_sessions() {
  for (auto at = person_sessions_.begin(); at != person_sessions_.end();) {
    const SessionId id = at->first;
    const bool gone = !sessions_.contains(id) || client_->hub() == id || hub_->is_member(id);
    if (!gone && (downloads_->uses(id) || fetcher_->charged_bytes(id) > 0)) at->second = now_;
    if (!gone && now_ - at->second < kKept) {
      ++at;
      continue;
    }
    if (!gone) {
      outbox_->send_urgent(id, Bye{std::string(kIdleClose), NodeId{}});
      transport_->close(id);
    }
    at = person_sessions_.erase(at);
  }
}

}  // namespace lansync
