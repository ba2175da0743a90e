// How fast passwords can be tried (reliability.md §4.1, limits). Each handshake costs a token of
// its address (5, then 1 a minute) and of the group (60, then 1 a second), and gets it back when
// the peer proves the password. An empty address bucket refuses, an empty group bucket only delays
// by up to 2 s, and proven members pass both, so that a guesser cannot lock members out. Invariant:
// bounded memory under any number of addresses. Driven by the endpoint, on both sides.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>

#include "base/time.h"

namespace lansync {

// Tokens in millionths, so that a refill of any rate is exact in whole microseconds.
class TokenBucket {
 public:
  // `capacity` tokens at first and at most; one more each `interval`.
  TokenBucket(std::int64_t capacity, Duration interval);
  // Takes one if there is one.
  bool take(Instant now);
  // Takes one even if that leaves a debt, of at most `max_debt` tokens; returns how long until the
  // debt is paid (0: there was one).
  Duration take_or_owe(Instant now, std::int64_t max_debt);
  void give_back();
  bool full(Instant now);
  std::int64_t whole(Instant now);  // tokens now, rounded down

 private:
  void refill(Instant now);
  std::int64_t capacity_;
  Duration interval_;
  std::int64_t level_;  // in 1/interval tokens: one microsecond adds one
  Instant last_{};
  bool started_ = false;
};

class GuessBudget {
 public:
  static constexpr std::size_t kMaxAddresses = 1024;
  static constexpr std::uint64_t kAlarmEach = 100;

  struct Admission {
    bool allowed = true;
    Duration delay{};  // answer M1 (or dial) only after this
  };

  GuessBudget() : group_(60, 1s) {}
  // A handshake with `ip` is about to run: takes the tokens. `member`: a valid member_proof.
  Admission admit(std::uint32_t ip, bool member, Instant now);
  // It reached a valid M3 (responder) or M4 (initiator): gives them back.
  void succeeded(std::uint32_t ip, bool member);
  // It ended otherwise, for whatever reason. True if it is time for an alarm: each 100 failures.
  bool failed();

  std::uint64_t failures() const { return failures_; }
  std::size_t addresses() const { return addresses_.size(); }

 private:
  void make_room(Instant now);
  TokenBucket group_;
  std::map<std::uint32_t, TokenBucket> addresses_;
  std::uint64_t failures_ = 0;
};

}  // namespace lansync
