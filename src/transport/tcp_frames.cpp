#include "transport/tcp_frames.h"

#include <openssl/evp.h>

#include <algorithm>
#include <cstring>
#include <deque>
#include <utility>

#include "base/assert.h"
#include "base/log.h"
#include "transport/crypto.h"

namespace lansync {
namespace {

constexpr std::string_view kMagic = "LST1";
constexpr std::size_t kTag = 16;
constexpr std::size_t kChunk = 1000;
constexpr std::size_t kMaxBlockBytes = kMaxBlockChunks * kChunk;
constexpr std::uint64_t kMaxFileBytes = std::uint64_t{1} << 62;
// A stream may start anywhere above the last; this far only a hostile one does, and from there
// number8 would run over.
constexpr std::uint64_t kMaxNumber = std::uint64_t{1} << 62;
constexpr Duration kRateWindow = 100ms;

struct CipherFree {
  void operator()(EVP_CIPHER_CTX* context) const { EVP_CIPHER_CTX_free(context); }
};
using CipherContext = std::unique_ptr<EVP_CIPHER_CTX, CipherFree>;

CipherContext new_cipher(const CarrierPeer& peer, bool seal) {
  // The initiator of the session is a; what it seals goes a to b.
  Direction direction = peer.initiator == seal ? Direction::kAtoB : Direction::kBtoA;
  Key32 key =
      derive_carrier_key(peer.keys, direction, CarrierKind::kTcp, seal ? peer.own : peer.theirs);
  const EVP_CIPHER* cipher =
      peer.keys.suite == Suite::kAes256Gcm ? EVP_aes_256_gcm() : EVP_chacha20_poly1305();
  CipherContext context(EVP_CIPHER_CTX_new());
  LS_ASSERT(context && EVP_CipherInit_ex(context.get(), cipher, nullptr, key.data(), nullptr,
                                         seal ? 1 : 0) == 1);
  wipe(key);
  return context;
}

void set_nonce(EVP_CIPHER_CTX* context, TcpSealed kind, std::uint64_t number) {
  std::array<std::uint8_t, 12> nonce{};
  nonce[0] = static_cast<std::uint8_t>(kind);
  for (std::size_t i = 0; i < 8; ++i) nonce[4 + i] = static_cast<std::uint8_t>(number >> (8 * i));
  LS_ASSERT(EVP_CipherInit_ex(context, nullptr, nullptr, nullptr, nonce.data(), -1) == 1);
}

}  // namespace

struct TcpSealer::State {
  CipherContext out;
  CipherContext in;
  std::uint64_t next = 0;
};

TcpSealer::TcpSealer(const CarrierPeer& peer) : state_(std::make_unique<State>()) {
  state_->out = new_cipher(peer, true);
  state_->in = new_cipher(peer, false);
}
TcpSealer::~TcpSealer() = default;

std::uint64_t TcpSealer::next() const { return state_->next; }

void TcpSealer::seal(TcpSealed kind, ByteView plain, std::uint8_t* out) {
  LS_ASSERT(!plain.empty() && plain.size() <= kMaxTcpPlain && state_->next < kMaxNumber);
  set_nonce(state_->out.get(), kind, state_->next++);
  EVP_CIPHER_CTX* context = state_->out.get();
  out[0] = static_cast<std::uint8_t>(plain.size() >> 8);
  out[1] = static_cast<std::uint8_t>(plain.size());
  int size = 0;
  LS_ASSERT(
      EVP_CipherUpdate(context, out + 2, &size, plain.data(), static_cast<int>(plain.size())) == 1);
  LS_ASSERT(EVP_CipherFinal_ex(context, out + 2 + size, &size) == 1);
  LS_ASSERT(EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, static_cast<int>(kTag),
                                out + 2 + plain.size()) == 1);
}

bool TcpSealer::open(TcpSealed kind, std::uint64_t number, ByteView sealed,
                     std::span<std::uint8_t> out) {
  if (sealed.size() != out.size() + kTag || out.empty()) return false;
  EVP_CIPHER_CTX* context = state_->in.get();
  set_nonce(context, kind, number);
  std::array<std::uint8_t, kTag> tag{};
  std::memcpy(tag.data(), sealed.data() + out.size(), kTag);
  int size = 0;
  LS_ASSERT(EVP_CipherUpdate(context, out.data(), &size, sealed.data(),
                             static_cast<int>(out.size())) == 1);
  LS_ASSERT(
      EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, static_cast<int>(kTag), tag.data()) == 1);
  std::uint8_t none = 0;  // both are stream modes: nothing comes out at the end
  return EVP_CipherFinal_ex(context, &none, &size) == 1;
}

