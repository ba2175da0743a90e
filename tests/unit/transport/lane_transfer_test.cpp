#include "support/catch.h"
#include "unit/transport/lane_cubic.h"
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
double measure(World& world, Pair& pair, Duration warm_up, Duration span,
               std::size_t block = 256'000) {
  pair.a->offer(1, std::uint64_t{1} << 40, block);
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
  for (int permille : {0, 10, 50, 200}) {
    World world(2);
    Pipe there(world, gigabit(50us, permille));
    Pipe back(world, gigabit(50us, permille));
    Pair pair(world, there, back);
    double rate = measure(world, pair, 300ms, 500ms);
    double limit = kGoodput * (1 - permille / 1000.0);
    INFO("loss " << permille << " permille: " << rate << " bytes/us of " << limit);
    CHECK(rate >= (permille == 0 ? 0.97 : permille == 200 ? 0.9 : 0.95) * limit);
    CHECK(pair.b->wrong == 0);
  }
}

// Bridges, taps and tunnels take a train for one frame. With trains of up to 60 and one verdict a
// packet, 5 % of loss left a third of a gigabit line, and 20 % a tenth.
TEST_CASE("loss of whole trains: what was sent at once is lost at once") {
  for (int permille : {10, 50, 200}) {
    for (Duration late : {0us, 400us}) {
      World world(21);
      PipeSettings line = gigabit(50us, permille);
      line.whole_trains = true;
      line.queue = 5800;  // 50 ms: what tbf is told in the tests on the real program
      Pipe there(world, line);
      Pipe back(world, line);
      Pair pair(world, there, back);
      pair.a->wake_late = pair.b->wake_late = late;
      double rate = measure(world, pair, 200ms, 300ms);
      double limit = kGoodput * (1 - permille / 1000.0);
      INFO("loss " << permille << " permille, called " << late.count() << " us late: " << rate
                   << " bytes/us of " << limit);
      CHECK(rate >= (permille == 200 ? 0.85 : 0.9) * limit);
      CHECK(pair.b->wrong == 0);
    }
  }
}

// 8 MiB of window are 91 % of a gigabit line at 80 ms; and with loss, where blocks wait for their
// last chunk for another round trip or two, they were a third.
TEST_CASE("a long way: 20 and 80 ms there and back, with and without loss") {
  for (Duration delay : {10ms, 40ms}) {
    for (int permille : {0, 10, 50}) {
      World world(3);
      Pipe there(world, gigabit(delay, permille));
      Pipe back(world, gigabit(delay, permille));
      Pair pair(world, there, back);
      double rate = measure(world, pair, 1300ms, 700ms);
      double limit = kGoodput * (1 - permille / 1000.0);
      INFO("delay " << delay.count() << " us each way, loss " << permille << " permille: " << rate
                    << " bytes/us of " << limit);
      CHECK(rate >= (permille == 0 ? 0.95 : 0.9) * limit);
      CHECK(pair.b->wrong == 0);
    }
  }
}

