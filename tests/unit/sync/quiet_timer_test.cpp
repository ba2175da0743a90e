#include "sync/quiet_timer.h"

#include <algorithm>
#include <map>
#include <optional>

#include "base/random.h"
#include "support/catch.h"

namespace lansync {
namespace {

using Event = FileEvent;
// Not the epoch: a zero must not be taken for "never".
const Instant kStart{Duration(1s)};

// A timer and the clock that drives it.
struct Rig {
  QuietTimer timer;
  Instant now = kStart;
  explicit Rig(Duration settle = 2s, Duration settle_max = 60s)
      : timer({.settle = settle, .settle_max = settle_max}) {}
  void event(Event kind, const std::string& path = "f") {
    REQUIRE(timer.on_event(path, kind, now));
  }
  // Takes what is due up to `later` from now; gives when the first came, from kStart.
  std::optional<Duration> run(Duration later) {
    Instant end = now + later;
    if (timer.deadline() > end) {
      now = end;
      return std::nullopt;
    }
    now = std::max(now, timer.deadline());
    CHECK(!timer.take_due(now - 1us).size());
    due = timer.take_due(now);
    REQUIRE(!due.empty());
    Duration at = now - kStart;
    now = end;
    return at;
  }
  std::vector<QuietTimer::Due> due;
};

TEST_CASE("a save of many events is one edit, due settle after its end") {
  Rig rig;
  rig.event(Event::kCreate);
  for (int i = 0; i < 50; ++i) {
    rig.event(Event::kModify);
    rig.now += 30ms;
  }
  rig.event(Event::kCloseWrite);
  CHECK(rig.run(10s) == 1500ms + 2s);
  CHECK(rig.due == std::vector<QuietTimer::Due>{{"f", false}});
  CHECK(rig.timer.size() == 0);
  CHECK(rig.timer.deadline() == kNever);
}

TEST_CASE("a slow save is one edit up to the close, however long its events are apart") {
  Rig rig;
  for (int i = 0; i < 10; ++i) {
    rig.event(Event::kModify);
    rig.now += 3s;
  }
  rig.event(Event::kCloseWrite);
  CHECK(rig.run(10s) == 30s + 2s);
}

TEST_CASE("an edit while the timer runs restarts it at twice the length, 60 s at most") {
  Rig rig;
  Duration expected = 2s;
  for (int i = 0; i < 8; ++i) {
    rig.event(Event::kModify);
    rig.event(Event::kCloseWrite);
    CHECK(rig.timer.deadline() == rig.now + expected);
    expected = std::min<Duration>(2 * expected, 60s);
    rig.now += 1s;
  }
  CHECK(expected == 60s);
  CHECK(rig.run(2min) == 7s + 60s);
}

TEST_CASE("once it ran out the next edit begins at settle") {
  Rig rig;
  rig.event(Event::kCloseWrite);
  rig.now += 1s;
  rig.event(Event::kCloseWrite);
  CHECK(rig.run(10s) == 1s + 4s);
  rig.event(Event::kCloseWrite);
  CHECK(rig.timer.deadline() == rig.now + Duration(2s));
}

TEST_CASE("events 100 ms apart are two edits, 99 ms apart one") {
  Rig one;
  one.event(Event::kAttributes);
  one.now += 99ms;
  one.event(Event::kAttributes);
  CHECK(one.timer.deadline() == one.now + Duration(2s));
  Rig two;
  two.event(Event::kAttributes);
  two.now += 100ms;
  two.event(Event::kAttributes);
  CHECK(two.timer.deadline() == two.now + Duration(4s));
}

TEST_CASE("with --settle 60s a file is due one minute after the last edit") {
  for (Duration max : {Duration(60s), Duration(10s)}) {
    Rig rig(60s, max);
    for (int i = 0; i < 5; ++i) {
      rig.event(Event::kModify);
      rig.event(Event::kCloseWrite);
      rig.now += 20s;
    }
    CHECK(rig.run(2min) == 80s + 60s);
  }
}

TEST_CASE("a file that stays open for writing waits settle-max at most") {
  Rig rig;
  rig.event(Event::kModify);
  CHECK(rig.run(2min) == 60s);
  CHECK(!rig.due[0].busy);
}

TEST_CASE("a log that grows every 10 s while open is handed out about once a minute") {
  Rig rig;
  int handed_out = 0;
  for (int i = 0; i < 60; ++i) {
    rig.event(Event::kModify);
    if (rig.run(10s)) ++handed_out;
  }
  CHECK(handed_out >= 8);
  CHECK(handed_out <= 10);
}

TEST_CASE("a file that never rests is handed out as busy after 10 times settle-max") {
  Rig rig;
  std::optional<Duration> at;
  for (int i = 0; i < 1000 && !at; ++i) {
    rig.event(Event::kModify);
    at = rig.run(1s);
  }
  CHECK(at == 600s);
  CHECK(rig.due == std::vector<QuietTimer::Due>{{"f", true}});
  rig.event(Event::kCloseWrite);
  CHECK(rig.timer.deadline() == rig.now + Duration(2s));
}

TEST_CASE("a delete waits settle") {
  Rig rig;
  rig.event(Event::kDelete);
  CHECK(rig.run(10s) == 2s);
  for (int i = 0; i < 4; ++i) {
    rig.event(Event::kCloseWrite);
    rig.now += 500ms;
  }
  rig.event(Event::kDelete);
  CHECK(rig.timer.deadline() == rig.now + Duration(2s));
}

TEST_CASE("delete and create of one name is one edit") {
  Rig rig;
  rig.event(Event::kDelete);
  rig.now += 1500ms;
  rig.event(Event::kCreate);
  rig.event(Event::kModify);
  rig.now += 1500ms;
  rig.event(Event::kCloseWrite);
  CHECK(rig.run(10s) == 3s + 2s);
  CHECK(rig.due.size() == 1);
}

TEST_CASE("what a scan finds gets the timer, and does not lengthen one that runs") {
  Rig rig;
  rig.event(Event::kScanFound);
  rig.now += 1s;
  rig.event(Event::kScanFound);
  CHECK(rig.run(10s) == 2s);
}

TEST_CASE("with --settle 0 a closed file is due at once, an open one when it is closed") {
  Rig rig(0s, 0s);
  rig.event(Event::kCloseWrite);
  CHECK(rig.run(1s) == 0s);
  CHECK(!rig.due[0].busy);
  Rig open(0s, 60s);
  open.event(Event::kModify);
  open.now += 5s;
  CHECK(open.timer.take_due(open.now).empty());
  open.event(Event::kCloseWrite);
  CHECK(open.run(1s) == 5s + 100ms);
}

TEST_CASE("several paths come in the order of their deadlines, then of their names") {
  Rig rig;
  rig.event(Event::kCloseWrite, "z");
  rig.now += 1ms;
  rig.event(Event::kCloseWrite, "b");
  rig.event(Event::kCloseWrite, "a");
  CHECK(rig.timer.paths() == std::vector<std::string>{"a", "b", "z"});
  auto due = rig.timer.take_due(rig.now + 2s, 2);
  CHECK(due == std::vector<QuietTimer::Due>{{"z", false}, {"a", false}});
  CHECK(rig.timer.waiting("b"));
  CHECK(!rig.timer.waiting("a"));
  rig.timer.forget("b");
  rig.timer.forget("b");
  CHECK(rig.timer.deadline() == kNever);
}

TEST_CASE("a full timer takes no new path, and goes on with those it has") {
  QuietTimer timer({.settle = 2s, .settle_max = 60s, .max_paths = 2});
  CHECK(timer.on_event("a", Event::kModify, kStart));
  CHECK(timer.on_event("b", Event::kModify, kStart));
  CHECK(!timer.on_event("c", Event::kModify, kStart));
  CHECK(timer.on_event("a", Event::kCloseWrite, kStart));
  CHECK(timer.take_due(kStart + 2s).size() == 1);
  CHECK(timer.on_event("c", Event::kModify, kStart + 2s));
}

// Whatever happens to a path, it is handed out once, never before settle, never after patience.
TEST_CASE("any story of events ends with each path handed out in time") {
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    Prng random(seed);
    Rig rig(1s, 8s);
    std::map<std::string, Instant> first;
    std::map<std::string, Instant> last;
    for (int i = 0; i < 300; ++i) {
      std::string path(1, static_cast<char>('a' + random.below(4)));
      auto kind = static_cast<Event>(random.below(7));
      rig.event(kind, path);
      first.emplace(path, rig.now);
      if (kind != Event::kScanFound || !last.count(path)) last[path] = rig.now;
      rig.now += Duration(static_cast<std::int64_t>(random.below(2'000'000)));
      for (const QuietTimer::Due& due : rig.timer.take_due(rig.now)) {
        REQUIRE(first.count(due.path) == 1);
        CHECK((due.busy || rig.now - last[due.path] >= Duration(1s)));
        CHECK(rig.now - first[due.path] <= Duration(80s + 2s));
        first.erase(due.path);
        last.erase(due.path);
      }
      REQUIRE(first.size() == rig.timer.size());
    }
  }
}

}  // namespace
// Events tell of a write, not of who wrote: truncate(2) by path closes nothing that one could hear.
TEST_CASE("a write without a close is asked about after settle, and due when nobody writes") {
  QuietTimer timer({.settle = 2s, .settle_max = 60s, .ask_writers = true});
  REQUIRE(timer.on_event("f", Event::kModify, kStart));
  CHECK(timer.deadline() == kStart + 2s);
  CHECK(timer.take_due(kStart + 2s).empty());
  CHECK(timer.take_doubtful() == std::vector<std::string>{"f"});
  CHECK(timer.take_doubtful().empty());
  timer.on_writer("f", false, kStart + 2100ms);
  CHECK(timer.take_due(kStart + 2100ms) == std::vector<QuietTimer::Due>{{"f", false}});
  CHECK(timer.size() == 0);
}

