// What a family's members read in `status` over a day is so. (tests/sim/family_day.h)
#include "sim/family_day.h"

#include <string>

#include "support/catch.h"

using namespace lansync::sim;

TEST_CASE("a family's day: what each is told at each moment is so, and nothing is lost") {
  for (std::uint64_t seed = 1; seed <= 5; ++seed) {
    INFO("seed " << seed << "; `lansync-family " << seed << "` tells the day");
    const FamilyDay day = live_family_day(seed, {});
    for (const std::string& wrong : day.wrong) UNSCOPED_INFO(wrong);
    CHECK(day.wrong.empty());
  }
}
