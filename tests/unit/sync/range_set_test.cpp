#include "sync/range_set.h"

#include <vector>

#include "base/random.h"
#include "support/catch.h"

namespace lansync {

TEST_CASE("a set of ranges agrees with a plain array of bytes") {
  constexpr std::uint64_t kSize = 60;
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    Prng random(seed);
    RangeSet set;
    std::vector<bool> model(kSize);
    for (int i = 0; i < 100; ++i) {
      const std::uint64_t begin = random.below(kSize + 1);
      const std::uint64_t end = begin + random.below(kSize + 1 - begin);
      const bool adds = random.chance(1, 2);
      if (adds) {
        set.add(begin, end);
      } else {
        set.remove(begin, end);
      }
      for (std::uint64_t at = begin; at < end; ++at) model[at] = adds;

      const std::uint64_t from = random.below(kSize + 1);
      const std::uint64_t to = from + random.below(kSize + 1 - from);
      std::uint64_t inside = 0;
      for (std::uint64_t at = from; at < to; ++at) inside += model[at] ? 1 : 0;
      REQUIRE(set.overlap(from, to) == inside);
      REQUIRE(set.contains(from, to) == (inside == to - from));
      std::uint64_t last_end = 0;
      for (const ByteRange& range : set.ranges()) {
        REQUIRE(range.begin < range.end);
        REQUIRE((last_end == 0 || range.begin > last_end));
        last_end = range.end;
      }
      REQUIRE(set.total() + set.missing_of(kSize).total() == kSize);
    }
  }
}

TEST_CASE("what is taken from the front is cut at units and never empty") {
  RangeSet set;
  set.add(1000, 2000);
  set.add(5000, 30000);
  RangeSet taken = set.take_front(12000, 64, 10000);
  CHECK((taken.ranges() == std::vector<ByteRange>{{1000, 2000}, {5000, 10000}}));
  taken = set.take_front(3000, 64, 10000);
  CHECK((taken.ranges() == std::vector<ByteRange>{{10000, 20000}}));
  taken = set.take_front(1u << 30, 64, 10000);
  CHECK((taken.ranges() == std::vector<ByteRange>{{20000, 30000}}));
  CHECK(set.empty());
}

TEST_CASE("a run ends where its range does, and is empty where nothing is") {
  RangeSet set(10, 20);
  set.add(30, 40);
  CHECK(set.end_of_run(9) == 9);
  CHECK(set.end_of_run(10) == 20);
  CHECK(set.end_of_run(19) == 20);
  CHECK(set.end_of_run(20) == 20);
  CHECK(set.end_of_run(35) == 40);
  CHECK(RangeSet().end_of_run(0) == 0);
}

}  // namespace lansync
