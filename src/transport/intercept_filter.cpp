#include "transport/intercept_filter.h"

#include <algorithm>

#include "transport/enet_wire.h"
#include "transport/sealer.h"
#include "transport/session.h"

namespace lansync {
namespace {

// What an address may send, in rising order.
enum class Standing : std::uint8_t { kUnknown, kHalfOpen, kDialled, kSession };

constexpr Duration kExpireEach = 100ms;
constexpr std::uint16_t kMaxEarlySequence = 16;
constexpr std::size_t kMaxEarlyPacket = 256;
// What a dialled address may send before it is authenticated. More than the handshake needs: its
// first records may come in one datagram with M4, and ENet resends them together, so refusing them
// would refuse M4 for ever.
constexpr std::uint32_t kMaxEarlyBytes = 64 * 1024;

bool fragment_allowed(const enet_wire::Command& command) {
  enet_wire::FragmentFields fields = enet_wire::fragment_fields(command);
  // 1.3.17 does not compare total and count, and allocates a bitmap of `count` bits beside `total`.
  return fields.count > 0 && fields.number < fields.count && fields.total >= fields.count &&
         fields.total <= kMaxMessageBytes + kSealOverhead && fields.offset <= fields.total &&
         command.data.size() <= fields.total - fields.offset;
}

// `early_bytes` counts the data that came before authentication.
bool data_allowed(const enet_wire::Command& command, Standing standing,
                  std::uint32_t& early_bytes) {
  // Without data a command costs memory that no limit of ENet's counts (E6).
  if (command.data.empty() || command.channel >= kChannelCount) return false;
  if (command.type == enet_wire::kSendFragment && !fragment_allowed(command)) return false;
  if (standing == Standing::kSession) return true;
  if (standing == Standing::kDialled) {
    early_bytes += static_cast<std::uint32_t>(command.data.size());
    return early_bytes <= kMaxEarlyBytes;
  }
  return command.type == enet_wire::kSendReliable && command.channel == 0 &&
         command.sequence <= kMaxEarlySequence && command.data.size() <= kMaxEarlyPacket;
}

bool command_allowed(const enet_wire::Command& command, Standing standing,
                     std::uint32_t& early_bytes) {
  switch (command.type) {
    case enet_wire::kAcknowledge:
    case enet_wire::kDisconnect:
    case enet_wire::kPing:
    // ENet sends these two by itself whenever a peer comes or goes, reliably and in one datagram
    // with M1: refusing them would refuse M1 for ever.
    case enet_wire::kBandwidthLimit:
    case enet_wire::kThrottleConfigure:
      return true;
    case enet_wire::kVerifyConnect:
      return standing == Standing::kDialled || standing == Standing::kSession;
    case enet_wire::kSendReliable:
    case enet_wire::kSendFragment:
      return data_allowed(command, standing, early_bytes);
    default:  // CONNECT to a peer's slot, and all that is not reliable (E6, E7)
      return false;
  }
}

bool commands_allowed(ByteView commands, Standing standing, std::uint32_t& early_bytes) {
  int count = 0;
  while (!commands.empty()) {
    auto command = enet_wire::next_command(commands);
    if (!command || ++count > enet_wire::kMaxCommands ||
        !command_allowed(*command, standing, early_bytes))
      return false;
  }
  return true;
}

}  // namespace

InterceptFilter::InterceptFilter(RandomSource& random, bool checksum)
    : random_(random),
      checksum_(checksum),
      issuer_(random),
      stranger_rate_(20, 50ms),
      member_rate_(500, 2ms) {}

FilterVerdict InterceptFilter::reject() {
  ++counters_.rejected;
  return {FilterAction::kDrop, {}};
}

FilterVerdict InterceptFilter::answer_busy(const CookieNonce& nonce) {
  ++counters_.refused;
  return {FilterAction::kReply, encode_cookie(CookieBusy{nonce})};
}

FilterVerdict InterceptFilter::inspect(const Address& from, ByteView datagram, Instant now) {
  expire(now);
  if (is_cookie_packet(datagram)) return inspect_cookie(from, datagram, now);
  // Nobody sends more: CONNECT with a larger MTU is refused below. The checksum comes on top: ENet
  // 1.3.17 does not count it when it puts commands together. (1401 bytes in lansync-sim --seed 44:
  // the datagram was dropped each time that it was sent again, until the session timed out.)
  if (datagram.size() > kMaxMtu + (checksum_ ? kChecksumBytes : 0)) return reject();
  auto header = enet_wire::parse_header(datagram, checksum_);
  if (!header || header->compressed || header->commands.empty()) return reject();
  if (header->peer == enet_wire::kNoPeer) return inspect_connect(from, header->commands, now);
  auto found = peers_.find(from);
  if (found == peers_.end()) return reject();
  Peer& peer = found->second;
  Standing standing = Standing::kUnknown;
  if (!peer.half_open.empty() || (peer.lingering && now < peer.linger_until))
    standing = Standing::kHalfOpen;
  if (peer.dialled && now < peer.answer_until) standing = Standing::kDialled;
  if (peer.sessions > 0) standing = Standing::kSession;
  if (standing == Standing::kUnknown ||
      !commands_allowed(header->commands, standing, peer.early_bytes))
    return reject();
  return {FilterAction::kPass, {}};
}

FilterVerdict InterceptFilter::inspect_cookie(const Address& from, ByteView datagram, Instant now) {
  auto packet = decode_cookie(datagram);
  if (!packet) return reject();
  if (const auto* hello = std::get_if<CookieHello>(&*packet)) {
    // Our own nonce comes back only from ourselves: nobody else sends LSH1 with it.
    for (auto it = dials_.begin(); it != dials_.end(); ++it) {
      if (it->second.nonce != hello->nonce) continue;
      events_.push_back({DialEvent::Kind::kSelf, it->first, {}});
      dials_.erase(it);
      return {FilterAction::kDrop, {}};
    }
    if (!answers_.take(from.ip, now)) return reject();
    ++counters_.cookies;
    CookieChallenge challenge{hello->nonce, issuer_.issue(from, hello->nonce, now)};
    return {FilterAction::kReply, encode_cookie(challenge)};
  }
  if (const auto* answer = std::get_if<CookieAnswer>(&*packet))
    return on_cookie_answer(from, *answer, now);
  // The two that come back to a dial.
  auto dial = dials_.find(from);
  if (const auto* challenge = std::get_if<CookieChallenge>(&*packet)) {
    if (dial == dials_.end() || dial->second.nonce != challenge->nonce) return reject();
    on_challenge(from, *challenge);
  } else {
    const auto& busy = std::get<CookieBusy>(*packet);
    if (dial == dials_.end() || dial->second.nonce != busy.nonce) return reject();
    on_busy(from);
  }
  return {FilterAction::kDrop, {}};
}

void InterceptFilter::on_challenge(const Address& from, const CookieChallenge& challenge) {
  Dial& dial = dials_.at(from);
  if (dial.answered) return;
  dial.answered = true;
  CookieAnswer answer{challenge.nonce, challenge.cookie, {}};
  if (beacon_key_)
    answer.proof = make_member_proof(*beacon_key_, challenge.nonce, challenge.cookie);
  events_.push_back({DialEvent::Kind::kCookie, from, encode_cookie(answer)});
}

void InterceptFilter::on_busy(const Address& from) {
  // Once: ENet repeats its CONNECT, and each is answered.
  Dial& dial = dials_.at(from);
  if (!dial.answered) return;
  dial.answered = false;
  events_.push_back({DialEvent::Kind::kBusy, from, {}});
}

FilterVerdict InterceptFilter::on_cookie_answer(const Address& from, const CookieAnswer& answer,
                                                Instant now) {
  if (!issuer_.valid(from, answer.nonce, answer.cookie, now)) return reject();
  // A proof under another key is no crime: the group's key may just have changed.
  bool member = beacon_key_ && member_proof_valid(*beacon_key_, answer);
  if (!room_for(from, member, now)) return answer_busy(answer.nonce);
  allowed_.allow(from, answer.nonce, member, now);
  return {FilterAction::kDrop, {}};
}

FilterVerdict InterceptFilter::inspect_connect(const Address& from, ByteView commands,
                                               Instant now) {
  auto command = enet_wire::next_command(commands);
  // ENet sends CONNECT alone; whatever follows it would be taken before any authentication.
  if (!command || command->type != enet_wire::kConnect || !commands.empty()) return reject();
  enet_wire::ConnectFields fields = enet_wire::connect_fields(*command);
  if (fields.mtu > kMaxMtu || fields.channels > 255) return reject();
  auto known = peers_.find(from);
  if (known != peers_.end())
    for (const HalfOpen& half : known->second.half_open)
      if (half.connect_id == fields.connect_id) return {FilterAction::kPass, {}};
  const AllowList::Entry* entry = allowed_.find(from, now);
  if (entry == nullptr) return reject();
  if (!room_for(from, entry->member, now)) return answer_busy(entry->nonce);
  if (!(entry->member ? member_rate_ : stranger_rate_).take(now)) return answer_busy(entry->nonce);
  peers_[from].half_open.push_back({fields.connect_id, entry->member, now});
  ++(entry->member ? members_ : strangers_);
  return {FilterAction::kPass, {}};
}

// Members and strangers have places of their own, also those of one address: who fills the
// strangers' from a host that a member shares keeps no member out.
bool InterceptFilter::room_for(const Address& from, bool member, Instant now) {
  if (!member && budget_ != nullptr && !budget_->admit(from.ip, in_flight(now), now)) return false;
  if ((member ? members_ >= kMaxMembers : strangers_ >= kMaxStrangers)) return false;
  std::size_t same = 0;
  for (auto it = peers_.lower_bound({from.ip, 0}); it != peers_.end() && it->first.ip == from.ip;
       ++it)
    for (const HalfOpen& half : it->second.half_open) same += half.member == member ? 1 : 0;
  return same < kMaxEachIp;
}

// Strangers' handshakes that may still come to their end: one takes milliseconds.
std::size_t InterceptFilter::in_flight(Instant now) const {
  if (strangers_ == 0) return 0;
  std::size_t count = 0;
  for (const auto& [address, peer] : peers_)
    for (const HalfOpen& half : peer.half_open)
      count += !half.member && now - half.since < kInFlightLife ? 1 : 0;
  return count;
}

void InterceptFilter::drop_half_open(Peer& peer, std::size_t index) {
  --(peer.half_open[index].member ? members_ : strangers_);
  peer.half_open.erase(peer.half_open.begin() + static_cast<std::ptrdiff_t>(index));
}

void InterceptFilter::expire(Instant now) {
  if (now < next_expiry_) return;
  next_expiry_ = now + kExpireEach;
  for (auto it = peers_.begin(); it != peers_.end();) {
    Peer& peer = it->second;
    for (std::size_t i = peer.half_open.size(); i-- > 0;)
      if (now - peer.half_open[i].since >= kHalfOpenLife) {
        if (budget_ != nullptr && !peer.half_open[i].member) budget_->wasted(it->first.ip, now);
        drop_half_open(peer, i);
      }
    if (now >= peer.answer_until) peer.dialled = false;
    if (now >= peer.linger_until) peer.lingering = false;
    bool idle = peer.half_open.empty() && peer.sessions == 0 && !peer.dialled && !peer.lingering;
    it = idle ? peers_.erase(it) : std::next(it);
  }
}

Bytes InterceptFilter::begin_dial(const Address& address, Instant now) {
  expire(now);
  auto found = dials_.find(address);
  if (found == dials_.end()) {
    if (dials_.size() >= kMaxDials) return {};
    found = dials_.emplace(address, Dial{random_.id<CookieNonce>(), false}).first;
  }
  found->second.answered = false;
  return encode_cookie(CookieHello{found->second.nonce});
}

void InterceptFilter::end_dial(const Address& address) { dials_.erase(address); }

std::optional<DialEvent> InterceptFilter::take_dial_event() {
  if (events_.empty()) return std::nullopt;
  DialEvent event = std::move(events_.front());
  events_.pop_front();
  return event;
}

void InterceptFilter::expect_answer(const Address& address, Instant now) {
  Peer& peer = peers_[address];
  peer.dialled = true;
  peer.answer_until = now + kAnswerLife;
  peer.early_bytes = 0;
}

// Which of an address's connections this is, is not told. If both sides dialled each other, the
// half-open one is taken to be meant: the other standing of the address (dialled, 10 s at most)
// allows more, so a wrong guess refuses nothing.
void InterceptFilter::on_authenticated(const Address& address) {
  Peer& peer = peers_[address];
  ++peer.sessions;
  settle_one(peer);
}

void InterceptFilter::on_closed(const Address& address, bool authenticated, Instant now) {
  auto found = peers_.find(address);
  if (found == peers_.end()) return;
  Peer& peer = found->second;
  if (!authenticated)
    settle_one(peer);
  else if (peer.sessions > 0)
    --peer.sessions;
  peer.lingering = true;
  peer.linger_until = now + kLinger;
}

void InterceptFilter::settle_one(Peer& peer) {
  if (!peer.half_open.empty())
    drop_half_open(peer, 0);
  else
    peer.dialled = false;
}

bool InterceptFilter::proven_member(const Address& address, Instant now) const {
  if (auto found = peers_.find(address); found != peers_.end())
    for (const HalfOpen& half : found->second.half_open)
      if (half.member) return true;
  const AllowList::Entry* entry = allowed_.find(address, now);
  return entry != nullptr && entry->member;
}

}  // namespace lansync
