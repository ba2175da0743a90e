// The address cookie before ENet's CONNECT (reliability.md §4.1, step 1): who wants a peer slot
// first shows that packets to its address reach it. Raw datagrams on ENet's socket; 'L' has ENet's
// COMPRESSED bit set, which lansync never uses, so the two cannot be confused.
//   LSH1 A->B  "LSH1" | nonceA16 | 44 zero bytes                     64 bytes
//   LSC1 B->A  "LSC1" | nonceA16 | cookie16                          36 (never more than came in)
//   LSA1 A->B  "LSA1" | nonceA16 | cookie16 | member_proof16         52
//   LSB1 B->A  "LSB1" | nonceA16                                     20 (busy: again in 100-300 ms)
// Invariant: the responder keeps nothing before LSA1. Driven by InterceptFilter.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <variant>

#include "base/address.h"
#include "base/bytes.h"
#include "base/ids.h"
#include "base/random.h"
#include "base/time.h"

namespace lansync {

using CookieNonce = TaggedBytes<struct CookieNonceTag, 16>;
using Cookie = TaggedBytes<struct CookieTag, 16>;
using MemberProof = TaggedBytes<struct MemberProofTag, 16>;

struct CookieHello {
  CookieNonce nonce;
};
struct CookieChallenge {
  CookieNonce nonce;
  Cookie cookie;
};
struct CookieAnswer {
  CookieNonce nonce;
  Cookie cookie;
  MemberProof proof;  // zero: no member yet
};
struct CookieBusy {
  CookieNonce nonce;
};
using CookiePacket = std::variant<CookieHello, CookieChallenge, CookieAnswer, CookieBusy>;

// True if it can only be one of the above: ENet never sees it.
bool is_cookie_packet(ByteView datagram);
Bytes encode_cookie(const CookiePacket& packet);
// nullopt for anything that is not exactly one of the four.
std::optional<CookiePacket> decode_cookie(ByteView datagram);

// HMAC(K_beacon, "hello" | nonce | cookie)[:16]: only a member has K_beacon, and the cookie makes
// it worthless from another address or a minute later.
MemberProof make_member_proof(const BeaconKey& key, const CookieNonce& nonce, const Cookie& cookie);
bool member_proof_valid(const BeaconKey& key, const CookieAnswer& answer);

// Makes and checks cookies without keeping any: HMAC(secret, ip | port | nonce)[:16]. The secret is
// new each 60 s and the one before it still counts, so a cookie lives 60 to 120 s.
class CookieIssuer {
 public:
  explicit CookieIssuer(RandomSource& random) : random_(random) {}
  Cookie issue(const Address& address, const CookieNonce& nonce, Instant now);
  bool valid(const Address& address, const CookieNonce& nonce, const Cookie& cookie, Instant now);

 private:
  using Secret = std::array<std::uint8_t, 32>;
  void rotate(Instant now);

  RandomSource& random_;
  std::optional<Instant> since_;
  Secret current_{};
  Secret previous_{};
};

// Addresses that answered their cookie: may CONNECT for 10 s. 256 at most, the oldest goes first.
class AllowList {
 public:
  static constexpr std::size_t kMaxEntries = 256;
  static constexpr Duration kLifetime = 10s;
  struct Entry {
    Address address;
    CookieNonce nonce;
    bool member = false;
    Instant since;
  };
  void allow(const Address& address, const CookieNonce& nonce, bool member, Instant now);
  // nullptr if unknown or too old. Valid until the next call of allow().
  const Entry* find(const Address& address, Instant now) const;
  std::size_t size() const { return used_; }

 private:
  std::array<Entry, kMaxEntries> entries_{};
  std::size_t used_ = 0;
};

}  // namespace lansync
