// Moving blocks of content between two members beside ENet's reliable channel: the seam between
// roles and the lane and tcp carriers. A carrier moves whole blocks, in any order, each once.
//
// Invariant: a block is reported delivered only after the other side has it whole, and what a
// carrier that goes down has not reported is handed back, so that roles can send it otherwise.
// Called on the control thread; sockets, sealing and opening are on the carrier's own thread.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "base/address.h"
#include "base/bytes.h"
#include "transport/key_schedule.h"
#include "transport/session.h"

namespace lansync {

using CarrierId = std::array<std::uint8_t, 8>;  // id8 of derive_carrier_key: fresh each opening

// Chunks that follow each other in one file: at most 256, all of 1000 bytes but the file's last.
inline constexpr std::size_t kMaxBlockChunks = 256;
struct ContentBlock {
  std::uint32_t transfer = 0;  // the asker's number, unique in the session
  std::uint64_t first = 0;     // number of the first chunk in the file
  Bytes data;
};

// What both sides told each other in the session (message `carrier`), and its keys.
struct CarrierPeer {
  SessionId session = 0;
  Address address;   // the other side's address and this carrier's port there
  CarrierId own;     // we seal with the key of this id
  CarrierId theirs;  // and open with the key of that one
  SessionKeys keys;
  bool initiator = false;  // we sent M1 of this session
};

enum class CarrierState : std::uint8_t {
  kClosed,   // not opened
  kProbing,  // opened, nothing heard yet: at most 1 s
  kUp,       // both directions work
  kBlocked,  // it did not get through; probed again by itself (backoff to 60 s)
};

struct CarrierStatus {
  CarrierState state = CarrierState::kClosed;
  std::string why;           // kBlocked: which way, as far as that is known
  std::uint64_t rate = 0;    // bytes per second delivered, lately
  std::uint32_t rtt_us = 0;  // smoothed; 0: not known
  std::uint64_t chunks_resent = 0;
  std::uint64_t bytes_sent = 0;  // UDP or TCP payload, resent ones included
  std::uint64_t bytes_received = 0;
};

// The session that an event is about is in `session`.
struct BlockReceived {
  SessionId session = 0;
  ContentBlock block;
};
struct BlockDelivered {  // one of those sent
  SessionId session = 0;
  std::uint32_t transfer = 0;
  std::uint64_t bytes = 0;
};
struct CarrierChanged {
  SessionId session = 0;
  CarrierStatus status;
  std::vector<ContentBlock> undelivered;  // handed back, when it went down
};
struct CarrierViolation {  // a member that breaks the rules; the session should end
  SessionId session = 0;
  std::string what;
};
using CarrierEvent = std::variant<BlockReceived, BlockDelivered, CarrierChanged, CarrierViolation>;

class ContentCarrier {
 public:
  // Begun and not delivered, in bytes, a session: the receiver's credit is never above it. What
  // memory a transfer takes at either end (issue: at most 8 MiB).
  static constexpr std::uint64_t kWindowBytes = 8 * 1024 * 1024;

  virtual ~ContentCarrier() = default;
  virtual CarrierKind kind() const = 0;
  virtual std::uint16_t port() const = 0;  // where it listens: told to peers
  // Opens, or opens anew with fresh ids (what was not delivered comes back first).
  virtual void open(const CarrierPeer& peer) = 0;
  virtual void close(SessionId session) = 0;
  // Bytes that send() would take now; 0 unless kUp.
  virtual std::uint64_t room(SessionId session) const = 0;
  virtual void send(SessionId session, ContentBlock block) = 0;
  // So many received bytes are on disk, or were thrown away: the other side may send as many more.
  virtual void credit(SessionId session, std::uint64_t bytes) = 0;
  virtual CarrierStatus status(SessionId session) const = 0;
  // What happened since the last call, in order. A wakeup that was given at construction says that
  // there is something.
  virtual std::vector<CarrierEvent> take_events() = 0;
};

}  // namespace lansync
