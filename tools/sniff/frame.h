// From a captured frame to what it carries: link layer, VLAN tags, IPv4 with options, UDP or TCP.
// Invariant: nothing is read outside the frame; what the headers claim and the frame does not hold
// is told (`missing`), never made up. A pure function; driven by the decoder.
#pragma once

#include <cstdint>
#include <string>

#include "base/address.h"
#include "base/bytes.h"
#include "base/time.h"

namespace lansync::sniff {

enum class LinkType : std::uint8_t { kEthernet, kCooked, kCooked2, kRawIp, kLoopback };

struct Frame {
  WallTime time;
  LinkType link = LinkType::kEthernet;
  ByteView bytes;              // what was captured
  std::uint32_t original = 0;  // how long it was on the wire
};

struct Packet {
  enum class Kind : std::uint8_t {
    kOther,     // not IPv4, or neither UDP nor TCP
    kBroken,    // it is IPv4, and its headers cannot be true or were cut off: `why`
    kFragment,  // of an IP packet, and not its first: ports are unknown (0)
    kUdp,
    kTcp,
  };
  Kind kind = Kind::kOther;
  Address src;
  Address dst;
  ByteView payload;
  std::size_t missing = 0;  // bytes at the payload's end that were sent and not captured
  std::string why;
  bool is_udp = false;  // of a fragment
  // A fragment, or the first of several (`more`, with the rest of its payload in `missing`).
  bool more = false;
  std::uint16_t ip_id = 0;
  std::uint32_t offset = 0;
  std::uint8_t tcp_flags = 0;
  std::uint32_t tcp_sequence = 0;
};

Packet parse_frame(const Frame& frame);

}  // namespace lansync::sniff
