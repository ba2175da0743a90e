// Which of the edits on this disk are read first.
#include "support/catch.h"
#include "sync/examine_queue.h"
#include "unit/sync/replica_rig.h"

namespace lansync {
namespace {

constexpr std::size_t kLarge = 100 * 1024 * 1024;

bool known(const ReplicaRig& rig, const std::string& path) {
  const PathRecord* record = rig.replica.index().find(path);
  return record != nullptr && record->live();
}

void turn(ReplicaRig& rig, Duration time) {
  rig.clock.advance(time);
  rig.replica.pump(rig.clock.now());
}

}  // namespace

TEST_CASE("replica: a small edit is not kept waiting by large files that are being read") {
  ReplicaRig rig;
  for (const char* path : {"large-1", "large-2", "large-3"}) {
    rig.fs.write_file(path, Bytes(kLarge));
    rig.replica.on_hint({path, FileEvent::kCloseWrite}, rig.clock.now());
    // Each in a look of its own.
    turn(rig, 10ms);
    while (rig.executor.run_one()) {
    }
    turn(rig, 3s);
    rig.executor.run_one();
  }
  // What is being read is not in sync for anybody who asks.
  turn(rig, 1ms);
  rig.executor.run_one();
  for (int i = 0; i < 2; ++i) {
    turn(rig, 1ms);
    REQUIRE_FALSE(known(rig, "large-3"));
    INFO(i << ": " << rig.replica.unexamined());
    const std::vector<Operation> next = rig.replica.preview();
    CHECK(std::any_of(next.begin(), next.end(), [](const Operation& one) {
      return one.path == "large-3" && one.kind == OperationKind::kNone;
    }));
    rig.executor.run_one();
  }
  rig.fs.write_file("small", random_bytes(10, 1));
  rig.replica.on_hint({"small", FileEvent::kCloseWrite}, rig.clock.now());
  for (int i = 0; i < 8 && !known(rig, "small"); ++i) {
    turn(rig, 1s);
    rig.executor.run_one();
    rig.executor.run_one();
  }
  CHECK(known(rig, "small"));
  CHECK_FALSE(known(rig, "large-3"));
  CHECK_FALSE(rig.replica.local_quiet());
  for (int i = 0; i < 100; ++i) rig.step();
  CHECK(rig.replica.local_quiet());
  for (const char* path : {"large-1", "large-2", "large-3"}) CHECK(known(rig, path));
}

TEST_CASE("replica: a small file in one look with large ones is known before these are read") {
  ReplicaRig rig;
  for (const char* path : {"large-1", "large-2", "small"}) {
    rig.fs.write_file(path, Bytes(std::string_view(path) == "small" ? 10 : kLarge));
    rig.replica.on_hint({path, FileEvent::kCloseWrite}, rig.clock.now());
  }
  turn(rig, 10ms);
  rig.executor.run_one();
  turn(rig, 3s);
  for (int i = 0; i < 3 && !known(rig, "small"); ++i) {
    rig.executor.run_one();
    turn(rig, 1ms);
  }
  CHECK(known(rig, "small"));
  CHECK_FALSE(known(rig, "large-1"));
  for (int i = 0; i < 100; ++i) rig.step();
  CHECK(known(rig, "large-1"));
}

namespace {

// A person saves over what is there without another size or time: does the node read it?
void check_noticed(ReplicaRig& rig) {
  const Bytes second = random_bytes(12, 2);
  const FileStat before = *rig.fs.stat("f");
  rig.fs.rewrite_file("f", second);
  REQUIRE(*rig.fs.stat("f") == before);
  rig.replica.on_hint({"f", FileEvent::kModify}, rig.clock.now());
  rig.replica.on_hint({"f", FileEvent::kCloseWrite}, rig.clock.now());
  for (int i = 0; i < 1000; ++i) rig.step();
  CHECK(rig.replica.index().find("f")->local->content == digests_of(second).content);
}

}  // namespace

TEST_CASE("replica: a save within the tick of a coarse clock, after what came, is read") {
  constexpr std::int64_t kSecond = 1'000'000'000;
  DiskLimits limits;
  limits.mtime_step_ns = kSecond;
  ReplicaRig rig(limits);
  const Bytes first = random_bytes(12, 1);
  rig.sender.add("s", first);
  while (rig.clock.wall().ns % kSecond != kSecond / 10 * 3) rig.clock.advance(10ms);
  rig.fs.set_time(rig.clock.wall().ns);
  (void)rig.remote("f", first);
  for (int i = 0; i < 20 && !rig.fs.stat("f"); ++i) rig.step();
  REQUIRE(known(rig, "f"));
  check_noticed(rig);
}

TEST_CASE("replica: where the time of a change can be set, each write that is heard of is read") {
  DiskLimits limits;
  limits.mtime_step_ns = 1'000'000'000;
  limits.own_change_time = false;
  ReplicaRig rig(limits);
  rig.fs.set_time(rig.clock.wall().ns - 3'600'000'000'000);
  rig.fs.write_file("f", random_bytes(12, 1));
  rig.replica.on_hint({"f", FileEvent::kCloseWrite}, rig.clock.now());
  for (int i = 0; i < 1000; ++i) rig.step();
  REQUIRE(known(rig, "f"));
  check_noticed(rig);
}

TEST_CASE("replica: a time that is set back before the edit has rested hides it from nobody") {
  DiskLimits limits;
  limits.mtime_step_ns = 1'000'000'000;
  limits.own_change_time = false;
  ReplicaRig rig(limits);
  const std::int64_t old = rig.clock.wall().ns - 3'600'000'000'000;
  const Bytes second = random_bytes(12, 2);
  rig.fs.set_time(old);
  rig.fs.write_file("f", random_bytes(12, 1));
  rig.replica.on_hint({"f", FileEvent::kCloseWrite}, rig.clock.now());
  for (int i = 0; i < 1000; ++i) rig.step();
  REQUIRE(known(rig, "f"));
  rig.fs.set_time(rig.clock.wall().ns);
  rig.fs.write_file("f", second);
  rig.replica.on_hint({"f", FileEvent::kCloseWrite}, rig.clock.now());
  rig.step();
  rig.fs.set_time(old);
  rig.fs.write_file("f", second);
  rig.replica.on_hint({"f", FileEvent::kAttributes}, rig.clock.now());
  for (int i = 0; i < 1000; ++i) rig.step();
  CHECK(rig.replica.index().find("f")->local->content == digests_of(second).content);
}

TEST_CASE("replica: what was done in a directory while it was elsewhere is noticed as it is back") {
  for (const bool seen_away : {false, true}) {
    ReplicaRig rig;
    for (const char* path : {"d/e/gone", "d/e/kept"}) {
      rig.fs.write_file(path, random_bytes(10, 1));
      rig.replica.on_hint({path, FileEvent::kCloseWrite}, rig.clock.now());
    }
    rig.replica.on_hint({"d", FileEvent::kCreate}, rig.clock.now());
    for (int i = 0; i < 600; ++i) rig.step();
    REQUIRE(known(rig, "d/e/gone"));
    // Out of the folder, `rm` there, and back: of that no event tells.
    rig.fs.remove("d/e/gone");
    rig.replica.on_hint({"d", FileEvent::kDelete}, rig.clock.now());
    if (seen_away) rig.step();
    rig.replica.on_hint({"d", FileEvent::kCreate}, rig.clock.now());
    for (int i = 0; i < 600; ++i) rig.step();
    CHECK_FALSE(known(rig, "d/e/gone"));
    CHECK(known(rig, "d/e/kept"));
  }
}

TEST_CASE("examiner: a file that is removed while it is read is read no further") {
  MemoryFileSystem fs;
  ManualExecutor executor;
  fs.write_file("f", Bytes(kLarge));
  std::vector<Observation> seen;
  run_examine(fs, executor, {{"f", std::nullopt, false, false}},
              [&](std::vector<Observation> what) { seen = std::move(what); });
  executor.run_one();
  executor.run_one();
  REQUIRE(seen.empty());
  fs.remove("f");
  executor.run_one();
  REQUIRE(seen.size() == 1);
  CHECK(seen[0].kind == Observation::Kind::kUnstable);
}

TEST_CASE("examine queue: both halves of a large file's rename stay together") {
  ExamineQueue queue;
  FileStat large;
  large.kind = FileKind::kFile;
  large.size = kLarge;
  FileStat small = large;
  small.size = 10;
  const std::vector<ExamineRequest> requests{{"new", std::nullopt, false, true},
                                             {"old", large, false, true},
                                             {"small-gone", small, false, true},
                                             {"small-new", std::nullopt, false, true}};
  std::vector<Observation> seen(4);
  for (std::size_t i = 0; i < 4; ++i) seen[i].path = requests[i].path;
  seen[0].kind = Observation::Kind::kLarge;
  seen[1].kind = seen[2].kind = Observation::Kind::kAbsent;
  seen[3].kind = Observation::Kind::kPresent;
  queue.put_aside(seen, requests);
  REQUIRE(seen.size() == 2);
  CHECK(seen[0].path == "small-gone");
  CHECK(seen[1].path == "small-new");
  CHECK_FALSE(queue.idle());
  const std::vector<ExamineRequest> group = queue.take_large();
  REQUIRE(group.size() == 2);
  CHECK(group[0].path == "new");
  CHECK(group[1].path == "old");
  CHECK_FALSE(group[0].leave_large);
  CHECK_FALSE(queue.idle());
  queue.on_large_done({});
  CHECK(queue.idle());
}

TEST_CASE("examine queue: so many large ones at a time, and edits before what is only due") {
  ExamineQueue queue;
  for (int i = 0; i < 3; ++i) {
    std::vector<ExamineRequest> requests{{std::to_string(i), std::nullopt, false, true}};
    std::vector<Observation> seen(1);
    seen[0].kind = Observation::Kind::kLarge;
    queue.put_aside(seen, requests);
    CHECK(seen.empty());
  }
  CHECK(queue.take_large().size() == 1);
  CHECK(queue.take_large().size() == 1);
  CHECK(queue.take_large().empty());
  queue.on_large_done({});
  CHECK(queue.take_large().front().path == "2");
  std::set<std::string> due{"a", "b", "z"};
  queue.prefer("z");
  queue.prefer("gone");
  queue.prefer("b");
  CHECK(queue.take_preferred(
            due, [](const std::string& path) { return path == "b"; }, 10) ==
        std::set<std::string>{"z"});
  CHECK(due == std::set<std::string>{"a", "b"});
  CHECK(queue.take_preferred(
            due, [](const std::string&) { return false; }, 10) == std::set<std::string>{"b"});
}

}  // namespace lansync
