#include "sync/delete_guard.h"

#include "base/random.h"
#include "support/catch.h"
#include "unit/sync/guard_rig.h"

namespace lansync {
namespace {

using namespace guard_rig;

TEST_CASE("--max-deletes is a number or a percentage, and 100% is never held") {
  CHECK(parse_max_deletes("50%") == MaxDeletes{std::nullopt, 50});
  CHECK(parse_max_deletes("0%") == MaxDeletes{std::nullopt, 0});
  CHECK(parse_max_deletes("100%") == MaxDeletes{});
  CHECK(parse_max_deletes("7") == MaxDeletes{7, std::nullopt});
  for (const char* bad :
       {"", "%", "-1", "5 %", "x", "1.5%", "5%%", "99999999999999999999", "+5", "101%"}) {
    INFO(bad);
    CHECK(!parse_max_deletes(bad));
  }
}

TEST_CASE("by default more than half and more than 50 files are held") {
  Guard few(default_max_deletes());
  remove(few, 0, 50, 50);
  CHECK(!few.holding());  // all of them, but only 50
  Guard half(default_max_deletes());
  remove(half, 0, 100, 200);
  CHECK(!half.holding());  // 100, but only half
  CHECK(!half.remove(path(100), file(100), kStart + 100s, 200));
  CHECK(half.holding());
  CHECK(half.held_count() == 101);
  CHECK(half.held().size() == 101);
  CHECK(half.holds(path(0)));
}

TEST_CASE("a limit of N holds the run with N + 1 deletes") {
  Guard guard("3");
  remove(guard, 0, 3, 1000);
  CHECK(!guard.holding());
  CHECK(!guard.remove(path(3), file(3), kStart + 4s, 1000));
  CHECK(guard.held() == std::vector<std::string>{path(0), path(1), path(2), path(3)});
}

TEST_CASE("a limit of 0 holds each delete, also of a directory and of an empty file") {
  for (const char* none : {"0", "0%"}) {
    INFO(none);
    Guard guard(none);
    CHECK(!guard.remove("d", directory(), kStart, 1000));
    CHECK(guard.held_count() == 1);
    CHECK(!guard.remove("e", Entry{}, kStart, 1000));
    CHECK(guard.held() == std::vector<std::string>{"d", "e"});
    CHECK(guard.held_count() == 1);  // files, where there are any
    guard.release(guard.held());
    CHECK(!guard.holding());
  }
}

TEST_CASE("no limit holds nothing") {
  Guard guard("100%");
  remove(guard, 0, 1000, 1000);
  CHECK(!guard.holding());
}

TEST_CASE("deletes more than 60 s apart do not count together") {
  Guard guard("1");
  for (int i = 0; i < 10; ++i)
    CHECK(guard.remove(path(i), file(i), kStart + i * Duration(61s), 10));
  Guard close("1");
  CHECK(close.remove(path(0), file(0), kStart, 10));
  CHECK(!close.remove(path(1), file(1), kStart + 60s, 10));
}

TEST_CASE("a run ends after an hour, however closely its deletes follow each other") {
  Guard guard("100");
  Instant now = kStart;
  for (int i = 0; i < 300; ++i) {
    INFO(i);
    CHECK(guard.remove(path(i), file(i), now, 1000));
    now += 50s;
  }
}

TEST_CASE("what is over the limit stays held when the run has ended, and a later delete is free") {
  Guard guard("2");
  remove(guard, 0, 3, 10);
  CHECK(guard.remove(path(5), file(5), kStart + 10min, 7));
  CHECK(!guard.holds(path(5)));
  CHECK(guard.holds(path(1)));
  CHECK(guard.held_count() == 3);
}

TEST_CASE("the run is measured against the files at its start") {
  Guard guard("50%");
  // 10, 9, 8, ... files are left: five of ten is no more than half.
  for (int i = 0; i < 5; ++i)
    CHECK(guard.remove(path(i), file(i), kStart, static_cast<std::uint64_t>(10 - i)));
  CHECK(!guard.remove(path(5), file(5), kStart, 5));
}

TEST_CASE("directories are held with the rest but do not count") {
  Guard guard("1");
  for (int i = 0; i < 20; ++i)
    CHECK(guard.remove("dir" + std::to_string(i), directory(), kStart, 10));
  CHECK(guard.remove(path(0), file(0), kStart, 10));
  CHECK(!guard.remove(path(1), file(1), kStart, 10));
  CHECK(guard.holds("dir0"));
  CHECK(guard.held_count() == 2);
  CHECK(guard.held().size() == 22);
}

TEST_CASE("deletes of what was not in sync when the run began do not count, and are not held") {
  Guard guard("2");
  remove(guard, 0, 1, 10);
  for (int i = 10; i < 20; ++i) {
    guard.on_first_synced(path(i), kStart + 1s);
    CHECK(guard.remove(path(i), file(i), kStart + 2s, 20));
  }
  // What the group has no version of at all.
  Entry made = file(77);
  CHECK(guard.on_delete({"made", made, 0, 20, false, kStart + 2s, {}}));
  CHECK(guard.run_of(path(10)) == 0);
  CHECK(!guard.holding());
  // In sync before, deleted, made again and synced again: it was in sync when the run began.
  guard.on_pushed(path(0));
  guard.on_restored(path(0));
  guard.on_first_synced(path(0), kStart + 2s);
  guard.remove(path(0), file(0), kStart + 3s, 20);
  guard.remove(path(1), file(1), kStart + 3s, 20);
  CHECK(!guard.remove(path(2), file(2), kStart + 3s, 20));
  CHECK(guard.held_count() == 3);
  // Nor are they fresh any more when the next run begins.
  CHECK(guard.remove(path(10), file(10), kStart + 10min, 20));
  CHECK(guard.run_of(path(10)) != 0);
}

TEST_CASE("a run begins with a delete that counts: what came after a rename alone is in sync") {
  for (const bool new_name_first : {false, true}) {
    Guard guard("2");
    if (new_name_first) appear(guard, 0, kStart);
    guard.remove(path(0), file(0), kStart, 10);
    if (!new_name_first) appear(guard, 0, kStart);
    guard.on_pushed(path(0));
    for (int i = 10; i < 20; ++i) guard.on_first_synced(path(i), kStart);
    CHECK(guard.remove(path(10), file(10), kStart + 30s, 20));
    CHECK(guard.remove(path(11), file(11), kStart + 30s, 20));
    CHECK(!guard.remove(path(12), file(12), kStart + 30s, 20));
    CHECK(guard.held_count() == 3);
    // The minute and the hour count from there, too.
    CHECK(!guard.remove(path(13), file(13), kStart + 85s, 20));
  }
}

TEST_CASE("a rename does not count, whichever of its two names is noticed first") {
  Guard guard("2");
  for (int i = 0; i < 4; ++i) {
    appear(guard, i, kStart);
    CHECK(guard.remove(path(i), file(i), kStart + 1s, 10));
  }
  for (int i = 4; i < 8; ++i) {
    CHECK(guard.remove(path(i), file(i), kStart + 2s, 10));
    CHECK(appear(guard, i, kStart + 2s).excused == path(i));
  }
  CHECK(!guard.holding());
}

TEST_CASE("a rename does not count when its old name is found gone a second time") {
  for (bool new_name_first : {true, false}) {
    INFO(new_name_first);
    Guard guard("5");
    const Instant end = remove(guard, 0, 6, 10);
    CHECK(guard.held_count() == 6);
    if (new_name_first) (void)appear(guard, 8, end);
    guard.remove(path(8), file(8), end, 10);
    if (!new_name_first) (void)appear(guard, 8, end);
    // Heard of, and then looked at.
    CHECK(guard.remove(path(8), file(8), end + 1s, 10));
    CHECK(guard.held_count() == 6);
    CHECK(guard.run_of(path(8)) == 0);
    // It is gone once and for all; another file of that name is another delete.
    guard.on_pushed(path(8));
    guard.remove(path(8), file(8), end + 2s, 10);
    CHECK(guard.held_count() == 7);
  }
}

TEST_CASE("a file that came a moment ago is no reason for its own delete") {
  Guard guard("5");
  for (int i = 0; i < 10; ++i) (void)guard.on_present(path(i), file(i), kStart);
  (void)guard.on_present("empty", directory(), kStart);
  remove(guard, 0, 6, 10);
  CHECK(guard.held_count() == 6);
  guard.remove("empty", directory(), kStart + 7s, 10);
  CHECK(guard.holds("empty"));
  // Nor, once it is gone, for that of another.
  (void)guard.on_present("copy", file(7), kStart + 8s);
  guard.remove("copy", file(7), kStart + 8s, 10);
  guard.remove(path(7), file(7), kStart + 8s, 10);
  CHECK(guard.holds(path(7)));
}

TEST_CASE("what was renamed and then deleted counts, though its new name is younger than the run") {
  for (bool new_name_first : {true, false}) {
    INFO(new_name_first);
    Guard guard("5");
    Instant now = kStart;
    for (int i = 0; i < 8; ++i, now += 100ms) {
      const std::string heir = "new/" + std::to_string(i);
      if (new_name_first) (void)appear(guard, i, now);
      CHECK(guard.remove(path(i), file(i), now, 10));
      if (!new_name_first) (void)appear(guard, i, now);
      guard.on_first_synced(heir, now);
      guard.on_pushed(path(i));
    }
    CHECK_FALSE(guard.holding());
    for (int i = 0; i < 8; ++i) guard.remove("new/" + std::to_string(i), file(i), now + 1s, 10);
    CHECK(guard.held_count() >= 6);
  }
}

TEST_CASE("a directory or a link in the place of a deleted file is not the file that lives again") {
  for (const EntryKind kind : {EntryKind::kDirectory, EntryKind::kSymlink}) {
    Guard guard("5");
    Entry other;
    other.kind = kind;
    if (kind == EntryKind::kSymlink) other.content = file(500).content;
    for (int i = 0; i < 6; ++i) {
      guard.remove(path(i), file(i), kStart, 10);
      CHECK(guard.on_present(path(i), other, kStart).empty());
      CHECK(guard.on_restored(path(i), kind).empty());
    }
    CHECK(guard.held_count() == 6);
    // Nor when that has gone out, and goes as well: the file counts, and the rest is held.
    guard.on_pushed(path(0));
    CHECK(!guard.remove(path(0), other, kStart, 10));
    CHECK(guard.held_count() == 6);
    // Its bytes elsewhere excuse it, and a file in its place is one that lives again.
    CHECK(appear(guard, 1, kStart).excused == path(1));
    CHECK(guard.frees(guard.on_present(path(2), file(77), kStart)) == false);
    CHECK(guard.held_count() == 0);
  }
}

TEST_CASE("a copy that excused a delete and is deleted as well has excused none") {
  Guard guard("50%");
  for (int i = 0; i < 100; ++i) {
    appear(guard, i, kStart);
    guard.on_first_synced("new/" + std::to_string(i), kStart);
  }
  for (int i = 0; i < 100; ++i) CHECK(guard.remove(path(i), file(i), kStart + 1s, 200));
  CHECK(!guard.holding());
  for (int i = 0; i < 100; ++i) guard.remove("new/" + std::to_string(i), file(i), kStart + 2s, 100);
  CHECK(guard.held_count() == 200);
  CHECK(guard.take_counted_again().size() == 100);
}

TEST_CASE("a copy that nobody has yet leaves the delete that it excused, when it goes") {
  Guard guard("5");
  for (int i = 0; i < 6; ++i) appear(guard, i, kStart);
  remove(guard, 0, 6, 10);
  CHECK(!guard.holding());
  for (int i = 0; i < 6; ++i) {
    const std::string copy = "new/" + std::to_string(i);
    const Entry was = file(i);
    guard.on_delete({copy, was, 0, 10, false, kStart + 8s, {}});
  }
  CHECK(guard.held() ==
        std::vector<std::string>{path(0), path(1), path(2), path(3), path(4), path(5)});
  CHECK(guard.take_counted_again().size() == 6);
}

TEST_CASE("what was moved again and again stands for its first name, and counts once") {
  for (const bool synced : {false, true}) {
    INFO(synced);
    Guard guard("5");
    Instant now = kStart;
    std::string before = "m/0";
    const Entry what = file(1);
    for (int i = 1; i < 10; ++i, now += 1s) {
      const std::string after = "m/" + std::to_string(i);
      guard.on_delete({before, what, 0, 10, synced || i == 1, now, {}});
      guard.on_present(after, what, now);
      if (synced) guard.on_first_synced(after, kStart);
      before = after;
    }
    for (int i = 20; i < 25; ++i) guard.remove(path(i), file(i), now, 10);
    CHECK(!guard.holding());
    guard.on_delete({before, what, 0, 10, synced, now, {}});
    CHECK(guard.held_count() == 6);
    CHECK(guard.holds(synced ? before : "m/0"));
  }
}

TEST_CASE("a name excuses one delete of a run, however often other bytes are put there") {
  Guard guard("5");
  for (int i = 0; i < 8; ++i) {
    guard.on_present("same", file(i), kStart + i * Duration(1s));
    guard.remove(path(i), file(i), kStart + i * Duration(1s), 10);
    guard.on_present("same", file(i), kStart + i * Duration(1s));
  }
  CHECK(guard.held_count() == 7);
  // Nor does one that stays take two along, of equal files or links.
  Guard equal("5");
  for (int i = 0; i < 8; ++i) equal.remove(path(i), file(1), kStart, 10);
  for (int i = 0; i < 8; ++i) equal.on_present("link", file(1), kStart + 1s);
  CHECK(equal.held_count() == 7);
}

TEST_CASE("one reappearance excuses one delete, and none of an empty file") {
  Guard guard("0");
  appear(guard, 1, kStart);
  CHECK(guard.remove("a", file(1), kStart, 10));
  CHECK(!guard.remove("b", file(1), kStart, 10));
  Guard empty("0");
  empty.on_present("new", Entry{}, kStart);
  CHECK(!empty.remove("old", Entry{}, kStart, 10));
}

TEST_CASE("what comes back under its own name excuses nothing else") {
  // Sixty links to one target, all made again: none of them may take another's delete along.
  Guard guard("1");
  for (int i = 0; i < 6; ++i) guard.remove(path(i), file(1), kStart, 10);
  for (int i = 0; i < 5; ++i) {
    auto change = guard.on_present(path(i), file(1), kStart + 1s);
    CHECK(!change.excused);
    CHECK(guard.frees(change) == (i == 4));
  }
  CHECK(!guard.holding());
}

TEST_CASE("a rename after a held run is none of the run, nor is the directory that it was in") {
  Guard guard("2");
  remove(guard, 0, 5, 10);
  REQUIRE(guard.holding());
  const Instant now = kStart + 10s;
  guard.remove("k/a", file(50), now, 5);
  guard.remove("k", directory(), now, 5);
  CHECK(guard.holds("k/a"));
  CHECK(guard.holds("k"));
  auto change = guard.on_present("renamed/a", file(50), now);
  CHECK(change.excused == "k/a");
  CHECK(change.emptied == std::vector<std::string>{"k"});
  CHECK(!guard.holds("k"));
  CHECK(guard.run_of("k") == 0);
  CHECK(guard.run_of("k/a") == 0);
  CHECK(guard.held().size() == 5);
  // Of a directory in which something else is held, nothing goes.
  guard.remove("m/a", file(60), now, 5);
  guard.remove("m/b", file(61), now, 5);
  guard.remove("m", directory(), now, 5);
  CHECK(guard.on_present("n/a", file(60), now).freed.empty());
  CHECK(guard.holds("m"));
}

TEST_CASE("an empty directory that was renamed is none of the run") {
  Guard guard("0");
  guard.remove("old", directory(), kStart, 5);
  REQUIRE(guard.holds("old"));
  CHECK(guard.on_present("new", directory(), kStart).excused == "old");
  CHECK(!guard.holding());
  guard.on_present("x/y", directory(), kStart);
  CHECK(guard.remove("z/y", directory(), kStart, 5));
  // A new directory elsewhere under another name is no rename.
  guard.on_present("p/q", directory(), kStart);
  CHECK(!guard.remove("r/s", directory(), kStart, 5));
}

TEST_CASE("a reappearance is forgotten after 60 s") {
  Guard guard("0");
  appear(guard, 1, kStart);
  CHECK(!guard.remove("a", file(1), kStart + 61s, 10));
}

TEST_CASE("a held run that turns out to be a rename of the folder is free again") {
  Guard guard("50%");
  Instant now = remove(guard, 0, 10, 10);
  CHECK(guard.held_count() == 10);
  // The hashes of the new names come in much later.
  now += 5min;
  for (int i = 0; i < 4; ++i) CHECK(!guard.frees(appear(guard, i, now)));
  CHECK(guard.holding());
  CHECK(appear(guard, 4, now).freed.size() == 5);
  CHECK(!guard.holding());
  CHECK(!guard.holds(path(9)));
}

TEST_CASE("what went out before the limit was reached counts but is not held") {
  Guard guard("2");
  remove(guard, 0, 2, 10);
  guard.on_pushed(path(0));
  guard.on_pushed(path(0));
  CHECK(!guard.remove(path(2), file(2), kStart + 3s, 10));
  CHECK(guard.held() == std::vector<std::string>{path(1), path(2)});
  CHECK(guard.run_of(path(0)) == guard.only_run());
}

TEST_CASE("a path that is there again is not held and does not count") {
  Guard guard("2");
  remove(guard, 0, 4, 10);
  CHECK(guard.on_restored(path(3)).empty());
  CHECK(!guard.holds(path(3)));
  CHECK(guard.held_count() == 3);
  CHECK(guard.returned(guard.only_run()) == std::vector<std::string>{path(3)});
  CHECK(guard.frees(guard.on_restored(path(0))));
  CHECK(!guard.holding());
  CHECK(guard.on_restored(path(0)).empty());
  CHECK(!guard.remove(path(0), file(0), kStart + 5s, 10));
}

TEST_CASE("what joined a run after it was shown stays held when that is let go") {
  Guard guard("2");
  Instant now = remove(guard, 0, 4, 10);
  const HeldRun shown = guard.held_runs().front();
  CHECK(shown.number == 4);
  CHECK(shown.names == std::vector<std::string>{path(0), path(1), path(2), path(3)});
  guard.remove(path(4), file(4), now, 10);
  const auto paths = guard.held(shown.run, shown.mark);
  CHECK(paths.size() == 4);
  guard.release(paths);
  CHECK(guard.held() == std::vector<std::string>{path(4)});
  // What comes now still belongs to the run, and a second word lets it go.
  CHECK(!guard.remove(path(5), file(5), now, 10));
  guard.release(guard.held());
  CHECK(!guard.holding());
  CHECK(guard.remove(path(6), file(6), now, 4));
}

TEST_CASE("a run that is let go or taken back is over, and the next begins from nothing") {
  for (bool confirm : {true, false}) {
    Guard guard("2");
    remove(guard, 0, 3, 10);
    const std::vector<std::string> all{path(0), path(1), path(2)};
    if (confirm) {
      guard.release(guard.held());
    } else {
      CHECK(guard.drop_label(guard.only_run()) == all);
    }
    CHECK(!guard.holding());
    CHECK(guard.held().empty());
    CHECK(guard.remove(path(7), file(7), kStart + 4s, 7));
    CHECK(guard.remove(path(8), file(8), kStart + 4s, 7));
    CHECK(!guard.remove(path(9), file(9), kStart + 4s, 7));
  }
}

TEST_CASE("deletes of others count together whoever's run they are, and are listed by run") {
  Guard guard("3", DeleteGuard::Side::kOthers);
  for (int i = 0; i < 2; ++i) CHECK(guard.remove(path(i), file(i), kStart, 10, 70));
  CHECK(guard.remove(path(2), file(2), kStart, 10, 80));
  CHECK(!guard.remove(path(3), file(3), kStart, 10, 80));
  const auto runs = guard.held_runs();
  REQUIRE(runs.size() == 2);
  CHECK(runs[0].run == 70);
  CHECK(runs[0].number == 2);
  CHECK(runs[1].run == 80);
  CHECK(guard.drop_label(70).size() == 2);
  CHECK(!guard.holding());  // the two that are left are below the limit
}

TEST_CASE("a held run is known again after a restart by its tombstones") {
  Guard before("2");
  remove(before, 0, 4, 10);
  before.on_pushed(path(3));
  const RunId run = before.only_run();
  remove(before, 20, 21, 10, kStart + 10min);  // free: a run of its own, open
  Guard after("2");
  REQUIRE(after.restore(before.serialize(), kStart));
  CHECK(after.knows(run));
  for (int i = 0; i < 4; ++i) after.take_back(path(i), tombstone_of(file(i), run), i == 3);
  after.take_back("strange", tombstone_of(file(9), 4711), false);
  after.finish_restore();
  CHECK(after.held() == std::vector<std::string>{path(0), path(1), path(2)});
  CHECK(after.only_run() == run);
  CHECK(after.remove(path(9), file(9), kStart, 6));
  CHECK(!after.frees(appear(after, 0, kStart)));
  CHECK(after.frees(appear(after, 1, kStart)));
  CHECK(!after.holding());

  Guard raised("100");
  REQUIRE(raised.restore(before.serialize(), kStart));
  for (int i = 0; i < 4; ++i) raised.take_back(path(i), tombstone_of(file(i), run), false);
  raised.finish_restore();
  CHECK(!raised.holding());
}

TEST_CASE("a run that was open when the node died goes on, with what had gone out before") {
  Guard before("5");
  remove(before, 0, 4, 10);
  for (int i = 0; i < 4; ++i) before.on_pushed(path(i));
  Guard after("5");
  REQUIRE(after.restore(before.serialize(), kStart));
  for (int i = 0; i < 4; ++i)
    after.take_back(path(i), tombstone_of(file(i), before.run_of(path(i))), true);
  after.finish_restore();
  CHECK(after.remove(path(4), file(4), kStart + 30s, 6));
  CHECK(!after.remove(path(5), file(5), kStart + 30s, 6));
  CHECK(after.held() == std::vector<std::string>{path(4), path(5)});
}

TEST_CASE("deletes of others that were held are held from the first one on after a restart") {
  Guard before("50%", DeleteGuard::Side::kOthers);
  for (int i = 0; i < 130; ++i) {
    before.remove(path(i), file(i), kStart, 220, 70);
    if (i < 110) before.on_pushed(path(i));
  }
  REQUIRE(before.held().size() == 20);
  Guard after("50%", DeleteGuard::Side::kOthers);
  REQUIRE(after.restore(before.serialize(), kStart));
  after.finish_restore();
  for (int i = 110; i < 130; ++i) CHECK(!after.remove(path(i), file(i), kStart, 110, 70));
  CHECK(after.held().size() == 20);
  // Another run is none of it.
  CHECK(after.remove(path(200), file(200), kStart, 110, 71));
  CHECK(after.drop_label(70).size() == 20);
  CHECK(!after.knows(70));
}

TEST_CASE("deletes of others that were held are held no more when there is no limit any more") {
  Guard guard("5", DeleteGuard::Side::kOthers);
  remove(guard, 0, 6, 10);
  REQUIRE(guard.holding());
  const RunId run = guard.only_run();
  Guard bounded("5", DeleteGuard::Side::kOthers);
  REQUIRE(bounded.restore(guard.serialize(), kStart));
  bounded.remove(path(0), file(0), kStart, 10, run);
  CHECK(bounded.holding());
  Guard free("100%", DeleteGuard::Side::kOthers);
  REQUIRE(free.restore(guard.serialize(), kStart));
  CHECK(free.remove(path(0), file(0), kStart, 10, run));
  CHECK_FALSE(free.holding());
}

TEST_CASE("stored bytes that are cut or flipped are refused, or mean something that is whole") {
  Guard guard("1");
  remove(guard, 0, 3, 10);
  std::string bytes = guard.serialize();
  for (std::size_t size = 1; size < bytes.size(); ++size) {
    Guard other("1");
    CHECK(!other.restore(bytes.substr(0, size), kStart));
    CHECK(!other.holding());
  }
  CHECK(!guard.restore(bytes + "x", kStart));
  CHECK(guard.held_count() == 3);
  for (std::size_t bit = 0; bit < bytes.size() * 8; ++bit) {
    std::string flipped = bytes;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << (bit % 8)));
    Guard other("1");
    if (other.restore(flipped, kStart)) {
      other.finish_restore();
      CHECK(!other.holding());
    }
  }
}

