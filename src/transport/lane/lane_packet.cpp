#include "transport/lane/lane_packet.h"

#include <algorithm>
#include <cstring>

#include "base/assert.h"

namespace lansync {
namespace {

void put(std::uint8_t*& at, std::uint64_t value, int width) {
  for (int i = width - 1; i >= 0; --i) *at++ = static_cast<std::uint8_t>(value >> (8 * i));
}

std::uint64_t take(const std::uint8_t*& at, int width) {
  std::uint64_t value = 0;
  for (int i = 0; i < width; ++i) value = value << 8 | *at++;
  return value;
}

constexpr std::size_t kReportFixedBytes = 25;
constexpr std::size_t kProbeBytes = kLaneMaxBody;
constexpr std::size_t kMaxRunBytes = 7;  // LEB128 of a 48-bit number

std::size_t run_bytes(std::uint64_t value) {
  std::size_t size = 1;
  while (value >= 0x80) {
    value >>= 7;
    ++size;
  }
  return size;
}

void put_run(std::uint8_t*& at, std::uint64_t value) {
  while (value >= 0x80) {
    *at++ = static_cast<std::uint8_t>(value | 0x80);
    value >>= 7;
  }
  *at++ = static_cast<std::uint8_t>(value);
}

// 0 (never a valid run or gap) for anything that does not end, or is longer than it need be.
std::uint64_t take_run(const std::uint8_t*& at, const std::uint8_t* end) {
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < kMaxRunBytes && at != end; ++i) {
    std::uint8_t byte = *at++;
    value |= static_cast<std::uint64_t>(byte & 0x7f) << (7 * i);
    if ((byte & 0x80) == 0) return byte == 0 && i > 0 ? 0 : value;
  }
  return 0;
}

}  // namespace

void encode_lane_data_header(const LaneData& data, std::uint8_t* out) {
  put(out, static_cast<std::uint8_t>(LanePacketType::kData), 1);
  put(out, data.block, 2);
  put(out, data.transfer, 4);
  put(out, data.first, 7);
  put(out, data.count & 0xffU, 1);
  put(out, data.index, 1);
}

std::size_t encode_lane_report(const LaneReport& report, std::span<std::uint8_t> out) {
  LS_ASSERT(out.size() >= kLaneMaxBody && report.range_count >= 1 &&
            report.range_count <= kLaneMaxRanges && report.ranges[0].end == report.largest + 1);
  std::uint8_t* at = out.data();
  put(at, static_cast<std::uint8_t>(LanePacketType::kReport), 1);
  put(at, report.largest, 6);
  put(at, report.delay_us, 4);
  put(at, report.floor, 6);
  put(at, report.credit, 8);
  std::uint64_t above = 0;
  for (std::size_t i = 0; i < report.range_count; ++i) {
    const LaneRange& range = report.ranges[i];
    std::uint64_t run = range.end - range.begin;
    if (i == 0) {
      put_run(at, run);
    } else {
      std::uint64_t gap = above - range.end;
      auto used = static_cast<std::size_t>(at - out.data());
      if (used + run_bytes(gap) + run_bytes(run) > kLaneMaxBody) break;
      put_run(at, gap);
      put_run(at, run);
    }
    above = range.begin;
  }
  return static_cast<std::size_t>(at - out.data());
}

std::size_t encode_lane_probe(const LaneProbe& probe, std::span<std::uint8_t> out) {
  LS_ASSERT(out.size() >= kProbeBytes);
  std::uint8_t* at = out.data();
  put(at, static_cast<std::uint8_t>(LanePacketType::kProbe), 1);
  put(at, probe.floor, 6);
  std::fill(at, out.data() + kProbeBytes, std::uint8_t{0});
  return kProbeBytes;
}

std::optional<LanePacketType> lane_packet_type(ByteView body) {
  if (body.empty() || body[0] < 1 || body[0] > 3) return std::nullopt;
  return static_cast<LanePacketType>(body[0]);
}

std::optional<LaneData> decode_lane_data(ByteView body) {
  if (body.size() <= kLaneDataHeaderBytes || body.size() > kLaneMaxBody) return std::nullopt;
  const std::uint8_t* at = body.data() + 1;
  LaneData data;
  data.block = static_cast<std::uint16_t>(take(at, 2));
  data.transfer = static_cast<std::uint32_t>(take(at, 4));
  data.first = take(at, 7);
  auto count = static_cast<std::uint16_t>(take(at, 1));
  data.count = count == 0 ? 256 : count;
  data.index = static_cast<std::uint8_t>(take(at, 1));
  data.content = body.subspan(kLaneDataHeaderBytes);
  if (data.index >= data.count) return std::nullopt;
  if (data.index + 1 < data.count && data.content.size() != kLaneChunkBytes) return std::nullopt;
  return data;
}

bool decode_lane_report(ByteView body, LaneReport& out) {
  if (body.size() <= kReportFixedBytes || body.size() > kLaneMaxBody) return false;
  const std::uint8_t* at = body.data() + 1;
  const std::uint8_t* end = body.data() + body.size();
  out.largest = take(at, 6);
  out.delay_us = static_cast<std::uint32_t>(take(at, 4));
  out.floor = take(at, 6);
  out.credit = take(at, 8);
  out.range_count = 0;
  std::uint64_t above = out.largest + 1;
  for (bool first = true; first || at != end; first = false) {
    std::uint64_t gap = first ? 0 : take_run(at, end);
    std::uint64_t run = take_run(at, end);
    // Two numbers below 2^48: their sum does not wrap.
    if ((!first && gap == 0) || run == 0 || gap + run > above) return false;
    if (out.range_count == kLaneMaxRanges) return false;
    above -= gap;
    out.ranges[out.range_count++] = {above - run, above};
    above -= run;
  }
  return true;
}

std::optional<LaneProbe> decode_lane_probe(ByteView body) {
  if (body.size() != kProbeBytes) return std::nullopt;
  const std::uint8_t* at = body.data() + 1;
  return LaneProbe{take(at, 6)};
}

std::optional<std::uint64_t> lane_packet_number(ByteView datagram) {
  if (datagram.size() <= kLaneHeaderBytes + kLaneSealBytes) return std::nullopt;
  const std::uint8_t* at = datagram.data() + 4;
  return take(at, 6);
}

}  // namespace lansync
