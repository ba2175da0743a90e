// Several who have a content, or part of it: who is asked for what, and what a node serves that is
// still fetching it itself.
#include "support/catch.h"
#include "sync/fetcher.h"
#include "sync/partial_file.h"
#include "unit/sync/transfer_rig.h"

namespace lansync {

namespace {

RangeSet asked_of(const TransferRig& rig, SourceId id) {
  RangeSet out;
  for (const auto& [source, request] : rig.requests)
    if (source == id)
      for (const ByteRange& range : request.ranges) out.add(range.begin, range.end);
  return out;
}

}  // namespace

TEST_CASE("a part of a set of ranges, and what two sets share") {
  RangeSet set(0, 100);
  set.add(200, 300);
  CHECK(set.within(50, 250).ranges() == std::vector<ByteRange>{{50, 100}, {200, 250}});
  CHECK(set.within(100, 200).empty());
  RangeSet other(90, 210);
  other.add(299, 400);
  CHECK(set.intersection(other).ranges() ==
        std::vector<ByteRange>{{90, 100}, {200, 210}, {299, 300}});
  set.remove(other);
  CHECK(set.ranges() == std::vector<ByteRange>{{0, 90}, {210, 299}});
}

TEST_CASE("a source that has only part of it is asked for no more than that") {
  TransferRig rig;
  const Bytes bytes = random_bytes(9'000'000, 1);
  const WantedContent wanted = rig.sender(1).add("f", bytes);
  rig.sender(2).add("f", bytes);
  rig.fetcher->want(wanted);
  RangeSet part(2'048'000, 3'072'000);
  rig.fetcher->set_available(wanted.content, 2, part);
  for (int i = 0; i < 3; ++i) rig.step(0);
  CHECK(asked_of(rig, 2) == part);
  CHECK(asked_of(rig, 1).intersection(part).empty());
  REQUIRE(rig.settle());
  CHECK(rig.results[wanted.content] == bytes);
  CHECK(rig.fetcher->counters().chunks_resent == 0);
}

TEST_CASE(
    "a source of which nothing is known yet is asked for nothing, until it says that it has all") {
  TransferRig rig;
  const Bytes bytes = random_bytes(3'000'000, 2);
  const WantedContent wanted = rig.sender(2).add("f", bytes);
  rig.fetcher->want(wanted);
  rig.fetcher->set_available(wanted.content, 2, RangeSet{});
  REQUIRE(rig.settle());
  CHECK(rig.requests.empty());
  rig.fetcher->set_available(wanted.content, 2, std::nullopt);
  REQUIRE(rig.settle());
  CHECK(rig.results[wanted.content] == bytes);
}

TEST_CASE("not yet is no refusal: the source is asked again when it has more") {
  TransferRig rig;
  const Bytes bytes = random_bytes(3'000'000, 3);
  const WantedContent wanted = rig.sender(1).add("f", bytes);
  // It is on its way there, and nothing of it has come.
  Sender& other = rig.sender(2);
  other.provider.set_partials([](const ContentId&) { return nullptr; },
                              [](SourceId, const ContentId&) { return true; });
  rig.fetcher->want(wanted);
  rig.fetcher->set_sources(wanted.content, {2});
  REQUIRE(rig.settle());
  CHECK(rig.requests.size() > 0);
  CHECK(rig.failures.empty());
  CHECK(rig.results.empty());
  other.add("f", bytes);
  rig.fetcher->set_available(wanted.content, 2, std::nullopt);
  rig.fetcher->set_sources(wanted.content, {1, 2});
  REQUIRE(rig.settle());
  CHECK(rig.results[wanted.content] == bytes);
}

TEST_CASE("who said not yet and nothing since is asked again by and by") {
  TransferRig rig;
  const Bytes bytes = random_bytes(3'000'000, 3);
  Sender& other = rig.sender(2);
  other.provider.set_partials([](const ContentId&) { return nullptr; },
                              [](SourceId, const ContentId&) { return true; });
  const WantedContent wanted = rig.sender(1).add("f", bytes);
  rig.fetcher->want(wanted);
  rig.fetcher->set_sources(wanted.content, {2});
  REQUIRE(rig.settle());
  // It has the whole by its own means, and tells nobody.
  other.add("f", bytes);
  REQUIRE(rig.settle());
  CHECK(rig.results.empty());
  REQUIRE(rig.fetcher->deadline() != kNever);
  rig.clock.advance(10s);
  rig.fetcher->tick(rig.clock.now());
  REQUIRE(rig.settle());
  CHECK((rig.results[wanted.content] == bytes));
}

// Of three nodes each waited for the next one, asked it as fast as the line went, and for ever.
TEST_CASE("who said not yet is asked for a small file once in a while, and waits for it itself") {
  TransferRig rig;
  const Bytes bytes = random_bytes(3'000, 3);
  const WantedContent wanted = rig.sender(1).add("f", bytes);
  const ContentId& content = wanted.content;
  rig.sender(2).provider.set_partials([](const ContentId&) { return nullptr; },
                                      [](SourceId, const ContentId&) { return true; });
  rig.fetcher->want(wanted);
  rig.fetcher->set_sources(content, {2});
  REQUIRE(rig.settle());
  CHECK(rig.requests.size() == 1);
  for (std::size_t asked = 1; asked < 4; ++asked) {
    // Nor does another's guess, or that it is asked again, make it one from whom it comes.
    rig.fetcher->guess_available(content, 2);
    CHECK_FALSE(rig.fetcher->comes_from_others(content, 1));
    REQUIRE(rig.settle());
    CHECK(rig.requests.size() == asked);
    rig.clock.advance(10s);
    rig.fetcher->tick(rig.clock.now());
    CHECK_FALSE(rig.fetcher->comes_from_others(content, 1));
    REQUIRE(rig.settle());
    CHECK(rig.requests.size() == asked + 1);
  }
  // Its own word does.
  rig.fetcher->set_available(content, 2, std::nullopt);
  CHECK(rig.fetcher->comes_from_others(content, 1));
  rig.fetcher->set_sources(content, {1, 2});
  REQUIRE(rig.settle());
  CHECK((rig.results[content] == bytes));
}

TEST_CASE("what is waited for from the asker alone, or failed, does not come from others") {
  TransferRig rig;
  const Bytes bytes = random_bytes(3'000, 3);
  const WantedContent wanted = rig.sender(1).add("f", bytes);
  const ContentId& content = wanted.content;
  rig.sender(2).provider.set_partials([](const ContentId&) { return nullptr; },
                                      [](SourceId, const ContentId&) { return true; });
  rig.fetcher->want(wanted);
  rig.fetcher->set_sources(content, {2});
  CHECK_FALSE(rig.fetcher->comes_from_others(content, 2));
  CHECK(rig.fetcher->comes_from_others(content, 1));
  // It waits for somebody itself.
  REQUIRE(rig.settle());
  CHECK_FALSE(rig.fetcher->comes_from_others(content, 1));
  rig.fetcher->set_sources(content, {1, 2});
  CHECK(rig.fetcher->comes_from_others(content, 2));
}

TEST_CASE("what nobody had is asked of a newcomer at once, and not ten minutes later") {
  TransferRig rig;
  const Bytes bytes = random_bytes(3'000, 3);
  const WantedContent wanted = rig.sender(1).add("f", bytes);
  (void)rig.sender(2);
  rig.fetcher->want(wanted);
  rig.fetcher->set_sources(wanted.content, {2});
  REQUIRE(rig.settle());
  REQUIRE(rig.failures.size() == 1);
  CHECK_FALSE(rig.fetcher->comes_from_others(wanted.content, 1));
  rig.fetcher->set_sources(wanted.content, {1, 2});
  rig.fetcher->tick(rig.clock.now());
  REQUIRE(rig.settle());
  CHECK((rig.results[wanted.content] == bytes));
}

// Seeds 3562 and 3953: each of its sessions was a new source, whose end was a new failure, for
// which it was looked for again; and each try wrote to the disk.
TEST_CASE("who was found by looking and has nothing begins no round, and costs the disk nothing") {
  TransferRig rig;
  const WantedContent wanted = rig.sender(3).add("f", random_bytes(3'000'000, 5));
  rig.sender(1);
  rig.fetcher->want(wanted);
  rig.fetcher->set_sources(wanted.content, {1});
  REQUIRE(rig.settle());
  REQUIRE(rig.fetcher->lately_failed().size() == 1);
  for (SourceId session = 10; session < 13; ++session) {
    rig.clock.advance(1s);
    rig.sender(session);
    rig.fetcher->set_found_sources(wanted.content, {1, session});
    rig.fetcher->set_available(wanted.content, session, RangeSet{});
    rig.fetcher->tick(rig.clock.now());
    REQUIRE(rig.settle());
    // It is idle, and closed.
    rig.clock.advance(10s);
    rig.cut(session);
    REQUIRE(rig.settle());
    CHECK(rig.fetcher->lately_failed().empty());
    CHECK(rig.fs.temp_names().empty());
  }
  // Later there is a round again, and in it who has it by now is asked at once.
  rig.clock.advance(40s);
  rig.fetcher->tick(rig.clock.now());
  REQUIRE(rig.settle());
  CHECK(rig.fetcher->lately_failed().size() == 1);
  rig.fetcher->set_found_sources(wanted.content, {1, 3});
  rig.fetcher->tick(rig.clock.now());
  REQUIRE(rig.settle());
  CHECK(rig.results.size() == 1);
}

// Seed 3482: two who lacked the same file found each other before its author, and waited for good.
TEST_CASE("who was found first and has nothing ends no search: the next one is asked as well") {
  for (const std::size_t size : {3'000u, 3'000'000u}) {
    CAPTURE(size);
    TransferRig rig;
    const Bytes bytes = random_bytes(size, 6);
    const WantedContent wanted = rig.sender(3).add("f", bytes);
    rig.sender(1);
    rig.sender(2).provider.set_partials([](const ContentId&) { return nullptr; },
                                        [](SourceId, const ContentId&) { return true; });
    rig.fetcher->want(wanted);
    rig.fetcher->set_sources(wanted.content, {1});
    REQUIRE(rig.settle());
    REQUIRE(rig.fetcher->lately_failed().size() == 1);
    rig.clock.advance(500ms);
    rig.fetcher->set_found_sources(wanted.content, {1, 2});
    rig.fetcher->tick(rig.clock.now());
    REQUIRE(rig.settle());
    CHECK(rig.fetcher->lately_failed().size() == 1);
    rig.fetcher->set_found_sources(wanted.content, {1, 2, 3});
    REQUIRE(rig.settle());
    CHECK((rig.results[wanted.content] == bytes));
    CHECK(rig.fetcher->lately_failed().empty());
  }
}

TEST_CASE("asking may begin anywhere, and goes round the end") {
  TransferRig rig;
  const Bytes bytes = random_bytes(4'000'000, 4);
  const WantedContent wanted = rig.sender(1).add("f", bytes);
  rig.fetcher->want(wanted);
  rig.fetcher->set_start(wanted.content, 2'100'000);
  for (int i = 0; i < 3; ++i) rig.step(0);
  REQUIRE(rig.requests.size() > 0);
  CHECK(rig.requests[0].second.ranges[0].begin == 2'048'000);
  REQUIRE(rig.settle());
  CHECK(rig.results[wanted.content] == bytes);
}

TEST_CASE("what is on disk of a file that is being fetched is served, and nothing beyond") {
  ManualClock clock;
  Sender sender(clock);
  const Bytes bytes = random_bytes(3'000'000, 5);
  const ContentId content = digests_of(bytes).content;
  RangeSet here(256'000, 1'280'000);
  bool fetching = true;
  sender.fs.put_temp(partial_name(content), bytes);
  sender.provider.set_partials(
      [&](const ContentId& asked) { return fetching && asked == content ? &here : nullptr; },
      [&](SourceId, const ContentId& asked) { return asked == content; });
  auto ask = [&](std::uint32_t transfer, ByteRange range) {
    REQUIRE(sender.provider.on_request(1, {transfer, content, "f", bytes.size(), {range}}));
    sender.room = 1u << 20;
    for (int i = 0; i < 1000; ++i) {
      sender.provider.pump();
      if (!sender.executor.run_one()) break;
    }
  };
  ask(1, {256'000, 1'024'000});
  REQUIRE(sender.queue.size() == 1 + 768 + 1);
  CHECK(sender.queue.back().result.ok);
  for (const Packet& packet : sender.queue) {
    if (packet.kind != Packet::kChunk) continue;
    const auto from = bytes.begin() + static_cast<std::ptrdiff_t>(packet.number * 1000);
    REQUIRE(std::equal(packet.bytes.begin(), packet.bytes.end(), from));
  }
  sender.queue.clear();
  ask(2, {0, 512'000});
  REQUIRE(sender.queue.size() == 1);
  CHECK(sender.queue[0].result.reason == "not_yet");
  sender.queue.clear();
  // It gets its real name while it is being read: it may have been changed there.
  REQUIRE(sender.provider.on_request(1, {3, content, "f", bytes.size(), {{256'000, 512'000}}}));
  fetching = false;
  for (int i = 0; i < 100; ++i) {
    sender.provider.pump();
    if (!sender.executor.run_one()) break;
  }
  REQUIRE(sender.queue.size() == 1);
  CHECK(sender.queue[0].result.reason == "not_yet");
  CHECK_FALSE(sender.provider.busy());
  CHECK(sender.changed.empty());
}

}  // namespace lansync
