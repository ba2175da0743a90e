// One direction of one of ENet's reliable channels: puts commands in order, drops what was sent
// again, joins fragments. Invariant: what it holds is bounded (held_bytes(), kMaxSpan), and records
// come out in the order of their sequence numbers, each once. Driven by Connections.
//
// A capture may miss what the receiver got. Such a gap is passed over when it is certain: the
// receiver acknowledged what is missing, so it will not be sent again; or the capture ended; or far
// more came than a sender has in flight.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>

#include "base/bytes.h"
#include "transport/enet_wire.h"

namespace lansync::sniff {

struct StreamRecord {
  Bytes bytes;
  std::uint32_t lost = 0;  // sequence numbers passed over before it: so many records at most
  bool broken = false;     // fragments that do not fit together
};

class ReliableStream {
 public:
  // A sender has 8 MiB (send_queue.h) in fragments of 1252 bytes in flight, at most.
  static constexpr std::uint64_t kMaxSpan = 8192;

  enum class Taken : std::uint8_t { kNew, kRepeated, kRefused };
  // `command`: SEND_RELIABLE or SEND_FRAGMENT.
  Taken take(const enet_wire::Command& command);
  // The receiver has that one.
  void acknowledged(std::uint16_t sequence);
  // Nothing more comes: every gap is one for good.
  void finish() { finished_ = true; }
  // The next record in order; nullopt if it is not complete.
  std::optional<StreamRecord> next();
  // Gives up what is held, as lost.
  void drop_held();
  std::size_t held_bytes() const { return held_bytes_; }

 private:
  struct Piece {
    std::optional<enet_wire::FragmentFields> fragment;
    Bytes data;
  };
  std::int64_t ahead(std::uint16_t sequence) const;
  bool gone(std::uint64_t sequence) const;
  void lose_first();
  void forget(std::map<std::uint64_t, Piece>::iterator at);
  StreamRecord join(std::uint32_t count);

  std::uint64_t next_ = 1;  // ENet's first; 64 bits wide here
  std::map<std::uint64_t, Piece> pieces_;
  std::set<std::uint64_t> acknowledged_;
  std::size_t held_bytes_ = 0;
  std::uint32_t lost_ = 0;
  bool finished_ = false;
};

}  // namespace lansync::sniff
