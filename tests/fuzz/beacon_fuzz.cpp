// Any datagram on the beacon port: decoding never reads outside it, and a beacon that is accepted
// encodes to the same bytes again, its tag apart.
#include <algorithm>

#include "base/assert.h"
#include "discovery/beacon.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace lansync;
  ByteView bytes(data, size);
  BeaconKey key;
  (void)beacon_tag_valid(bytes, key);
  auto beacon = decode_beacon(bytes);
  if (!beacon || beacon->version != kProtocolVersion) return 0;
  Bytes again = encode_beacon(*beacon, std::nullopt);
  LS_ASSERT(again.size() == size);
  LS_ASSERT(std::equal(again.begin(), again.end() - BeaconTag::kSize, bytes.begin()));
  return 0;
}
