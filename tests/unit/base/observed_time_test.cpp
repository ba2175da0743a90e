#include "base/observed_time.h"

#include "support/catch.h"

namespace lansync {
namespace {

constexpr std::int64_t kHourNs = 3600LL * 1'000'000'000;
constexpr std::int64_t kDayNs = 24 * kHourNs;
constexpr std::int64_t kBegin = 1'795'262'400'000'000'000;

WallTime wall(std::int64_t days) { return WallTime{kBegin + days * kDayNs}; }

}  // namespace

TEST_CASE("observed time is the monotonic clock while the node runs, whatever the calendar does") {
  ObservedTime time;
  time.start("", Instant{5h}, wall(0));
  CHECK(time.at(Instant{5h}) == 0);
  CHECK(time.at(Instant{29h}) == kDayNs);
  const std::string saved = time.text(Instant{29h}, wall(4000));
  ObservedTime next;
  // The clock had been years ahead when this was written, and is right again.
  next.start(saved, Instant{1h}, wall(1));
  next.on_reported(3 * kHourNs);
  next.vouch_alone();
  CHECK(next.at(Instant{1h}) == kDayNs);
  CHECK(next.unsure_ns() > 1000 * kDayNs);
  next.on_contact();
  CHECK(next.unsure_ns() == 0);
}

TEST_CASE("between runs a member's word counts as far as the calendar agrees, alone a day does") {
  ObservedTime before;
  before.start("", Instant{1h}, wall(0));
  const std::string saved = before.text(Instant{2h}, wall(0));
  auto gone = [&](std::int64_t days) {
    ObservedTime time;
    time.start(saved, Instant{1h}, wall(days));
    CHECK(time.at(Instant{1h}) == kHourNs);
    return time;
  };
  ObservedTime alone = gone(40);
  alone.vouch_alone();
  alone.vouch_alone();
  CHECK(alone.at(Instant{1h}) == kHourNs + kDayNs);
  // A member comes later: the day is not counted twice.
  alone.on_reported(30 * kDayNs);
  CHECK(alone.at(Instant{1h}) == kHourNs + 30 * kDayNs);
  alone.on_reported(10 * kDayNs);
  CHECK(alone.at(Instant{1h}) == kHourNs + 30 * kDayNs);
  // The clock jumped: it was two minutes, as the others know.
  ObservedTime jumped = gone(500);
  jumped.on_reported(120LL * 1'000'000'000);
  CHECK(jumped.at(Instant{1h}) == kHourNs + 120LL * 1'000'000'000);
  // A member that tells more than the calendar does.
  ObservedTime told = gone(2);
  told.on_reported(900 * kDayNs);
  CHECK(told.at(Instant{1h}) == kHourNs + 2 * kDayNs);
}

TEST_CASE("time that nobody vouched for stays in mind over restarts, until there is a contact") {
  ObservedTime first;
  first.start("", Instant{1h}, wall(0));
  ObservedTime second;
  second.start(first.text(Instant{1h}, wall(0)), Instant{1h}, wall(500));
  second.vouch_alone();
  CHECK(second.unsure_ns() == 499 * kDayNs);
  ObservedTime third;
  third.start(second.text(Instant{1h}, wall(500)), Instant{1h}, wall(502));
  third.vouch_alone();
  CHECK(third.unsure_ns() == 500 * kDayNs);
  CHECK(third.at(Instant{1h}) == 2 * kDayNs);
  third.on_contact();
  CHECK(third.unsure_ns() == 0);
  CHECK(third.at(Instant{1h}) == 2 * kDayNs);
  // A clock that is put right by some seconds tells all the same.
  ObservedTime fourth;
  const std::string saved = third.text(Instant{1h}, wall(502));
  fourth.start(saved, Instant{1h}, WallTime{wall(502).ns - 5'000'000'000});
  CHECK(fourth.unsure_ns() == 0);
  fourth.start(saved, Instant{1h}, wall(400));
  CHECK(fourth.unsure_ns() > 10'000 * kDayNs);
}

TEST_CASE("a suspended machine's time counts for a day, and for more when a member says so") {
  ObservedTime time;
  time.start("", Instant{1h}, wall(0));
  time.on_suspended(8h);
  CHECK(time.at(Instant{1h}) == 8 * kHourNs);
  time.on_suspended(24h * 60);
  CHECK(time.at(Instant{1h}) == 8 * kHourNs + kDayNs);
  time.on_reported(50 * kDayNs);
  CHECK(time.at(Instant{1h}) == 8 * kHourNs + 50 * kDayNs);
}

TEST_CASE("what an index holds of observed time may be anything") {
  for (const char* text :
       {"", "x", "5", "-3 7", "9223372036854775807 -9223372036854775808 9223372036854775807",
        "1 2 3", "1 2 3 ", "1 99999999999999999999 0",
        "9223372036854775807 9223372036854775807 -7"}) {
    ObservedTime time;
    time.start(text, Instant{1h}, wall(0));
    time.on_reported(INT64_MAX);
    time.vouch_alone();
    time.on_suspended(Duration::max() / 1000);
    CHECK(time.at(Instant{2h}) >= kHourNs);
    CHECK(time.at(Instant{2h}) <= time.at(Instant{3h}));
  }
}

}  // namespace lansync
