// The ENet connections of a capture: which datagram belongs to which, its channels in order, its
// handshake, and the records of it that a key opens.
//
// Invariant: bounded whatever is captured: kMaxConnections, kMaxHeldBytes of pieces that wait for
// others, kTryBytes of attempts to open one record. Counters of records are implicit (sealer.h), so
// the nth record of a channel is opened as the nth; where the capture missed some, as each that it
// can be. Driven by the decoder.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "sniff/carriers.h"
#include "sniff/item.h"
#include "sniff/keylog.h"
#include "sniff/reliable_stream.h"
#include "transport/enet_wire.h"
#include "transport/sealer.h"
#include "transport/session.h"

namespace lansync::sniff {

struct EnetDatagram {
  WallTime time;
  Address src;
  Address dst;
  ByteView bytes;
  std::size_t missing = 0;  // at its end, not captured
};

class Connections {
 public:
  static constexpr std::size_t kMaxConnections = 4096;
  static constexpr std::size_t kMaxPending = 1024;  // CONNECT seen, VERIFY_CONNECT not
  static constexpr std::size_t kMaxHeldBytes = 64 * 1024 * 1024;
  static constexpr std::size_t kTryBytes = 8 * 1024 * 1024;
  static constexpr std::uint32_t kMaxFailures = 64;  // in a row: then it is not tried any more

  Connections(Keylog& keylog, Carriers& carriers) : keylog_(keylog), carriers_(carriers) {}
  ~Connections();

  // Adds one item for each message that became complete, or one for the packet.
  void on_datagram(const EnetDatagram& datagram, std::vector<Item>& out);
  // The capture is over: what waited for a missing packet.
  void finish(std::vector<Item>& out);
  std::size_t held_bytes() const { return held_bytes_; }

 private:
  struct Connection;
  struct Side;
  struct End {  // one direction of a connection, as its packets name it
    Address src;
    Address dst;
    std::uint16_t peer = 0;
    auto operator<=>(const End&) const = default;
  };
  struct Found {
    std::shared_ptr<Connection> connection;
    int side = 0;  // who sent: 0 the one that dialled
  };
  struct Walk;  // through the commands of one datagram

  std::optional<Found> find(const End& end) const;
  void on_command(Walk& walk, const enet_wire::Command& command);
  void on_connect(const Walk& walk, const enet_wire::Command& command);
  void on_verify(const Walk& walk, const enet_wire::Command& command);
  void on_data(Walk& walk, const enet_wire::Command& command);
  void take_ready(WallTime time, Connection& connection, int side, std::uint8_t channel,
                  std::vector<Item>& out);
  Item read_record(Connection& connection, int side, std::uint8_t channel,
                   const StreamRecord& record);
  bool read_auth(Connection& connection, int side, const StreamRecord& record, Item& item);
  bool open(Connection& connection, int side, std::uint8_t channel, const StreamRecord& record,
            Bytes& plain);
  bool find_keys(Connection& connection);

  Keylog& keylog_;
  Carriers& carriers_;
  std::map<End, std::shared_ptr<Connection>> pending_;  // by what VERIFY_CONNECT will carry
  std::map<End, Found> ends_;
  std::map<std::uint64_t, std::shared_ptr<Connection>> by_age_;
  std::map<std::uint64_t, End> pending_by_age_;
  std::uint64_t next_age_ = 1;
  std::size_t held_bytes_ = 0;
};

}  // namespace lansync::sniff
