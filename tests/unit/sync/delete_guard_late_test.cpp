// Deletes of what came while a run of deletes was open.
#include "support/catch.h"
#include "unit/sync/guard_rig.h"

namespace lansync {
namespace {

using namespace guard_rig;

// One small delete a minute keeps a run open for an hour, and all that came in it went unasked.
TEST_CASE("what came in an open run and was in sync for a minute is guarded like anything else") {
  Guard guard(default_max_deletes());
  Instant now = kStart;
  auto small_delete = [&, next = 0]() mutable {
    const int i = next++;
    CHECK(guard.remove(path(i), file(i), now, 100));
    guard.on_pushed(path(i));
    now += 50s;
  };
  small_delete();
  for (int i = 1000; i < 1400; ++i) guard.on_first_synced(path(i), now);
  small_delete();
  SECTION("all of it is deleted") {
    for (int minute = 0; minute < 5; ++minute) small_delete();
    for (int i = 1000; i < 1400; ++i)
      guard.remove(path(i), file(i), now, static_cast<std::uint64_t>(1493 - i));
    CHECK(guard.held_count() == 400);
    CHECK(guard.holds(path(1000)));
    // Also after a restart, with what had gone out before.
    Guard after(default_max_deletes());
    REQUIRE(after.restore(guard.serialize(), now));
    for (int i = 0; i < 7; ++i)
      after.take_back(path(i), tombstone_of(file(i), guard.only_run()), true);
    for (int i = 1000; i < 1400; ++i)
      after.take_back(path(i), tombstone_of(file(i), guard.only_run()), false);
    after.finish_restore();
    CHECK(after.held_count() == 400);
  }
  SECTION("with what was there before") {
    small_delete();
    // 45 of the 97, 206 of the 400: half of all, and of what was there before less.
    for (int i = 10; i < 55; ++i)
      CHECK(guard.remove(path(i), file(i), now, static_cast<std::uint64_t>(507 - i)));
    for (int i = 1000; i < 1206; ++i)
      guard.remove(path(i), file(i), now, static_cast<std::uint64_t>(1452 - i));
    CHECK(guard.held_count() == 251);
  }
  SECTION("less than half of all that is there by now") {
    small_delete();
    for (int i = 1000; i < 1200; ++i)
      CHECK(guard.remove(path(i), file(i), now, static_cast<std::uint64_t>(1497 - i)));
    CHECK_FALSE(guard.holding());
    for (int i = 1000; i < 1200; ++i) guard.on_pushed(path(i));
    Guard after(default_max_deletes());
    REQUIRE(after.restore(guard.serialize(), now));
    const RunId run = guard.run_of(path(1000));
    for (int i = 0; i < 3; ++i) after.take_back(path(i), tombstone_of(file(i), run), true);
    for (int i = 1000; i < 1200; ++i) after.take_back(path(i), tombstone_of(file(i), run), true);
    after.finish_restore();
    CHECK(after.remove(path(1200), file(1200), now, 297));
    CHECK_FALSE(after.holding());
  }
  SECTION("many new files make half of the old ones no smaller a part") {
    for (int i = 10; i < 62; ++i)
      guard.remove(path(i), file(i), now, static_cast<std::uint64_t>(508 - i));
    CHECK(guard.held_count() == 52);
    now += 20s;
    guard.remove(path(1000), file(1000), now, 446);
    CHECK(guard.holds(path(10)));
    CHECK(guard.holds(path(1000)));
  }
  SECTION("what came within the last minute is not asked about") {
    for (int i = 2000; i < 2400; ++i) guard.on_first_synced(path(i), now);
    now += 5s;
    for (int i = 2000; i < 2400; ++i) CHECK(guard.remove(path(i), file(i), now, 900));
  }
}

// A file that was deleted, brought back unnoticed and then renamed let the rest of its run go, and
// nobody heard of that: the others stayed for ever. (Seed 6517.)
TEST_CASE("a delete that is heard again, as half of a rename, says whom it lets go") {
  Guard guard("1");
  Instant now = kStart;
  CHECK(guard.remove(path(0), file(0), now, 10));
  guard.on_pushed(path(0));
  CHECK_FALSE(guard.remove(path(1), file(1), now, 9));
  CHECK(guard.take_let_go().empty());
  now += 20s;
  appear(guard, 5, now);  // it was edited, too
  CHECK(guard.remove(path(0), file(5), now, 10));
  CHECK_FALSE(guard.holds(path(1)));
  CHECK(guard.take_let_go().freed == std::vector<std::string>{path(1)});
  CHECK(guard.take_let_go().empty());
}

}  // namespace
}  // namespace lansync
