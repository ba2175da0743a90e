// EnetEndpoint, its beginnings: dials, the handshake on a fresh connection, and which of two
// sessions to one node stays.
#include <enet/enet.h>

#include <algorithm>
#include <utility>

#include "base/role.h"
#include "transport/endpoint_link.h"

namespace lansync {

namespace {

// M3 is due 5 s after CONNECT (reliability.md §4, Limits).
constexpr Duration kHandshakeTimeout = 5s;
// While guesses are limited strangers come one at a time, and must not keep the place.
constexpr Duration kTightTimeout = 2s;
// Both sides of a session say something each 500 ms. One that was silent for longer may have lost
// its way, and must not keep out the session that comes by another.
constexpr Duration kSilentSession = 600ms;

DialFailure to_dial_failure(HandshakeFailure failure) {
  switch (failure) {
    case HandshakeFailure::kWrongPassword:
      return DialFailure::kWrongPassword;
    case HandshakeFailure::kSelf:
      return DialFailure::kSelf;
    case HandshakeFailure::kIdentity:
      return DialFailure::kIdentity;
    case HandshakeFailure::kProtocol:
    case HandshakeFailure::kMalformed:
      break;
  }
  return DialFailure::kProtocol;
}

}  // namespace

// --- Dials ---

void EnetEndpoint::dial(const Address& address) {
  if (by_address_.contains(address)) return;
  if (!dialer_.start(address)) failed_dials_.push_back({address, DialFailure::kBusy, 0});
  dirty_ = true;
}

void EnetEndpoint::renew(SessionId id) {
  const Link* link = up_link(id);
  if (link == nullptr || !link->info.outgoing) return;
  if (dialer_.start(link->info.address)) dirty_ = true;
}

void EnetEndpoint::set_beacon_key(const BeaconKey& key) { filter_.set_beacon_key(key); }

void EnetEndpoint::service_dials() {
  const auto send = [this](const Address& to, ByteView bytes) { raw_send(to, bytes); };
  while (auto event = filter_.take_dial_event()) {
    if (event->kind == DialEvent::Kind::kSelf) {
      if (!dialer_.contains(event->address)) continue;
      dialer_.remove(event->address);
      failed_dials_.push_back({event->address, DialFailure::kSelf, 0});
    } else if (dialer_.on_event(*event, send, now_)) {
      connect(event->address);
    }
  }
  for (const Dialer::Over& over : dialer_.service(now_, send)) {
    auto it = by_dial_.find(over.address);
    if (it == by_dial_.end()) {
      failed_dials_.push_back({over.address, over.failure, 0});
    } else {
      end_handshake(*links_.at(it->second), over.failure, EndCode::kClosed);
    }
  }
}

void EnetEndpoint::connect(const Address& address) {
  if (by_dial_.contains(address)) return;  // busy, asked again: ENet is still at the first
  fit_peer_count(host_, options_.max_peers);
  // The connection's id keeps others from forging its datagrams; ENet would just count on from the
  // time of its start (E4).
  host_->randomSeed = static_cast<enet_uint32>(random_->next());
  ENetAddress to{};
  to_enet(address, &to);
  ENetPeer* peer = enet_host_connect(host_, &to, kChannelCount, 0);
  if (peer == nullptr) {
    dialer_.remove(address);
    failed_dials_.push_back({address, DialFailure::kBusy, 0});
    return;
  }
  hasten_connect(peer);
  filter_.expect_answer(address, now_);
  Link& link = add_link(peer, address, true);
  by_dial_[address] = link.info.id;
  dirty_ = true;
}

EnetEndpoint::Link& EnetEndpoint::add_link(ENetPeer* peer, const Address& address, bool outgoing) {
  auto link = std::make_unique<Link>(pool_);
  link->peer = peer;
  link->self = node_id_of(options_.signer.public_key());
  link->self_boot = options_.boot;
  link->info.id = next_id_++;
  link->info.address = address;
  link->info.outgoing = outgoing;
  link->heard = now_;
  HandshakeConfig config{
      options_.signer, options_.boot, options_.group, options_.key, offered_suites(options_.aes),
      options_.version};
  link->handshake =
      std::make_unique<Handshake>(outgoing ? HandshakeRole::kInitiator : HandshakeRole::kResponder,
                                  std::move(config), *random_);
  peer->data = link.get();
  return *links_.emplace(link->info.id, std::move(link)).first->second;
}

// --- Handshake ---

void EnetEndpoint::on_dial_connected(Link& link) {
  tune_peer(link.peer);
  dialer_.connected(link.info.address);
  link.stage = Link::Stage::kHandshake;
  link.due = now_ + kHandshakeTimeout;
  if (!budget_.admit_dial(link.info.address.ip, now_)) {
    end_handshake(link, DialFailure::kBusy, EndCode::kClosed);
    return;
  }
  queue_plain(link, link.handshake->start());
}

void EnetEndpoint::on_accepted(ENetPeer* peer) {
  tune_peer(peer);
  const Address address = from_enet(peer->address);
  Link& link = add_link(peer, address, false);
  link.stage = Link::Stage::kHandshake;
  link.member = filter_.proven_member(address, now_);
  const bool tight = !link.member && budget_.tight(now_);
  link.due = now_ + (tight ? kTightTimeout : kHandshakeTimeout);
}

// Of M3 the responder learns whether the other has the password, and the other by its answer; of M3
// again, which M2 makes us send, the responder that we dialled. From there on it is a guess.
bool EnetEndpoint::may_judge(Link& link, ByteView message) {
  constexpr std::uint8_t kM2 = 2;
  constexpr std::uint8_t kM3 = 3;
  if (link.member || link.charged || message.empty()) return true;
  if (message[0] != (link.info.outgoing ? kM2 : kM3)) return true;
  link.charged = budget_.judge(link.info.address.ip, link.info.outgoing, now_);
  return link.charged;
}

void EnetEndpoint::on_handshake_message(Link& link, ByteView message) {
  if (!may_judge(link, message)) {
    end_handshake(link, DialFailure::kBusy, EndCode::kBusy);
    return;
  }
  Handshake::Step step = link.handshake->on_message(message);
  if (step.failure) {
    if (step.send) queue_plain(link, *step.send);
    on_handshake_failed(link, *step.failure, step.send.has_value());
    return;
  }
  if (step.send) queue_plain(link, *step.send);
  if (step.agreed) on_agreed(link);
}

void EnetEndpoint::on_handshake_failed(Link& link, HandshakeFailure failure, bool has_last_word) {
  const int version = link.handshake->peer_version();
  if (failure == HandshakeFailure::kWrongPassword) ++counters_.auth_failures;
  if (failure == HandshakeFailure::kMalformed) ++rejected_;
  const DialFailure told = to_dial_failure(failure);
  auto code = EndCode::kProtocol;
  if (told == DialFailure::kWrongPassword) code = EndCode::kWrongPassword;
  if (told == DialFailure::kSelf) code = EndCode::kSelf;
  if (told == DialFailure::kIdentity) code = EndCode::kIdentity;
  if (!has_last_word) {
    end_handshake(link, told, code, version);
    return;
  }
  // It has to arrive: then as close() does it.
  settle_charge(link, false);
  tell_failure(link, told, version);
  unindex(link);
  link.stage = Link::Stage::kClosing;
  link.due = kNever;
  link.end_code = code;
  dirty_ = true;
}

// The password is proven; who the other side is comes in its first record.
void EnetEndpoint::on_agreed(Link& link) {
  link.sealer = std::make_unique<Sealer>(link.handshake->keys(), link.info.outgoing);
  if (options_.on_keylog) options_.on_keylog(keylog_line(link.handshake->keys()));
  if (link.info.outgoing) send_proof(link);
}

void EnetEndpoint::send_proof(Link& link) {
  const Signature proof = link.handshake->proof();
  seal_and_queue(link, Channel::kHandshake, proof.bytes);
  dirty_ = true;
}

void EnetEndpoint::on_proof(Link& link, std::uint8_t channel, std::span<std::uint8_t> bytes) {
  // Opened where it stands, like any record.
  const auto plain = bytes.first(bytes.size() - std::min(bytes.size(), kSealOverhead));
  if (bytes.size() < kSealOverhead ||
      !link.sealer->open_into(static_cast<Channel>(channel), bytes, plain)) {
    break_off(link, "a record that does not open");
    return;
  }
  if (auto failure = link.handshake->on_proof(plain)) {
    on_handshake_failed(link, *failure, false);
    return;
  }
  settle_charge(link, true);
  link.info.key = link.handshake->peer_key();
  link.info.node = link.handshake->peer_node();
  link.info.boot = link.handshake->peer_boot();
  // Before our proof goes out: the other side must not take for up what ends here.
  if (!link.info.outgoing && yields_to_other(link)) return;
  filter_.on_authenticated(link.info.address);
  link.authenticated = true;
  link.heard = now_;
  if (link.info.outgoing) {
    session_up(link);
  } else {
    // Channels are not ordered among each other: a record on another one could overtake the proof.
    // So nothing more is sent, and nobody told, before it is acknowledged.
    send_proof(link);
    link.stage = Link::Stage::kConfirmed;
  }
}

// --- Two sessions to one node ---

// True: there is a session to that node which stays, and `link` was ended. The session that the
// lower node id opened stays, so that both sides choose the same; of two that one side opened, the
// later.
bool EnetEndpoint::yields_to_other(Link& link) {
  auto it = by_node_.find({link.info.node, link.info.boot});
  if (it == by_node_.end()) return false;
  const Link& other = *links_.at(it->second);
  const bool stays = now_ - other.heard < kSilentSession &&
                     other.info.outgoing != link.info.outgoing && other.opener() < link.opener();
  if (!stays) return false;
  settle_charge(link, true);  // it proved the password
  if (link.info.outgoing) dialer_.remove(link.info.address);
  bury(link, EndCode::kReplaced);
  return true;
}

// False: `link` was ended in favour of another, or by the callback.
bool EnetEndpoint::session_up(Link& link) {
  if (yields_to_other(link)) return false;
  auto it = by_node_.find({link.info.node, link.info.boot});
  if (it != by_node_.end())
    end_session(*links_.at(it->second), CloseReason::kReplaced, EndCode::kReplaced);
  if (link.info.outgoing) {
    dialer_.remove(link.info.address);
    by_dial_.erase(link.info.address);
  } else {
    drop_dials_to(link);
  }
  link.stage = Link::Stage::kUp;
  by_node_[{link.info.node, link.info.boot}] = link.info.id;
  by_address_[link.info.address] = link.info.id;
  report();
  const SessionId id = link.info.id;
  events_->on_session_up(link.info);
  report();
  return up_link(id) != nullptr;
}

// Our own dial to who has just come to us: ended in silence, on_session_up has answered it. If ours
// is the one that will stay (our id is the lower) and the other side may have seen its M1 already,
// it goes on and replaces this one on both sides.
void EnetEndpoint::drop_dials_to(const Link& link) {
  auto it = by_dial_.find(link.info.address);
  if (it == by_dial_.end()) {
    dialer_.remove(link.info.address);
    return;
  }
  Link& own = *links_.at(it->second);
  if (own.stage == Link::Stage::kHandshake && own.opener() < link.opener()) return;
  settle_charge(own, true);
  dialer_.remove(link.info.address);
  bury(own, EndCode::kReplaced);
}

// --- Ends of handshakes ---

void EnetEndpoint::settle_charge(Link& link, bool good) {
  const std::uint32_t ip = link.info.address.ip;
  if (!std::exchange(link.charged, false)) {
    if (!good && !link.info.outgoing && !link.member) budget_.wasted(ip, now_);
    return;
  }
  if (good) {
    budget_.succeeded(ip, link.info.outgoing, now_);
    return;
  }
  if (budget_.failed(ip, link.info.outgoing, now_))
    log_->warn(str(budget_.failures(),
                   " handshakes have failed: somebody may be guessing the group's password; last ",
                   to_string(link.info.address)));
}

void EnetEndpoint::end_handshake(Link& link, DialFailure failure, EndCode code, int version) {
  settle_charge(link, false);
  tell_failure(link, failure, version);
  const auto data = static_cast<std::uint32_t>(code) |
                    (code == EndCode::kProtocol ? std::uint32_t{options_.version} << 8 : 0U);
  bury(link, static_cast<EndCode>(data));
}

void EnetEndpoint::tell_failure(const Link& link, DialFailure failure, int version) {
  if (link.info.outgoing) {
    dialer_.remove(link.info.address);
    failed_dials_.push_back({link.info.address, failure, version});
    return;
  }
  std::uint64_t suppressed = 0;
  if (refusal_limit_.allow(to_string(link.info.address), now_, suppressed))
    refusals_.push_back({link.info.address, failure, version});
}

// The other side ended it before it was up.
void EnetEndpoint::on_handshake_refused(Link& link, EndCode code, int version) {
  if (code == EndCode::kReplaced) {
    // Another session to that node stays. It may not be up here yet (its proof is on the way): then
    // the dial waits for it, and fails at its time limit if it does not come.
    settle_charge(link, true);
    if (by_address_.contains(link.info.address)) dialer_.remove(link.info.address);
    bury(link, EndCode::kClosed);
    return;
  }
  auto failure = DialFailure::kNoHandshake;
  switch (code) {
    case EndCode::kTimeout:
      break;
    case EndCode::kBusy:
      failure = DialFailure::kBusy;
      break;
    case EndCode::kProtocol:
      failure = DialFailure::kProtocol;
      break;
    case EndCode::kSelf:
      failure = DialFailure::kSelf;
      break;
    case EndCode::kIdentity:
      failure = DialFailure::kIdentity;
      break;
    default:
      // M3 was not to its taste.
      if (link.handshake->awaits_confirmation()) failure = DialFailure::kWrongPassword;
      break;
  }
  if (failure == DialFailure::kWrongPassword) ++counters_.auth_failures;
  end_handshake(link, failure, EndCode::kClosed, version);
}

// --- Sealing ---

void EnetEndpoint::queue_plain(Link& link, ByteView bytes) {
  auto node = link.queue.make(bytes.size());
  std::copy(bytes.begin(), bytes.end(), node->bytes.begin());
  link.queue.push(Channel::kHandshake, std::move(node));
  dirty_ = true;
}

void EnetEndpoint::seal_and_queue(Link& link, Channel channel, ByteView bytes) {
  auto node = link.queue.make(bytes.size() + kSealOverhead);
  link.sealer->seal_into(channel, bytes, std::span(node->bytes).first(node->size));
  link.queue.push(channel, std::move(node));
}

}  // namespace lansync
