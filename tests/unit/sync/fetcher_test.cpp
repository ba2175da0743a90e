#include "sync/fetcher.h"

#include <algorithm>

#include "support/catch.h"
#include "sync/partial_file.h"
#include "unit/sync/transfer_rig.h"

namespace lansync {

TEST_CASE("content of every size at a border arrives whole and verified") {
  for (const std::size_t size : {0, 1, 999, 1000, 1001, 65535, 65536, 65537, 256000, 5242880}) {
    TransferRig rig;
    const Bytes bytes = random_bytes(size, size + 1);
    const WantedContent wanted = rig.sender(1).add("dir/file", bytes);
    rig.fetcher->want(wanted);
    REQUIRE(rig.settle());
    REQUIRE(rig.results.count(wanted.content) == 1);
    CHECK((rig.results[wanted.content] == bytes));
    CHECK(rig.violations + rig.refused == 0);
    CHECK(rig.fetcher->counters().payload_received == size);
    CHECK(rig.fetcher->counters().chunks_resent == 0);
    CHECK(rig.fetcher->charged_bytes(1) == 0);
    CHECK(rig.fetcher->pending_files() == 0);
    CHECK(rig.fs.temp_names().empty());
    CHECK_FALSE(rig.sender(1).provider.busy());
    CHECK(rig.sender(1).provider.buffered_bytes() == 0);
  }
}

TEST_CASE("jobs that overtake each other change nothing") {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    TransferRig rig;
    rig.executor.run_all();
    rig.executor = ManualExecutor(seed);
    rig.sender(1).executor = ManualExecutor(seed + 100);
    std::map<ContentId, Bytes> expected;
    for (std::uint64_t i = 0; i < 12; ++i) {
      const Bytes bytes = random_bytes(i % 3 == 0 ? 900'000 + i : 5000 * i, seed * 100 + i);
      const WantedContent wanted = rig.sender(1).add("f" + std::to_string(i), bytes);
      expected[wanted.content] = bytes;
      rig.fetcher->want(wanted);
    }
    REQUIRE(rig.settle());
    CHECK((rig.results == expected));
    CHECK(rig.violations == 0);
  }
}

TEST_CASE("what a source asks to be sent again is only what was lost with the other source") {
  TransferRig rig;
  const Bytes bytes = random_bytes(5'000'000, 3);
  const WantedContent wanted = rig.sender(1).add("film", bytes);
  rig.fetcher->want(wanted);
  for (int i = 0; i < 20; ++i) rig.step(100);
  const std::uint64_t before = rig.received();
  REQUIRE(before > 0);
  REQUIRE(before < bytes.size());
  rig.cut(1);
  REQUIRE(rig.settle());
  CHECK(rig.results.empty());
  CHECK(rig.failures.empty());  // nobody to ask is not a failure
  rig.sender(2).add("film", bytes);
  REQUIRE(rig.settle());
  CHECK((rig.results[wanted.content] == bytes));
  CHECK(rig.received() == bytes.size());
  CHECK(rig.fetcher->counters().chunks_resent > 0);
}

TEST_CASE("two sources serve different ranges of one file") {
  TransferRig rig;
  const Bytes bytes = random_bytes(20'000'000, 4);
  const WantedContent wanted = rig.sender(1).add("film", bytes);
  rig.sender(2).add("same film", bytes);
  rig.fetcher->want(wanted);
  REQUIRE(rig.settle());
  CHECK((rig.results[wanted.content] == bytes));
  CHECK(rig.received() == bytes.size());
  CHECK(rig.sender(1).provider.counters().payload_sent > 4'000'000);
  CHECK(rig.sender(2).provider.counters().payload_sent > 4'000'000);
}

TEST_CASE("only the sources that were named for a content are asked for it") {
  TransferRig rig;
  rig.sender(1);
  const Bytes bytes = random_bytes(300'000, 5);
  const WantedContent wanted = rig.sender(2).add("f", bytes);
  rig.fetcher->want(wanted);
  rig.fetcher->set_sources(wanted.content, {2});
  REQUIRE(rig.settle());
  CHECK((rig.results[wanted.content] == bytes));
  for (const auto& [source, request] : rig.requests) CHECK(source == 2);
}

TEST_CASE("a chunk that was corrupted makes the content come again") {
  for (const std::size_t size : {3000, 600'000}) {
    TransferRig rig;
    const Bytes bytes = random_bytes(size, 6);
    const WantedContent wanted = rig.sender(1).add("f", bytes);
    bool bent = false;
    rig.bend = [&](SourceId, Packet& packet) {
      if (packet.kind != Packet::kChunk || packet.number != 1 || bent) return;
      packet.bytes[5] ^= 1;
      bent = true;
    };
    rig.fetcher->want(wanted);
    REQUIRE(rig.settle());
    CHECK((rig.results[wanted.content] == bytes));
    CHECK(rig.fetcher->counters().mismatches == 1);
    CHECK(rig.received() == 2 * size);
  }
}

TEST_CASE("a liar is left for an honest source, and alone it is tried three times, then later") {
  for (const std::size_t size : {3000, 600'000}) {
    TransferRig rig;
    const Bytes bytes = random_bytes(size, 7);
    const WantedContent wanted = rig.sender(1).add("f", bytes);
    rig.bend = [](SourceId id, Packet& packet) {
      if (id == 1 && packet.kind == Packet::kChunk) packet.bytes[0] ^= 1;
    };
    rig.fetcher->want(wanted);
    REQUIRE(rig.settle());
    CHECK(rig.results.empty());
    REQUIRE(rig.failures.size() == 1);
    CHECK(rig.failures[0].status.error().code == ErrorCode::kCorrupt);
    CHECK(rig.fetcher->counters().mismatches == 3);
    CHECK(rig.fs.temp_names().empty());
    CHECK(rig.fetcher->deadline() == rig.clock.now() + 10s);

    rig.sender(2).add("f", bytes);
    rig.clock.advance(10s);
    rig.fetcher->tick(rig.clock.now());
    REQUIRE(rig.settle());
    CHECK((rig.results[wanted.content] == bytes));
    CHECK(rig.violations == 0);
  }
}

TEST_CASE("the waits between failed rounds double up to ten minutes") {
  TransferRig rig;
  rig.sender(1);  // knows nothing
  rig.fetcher->want({content_id_of(Bytes{1}), 1, {}, "f"});
  std::vector<std::int64_t> waits;
  for (int i = 0; i < 9; ++i) {
    REQUIRE(rig.settle());
    REQUIRE(rig.failures.size() == static_cast<std::size_t>(i + 1));
    CHECK(rig.failures.back().status.error().code == ErrorCode::kNotFound);
    const Duration wait = rig.fetcher->deadline() - rig.clock.now();
    waits.push_back(wait.count() / 1'000'000);
    rig.clock.advance(wait);
    rig.fetcher->tick(rig.clock.now());
  }
  CHECK((waits == std::vector<std::int64_t>{10, 20, 40, 80, 160, 320, 600, 600, 600}));
}

// Seed 4264: a member that came and went made it ten minutes within seven seconds.
TEST_CASE("a round that begins early, because somebody came, makes no wait longer") {
  TransferRig rig;
  rig.sender(1);  // knows nothing
  rig.fetcher->want({content_id_of(Bytes{1}), 1, {}, "f"});
  REQUIRE(rig.settle());
  for (int i = 0; i < 9; ++i) {
    rig.clock.advance(500ms);
    rig.fetcher->retry_failed();
    rig.fetcher->tick(rig.clock.now());
    REQUIRE(rig.settle());
    REQUIRE(rig.failures.size() == static_cast<std::size_t>(i + 2));
    CHECK(rig.fetcher->deadline() - rig.clock.now() == 20s);
  }
}

TEST_CASE("a killed receiver asks only for what is missing") {
  const Bytes bytes = random_bytes(12'000'000, 8);
  for (std::uint64_t seed = 1; seed <= 12; ++seed) {
    Prng random(seed);
    TransferRig rig;
    const WantedContent wanted = rig.sender(1).add("film", bytes);
    rig.fetcher->want(wanted);
    const int kills = 1 + static_cast<int>(random.below(4));
    for (int kill = 0; kill < kills; ++kill) {
      const std::uint64_t rounds = random.below(40);
      for (std::uint64_t i = 0; i < rounds; ++i) rig.step(1 + random.below(300));
      // Finished, and its temp file installed: nothing is left to be killed.
      if (rig.results.count(wanted.content) == 1) break;
      rig.kill();
      rig.start();
      rig.fetcher->want(wanted);
    }
    REQUIRE(rig.settle());
    CHECK((rig.results[wanted.content] == bytes));
    CHECK(rig.received() <=
          bytes.size() + bytes.size() / 20 + static_cast<std::uint64_t>(kills) * 1024 * 1024);
    CHECK(rig.violations == 0);
    CHECK(rig.fetcher->counters().mismatches == 0);
  }
}

TEST_CASE("a file that was whole when the receiver was killed is not asked for again") {
  for (const std::size_t size : {40'000, 700'000}) {
    TransferRig rig;
    rig.keep_temps = true;
    const Bytes bytes = random_bytes(size, 9);
    const WantedContent wanted = rig.sender(1).add("f", bytes);
    rig.fetcher->want(wanted);
    REQUIRE(rig.settle());
    rig.kill();
    rig.results.clear();
    rig.requests.clear();
    rig.start();
    rig.fetcher->want(wanted);
    REQUIRE(rig.settle());
    CHECK((rig.results[wanted.content] == bytes));
    CHECK(rig.requests.empty());
  }
}

TEST_CASE("a partial file that lies is found out and fetched anew") {
  TransferRig rig;
  const Bytes bytes = random_bytes(3'000'000, 10);
  const WantedContent wanted = rig.sender(1).add("f", bytes);
  rig.fetcher->want(wanted);
  for (int i = 0; i < 8; ++i) rig.step(250);
  rig.kill();
  // A power cut: the sidecar reached the disk, the bytes did not.
  rig.fs.put_temp(partial_name(wanted.content), Bytes(bytes.size()));
  rig.start();
  rig.fetcher->want(wanted);
  REQUIRE(rig.settle());
  CHECK((rig.results[wanted.content] == bytes));
  CHECK(rig.fetcher->counters().mismatches == 1);
  CHECK(rig.failures.empty());
}

TEST_CASE("a sidecar that is torn at any byte loses one update, or means a new start") {
  SidecarState state;
  state.serial = 3;
  state.content = content_id_of(Bytes{1, 2});
  state.size = 5000;
  state.written.add(0, 1000);
  state.written.add(3000, 5000);
  const Bytes slot = encode_sidecar_slot(state);
  auto read = decode_sidecar_slot(slot);
  REQUIRE(read);
  CHECK(read->written == state.written);
  for (std::size_t cut = 0; cut < slot.size(); ++cut)
    CHECK_FALSE(decode_sidecar_slot(ByteView(slot).first(cut)));
  for (std::size_t at = 0; at < slot.size(); ++at) {
    Bytes bent = slot;
    bent[at] ^= 0x10;
    CHECK_FALSE(decode_sidecar_slot(bent));
  }
}

TEST_CASE("what is no longer wanted stays a day, and files of the store stay for good") {
  TransferRig rig;
  const Bytes bytes = random_bytes(3'000'000, 11);
  const WantedContent wanted = rig.sender(1).add("f", bytes);
  rig.fs.put_temp("x-crash-leftover", Bytes{1});
  rig.fetcher->want(wanted);
  for (int i = 0; i < 6; ++i) rig.step(200);
  rig.fetcher->drop(wanted.content);
  REQUIRE(rig.settle());
  CHECK(rig.violations == 0);  // chunks that were on their way are no one's fault
  CHECK(rig.fetcher->charged_bytes(1) == 0);
  CHECK(rig.fs.temp_names().size() == 3);
  for (int i = 0; i < 145; ++i) {
    rig.clock.advance(10min);
    rig.fetcher->tick(rig.clock.now());
    rig.settle();
    if (i == 140) CHECK(rig.fs.temp_names().size() == 3);
  }
  CHECK((rig.fs.temp_names() == std::vector<std::string>{"x-crash-leftover"}));
}

TEST_CASE("what is dropped and wanted again goes on where it was") {
  TransferRig rig;
  const Bytes bytes = random_bytes(3'000'000, 12);
  const WantedContent wanted = rig.sender(1).add("f", bytes);
  rig.fetcher->want(wanted);
  for (int i = 0; i < 6; ++i) rig.step(200);
  rig.fetcher->drop(wanted.content);
  CHECK_FALSE(rig.fetcher->wants(wanted.content));
  rig.fetcher->want(wanted);
  CHECK(rig.fetcher->wants(wanted.content));
  REQUIRE(rig.settle());
  CHECK((rig.results[wanted.content] == bytes));
}

TEST_CASE("a full disk stops what comes in, says so, and goes on by itself when there is room") {
  for (const std::size_t size : {50'000, 900'000}) {
    INFO(size << " bytes");
    TransferRig rig;
    const Bytes bytes = random_bytes(size, 13);
    const WantedContent wanted = rig.sender(1).add("f", bytes);
    bool full = true;
    rig.fs.set_fault([&](const std::string& operation, const std::string&) {
      return full && operation == "write"
                 ? std::optional<Error>({ErrorCode::kNoSpace, "no space left"})
                 : std::nullopt;
    });
    rig.fetcher->want(wanted);
    REQUIRE(rig.settle());
    CHECK(rig.results.empty());
    REQUIRE(rig.failures.size() == 1);
    CHECK(rig.failures[0].status.error().code == ErrorCode::kNoSpace);
    CHECK(rig.fetcher->deadline() == rig.clock.now() + 3s);
    const bool small = size <= Fetcher::kSmallBytes;
    // A small file waits in memory; half a large one would only take room from what still fits.
    CHECK(rig.fetcher->pause_reason() == (small ? "no space left" : ""));
    if (!small) CHECK(rig.fs.temp_names().empty());
    full = false;
    rig.clock.advance(3s);
    rig.fetcher->tick(rig.clock.now());
    REQUIRE(rig.settle());
    CHECK(rig.fetcher->pause_reason().empty());
    CHECK((rig.results[wanted.content] == bytes));
    if (small) CHECK(rig.received() == size);
  }
}

TEST_CASE("large files that come in at once do not each count on the same room") {
  TransferRig rig;
  rig.fs.set_capacity(1'000'000);
  std::vector<WantedContent> wanted;
  for (std::uint64_t i = 0; i < 6; ++i)
    wanted.push_back(rig.sender(1).add("f" + std::to_string(i), random_bytes(300'000, 50 + i)));
  const Bytes tiny = random_bytes(2000, 60);
  const WantedContent fits = rig.sender(1).add("tiny", tiny);
  for (const WantedContent& content : wanted) rig.fetcher->want(content);
  rig.fetcher->want(fits);
  REQUIRE(rig.settle());
  std::size_t arrived = 0;
  for (const WantedContent& content : wanted) arrived += rig.results.count(content.content);
  CHECK(arrived >= 2);
  CHECK((rig.results[fits.content] == tiny));
  CHECK(rig.fetcher->pause_reason().empty());
  for (const FinishedContent& failure : rig.failures)
    CHECK(failure.status.error().code == ErrorCode::kNoSpace);
}

TEST_CASE("a file that does not fit fails alone") {
  TransferRig rig;
  const WantedContent large = rig.sender(1).add("large", random_bytes(3'000'000, 14));
  const Bytes bytes = random_bytes(100'000, 15);
  const WantedContent fits = rig.sender(1).add("fits", bytes);
  rig.fs.set_capacity(1'000'000);
  rig.fetcher->want(large);
  rig.fetcher->want(fits);
  REQUIRE(rig.settle());
  CHECK((rig.results[fits.content] == bytes));
  REQUIRE(rig.failures.size() == 1);
  CHECK(rig.failures[0].status.error().code == ErrorCode::kNoSpace);
}

TEST_CASE("an error of the disk discards the file and reports it") {
  TransferRig rig;
  const WantedContent wanted = rig.sender(1).add("f", random_bytes(900'000, 16));
  rig.fs.set_fault([](const std::string& operation, const std::string&) {
    return operation == "write" ? std::optional<Error>({ErrorCode::kIo, "EIO"}) : std::nullopt;
  });
  rig.fetcher->want(wanted);
  REQUIRE(rig.settle());
  REQUIRE(rig.failures.size() == 1);
  CHECK(rig.failures[0].status.error().code == ErrorCode::kIo);
  CHECK(rig.fs.temp_names().empty());
  CHECK(rig.fetcher->charged_bytes(1) == 0);
}

TEST_CASE("chunks that were not asked for are refused and change nothing") {
  TransferRig rig;
  rig.sender(1);
  const Bytes bytes = random_bytes(100'500, 17);
  const ContentDigests digests = digests_of(bytes);
  rig.fetcher->want({digests.content, bytes.size(), digests.md5, "f"});
  rig.executor.run_all();
  rig.fetcher->take_requests();
  rig.executor.run_all();
  auto requests = rig.fetcher->take_requests();
  REQUIRE(requests.size() == 1);
  const std::uint32_t transfer = requests[0].second.transfer;
  auto chunk = [&](std::uint64_t number, std::size_t size) {
    return rig.fetcher->on_chunk(1, transfer, number, Bytes(size));
  };
  CHECK_FALSE(chunk(0, 1000));  // before the begin
  CHECK_FALSE(rig.fetcher->on_begin(1, transfer, bytes.size() + 1));
  CHECK_FALSE(rig.fetcher->on_begin(1, transfer + 1, bytes.size()));
  CHECK_FALSE(rig.fetcher->on_begin(2, transfer, bytes.size()));
  REQUIRE(rig.fetcher->on_begin(1, transfer, bytes.size()));
  CHECK_FALSE(rig.fetcher->on_begin(1, transfer, bytes.size()));
  CHECK_FALSE(chunk(0, 0));
  CHECK_FALSE(chunk(0, 999));
  CHECK_FALSE(chunk(0, 65536));
  CHECK_FALSE(chunk(100, 1000));  // the last one is 500
  CHECK_FALSE(chunk(101, 500));
  CHECK_FALSE(chunk(~0ull, 1000));
  CHECK_FALSE(chunk(~0ull / 1000 + 1, 1000));  // wraps around to a low offset
  CHECK_FALSE(rig.fetcher->on_chunk(1, transfer + 1, 0, Bytes(1000)));
  CHECK_FALSE(rig.fetcher->on_end(1, {transfer, true, {}, ""}));  // nothing came yet
  CHECK(rig.fetcher->counters().payload_received == 0);
  CHECK(chunk(0, 1000));
  CHECK_FALSE(chunk(0, 1000));  // twice
  CHECK(chunk(100, 500));
  CHECK(rig.fetcher->counters().payload_received == 1500);
  CHECK(rig.fetcher->counters().violations == 15);
}

TEST_CASE("a refusal that overtakes what was asked before it is a failure all the same") {
  TransferRig rig;
  rig.sender(1);
  const Bytes bytes = random_bytes(2'048'000, 18);
  const ContentDigests digests = digests_of(bytes);
  rig.fetcher->want({digests.content, bytes.size(), digests.md5, "f"});
  rig.executor.run_all();
  rig.fetcher->take_requests();
  rig.executor.run_all();
  const auto requests = rig.fetcher->take_requests();
  REQUIRE(requests.size() == 2);
  REQUIRE(rig.fetcher->on_end(1, {requests[1].second.transfer, false, {}, "gone"}));
  const RangeRequest& first = requests[0].second;
  REQUIRE(rig.fetcher->on_begin(1, first.transfer, bytes.size()));
  for (const ByteRange& range : first.ranges) {
    for (std::uint64_t at = range.begin; at < range.end; at += 1000) {
      REQUIRE(
          rig.fetcher->on_chunk(1, first.transfer, at / 1000, ByteView(bytes).subspan(at, 1000)));
    }
  }
  REQUIRE(rig.fetcher->on_end(1, {first.transfer, true, digests.md5, ""}));
  rig.executor.run_all();
  const auto finished = rig.fetcher->take_finished();
  REQUIRE(finished.size() == 1);
  CHECK_FALSE(finished[0].status.has_value());
}

TEST_CASE("no more is asked of a source than its window while the disk stands still") {
  TransferRig rig;
  Sender& sender = rig.sender(1);
  for (std::uint64_t i = 0; i < 4; ++i)
    rig.fetcher->want(sender.add("f" + std::to_string(i), random_bytes(6'000'000, 20 + i)));
  rig.executor.run_all();
  rig.fetcher->take_requests();
  rig.executor.run_all();  // opened; from here on no job of the receiver runs
  for (int i = 0; i < 200; ++i) {
    for (auto& [id, request] : rig.fetcher->take_requests())
      REQUIRE(sender.provider.on_request(id, request));
    sender.executor.run_all();
    sender.provider.pump();
    sender.executor.run_all();
    while (!sender.queue.empty()) {
      REQUIRE(rig.deliver(1, sender.queue.front()));
      sender.queue.pop_front();
    }
    REQUIRE(rig.fetcher->charged_bytes(1) <= rig.options.window_bytes);
  }
  CHECK(rig.received() <= rig.options.window_bytes);
  CHECK(rig.received() > rig.options.window_bytes / 2);
  REQUIRE(rig.settle());
  CHECK(rig.results.size() == 4);
}

TEST_CASE("blocks of zeros are not written") {
  TransferRig rig;
  Bytes bytes(8'000'000);
  bytes[4'000'000] = 1;
  const WantedContent wanted = rig.sender(1).add("sparse", bytes);
  rig.fetcher->want(wanted);
  REQUIRE(rig.settle());
  CHECK((rig.results[wanted.content] == bytes));
  CHECK(rig.fs.bytes_written() < 700'000);  // a block, and the sidecar
}

TEST_CASE("ten thousand small files come in batches") {
  TransferRig rig;
  rig.sender(1).room = 2000;
  for (std::uint64_t i = 0; i < 10'000; ++i)
    rig.fetcher->want(rig.sender(1).add("d/" + std::to_string(i), random_bytes(4096, i)));
  REQUIRE(rig.settle());
  CHECK(rig.results.size() == 10'000);
  CHECK(rig.received() == 10'000 * 4096);
  CHECK(rig.violations == 0);
  CHECK(rig.fs.temp_names().empty());
}

TEST_CASE("wanted again while its temp file is being installed, it waits for the release") {
  TransferRig rig;
  rig.keep_temps = true;
  const Bytes bytes = random_bytes(2000, 30);
  const WantedContent wanted = rig.sender(1).add("f", bytes);
  rig.fetcher->want(wanted);
  REQUIRE(rig.settle());
  rig.fetcher->want(wanted);
  rig.requests.clear();
  REQUIRE(rig.settle());
  CHECK(rig.requests.empty());
  CHECK((rig.fs.temp_contents(partial_name(wanted.content)) == bytes));
  rig.fetcher->release(wanted.content);
  REQUIRE(rig.settle());
  CHECK(rig.requests.size() == 1);
}

TEST_CASE("a clean stop leaves nothing to be fetched twice") {
  TransferRig rig;
  const Bytes bytes = random_bytes(4'000'000, 31);
  const WantedContent wanted = rig.sender(1).add("f", bytes);
  rig.fetcher->want(wanted);
  for (int i = 0; i < 9; ++i) rig.step(137);
  rig.fetcher->suspend();
  rig.executor.run_all();
  rig.kill();
  rig.start();
  rig.fetcher->want(wanted);
  REQUIRE(rig.settle());
  CHECK((rig.results[wanted.content] == bytes));
  CHECK(rig.received() == bytes.size());
}

TEST_CASE("whatever sources, jobs and wishes do meanwhile, all that is wanted arrives in the end") {
  for (std::uint64_t seed = 1; seed <= 15; ++seed) {
    INFO("seed " << seed);
    Prng random(seed);
    TransferRig rig;
    rig.executor.run_all();
    rig.executor = ManualExecutor(seed);
    std::vector<Bytes> contents;
    std::vector<WantedContent> wanted;
    for (std::uint64_t i = 0; i < 14; ++i)
      contents.push_back(random_bytes(i % 2 == 0 ? 70'000 * (i + 1) : 7000 * i, seed * 50 + i));
    SourceId next_source = 1;
    auto connect = [&] {
      Sender& sender = rig.sender(next_source++);
      wanted.clear();
      for (std::size_t i = 0; i < contents.size(); ++i)
        wanted.push_back(sender.add("f" + std::to_string(i), contents[i]));
    };
    connect();
    for (const WantedContent& content : wanted) rig.fetcher->want(content);
    for (int round = 0; round < 400; ++round) {
      const WantedContent& some = wanted[random.below(wanted.size())];
      if (random.chance(1, 40) && rig.senders.size() < 3) connect();
      if (random.chance(1, 40) && !rig.senders.empty()) rig.cut(rig.senders.begin()->first);
      if (random.chance(1, 10) && !rig.senders.empty())
        rig.fetcher->set_sources(some.content, {rig.senders.rbegin()->first});
      if (random.chance(1, 30)) rig.fetcher->set_sources(some.content, {});
      if (random.chance(1, 10)) rig.fetcher->drop(some.content);
      if (random.chance(1, 10)) rig.fetcher->want(some);
      for (auto& [id, request] : rig.fetcher->take_requests())
        REQUIRE(rig.senders.at(id)->provider.on_request(id, request));
      for (std::uint64_t jobs = random.below(4); jobs > 0; --jobs) rig.executor.run_one();
      for (auto& [id, sender] : rig.senders) {
        sender->provider.pump();
        for (std::uint64_t jobs = random.below(4); jobs > 0; --jobs) sender->executor.run_one();
        for (std::uint64_t packets = random.below(400); packets > 0; --packets) {
          if (sender->queue.empty()) break;
          REQUIRE(rig.deliver(id, sender->queue.front()));
          sender->queue.pop_front();
        }
        REQUIRE(rig.fetcher->charged_bytes(id) <= rig.options.window_bytes + Fetcher::kBlockBytes);
      }
    }
    if (rig.senders.empty()) connect();
    std::vector<SourceId> all;
    for (const auto& [id, sender] : rig.senders) all.push_back(id);
    rig.settle();  // takes what is finished, so that it can be wanted anew below
    for (const WantedContent& content : wanted) {
      rig.fetcher->want(content);
      rig.fetcher->set_sources(content.content, all);
    }
    REQUIRE(rig.settle());
    REQUIRE(rig.results.size() == contents.size());
    for (std::size_t i = 0; i < contents.size(); ++i)
      CHECK((rig.results[wanted[i].content] == contents[i]));
    CHECK(rig.violations == 0);
    CHECK(rig.fetcher->counters().mismatches == 0);
    CHECK(rig.fetcher->pending_files() == 0);
    for (SourceId id : all) CHECK(rig.fetcher->charged_bytes(id) == 0);
  }
}

TEST_CASE("holes of a sparse file travel as ranges, and a hole that was not asked for is refused") {
  TransferRig rig;
  Bytes sparse(5'000'000, 0);
  const Bytes island = random_bytes(3000, 7);
  std::copy(island.begin(), island.end(), sparse.begin() + 2'000'500);
  const WantedContent wanted = rig.sender(1).add("sparse", sparse);
  rig.fetcher->want(wanted);
  REQUIRE(rig.settle());
  REQUIRE(rig.results.contains(wanted.content));
  CHECK(rig.results.at(wanted.content) == sparse);
  // The island touches four chunks; all else is zeros.
  CHECK(rig.fetcher->counters().payload_received == 4000);
  CHECK_FALSE(rig.fetcher->on_hole(1, 99, {0, 1000}));
}

}  // namespace lansync
