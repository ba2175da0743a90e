#include "transport/enet_endpoint.h"

#include <enet/enet.h>

#include <algorithm>
#include <cerrno>

#include "base/assert.h"
#include "transport/endpoint_link.h"

namespace lansync {

namespace {

// A CONNECT that is never followed by an ACK keeps its peer for 32 s otherwise (E3).
constexpr Duration kAcceptTimeout = 3s;
constexpr Duration kSweepInterval = 500ms;
constexpr Duration kLinger = 200ms;  // session.h, close()
// While something is in flight: ENet's timers have a resolution of 1 ms, and a resend that is 3 ms
// late costs less than waking up each millisecond.
constexpr Duration kBusyInterval = 3ms;
constexpr Duration kIdleInterval = 250ms;
// One service() reads at most 8 * 256 datagrams before the loop gets its turn.
constexpr int kMaxPasses = 8;
// Each oversized datagram and each failed send ends one of ENet's passes (E1, E2). This many in a
// row and the rest waits for the next service().
constexpr int kMaxFailures = 256;

// ENet's callbacks carry the host and nothing else.
std::map<ENetHost*, EnetEndpoint*>& endpoints() {
  static std::map<ENetHost*, EnetEndpoint*> all;
  return all;
}

}  // namespace

Result<std::unique_ptr<EnetEndpoint>> EnetEndpoint::open(const EndpointOptions& options,
                                                         SessionEvents& events,
                                                         RandomSource& random, Log& log) {
  ENetAddress address{};
  to_enet({options.bind_ip, options.port}, &address);
  errno = 0;
  ENetHost* host = enet_host_create(&address, options.max_peers, kChannelCount, 0, 0);
  if (host == nullptr) {
    const ErrorCode code = errno == EADDRINUSE ? ErrorCode::kBusy : ErrorCode::kIo;
    return Error{code,
                 str("cannot open UDP port ", options.port, " on ", ip_to_string(options.bind_ip),
                     code == ErrorCode::kBusy ? ": it is in use" : ": the system refused it")};
  }
  tune_host(host, options.max_peers);
  if (options.on_socket) options.on_socket(host->socket);
  auto endpoint =
      std::unique_ptr<EnetEndpoint>(new EnetEndpoint(options, host, events, random, log));
  endpoints()[host] = endpoint.get();
  host->intercept = [](ENetHost* which, ENetEvent*) {
    return endpoints().at(which)->on_datagram() ? 0 : 1;
  };
  return endpoint;
}

EnetEndpoint::EnetEndpoint(const EndpointOptions& options, ENetHost* host, SessionEvents& events,
                           RandomSource& random, Log& log)
    : options_(options),
      host_(host),
      events_(&events),
      random_(&random),
      log_(&log),
      filter_(random),
      dialer_(filter_, random) {
  filter_.set_budget(budget_);
}

EnetEndpoint::~EnetEndpoint() {
  endpoints().erase(host_);
  show_all_peers(host_, options_.max_peers);
  enet_host_destroy(host_);  // frees the packets, which the links' queues count
}

int EnetEndpoint::socket_fd() const { return host_->socket; }
std::uint16_t EnetEndpoint::port() const { return host_->address.port; }

// --- Driving ---

void EnetEndpoint::service(Instant now) {
  now_ = now;
  dirty_ = false;
  report();
  run_host();
  service_dials();
  service_links();
  sweep_half_open();
  report();
  graveyard_.clear();
  count();
  if (dirty_) flush();
}

Duration EnetEndpoint::take_rest() {
  const std::int64_t refused = std::exchange(refused_, 0);
  const bool busy = std::exchange(passed_, 0) >= refused;
  const Duration rest = flood_.after(refused, now_);
  return busy ? Duration{0} : rest;
}

void EnetEndpoint::run_host() {
  int failures = 0;
  for (int pass = 0; pass < kMaxPasses; ++pass) {
    pump_all();
    fit_peer_count(host_, options_.max_peers);
    // ENet would tell every peer its bandwidth limits after each connect and disconnect, half-open
    // ones too, whose filters have to drop that. There are no limits to tell.
    host_->recalculateBandwidthLimits = 0;
    // With an event to fill, a CONNECT that is complete makes the peer connected at once; without,
    // only drain() would, and ENet drops the M1 that came in the same datagram.
    ENetEvent event;
    const int got = enet_host_service(host_, &event, 0);
    if (got > 0) on_event(event);
    const bool any = drain() || got > 0;
    const bool failed = got < 0;
    if (failed) {
      note_failure();
      if (++failures >= kMaxFailures) break;
      --pass;  // one datagram, not 256: the pass was cut short
      continue;
    }
    if (!any) break;
  }
}

bool EnetEndpoint::drain() {
  bool any = false;
  ENetEvent event;
  while (enet_host_check_events(host_, &event) > 0) {
    any = true;
    on_event(event);
  }
  return any;
}

void EnetEndpoint::on_event(ENetEvent& event) {
  auto* link = static_cast<Link*>(event.peer->data);
  switch (event.type) {
    case ENET_EVENT_TYPE_CONNECT:
      if (link != nullptr) {
        on_dial_connected(*link);
      } else {
        on_accepted(event.peer);
      }
      break;
    case ENET_EVENT_TYPE_DISCONNECT:
      if (link != nullptr) on_disconnected(*link, event.data);
      break;
    case ENET_EVENT_TYPE_RECEIVE:
      if (link != nullptr) {
        on_received(*link, event.channelID, {event.packet->data, event.packet->dataLength});
      } else {
        ++rejected_;
      }
      enet_packet_destroy(event.packet);
      break;
    case ENET_EVENT_TYPE_NONE:
      break;
  }
}

void EnetEndpoint::on_received(Link& link, std::uint8_t channel, std::span<std::uint8_t> bytes) {
  if (link.stage == Link::Stage::kClosing) return;  // we said that we are not listening
  if (link.stage == Link::Stage::kHandshake) {
    if (channel != static_cast<std::uint8_t>(Channel::kHandshake)) {
      break_off(link, "a record before its time");
      return;
    }
    if (link.sealer) {
      on_proof(link, channel, bytes);
    } else {
      on_handshake_message(link, bytes);
    }
    return;
  }
  // Opened where it stands: the packet is ours until it is destroyed.
  if (bytes.size() < kSealOverhead || channel >= kChannelCount ||
      !link.sealer->open_into(static_cast<Channel>(channel), bytes,
                              bytes.first(bytes.size() - kSealOverhead))) {
    break_off(link, "a record that does not open");
    return;
  }
  link.heard = now_;
  // Who sends more has our proof, whether or not its acknowledgement came through.
  if (link.stage == Link::Stage::kConfirmed && !session_up(link)) return;
  events_->on_packet(link.info.id, static_cast<Channel>(channel),
                     bytes.first(bytes.size() - kSealOverhead));
  // In order: what the callback ended is told before anything else is.
  report();
}

void EnetEndpoint::pump_all() {
  for (auto& [id, link] : links_) {
    if (link->peer->state != ENET_PEER_STATE_CONNECTED) continue;
    keep_open(link->peer);
    link->queue.pump(link->peer, now_);
  }
}

void EnetEndpoint::flush() {
  pump_all();
  dirty_ = false;
  enet_host_flush(host_);
  count();
}

Instant EnetEndpoint::deadline() const {
  if (dirty_ || !downs_.empty() || !failed_dials_.empty() || !refusals_.empty()) return now_;
  Instant next = std::min(now_ + kIdleInterval, dialer_.deadline());
  for (const auto& [id, link] : links_) {
    if (link->stage != Link::Stage::kUp || !link->queue.empty()) return now_ + kBusyInterval;
  }
  return next;
}

bool EnetEndpoint::idle() const {
  return std::all_of(links_.begin(), links_.end(), [](const auto& item) {
    return item.second->stage != Link::Stage::kClosing && item.second->queue.empty();
  });
}

void EnetEndpoint::count() {
  // ENet's own counts are 32 bits wide.
  counters_.bytes_sent += std::exchange(host_->totalSentData, 0U);
  counters_.bytes_received += std::exchange(host_->totalReceivedData, 0U);
  counters_.rejected = rejected_ + filter_.counters().rejected;
}

void EnetEndpoint::note_failure() {
  const int error = errno;
  ++rejected_;
  std::uint64_t suppressed = 0;
  if (log_limit_.allow("enet", now_, suppressed))
    log_->warn(str("a datagram could not be sent or was too large (errno ", error, "); ",
                   suppressed, " more since the last such line"));
}

// ENet has a datagram in its hands and asks whether to look at it.
bool EnetEndpoint::on_datagram() {
  const Address from = from_enet(host_->receivedAddress);
  const ByteView datagram(host_->receivedData, host_->receivedDataLength);
  const FilterVerdict verdict = filter_.inspect(from, datagram, now_);
  if (verdict.action == FilterAction::kReply) raw_send(from, verdict.reply);
  ++(verdict.action == FilterAction::kPass ? passed_ : refused_);
  if (verdict.action != FilterAction::kPass) return false;
  // "No peer" in the header: a CONNECT.
  if ((datagram[0] & 0x0F) == 0x0F && datagram[1] == 0xFF) hasten_next_accept(host_);
  return true;
}

void EnetEndpoint::raw_send(const Address& to, ByteView bytes) {
  ENetAddress address{};
  to_enet(to, &address);
  ENetBuffer buffer{};
  buffer.data = const_cast<std::uint8_t*>(bytes.data());
  buffer.dataLength = bytes.size();
  const int sent = enet_socket_send(host_->socket, &address, &buffer, 1);
  if (sent < 0) {
    note_failure();
  } else {
    counters_.bytes_sent += static_cast<std::uint64_t>(sent);
  }
}

// --- Timers ---

void EnetEndpoint::service_links() {
  // Chosen first: what is done for one link may end any other.
  attention_.clear();
  for (const auto& [id, link] : links_) {
    if (link->stage != Link::Stage::kUp || link->queue.backlog_bytes() > kMaxBacklogBytes)
      attention_.push_back(id);
  }
  for (SessionId id : attention_) {
    auto it = links_.find(id);
    if (it != links_.end()) service_link(*it->second);
    report();
  }
}

void EnetEndpoint::service_link(Link& link) {
  switch (link.stage) {
    case Link::Stage::kConnecting:
      break;  // the dial's own time limit
    case Link::Stage::kHandshake:
      if (now_ >= link.due) end_handshake(link, DialFailure::kNoHandshake, EndCode::kViolation);
      break;
    case Link::Stage::kConfirmed:
      if (link.queue.empty()) {
        session_up(link);
      } else if (now_ >= link.due) {
        end_handshake(link, DialFailure::kNoHandshake, EndCode::kViolation);
      }
      break;
    case Link::Stage::kUp:
      if (link.queue.backlog_bytes() > kMaxBacklogBytes)
        end_session(link, CloseReason::kTimeout, EndCode::kClosed);
      break;
    case Link::Stage::kClosing:
      service_closing(link);
      break;
  }
}

void EnetEndpoint::service_closing(Link& link) {
  if (link.due == kNever) link.due = now_ + kLinger;
  if (now_ >= link.due) {
    bury(link, link.end_code);
    return;
  }
  if (link.queue.backlog_bytes() == 0 && link.peer->state == ENET_PEER_STATE_CONNECTED) {
    // DISCONNECT goes out once everything is acknowledged.
    enet_peer_disconnect_later(link.peer, static_cast<enet_uint32>(link.end_code));
    dirty_ = true;
  }
}

void EnetEndpoint::sweep_half_open() {
  if (now_ < next_sweep_) return;
  next_sweep_ = now_ + kSweepInterval;
  half_open_since_.resize(options_.max_peers, kNever);
  for (std::size_t i = 0; i < half_open_since_.size(); ++i) {
    ENetPeer& peer = host_->peers[i];
    if (peer.state != ENET_PEER_STATE_ACKNOWLEDGING_CONNECT) {
      half_open_since_[i] = kNever;
    } else if (half_open_since_[i] == kNever) {
      half_open_since_[i] = now_;
    } else if (now_ - half_open_since_[i] > kAcceptTimeout) {
      enet_peer_reset(&peer);
      half_open_since_[i] = kNever;
    }
  }
}

// --- Ends ---

// Takes a link out of every table, and its peer away from ENet. The object lives until the end of
// service(): callers up the stack still hold it.
void EnetEndpoint::bury(Link& link, EndCode code) {
  ENetPeer* peer = link.peer;
  link.queue.drop_backlog();
  peer->data = nullptr;
  enet_peer_disconnect_now(peer, static_cast<enet_uint32>(code));
  filter_.on_closed(link.info.address, link.authenticated, now_);
  unindex(link);
  auto it = links_.find(link.info.id);
  LS_ASSERT(it != links_.end());
  graveyard_.push_back(std::move(it->second));
  links_.erase(it);
}

void EnetEndpoint::unindex(const Link& link) {
  auto node = by_node_.find({link.info.node, link.info.boot});
  if (node != by_node_.end() && node->second == link.info.id) by_node_.erase(node);
  auto address = by_address_.find(link.info.address);
  if (address != by_address_.end() && address->second == link.info.id) by_address_.erase(address);
  auto dial = by_dial_.find(link.info.address);
  if (dial != by_dial_.end() && dial->second == link.info.id) by_dial_.erase(dial);
}

void EnetEndpoint::end_session(Link& link, CloseReason reason, EndCode code) {
  LS_ASSERT(link.stage == Link::Stage::kUp);
  downs_.emplace_back(link.info.id, reason);
  bury(link, code);
}

void EnetEndpoint::on_disconnected(Link& link, std::uint32_t data) {
  const auto code = static_cast<EndCode>(data & 0xFF);
  switch (link.stage) {
    case Link::Stage::kConnecting:
    case Link::Stage::kHandshake:
    case Link::Stage::kConfirmed:
      on_handshake_refused(link, code, static_cast<int>(data >> 8 & 0xFF));
      break;
    case Link::Stage::kUp:
      end_session(link,
                  code == EndCode::kTimeout    ? CloseReason::kTimeout
                  : code == EndCode::kReplaced ? CloseReason::kReplaced
                                               : CloseReason::kRemote,
                  EndCode::kClosed);
      break;
    case Link::Stage::kClosing:
      bury(link, EndCode::kClosed);
      break;
  }
}

void EnetEndpoint::break_off(Link& link, std::string_view what) {
  ++rejected_;
  std::uint64_t suppressed = 0;
  if (log_limit_.allow(to_string(link.info.address), now_, suppressed))
    log_->warn(str(to_string(link.info.address), " broke the rules: ", printable(what, 200), "; ",
                   suppressed, " more since the last such line"));
  if (link.stage == Link::Stage::kUp) {
    end_session(link, CloseReason::kPeerViolation, EndCode::kViolation);
  } else {
    end_handshake(link, DialFailure::kProtocol, EndCode::kViolation);
  }
}

void EnetEndpoint::report() {
  // A callback may end further sessions, or dial.
  while (!downs_.empty() || !failed_dials_.empty() || !refusals_.empty()) {
    if (!downs_.empty()) {
      const auto [id, reason] = downs_.front();
      downs_.pop_front();
      events_->on_session_down(id, reason);
    } else if (!failed_dials_.empty()) {
      const Refusal failed = failed_dials_.front();
      failed_dials_.pop_front();
      events_->on_dial_failed(failed.address, failed.failure, failed.version);
    } else {
      const Refusal refused = refusals_.front();
      refusals_.pop_front();
      events_->on_refused(refused.address, refused.failure, refused.version);
    }
  }
}

// --- SessionTransport ---

EnetEndpoint::Link* EnetEndpoint::up_link(SessionId id) const {
  auto it = links_.find(id);
  return it != links_.end() && it->second->stage == Link::Stage::kUp ? it->second.get() : nullptr;
}

bool EnetEndpoint::send(SessionId id, Channel channel, ByteView bytes) {
  Link* link = up_link(id);
  if (link == nullptr || bytes.size() > kMaxMessageBytes) return false;
  seal_and_queue(*link, channel, bytes);
  dirty_ = true;
  return true;
}

std::size_t EnetEndpoint::queued(SessionId id) const {
  Link* link = up_link(id);
  return link == nullptr ? 0 : link->queue.packets();
}

void EnetEndpoint::close(SessionId id) {
  Link* link = up_link(id);
  if (link == nullptr) return;
  unindex(*link);
  link->stage = Link::Stage::kClosing;
  link->due = kNever;  // set by service(), which knows the time
  downs_.emplace_back(id, CloseReason::kLocal);
  dirty_ = true;
}

void EnetEndpoint::violation(SessionId id, std::string_view what) {
  Link* link = up_link(id);
  if (link == nullptr) return;
  break_off(*link, what);
  dirty_ = true;
}

Instant EnetEndpoint::last_heard(SessionId id) const {
  Link* link = up_link(id);
  return link == nullptr ? Instant{} : link->heard;
}

const SessionKeys* EnetEndpoint::session_keys(SessionId id) const {
  Link* link = up_link(id);
  return link == nullptr ? nullptr : &link->handshake->keys();
}

std::uint32_t EnetEndpoint::rtt_ms(SessionId id) const {
  Link* link = up_link(id);
  return link == nullptr ? 0 : link->peer->roundTripTime;
}

}  // namespace lansync