TEST_CASE("while somebody writes it is asked again, and read after settle_max all the same") {
  QuietTimer timer({.settle = 2s, .settle_max = 20s, .ask_writers = true});
  REQUIRE(timer.on_event("f", Event::kModify, kStart));
  int asked = 0;
  std::vector<QuietTimer::Due> due;
  Instant now = kStart;
  while (due.empty()) {
    REQUIRE(asked < 100);
    now = timer.deadline();
    due = timer.take_due(now);
    for (const std::string& path : timer.take_doubtful()) {
      ++asked;
      timer.on_writer(path, true, now);
    }
  }
  CHECK(now == kStart + 20s);
  CHECK(asked == 9);
}

TEST_CASE(
    "where it cannot be told who writes, the events stand, as does an event after the question") {
  QuietTimer timer({.settle = 2s, .settle_max = 20s, .ask_writers = true});
  REQUIRE(timer.on_event("f", Event::kModify, kStart));
  CHECK(timer.take_due(kStart + 2s).empty());
  timer.on_writer("f", std::nullopt, kStart + 2s);
  CHECK(timer.deadline() == kStart + 20s);
  REQUIRE(timer.on_event("g", Event::kModify, kStart));
  CHECK(timer.take_due(kStart + 2s).empty());
  CHECK(timer.take_doubtful().size() == 2);
  REQUIRE(timer.on_event("g", Event::kModify, kStart + 3s));
  timer.on_writer("g", false, kStart + 3s);
  CHECK(timer.deadline() == kStart + 5s);
  CHECK(timer.take_due(kStart + 4s).empty());
}

}  // namespace lansync
