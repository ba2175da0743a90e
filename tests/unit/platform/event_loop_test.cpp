#include "platform/event_loop.h"

#include <fcntl.h>
#include <unistd.h>

#include <csignal>
#include <thread>

#include "platform/machine_facts.h"
#include "platform/os_random.h"
#include "platform/spdlog_log.h"
#include "platform/system_clock.h"
#include "temp_folder.h"

namespace lansync {
namespace {

struct Pipe {
  Pipe() { REQUIRE(::pipe2(ends, O_NONBLOCK | O_CLOEXEC) == 0); }
  ~Pipe() {
    ::close(ends[0]);
    ::close(ends[1]);
  }
  int ends[2];
};

std::unique_ptr<EventLoop> make_loop() {
  auto loop = EventLoop::create();
  REQUIRE(loop);
  return std::move(*loop);
}

TEST_CASE("a turn comes at its deadline and sees one instant") {
  auto loop = make_loop();
  std::vector<Instant> turns;
  loop->run([&](const Turn& turn) {
    CHECK(turn.now == loop->now());
    turns.push_back(turn.now);
    if (turns.size() == 4) loop->stop();
    return turn.now + 20ms;
  });
  REQUIRE(turns.size() == 4);
  for (std::size_t i = 1; i < turns.size(); ++i) CHECK(turns[i] - turns[i - 1] >= 20ms);
}

TEST_CASE("a readable descriptor wakes the loop once per read, without idle turns") {
  auto loop = make_loop();
  Pipe pipe;
  int reads = 0;
  int turns = 0;
  REQUIRE(loop->watch_fd(pipe.ends[0], [&] {
    char byte;
    CHECK(::read(pipe.ends[0], &byte, 1) == 1);
    if (++reads == 50) loop->stop();
  }));
  // Two bytes at once: level-triggered, the second is not forgotten.
  for (int i = 0; i < 50; ++i) REQUIRE(::write(pipe.ends[1], "x", 1) == 1);
  loop->run([&](const Turn&) {
    ++turns;
    return kNever;
  });
  CHECK(reads == 50);
  CHECK(turns <= 52);
}

TEST_CASE("a descriptor that rests is read late, and no turn comes for it before") {
  auto loop = make_loop();
  Pipe pipe;
  std::vector<Instant> reads;
  int turns = 0;
  REQUIRE(loop->watch_fd(pipe.ends[0], [&] {
    char byte;
    CHECK(::read(pipe.ends[0], &byte, 1) == 1);
    reads.push_back(loop->now());
    loop->rest_fd(pipe.ends[0], 20ms);
    if (reads.size() == 4) loop->stop();
  }));
  for (int i = 0; i < 4; ++i) REQUIRE(::write(pipe.ends[1], "x", 1) == 1);
  loop->run([&](const Turn&) {
    ++turns;
    return kNever;
  });
  REQUIRE(reads.size() == 4);
  for (std::size_t i = 1; i < reads.size(); ++i) CHECK(reads[i] - reads[i - 1] >= 20ms);
  CHECK(turns <= 9);
  // Unwatched while it rests: never read again.
  CHECK(::write(pipe.ends[1], "x", 1) == 1);
  loop->unwatch_fd(pipe.ends[0]);
  Instant end = kNever;
  loop->run([&](const Turn& turn) {
    if (end == kNever) end = turn.now + 50ms;
    if (turn.now >= end) loop->stop();
    return end;
  });
  CHECK(reads.size() == 4);
}

TEST_CASE("an unwatched descriptor is left alone and still open") {
  auto loop = make_loop();
  Pipe pipe;
  int calls = 0;
  REQUIRE(loop->watch_fd(pipe.ends[0], [&] {
    ++calls;
    loop->unwatch_fd(pipe.ends[0]);
  }));
  REQUIRE(::write(pipe.ends[1], "xx", 2) == 2);
  int turns = 0;
  loop->run([&](const Turn& turn) {
    if (++turns == 5) loop->stop();
    return turn.now + 1ms;
  });
  CHECK(calls == 1);
  char bytes[2];
  CHECK(::read(pipe.ends[0], bytes, 2) == 2);
}

TEST_CASE("a task from another thread wakes a loop that has no deadline") {
  auto loop = make_loop();
  std::thread other([&] { loop->post([&] { loop->stop(); }); });
  loop->run([](const Turn&) { return kNever; });
  other.join();
}

TEST_CASE("a loop that stood still says so in its next turn") {
  auto loop = make_loop();
  int turns = 0;
  bool first = true, second = false;
  loop->run([&](const Turn& turn) {
    if (++turns == 1) {
      first = turn.stalled;
      ::usleep(700'000);  // what is tested is real time passing
    } else {
      second = turn.stalled;
      CHECK_FALSE(turn.suspended);
      loop->stop();
    }
    return turn.now;
  });
  CHECK_FALSE(first);
  CHECK(second);
}

TEST_CASE("the clocks go forward and randomness differs") {
  SystemClock clock;
  Instant a = clock.now();
  CHECK(clock.now() >= a);
  CHECK(clock.wall().ns > 1'700'000'000'000'000'000);
  OsRandom random;
  CHECK(random.id<NodeId>() != random.id<NodeId>());
}

TEST_CASE("a log file gets lines of its level and above") {
  TempFolder dir;
  {
    auto log = SpdlogLog::create(LogLevel::kInfo, dir / "log");
    REQUIRE(log);
    (*log)->debug("not this");
    (*log)->warn("but {this}");
  }
  std::string text = read_file(dir / "log");
  CHECK(text.find("not this") == std::string::npos);
  CHECK(text.find("but {this}") != std::string::npos);
  CHECK_FALSE(SpdlogLog::create(LogLevel::kInfo, dir / "no/such/log"));
}

TEST_CASE("the machine has a name and limits") {
  MachineFacts facts = read_machine_facts();
  CHECK_FALSE(facts.hostname.empty());
  CHECK(facts.inotify_queue > 0);
  CHECK(read_kernel_setting("no/such/thing") == -1);
}

}  // namespace
}  // namespace lansync
