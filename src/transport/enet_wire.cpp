#include "transport/enet_wire.h"

#include <enet/enet.h>

#include <array>

#include "base/assert.h"

namespace lansync::enet_wire {
namespace {

static_assert(kAcknowledge == ENET_PROTOCOL_COMMAND_ACKNOWLEDGE);
static_assert(kConnect == ENET_PROTOCOL_COMMAND_CONNECT);
static_assert(kVerifyConnect == ENET_PROTOCOL_COMMAND_VERIFY_CONNECT);
static_assert(kSendReliable == ENET_PROTOCOL_COMMAND_SEND_RELIABLE);
static_assert(kSendFragment == ENET_PROTOCOL_COMMAND_SEND_FRAGMENT);
static_assert(kThrottleConfigure == ENET_PROTOCOL_COMMAND_THROTTLE_CONFIGURE);
static_assert(kSendUnreliableFragment == ENET_PROTOCOL_COMMAND_SEND_UNRELIABLE_FRAGMENT);
static_assert(kNoPeer == ENET_PROTOCOL_MAXIMUM_PEER_ID);
static_assert(kMaxCommands == ENET_PROTOCOL_MAXIMUM_PACKET_COMMANDS);

// Each command's bytes with its header, data not counted; 0: no such command.
constexpr std::array<std::size_t, 16> kSizes = {
    0,
    sizeof(ENetProtocolAcknowledge),
    sizeof(ENetProtocolConnect),
    sizeof(ENetProtocolVerifyConnect),
    sizeof(ENetProtocolDisconnect),
    sizeof(ENetProtocolPing),
    sizeof(ENetProtocolSendReliable),
    sizeof(ENetProtocolSendUnreliable),
    sizeof(ENetProtocolSendFragment),
    sizeof(ENetProtocolSendUnsequenced),
    sizeof(ENetProtocolBandwidthLimit),
    sizeof(ENetProtocolThrottleConfigure),
    sizeof(ENetProtocolSendFragment),
};
constexpr std::size_t kHeaderBytes = sizeof(ENetProtocolCommandHeader);

// Where dataLength stands in the fields, or -1.
int data_length_at(std::uint8_t type) {
  switch (type) {
    case kSendReliable:
      return 0;
    case kSendUnreliable:
    case kSendFragment:
    case kSendUnsequenced:
    case kSendUnreliableFragment:
      return 2;
    default:
      return -1;
  }
}

}  // namespace

std::optional<Header> parse_header(ByteView datagram, bool checksum) {
  ByteReader in(datagram);
  std::uint16_t word = in.u16();
  Header header;
  header.peer = word & kNoPeer;
  header.session = static_cast<std::uint8_t>((word & ENET_PROTOCOL_HEADER_SESSION_MASK) >>
                                             ENET_PROTOCOL_HEADER_SESSION_SHIFT);
  header.compressed = (word & ENET_PROTOCOL_HEADER_FLAG_COMPRESSED) != 0;
  if ((word & ENET_PROTOCOL_HEADER_FLAG_SENT_TIME) != 0) header.sent_time = in.u16();
  if (checksum) header.checksum = in.u32();
  header.commands = in.raw(in.left());
  if (!in.ok()) return std::nullopt;
  return header;
}

std::optional<Command> next_command(ByteView& commands) {
  ByteReader in(commands);
  std::uint8_t first = in.u8();
  Command command;
  command.type = first & ENET_PROTOCOL_COMMAND_MASK;
  command.wants_ack = (first & ENET_PROTOCOL_COMMAND_FLAG_ACKNOWLEDGE) != 0;
  command.unsequenced = (first & ENET_PROTOCOL_COMMAND_FLAG_UNSEQUENCED) != 0;
  command.channel = in.u8();
  command.sequence = in.u16();
  std::size_t size = kSizes[command.type];
  if (!in.ok() || size == 0 || (first & 0x30) != 0) return std::nullopt;
  command.fields = in.raw(size - kHeaderBytes);
  if (int at = data_length_at(command.type); at >= 0 && in.ok()) {
    ByteReader length(command.fields.subspan(static_cast<std::size_t>(at)));
    command.data = in.raw(length.u16());
  }
  if (!in.ok()) return std::nullopt;
  commands = commands.last(in.left());
  return command;
}

ConnectFields connect_fields(const Command& command) {
  LS_ASSERT(command.type == kConnect || command.type == kVerifyConnect);
  ByteReader in(command.fields);
  ConnectFields fields;
  fields.outgoing_peer = in.u16();
  in.raw(2);  // session ids
  fields.mtu = in.u32();
  fields.window = in.u32();
  fields.channels = in.u32();
  in.raw(5 * 4);  // two bandwidths, three throttle fields
  fields.connect_id = in.u32();
  return fields;
}

FragmentFields fragment_fields(const Command& command) {
  LS_ASSERT(command.type == kSendFragment || command.type == kSendUnreliableFragment);
  ByteReader in(command.fields);
  FragmentFields fields;
  fields.start = in.u16();
  in.u16();  // data length
  fields.count = in.u32();
  fields.number = in.u32();
  fields.total = in.u32();
  fields.offset = in.u32();
  return fields;
}

}  // namespace lansync::enet_wire
