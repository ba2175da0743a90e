// Content that the hub is still fetching: fetched along into tmp, and the folder's only when the
// hub has published it.
#include "support/catch.h"
#include "sync/partial_file.h"
#include "unit/sync/replica_rig.h"

namespace lansync {

namespace {

constexpr std::size_t kSize = 6'000'000;

struct Expecting {
  ReplicaRig rig;
  Bytes bytes = random_bytes(kSize, 4);
  WantedContent film = rig.sender.add("film", bytes);
  void run() {
    for (int i = 0; i < 200; ++i) rig.step();
  }
};

}  // namespace

TEST_CASE("what is expected comes into tmp, has no name, and delays nobody who waits") {
  Expecting e;
  REQUIRE(e.rig.replica.expect(e.film, e.rig.clock.now()));
  CHECK(e.rig.replica.in_sync());
  e.run();
  CHECK(e.rig.fetcher.counters().payload_received == kSize);
  CHECK_FALSE(e.rig.fs.contents("film"));
  CHECK(e.rig.replica.in_sync());
  // However long the hub takes to say so, it is not fetched a second time.
  e.rig.clock.advance(5min);
  e.run();
  (void)e.rig.remote("film", e.bytes);
  REQUIRE(e.rig.settle());
  CHECK(e.rig.fs.contents("film") == e.bytes);
  CHECK(e.rig.fetcher.counters().payload_received == kSize);
  CHECK(e.rig.replica.expected().empty());
}

TEST_CASE("an update in the middle goes on with what has come") {
  Expecting e;
  REQUIRE(e.rig.replica.expect(e.film, e.rig.clock.now()));
  for (int i = 0; i < 2; ++i) e.rig.step();
  (void)e.rig.remote("film", e.bytes);
  REQUIRE(e.rig.settle());
  CHECK(e.rig.fs.contents("film") == e.bytes);
  CHECK(e.rig.fetcher.counters().payload_received == kSize);
}

TEST_CASE(
    "what comes to nothing is dropped: when it is said, when the hub goes, after ten minutes") {
  Expecting e;
  REQUIRE(e.rig.replica.expect(e.film, e.rig.clock.now()));
  SECTION("said") { e.rig.replica.unexpect(e.film.content); }
  SECTION("gone") { e.rig.replica.remote_unknown(); }
  SECTION("forgotten") {
    e.rig.clock.advance(10min);
    e.rig.step();
  }
  CHECK(e.rig.replica.expected().empty());
  CHECK_FALSE(e.rig.fetcher.wants(e.film.content));
  CHECK_FALSE(e.rig.fs.contents("film"));
}

TEST_CASE("what is here already is not expected, and nothing is while the node is paused") {
  Expecting e;
  (void)e.rig.remote("mine", e.bytes);
  REQUIRE(e.rig.settle());
  CHECK_FALSE(e.rig.replica.expect(e.film, e.rig.clock.now()));
  WantedContent other{content_id_of(Bytes{1}), kSize, {}, "other"};
  CHECK(e.rig.replica.expect(other, e.rig.clock.now()));
  e.rig.replica.unexpect(other.content);
  e.rig.replica.pause(true);
  CHECK_FALSE(e.rig.replica.expect(other, e.rig.clock.now()));
}

TEST_CASE("nobody is named a liar for bytes that were passed on unverified") {
  TransferRig rig;
  const Bytes bytes = random_bytes(kSize, 5);
  WantedContent wanted = rig.sender(1).add("film", bytes);
  wanted.hearsay = true;
  rig.bend = [&](SourceId, Packet& packet) {
    if (packet.kind == Packet::kChunk && rig.fetcher->counters().mismatches == 0)
      packet.bytes[0] ^= 1;
  };
  rig.fetcher->want(wanted);
  REQUIRE(rig.settle());
  CHECK(rig.results[wanted.content] == bytes);
  CHECK(rig.fetcher->counters().mismatches == 1);
  CHECK(rig.fetcher->take_liars().empty());
}

}  // namespace lansync
