// Large content from several sources of which some lie: what it costs, who is named.
#include "support/catch.h"
#include "sync/fetcher.h"
#include "sync/partial_file.h"
#include "unit/sync/transfer_rig.h"

namespace lansync {

namespace {

constexpr std::uint64_t kSize = 12'000'000;

// Three who have it, and which of them send other bytes: of every chunk, or of one alone.
struct Case {
  TransferRig rig;
  Bytes bytes = random_bytes(kSize, 3);
  WantedContent wanted;
  std::map<SourceId, std::uint64_t> shares;  // what each brought of the first fetch
  std::set<SourceId> named;
  bool first = true;

  Case() {
    for (SourceId id : {1, 2, 3}) wanted = rig.sender(id).add("film", bytes);
  }
  void lie(std::set<SourceId> liars) {
    rig.bend = [this, liars](SourceId id, Packet& packet) {
      if (packet.kind != Packet::kChunk) return;
      if (rig.fetcher->counters().mismatches == 0) shares[id] += packet.bytes.size();
      if (liars.contains(id)) packet.bytes[7] ^= static_cast<std::uint8_t>(id);
    };
  }
  void run() {
    rig.fetcher->want(wanted);
    REQUIRE(rig.settle());
    for (const auto& [id, name] : rig.fetcher->take_liars()) {
      CHECK(name == "film");
      named.insert(id);
    }
    CHECK(rig.results[wanted.content] == bytes);
    CHECK(rig.failures.empty());
    CHECK(rig.violations == 0);
    CHECK(rig.refused == 0);
  }
};

}  // namespace

TEST_CASE("a liar among three costs only its share, wherever it stands, and is named") {
  for (SourceId liar : {1, 2, 3}) {
    Case c;
    c.lie({liar});
    c.run();
    INFO("liar " << liar);
    for (const auto& [id, share] : c.shares) CHECK(share > kSize / 4);
    CHECK(c.named == std::set<SourceId>{liar});
    CHECK(c.rig.received() < kSize + c.shares[liar] + Fetcher::kBlockBytes);
  }
}

TEST_CASE("a liar among three is not asked again for that content") {
  Case c;
  c.lie({2});
  std::map<SourceId, std::uint64_t> asked;
  c.run();
  std::uint64_t again = 0;
  for (const auto& [id, request] : c.rig.requests)
    if (id == 2)
      for (const ByteRange& range : request.ranges) again += range.end - range.begin;
  // But for the one chunk that was compared.
  CHECK(again <= c.shares[2] + kContentChunk);
}

TEST_CASE("two liars of three cost no more than one fetch from each, and no honest one is named") {
  for (SourceId honest : {1, 2, 3}) {
    Case c;
    std::set<SourceId> liars = {1, 2, 3};
    liars.erase(honest);
    c.lie(liars);
    c.run();
    INFO("honest " << honest);
    CHECK_FALSE(c.named.contains(honest));
    CHECK_FALSE(c.named.empty());
    CHECK(c.rig.received() < 4 * kSize);
  }
}

TEST_CASE("one rotten chunk is found, and costs no more than all once more") {
  for (SourceId rotten : {1, 2, 3}) {
    for (std::uint64_t seed = 1; seed <= 5; ++seed) {
      Case c;
      // On its disk: whoever asks it for that chunk gets those bytes.
      const std::uint64_t number = Prng(seed * 10 + rotten).below(kSize / kContentChunk);
      bool sent = false;
      c.rig.bend = [&](SourceId id, Packet& packet) {
        if (packet.kind != Packet::kChunk || id != rotten || packet.number != number) return;
        packet.bytes[999] ^= 0x80;
        sent = true;
      };
      c.run();
      INFO("rotten " << rotten << " chunk " << number);
      CHECK(c.named == (sent ? std::set<SourceId>{rotten} : std::set<SourceId>{}));
      CHECK(c.rig.received() <= 2 * kSize + Fetcher::kBlockBytes);
    }
  }
}

TEST_CASE("a source that goes away in the middle of a repair leaves it to the others") {
  for (SourceId liar : {1, 2, 3}) {
    for (SourceId leaves : {1, 2, 3}) {
      Case c;
      c.lie({liar});
      c.rig.fetcher->want(c.wanted);
      for (int i = 0; i < 100'000 && c.rig.fetcher->counters().mismatches == 0; ++i)
        c.rig.step(500);
      REQUIRE(c.rig.fetcher->counters().mismatches == 1);
      for (int i = 0; i < 3; ++i) c.rig.step(500);
      c.rig.cut(leaves);
      c.run();
      INFO("liar " << liar << ", " << leaves << " leaves");
      for (SourceId id : c.named) CHECK(id == liar);
      CHECK(c.rig.received() < 5 * kSize);
    }
  }
}

TEST_CASE("bytes that an earlier run lost are fetched anew, those of this run are kept") {
  Case c;
  c.rig.fetcher->want(c.wanted);
  for (int i = 0; i < 4; ++i) c.rig.step(1000);
  c.rig.kill();
  const std::uint64_t before = c.rig.received();
  REQUIRE(before > 1'000'000);
  REQUIRE(before < kSize - 1'000'000);
  // A power cut: the sidecar reached the disk, the bytes did not.
  c.rig.fs.put_temp(partial_name(c.wanted.content), Bytes(kSize));
  c.rig.start();
  c.run();
  CHECK(c.named.empty());
  CHECK(c.rig.received() < kSize + before + Fetcher::kBlockBytes);
}

TEST_CASE("zeros that replace a liar's bytes are written") {
  Case c;
  std::fill(c.bytes.begin(), c.bytes.end(), std::uint8_t{0});
  c.bytes[0] = 1;
  for (SourceId id : {1, 2, 3}) c.wanted = c.rig.sender(id).add("film", c.bytes);
  // Holes are ranges; the liar sends bytes.
  std::map<SourceId, std::uint64_t> shares;
  c.rig.bend = [&](SourceId id, Packet& packet) {
    if (id != 3 || packet.kind != Packet::kHole) return;
    if (packet.range.end - packet.range.begin <= kContentChunk) return;
    Packet chunk;
    chunk.kind = Packet::kChunk;
    chunk.transfer = packet.transfer;
    chunk.number = packet.range.begin / kContentChunk;
    chunk.bytes = Bytes(kContentChunk, 0xff);
    if (c.rig.deliver(id, chunk)) packet.range.begin += kContentChunk;
  };
  c.run();
  CHECK(c.named == std::set<SourceId>{3});
}

TEST_CASE("of two, the liar is found by trying, and an honest one is not named") {
  for (SourceId liar : {1, 2}) {
    Case c;
    c.rig.cut(3);
    c.lie({liar});
    c.run();
    CHECK(c.named == std::set<SourceId>{liar});
    CHECK(c.rig.received() < 3 * kSize);
  }
}

}  // namespace lansync
