#include "sync/delete_guard.h"

#include "base/random.h"
#include "support/catch.h"

namespace lansync {
namespace {

const Instant kStart{Duration(1s)};

Entry file(int number) {
  Entry entry;
  entry.content.bytes[0] = static_cast<std::uint8_t>(number);
  entry.content.bytes[1] = static_cast<std::uint8_t>(number >> 8);
  return entry;
}
ContentId content(int number) { return file(number).content; }
std::string path(int number) { return "d/" + std::to_string(number); }

// Deletes files first..last-1 of `total`, a second apart.
Instant remove(DeleteGuard& guard, int first, int last, std::uint64_t total, Instant now = kStart) {
  for (int i = first; i < last; ++i) {
    guard.on_delete(path(i), file(i), now, total);
    now += 1s;
  }
  return now;
}

TEST_CASE("--max-deletes is a number or a percentage, and 100% is never held") {
  CHECK(parse_max_deletes("50%") == MaxDeletes{std::nullopt, 50});
  CHECK(parse_max_deletes("0%") == MaxDeletes{std::nullopt, 0});
  CHECK(parse_max_deletes("100%") == MaxDeletes{});
  CHECK(parse_max_deletes("7") == MaxDeletes{7, std::nullopt});
  for (const char* bad : {"", "%", "-1", "5 %", "x", "1.5%", "5%%", "99999999999999999999", "+5", "101%"}) {
    INFO(bad);
    CHECK(!parse_max_deletes(bad));
  }
}

TEST_CASE("by default more than half and more than 50 files are held") {
  DeleteGuard few(default_max_deletes());
  remove(few, 0, 50, 50);
  CHECK(!few.holding());  // all of them, but only 50
  DeleteGuard half(default_max_deletes());
  remove(half, 0, 100, 200);
  CHECK(!half.holding());  // 100, but only half
  CHECK(!half.on_delete(path(100), file(100), kStart + 100s, 200));
  CHECK(half.holding());
  CHECK(half.held_count() == 101);
  CHECK(half.held().size() == 101);
  CHECK(half.holds(path(0)));
}

TEST_CASE("a limit of N holds the run with N + 1 deletes") {
  DeleteGuard guard(*parse_max_deletes("3"));
  remove(guard, 0, 3, 1000);
  CHECK(!guard.holding());
  CHECK(!guard.on_delete(path(3), file(3), kStart + 4s, 1000));
  CHECK(guard.held() == std::vector<std::string>{path(0), path(1), path(2), path(3)});
}

TEST_CASE("no limit holds nothing") {
  DeleteGuard guard(*parse_max_deletes("100%"));
  remove(guard, 0, 1000, 1000);
  CHECK(!guard.holding());
}

TEST_CASE("deletes more than 60 s apart do not count together") {
  DeleteGuard guard(*parse_max_deletes("1"));
  for (int i = 0; i < 10; ++i) {
    CHECK(guard.on_delete(path(i), file(i), kStart + i * Duration(61s), 10));
  }
  DeleteGuard close(*parse_max_deletes("1"));
  CHECK(close.on_delete(path(0), file(0), kStart, 10));
  CHECK(!close.on_delete(path(1), file(1), kStart + 60s, 10));
}

TEST_CASE("what is over the limit stays held when the run has ended, and a later delete is free") {
  DeleteGuard guard(*parse_max_deletes("2"));
  remove(guard, 0, 3, 10);
  CHECK(guard.on_delete(path(5), file(5), kStart + 10min, 7));
  CHECK(!guard.holds(path(5)));
  CHECK(guard.holds(path(1)));
  CHECK(guard.held_count() == 3);
}

TEST_CASE("the run is measured against the files at its start") {
  DeleteGuard guard(*parse_max_deletes("50%"));
  // 10, 9, 8, ... files are left: five of ten is no more than half.
  for (int i = 0; i < 5; ++i)
    CHECK(guard.on_delete(path(i), file(i), kStart, static_cast<std::uint64_t>(10 - i)));
  CHECK(!guard.on_delete(path(5), file(5), kStart, 5));
}

TEST_CASE("directories are held with the rest but do not count") {
  DeleteGuard guard(*parse_max_deletes("1"));
  Entry directory;
  directory.kind = EntryKind::kDirectory;
  for (int i = 0; i < 20; ++i)
    CHECK(guard.on_delete("dir" + std::to_string(i), directory, kStart, 10));
  CHECK(guard.on_delete(path(0), file(0), kStart, 10));
  CHECK(!guard.on_delete(path(1), file(1), kStart, 10));
  CHECK(guard.holds("dir0"));
  CHECK(guard.held_count() == 2);
  CHECK(guard.held().size() == 22);
}

TEST_CASE("a rename does not count, whichever of its two names is noticed first") {
  DeleteGuard guard(*parse_max_deletes("2"));
  for (int i = 0; i < 4; ++i) {
    guard.on_reappear(content(i), kStart);
    CHECK(guard.on_delete(path(i), file(i), kStart + 1s, 10));
  }
  for (int i = 4; i < 8; ++i) {
    CHECK(guard.on_delete(path(i), file(i), kStart + 2s, 10));
    guard.on_reappear(content(i), kStart + 2s);
  }
  CHECK(!guard.holding());
}

TEST_CASE("one reappearance excuses one delete") {
  DeleteGuard guard(*parse_max_deletes("0"));
  guard.on_reappear(content(1), kStart);
  CHECK(guard.on_delete("a", file(1), kStart, 10));
  CHECK(!guard.on_delete("b", file(1), kStart, 10));
}

TEST_CASE("a reappearance is forgotten after 60 s") {
  DeleteGuard guard(*parse_max_deletes("0"));
  guard.on_reappear(content(1), kStart);
  CHECK(!guard.on_delete("a", file(1), kStart + 61s, 10));
}

TEST_CASE("a held run that turns out to be a rename of the folder is free again") {
  DeleteGuard guard(*parse_max_deletes("50%"));
  Instant now = remove(guard, 0, 10, 10);
  CHECK(guard.held_count() == 10);
  // The hashes of the new names come in much later.
  now += 5min;
  for (int i = 0; i < 4; ++i) CHECK(!guard.on_reappear(content(i), now));
  CHECK(guard.holding());
  CHECK(guard.on_reappear(content(4), now));
  CHECK(!guard.holding());
  CHECK(!guard.holds(path(9)));
}

TEST_CASE("what went out before the limit was reached counts but is not held") {
  DeleteGuard guard(*parse_max_deletes("2"));
  remove(guard, 0, 2, 10);
  guard.on_pushed(path(0));
  guard.on_pushed(path(0));
  CHECK(!guard.on_delete(path(2), file(2), kStart + 3s, 10));
  CHECK(guard.held() == std::vector<std::string>{path(1), path(2)});
}

TEST_CASE("a path that is there again is not held and does not count") {
  DeleteGuard guard(*parse_max_deletes("2"));
  remove(guard, 0, 4, 10);
  CHECK(!guard.on_restored(path(3)));
  CHECK(!guard.holds(path(3)));
  CHECK(guard.held_count() == 3);
  CHECK(guard.on_restored(path(0)));
  CHECK(!guard.holding());
  CHECK(!guard.on_restored(path(0)));
  CHECK(!guard.on_delete(path(0), file(0), kStart + 5s, 10));
}

TEST_CASE("confirm and reject give the held paths and begin from nothing") {
  for (bool confirm : {true, false}) {
    DeleteGuard guard(*parse_max_deletes("2"));
    remove(guard, 0, 3, 10);
    auto paths = confirm ? guard.confirm() : guard.reject();
    CHECK(paths == std::vector<std::string>{path(0), path(1), path(2)});
    CHECK(!guard.holding());
    CHECK(guard.confirm().empty());
    CHECK(guard.on_delete(path(7), file(7), kStart + 4s, 7));
    CHECK(guard.on_delete(path(8), file(8), kStart + 4s, 7));
    CHECK(!guard.on_delete(path(9), file(9), kStart + 4s, 7));
  }
}

TEST_CASE("a held run survives a restart, with all that can still happen to it") {
  DeleteGuard before(*parse_max_deletes("2"));
  remove(before, 0, 4, 10);
  before.on_pushed(path(3));
  remove(before, 20, 21, 10, kStart + 10min);  // free: not part of what is kept
  DeleteGuard after(*parse_max_deletes("2"));
  REQUIRE(after.restore(before.serialize()));
  CHECK(after.held() == std::vector<std::string>{path(0), path(1), path(2)});
  CHECK(after.serialize() == before.serialize());
  CHECK(after.on_delete(path(9), file(9), kStart, 6));
  CHECK(!after.on_reappear(content(0), kStart));
  CHECK(after.on_reappear(content(1), kStart));
  CHECK(!after.holding());

  DeleteGuard raised(*parse_max_deletes("100"));
  REQUIRE(raised.restore(before.serialize()));
  CHECK(!raised.holding());
}

TEST_CASE("stored bytes that are cut or flipped are refused, or mean something that is whole") {
  DeleteGuard guard(*parse_max_deletes("1"));
  remove(guard, 0, 3, 10);
  std::string bytes = guard.serialize();
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    DeleteGuard other(*parse_max_deletes("1"));
    CHECK(!other.restore(bytes.substr(0, size)));
    CHECK(!other.holding());
  }
  CHECK(!guard.restore(bytes + "x"));
  CHECK(guard.held_count() == 3);
  for (std::size_t bit = 0; bit < bytes.size() * 8; ++bit) {
    std::string flipped = bytes;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << (bit % 8)));
    DeleteGuard other(*parse_max_deletes("1"));
    if (other.restore(flipped)) {
      for (int i = 0; i < 3; ++i) other.on_restored(path(i));
      other.confirm();
      CHECK(!other.holding());
    }
  }
}