struct TcpConnection::State {
  explicit State(const CarrierPeer& p) : peer(p), sealer(p) {}

  CarrierPeer peer;
  TcpSealer sealer;
  CarrierStatus status;
  std::vector<CarrierEvent> events;
  std::uint64_t damaged = 0;

  // What we send. All that was accepted and not delivered, oldest first; blocks[0..begun) are on
  // their way, and of blocks[begun - 1] `offset` bytes are sealed.
  std::deque<ContentBlock> blocks;
  std::size_t begun = 0;
  std::size_t offset = 0;
  std::uint64_t accepted = 0;   // bytes, in this stream
  std::uint64_t sealed = 0;     // bytes of blocks begun, in this stream
  std::uint64_t delivered = 0;  // of them, as the other side says
  std::uint64_t allowed = 0;    // how far accepted may go

  // What we receive.
  std::uint64_t next_in = 0;  // number of the next record: only rises
  bool in_block = false;
  ContentBlock block;
  std::size_t filled = 0;
  std::uint64_t received = 0;  // bytes of whole blocks, in this stream
  std::uint64_t begun_in = 0;  // and of those begun
  std::uint64_t held = 0;      // received, by any stream, and not credited
  std::uint64_t granted = 0;   // the last credit told
  bool report_due = false;

  Instant rate_from{};
  std::uint64_t rate_bytes = 0;

  bool half_sent() const { return begun > 0 && offset < blocks[begun - 1].data.size(); }
  std::uint64_t window() const { return kWindowBytes - std::min(held, kWindowBytes); }
  // The other side holds back at what we grant; what is granted is never taken back.
  std::uint64_t grant() { return granted = std::max(granted, received + window()); }

  void violation(std::string what);
  void down(std::string why);
  void reset_stream();
  std::size_t seal_next(std::span<std::uint8_t> out);
  bool on_record(ByteView sealed_bytes, Instant now);
  bool on_chunk(ByteView sealed_bytes);
  bool on_control(ByteView plain, Instant now);
  bool on_block(ByteReader& in);
  bool on_report(ByteReader& in, Instant now);
  void finish_block();
  void measure(std::uint64_t bytes, Instant now);

  static constexpr std::uint64_t kWindowBytes = ContentCarrier::kWindowBytes;
};

void TcpConnection::State::reset_stream() {
  begun = offset = 0;
  accepted = sealed = delivered = allowed = 0;
  in_block = false;
  block = ContentBlock{};
  filled = 0;
  received = begun_in = granted = 0;
  report_due = false;
}

void TcpConnection::State::down(std::string why) {
  status.state = CarrierState::kBlocked;
  status.why = std::move(why);
  status.rate = 0;
  CarrierChanged changed;
  changed.session = peer.session;
  changed.status = status;
  changed.undelivered.assign(std::make_move_iterator(blocks.begin()),
                             std::make_move_iterator(blocks.end()));
  blocks.clear();
  reset_stream();
  events.emplace_back(std::move(changed));
}

void TcpConnection::State::violation(std::string what) {
  down("the other side broke the protocol: " + what);
  events.emplace_back(CarrierViolation{peer.session, "tcp: " + std::move(what)});
}

TcpConnection::TcpConnection(const CarrierPeer& peer) : state_(std::make_unique<State>(peer)) {
  state_->status.state = CarrierState::kProbing;
}
TcpConnection::~TcpConnection() = default;

std::optional<CarrierId> TcpConnection::opening_id(ByteView bytes) {
  if (bytes.size() < kPreambleBytes || as_text(bytes.first(4)) != kMagic) return std::nullopt;
  CarrierId id;
  std::memcpy(id.data(), bytes.data() + 4, id.size());
  return id;
}

Bytes TcpConnection::opening() {
  State& s = *state_;
  LS_ASSERT(s.status.state != CarrierState::kUp);
  s.reset_stream();
  ByteWriter out;
  out.raw(as_bytes(kMagic));
  out.raw(s.peer.own);
  out.u64(s.sealer.next());
  ByteWriter hello;
  hello.u8(static_cast<std::uint8_t>(TcpRecord::kHello));
  hello.u64(s.grant());
  Bytes bytes = out.take();
  bytes.resize(kOpeningBytes);
  s.sealer.seal(TcpSealed::kHello, hello.bytes(), bytes.data() + kPreambleBytes);
  s.status.bytes_sent += bytes.size();
  return bytes;
}

