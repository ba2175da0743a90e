#include "transport/cookie.h"

#include <algorithm>
#include <cstring>

#include "transport/crypto.h"

namespace lansync {
namespace {

constexpr std::size_t kHelloBytes = 64;
constexpr std::size_t kMagicBytes = 4;
constexpr Duration kSecretLife = 60s;

template <typename Id>
Id first_bytes(const Hash32& hash) {
  Id id;
  std::memcpy(id.bytes.data(), hash.data(), Id::kSize);
  return id;
}

Cookie cookie_of(ByteView secret, const Address& address, const CookieNonce& nonce) {
  ByteWriter in;
  in.u32(address.ip);
  in.u16(address.port);
  in.raw(nonce);
  return first_bytes<Cookie>(hmac_sha256(secret, {in.bytes()}));
}

}  // namespace

bool is_cookie_packet(ByteView datagram) {
  return datagram.size() >= 2 && datagram[0] == 'L' && datagram[1] == 'S';
}

Bytes encode_cookie(const CookiePacket& packet) {
  ByteWriter out;
  if (const auto* hello = std::get_if<CookieHello>(&packet)) {
    out.raw(as_bytes("LSH1"));
    out.raw(hello->nonce);
    Bytes bytes = out.take();
    bytes.resize(kHelloBytes);
    return bytes;
  }
  if (const auto* challenge = std::get_if<CookieChallenge>(&packet)) {
    out.raw(as_bytes("LSC1"));
    out.raw(challenge->nonce);
    out.raw(challenge->cookie);
  } else if (const auto* answer = std::get_if<CookieAnswer>(&packet)) {
    out.raw(as_bytes("LSA1"));
    out.raw(answer->nonce);
    out.raw(answer->cookie);
    out.raw(answer->proof);
  } else {
    out.raw(as_bytes("LSB1"));
    out.raw(std::get<CookieBusy>(packet).nonce);
  }
  return out.take();
}

std::optional<CookiePacket> decode_cookie(ByteView datagram) {
  ByteReader in(datagram);
  std::string_view magic = as_text(in.raw(kMagicBytes));
  CookieNonce nonce = in.id<CookieNonce>();
  std::optional<CookiePacket> packet;
  if (magic == "LSH1") {
    ByteView zeros = in.raw(kHelloBytes - kMagicBytes - CookieNonce::kSize);
    if (!std::all_of(zeros.begin(), zeros.end(), [](std::uint8_t byte) { return byte == 0; }))
      return std::nullopt;
    packet = CookieHello{nonce};
  } else if (magic == "LSC1") {
    packet = CookieChallenge{nonce, in.id<Cookie>()};
  } else if (magic == "LSA1") {
    Cookie cookie = in.id<Cookie>();
    packet = CookieAnswer{nonce, cookie, in.id<MemberProof>()};
  } else if (magic == "LSB1") {
    packet = CookieBusy{nonce};
  }
  if (!in.finished()) return std::nullopt;
  return packet;
}

MemberProof make_member_proof(const BeaconKey& key, const CookieNonce& nonce,
                              const Cookie& cookie) {
  return first_bytes<MemberProof>(
      hmac_sha256(key.bytes, {as_bytes("hello"), nonce.bytes, cookie.bytes}));
}

bool member_proof_valid(const BeaconKey& key, const CookieAnswer& answer) {
  MemberProof expected = make_member_proof(key, answer.nonce, answer.cookie);
  return equal_constant_time(expected.bytes, answer.proof.bytes);
}

void CookieIssuer::rotate(Instant now) {
  if (since_ && now - *since_ < kSecretLife) return;
  // After a long quiet time the old secret is too old as well.
  if (since_ && now - *since_ < 2 * kSecretLife)
    previous_ = current_;
  else
    random_.fill(previous_);
  random_.fill(current_);
  since_ = now;
}

Cookie CookieIssuer::issue(const Address& address, const CookieNonce& nonce, Instant now) {
  rotate(now);
  return cookie_of(current_, address, nonce);
}

bool CookieIssuer::valid(const Address& address, const CookieNonce& nonce, const Cookie& cookie,
                         Instant now) {
  rotate(now);
  return equal_constant_time(cookie_of(current_, address, nonce).bytes, cookie.bytes) ||
         equal_constant_time(cookie_of(previous_, address, nonce).bytes, cookie.bytes);
}

void AllowList::allow(const Address& address, const CookieNonce& nonce, bool member, Instant now) {
  Entry* slot = nullptr;
  for (std::size_t i = 0; i < used_; ++i)
    if (entries_[i].address == address) slot = &entries_[i];
  if (slot == nullptr && used_ < kMaxEntries) slot = &entries_[used_++];
  if (slot == nullptr)
    slot = &*std::min_element(entries_.begin(), entries_.end(),
                              [](const Entry& a, const Entry& b) { return a.since < b.since; });
  *slot = {address, nonce, member, now};
}

const AllowList::Entry* AllowList::find(const Address& address, Instant now) const {
  for (std::size_t i = 0; i < used_; ++i)
    if (entries_[i].address == address)
      return now - entries_[i].since < kLifetime ? &entries_[i] : nullptr;
  return nullptr;
}

}  // namespace lansync
