// How many bytes a session may have in flight: ENet has a fixed window and no congestion control.
//
// With 512 KB in flight on a line of 2 Mbit/s whose queue holds 50 KB, nine of ten datagrams were
// lost, ENet sent each up to six times, and 200 files of 2 MB had not come after 150 s and 12 MB.
// Additive increase would be slow on a LAN, where a window is gone in a millisecond: it doubles
// each round trip until the first cut, and grows by an eighth after that (as in RFC 5681 §3.1, but
// for the eighth). A cut halves it, once a round trip, and only if an eighth of what is in flight
// was lost: less than that is a bad cable or radio, and to slow down does not help there.
// Invariant: kLeast <= bytes() <= kMost. Pure; driven by EnetEndpoint, one for each session.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/time.h"

namespace lansync {

class SendWindow {
 public:
  static constexpr std::size_t kLeast = 10 * 1024;
  static constexpr std::size_t kFirst = 64 * 1024;
  static constexpr std::size_t kMost = 512 * 1024;

  std::size_t bytes() const { return bytes_; }
  // `limited`: more would have gone out if the window had been larger.
  void on_acknowledged(std::size_t bytes, bool limited);
  // The count of packets found lost, as ENet has it now (it starts at 0 again each 10 s), with the
  // time after which ENet takes one for lost.
  void on_losses(std::uint32_t lost, std::size_t packets_in_flight, Duration patience, Instant now);

 private:
  std::size_t bytes_ = kFirst;
  bool was_cut_ = false;
  std::uint32_t lost_before_ = 0;  // ENet's count when last seen
  std::size_t lost_ = 0;           // in this round
  Instant round_ends_{};
  Instant next_cut_{};
};

}  // namespace lansync
