// What the rest of the program sees of the transport: authenticated sessions with channels of
// ordered, sealed packets. One Endpoint per node; driven by the control thread; single-threaded.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/address.h"
#include "base/bytes.h"
#include "base/ids.h"
#include "base/time.h"

namespace lansync {

struct SessionKeys;

// Names one session of this process; never reused, never 0.
using SessionId = std::uint64_t;

enum class Channel : std::uint8_t {
  kHandshake = 0,  // auth (fixed binary), then small urgent messages: ping, bye, claim
  kMessages = 1,   // msgpack messages
  kContent = 2,    // chunks, and the download / done that frame them
};
inline constexpr int kChannelCount = 3;

// ENet waits for nobody: more than this in one packet is refused on both sides (reliability.md §3).
inline constexpr std::size_t kMaxMessageBytes = 256 * 1024;

enum class CloseReason {
  kLocal,          // we closed it
  kRemote,         // the other side closed it
  kTimeout,        // nothing heard for too long
  kPeerViolation,  // a record that does not open, a message that does not parse
  kReplaced,       // two sessions to one node: the one opened by the lower node id stays
};
const char* to_string(CloseReason reason);

enum class DialFailure {
  kNoAnswer,       // no cookie: a firewall, a dead address
  kNoHandshake,    // a cookie came back, and nothing after it
  kBusy,           // refused for now (half-open limit, guesses at the password)
  kWrongPassword,  // the handshake's confirmation did not match
  kProtocol,       // speaks another version; the number is in DialResult
  kSelf,           // that address is ourselves
  kIdentity,       // it has not the key that it named
};
const char* to_string(DialFailure failure);

struct SessionInfo {
  SessionId id = 0;
  PublicKey key;  // proven; `node` follows from it
  NodeId node;
  BootId boot;
  Address address;        // where its packets come from
  bool outgoing = false;  // we dialled
};

// Implemented by roles. Calls come from within Endpoint::service() only.
class SessionEvents {
 public:
  virtual ~SessionEvents() = default;
  virtual void on_session_up(const SessionInfo& session) = 0;
  virtual void on_session_down(SessionId id, CloseReason reason) = 0;
  // One opened record, in order within its channel. `bytes` is valid during the call.
  virtual void on_packet(SessionId id, Channel channel, ByteView bytes) = 0;
  // A dial that ended without a session. `peer_version` is set for kProtocol.
  virtual void on_dial_failed(const Address& address, DialFailure failure, int peer_version) = 0;
  // Somebody dialled us and failed; told at most once in 10 s an address.
  virtual void on_refused(const Address& address, DialFailure failure, int peer_version) = 0;
};

struct TransportCounters {
  std::uint64_t bytes_sent = 0;  // UDP payload bytes
  std::uint64_t bytes_received = 0;
  std::uint64_t auth_failures = 0;
  std::uint64_t rejected = 0;  // malformed, oversized, out of order, unknown: dropped and counted
};

// The seam between roles and the ENet endpoint. roles and the tests know only this.
class SessionTransport {
 public:
  virtual ~SessionTransport() = default;
  // Starts towards `address`; ends in on_session_up or on_dial_failed. A second dial to an address
  // under way, or to one we have a session with, does nothing. Backoff is the caller's.
  virtual void dial(const Address& address) = 0;
  // New keys for a session that we opened: its address is dialled beside it, and the new session
  // takes its place (on_session_down(kReplaced), on_session_up). A dial that fails leaves it as it
  // is.
  virtual void renew(SessionId id) = 0;
  // Seals and queues. False if there is no such session or `bytes` is too large. Never blocks, but
  // takes memory: content senders keep queued() small.
  virtual bool send(SessionId id, Channel channel, ByteView bytes) = 0;
  // Packets handed over on this session that the other side has not acknowledged.
  virtual std::size_t queued(SessionId id) const = 0;
  // Says nothing more on it; on_session_down(kLocal) comes from the next service(). What was queued
  // before is still sent, for up to 200 ms.
  virtual void close(SessionId id) = 0;
  // The peer broke the rules: counted in `rejected`, logged (limited), closed at once.
  virtual void violation(SessionId id, std::string_view what) = 0;
  // When anything authenticated last came on it.
  virtual Instant last_heard(SessionId id) const = 0;
  virtual std::uint32_t rtt_ms(SessionId id) const = 0;
  // The keys of a session, for its carriers; nullptr if there is none. Valid during the call only.
  virtual const SessionKeys* session_keys(SessionId /*id*/) const { return nullptr; }
  // The group's beacon key, once known: proves membership to the responder's budgets.
  virtual void set_beacon_key(const BeaconKey& key) = 0;
  virtual const TransportCounters& counters() const = 0;
};

}  // namespace lansync
