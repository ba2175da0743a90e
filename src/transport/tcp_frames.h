// The tcp carrier without its sockets: what stands in the stream, who may send how much, what was
// delivered. One TcpConnection for each opening of a session; it outlives the TCP connections that
// carry it. Pure: driven by the carrier's thread, a test or a fuzzer.
//
// Invariant: a record number is used once under a key, also when a TCP connection breaks and the
// next one begins: the numbers go on (TcpSealer owns them), and each stream says with which it
// starts. Records of an earlier stream are never taken again.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/time.h"
#include "transport/content_carrier.h"

namespace lansync {

// A record is len2 | sealed plaintext of len bytes | tag16, the nonce kind1 000 | number8le. The
// kind keeps a chunk whose bytes look like a hello from being taken for one.
enum class TcpSealed : std::uint8_t { kControl = 0, kChunk = 1, kHello = 2 };
inline constexpr std::size_t kTcpRecordOverhead = 18;
inline constexpr std::size_t kMaxTcpPlain = 1000;
inline constexpr std::size_t kMaxTcpRecord = kMaxTcpPlain + kTcpRecordOverhead;

// What a record says that is no chunk. The first byte of its plaintext.
enum class TcpRecord : std::uint8_t {
  kHello = 1,   // credit8: the first of a stream
  kBlock = 2,   // transfer4 first8 size4: its chunks follow, a record each
  kReport = 3,  // delivered8 credit8: whole blocks taken, and how far the other side may go
};

// Both directions' keys and the numbers of what was sealed.
class TcpSealer {
 public:
  explicit TcpSealer(const CarrierPeer& peer);
  ~TcpSealer();
  std::uint64_t next() const;  // number of the next record
  // Writes plain.size() + kTcpRecordOverhead bytes to `out`.
  void seal(TcpSealed kind, ByteView plain, std::uint8_t* out);
  // `sealed` is ciphertext and tag, `out` 16 bytes shorter.
  bool open(TcpSealed kind, std::uint64_t number, ByteView sealed, std::span<std::uint8_t> out);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

class TcpConnection {
 public:
  // "LST1" | id8 | start8, then the hello record.
  static constexpr std::size_t kPreambleBytes = 20;
  static constexpr std::size_t kOpeningBytes = kPreambleBytes + 9 + kTcpRecordOverhead;

  explicit TcpConnection(const CarrierPeer& peer);
  ~TcpConnection();

  // Whose stream this is: the id that the sender's keys are made of. nullopt: no preamble.
  static std::optional<CarrierId> opening_id(ByteView bytes);

  // What our side of a new TCP connection begins with. Numbers used by an earlier one are gone.
  Bytes opening();
  // True if these kOpeningBytes are the other side's and were not seen before. Changes nothing.
  bool opens(ByteView opening) const;
  // The other side's opening came: both know each other. False if !opens().
  bool attach(ByteView opening);
  // The TCP connection is gone, or was never made: hands back what was not delivered.
  void detach(std::string why);
  bool up() const;

  CarrierStatus status() const;
  void set_rtt(std::uint32_t rtt_us);
  std::uint64_t room() const;
  void send(ContentBlock block);
  void credit(std::uint64_t bytes);

  // Fills `out` with whole records; returns how many bytes. 0: nothing to say.
  std::size_t produce(std::span<std::uint8_t> out);
  // Takes whole records from the front of `in`; returns how many bytes. A stream that is damaged or
  // a member that breaks the rules ends in !up().
  std::size_t on_bytes(ByteView in, Instant now);

  std::vector<CarrierEvent> take_events();
  // At the end: what was sent and not delivered.
  std::vector<ContentBlock> take_undelivered();
  std::uint64_t damaged() const;  // records that did not open

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace lansync
