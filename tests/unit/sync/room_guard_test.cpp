#include "sync/room_guard.h"

#include "support/catch.h"

using namespace lansync;

namespace {

constexpr std::uint64_t kMiB = 1024 * 1024;
const Instant kStart{1'000s};

}  // namespace

TEST_CASE("a first pull waits until the disk was asked, and begins if it fits with the reserve") {
  RoomGuard room(10 * kMiB);
  CHECK_FALSE(room.waits());
  room.expect(true);
  CHECK(room.waits());
  CHECK_FALSE(room.held());
  REQUIRE(room.should_ask(kStart));
  room.on_asked();
  CHECK_FALSE(room.should_ask(kStart));
  CHECK(room.on_answer(90 * kMiB, 100 * kMiB, kStart));
  CHECK_FALSE(room.waits());
}

TEST_CASE("one byte over is held, with both figures; freed room is noticed within seconds") {
  RoomGuard room(10 * kMiB);
  room.expect(true);
  room.on_asked();
  CHECK_FALSE(room.on_answer(90 * kMiB + 1, 100 * kMiB, kStart));
  CHECK(room.held());
  CHECK(room.reason().find("90.0 MiB") != std::string::npos);
  CHECK(room.reason().find("100.0 MiB") != std::string::npos);
  CHECK_FALSE(room.should_ask(kStart));
  CHECK(room.deadline() == kStart + RoomGuard::kAskAgain);
  REQUIRE(room.should_ask(kStart + RoomGuard::kAskAgain));
  room.on_asked();
  CHECK(room.on_answer(90 * kMiB + 1, 101 * kMiB, kStart + 3s));
  CHECK_FALSE(room.held());
}

TEST_CASE(
    "nothing to fetch always fits; a person's confirm ends the waiting; later pulls never wait") {
  RoomGuard room(10 * kMiB);
  room.expect(true);
  room.on_asked();
  CHECK(room.on_answer(0, 0, kStart));
  room.expect(true);
  room.on_asked();
  CHECK_FALSE(room.on_answer(kMiB, 0, kStart));
  room.confirm();
  CHECK_FALSE(room.waits());
  room.expect(true);
  CHECK(room.waits());
  room.expect(false);
  CHECK_FALSE(room.waits());
  CHECK(room.deadline() == kNever);
}

TEST_CASE("sizes are shown in the unit that people would use") {
  CHECK(shown_bytes(0) == "0 bytes");
  CHECK(shown_bytes(1023) == "1023 bytes");
  CHECK(shown_bytes(1536) == "1.5 KiB");
  CHECK(shown_bytes(36 * kMiB) == "36.0 MiB");
  CHECK(shown_bytes(std::uint64_t{5} << 40) == "5.0 TiB");
  CHECK(shown_bytes(UINT64_MAX) == "16383.9 PiB");
}