namespace {

struct Opening {
  std::uint64_t start = 0;
  std::uint64_t credit = 0;
};

std::optional<Opening> read_opening(TcpSealer& sealer, const CarrierId& id, std::uint64_t at_least,
                                    ByteView bytes) {
  if (bytes.size() != TcpConnection::kOpeningBytes || TcpConnection::opening_id(bytes) != id)
    return std::nullopt;
  ByteReader in(bytes.subspan(12));
  Opening opening;
  opening.start = in.u64();
  if (opening.start < at_least || opening.start >= kMaxNumber || in.u16() != 9) return std::nullopt;
  std::array<std::uint8_t, 9> plain{};
  if (!sealer.open(TcpSealed::kHello, opening.start, in.raw(plain.size() + kTag), plain))
    return std::nullopt;
  ByteReader hello(plain);
  if (hello.u8() != static_cast<std::uint8_t>(TcpRecord::kHello)) return std::nullopt;
  opening.credit = hello.u64();
  if (opening.credit > ContentCarrier::kWindowBytes) return std::nullopt;
  return opening;
}

}  // namespace

bool TcpConnection::opens(ByteView opening) const {
  return read_opening(state_->sealer, state_->peer.theirs, state_->next_in, opening).has_value();
}

bool TcpConnection::attach(ByteView bytes) {
  State& s = *state_;
  LS_ASSERT(!up());
  auto opening = read_opening(s.sealer, s.peer.theirs, s.next_in, bytes);
  if (!opening) return false;
  s.next_in = opening->start + 1;
  s.allowed = opening->credit;
  s.status.bytes_received += bytes.size();
  s.status.state = CarrierState::kUp;
  s.status.why.clear();
  s.events.emplace_back(CarrierChanged{s.peer.session, s.status, {}});
  return true;
}

void TcpConnection::detach(std::string why) { state_->down(std::move(why)); }
bool TcpConnection::up() const { return state_->status.state == CarrierState::kUp; }
CarrierStatus TcpConnection::status() const { return state_->status; }
void TcpConnection::set_rtt(std::uint32_t rtt_us) { state_->status.rtt_us = rtt_us; }
std::uint64_t TcpConnection::damaged() const { return state_->damaged; }

std::uint64_t TcpConnection::room() const {
  if (!up()) return 0;
  return state_->allowed - std::min(state_->allowed, state_->accepted);
}

void TcpConnection::send(ContentBlock block) {
  LS_ASSERT(!block.data.empty() && block.data.size() <= kMaxBlockBytes);
  state_->accepted += block.data.size();
  state_->blocks.push_back(std::move(block));
}

void TcpConnection::credit(std::uint64_t bytes) {
  State& s = *state_;
  s.held -= std::min(s.held, bytes);
  s.report_due = true;
}

std::size_t TcpConnection::produce(std::span<std::uint8_t> out) {
  State& s = *state_;
  std::size_t used = 0;
  while (up() && out.size() - used >= kMaxTcpRecord) {
    std::size_t size = s.seal_next(out.subspan(used));
    if (size == 0) break;
    used += size;
  }
  s.status.bytes_sent += used;
  return used;
}

std::size_t TcpConnection::State::seal_next(std::span<std::uint8_t> out) {
  if (half_sent()) {
    const Bytes& data = blocks[begun - 1].data;
    std::size_t size = std::min(kChunk, data.size() - offset);
    sealer.seal(TcpSealed::kChunk, ByteView(data).subspan(offset, size), out.data());
    offset += size;
    return size + kTcpRecordOverhead;
  }
  ByteWriter plain;
  if (report_due) {
    report_due = false;
    plain.u8(static_cast<std::uint8_t>(TcpRecord::kReport));
    plain.u64(received);
    plain.u64(grant());
  } else if (begun < blocks.size()) {
    const ContentBlock& next = blocks[begun];
    if (sealed + next.data.size() > allowed) return 0;
    sealed += next.data.size();
    ++begun;
    offset = 0;
    plain.u8(static_cast<std::uint8_t>(TcpRecord::kBlock));
    plain.u32(next.transfer);
    plain.u64(next.first);
    plain.u32(static_cast<std::uint32_t>(next.data.size()));
  } else {
    return 0;
  }
  sealer.seal(TcpSealed::kControl, plain.bytes(), out.data());
  return plain.bytes().size() + kTcpRecordOverhead;
}

std::size_t TcpConnection::on_bytes(ByteView in, Instant now) {
  State& s = *state_;
  std::size_t used = 0;
  while (up() && in.size() - used >= 2) {
    std::size_t plain = static_cast<std::size_t>(in[used] << 8 | in[used + 1]);
    if (plain == 0 || plain > kMaxTcpPlain || s.next_in >= kMaxNumber) {
      ++s.damaged;
      s.down("the stream was damaged: a record of an impossible length");
      break;
    }
    if (in.size() - used < plain + kTcpRecordOverhead) break;
    if (!s.on_record(in.subspan(used + 2, plain + kTag), now)) break;
    used += plain + kTcpRecordOverhead;
  }
  s.status.bytes_received += used;
  return used;
}

