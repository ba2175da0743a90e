#include "platform/last_resort.h"

#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <thread>

#include "platform/event_loop.h"
#include "support/catch.h"

namespace lansync {
namespace {

// The process that a test runs in hears signals of its own: each story has one for itself.
template <typename Story>
int in_a_process(Story story) {
  const pid_t child = ::fork();
  if (child == 0) {
    story();
    ::_exit(99);
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

}  // namespace

TEST_CASE("a signal arrives as a call on the loop's thread") {
  CHECK(in_a_process([] {
          auto loop = EventLoop::create();
          int got = 0;
          auto resort = LastResort::start({[&](int number) {
                                             (*loop)->post([&, number] {
                                               got = number;
                                               (*loop)->stop();
                                             });
                                           },
                                           [] { ::_exit(2); }},
                                          5s);
          ::kill(::getpid(), SIGHUP);
          (*loop)->run([](const Turn&) { return kNever; });
          resort->reset();
          ::_exit(got == SIGHUP ? 0 : 1);
        }) == 0);
}

TEST_CASE("a process whose control thread stands still ends some time after the signal") {
  for (const bool by_signal : {true, false}) {
    const auto begin = std::chrono::steady_clock::now();
    CHECK(in_a_process([&] {
            auto resort = LastResort::start({[](int) {}, [] { ::_exit(7); }}, 300ms);
            by_signal ? (void)::kill(::getpid(), SIGTERM) : (*resort)->expect_end();
            for (;;) ::pause();
          }) == 7);
    const auto took = std::chrono::steady_clock::now() - begin;
    CHECK(took >= 250ms);
  }
}

TEST_CASE("a process that ends by itself is not ended, and no signal calls anybody any more") {
  CHECK(in_a_process([] {
          std::atomic<int> calls{0};
          auto resort = LastResort::start({[&](int) { ++calls; }, [] { ::_exit(7); }}, 200ms);
          (*resort)->expect_end();
          ::kill(::getpid(), SIGTERM);
          std::this_thread::sleep_for(50ms);
          resort->reset();
          std::this_thread::sleep_for(300ms);
          ::_exit(calls == 0 ? 0 : 1);
        }) != 7);
}

}  // namespace lansync
