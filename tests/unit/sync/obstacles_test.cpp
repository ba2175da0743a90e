#include "sync/obstacles.h"

#include "base/log.h"
#include "support/catch.h"

namespace lansync {
namespace {

const VersionVector kOne({{1, 1}});
const VersionVector kTwo({{1, 2}});

FileStat stat_of(std::uint64_t size) {
  FileStat stat;
  stat.kind = FileKind::kFile;
  stat.size = size;
  return stat;
}

// Fails until it stands.
void stand(Obstacles& obstacles, const std::string& path, Instant now) {
  while (!obstacles.on_failed(path, kOne, true, now)) {
  }
}

}  // namespace

TEST_CASE("the first failure is tried again at once, the next ever later, a minute at most") {
  Obstacles obstacles;
  Instant now{1h};
  CHECK_FALSE(obstacles.on_failed("x", kOne, false, now));
  CHECK_FALSE(obstacles.blocks("x", kOne, now));
  CHECK(obstacles.has_unsettled());
  Duration before = Duration::zero();
  for (int i = 0; i < 12; ++i) {
    (void)obstacles.on_failed("x", kOne, false, now);
    const Duration wait = obstacles.deadline() - now;
    CHECK(obstacles.blocks("x", kOne, now));
    CHECK((wait > before || wait == 1min));
    before = wait;
    now += wait;
    CHECK(obstacles.take_due(now).tries == std::vector<std::string>{"x"});
    CHECK(obstacles.deadline() == kNever);
    CHECK_FALSE(obstacles.blocks("x", kOne, now));
  }
  CHECK(before == 1min);
  CHECK(obstacles.stands("x"));
  CHECK_FALSE(obstacles.has_unsettled());
}

TEST_CASE("of very many each is tried once in ten minutes") {
  Obstacles obstacles;
  const Instant now{1h};
  for (int i = 0; i < 50'000; ++i)
    for (int fails = 0; fails < 8; ++fails)
      (void)obstacles.on_failed(str("x", i), kOne, false, now);
  CHECK(obstacles.blocks("x49999", kOne, now + 10min - 1s));
  CHECK_FALSE(obstacles.blocks("x49999", kOne, now + 10min));
}

TEST_CASE("what a try itself did to what stands there is no reason to try again") {
  Obstacles obstacles;
  const Instant now{1h};
  while (!obstacles.on_failed("x", kOne, false, now)) {
  }
  CHECK_FALSE(obstacles.on_seen("x", stat_of(1)));
  (void)obstacles.on_failed("x", kOne, false, now);
  CHECK_FALSE(obstacles.on_seen("x", stat_of(2)));
  CHECK(obstacles.on_seen("x", stat_of(3)));
}

TEST_CASE("another version of the path is tried at once") {
  Obstacles obstacles;
  const Instant now{1h};
  stand(obstacles, "x", now);
  CHECK_FALSE(obstacles.blocks("x", kTwo, now));
  CHECK_FALSE(obstacles.on_failed("x", kTwo, true, now));
  CHECK_FALSE(obstacles.stands("x"));
}

TEST_CASE("what stands in the way is looked at, and tried only when it is another thing") {
  Obstacles obstacles;
  Instant now{1h};
  stand(obstacles, "x", now);
  CHECK_FALSE(obstacles.on_seen("x", stat_of(1)));
  for (int i = 0; i < 5; ++i) {
    now = obstacles.deadline();
    const Obstacles::Due due = obstacles.take_due(now);
    CHECK(due.tries.empty());
    CHECK(due.looks == std::vector<std::string>{"x"});
    CHECK_FALSE(obstacles.on_seen("x", stat_of(1)));
    CHECK(obstacles.blocks("x", kOne, now));
  }
  CHECK(obstacles.on_seen("x", std::nullopt));
  CHECK_FALSE(obstacles.blocks("x", kOne, now));
  CHECK_FALSE(obstacles.stands("x"));
}

TEST_CASE("what is behind another waits for that alone, through any number of them") {
  Obstacles obstacles;
  const Instant now{1h};
  stand(obstacles, "x", now);
  CHECK(obstacles.standing_above("x/a/b") == "x");
  CHECK_FALSE(obstacles.standing_above("y/a"));
  obstacles.on_behind("x/a", kOne, "x");
  obstacles.on_behind("x/a/b", kOne, "x/a");
  CHECK(obstacles.blocks("x/a/b", kOne, now + 24h));
  (void)obstacles.take_due(obstacles.deadline());
  CHECK(obstacles.clear("x") == std::vector<std::string>{"x/a", "x/a/b"});
  CHECK(obstacles.empty());
  CHECK(obstacles.deadline() == kNever);
}

TEST_CASE("what is passed over is passed over until it is another thing") {
  Obstacles obstacles;
  obstacles.pass_over("x", stat_of(5));
  CHECK(obstacles.passed_over("x", stat_of(5)));
  CHECK_FALSE(obstacles.passed_over("x", stat_of(6)));
  obstacles.take_up("x");
  CHECK_FALSE(obstacles.passed_over("x", stat_of(5)));
}

}  // namespace lansync
