#include "transport/cookie.h"

#include "support/catch.h"

namespace lansync {
namespace {

const Address kHere{0x0A000001, 27801};
const Instant kStart{Duration(1h)};

template <typename Id>
Id filled(std::uint8_t byte) {
  Id id;
  id.bytes.fill(byte);
  return id;
}

TEST_CASE("cookie packets have the sizes of the protocol and come back as they were") {
  auto nonce = filled<CookieNonce>(1);
  auto cookie = filled<Cookie>(2);
  std::pair<CookiePacket, std::size_t> cases[] = {
      {CookieHello{nonce}, 64},
      {CookieChallenge{nonce, cookie}, 36},
      {CookieAnswer{nonce, cookie, filled<MemberProof>(3)}, 52},
      {CookieBusy{nonce}, 20},
  };
  for (const auto& [packet, size] : cases) {
    Bytes bytes = encode_cookie(packet);
    CHECK(bytes.size() == size);
    CHECK(is_cookie_packet(bytes));
    auto back = decode_cookie(bytes);
    REQUIRE(back);
    CHECK(back->index() == packet.index());
    CHECK(encode_cookie(*back) == bytes);
    for (std::size_t cut = 0; cut < size; ++cut)
      CHECK_FALSE(decode_cookie(ByteView(bytes).first(cut)));
    bytes.push_back(0);
    CHECK_FALSE(decode_cookie(bytes));
  }
  Bytes padded = encode_cookie(CookieHello{nonce});
  padded[63] = 1;
  CHECK_FALSE(decode_cookie(padded));
}

TEST_CASE("no answer to a stranger is larger than what the stranger sent") {
  CHECK(encode_cookie(CookieChallenge{}).size() < encode_cookie(CookieHello{}).size());
  CHECK(encode_cookie(CookieBusy{}).size() < encode_cookie(CookieAnswer{}).size());
}

TEST_CASE("a cookie is good for its address, port and nonce only") {
  Prng random(1);
  CookieIssuer issuer(random);
  auto nonce = filled<CookieNonce>(1);
  Cookie cookie = issuer.issue(kHere, nonce, kStart);
  CHECK(issuer.valid(kHere, nonce, cookie, kStart));
  CHECK_FALSE(issuer.valid({kHere.ip + 1, kHere.port}, nonce, cookie, kStart));
  CHECK_FALSE(issuer.valid({kHere.ip, 1}, nonce, cookie, kStart));
  CHECK_FALSE(issuer.valid(kHere, filled<CookieNonce>(2), cookie, kStart));
  cookie.bytes[15] ^= 1;
  CHECK_FALSE(issuer.valid(kHere, nonce, cookie, kStart));
}

TEST_CASE("a cookie outlives one change of the secret and not two") {
  Prng random(1);
  auto nonce = filled<CookieNonce>(1);
  CookieIssuer issuer(random);
  Cookie cookie = issuer.issue(kHere, nonce, kStart);
  CHECK(issuer.valid(kHere, nonce, cookie, kStart + 59s));
  CHECK(issuer.valid(kHere, nonce, cookie, kStart + 61s));
  CHECK_FALSE(issuer.valid(kHere, nonce, cookie, kStart + 122s));
  // Nor a quiet hour.
  CookieIssuer quiet(random);
  cookie = quiet.issue(kHere, nonce, kStart);
  CHECK_FALSE(quiet.valid(kHere, nonce, cookie, kStart + 1h));
}

TEST_CASE("only the group's beacon key makes a member proof, and for one cookie") {
  auto key = filled<BeaconKey>(4);
  CookieAnswer answer{filled<CookieNonce>(1), filled<Cookie>(2), {}};
  CHECK_FALSE(member_proof_valid(key, answer));
  answer.proof = make_member_proof(key, answer.nonce, answer.cookie);
  CHECK(member_proof_valid(key, answer));
  CHECK_FALSE(member_proof_valid(filled<BeaconKey>(5), answer));
  answer.cookie.bytes[0] ^= 1;
  CHECK_FALSE(member_proof_valid(key, answer));
}

TEST_CASE("the allow-list forgets after 10 s and keeps the newest 256") {
  AllowList list;
  list.allow(kHere, {}, true, kStart);
  REQUIRE(list.find(kHere, kStart + 9s) != nullptr);
  CHECK(list.find(kHere, kStart + 9s)->member);
  CHECK(list.find(kHere, kStart + 10s) == nullptr);
  for (std::uint32_t i = 0; i < 1000; ++i) list.allow({i, 1}, {}, false, kStart + Duration(i));
  CHECK(list.size() == AllowList::kMaxEntries);
  CHECK(list.find({0, 1}, kStart) == nullptr);
  CHECK(list.find({744, 1}, kStart + 1ms) != nullptr);
  CHECK(list.find({743, 1}, kStart + 1ms) == nullptr);
}

}  // namespace
}  // namespace lansync
