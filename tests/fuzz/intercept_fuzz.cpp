// A script of datagrams from a few addresses to the filter, one of them with a session, one
// half-open and one dialled. Whatever passes must be what ENet 1.3.17 reads to its last byte
// without taking memory that nobody counts. Format: records of (address1, milliseconds1, length2,
// bytes).
#include "fuzz/fuzz_check.h"
#include "transport/enet_wire.h"
#include "transport/intercept_filter.h"
#include "transport/session.h"
#include "unit/transport/security_support.h"

namespace {

using namespace lansync;

void check_passed(ByteView datagram, bool session, bool stranger) {
  FUZZ_CHECK(datagram.size() <= InterceptFilter::kMaxMtu);
  auto header = enet_wire::parse_header(datagram, true);
  FUZZ_CHECK(header && !header->compressed && !header->commands.empty());
  ByteView rest = header->commands;
  while (!rest.empty()) {
    auto command = enet_wire::next_command(rest);
    FUZZ_CHECK(command.has_value());
    FUZZ_CHECK(command->type != 7 && command->type != 9 && command->type != 12);
    if (command->type == enet_wire::kConnect) {
      FUZZ_CHECK(header->peer == enet_wire::kNoPeer);
      FUZZ_CHECK(enet_wire::connect_fields(*command).mtu <= InterceptFilter::kMaxMtu);
    }
    if (command->type == enet_wire::kSendReliable || command->type == enet_wire::kSendFragment) {
      FUZZ_CHECK(!command->data.empty() && command->channel < kChannelCount);
      if (!session) FUZZ_CHECK(command->channel == 0 && command->data.size() <= 256);
    }
  }
  FUZZ_CHECK(!stranger);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Prng random(1);
  InterceptFilter filter(random);
  Instant now{Duration(1h)};
  const Address session{1, 1}, half_open{2, 1}, dialled{3, 1};
  filter.on_authenticated(session);
  filter.expect_answer(dialled, now);
  CookieNonce nonce{};
  auto reply = filter.inspect(half_open, encode_cookie(CookieHello{nonce}), now);
  Cookie cookie = std::get<CookieChallenge>(*decode_cookie(reply.reply)).cookie;
  filter.inspect(half_open, encode_cookie(CookieAnswer{nonce, cookie, {}}), now);
  filter.inspect(half_open, test::Datagram(0xFFF).connect(7).bytes(), now);
  FUZZ_CHECK(filter.half_open() == 1);
  ByteReader in(ByteView(data, size));
  while (in.left() >= 4) {
    Address from{in.u8() % 6u, 1};
    now += Duration(in.u8() * 1000);
    std::size_t length = in.u16();
    ByteView datagram = in.raw(std::min(length, in.left()));
    FilterVerdict verdict = filter.inspect(from, datagram, now);
    FUZZ_CHECK((verdict.action == FilterAction::kReply) == !verdict.reply.empty());
    FUZZ_CHECK(verdict.reply.size() <= datagram.size());  // no amplification
    if (verdict.action == FilterAction::kPass)
      check_passed(datagram, from == session || from == dialled,
                   from != session && from != dialled && from != half_open);
  }
  FUZZ_CHECK(filter.half_open() <= 1 + InterceptFilter::kMaxEachIp);
  return 0;
}
