// What stands in a tcp carrier's stream. The first byte picks the gate: raw bytes as a stranger
// sends them, or records sealed with the right keys, as a member that breaks the rules would. Never
// reads outside, never gives a block that is too large, never holds more than its window.
#include <algorithm>

#include "fuzz/fuzz_check.h"
#include "transport/tcp_frames.h"

namespace {

using namespace lansync;

CarrierPeer side(bool initiator) {
  CarrierPeer peer;
  peer.own.fill(initiator ? 1 : 2);
  peer.theirs.fill(initiator ? 2 : 1);
  Hash32 th{};
  peer.keys = derive_session_keys(Suite::kAes256Gcm, Bytes(16, 0x11), th);
  peer.initiator = initiator;
  return peer;
}

// Both are made once: deriving keys is most of the time otherwise. A stream that ended begins anew.
struct Two {
  TcpConnection victim{side(true)};
  TcpConnection other{side(false)};
  TcpSealer rogue{side(false)};
};

std::uint64_t check_events(TcpConnection& victim) {
  std::uint64_t received = 0;
  for (const CarrierEvent& event : victim.take_events()) {
    if (const auto* block = std::get_if<BlockReceived>(&event)) {
      FUZZ_CHECK(!block->block.data.empty());
      FUZZ_CHECK(block->block.data.size() <= kMaxBlockChunks * 1000);
      received += block->block.data.size();
    }
  }
  FUZZ_CHECK(received <= ContentCarrier::kWindowBytes);
  return received;
}

// length1 kind1 plaintext...: sealed as the next record. A length of 255 stands for a whole chunk.
void sealed_records(Two& two, ByteView in) {
  ByteReader reader(in);
  std::uint64_t held = 0;
  while (reader.left() > 1 && two.victim.up()) {
    std::size_t size = reader.u8();
    auto kind = static_cast<TcpSealed>(reader.u8() % 3);
    Bytes plain(1000, 7);
    if (size < 255) {
      ByteView part = reader.raw(std::min(std::max<std::size_t>(size, 1), reader.left()));
      plain.assign(part.begin(), part.end());
    }
    if (plain.empty()) return;
    Bytes record(plain.size() + kTcpRecordOverhead);
    two.rogue.seal(kind, plain, record.data());
    two.victim.on_bytes(record, Instant{1s});
    held += check_events(two.victim);
    FUZZ_CHECK(held <= ContentCarrier::kWindowBytes);
  }
}

Bytes rogue_opening(TcpSealer& rogue) {
  ByteWriter out;
  out.raw(as_bytes("LST1"));
  out.raw(CarrierId(side(false).own));
  out.u64(rogue.next());
  Bytes bytes = out.take();
  bytes.resize(TcpConnection::kOpeningBytes);
  ByteWriter hello;
  hello.u8(1);
  hello.u64(ContentCarrier::kWindowBytes);
  rogue.seal(TcpSealed::kHello, hello.bytes(), bytes.data() + TcpConnection::kPreambleBytes);
  return bytes;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  static Two* two = nullptr;
  if (two == nullptr) two = new Two;
  ByteView in(data + 1, size - 1);
  (void)TcpConnection::opening_id(in);
  FUZZ_CHECK(!two->victim.opens(in));
  (void)two->victim.opening();
  Bytes opening = rogue_opening(two->rogue);
  FUZZ_CHECK(two->victim.attach(opening));
  FUZZ_CHECK(!two->victim.opens(opening));
  // Something under way, so that reports have something to speak of.
  two->victim.send({1, 0, Bytes(1500, 1)});
  Bytes out(4096);
  (void)two->victim.produce(out);
  if (data[0] % 2 == 0) {
    std::size_t used = two->victim.on_bytes(in, Instant{1s});
    FUZZ_CHECK(used <= in.size());
    FUZZ_CHECK(check_events(two->victim) == 0);
  } else {
    sealed_records(*two, in);
  }
  if (two->victim.up()) two->victim.detach("over");
  two->victim.credit(ContentCarrier::kWindowBytes);
  (void)two->victim.take_events();
  return 0;
}
