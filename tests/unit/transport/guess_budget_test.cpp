#include "transport/guess_budget.h"

#include <algorithm>
#include <vector>

#include "support/catch.h"

namespace lansync {
namespace {

const Instant kStart{Duration(1h)};

// A handshake with a wrong password: true if it came so far that it was one.
bool guess(GuessBudget& budget, std::uint32_t ip, Instant now) {
  if (!budget.admit(ip, 0, now) || !budget.judge(ip, false, now)) return false;
  budget.failed(ip, false, now);
  return true;
}

bool join(GuessBudget& budget, std::uint32_t ip, Instant now) {
  if (!budget.admit(ip, 0, now) || !budget.judge(ip, false, now)) return false;
  budget.succeeded(ip, false, now);
  return true;
}

std::size_t most_in_a_minute(const std::vector<Instant>& at) {
  std::size_t most = 0;
  for (std::size_t i = 0; i < at.size(); ++i) {
    auto end = std::lower_bound(at.begin(), at.end(), at[i] + 60s);
    most = std::max(most, static_cast<std::size_t>(end - at.begin()) - i);
  }
  return most;
}

TEST_CASE(
    "six guesses fail a minute, from 200 addresses at once, one after the other, or from one") {
  for (int way = 0; way < 3; ++way) {
    INFO(way);
    GuessBudget budget;
    std::vector<Instant> failed;
    for (Instant now = kStart; now < kStart + 10min; now += 100ms) {
      const auto tick = static_cast<std::uint32_t>((now - kStart) / 100ms);
      for (std::uint32_t i = 0; i < (way == 0 ? 200U : 1U); ++i) {
        const std::uint32_t ip = way == 0 ? i : way == 1 ? tick % 200 : 7;
        if (guess(budget, ip, now)) failed.push_back(now);
      }
    }
    CHECK(most_in_a_minute(failed) <= GuessBudget::kMaxFailures);
    CHECK(failed.size() >= 20);  // a mistyped password is told
  }
}

TEST_CASE("a newcomer with the right password joins within 10 s beside 200 that guess") {
  for (int late : {3, 5, 9, 14, 20, 40, 70, 200}) {
    INFO(late << " s after the guessing began");
    GuessBudget budget;
    Instant joined{};
    for (Instant now = kStart; now < kStart + 5min; now += 200ms) {
      for (std::uint32_t ip = 100; ip < 300; ++ip) guess(budget, ip, now);
      if (now - kStart >= 1s * late && joined == Instant{} && join(budget, 7, now)) joined = now;
    }
    REQUIRE(joined != Instant{});
    CHECK(joined - kStart - 1s * late <= Duration(10s));
  }
}

TEST_CASE("of newcomers who wait the newest has the turn, and one that failed has none") {
  GuessBudget budget;
  Instant now = kStart;
  for (int i = 0; i < 3; ++i) CHECK(guess(budget, 1, now));
  CHECK(budget.tight(now));
  CHECK_FALSE(budget.admit(1, 0, now));
  CHECK_FALSE(budget.admit(2, 0, now));
  now += 5s;
  CHECK_FALSE(budget.admit(3, 0, now));
  now += 3s;
  CHECK_FALSE(budget.admit(1, 0, now));
  CHECK(budget.admit(3, 0, now));
  CHECK_FALSE(budget.admit(2, 0, now));
  // Another handshake is under way: one at a time.
  CHECK_FALSE(budget.admit(3, 1, now));
  // What nobody admitted is not looked at either.
  CHECK(budget.judge(3, false, now));
  CHECK_FALSE(budget.judge(2, false, now));
}

TEST_CASE("a right password costs nothing") {
  GuessBudget budget;
  for (std::uint32_t i = 0; i < 1000; ++i) CHECK(join(budget, i % 50, kStart));
  for (int i = 0; i < 100; ++i) {
    REQUIRE(budget.admit_dial(9, kStart));
    REQUIRE(budget.judge(9, true, kStart));
    budget.succeeded(9, true, kStart);
  }
  CHECK_FALSE(budget.tight(kStart));
}

TEST_CASE("a dial counts as a guess from the moment in which the other side learns of it") {
  GuessBudget budget;
  for (std::uint32_t ip = 1; ip <= 3; ++ip) {
    CHECK(budget.admit_dial(ip, kStart));
    CHECK(budget.judge(ip, true, kStart));
  }
  // None of the three has said how it ended.
  CHECK_FALSE(budget.judge(4, true, kStart));
  CHECK_FALSE(guess(budget, 5, kStart));
  budget.succeeded(1, true, kStart);
  CHECK(budget.judge(4, true, kStart));
  budget.failed(2, true, kStart);
  CHECK(budget.tight(kStart));
}

TEST_CASE(
    "who proved itself when we dialled it is dialled again beside any guessing, three failures "
    "long") {
  GuessBudget budget;
  CHECK(budget.admit_dial(9, kStart));
  CHECK(budget.judge(9, true, kStart));
  budget.succeeded(9, true, kStart);
  for (std::uint32_t ip = 100; ip < 300; ++ip) guess(budget, ip, kStart);
  Instant now = kStart + 1s;
  for (int i = 0; i < 3; ++i) {
    CHECK(budget.admit_dial(9, now));
    CHECK(budget.judge(9, true, now));
    budget.failed(9, true, now);
  }
  CHECK_FALSE(budget.judge(9, true, now));
}

TEST_CASE("addresses that begin handshakes and do not go on leave room to others") {
  GuessBudget budget;
  CHECK(budget.admit(1, 12, kStart));
  for (int i = 0; i < 3; ++i) budget.wasted(1, kStart);
  CHECK_FALSE(budget.admit(1, 12, kStart));
  CHECK(budget.admit(1, 2, kStart));
  CHECK(budget.admit(2, 12, kStart));
  for (int i = 0; i < 3; ++i) budget.wasted(1, kStart);
  CHECK_FALSE(budget.admit(1, 0, kStart + 1s));
  CHECK(budget.admit(1, 0, kStart + 3s));
}

TEST_CASE("a flood of addresses takes bounded memory and makes nobody forget who failed") {
  GuessBudget budget;
  for (int i = 0; i < 3; ++i) guess(budget, 1, kStart);
  for (std::uint32_t ip = 100; ip < 10'000; ++ip) budget.admit(ip, 0, kStart + 1s);
  CHECK(budget.addresses() == GuessBudget::kMaxAddresses);
  CHECK_FALSE(budget.admit(1, 0, kStart + 9s));
}

TEST_CASE("each hundredth failure is an alarm") {
  GuessBudget budget;
  int alarms = 0;
  for (int i = 0; i < 250; ++i) alarms += budget.failed(1, false, kStart) ? 1 : 0;
  CHECK(alarms == 2);
}

}  // namespace
}  // namespace lansync
