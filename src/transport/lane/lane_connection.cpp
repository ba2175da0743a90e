#include "transport/lane/lane_connection.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "base/assert.h"
#include "base/log.h"
#include "transport/lane/lane_packet.h"
#include "transport/lane/lane_receiver.h"
#include "transport/lane/lane_sealer.h"
#include "transport/lane/lane_sender.h"

namespace lansync {
namespace {

constexpr Duration kSilence = 1s;  // without progress, until it counts as blocked
constexpr Duration kFirstProbeGap = 20ms;
constexpr Duration kProbeGapInRound = 100ms;
constexpr Duration kHeardProbeGap = 50ms;
constexpr int kProbesInRound = 3;
constexpr Duration kFirstRound = 1s;
constexpr Duration kLastRound = 60s;
// While something waits we ask to be called each 250 ms at the latest: a longer pause means that
// we, not the path, stood still.
constexpr Duration kStoodStill = 600ms;
constexpr Duration kReportAfter = 1ms;
constexpr Duration kReportGap = 250us;  // between reports of few packets
constexpr int kReportPackets = 64;
constexpr int kReportFewPackets = 16;
constexpr std::uint64_t kReportCredit = 512 * 1024;
constexpr Duration kMaxProbeTimeout = 250ms;
constexpr int kMaxBackoff = 6;
constexpr std::uint64_t kFullDatagram = kLaneMaxDatagram;
constexpr std::int64_t kCatchUpUs = 2000;

std::int64_t in_us(Instant at) { return at.time_since_epoch().count(); }
Instant from_us(std::int64_t us) { return Instant(Duration(us)); }

std::uint32_t first_four(ByteView bytes) {
  return static_cast<std::uint32_t>(bytes[0]) << 24 | static_cast<std::uint32_t>(bytes[1]) << 16 |
         static_cast<std::uint32_t>(bytes[2]) << 8 | bytes[3];
}

}  // namespace

struct LaneConnection::State {
  State(const CarrierPeer& which, Instant now)
      : peer(which),
        sealer(which.keys.suite, lane_key(which.keys, which.initiator, which.own), which.own),
        opener(which.keys.suite, lane_key(which.keys, !which.initiator, which.theirs)),
        since(now),
        probe_at(now),
        last_turn(now) {}

  CarrierPeer peer;
  LaneSealer sealer;
  LaneOpener opener;
  LaneNumbers numbers;
  LaneAssembler assembler;
  LaneSender sender;
  std::vector<CarrierEvent> events;
  std::vector<LaneSender::Delivered> delivered;
  LaneReport outgoing;
  LaneReport incoming;

  CarrierState state = CarrierState::kProbing;
  std::string why;
  bool broken = false;  // the peer broke a rule: nothing more goes out or in
  Instant since;        // of the state, or of this round of probes
  bool heard = false;   // since then
  int send_error = 0;   // the last one, since then
  Instant probe_at;     // kNever: none is due
  Duration probe_gap = kFirstProbeGap;
  Duration round_gap = kFirstRound;
  int probes_left = 0;                // of this round, while blocked
  std::optional<Instant> last_probe;  // none yet: a difference from the least Instant overflows

  // Reports.
  bool report_now = false;
  Instant report_at = kNever;
  Instant last_report{};
  int unreported = 0;
  Instant largest_at{};
  std::uint64_t told_limit = 0;

  // Progress and probe timeouts, while up.
  Instant last_turn;
  Instant waiting_since = kNever;
  Instant quiet_since{};  // the last packet that asks for a report, or report
  int backoff = 0;
  int probes_due = 0;
  std::int64_t next_send_us = 0;
  std::size_t last_burst = 0;
  std::uint64_t bytes_sent = 0;
  std::uint64_t bytes_received = 0;
  std::uint64_t dropped = 0;

