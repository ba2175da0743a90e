// ENet 1.3.17's datagram, as far as the filter (and the sniffer) must understand it: a header of
// 2 to 8 bytes and commands to its last byte. Invariant: nothing is read outside the view, and what
// ENet would leave unread (it stops silently at the first odd command) is an error here.
#pragma once

#include <cstdint>
#include <optional>

#include "base/bytes.h"

namespace lansync::enet_wire {

// Checked against <enet/protocol.h> in enet_wire.cpp; repeated here to keep that header out.
inline constexpr std::uint8_t kAcknowledge = 1;
inline constexpr std::uint8_t kConnect = 2;
inline constexpr std::uint8_t kVerifyConnect = 3;
inline constexpr std::uint8_t kDisconnect = 4;
inline constexpr std::uint8_t kPing = 5;
inline constexpr std::uint8_t kSendReliable = 6;
inline constexpr std::uint8_t kSendUnreliable = 7;
inline constexpr std::uint8_t kSendFragment = 8;
inline constexpr std::uint8_t kSendUnsequenced = 9;
inline constexpr std::uint8_t kBandwidthLimit = 10;
inline constexpr std::uint8_t kThrottleConfigure = 11;
inline constexpr std::uint8_t kSendUnreliableFragment = 12;
inline constexpr std::uint16_t kNoPeer = 0xFFF;
inline constexpr int kMaxCommands = 32;

struct Header {
  std::uint16_t peer = 0;  // the receiver's slot; kNoPeer in CONNECT
  std::uint8_t session = 0;
  bool compressed = false;
  std::optional<std::uint16_t> sent_time;
  std::uint32_t checksum = 0;
  ByteView commands;
};
std::optional<Header> parse_header(ByteView datagram, bool checksum);

struct Command {
  std::uint8_t type = 0;
  bool wants_ack = false;
  bool unsequenced = false;
  std::uint8_t channel = 0;
  std::uint16_t sequence = 0;
  ByteView fields;  // after the 4 bytes that all commands have
  ByteView data;    // of the commands that carry data
};
// Takes the next command off the front of `commands`; nullopt if what stands there is none.
std::optional<Command> next_command(ByteView& commands);

// Of CONNECT and VERIFY_CONNECT.
struct ConnectFields {
  std::uint16_t outgoing_peer = 0;
  std::uint32_t mtu = 0;
  std::uint32_t window = 0;
  std::uint32_t channels = 0;
  std::uint32_t connect_id = 0;
};
ConnectFields connect_fields(const Command& command);

struct FragmentFields {
  std::uint16_t start = 0;
  std::uint32_t count = 0;
  std::uint32_t number = 0;
  std::uint32_t total = 0;
  std::uint32_t offset = 0;
};
FragmentFields fragment_fields(const Command& command);

}  // namespace lansync::enet_wire