bool TcpConnection::State::on_record(ByteView sealed_bytes, Instant now) {
  if (in_block) return on_chunk(sealed_bytes);
  std::array<std::uint8_t, 17> plain{};
  std::size_t size = sealed_bytes.size() - kTag;
  if (size > plain.size()) {
    ++damaged;
    down("the stream was damaged: a record of an impossible length");
    return false;
  }
  std::span<std::uint8_t> out = std::span(plain).first(size);
  if (!sealer.open(TcpSealed::kControl, next_in, sealed_bytes, out)) {
    ++damaged;
    down("the stream was damaged: a record does not open");
    return false;
  }
  ++next_in;
  return on_control(out, now);
}

// Opened into its place in the block: the only copy on the way from the socket to roles.
bool TcpConnection::State::on_chunk(ByteView sealed_bytes) {
  std::size_t size = std::min(kChunk, block.data.size() - filled);
  if (sealed_bytes.size() != size + kTag ||
      !sealer.open(TcpSealed::kChunk, next_in, sealed_bytes,
                   std::span(block.data).subspan(filled, size))) {
    ++damaged;
    down("the stream was damaged: a chunk does not open");
    return false;
  }
  ++next_in;
  filled += size;
  if (filled == block.data.size()) finish_block();
  return true;
}

void TcpConnection::State::finish_block() {
  in_block = false;
  received += block.data.size();
  held += block.data.size();
  report_due = true;
  events.emplace_back(BlockReceived{peer.session, std::exchange(block, ContentBlock{})});
}

bool TcpConnection::State::on_control(ByteView plain, Instant now) {
  ByteReader in(plain);
  switch (static_cast<TcpRecord>(in.u8())) {
    case TcpRecord::kBlock:
      return on_block(in);
    case TcpRecord::kReport:
      return on_report(in, now);
    case TcpRecord::kHello:
      break;
  }
  violation("a record of no known type");
  return false;
}

bool TcpConnection::State::on_block(ByteReader& in) {
  std::uint32_t transfer = in.u32();
  std::uint64_t first = in.u64();
  std::size_t size = in.u32();
  if (!in.finished() || size == 0 || size > kMaxBlockBytes ||
      first > (kMaxFileBytes - size) / kChunk) {
    violation("a block that cannot be");
    return false;
  }
  if (begun_in + size > granted) {
    violation("more content than it was allowed to send");
    return false;
  }
  begun_in += size;
  block.transfer = transfer;
  block.first = first;
  block.data.resize(size);
  filled = 0;
  in_block = true;
  return true;
}

bool TcpConnection::State::on_report(ByteReader& in, Instant now) {
  std::uint64_t total = in.u64();
  std::uint64_t limit = in.u64();
  // Credit beyond the window is of no use to an honest receiver, and would have us hold without
  // bound what it never takes.
  if (!in.finished() || total < delivered || total > sealed || limit < allowed ||
      limit > total + kWindowBytes) {
    violation("a report that cannot be");
    return false;
  }
  allowed = limit;
  std::uint64_t news = total - delivered;
  while (news > 0) {
    std::size_t size = blocks.front().data.size();
    // Only whole blocks that were sent whole: `begun - 1` of them may be under way.
    if (size > news || begun == 0 || (begun == 1 && half_sent())) {
      violation("a report of half a block");
      return false;
    }
    events.emplace_back(BlockDelivered{peer.session, blocks.front().transfer, size});
    blocks.pop_front();
    --begun;
    news -= size;
  }
  measure(total - delivered, now);
  delivered = total;
  return true;
}

void TcpConnection::State::measure(std::uint64_t bytes, Instant now) {
  if (rate_from == Instant{} || now - rate_from > 2s) {
    rate_from = now;
    rate_bytes = 0;
    return;
  }
  rate_bytes += bytes;
  Duration passed = now - rate_from;
  if (passed < kRateWindow) return;
  std::uint64_t rate = rate_bytes * 1'000'000 / static_cast<std::uint64_t>(passed.count());
  status.rate = status.rate == 0 ? rate : (status.rate * 3 + rate) / 4;
  rate_from = now;
  rate_bytes = 0;
}

std::vector<CarrierEvent> TcpConnection::take_events() { return std::exchange(state_->events, {}); }

std::vector<ContentBlock> TcpConnection::take_undelivered() {
  State& s = *state_;
  std::vector<ContentBlock> out(std::make_move_iterator(s.blocks.begin()),
                                std::make_move_iterator(s.blocks.end()));
  s.blocks.clear();
  s.reset_stream();
  s.status.state = CarrierState::kClosed;
  return out;
}

}  // namespace lansync
