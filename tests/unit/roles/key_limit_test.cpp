#include "roles/key_limit.h"

#include "support/catch.h"

using namespace lansync;

namespace {

constexpr Instant kStart{1h};
constexpr WallTime kWall{1'800'000'000LL * 1'000'000'000};

WallTime later(Duration time) {
  return {kWall.ns + std::chrono::duration_cast<std::chrono::nanoseconds>(time).count()};
}

}  // namespace

TEST_CASE("a new key may be taken at once, and the next an hour later") {
  KeyLimit limit;
  limit.load({}, kStart, kWall);
  CHECK(limit.allows(kStart));
  limit.took(kStart);
  CHECK_FALSE(limit.allows(kStart + 59min));
  CHECK(limit.allows(kStart + 1h));
}

TEST_CASE("the hour goes on over a restart, by the time that was seen to pass") {
  KeyLimit before;
  before.took(kStart);
  const auto meta = before.meta(kStart + 10min, kWall);
  KeyLimit limit;
  limit.load(meta, kStart, later(20min));
  CHECK_FALSE(limit.allows(kStart + 29min));
  CHECK(limit.allows(kStart + 31min));
}

TEST_CASE("a clock that went back does not make it longer, nor what is stored after it is over") {
  KeyLimit before;
  before.took(kStart);
  const auto meta = before.meta(kStart, kWall);
  KeyLimit limit;
  limit.load(meta, kStart, WallTime{0});
  CHECK(limit.allows(kStart + 1h + 1s));
  CHECK_FALSE(limit.allows(kStart + 59min));
  for (const auto& [key, value] : limit.meta(kStart + 2h, kWall)) CHECK(value.empty());
  limit.load({{"new_key_wait", "999999999"}, {"new_key_wall", "x"}}, kStart, WallTime{0});
  CHECK(limit.allows(kStart + 1h));
}
