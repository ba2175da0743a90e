// How fast passwords can be tried (DESIGN, Security: failed handshakes). A guess is a handshake
// that comes so far that one side learns whether the other has the password: the responder looks at
// M3, the initiator sends it.
//
// Invariant: at most kMaxFailures guesses fail in any minute, whoever makes them and from however
// many addresses, in both directions together; bounded memory. Within that,
//  · the first kFreeFailures of a minute are anybody's, so that a mistyped password is told;
//  · after them only a newcomer may try, each kSpacing: an address that never failed and asked for
//    the first time less than kNewcomerAge ago, the newest first. Who guesses from hundreds of
//    addresses has used them up after the first seconds, and a machine that comes then has its
//    turn.
// A right password costs nothing; a valid member proof, and an address that we dial and that proved
// itself before, pass beside all this. Driven by the endpoint and its filter.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>

#include "base/time.h"
#include "base/token_bucket.h"

namespace lansync {

class GuessBudget {
 public:
  static constexpr std::size_t kMaxAddresses = 1024;
  static constexpr std::size_t kMaxFailures = 6;
  static constexpr std::size_t kFreeFailures = 3;
  static constexpr Duration kWindow = 60s;
  static constexpr Duration kSpacing = 8s;
  static constexpr Duration kNewcomerAge = 10s;
  static constexpr std::uint64_t kAlarmEach = 100;

  // A stranger at `ip` asks for a handshake, and `in_flight` of other strangers are under way.
  // False: it is to come again in a moment.
  bool admit(std::uint32_t ip, std::size_t in_flight, Instant now);
  // The same for a dial of ours.
  bool admit_dial(std::uint32_t ip, Instant now);
  // One side is about to learn whether the other has the password. False: it must not. Of a dial
  // the other side learns it first, and may never tell: it counts as failed until it succeeded.
  bool judge(std::uint32_t ip, bool outgoing, Instant now);
  void succeeded(std::uint32_t ip, bool outgoing, Instant now);
  // True if it is time for an alarm: each 100 failures.
  bool failed(std::uint32_t ip, bool outgoing, Instant now);
  // A handshake that ended before anything was learned by it.
  void wasted(std::uint32_t ip, Instant now);
  // The free failures of the last minute are used up.
  bool tight(Instant now);

  std::uint64_t failures() const { return failures_; }
  std::size_t addresses() const { return hosts_.size(); }

 private:
  struct Host {
    Instant first{};  // asked for the first time
    Instant last{};   // and for the last
    std::optional<Instant> failed;
    Instant admitted{};   // as a newcomer
    bool proven = false;  // we dialled it and it had the password
    int strikes = 0;      // failures since
    int wasted = 0;       // lately
    Instant wasted_at{};
  };
  Host& host(std::uint32_t ip, Instant now);
  bool newcomer(const Host& host, Instant now) const;
  bool first_in_line(const Host& host, Instant now) const;
  bool slot_open(Instant now);
  static bool trusted(const Host& host);

  std::map<std::uint32_t, Host> hosts_;
  struct Failure {
    Instant at{};
    std::uint32_t ip = 0;
    bool pending = false;  // a dial that may yet succeed
  };
  std::deque<Failure>::iterator pending(std::uint32_t ip);
  std::deque<Failure> window_;  // of the last minute, the newest last
  std::uint64_t failures_ = 0;
};

}  // namespace lansync