TEST_CASE("held deletes that a scan sees again after a restart stay held, all of them") {
  Guard before(default_max_deletes());
  remove(before, 0, 60, 60);
  const RunId run = before.only_run();
  Guard after(default_max_deletes());
  REQUIRE(after.restore(before.serialize(), kStart));
  for (int i = 0; i < 60; ++i) after.take_back(path(i), tombstone_of(file(i), run), false);
  after.finish_restore();
  Instant now = kStart + 1h;
  for (int i = 0; i < 60; ++i) {
    INFO(i);
    CHECK_FALSE(after.remove(path(i), file(i), now, 60));
    for (int other = 0; other < 60; ++other) REQUIRE(after.holds(path(other)));
  }
  CHECK(after.held_count() == 60);
}

TEST_CASE("a quarter of a million deletes are counted, held, listed and let go in moments") {
  Guard guard(default_max_deletes());
  constexpr int kMany = 250'000;
  for (int i = 0; i < kMany; ++i) guard.remove(path(i), file(i & 0xffff), kStart, kMany);
  CHECK(guard.held_count() == kMany);
  CHECK(guard.held_runs().front().number == kMany);
  CHECK(guard.serialize().size() < 100);
  guard.release(guard.held());
  CHECK(!guard.holding());
}

TEST_CASE("any story of deletes, renames and returns keeps the books straight") {
  for (std::uint64_t seed = 1; seed <= 100; ++seed) {
    Prng random(seed);
    Guard guard("5");
    Instant now = kStart;
    for (int i = 0; i < 500; ++i) {
      int number = static_cast<int>(random.below(30));
      switch (random.below(7)) {
        case 0:
        case 1:
        case 2: {
          bool may_go = guard.remove(path(number), file(number / 3), now, 30);
          CHECK(may_go == !guard.holds(path(number)));
          break;
        }
        case 3:
          appear(guard, number / 3, now);
          break;
        case 4:
          guard.on_restored(path(number));
          CHECK(!guard.holds(path(number)));
          break;
        case 5:
          guard.on_first_synced(path(number), now);
          break;
        default:
          guard.on_pushed(path(number));
          CHECK(!guard.holds(path(number)));
      }
      if (random.chance(1, 60)) guard.release(guard.held());
      if (random.chance(1, 60)) {
        for (const HeldRun& run : guard.held_runs()) guard.drop_label(run.run);
      }
      now += Duration(
          static_cast<std::int64_t>(random.below(random.chance(1, 20) ? 90'000'000 : 1'000'000)));
      auto held = guard.held();
      REQUIRE(guard.holding() == !held.empty());
      REQUIRE(guard.held_count() == held.size());
      std::uint64_t listed = 0;
      for (const HeldRun& run : guard.held_runs()) listed += run.number;
      REQUIRE(listed == held.size());
      for (const std::string& one : held) REQUIRE(guard.holds(one));
    }
  }
}

TEST_CASE("deletes beyond what is kept of each are of the run, held, and held after a restart") {
  Guard before(default_max_deletes(), DeleteGuard::Side::kOwn, 60);
  remove(before, 0, 200, 200);
  CHECK(before.held_count() == 200);
  for (int i = 0; i < 200; ++i) CHECK(before.run_of(path(i)) == before.only_run());
  Guard after(default_max_deletes(), DeleteGuard::Side::kOwn, 60);
  REQUIRE(after.restore(before.serialize(), kStart));
  for (int i = 0; i < 200; ++i)
    after.take_back(path(i), tombstone_of(file(i), before.run_of(path(i))), i >= 190);
  after.finish_restore();
  CHECK(after.held_count() == 190);
  for (int i = 0; i < 190; ++i) CHECK(after.holds(path(i)));
}

}  // namespace
}  // namespace lansync
