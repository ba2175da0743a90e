// Beacons, cookies, handshakes and messages as fields, under the names of docs/protocol.md.
// Invariant: pure functions of the decoded structs; nothing is parsed here that the node's own
// codec parses, except the handshake, whose layout the node keeps to itself. Driven by the decoder.
#pragma once

#include <optional>

#include "discovery/beacon.h"
#include "sniff/value.h"
#include "transport/cookie.h"
#include "transport/enet_wire.h"
#include "transport/key_schedule.h"
#include "transport/message.h"

namespace lansync::sniff {

Fields describe(const Beacon& beacon);
Fields describe(const CookiePacket& packet);
Fields describe(const Message& message);
Fields describe(const enet_wire::Command& command);

// M1 to M4, or the refusal that stands in M2's place.
struct AuthMessage {
  int number = 0;
  bool refusal = false;
  HandshakeRandom random{};  // of a whole M1 or M2
  Fields fields;
};
// nullopt if it is none of them.
std::optional<AuthMessage> parse_auth(ByteView bytes);

}  // namespace lansync::sniff
