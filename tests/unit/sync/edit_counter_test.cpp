#include "sync/edit_counter.h"

#include "support/catch.h"

namespace lansync {
namespace {

// What the index holds after `edits` edits of a run that began from `stored`.
EditCounter::Stored after(const EditCounter::Stored& stored, std::uint64_t seed,
                          std::uint64_t edits) {
  Prng random(seed);
  EditCounter counter;
  counter.start(stored, random);
  counter.use(edits);
  constexpr std::uint64_t kReserve = 1'000'000;
  return {std::to_string(counter.last() + kReserve),
          std::to_string(counter.last()),
          std::to_string(counter.begin()),
          to_hex(counter.run()),
          counter.runs_text(),
          std::to_string(counter.shared())};
}

EditCounter started(const EditCounter::Stored& stored, std::uint64_t seed) {
  Prng random(seed);
  EditCounter counter;
  counter.start(stored, random);
  return counter;
}

TEST_CASE("a new index counts from one, and a start counts above all that was reserved") {
  EditCounter fresh = started({}, 1);
  CHECK(fresh.next() == 1);
  EditCounter::Stored stored = after({}, 1, 5);
  EditCounter again = started(stored, 2);
  CHECK(again.next() > 1'000'005);
  CHECK(again.last() <= 1'000'006 + EditCounter::kJump);
}

TEST_CASE("what this node used itself, in whichever run, is not forgotten") {
  EditCounter::Stored stored;
  std::vector<std::uint64_t> used;
  for (std::uint64_t run = 0; run < 20; ++run) {
    EditCounter counter = started(stored, run);
    used.push_back(counter.last() + 1);
    used.push_back(counter.last() + 3);
    counter.use(3);
    for (std::uint64_t count : used) CHECK_FALSE(counter.forgot(count));
    CHECK(counter.forgot(counter.last() + 1));
    stored = after(stored, run, 3);
  }
  CHECK_FALSE(started(stored, 99).forgot(0));
}

TEST_CASE("two copies of one index see each other's edits as not their own") {
  EditCounter::Stored common = after({}, 1, 5);
  for (std::uint64_t seed = 10; seed < 200; seed += 2) {
    EditCounter::Stored original = after(common, seed, 7);
    EditCounter copy = started(common, seed + 1);
    copy.use(100);
    std::uint64_t theirs = started(original, 0).begin() == 0 ? 0 : std::stoull(original.last);
    INFO("seed " << seed);
    CHECK(copy.forgot(theirs));
    // And after further runs of the copy alone.
    EditCounter later = started(after(after(common, seed + 1, 100), seed + 3, 2), seed + 5);
    CHECK(later.forgot(theirs));
    CHECK_FALSE(later.forgot(3));
  }
}

TEST_CASE("an older copy of the index knows nothing of the counts that were used after it") {
  EditCounter::Stored backup = after({}, 1, 5);
  EditCounter::Stored newer = after(backup, 2, 50);
  EditCounter restored = started(backup, 3);
  CHECK(restored.forgot(std::stoull(newer.last)));
  CHECK_FALSE(restored.forgot(5));
}

TEST_CASE("runs are bounded, and the oldest flow together") {
  EditCounter::Stored stored;
  for (std::uint64_t run = 0; run < 2 * kMaxRuns; ++run) stored = after(stored, run, 1);
  EditCounter counter = started(stored, 999);
  CHECK(counter.runs().size() == kMaxRuns);
  CHECK_FALSE(counter.forgot(1));
  CHECK_FALSE(counter.forgot(std::stoull(stored.last)));
}

TEST_CASE("each start states the runs before it, each with its predecessor") {
  EditCounter::Stored first = after({}, 1, 5);
  EditCounter::Stored second = after(first, 2, 0);  // it made nothing, and was told of all the same
  EditCounter third = started(second, 3);
  const std::vector<Run> runs = third.runs();
  REQUIRE(runs.size() == 3);
  CHECK(runs[0].first == 1);
  CHECK(runs[0].before.is_zero());
  CHECK(to_hex(runs[0].id) == first.run);
  CHECK(runs[1].before == runs[0].id);
  CHECK(to_hex(runs[1].id) == second.run);
  CHECK(runs[2].before == runs[1].id);
  CHECK(runs[2].id == third.run());
  CHECK(runs[2].first == third.begin() + 1);
}

TEST_CASE("what a copy or an old backup states lacks the run that went on without it") {
  EditCounter::Stored common = after({}, 1, 5);
  const StartId went_on = started(common, 2).run();
  for (const Run& run : started(common, 3).runs()) CHECK(run.id != went_on);
  for (const Run& run : started(after(common, 2, 7), 4).runs())
    if (run.id == went_on) return;
  FAIL("its own next start has to state it");
}

TEST_CASE("a new key has no past, and its counts go on above those of the old one") {
  EditCounter counter = started(after({}, 1, 5), 2);
  counter.use(10);
  counter.note_shared();
  counter.use(2);
  const std::uint64_t last = counter.last();
  CHECK(counter.shared_part() == last - 2);
  Prng random(3);
  counter.start_key(random);
  CHECK(counter.runs().size() == 1);
  CHECK(counter.shared_part() == 0);
  CHECK(counter.forgot(1));
  CHECK(counter.next() == last + 1);
  CHECK_FALSE(counter.forgot(last + 1));
}

TEST_CASE("what was shared is remembered, and texts that are not ours count for nothing") {
  EditCounter counter = started({}, 1);
  CHECK_FALSE(counter.note_shared());
  counter.use(3);
  CHECK(counter.shared() == 0);
  CHECK(counter.note_shared());
  CHECK(counter.shared() == 3);
  EditCounter broken =
      started({"x", "y", "-", "1", "1-,-2,5-3,a-b,,9999999999999999999999-1", "z"}, 1);
  CHECK(broken.runs_text().size() < 100);
  CHECK(broken.next() == 1);
}

TEST_CASE("counts that cannot be what a node wrote down are not counted on from") {
  auto readable = [](const char* reserved, const char* last) {
    return EditCounter::readable({reserved, last, "0", "", "", ""});
  };
  CHECK(readable("", ""));
  CHECK(readable("1000000", "7"));
  CHECK(readable("2305843009213693952", "7"));
  for (const char* broken : {"2305843009213693953", "18446744073709551615", "18446744073709551616",
                             "-1", "x", "7x", " 7"}) {
    INFO(broken);
    CHECK_FALSE(readable(broken, "7"));
    CHECK_FALSE(readable("1000000", broken));
  }
  CHECK_FALSE(readable("6", "7"));
  // Whatever is there, the next counts are counts.
  Prng random(3);
  EditCounter counter;
  counter.start({"18446744073709551615", "18446744073709551615", "9", "", "", ""}, random);
  CHECK(counter.next() < std::uint64_t{1} << 61);
}

}  // namespace
}  // namespace lansync