TEST_CASE("held deletes that a scan sees again after a restart stay held, all of them") {
  DeleteGuard before(default_max_deletes());
  remove(before, 0, 60, 60);
  DeleteGuard after(default_max_deletes());
  REQUIRE(after.restore(before.serialize()));
  Instant now = kStart + 1h;
  for (int i = 0; i < 60; ++i) {
    INFO(i);
    CHECK_FALSE(after.on_delete(path(i), file(i), now, 60));
    for (int other = 0; other < 60; ++other) REQUIRE(after.holds(path(other)));
  }
  CHECK(after.held_count() == 60);
}

TEST_CASE("any story of deletes, renames and returns keeps the books straight") {
  for (std::uint64_t seed = 1; seed <= 100; ++seed) {
    Prng random(seed);
    DeleteGuard guard(*parse_max_deletes("5"));
    Instant now = kStart;
    for (int i = 0; i < 500; ++i) {
      int number = static_cast<int>(random.below(30));
      switch (random.below(6)) {
        case 0:
        case 1:
        case 2: {
          bool may_go = guard.on_delete(path(number), file(number / 3), now, 30);
          CHECK(may_go == !guard.holds(path(number)));
          break;
        }
        case 3:
          guard.on_reappear(content(number / 3), now);
          break;
        case 4:
          guard.on_restored(path(number));
          CHECK(!guard.holds(path(number)));
          break;
        default:
          guard.on_pushed(path(number));
          CHECK(!guard.holds(path(number)));
      }
      if (random.chance(1, 60)) guard.confirm();
      now += Duration(
          static_cast<std::int64_t>(random.below(random.chance(1, 20) ? 90'000'000 : 1'000'000)));
      auto held = guard.held();
      REQUIRE(guard.holding() == !held.empty());
      REQUIRE(guard.held_count() == held.size());
      for (const std::string& one : held) REQUIRE(guard.holds(one));
    }
  }
}

}  // namespace
}  // namespace lansync
