#include "support/catch.h"
#include "unit/transport/lane_rig.h"

namespace lansync {
namespace {

using namespace lane_rig;

PipeSettings gigabit(Duration delay, int loss_permille = 0) {
  PipeSettings settings;
  settings.bytes_per_us = kGigabit;
  settings.delay = delay;
  settings.loss_permille = loss_permille;
  return settings;
}

// Bytes of payload per microsecond of a transfer that goes on, seen over `span` after `warm_up`.
double measure(World& world, Pair& pair, Duration warm_up, Duration span) {
  pair.a->offer(1, std::uint64_t{1} << 40);
  world.run_for(warm_up);
  std::uint64_t before = pair.a->delivered;
  world.run_for(span);
  return static_cast<double>(pair.a->delivered - before) / static_cast<double>(span.count());
}

}  // namespace

TEST_CASE("a lane comes up, moves blocks of any size once and right, and is silent then") {
  World world(1);
  Pipe there(world, gigabit(50us));
  Pipe back(world, gigabit(50us));
  Pair pair(world, there, back);
  pair.a->keep_numbers = true;
  world.run_for(10ms);
  REQUIRE(pair.a->lane->status().state == CarrierState::kUp);
  REQUIRE(pair.b->lane->status().state == CarrierState::kUp);
  pair.a->offer(1, 20'000'123);
  pair.a->offer(2, 1);
  pair.a->offer(3, 1001);
  pair.b->offer(4, 3'000'000, 100'000);
  REQUIRE(world.run_while([&] { return pair.b->received < pair.a->total_offered; }, 5s));
  world.run_for(100ms);
  CHECK(pair.a->received == pair.b->total_offered);
  CHECK(pair.a->delivered == pair.a->total_offered);
  CHECK(pair.b->delivered == pair.b->total_offered);
  CHECK(pair.a->wrong + pair.b->wrong == 0);
  CHECK(pair.a->violations.empty());
  CHECK(pair.b->violations.empty());
  std::uint64_t sent = pair.a->datagrams + pair.b->datagrams;
  world.run_for(600s);
  CHECK(pair.a->datagrams + pair.b->datagrams == sent);
}

TEST_CASE("a gigabit line is filled, with and without loss each way") {
  for (int permille : {0, 10, 50}) {
    World world(2);
    Pipe there(world, gigabit(50us, permille));
    Pipe back(world, gigabit(50us, permille));
    Pair pair(world, there, back);
    double rate = measure(world, pair, 300ms, 1s);
    double limit = kGoodput * (1 - permille / 1000.0);
    INFO("loss " << permille << " permille: " << rate << " bytes/us of " << limit);
    CHECK(rate >= 0.9 * limit);
    CHECK(pair.b->wrong == 0);
  }
}

}  // namespace lansync
