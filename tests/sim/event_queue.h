// What happens in a simulated world, in order: (time, number of insertion). Ties are broken by the
// number, so the order never depends on where something lies in memory.
//
// Invariant: time never goes back. Driven by World; everything else only adds.
#pragma once

#include <cstdint>
#include <functional>
#include <queue>
#include <utility>
#include <vector>

#include "base/assert.h"
#include "base/time.h"

namespace lansync::sim {

class EventQueue {
 public:
  // A world begins at 1 s: a zero Instant means "never" in more than one place, and ENet takes a
  // time of 0 for "not set".
  static constexpr Instant kBegin{1s};

  Instant now() const { return now_; }
  void at(Instant when, std::function<void()> what) {
    events_.push({std::max(when, now_), next_number_++, std::move(what)});
  }
  void after(Duration delay, std::function<void()> what) { at(now_ + delay, std::move(what)); }
  bool empty() const { return events_.empty(); }
  Instant next() const { return events_.empty() ? kNever : events_.top().when; }
  void run_one() {
    LS_ASSERT(!events_.empty());
    // priority_queue gives no way to move its top out; the function is moved by hand.
    std::function<void()> what = std::move(const_cast<Event&>(events_.top()).what);
    now_ = events_.top().when;
    events_.pop();
    what();
  }
  void advance_to(Instant when) { now_ = std::max(now_, when); }

 private:
  struct Event {
    Instant when;
    std::uint64_t number;
    std::function<void()> what;
    bool operator<(const Event& other) const {
      return when != other.when ? when > other.when : number > other.number;
    }
  };
  std::priority_queue<Event> events_;
  Instant now_ = kBegin;
  std::uint64_t next_number_ = 0;
};

}  // namespace lansync::sim
