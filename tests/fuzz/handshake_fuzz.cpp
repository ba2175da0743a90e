// A script of messages to a responder and to an initiator, as one whom the password is unknown to
// can send them: neither may ever agree. Format: records of (length2 big-endian, bytes);
// the first byte of the input picks the side. In front of the script the honest side's public part
// stands where the script says so (length 0xFFFF: the honest peer's M1 or M2, with the wrong
// password).
#include "fuzz/fuzz_check.h"
#include "unit/transport/security_support.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace lansync;
  if (size == 0) return 0;
  Prng random(1);
  bool initiator = (data[0] & 1) != 0;
  Handshake victim(initiator ? HandshakeRole::kInitiator : HandshakeRole::kResponder,
                   test::node_config(1, 7), random);
  // Knows everything but the password.
  Handshake other(initiator ? HandshakeRole::kResponder : HandshakeRole::kInitiator,
                  test::node_config(2, 8), random);
  Bytes from_victim = initiator ? victim.start() : Bytes();
  Bytes honest = initiator ? *other.on_message(from_victim).send : other.start();
  ByteReader in(ByteView(data, size).subspan(1));
  bool failed = false;
  for (int i = 0; i < 8 && in.left() > 0; ++i) {
    std::size_t length = in.u16();
    ByteView message = length == 0xFFFF ? ByteView(honest) : in.raw(std::min(length, in.left()));
    Handshake::Step step = victim.on_message(message);
    FUZZ_CHECK(!step.agreed && !victim.agreed());
    // After a failure nothing more is said.
    if (failed) FUZZ_CHECK(step.failure && !step.send);
    if (step.failure) failed = true;
    if (step.send) FUZZ_CHECK(step.send->size() <= kMaxHandshakeBytes);
  }
  return 0;
}
