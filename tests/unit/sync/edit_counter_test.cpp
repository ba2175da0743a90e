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
  return {std::to_string(counter.last() + kReserve), std::to_string(counter.last()),
          std::to_string(counter.begin()), counter.runs_text(), std::to_string(counter.shared())};
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
  for (std::uint64_t run = 0; run < 200; ++run) stored = after(stored, run, 1);
  EditCounter counter = started(stored, 999);
  CHECK(stored.runs.size() < EditCounter::kMaxRuns * 50);
  CHECK_FALSE(counter.forgot(1));
  CHECK_FALSE(counter.forgot(std::stoull(stored.last)));
}

TEST_CASE("an index of a program that wrote less down is taken at its word") {
  EditCounter counter = started({"1000", "", "", "", ""}, 1);
  CHECK_FALSE(counter.forgot(1000));
  CHECK(counter.shared() == 1000);
  EditCounter known = started({"1000", "7", "", "", ""}, 1);
  CHECK_FALSE(known.forgot(7));
  CHECK(known.forgot(8));
  CHECK(known.shared() == 7);
}

TEST_CASE("what was shared is remembered, and texts that are not ours count for nothing") {
  EditCounter counter = started({}, 1);
  CHECK_FALSE(counter.note_shared());
  counter.use(3);
  CHECK(counter.shared() == 0);
  CHECK(counter.note_shared());
  CHECK(counter.shared() == 3);
  EditCounter broken = started({"x", "y", "-", "1-,-2,5-3,a-b,,9999999999999999999999-1", "z"}, 1);
  CHECK(broken.runs_text().size() < 100);
  CHECK(broken.next() == 1);
}

}  // namespace
}  // namespace lansync