  void change(CarrierState next, std::vector<ContentBlock> undelivered);
  void go_up(Instant now);
  void go_blocked(Instant now);
  std::string blocked_text() const;
  void violate(std::string what);
  void turn(Instant now);
  void turn_probing(Instant now);
  void turn_up(Instant now);
  Duration probe_timeout() const;
  Instant probe_timeout_at() const;
  std::size_t allowance(Instant now);
  bool pace_open() const;
  std::uint64_t emit(std::span<std::uint8_t> datagram);
  void emit_report(Instant now, LaneBurst& out);
  void emit_probes(Instant now, LaneBurst& out, std::size_t count);
  bool emit_data(Instant now, LaneBurst& out, std::size_t count);
  void on_body(ByteView body, std::uint64_t number, Instant now);
  void on_report(Instant now);
  CarrierStatus status() const;
};

// --- states

CarrierStatus LaneConnection::State::status() const {
  CarrierStatus out;
  out.state = state;
  out.why = why;
  out.rate = static_cast<std::uint64_t>(sender.rate().delivery_rate() * 1e6);
  out.rtt_us = static_cast<std::uint32_t>(
      std::clamp<std::int64_t>(sender.rate().smoothed_rtt_us(), 0, 0xffffffff));
  out.chunks_resent = sender.resent();
  out.bytes_sent = bytes_sent;
  out.bytes_received = bytes_received;
  return out;
}

void LaneConnection::State::change(CarrierState next, std::vector<ContentBlock> undelivered) {
  state = next;
  events.push_back(CarrierChanged{peer.session, status(), std::move(undelivered)});
}

void LaneConnection::State::go_up(Instant now) {
  why.clear();
  probe_at = kNever;
  probes_left = 0;
  round_gap = kFirstRound;
  backoff = 0;
  send_error = 0;
  waiting_since = sender.waiting() ? now : kNever;
  change(CarrierState::kUp, {});
}

std::string LaneConnection::State::blocked_text() const {
  std::string port = str("UDP port ", peer.address.port);
  if (send_error == EMSGSIZE)
    return str("datagrams of ", kFullDatagram, " bytes do not fit into the path's MTU");
  if (send_error == EPERM || send_error == EACCES)
    return str("this machine's firewall refuses to send to ", port);
  if (!heard) return str("nothing is heard from there: a firewall may drop ", port);
  return str("they are heard, but what is sent to them does not arrive: a firewall there may drop ",
             port);
}

void LaneConnection::State::go_blocked(Instant now) {
  why = blocked_text();
  std::vector<ContentBlock> undelivered = sender.give_up();
  if (state == CarrierState::kBlocked) {
    LS_ASSERT(undelivered.empty());
  } else {
    round_gap = kFirstRound;
    change(CarrierState::kBlocked, std::move(undelivered));
  }
  since = now;
  waiting_since = kNever;
  probes_due = 0;
  probes_left = kProbesInRound;
  probe_at = now + round_gap;
}

void LaneConnection::State::violate(std::string what) {
  if (broken) return;
  broken = true;
  events.push_back(CarrierViolation{peer.session, std::move(what)});
}

// --- time

Duration LaneConnection::State::probe_timeout() const {
  const LaneRate& rate = sender.rate();
  Duration base = 50ms;
  if (rate.smoothed_rtt_us() > 0)
    base = std::max<Duration>(
        Duration(rate.smoothed_rtt_us() + 4 * rate.rtt_variation_us()) + 3 * kReportAfter, 5ms);
  return std::min<Duration>(base * (1 << backoff), kMaxProbeTimeout);
}

Instant LaneConnection::State::probe_timeout_at() const {
  return sender.waiting() && probes_due == 0 ? quiet_since + probe_timeout() : kNever;
}

void LaneConnection::State::turn_probing(Instant now) {
  if (state == CarrierState::kProbing && now - since >= kSilence) {
    go_blocked(now);
    return;
  }
  if (now < probe_at) return;
  probes_due = 1;
  if (state == CarrierState::kProbing) {
    probe_at = now + probe_gap;
    probe_gap *= 2;
    return;
  }
  if (probes_left == kProbesInRound) {  // a round begins: what it finds is told anew
    heard = false;
    send_error = 0;
  }
  if (--probes_left > 0) {
    probe_at = now + kProbeGapInRound;
    return;
  }
  probes_left = kProbesInRound;
  round_gap = std::min<Duration>(round_gap * 2, kLastRound);
  probe_at = now + round_gap;
}

void LaneConnection::State::turn_up(Instant now) {
  sender.find_lost(in_us(now));
  if (!sender.waiting()) {
    waiting_since = kNever;
    return;
  }
  if (waiting_since == kNever || now - last_turn >= kStoodStill) waiting_since = now;
  if (now - waiting_since >= kSilence) {
    heard = false;
    go_blocked(now);
    return;
  }
  if (now >= probe_timeout_at()) {
    probes_due = 2;
    backoff = std::min(backoff + 1, kMaxBackoff);
  }
}

void LaneConnection::State::turn(Instant now) {
  if (state == CarrierState::kUp)
    turn_up(now);
  else
    turn_probing(now);
  last_turn = now;
}

// --- out

std::uint64_t LaneConnection::State::emit(std::span<std::uint8_t> datagram) {
  bytes_sent += datagram.size();
  return sealer.seal(datagram);
}

void LaneConnection::State::emit_report(Instant now, LaneBurst& out) {
  outgoing.largest = numbers.largest();
  outgoing.delay_us = static_cast<std::uint32_t>(
      std::clamp<std::int64_t>((now - largest_at).count(), 0, 0xffffffff));
  outgoing.floor = assembler.floor();
  outgoing.credit = assembler.limit();
  outgoing.range_count = numbers.ranges(outgoing.ranges);
  out.bytes.resize(kLaneMaxDatagram);
  std::size_t body =
      encode_lane_report(outgoing, std::span(out.bytes).subspan(kLaneHeaderBytes, kLaneMaxBody));
  out.bytes.resize(kLaneHeaderBytes + body + kLaneSealBytes);
  out.segment = out.bytes.size();
  out.count = 1;
  sender.note_report(emit(out.bytes), in_us(now));
  report_now = false;
  report_at = kNever;
  last_report = now;
  unreported = 0;
  told_limit = assembler.limit();
  last_burst = 0;
}

void LaneConnection::State::emit_probes(Instant now, LaneBurst& out, std::size_t count) {
  out.bytes.resize(kLaneMaxDatagram);
  std::size_t body = encode_lane_probe(
      {sender.floor()}, std::span(out.bytes).subspan(kLaneHeaderBytes, kLaneMaxBody));
  std::size_t size = kLaneHeaderBytes + body + kLaneSealBytes;
  out.bytes.resize(size * count);
  for (std::size_t i = 1; i < count; ++i)
    std::memcpy(out.bytes.data() + i * size + kLaneHeaderBytes, out.bytes.data() + kLaneHeaderBytes,
                body);
  for (std::size_t i = 0; i < count; ++i)
    sender.note_probe(emit(std::span(out.bytes).subspan(i * size, size)), in_us(now));
  out.segment = size;
  out.count = count;
  probes_due = 0;
  last_probe = now;
  quiet_since = now;
  last_burst = count;
}

bool LaneConnection::State::pace_open() const {
  return sender.in_flight() + kFullDatagram <= sender.rate().in_flight_limit() &&
         sender.number_free();
}

std::size_t LaneConnection::State::allowance(Instant now) {
  std::int64_t at = in_us(now);
  if (!pace_open()) return 0;
  if (at < next_send_us) return 0;
  double rate = sender.rate().rate();
  // A loop that comes late makes up for it, for as long as no queue minds.
  double late = static_cast<double>(std::min(at - next_send_us, kCatchUpUs));
  double packets = rate * (128 + late) / static_cast<double>(kFullDatagram);
  std::size_t wanted = std::clamp<std::size_t>(static_cast<std::size_t>(packets), 4, kMaxLaneBurst);
  std::uint64_t limit = sender.rate().in_flight_limit();
  std::uint64_t free = (limit - sender.in_flight()) / kFullDatagram;
  return std::min<std::size_t>({wanted, free, sender.rate().train_packets()});
}

bool LaneConnection::State::emit_data(Instant now, LaneBurst& out, std::size_t count) {
  out.bytes.resize(count * kLaneMaxDatagram);
  std::size_t used = 0;
  std::size_t sent = 0;
  while (sent < count && sender.number_free()) {
    std::optional<LaneData> data = sender.next_chunk();
    if (!data) {
      sender.rate().on_idle(sender.in_flight());
      break;
    }
    std::uint8_t* at = out.bytes.data() + used;
    encode_lane_data_header(*data, at + kLaneHeaderBytes);
    std::memcpy(at + kLaneHeaderBytes + kLaneDataHeaderBytes, data->content.data(),
                data->content.size());
    std::size_t size =
        kLaneHeaderBytes + kLaneDataHeaderBytes + data->content.size() + kLaneSealBytes;
    std::uint64_t number = emit({at, size});
    sender.note_data(number, *data, in_us(now));
    used += size;
    ++sent;
    if (size < kLaneMaxDatagram) break;  // only the last segment may be shorter
  }
  if (sent == 0) return false;
  out.bytes.resize(used);
  out.segment = std::min<std::size_t>(kLaneMaxDatagram, used);
  out.count = sent;
  std::int64_t at = in_us(now);
  next_send_us = std::max(next_send_us, at - kCatchUpUs) +
                 static_cast<std::int64_t>(static_cast<double>(used) / sender.rate().rate());
  quiet_since = now;
  last_burst = sent;
  return true;
}

// --- in

void LaneConnection::State::on_report(Instant now) {
  delivered.clear();
  LaneSender::Outcome outcome = sender.on_report(incoming, in_us(now), delivered);
  if (outcome.broken) {
    violate(std::move(*outcome.broken));
    return;
  }
  quiet_since = now;
  for (const LaneSender::Delivered& block : delivered)
    events.push_back(BlockDelivered{peer.session, block.transfer, block.bytes});
  if (outcome.progress) {
    if (waiting_since != kNever) waiting_since = now;
    if (!delivered.empty() || !sender.wants_credit()) backoff = 0;
  }
  // Our own probes told how long the line is; what we have to send may be nothing else.
  if (sender.window() > ContentCarrier::kWindowBytes) assembler.widen();
  if (outcome.floor_known && state != CarrierState::kUp) go_up(now);
}

void LaneConnection::State::on_body(ByteView body, std::uint64_t number, Instant now) {
  switch (lane_packet_type(body).value_or(LanePacketType{})) {
    case LanePacketType::kData: {
      std::optional<LaneData> data = decode_lane_data(body);
      if (!data) return violate("lane: a chunk that is none");
      std::optional<ContentBlock> done;
      if (auto wrong = assembler.on_data(*data, number, done)) return violate(std::move(*wrong));
      if (done) events.push_back(BlockReceived{peer.session, std::move(*done)});
      ++unreported;
      if (unreported >= kReportPackets ||
          (unreported >= kReportFewPackets && now - last_report >= kReportGap))
        report_now = true;
      report_at = std::min(report_at, now + kReportAfter);
      return;
    }
    case LanePacketType::kReport:
      if (!decode_lane_report(body, incoming)) return violate("lane: a report that is none");
      return on_report(now);
    case LanePacketType::kProbe: {
      std::optional<LaneProbe> probe = decode_lane_probe(body);
      if (!probe || probe->floor > number) return violate("lane: a probe that is none");
      assembler.raise_floor(probe->floor);
      report_now = true;
      if (state != CarrierState::kUp && (!last_probe || now - *last_probe >= kHeardProbeGap))
        probes_due = 1;
      return;
    }
  }
  violate("lane: a packet of an unknown type");
}

// --- LaneConnection

LaneConnection::LaneConnection(const CarrierPeer& peer, Instant now)
    : state_(std::make_unique<State>(peer, now)) {}

LaneConnection::~LaneConnection() = default;

std::optional<std::uint32_t> LaneConnection::tag_of(ByteView datagram) {
  if (datagram.size() < kTagBytes) return std::nullopt;
  return first_four(datagram);
}

std::uint32_t LaneConnection::receive_tag() const { return first_four(state_->peer.theirs); }

CarrierStatus LaneConnection::status() const { return state_->status(); }

std::uint64_t LaneConnection::room() const {
  return state_->state == CarrierState::kUp && !state_->broken ? state_->sender.room() : 0;
}

void LaneConnection::send(ContentBlock block) {
  State& s = *state_;
  if (s.state == CarrierState::kUp && !s.broken) {
    s.sender.send(std::move(block));
    return;
  }
  // It went down while the block was on its way to us.
  std::vector<ContentBlock> back;
  back.push_back(std::move(block));
  s.change(s.state, std::move(back));
}

void LaneConnection::credit(std::uint64_t bytes) {
  State& s = *state_;
  s.assembler.credit(bytes);
  // Else the next report of data tells it; with nothing coming, what was told is enough to go on.
  if (s.numbers.any() &&
      s.assembler.limit() - std::min(s.told_limit, s.assembler.limit()) >= kReportCredit)
    s.report_now = true;
}

bool LaneConnection::produce(Instant now, LaneBurst& out) {
  State& s = *state_;
  if (s.broken) return false;
  s.turn(now);
  if (s.numbers.any() && (s.report_now || now >= s.report_at)) {
    s.emit_report(now, out);
    return true;
  }
  if (s.probes_due > 0) {
    s.emit_probes(now, out, static_cast<std::size_t>(s.probes_due));
    return true;
  }
  if (s.state != CarrierState::kUp || !s.sender.has_chunk()) return false;
  std::size_t count = s.allowance(now);
  return count > 0 && s.emit_data(now, out, count);
}

void LaneConnection::send_failed(Instant now, int error) {
  State& s = *state_;
  s.send_error = error;
  s.sender.take_back(s.last_burst);
  s.last_burst = 0;
  // A local queue is full: as long as it takes to send some of it.
  s.next_send_us = std::max(s.next_send_us, in_us(now) + 1000);
}

void LaneConnection::on_datagram(std::span<std::uint8_t> datagram, Instant now) {
  State& s = *state_;
  if (s.broken) return;
  std::optional<std::uint64_t> number = lane_packet_number(datagram);
  std::optional<ByteView> body;
  if (number && s.numbers.fresh(*number)) body = s.opener.open(datagram);
  if (!body) {
    ++s.dropped;
    return;
  }
  s.bytes_received += datagram.size();
  s.heard = true;
  if (!s.numbers.any() || *number > s.numbers.largest()) s.largest_at = now;
  s.numbers.mark(*number);
  s.on_body(*body, *number, now);
}

Instant LaneConnection::deadline() const {
  State& s = *state_;
  if (s.broken) return kNever;
  if (s.report_now || s.probes_due > 0) return s.last_turn;
  Instant at = s.numbers.any() ? s.report_at : kNever;
  if (s.state != CarrierState::kUp) {
    at = std::min(at, s.probe_at);
    if (s.state == CarrierState::kProbing) at = std::min(at, s.since + kSilence);
    return at;
  }
  if (s.sender.waiting()) {
    if (s.waiting_since == kNever) return s.last_turn;
    at = std::min({at, s.waiting_since + kSilence, s.probe_timeout_at()});
    if (s.sender.loss_deadline() > 0) at = std::min(at, from_us(s.sender.loss_deadline()));
    if (s.pace_open() && s.sender.has_chunk()) at = std::min(at, from_us(s.next_send_us));
  }
  return at;
}

std::vector<CarrierEvent> LaneConnection::take_events() {
  return std::exchange(state_->events, {});
}

std::vector<ContentBlock> LaneConnection::take_undelivered() { return state_->sender.give_up(); }

}  // namespace lansync
