// One lane between two members: which chunk goes out next, in which packet, how fast, what is sent
// again, what is reported. A pure state machine on a given clock: no socket, no thread, no
// randomness. Driven by the carrier's I/O thread, or by a simulated link.
//
// Invariant: each packet number is used once under a key (LaneSealer owns the counter; a resent
// chunk is sealed anew under a new number), and a block is given out once, whole.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <variant>
#include <vector>

#include "base/bytes.h"
#include "base/time.h"
#include "transport/content_carrier.h"
#include "transport/lane/lane_packet.h"

namespace lansync {

// One burst of datagrams for one sendmsg with UDP_SEGMENT: all of `segment` bytes but the last.
struct LaneBurst {
  Bytes bytes;              // reused by the caller
  std::size_t segment = 0;  // bytes of each datagram
  std::size_t count = 0;
};
inline constexpr std::size_t kMaxLaneBurst = kLaneMaxTrain;

class LaneConnection {
 public:
  LaneConnection(const CarrierPeer& peer, Instant now);
  ~LaneConnection();

  // The first bytes of each datagram that is for us: how the socket finds the connection.
  static constexpr std::size_t kTagBytes = 4;
  static std::optional<std::uint32_t> tag_of(ByteView datagram);
  std::uint32_t receive_tag() const;

  CarrierStatus status() const;
  std::uint64_t room() const;
  void send(ContentBlock block);
  void credit(std::uint64_t bytes);

  // What may go out now, paced: fills `out` and returns true, or false if nothing may before
  // deadline() or the next datagram. Call until false.
  bool produce(Instant now, LaneBurst& out);
  // The burst that produce() just gave could not be sent (ENOBUFS, EMSGSIZE, EPERM): counts as
  // lost.
  void send_failed(Instant now, int error);
  // One datagram with our tag; opened in place. What does not open is counted and dropped.
  void on_datagram(std::span<std::uint8_t> datagram, Instant now);
  Instant deadline() const;

  // In order. BlockReceived, BlockDelivered, CarrierChanged, CarrierViolation.
  std::vector<CarrierEvent> take_events();
  // At the end: what was sent and not delivered.
  std::vector<ContentBlock> take_undelivered();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace lansync