TEST_CASE("slow lines are filled, and their queue is not") {
  for (double rate : {1.25, 12.5}) {
    World world(4);
    PipeSettings line = gigabit(200us);
    line.bytes_per_us = rate;
    line.queue = 250;
    Pipe there(world, line);
    Pipe back(world, line);
    Pair pair(world, there, back);
    double got = measure(world, pair, 1s, 4s, 16'000);
    INFO(rate << " bytes/us: " << got);
    CHECK(got >= 0.9 * rate * 1000 / (kLaneMaxDatagram + 42));
    CHECK(pair.a->lane->status().rtt_us < 20'000);
  }
}

TEST_CASE("two lanes over one line get a quarter of it each, at least") {
  for (std::size_t queue : {250, 1000}) {
    World world(5);
    PipeSettings line = gigabit(50us);
    line.queue = queue;
    Pipe there(world, line);
    Pipe back(world, line);
    Pair one(world, there, back);
    Pair two(world, there, back);
    world.run_for(10ms);
    one.a->offer(1, std::uint64_t{1} << 40);
    world.run_for(300ms);
    two.a->offer(1, std::uint64_t{1} << 40);
    world.run_for(1500ms);  // the second finds its place
    std::uint64_t first = one.a->delivered;
    std::uint64_t second = two.a->delivered;
    world.run_for(1500ms);
    double got_first = static_cast<double>(one.a->delivered - first) / 1.5e6;
    double got_second = static_cast<double>(two.a->delivered - second) / 1.5e6;
    INFO("queue " << queue << ": " << got_first << " and " << got_second << " bytes/us");
    CHECK(got_first >= 0.25 * kGoodput);
    CHECK(got_second >= 0.25 * kGoodput);
    CHECK(got_first + got_second >= 0.9 * kGoodput);
  }
}

TEST_CASE("a lane and a TCP flow with CUBIC over one line get a quarter of it each, at least") {
  for (std::size_t queue : {250, 1000}) {
    World world(6);
    PipeSettings line = gigabit(50us);
    line.queue = queue;
    Pipe there(world, line);
    Pipe back(world, line);
    Pair pair(world, there, back);
    CubicFlow tcp(world, there, back);
    world.run_for(10ms);
    tcp.start();
    world.run_for(500ms);
    pair.a->offer(1, std::uint64_t{1} << 40);
    world.run_for(500ms);
    std::uint64_t lane_before = pair.a->delivered;
    std::uint64_t tcp_before = tcp.delivered;
    world.run_for(3s);
    double lane = static_cast<double>(pair.a->delivered - lane_before) / 3e6;
    double other = static_cast<double>(tcp.delivered - tcp_before) / 3e6;
    INFO("queue " << queue << ": lane " << lane << ", TCP " << other << " bytes/us");
    CHECK(lane >= 0.25 * kGoodput);
    CHECK(other >= 0.25 * kGoodput);
  }
}

TEST_CASE("loss, reordering, duplicates and flipped bits: everything once and right, from seeds") {
  for (std::uint64_t seed = 1; seed <= 12; ++seed) {
    World world(seed);
    PipeSettings line;
    line.bytes_per_us = world.random.chance(1, 2) ? 125 : 12.5;
    line.queue = 30 + world.random.below(500);
    line.delay = Duration(world.random.below(5000));
    line.loss_permille = static_cast<int>(world.random.below(201));
    line.duplicate_permille = static_cast<int>(world.random.below(50));
    line.flip_permille = static_cast<int>(world.random.below(20));
    line.late_permille = static_cast<int>(world.random.below(300));
    line.late = Duration(world.random.below(4000));
    Pipe there(world, line);
    Pipe back(world, line);
    Pair pair(world, there, back,
              world.random.chance(1, 2) ? Suite::kAes256Gcm : Suite::kChaCha20Poly1305);
    pair.a->keep_numbers = pair.b->keep_numbers = true;
    pair.a->allow_twice = pair.b->allow_twice = true;  // a lane may block and hand back
    pair.a->wake_late = Duration(world.random.below(300));
    pair.a->offer(1, 3'000'000 + world.random.below(1'000'000), 1 + world.random.below(256'000));
    for (std::uint32_t id = 2; id < 12; ++id)
      pair.a->offer(id, 1 + world.random.below(20'000), 4'000);
    pair.b->offer(20, 1'000'000, 32'000);
    INFO("seed " << seed);
    CHECK(world.run_while(
        [&] {
          return pair.b->received < pair.a->total_offered ||
                 pair.a->received < pair.b->total_offered;
        },
        120s));
    CHECK(pair.a->wrong + pair.b->wrong == 0);
    CHECK(pair.a->violations.empty());
    CHECK(pair.b->violations.empty());
  }
}

TEST_CASE("a receiver that stands still for 20 s: blocked, handed back, up again, nothing wrong") {
  World world(7);
  Pipe there(world, gigabit(50us));
  Pipe back(world, gigabit(50us));
  Pair pair(world, there, back);
  pair.b->allow_twice = true;
  world.run_for(10ms);
  pair.a->offer(1, 60'000'000);
  world.run_for(200ms);
  pair.b->stopped = true;
  std::uint64_t sent = pair.a->datagrams;
  world.run_for(1200ms);
  CHECK(pair.a->lane->status().state == CarrierState::kBlocked);
  CHECK(pair.a->lane->status().why.find("27802") != std::string::npos);
  CHECK(pair.a->returned > 0);
  CHECK(pair.a->returned <= ContentCarrier::kWindowBytes);
  world.run_for(18'800ms);
  // What the window allowed, and probes: it does not go on sending into the dark.
  CHECK(pair.a->datagrams - sent < 9000);
  pair.b->resume();
  REQUIRE(world.run_while([&] { return pair.b->received < pair.a->total_offered; }, 30s));
  CHECK(pair.b->wrong == 0);
  CHECK(pair.a->lane->status().state == CarrierState::kUp);
  CHECK(pair.b->violations.empty());
}

TEST_CASE("a slow disk at the receiver slows the sender; nothing is lost, nothing goes down") {
  World world(8);
  Pipe there(world, gigabit(50us));
  Pipe back(world, gigabit(50us, 100));  // a report of new credit may be lost
  Pair pair(world, there, back);
  pair.b->auto_credit = false;
  world.run_for(10ms);
  pair.a->offer(1, 30'000'000);
  std::function<void()> disk = [&] {
    pair.b->give_credit(std::min<std::uint64_t>(pair.b->uncredited, 100'000));
    pair.b->pump();
    world.at(world.now() + 10ms, disk);
  };
  world.at(world.now() + 5s, disk);  // a disk that does nothing at first
  world.run_for(4s);
  CHECK(pair.b->received <= ContentCarrier::kWindowBytes);
  CHECK(pair.b->received > ContentCarrier::kWindowBytes - 512'000);
  REQUIRE(world.run_while([&] { return pair.b->received < pair.a->total_offered; }, 10s));
  CHECK(pair.a->changes.size() == 1);
  CHECK(pair.a->returned == 0);
  CHECK(pair.a->lane->status().chunks_resent < 50);
}

TEST_CASE("one direction blocked from the start: both say within a second which one it is") {
  World world(9);
  Pipe there(world, gigabit(50us));
  Pipe back(world, gigabit(50us));
  there.closed = true;
  Pair pair(world, there, back);
  world.run_for(1010ms);
  REQUIRE(pair.a->lane->status().state == CarrierState::kBlocked);
  REQUIRE(pair.b->lane->status().state == CarrierState::kBlocked);
  CHECK(pair.a->lane->status().why.find("does not arrive") != std::string::npos);
  CHECK(pair.b->lane->status().why.find("nothing is heard") != std::string::npos);
  world.run_for(600s);
  std::uint64_t probes = pair.a->datagrams + pair.b->datagrams;
  CHECK(probes < 250);
  there.closed = false;
  world.run_for(61s);
  CHECK(pair.a->lane->status().state == CarrierState::kUp);
  CHECK(pair.b->lane->status().state == CarrierState::kUp);
}

TEST_CASE("a direction that breaks in the middle, and comes back") {
  World world(10);
  Pipe there(world, gigabit(50us));
  Pipe back(world, gigabit(50us));
  Pair pair(world, there, back);
  pair.b->allow_twice = true;
  pair.a->offer(1, 100'000'000);
  world.run_for(300ms);
  bool of_data = GENERATE(true, false);
  (of_data ? there : back).closed = true;
  world.run_for(1500ms);
  CHECK(pair.a->lane->status().state == CarrierState::kBlocked);
  world.run_for(10s);
  (of_data ? there : back).closed = false;
  REQUIRE(world.run_while([&] { return pair.b->received < pair.a->total_offered; }, 90s));
  CHECK(pair.b->wrong == 0);
  CHECK(pair.b->violations.empty());
  CHECK(pair.a->violations.empty());
}

}  // namespace lansync
