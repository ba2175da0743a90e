// Any opened record on a message channel: decode, encode, decode again gives the same message; a
// chunk that is accepted encodes to the same bytes.
#include <algorithm>

#include "base/assert.h"
#include "transport/message.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace lansync;
  ByteView bytes(data, size);
  if (auto chunk = decode_chunk(bytes)) {
    Bytes again;
    encode_chunk(*chunk, again);
    LS_ASSERT(std::equal(again.begin(), again.end(), bytes.begin(), bytes.end()));
  }
  auto message = decode_message(bytes);
  if (!message) return 0;
  Bytes once = encode_message(*message);
  auto back = decode_message(once);
  LS_ASSERT(back.has_value());
  LS_ASSERT(encode_message(*back) == once);
  return 0;
}
