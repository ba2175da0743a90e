// Time that a node has seen to pass: what the ages of trash and tombstones are counted in. A clock
// that jumps by years for a minute must purge nothing, and a laptop's battery that was empty must
// not make everything young again.
//
// Invariant: it never goes back, and between two runs it goes on by no more than a connected member
// says that this node was away, or by a day if nobody says anything. While the node runs it is the
// monotonic clock. Nanoseconds since this folder's first start. Pure; driven by the replica, which
// keeps text() in the index.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/time.h"

namespace lansync {

class ObservedTime {
 public:
  // What nobody else vouches for counts for so much at most.
  static constexpr std::int64_t kAloneNs = 24LL * 3600 * 1'000'000'000;

  // `saved` is text() of the run before; what cannot be read counts as none.
  void start(std::string_view saved, Instant now, WallTime wall);
  std::int64_t at(Instant now) const;
  // A member says for how long it has not seen this node: so much of the time between the runs has
  // passed for certain, if the calendar agrees.
  void on_reported(std::int64_t away_ns);
  // Nobody said anything by now.
  void vouch_alone();
  // The machine was suspended: the monotonic clock stood still. As sure as the calendar, not surer.
  void on_suspended(Duration slept);
  // What may have passed besides since on_contact(), as the calendar says and nobody vouches for;
  // more than anybody waits for if it went back by more than a day. Outlasts the runs.
  std::int64_t unsure_ns() const;
  // This node is in sync with another: how long it had been away does not matter any more.
  void on_contact();

  std::string text(Instant now, WallTime wall) const;

 private:
  void credit(std::int64_t ns);
  void begin_gap(std::int64_t ns);

  std::int64_t base_ns_ = 0;  // at started_
  Instant started_{};
  std::int64_t gap_ns_ = 0;       // the last absence
  std::int64_t credited_ns_ = 0;  // of it
  std::int64_t unsure_before_ns_ = 0;
};

}  // namespace lansync
