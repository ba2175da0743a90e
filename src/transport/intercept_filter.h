// Looks at every datagram on ENet's socket before ENet does, because ENet 1.3.17 gives slots and
// memory to strangers (reliability.md §3: E1, E3, E5, E6, E12). Invariant: ENet sees only datagrams
// that parse to their last byte, from an address that answered a cookie, that we dialled, or that
// has a session; and before authentication only what a handshake needs.
// Driven by the endpoint: inspect() in host->intercept; the rest when its peers change.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <vector>

#include "base/address.h"
#include "base/bytes.h"
#include "base/host_budget.h"
#include "base/ids.h"
#include "base/random.h"
#include "base/time.h"
#include "transport/cookie.h"
#include "transport/enet_tuning.h"
#include "transport/guess_budget.h"

namespace lansync {

enum class FilterAction : std::uint8_t { kPass, kDrop, kReply };

// Not called Verdict: that is the message.
struct FilterVerdict {
  FilterAction action = FilterAction::kDrop;
  Bytes reply;  // kReply: send it to where the datagram came from; ENet does not get the datagram
};

struct FilterCounters {
  std::uint64_t rejected = 0;  // dropped: malformed, forbidden, or from nobody we know
  std::uint64_t refused = 0;   // well-formed, but over a cap: told to come again
  std::uint64_t cookies = 0;   // LSC1 sent
};

// What a dial needs next.
struct DialEvent {
  enum class Kind : std::uint8_t {
    kCookie,  // send `packet` to `address`, then enet_host_connect (unless that is under way)
    kBusy,    // refused for now: dial again in 100-300 ms
    kSelf,    // the address is our own socket
  };
  Kind kind = Kind::kCookie;
  Address address;
  Bytes packet;
};

class InterceptFilter {
 public:
  static constexpr std::size_t kMaxStrangers = 16;  // half-open, without member_proof
  static constexpr std::size_t kMaxMembers = 200;   // half-open, with it
  static constexpr std::size_t kMaxEachIp = 4;      // of each of the two kinds
  static constexpr Duration kHalfOpenLife = 6s;     // M3 is due 5 s after CONNECT
  static constexpr Duration kInFlightLife = 2500ms;
  static constexpr Duration kAnswerLife = 10s;    // of expect_answer()
  static constexpr Duration kLinger = 5s;         // after on_closed(): the last ACKs
  static constexpr std::size_t kMaxDials = 1024;  // cookies asked for and not answered
  static constexpr std::uint32_t kMaxMtu = kEnetMtu;
  static constexpr std::size_t kChecksumBytes = 4;

  // `checksum`: host->checksum is set (4 bytes after ENet's header).
  explicit InterceptFilter(RandomSource& random, bool checksum = true);

  // Strangers then have to pass it too. It outlives the filter.
  void set_budget(GuessBudget& budget) { budget_ = &budget; }
  // From then on our LSA1 proves membership, and those of others can.
  void set_beacon_key(const BeaconKey& key) { beacon_key_ = key; }

  FilterVerdict inspect(const Address& from, ByteView datagram, Instant now);

  // The LSH1 to send to `address`; asked again before an answer came, the same one (resend it each
  // 250 ms or so). Empty if 1024 dials wait already.
  Bytes begin_dial(const Address& address, Instant now);
  // Forgets it: no cookie came, or the dial was given up.
  void end_dial(const Address& address);
  // What cookies of ours brought; ask after each pass of enet_host_service.
  std::optional<DialEvent> take_dial_event();
  // We send CONNECT to `address`: what it answers may pass for 10 s, or until on_authenticated.
  void expect_answer(const Address& address, Instant now);

  // Handshake done, either side. Once for each ENet peer.
  void on_authenticated(const Address& address);
  // An ENet peer at `address` is gone; `authenticated` if on_authenticated was called for it.
  void on_closed(const Address& address, bool authenticated, Instant now);
  // True if its CONNECT came with a valid member_proof, which passes the guess budget.
  bool proven_member(const Address& address, Instant now) const;
  std::size_t half_open() const { return strangers_ + members_; }
  const FilterCounters& counters() const { return counters_; }

 private:
  struct HalfOpen {
    std::uint32_t connect_id = 0;
    bool member = false;
    Instant since;
  };
  // All that is known of one address. Goes when nothing in it holds any more.
  struct Peer {
    std::vector<HalfOpen> half_open;
    std::uint32_t sessions = 0;
    bool dialled = false;
    Instant answer_until;
    std::uint32_t early_bytes = 0;  // data that a dialled address sent before authentication
    bool lingering = false;
    Instant linger_until;
  };
  struct Dial {
    CookieNonce nonce;
    bool answered = false;  // its event was given; a second LSC1 gives none
  };
  FilterVerdict inspect_cookie(const Address& from, ByteView datagram, Instant now);
  FilterVerdict on_cookie_answer(const Address& from, const CookieAnswer& answer, Instant now);
  FilterVerdict inspect_connect(const Address& from, ByteView commands, Instant now);
  bool room_for(const Address& from, bool member, Instant now);
  std::size_t in_flight(Instant now) const;
  void on_challenge(const Address& from, const CookieChallenge& challenge);
  void on_busy(const Address& from);
  void expire(Instant now);
  void drop_half_open(Peer& peer, std::size_t index);
  void settle_one(Peer& peer);
  FilterVerdict reject();
  FilterVerdict answer_busy(const CookieNonce& nonce);

  RandomSource& random_;
  bool checksum_;
  CookieIssuer issuer_;
  AllowList allowed_;
  std::optional<BeaconKey> beacon_key_;
  std::map<Address, Dial> dials_;
  std::deque<DialEvent> events_;
  std::map<Address, Peer> peers_;
  std::size_t strangers_ = 0;
  std::size_t members_ = 0;
  GuessBudget* budget_ = nullptr;
  // A host may hold dozens of nodes, each of which asks four times a second. An answer costs some
  // 10 us, most of it in the kernel: of 10,000 askers a second as much as a core's tenth.
  HostBudget answers_{{128, 20ms}, {1000, 500us}};
  TokenBucket stranger_rate_;
  TokenBucket member_rate_;
  Instant next_expiry_{};
  FilterCounters counters_;
};

}  // namespace lansync
