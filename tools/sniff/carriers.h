// What goes by lane and tcp: datagrams and streams, opened with the ids that the session's
// `carrier` messages name and the session's keys.
//
// Invariant: bounded whatever is captured: kMaxIds ids, kMaxStreams streams, kMaxHeldBytes of
// segments that wait for one before them. A packet that does not open is shown as what it is.
// Driven by the decoder; Connections tells of the messages.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <vector>

#include "base/address.h"
#include "base/bytes.h"
#include "sniff/frame.h"
#include "sniff/item.h"
#include "transport/key_schedule.h"
#include "transport/lane/lane_sealer.h"
#include "transport/message.h"
#include "transport/tcp_frames.h"

namespace lansync::sniff {

class Carriers {
 public:
  static constexpr std::size_t kMaxIds = 4096;
  static constexpr std::size_t kMaxStreams = 1024;
  static constexpr std::size_t kMaxHeldBytes = 16 * 1024 * 1024;
  static constexpr std::size_t kMaxHeldOfStream = 4 * 1024 * 1024;

  Carriers();
  ~Carriers();

  // A session's message: `from` sent it, and sent M1 or did not.
  void learn(const Carrier& message, std::uint32_t from, bool initiator, const SessionKeys& keys);
  bool is_lane(const Address& address) const { return lanes_.contains(address); }
  bool is_tcp(const Address& address) const { return tcps_.contains(address); }

  // One item for each datagram: a train that was captured whole holds several.
  void on_lane(const Packet& packet, const Item& blank, std::vector<Item>& out);
  // One item for each record that became complete, or one for the segment.
  void on_tcp(const Packet& packet, const Item& blank, std::vector<Item>& out);
  void finish();
  std::size_t held_bytes() const { return held_bytes_; }

 private:
  struct TcpId {
    SessionKeys keys;
    bool initiator = false;
    CarrierId id{};
  };
  struct Stream;
  using StreamId = std::pair<Address, Address>;  // from, to

  Item lane_item(ByteView datagram, const Item& blank);
  Stream& stream_of(const StreamId& id);
  void take_segment(Stream& stream, const Packet& packet);
  void read_stream(Stream& stream, const Item& blank, std::vector<Item>& out);
  bool read_opening(Stream& stream, const Item& blank, std::vector<Item>& out);
  bool read_record(Stream& stream, const Item& blank, std::vector<Item>& out);
  void give_up(Stream& stream);

  std::set<Address> lanes_;
  std::set<Address> tcps_;
  std::map<std::uint32_t, std::unique_ptr<LaneOpener>> openers_;  // by the datagrams' tag
  std::vector<std::uint32_t> tags_;                               // oldest first, from next_tag_
  std::size_t next_tag_ = 0;
  std::map<CarrierId, TcpId> tcp_ids_;
  std::map<StreamId, std::unique_ptr<Stream>> streams_;
  std::uint64_t age_ = 0;
  std::size_t held_bytes_ = 0;
};

}  // namespace lansync::sniff
