// Any datagram: decodes or not; what decodes encodes to the same bytes.
#include "fuzz/fuzz_check.h"
#include "transport/cookie.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace lansync;
  ByteView input(data, size);
  auto packet = decode_cookie(input);
  if (!packet) return 0;
  FUZZ_CHECK(is_cookie_packet(input));
  Bytes again = encode_cookie(*packet);
  FUZZ_CHECK(again == Bytes(input.begin(), input.end()));
  return 0;
}
