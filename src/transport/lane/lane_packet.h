// Bytes of the lane's datagrams (docs/protocol.md, "Lane"):
//   tag4 | number6 | AEAD( type1 | body ) with its 16 byte tag
// Invariant: what a decoder takes is within all bounds that need no state; anything else is
// nullopt, and comes from a member that breaks the rules, for it was sealed. Pure; driven by
// LaneConnection and by the sniffer.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "base/bytes.h"

namespace lansync {

inline constexpr std::size_t kLaneChunkBytes = 1000;
inline constexpr std::size_t kLaneHeaderBytes = 10;      // tag and number: the additional data
inline constexpr std::size_t kLaneSealBytes = 16;        // the AEAD's tag
inline constexpr std::size_t kLaneDataHeaderBytes = 16;  // before a chunk's content
inline constexpr std::size_t kLaneMaxBody = kLaneDataHeaderBytes + kLaneChunkBytes;
inline constexpr std::size_t kLaneMaxDatagram = kLaneHeaderBytes + kLaneMaxBody + kLaneSealBytes;
// Datagrams that may leave in one call: 60 x 1042 is below 64 KiB.
inline constexpr std::size_t kLaneMaxTrain = 60;
inline constexpr std::uint64_t kLaneMaxNumber = (std::uint64_t{1} << 48) - 1;
// Numbers that a receiver remembers, and so how far a sender may run ahead of what it has not heard
// about. Twice the chunks of the 8 MiB window.
inline constexpr std::uint64_t kLaneNumberWindow = 16384;
// What may be begun and not delivered, in bytes, where the round trip is long: 80 ms of a gigabit
// line hold 9 MB, and a block that lost a chunk takes another round trip or two. Elsewhere, and so
// on every LAN, it is ContentCarrier::kWindowBytes.
inline constexpr std::uint64_t kLaneLongWindow = 24 * 1024 * 1024;
inline constexpr std::int64_t kLaneLongTripUs = 40'000;
// Blocks begun and not all delivered: one number back from it is an old one.
inline constexpr std::uint32_t kLaneBlockWindow = 16384;

enum class LanePacketType : std::uint8_t { kData = 1, kReport = 2, kProbe = 3 };

// A chunk of a block. type1 | block2 | transfer4 | first7 | count1 (0 = 256) | index1 | content.
struct LaneData {
  std::uint16_t block = 0;  // counts from 0 since the floor, and wraps
  std::uint32_t transfer = 0;
  std::uint64_t first = 0;  // number of the block's first chunk in the file
  std::uint16_t count = 0;  // of chunks in the block
  std::uint8_t index = 0;   // of this chunk in the block
  ByteView content;         // 1000 bytes, or fewer in the last chunk of the block
};

// Numbers begin..end-1.
struct LaneRange {
  std::uint64_t begin = 0;
  std::uint64_t end = 0;
  bool operator==(const LaneRange&) const = default;
};
// What fits into a body, each range in 2 bytes at least.
inline constexpr std::size_t kLaneMaxRanges = 496;

// type1 | largest6 | delay4 | floor6 | credit8 | run | (gap | run)*, the last three as LEB128.
struct LaneReport {
  std::uint64_t largest = 0;   // received number
  std::uint32_t delay_us = 0;  // from its arrival to this report
  std::uint64_t floor = 0;     // the highest floor that a probe told
  std::uint64_t credit = 0;    // bytes of blocks that may be begun since the floor, in all
  std::array<LaneRange, kLaneMaxRanges> ranges;  // newest first, the first ends with largest
  std::size_t range_count = 0;
};

// type1 | floor6 | zeros up to the largest body: a path that lets small datagrams through and no
// full ones must not pass for one that works. Blocks begun under numbers below the floor were given
// up by the sender.
struct LaneProbe {
  std::uint64_t floor = 0;
};

// The header only; `out` has 16 bytes. Content follows it.
void encode_lane_data_header(const LaneData& data, std::uint8_t* out);
// The size of the body; as many ranges as fit. `out` has kLaneMaxBody bytes.
std::size_t encode_lane_report(const LaneReport& report, std::span<std::uint8_t> out);
std::size_t encode_lane_probe(const LaneProbe& probe, std::span<std::uint8_t> out);

// Of an opened body, type included.
std::optional<LanePacketType> lane_packet_type(ByteView body);
std::optional<LaneData> decode_lane_data(ByteView body);
bool decode_lane_report(ByteView body, LaneReport& out);
std::optional<LaneProbe> decode_lane_probe(ByteView body);

// Of a datagram as it comes: its number, if it is long enough for one.
std::optional<std::uint64_t> lane_packet_number(ByteView datagram);

}  // namespace lansync
