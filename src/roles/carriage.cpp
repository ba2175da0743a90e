#include "roles/carriage.h"

#include <algorithm>
#include <utility>

#include "base/assert.h"

namespace lansync {
namespace {

constexpr std::size_t kLane = 0;
constexpr std::size_t kTcp = 1;
constexpr Duration kIdleCheck = 5s;
// After "there is none here" or "closed": not asked for again before.
constexpr Duration kAbsence = 10s;

Via via_of(std::size_t kind) { return kind == kLane ? kViaLane : kViaTcp; }

bool asks_for(CarrierChoice choice, std::size_t kind) {
  if (kind == kTcp) return choice == CarrierChoice::kTcp;
  return choice == CarrierChoice::kAuto || choice == CarrierChoice::kLane;
}

SessionId session_of(const CarrierEvent& event) {
  return std::visit([](const auto& e) { return e.session; }, event);
}

}  // namespace

const char* via_name(Via via) {
  if (via == kViaLane) return "lane";
  return via == kViaTcp ? "tcp" : "enet";
}

std::size_t Carriage::kind_of(const ContentCarrier& carrier) {
  return carrier.kind() == CarrierKind::kTcp ? kTcp : kLane;
}

ContentCarrier* Carriage::carrier(std::size_t kind) const {
  for (ContentCarrier* carrier : carriers_)
    if (kind_of(*carrier) == kind) return carrier;
  return nullptr;
}

Carriage::Line* Carriage::line_of(SessionId session, Via via) {
  auto at = peers_.find(session);
  if (at == peers_.end() || (via != kViaLane && via != kViaTcp)) return nullptr;
  return &at->second.lines[via == kViaLane ? kLane : kTcp];
}

// ---- sessions
// ---------------------------------------------------------------------------------------

void Carriage::session_up(const SessionInfo& session, const SessionKeys* keys,
                          const std::string& name) {
  if (keys == nullptr || carriers_.empty()) return;
  Peer& peer = peers_[session.id];
  peer.address = session.address;
  peer.initiator = session.outgoing;
  peer.keys = *keys;
  peer.name = name;
}

Instant Carriage::last_heard(SessionId session) const {
  auto at = peers_.find(session);
  return at == peers_.end() ? Instant{} : at->second.heard_at;
}

void Carriage::session_down(SessionId session) {
  auto at = peers_.find(session);
  if (at == peers_.end()) return;
  for (std::size_t kind : {kLane, kTcp}) {
    Line& line = at->second.lines[kind];
    if (line.open) close_line(session, line, kind, {});
  }
  peers_.erase(at);
  std::erase_if(messages_, [&](const auto& item) { return item.first == session; });
}

void Carriage::close_line(SessionId session, Line& line, std::size_t kind, Instant not_before) {
  if (line.open) {
    count(line, carrier(kind)->status(session));
    carrier(kind)->close(session);
  }
  line = Line{};
  line.not_before = not_before;
}

void Carriage::say(SessionId session, Line& line, std::size_t kind, bool answer) {
  line.own.emplace();
  random_.fill(*line.own);
  messages_.push_back({session, {kind == kTcp, answer, carrier(kind)->port(), *line.own}});
}

void Carriage::begin_open(SessionId session, Peer& peer, std::size_t kind, Instant now) {
  Line& line = peer.lines[kind];
  if (line.open || line.pending || now < line.not_before || carrier(kind) == nullptr) return;
  say(session, line, kind, false);
  line.pending = true;
  line.opened_at = now;
  line.used_at = now;
}

void Carriage::on_message(SessionId session, const Carrier& message, Instant now) {
  auto at = peers_.find(session);
  const std::size_t kind = message.tcp ? kTcp : kLane;
  if (at == peers_.end() || carrier(kind) == nullptr) {
    if (message.port != 0 && !message.answer)
      messages_.push_back({session, {message.tcp, true, 0, {}}});
    return;
  }
  Line& line = at->second.lines[kind];
  // One that crossed with ours is as good as an answer; an answer that nobody waits for is late.
  if (message.answer && !line.pending) return;
  if (message.port == 0) {
    if (line.pending && !message.answer) return;
    close_line(session, line, kind, now + kAbsence);
    return;
  }
  if (!line.pending) say(session, line, kind, true);
  const CarrierId own = *line.own;
  if (line.open) count(line, carrier(kind)->status(session));
  line = Line{};
  line.own = own;
  line.open = true;
  line.opened_at = now;
  line.used_at = now;
  line.status.state = CarrierState::kProbing;
  line.address = {at->second.address.ip, message.port};
  CarrierPeer peer;
  peer.session = session;
  peer.address = line.address;
  peer.own = own;
  peer.theirs = message.id;
  peer.keys = at->second.keys;
  peer.initiator = at->second.initiator;
  carrier(kind)->open(peer);
  next_idle_check_ = std::min(next_idle_check_, now + kIdleCheck);
}

// ---- the asker
// --------------------------------------------------------------------------------------

void Carriage::want_from(SessionId session, CarrierChoice choice, Instant now) {
  auto at = peers_.find(session);
  if (at == peers_.end()) return;
  for (std::size_t kind : {kLane, kTcp}) {
    if (!asks_for(choice, kind)) continue;
    begin_open(session, at->second, kind, now);
    at->second.lines[kind].used_at = now;
  }
}

void Carriage::stuck(SessionId session, Instant now) {
  auto at = peers_.find(session);
  if (at == peers_.end() || options_.choice != CarrierChoice::kAuto) return;
  const Line& lane = at->second.lines[kLane];
  if (lane.status.state != CarrierState::kBlocked || at->second.lines[kTcp].open) return;
  log_.info(str("nothing comes from ", printable(at->second.name), ": tcp is tried"));
  begin_open(session, at->second, kTcp, now);
}

std::uint64_t Carriage::window(SessionId session) const {
  auto at = peers_.find(session);
  if (at == peers_.end() || options_.choice == CarrierChoice::kEnet) return 0;
  for (const Line& line : at->second.lines)
    if (line.open && line.status.state == CarrierState::kUp) return kCarriedWindow;
  return 0;
}

void Carriage::credit(SessionId session, Via via, std::uint64_t bytes) {
  Line* line = line_of(session, via);
  if (line == nullptr || !line->open) return;
  // Of an opening before this one, whose credit went with it: not to be given again.
  bytes = std::min(bytes, line->uncredited);
  if (bytes == 0) return;
  line->uncredited -= bytes;
  carrier(via == kViaLane ? kLane : kTcp)->credit(session, bytes);
}

// ---- the sender
// -------------------------------------------------------------------------------------

void Carriage::on_request(SessionId session, std::uint32_t transfer, CarrierChoice asked) {
  if (auto at = peers_.find(session); at != peers_.end())
    at->second.outgoing[transfer].asked = asked;
}

// It may still get through: until when is worth waiting.
bool Carriage::waits(const Line& line, Instant now) {
  const bool unclear = line.pending || (line.open && line.status.state == CarrierState::kProbing);
  if (!unclear || now >= line.opened_at + options_.patience) return false;
  wait_until_ = std::min(wait_until_, line.opened_at + options_.patience);
  return true;
}

std::optional<std::size_t> Carriage::choose(SessionId, Peer& peer, CarrierChoice asked, Instant now,
                                            bool& wait) {
  wait = false;
  if (asked == CarrierChoice::kEnet) return std::nullopt;
  auto up = [&](std::size_t kind) {
    return peer.lines[kind].open && peer.lines[kind].status.state == CarrierState::kUp;
  };
  const std::size_t first = asked == CarrierChoice::kTcp ? kTcp : kLane;
  if (up(first)) return first;
  // The asker opens tcp only if it wants it: as its choice, or as the last resort.
  if (asked == CarrierChoice::kAuto && up(kTcp)) return kTcp;
  wait = waits(peer.lines[first], now);
  return std::nullopt;
}

BlockRoute Carriage::route(SessionId session, std::uint32_t transfer, std::size_t bytes,
                           Instant now) {
  auto at = peers_.find(session);
  if (at == peers_.end()) return BlockRoute::kChunks;
  Peer& peer = at->second;
  auto outgoing = peer.outgoing.find(transfer);
  if (outgoing == peer.outgoing.end()) return BlockRoute::kChunks;
  bool wait = false;
  auto kind = choose(session, peer, outgoing->second.asked, now, wait);
  if (!kind) return wait ? BlockRoute::kWait : BlockRoute::kChunks;
  return carrier(*kind)->room(session) >= bytes ? BlockRoute::kBlock : BlockRoute::kWait;
}

Via Carriage::send(SessionId session, std::uint32_t transfer, std::uint64_t first, Bytes data,
                   Instant now) {
  Peer& peer = peers_.at(session);
  Outgoing& outgoing = peer.outgoing.at(transfer);
  bool wait = false;
  auto kind = choose(session, peer, outgoing.asked, now, wait);
  LS_ASSERT(kind.has_value());
  outgoing.on_way += data.size();
  peer.lines[*kind].used_at = now;
  carrier(*kind)->send(session, ContentBlock{transfer, first, std::move(data)});
  return via_of(*kind);
}

bool Carriage::hold_end(SessionId session, const TransferResult& result) {
  auto at = peers_.find(session);
  if (at == peers_.end()) return false;
  auto outgoing = at->second.outgoing.find(result.transfer);
  if (outgoing == at->second.outgoing.end()) return false;
  if (outgoing->second.on_way == 0) {
    at->second.outgoing.erase(outgoing);
    return false;
  }
  outgoing->second.end = result;
  return true;
}

// So many bytes of the transfer have arrived, or have gone out in chunks.
void Carriage::settle(SessionId session, Peer& peer, std::uint32_t transfer, std::uint64_t bytes,
                      News& news) {
  auto outgoing = peer.outgoing.find(transfer);
  if (outgoing == peer.outgoing.end()) return;
  Outgoing& state = outgoing->second;
  LS_ASSERT(state.on_way >= bytes);
  state.on_way -= bytes;
  if (state.on_way > 0 || !state.end) return;
  news.ended.push_back({session, std::move(*state.end)});
  peer.outgoing.erase(outgoing);
}

std::optional<Chunk> Carriage::next_returned(SessionId session) const {
  auto at = peers_.find(session);
  if (at == peers_.end() || at->second.returned.empty()) return std::nullopt;
  const ContentBlock& block = at->second.returned.front();
  const std::size_t from = at->second.returned_bytes;
  const std::size_t bytes = std::min(kChunkBytes, block.data.size() - from);
  return Chunk{block.transfer, block.first + from / kChunkBytes,
               ByteView(block.data).subspan(from, bytes)};
}

void Carriage::returned_sent(SessionId session, News& news) {
  Peer& peer = peers_.at(session);
  const ContentBlock& block = peer.returned.front();
  peer.returned_bytes += std::min(kChunkBytes, block.data.size() - peer.returned_bytes);
  if (peer.returned_bytes < block.data.size()) return;
  const std::uint32_t transfer = block.transfer;
  const std::uint64_t bytes = block.data.size();
  peer.returned.pop_front();
  peer.returned_bytes = 0;
  settle(session, peer, transfer, bytes, news);
}

// ---- what the carriers say
// --------------------------------------------------------------------------

void Carriage::poll(Instant now, News& news) {
  if (now >= wait_until_) wait_until_ = kNever;
  for (ContentCarrier* carrier : carriers_) {
    for (CarrierEvent& event : carrier->take_events())
      take(std::move(event), kind_of(*carrier), now, news);
  }
  if (now >= next_idle_check_) {
    next_idle_check_ = kNever;
    for (auto& [session, peer] : peers_) {
      for (std::size_t kind : {kLane, kTcp}) {
        Line& line = peer.lines[kind];
        if (!line.open) continue;
        if (now - line.used_at >= options_.idle && peer.outgoing.empty() && line.uncredited == 0) {
          messages_.push_back({session, {kind == kTcp, false, 0, {}}});
          close_line(session, line, kind, now);
          news.windows.push_back(session);
        } else {
          next_idle_check_ = now + kIdleCheck;
        }
      }
    }
  }
  for (auto& message : messages_) news.messages.push_back(std::move(message));
  messages_.clear();
}

void Carriage::take(CarrierEvent&& event, std::size_t kind, Instant now, News& news) {
  const SessionId session = session_of(event);
  auto at = peers_.find(session);
  if (at == peers_.end()) return;  // it went down meanwhile, and all that was on its way with it
  Peer& peer = at->second;
  Line& line = peer.lines[kind];
  if (auto* received = std::get_if<BlockReceived>(&event)) {
    line.used_at = peer.heard_at = now;
    line.uncredited += received->block.data.size();
    news.received.push_back(std::move(*received));
    news.received_via.push_back(via_of(kind));
  } else if (const auto* delivered = std::get_if<BlockDelivered>(&event)) {
    line.used_at = peer.heard_at = now;
    settle(session, peer, delivered->transfer, delivered->bytes, news);
  } else if (auto* changed = std::get_if<CarrierChanged>(&event)) {
    on_changed(peer, line, kind, std::move(*changed), news);
  } else if (const auto* broken = std::get_if<CarrierViolation>(&event)) {
    news.violations.push_back({session, broken->what});
  }
}

void Carriage::on_changed(Peer& peer, Line& line, std::size_t kind, CarrierChanged&& event,
                          News& news) {
  for (ContentBlock& block : event.undelivered) peer.returned.push_back(std::move(block));
  news.windows.push_back(event.session);
  // Of an opening that was closed since: its blocks come back all the same.
  if (!line.open) return;
  count(line, event.status);
  const CarrierState before = line.status.state;
  line.status = std::move(event.status);
  if (line.status.state == before) return;
  const char* name = via_name(via_of(kind));
  if (line.status.state == CarrierState::kUp) {
    log_.debug(str("content with ", printable(peer.name), " goes by ", name));
  } else if (line.status.state == CarrierState::kBlocked) {
    log_.warn(str("the ", name, " to ", printable(peer.name), " (", to_string(line.address),
                  ") does not get through: ", line.status.why, "; content goes by enet"));
  }
}

void Carriage::count(Line& line, const CarrierStatus& status) {
  auto add = [](std::uint64_t& total, std::uint64_t& seen, std::uint64_t value) {
    if (value > seen) total += value - seen;
    seen = value;
  };
  add(counters_.bytes_sent, line.seen.bytes_sent, status.bytes_sent);
  add(counters_.bytes_received, line.seen.bytes_received, status.bytes_received);
  add(counters_.chunks_resent, line.seen.chunks_resent, status.chunks_resent);
}

const Carriage::Counters& Carriage::counters() {
  for (auto& [session, peer] : peers_) {
    for (std::size_t kind : {kLane, kTcp}) {
      Line& line = peer.lines[kind];
      if (line.open) count(line, carrier(kind)->status(session));
    }
  }
  return counters_;
}

Instant Carriage::deadline() const { return std::min(wait_until_, next_idle_check_); }

std::vector<Carriage::Trouble> Carriage::troubles() const {
  std::vector<Trouble> out;
  for (const auto& [session, peer] : peers_) {
    for (std::size_t kind : {kLane, kTcp}) {
      const Line& line = peer.lines[kind];
      if (!line.open || line.status.state != CarrierState::kBlocked) continue;
      out.push_back(
          {session, via_of(kind), line.address.port, carrier(kind)->port(), line.status.why});
    }
  }
  return out;
}

std::string Carriage::fallback_reason() const {
  const std::vector<Trouble> all = troubles();
  if (all.empty()) return {};
  const Trouble& first = all.front();
  return str("content with ", printable(peers_.at(first.session).name), " goes by enet: the ",
             via_name(first.via), " does not get through (", first.why,
             "); `lansync doctor` says more");
}

}  // namespace lansync
