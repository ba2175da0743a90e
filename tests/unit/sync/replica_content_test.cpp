// Many paths that want one content: each gets it, at a cost that grows with their number and not
// with its square.
#include <algorithm>

#include "support/catch.h"
#include "unit/sync/replica_rig.h"

namespace lansync {

namespace {

std::string name_of(int i) { return "f" + std::to_string(100'000 + i); }

void want_equal(ReplicaRig& rig, const Bytes& bytes, int count) {
  for (int i = 0; i < count; ++i) (void)rig.remote(name_of(i), bytes);
}

int how_many_are_there(const ReplicaRig& rig, const Bytes& bytes, int count) {
  int there = 0;
  for (int i = 0; i < count; ++i) {
    if (rig.fs.contents(name_of(i)) == bytes) ++there;
  }
  return there;
}

}  // namespace

TEST_CASE("a thousand equal files are one fetch, and a few plans each") {
  for (std::size_t size : {0u, 4096u, 200'000u}) {
    ReplicaRig rig;
    const Bytes bytes = random_bytes(size, 1);
    rig.sender.add("any", bytes);
    const std::uint64_t before = rig.replica.paths_planned();
    constexpr int kFiles = 1000;
    want_equal(rig, bytes, kFiles);
    REQUIRE(rig.settle());
    CHECK(how_many_are_there(rig, bytes, kFiles) == kFiles);
    CHECK(rig.requests.size() == (size == 0 ? 0 : 1));
    CHECK(rig.fetcher.counters().payload_received == size);
    // Planned when the hub named it, when its turn came, when it was there, when it was read again.
    CHECK(rig.replica.paths_planned() - before < 6 * kFiles);
    CHECK(rig.fs.temp_names().empty());
    CHECK(rig.violations == 0);
  }
}

TEST_CASE("equal files of which some are here need no fetch at all") {
  ReplicaRig rig;
  const Bytes bytes = random_bytes(5000, 2);
  rig.fs.write_file("mine", bytes);
  rig.replica.on_hint({"mine", FileEvent::kCloseWrite}, rig.clock.now());
  for (int i = 0; i < 1000 && rig.replica.to_push().empty(); ++i) rig.step();
  rig.replica.set_agreed("mine", rig.replica.index().find("mine")->local);
  want_equal(rig, bytes, 300);
  REQUIRE(rig.settle());
  CHECK(how_many_are_there(rig, bytes, 300) == 300);
  CHECK(rig.requests.empty());
}

TEST_CASE("a disk that fails now and then forgets nobody who waits for the same content") {
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    ReplicaRig rig;
    const Bytes bytes = random_bytes(3000, seed);
    rig.sender.add("any", bytes);
    Prng luck(seed);
    int faults = 60;
    rig.fs.set_fault([&](const std::string& operation, const std::string&) -> std::optional<Error> {
      static const std::vector<std::string> kHurt = {"copy_to_temp", "install_temp", "open_temp",
                                                     "create_temp", "read"};
      if (std::find(kHurt.begin(), kHurt.end(), operation) == kHurt.end()) return std::nullopt;
      if (faults == 0 || luck.below(4) != 0) return std::nullopt;
      --faults;
      switch (luck.below(4)) {
        case 0:
          return Error{ErrorCode::kNoSpace, "no space"};
        case 1:
          return Error{ErrorCode::kExists, "there is something"};
        default:
          return Error{ErrorCode::kIo, "the disk failed"};
      }
    });
    constexpr int kFiles = 300;
    want_equal(rig, bytes, kFiles);
    // Some are not wanted any more before their turn, some get other bytes.
    for (int i = 0; i < 3; ++i) rig.step();
    const Bytes other = random_bytes(2000, seed + 1000);
    rig.sender.add("other", other);
    for (int i = 0; i < kFiles; i += 7) (void)rig.remote(name_of(i), other);
    INFO("seed " << seed);
    REQUIRE(rig.settle(20'000));
    for (int i = 0; i < kFiles; ++i) {
      INFO(name_of(i));
      CHECK(rig.fs.contents(name_of(i)) == (i % 7 == 0 ? other : bytes));
    }
  }
}

TEST_CASE("a file that lost its bytes unnoticed costs one copy, not one plan of all that wait") {
  ReplicaRig rig;
  const Bytes bytes = random_bytes(4000, 9);
  rig.sender.add("any", bytes);
  (void)rig.remote("a-first", bytes);
  REQUIRE(rig.settle());
  int copies = 0;
  rig.fs.set_fault(
      [&](const std::string& operation, const std::string& subject) -> std::optional<Error> {
        if (operation == "copy_to_temp" && subject == "a-first") {
          ++copies;
          return Error{ErrorCode::kIo, "a bad sector"};
        }
        return std::nullopt;
      });
  const std::uint64_t before = rig.replica.paths_planned();
  constexpr int kFiles = 400;
  want_equal(rig, bytes, kFiles);
  REQUIRE(rig.settle(20'000));
  CHECK(how_many_are_there(rig, bytes, kFiles) == kFiles);
  CHECK(rig.replica.paths_planned() - before < 8 * kFiles);
  CHECK(copies <= kFiles);
}

}  // namespace lansync
