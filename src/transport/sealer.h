// Seals and opens the records of one session: every packet after M4 (reliability.md §4.1, step 4).
//   record = AEAD(key of the direction, nonce = u32le channel | u64le counter, aad = sid | channel)
// Invariant: a (key, nonce) pair is used once. Counters are implicit, one for each direction and
// channel from 0: reliable channels are in order, so a record that does not open means that the
// session is over. Driven by the endpoint; the sniffer has one Sealer for each side of a session.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>

#include "base/bytes.h"
#include "transport/key_schedule.h"
#include "transport/session.h"

namespace lansync {

inline constexpr std::size_t kSealOverhead = 16;

class Sealer {
 public:
  // `initiator`: we sent M1, so we seal with k_ab and open with k_ba.
  Sealer(const SessionKeys& keys, bool initiator);
  Sealer(Sealer&&) noexcept;
  Sealer& operator=(Sealer&&) noexcept;
  ~Sealer();

  // `out` becomes the record, plain.size() + 16 bytes; reused, it is not allocated again.
  void seal(Channel channel, ByteView plain, Bytes& out);
  // False if the record is not the next one of its channel: nothing may be taken from it, and the
  // session must be closed. The counter does not move then.
  bool open(Channel channel, ByteView record, Bytes& out);

  // The same into memory of the caller, of exactly the right size; `out` may begin where the input
  // begins (in place), and may not overlap otherwise.
  void seal_into(Channel channel, ByteView plain, std::span<std::uint8_t> out);
  bool open_into(Channel channel, ByteView record, std::span<std::uint8_t> out);

  // For the sniffer, which may have lost packets: opens as record number `counter`, and the next
  // open() expects the one after it.
  bool open_at(Channel channel, std::uint64_t counter, ByteView record, Bytes& out);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace lansync
