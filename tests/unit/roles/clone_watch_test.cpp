#include "roles/clone_watch.h"

#include "support/catch.h"

using namespace lansync;

namespace {

constexpr Instant kStart{1h};
using Kind = CloneWatch::Verdict::Kind;

SessionInfo session(SessionId id, std::uint8_t node = 1) {
  SessionInfo info;
  info.id = id;
  info.node.bytes.fill(node);
  info.boot.bytes.fill(static_cast<std::uint8_t>(id));
  return info;
}

struct Rig {
  CloneWatch watch;
  std::map<SessionId, Instant> heard;
  std::vector<CloneWatch::Verdict> step(Duration at) {
    return watch.step(kStart + at, [this](SessionId id) { return heard[id]; });
  }
};

}  // namespace

TEST_CASE("a silent older session was the node's past: it is closed, and the newer let in") {
  Rig rig;
  rig.heard[1] = kStart;
  rig.watch.add(session(2), {1}, kStart);
  CHECK(rig.watch.waits(2));
  CHECK(rig.watch.keep(2, Channel::kHandshake, Bytes{7}));
  CHECK(rig.step(999ms).empty());
  CHECK(rig.watch.deadline() == kStart + 1s);
  auto verdicts = rig.step(1s);
  REQUIRE(verdicts.size() == 1);
  CHECK(verdicts[0].kind == Kind::kClose);
  CHECK(verdicts[0].session.id == 1);
  CHECK(rig.step(1100ms).empty());  // it is not gone yet
  rig.watch.on_down(1);
  CHECK(rig.watch.deadline() == Instant{});
  verdicts = rig.step(1200ms);
  REQUIRE(verdicts.size() == 1);
  CHECK(verdicts[0].kind == Kind::kAdmit);
  CHECK(verdicts[0].session.id == 2);
  REQUIRE(verdicts[0].packets.size() == 1);
  CHECK(verdicts[0].packets[0].bytes == Bytes{7});
  CHECK_FALSE(rig.watch.waits(2));
  CHECK(rig.watch.deadline() == kNever);
}

TEST_CASE("an older session that answers is alive: the newer one is a clone") {
  Rig rig;
  rig.watch.add(session(2), {1}, kStart);
  rig.heard[1] = kStart + 1ms;
  auto verdicts = rig.step(2ms);
  REQUIRE(verdicts.size() == 1);
  CHECK(verdicts[0].kind == Kind::kClone);
  CHECK(verdicts[0].session.id == 2);
  CHECK(rig.step(5s).empty());
}

TEST_CASE("of quick restarts the last is let in after one wait, and all before it are closed") {
  Rig rig;
  rig.watch.add(session(2), {1}, kStart);
  rig.watch.add(session(3), {1, 2}, kStart + 100ms);
  std::vector<SessionId> closed;
  for (const auto& verdict : rig.step(1100ms)) {
    CHECK(verdict.kind == Kind::kClose);
    closed.push_back(verdict.session.id);
  }
  CHECK(std::count(closed.begin(), closed.end(), 1U) > 0);
  CHECK(std::count(closed.begin(), closed.end(), 2U) == 1);
  rig.watch.on_down(2);
  rig.watch.on_down(1);
  auto verdicts = rig.step(1101ms);
  REQUIRE(verdicts.size() == 1);
  CHECK(verdicts[0].kind == Kind::kAdmit);
  CHECK(verdicts[0].session.id == 3);
}

TEST_CASE("what waits is bounded, and so is what it may say") {
  Rig rig;
  for (SessionId id = 2; id < 2 + CloneWatch::kMaxWaiting + 5; ++id)
    rig.watch.add(session(id), {1}, kStart);
  const auto verdicts = rig.step(1ms);
  CHECK(verdicts.size() == 5);
  CHECK(verdicts[0].kind == Kind::kClose);
  CHECK(verdicts[0].session.id == 2);
  const SessionId last = 2 + CloneWatch::kMaxWaiting + 4;
  for (std::size_t i = 0; i < CloneWatch::kMaxKept; ++i)
    CHECK(rig.watch.keep(last, Channel::kMessages, Bytes(10)));
  CHECK_FALSE(rig.watch.keep(last, Channel::kMessages, Bytes(10)));
}
