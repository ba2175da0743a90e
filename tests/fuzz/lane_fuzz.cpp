// A member with the right keys that says anything: each part of the input is a body, sealed under
// the next number and handed to a LaneConnection that is up and sends. A second pair of rules: what
// decodes, encodes to the same bytes.
#include <algorithm>
#include <cstring>

#include "base/assert.h"
#include "transport/lane/lane_connection.h"
#include "transport/lane/lane_packet.h"
#include "transport/lane/lane_sealer.h"

namespace lansync {
namespace {

void check_codec(ByteView body) {
  static LaneReport report;
  Bytes again(kLaneMaxBody);
  if (auto data = decode_lane_data(body); data && body[0] == 1) {
    encode_lane_data_header(*data, again.data());
    LS_ASSERT(std::equal(body.begin(), body.begin() + kLaneDataHeaderBytes, again.begin()));
  }
  if (!body.empty() && body[0] == 2 && decode_lane_report(body, report)) {
    for (std::size_t i = 0; i < report.range_count; ++i) {
      LS_ASSERT(report.ranges[i].begin < report.ranges[i].end);
      LS_ASSERT(i == 0 ? report.ranges[i].end == report.largest + 1
                       : report.ranges[i].end < report.ranges[i - 1].begin);
    }
    std::size_t size = encode_lane_report(report, again);
    LS_ASSERT(size == body.size() && std::equal(body.begin(), body.end(), again.begin()));
  }
}

CarrierPeer peer_of(bool initiator) {
  CarrierPeer peer;
  peer.session = 1;
  peer.keys.suite = Suite::kChaCha20Poly1305;
  peer.own.fill(initiator ? 1 : 2);
  peer.theirs.fill(initiator ? 2 : 1);
  peer.initiator = initiator;
  return peer;
}

}  // namespace
}  // namespace lansync

// The input: (length2, pause1, body)*.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace lansync;
  Instant now{Duration(1'000'000)};
  CarrierPeer honest = peer_of(true);
  CarrierPeer liar = peer_of(false);
  LaneConnection lane(honest, now);
  LaneSealer sealer(liar.keys.suite, lane_key(liar.keys, false, liar.own), liar.own);
  LaneBurst burst;
  std::uint64_t handed = 0;
  std::uint64_t given = 0;
  bool broken = false;
  while (lane.produce(now, burst)) LS_ASSERT(burst.count == 1);  // its first probe
  ByteReader in(ByteView(data, size));
  for (int i = 0; i < 200 && in.left() >= 3; ++i) {
    std::size_t length = static_cast<std::size_t>(in.u8()) << 8;
    length |= in.u8();
    now += Duration(in.u8() * 1000);
    ByteView body = in.raw(std::min({length, in.left(), kLaneMaxBody}));
    check_codec(body);
    if (body.empty()) continue;
    Bytes datagram(kLaneHeaderBytes + body.size() + kLaneSealBytes);
    std::memcpy(datagram.data() + kLaneHeaderBytes, body.data(), body.size());
    sealer.seal(datagram);
    lane.on_datagram(datagram, now);
    while (lane.produce(now, burst)) LS_ASSERT(!broken && burst.count > 0);
    for (CarrierEvent& event : lane.take_events()) {
      if (auto* got = std::get_if<BlockReceived>(&event)) {
        given += got->block.data.size();
        lane.credit(got->block.data.size() / 2);
      }
      if (auto* done = std::get_if<BlockDelivered>(&event)) handed -= done->bytes;
      if (auto* changed = std::get_if<CarrierChanged>(&event))
        for (const ContentBlock& block : changed->undelivered) handed -= block.data.size();
      if (std::get_if<CarrierViolation>(&event) != nullptr) {
        LS_ASSERT(!broken);
        broken = true;
      }
    }
    LS_ASSERT(handed <= ContentCarrier::kWindowBytes && given <= 200 * kLaneChunkBytes);
    if (lane.room() >= 3000) {
      lane.send({1, 0, Bytes(3000)});
      handed += 3000;
    }
  }
  return 0;
}
