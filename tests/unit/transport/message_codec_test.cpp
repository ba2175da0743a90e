#include <chrono>

#include "base/random.h"
#include "support/catch.h"
#include "support/raw_message.h"
#include "transport/message.h"
#include "transport/session.h"

using namespace lansync;

namespace {

std::string random_text(Prng& random, std::size_t max_bytes) {
  std::string text(1 + random.below(max_bytes), 'x');
  for (char& c : text) c = static_cast<char>('a' + random.below(26));
  return text;
}

std::uint64_t random_number(Prng& random) { return random.next() >> random.below(64); }

EntryPtr random_entry(Prng& random) {
  auto entry = std::make_shared<Entry>();
  entry->kind = static_cast<EntryKind>(1 + random.below(4));
  entry->mode = 0;
  if (entry->is_file() || entry->is_directory())
    entry->mode = static_cast<std::uint16_t>(random.below(01000));
  if (entry->is_symlink()) entry->mode = 0777;
  if (entry->is_file()) {
    entry->size = random.below(kMaxFileSize + 1);
    entry->mtime_ns = static_cast<std::int64_t>(random.next());
    entry->md5 = random.id<Md5>();
  }
  if (entry->is_file() || entry->is_symlink()) entry->content = random.id<ContentId>();
  if (entry->is_symlink()) entry->target = random_text(random, 100);
  if (entry->is_tombstone()) {
    entry->was = static_cast<EntryKind>(1 + random.below(4));
    entry->mode = static_cast<std::uint16_t>(random.below(01000));
    if (random.chance(1, 2)) entry->content = random.id<ContentId>();
    if (random.chance(1, 2)) entry->run = random.next();
  }
  std::vector<VersionVector::Part> parts(1 + random.below(6));
  for (auto& part : parts) part = {random.next(), 1 + (random_number(random) >> 3)};
  entry->version = VersionVector(std::move(parts));
  const auto any_edit = [&]() -> Edit {
    const auto& all = entry->version.parts();
    const VersionVector::Part& part = all[random.below(all.size())];
    return {part.id, 1 + random.below(part.count)};
  };
  if (random.chance(1, 2)) entry->edits = {any_edit(), any_edit(), any_edit()};
  if (random.chance(1, 4)) entry->edits.mtime = entry->edits.mode = entry->edits.content;
  entry->author = random.next();
  entry->author_name = random_text(random, kMaxNodeName);
  entry->edited.ns = static_cast<std::int64_t>(random.next());
  return entry;
}

std::vector<NamedEntry> random_entries(Prng& random) {
  std::vector<NamedEntry> entries(random.below(5));
  for (NamedEntry& named : entries) named = {random_text(random, 60), random_entry(random)};
  return entries;
}

Hello random_hello(Prng& random) {
  Hello m;
  m.answer = random.chance(1, 2);
  m.name = random_text(random, kMaxNodeName);
  m.program = "0.1.0";
  m.role = static_cast<Role>(random.below(4));
  m.manual = static_cast<ManualRole>(random.below(4));
  m.full_replica = random.chance(1, 2);
  m.has_data = random.chance(1, 2);
  m.disk_log2 = static_cast<std::uint8_t>(random.below(64));
  m.term = random.next();
  m.sync_term = random.next();
  m.seq = random_number(random) >> 3;
  m.members = static_cast<std::uint32_t>(random.below(2000));
  m.port = static_cast<std::uint16_t>(random.next());
  m.hub = random.id<NodeId>();
  m.hub_term = random.next();
  m.in_sync = random.chance(1, 2);
  m.hub_live = random.chance(1, 2);
  if (random.chance(1, 2)) m.beacon_key = random.id<BeaconKey>();
  m.runs.resize(random.below(4));
  for (Run& run : m.runs) run = {random_number(random), random.id<StartId>(), random.id<StartId>()};
  m.full = random.chance(1, 4);
  m.unanswered = random.chance(1, 4);
  return m;
}

Push random_push(Prng& random) {
  Push m;
  m.items.resize(random.below(4));
  for (PushItem& item : m.items) {
    item.name = random_text(random, 60);
    item.entry = random_entry(random);
  }
  return m;
}

Verdict random_verdict(Prng& random) {
  Verdict m;
  m.kind = static_cast<VerdictKind>(random.below(4));
  m.items.resize(random.below(4));
  for (VerdictItem& item : m.items) {
    item.name = random_text(random, 60);
    if (random.chance(1, 2)) item.entry = random_entry(random);
    if (random.chance(1, 2)) item.detail = random_text(random, 60);
  }
  return m;
}

Request random_request(Prng& random) {
  Request m;
  m.items.resize(random.below(4));
  for (RequestItem& item : m.items) {
    item.transfer = static_cast<std::uint32_t>(random.next());
    item.hash = random.id<ContentId>();
    if (random.chance(1, 2)) item.name = random_text(random, 60);
    std::uint64_t at = 0;
    for (std::uint64_t i = random.below(5); i > 0; --i) {
      std::uint64_t begin = at + random.below(5000);
      at = begin + 1 + random.below(5000);
      item.ranges.push_back({begin, at});
    }
    item.size = at + random.below(1000);
  }
  m.carrier = static_cast<CarrierChoice>(random.below(4));
  return m;
}

Message random_listing(Prng& random) {
  auto u32 = [&] { return static_cast<std::uint32_t>(random_number(random)); };
  auto i64 = [&] { return static_cast<std::int64_t>(random.next()); };
  auto text = [&](std::size_t max) { return random_text(random, max); };
  switch (random.below(6)) {
    case 0: {
      IndexQuery m{u32(), random.chance(1, 2), {}, {}, text(kMaxPattern), text(60)};
      if (random.chance(1, 2)) m.from = i64();
      if (random.chance(1, 2)) m.to = i64();
      return m;
    }
    case 1: {
      IndexPage m{u32(), std::vector<FileRow>(random.below(5)), text(60), random.chance(1, 2)};
      for (FileRow& row : m.rows) row = {text(60), random.below(kMaxFileSize), i64(), text(20)};
      return m;
    }
    case 2: {
      FileHashes m{u32(), std::vector<HashRow>(random.below(5)), text(60), random.chance(1, 2)};
      for (HashRow& row : m.rows)
        row = {text(60),         random.below(kMaxFileSize), i64(),
               random.id<Md5>(), HashState(random.below(6)), text(60)};
      return m;
    }
    case 3:
      return FileHash{u32(), text(60), text(60), random.chance(1, 2)};
    case 4:
      return Search{
          u32(), text(60), random.chance(1, 2), text(60), random.id<NodeId>(), random.chance(1, 2)};
    default: {
      Found m{u32(), std::vector<FoundRecord>(random.below(5)), text(60), random.id<NodeId>(),
              random.chance(1, 2)};
      for (FoundRecord& record : m.records)
        record = {text(60),
                  text(20),
                  random.below(kMaxFileSize),
                  i64(),
                  {u32(), 27801},
                  random.id<NodeId>(),
                  text(kMaxNodeName)};
      return m;
    }
  }
}

Message random_question(Prng& random) {
  auto u32 = [&] { return static_cast<std::uint32_t>(random_number(random)); };
  switch (random.below(10)) {
    case 0:
      return NotFound{u32()};
    case 1:
      return Working{u32()};
    case 2:
      return Failed{u32(), random_text(random, kMaxReasonBytes)};
    case 3:
      return Cancel{u32()};
    case 4: {
      FileUpload m;
      m.id = u32();
      m.name = random_text(random, 60);
      m.size = random.below(kMaxFileSize);
      m.mtime_ns = static_cast<std::int64_t>(random.next());
      m.mode = 0640;
      m.hash = random.id<ContentId>();
      m.md5 = random.id<Md5>();
      return m;
    }
    case 5:
      return FileUploadAllow{u32(), random.chance(1, 2), random_text(random, 60)};
    case 6:
      return FileUploadDeny{u32(), random_text(random, 60)};
    case 7:
      return FileDownloaded{random_text(random, 60), random_text(random, 60)};
    default:
      return random_listing(random);
  }
}

Message random_message(Prng& random) {
  auto u32 = [&] { return static_cast<std::uint32_t>(random_number(random)); };
  if (random.chance(1, 3)) return random_question(random);
  switch (random.below(25)) {
    case 0:
      return random_hello(random);
    case 1:
      return Claim{random_number(random), u32()};
    case 2: {
      Roster m{u32(), u32(), std::vector<RosterRow>(random.below(5))};
      for (RosterRow& row : m.rows)
        row = {random.id<NodeId>(), random.id<BootId>(), random_text(random, kMaxNodeName),
               Address{u32(), static_cast<std::uint16_t>(random.next())}, Role::kClient};
      return m;
    }
    case 3:
      if (random.chance(1, 2)) return Clone{random.chance(1, 2)};
      return Bye{random_text(random, 20), random.id<NodeId>()};
    case 4: {
      Ping m{random_number(random) >> 1};
      if (random.chance(1, 2)) return m;
      m.heard = random_number(random) >> 1;  // a sequence: not above kMaxSeq
      m.files = random_number(random);
      m.bytes = random_number(random);
      m.obstacle = static_cast<Obstacle>(random.below(kLastObstacle + 1));
      return m;
    }
    case 5: {
      IndexGet m;
      m.bucket_count = 1u << random.below(6);
      m.digests.resize(16 * m.bucket_count);
      random.fill(m.digests);
      m.count_high = random_number(random);
      m.round = u32();
      m.away = random_number(random);
      return m;
    }
    case 6: {
      Update m;
      m.term = random_number(random);
      m.seq = random_number(random) >> 3;
      m.snapshot = random.chance(1, 2);
      m.last = random.chance(1, 2);
      m.count_seen = random_number(random);
      m.round = u32();
      m.away = random_number(random);
      m.unsynced = random_number(random);
      for (std::uint64_t i = random.below(5); i > 0; --i)
        m.buckets.push_back(static_cast<std::uint32_t>(random.below(kMaxDigestBuckets)));
      m.entries = random_entries(random);
      return m;
    }
    case 7:
      return random_push(random);
    case 8:
      return random_verdict(random);
    case 9:
      return random_request(random);
    case 11:
      return HubHeard{random.id<NodeId>(), {u32(), 27801}};
    case 12: {
      Mark m{random_number(random), random.chance(1, 2), random.chance(1, 2)};
      if (random.chance(1, 2)) return m;
      m.behind = random.id<NodeId>();
      m.files = random_number(random);
      m.bytes = random_number(random);
      m.obstacle = static_cast<Obstacle>(random.below(kLastObstacle + 1));
      return m;
    }
    case 18: {
      Holds m{random_number(random), random.chance(1, 2), {}};
      for (std::uint64_t i = random.below(5); i > 0; --i)
        m.hashes.push_back(random.id<ContentId>());
      return m;
    }
    case 13: {
      std::uint64_t begin = random.below(1u << 20) * 1000;
      return Hole{u32(), begin, begin + 1 + random.below(1u << 20)};
    }
    case 15: {
      Carrier m{
          random.chance(1, 2), random.chance(1, 2), static_cast<std::uint16_t>(random.next()), {}};
      random.fill(m.id);
      return m;
    }
    case 16: {
      Where m;
      for (std::uint64_t i = random.below(kMaxWhere + 1); i > 0; --i)
        m.hashes.push_back(random.id<ContentId>());
      return m;
    }
    case 17: {
      Holders m;
      m.items.resize(random.below(4));
      for (HolderItem& item : m.items) {
        item.hash = random.id<ContentId>();
        item.whole = random.chance(1, 2);
        item.ranges = {{0, 1000}, {2000, 2001 + random.below(1u << 30)}};
        for (std::uint64_t i = random.below(kMaxHolders + 1); i > 0; --i)
          item.nodes.push_back({random.id<NodeId>(), {u32(), 27801}, random.chance(1, 2)});
      }
      return m;
    }
    case 22: {
      Coming m;
      m.items.resize(random.below(kMaxComing + 1));
      for (ComingItem& item : m.items)
        item = {"a/film",
                random.id<ContentId>(),
                random.below(1u << 30),
                random.chance(1, 2),
                static_cast<std::uint16_t>(random.below(7)),
                7};
      return m;
    }
    case 19:
      return TrashGet{random_number(random), random.chance(1, 2) ? "a/b" : "", random.chance(1, 2),
                      random.chance(1, 2) ? random.next() : 0};
    case 20: {
      TrashRows m{random_number(random), {}, random_text(random, 20), random.chance(1, 2)};
      m.rows.resize(random.below(4));
      for (FoundTrash& row : m.rows)
        row = {"2026-11-21_12.00.00-1/a/b", "a/b", -5, random_number(random) >> 2,
               random.id<NodeId>()};
      return m;
    }
    case 21: {
      RestoreTrash m{random_number(random), random.id<NodeId>(), {"x/1", "y/2"}, std::nullopt};
      if (random.chance(1, 2)) m.over = random.id<ContentId>();
      return m;
    }
    case 23:
      return RunsKnown{{random.next(), 0, random.next()}};
    case 24: {
      RunWord m;
      m.record = {static_cast<RunDecision>(1 + random.below(2)),
                  random.next(),
                  1000,
                  random.id<ContentId>(),
                  WallTime{static_cast<std::int64_t>(random.next())},
                  random.id<PublicKey>(),
                  random.id<Signature>()};
      m.offset = random.below(900);
      m.leaves.resize(random.below(100) * kRunLeafBytes, 7);
      return m;
    }
    case 10: {
      Download m;
      m.items.resize(random.below(4));
      for (DownloadItem& item : m.items) item = {u32(), random_text(random, 60), u32()};
      return m;
    }
    default: {
      Done m;
      m.transfers.resize(random.below(4));
      for (TransferEnd& end : m.transfers)
        end = {u32(), random.chance(1, 2), random.id<Md5>(), random_text(random, 20)};
      m.published = random_entries(random);
      return m;
    }
  }
}

std::string why_refused(ByteView bytes) {
  std::string why;
  return decode_message(bytes, &why) ? "accepted" : why;
}
std::string why_refused(const std::string& hex) {
  Bytes bytes(hex.size() / 2);
  REQUIRE(from_hex(hex, bytes));
  return why_refused(ByteView(bytes));
}

Update one_entry(const std::string& name, EntryPtr entry = nullptr) {
  if (!entry) {
    auto made = std::make_shared<Entry>();
    made->kind = EntryKind::kTombstone;
    made->mode = 0;
    entry = made;
  }
  Update update;
  update.entries.push_back({name, entry});
  return update;
}

}  // namespace

TEST_CASE("a message's bytes are those of docs/protocol.md") {
  CHECK(to_hex(encode_message(Ping{300})) == "82a474797065a470696e67a3736571cd012c");
  CHECK(to_hex(encode_message(Claim{2, 5})) ==
        "83a474797065a5636c61696da47465726d02a76d656d6265727305");
  auto entry = std::make_shared<Entry>();
  entry->mode = 0644;
  entry->size = 5;
  entry->mtime_ns = -1;
  entry->content.bytes.fill(0xAA);
  entry->md5.bytes.fill(0xBB);
  entry->version = VersionVector({{7, 2}});
  entry->author = 7;
  entry->author_name = "h";
  entry->edited.ns = 1;
  Update update = one_entry("a", entry);
  update.term = 1;
  update.seq = 9;
  CHECK(to_hex(encode_message(update)) ==
        "8ba474797065a6757064617465a47465726d01a373657109a8736e617073686f74c2a46c617374c2"
        "a47365656e00a5726f756e6400a46177617900a8756e73796e63656400a76275636b65747390a7656e74726965"
        "7391"
        "8ba46e616d65a161a46b696e6401a473697a6505a56d74696d65ffa46d6f6465cd01a4a468617368c420" +
            std::string(64, 'a') + "a36d6435c410" + std::string(32, 'b') +
            "a776657273696f6e91920702a6617574686f7207a4686f7374a168a474696d6501");
}

TEST_CASE("any message comes back as it was") {
  Prng random(20261121);
  for (int i = 0; i < 3000; ++i) {
    Message message = random_message(random);
    Bytes bytes = encode_message(message);
    std::string why;
    auto back = decode_message(bytes, &why);
    INFO(message_type(message) << ": " << why);
    REQUIRE(back);
    CHECK(message_type(*back) == message_type(message));
    CHECK(encode_message(*back) == bytes);
  }
}

TEST_CASE("a hello comes back with every field, and an entry too") {
  Prng random(3);
  for (int i = 0; i < 50; ++i) {
    Hello hello = random_hello(random);
    auto back = decode_message(encode_message(hello));
    REQUIRE(back);
    CHECK(std::get<Hello>(*back) == hello);
    EntryPtr entry = random_entry(random);
    auto update = decode_message(encode_message(one_entry("x", entry)));
    REQUIRE(update);
    const Entry& e = *std::get<Update>(*update).entries.at(0).entry;
    CHECK(e.kind == entry->kind);
    CHECK(e.mode == entry->mode);
    CHECK(e.size == entry->size);
    CHECK(e.mtime_ns == entry->mtime_ns);
    CHECK(e.content == entry->content);
    CHECK(e.md5 == entry->md5);
    CHECK(e.target == entry->target);
    CHECK(e.was == entry->was);
    CHECK(e.run == entry->run);
    CHECK(e.version == entry->version);
    CHECK(e.edits == entry->edits);
    CHECK(e.author == entry->author);
    CHECK(e.author_name == entry->author_name);
    CHECK(e.edited == entry->edited);
  }
}

TEST_CASE("a message that is cut at any byte, or has one too many, is refused") {
  Prng random(5);
  for (int i = 0; i < 60; ++i) {
    Bytes bytes = encode_message(random_message(random));
    for (std::size_t size = 0; size < bytes.size(); ++size)
      REQUIRE_FALSE(decode_message(ByteView(bytes).first(size)));
    bytes.push_back(0xC0);
    CHECK(why_refused(ByteView(bytes)) == "bytes after its end");
  }
}

TEST_CASE("a message with a flipped byte is refused or is another valid message") {
  Prng random(7);
  for (int i = 0; i < 60; ++i) {
    const Bytes good = encode_message(random_message(random));
    for (std::size_t at = 0; at < good.size(); ++at) {
      Bytes bad = good;
      bad[at] = static_cast<std::uint8_t>(bad[at] ^ (1u << random.below(8)));
      auto decoded = decode_message(bad);
      if (!decoded) continue;
      Bytes again = encode_message(*decoded);
      auto twice = decode_message(again);
      REQUIRE(twice);
      REQUIRE(encode_message(*twice) == again);
    }
  }
}

TEST_CASE("bombs and nonsense are refused before they cost anything") {
  CHECK(why_refused(std::string("ddffffffff")) != "accepted");    // 4 G elements
  CHECK(why_refused(std::string("dfffffffff")) != "accepted");    // 4 G pairs
  CHECK(why_refused(std::string("dbffffffff61")) != "accepted");  // a string of 4 GiB
  CHECK(why_refused(std::string("c70001")) != "accepted");        // ext, also an empty one
  CHECK(why_refused(ByteView(Bytes(10000, 0x91))) != "accepted");
  CHECK(why_refused(ByteView(Bytes(kMaxMessageBytes + 1, 0xC0))) == "longer than 256 KiB");
  CHECK(why_refused(ByteView(Bytes{})) != "accepted");
  CHECK(why_refused(std::string("c0")) == "not a map");
  CHECK(why_refused(std::string("80")) == "missing field type");
  CHECK(why_refused(std::string("81a474797065a178")) == "unknown type x");
  CHECK(why_refused(std::string("81a474797065a470696e67")) == "missing field seq");
  CHECK(why_refused(std::string("82a474797065a470696e67a3736571ff")) == "wrong type of seq");
  CHECK(why_refused(std::string("83a474797065a470696e67a373657101a373657101")) ==
        "field twice: seq");
  CHECK(why_refused(std::string("83a474797065a470696e67a373657101a16101")) == "unknown field a");
  // The seeds' authentication: {"type":"auth","hash":...} (reliability.md F41).
  CHECK(why_refused(std::string("82a474797065a461757468a468617368a178")) == "unknown type auth");
}

TEST_CASE("a name that is no path below the folder is refused in every message that has one") {
  for (const std::string& name :
       {std::string("../x"), std::string("/etc/x"), std::string("a/../../x"), std::string("a//b"),
        std::string(), std::string("."), std::string("a\0b", 3), std::string("a\nb"),
        std::string(5000, 'x'), std::string(".lansync/index.db"), std::string("\xFF")}) {
    INFO(name);
    Update update = one_entry(name);
    CHECK_FALSE(decode_message(encode_message(update)));
    CHECK_FALSE(decode_message(encode_message(Push{{{name, update.entries[0].entry}}})));
    CHECK_FALSE(decode_message(encode_message(Verdict{VerdictKind::kAccept, {{name, {}, ""}}})));
    CHECK_FALSE(decode_message(encode_message(Done{{}, update.entries})));
    if (name.empty()) continue;  // a hint may be missing
    CHECK_FALSE(decode_message(encode_message(Verdict{VerdictKind::kConflict, {{"a", {}, name}}})));
    CHECK_FALSE(decode_message(encode_message(Request{{{1, {}, name, 0, {}}}})));
    CHECK_FALSE(decode_message(encode_message(Download{{{1, name, 0}}})));
  }
}

TEST_CASE("ranges that overlap, go back or pass the end are refused") {
  auto accepted = [](std::vector<WireRange> ranges) {
    return decode_message(encode_message(Request{{{1, {}, "a", 100, std::move(ranges)}}}))
        .has_value();
  };
  CHECK(accepted({}));
  CHECK(accepted({{0, 100}}));
  CHECK(accepted({{0, 10}, {10, 20}}));
  CHECK_FALSE(accepted({{0, 101}}));
  CHECK_FALSE(accepted({{5, 5}}));
  CHECK_FALSE(accepted({{6, 5}}));
  CHECK_FALSE(accepted({{0, 10}, {9, 20}}));
  CHECK_FALSE(accepted({{10, 20}, {0, 5}}));
  CHECK_FALSE(accepted({{0, 10}, {0, 10}}));
}

TEST_CASE("digests have to fit their buckets") {
  CHECK(decode_message(encode_message(IndexGet{4096, Bytes(65536), 0, 0})));
  CHECK_FALSE(decode_message(encode_message(IndexGet{3, Bytes(48), 0, 0})));
  CHECK_FALSE(decode_message(encode_message(IndexGet{4, Bytes(63), 0, 0})));
  CHECK_FALSE(decode_message(encode_message(IndexGet{0, Bytes(), 0, 0})));
}

TEST_CASE("the largest roster and the largest vector fit into a message") {
  Roster roster;
  roster.rows.resize(kMaxRoster);
  for (RosterRow& row : roster.rows)
    row = {{}, {}, std::string(kMaxNodeName, 'n'), {0xFFFFFFFF, 0xFFFF}, Role::kClient};
  Bytes bytes = encode_message(roster);
  CHECK(bytes.size() <= kMaxMessageBytes);
  CHECK(decode_message(bytes));
  auto entry = std::make_shared<Entry>();
  std::vector<VersionVector::Part> parts;
  for (std::uint64_t i = 0; i < kMaxVectorFromOutside; ++i) parts.push_back({~i, kCountLimit - 1});
  entry->version = VersionVector(parts);
  entry->md5.bytes.fill(1);
  CHECK(decode_message(encode_message(one_entry("a", entry))));
}

TEST_CASE("the bound on an entry's bytes is one") {
  Prng random(11);
  std::size_t empty = encode_message(Push{}).size();
  for (int i = 0; i < 500; ++i) {
    PushItem item{random_text(random, 200), random_entry(random)};
    std::size_t bytes = encode_message(Push{{item}}).size() - empty;
    CHECK(bytes <= entry_bytes_bound(item.name, *item.entry));
  }
  CHECK(encode_message(Update{}).size() <= kMessageOverheadBytes);
}

TEST_CASE("a long name of our own is cut and does not make others refuse us") {
  Hello hello;
  hello.name = std::string(63, 'x') + "\xC3\xA9";
  auto back = decode_message(encode_message(hello));
  REQUIRE(back);
  CHECK(std::get<Hello>(*back).name == std::string(63, 'x'));
}

TEST_CASE("a chunk's bytes are those of docs/protocol.md") {
  Bytes out;
  Bytes payload = {1, 2, 3};
  encode_chunk({0x01020304, 0x05060708090A0B0C, payload}, out);
  CHECK(to_hex(out) ==
        "c101020304"
        "05060708090a0b0c"
        "010203");
  encode_chunk({7, 8, payload}, out);
  CHECK(is_chunk(out));
  auto back = decode_chunk(out);
  REQUIRE(back);
  CHECK(back->transfer == 7);
  CHECK(back->number == 8);
  CHECK(Bytes(back->bytes.begin(), back->bytes.end()) == payload);
}

TEST_CASE("a chunk without content, too long, or beyond any file is refused") {
  Bytes out;
  Bytes payload(kChunkBytes, 1);
  encode_chunk({1, 2, payload}, out);
  CHECK(decode_chunk(out));
  for (std::size_t size = 0; size <= kChunkHeaderBytes; ++size)
    CHECK_FALSE(decode_chunk(ByteView(out).first(size)));
  out.push_back(0);
  CHECK_FALSE(decode_chunk(out));
  encode_chunk({1, ~std::uint64_t{0}, payload}, out);
  CHECK_FALSE(decode_chunk(out));
  CHECK_FALSE(is_chunk(encode_message(Ping{})));
  CHECK_FALSE(decode_message(out));
}

// Hidden: its result is a number. unit_transport_messages "[bench]" prints it.
TEST_CASE("ten thousand entries take a few milliseconds each way", "[.][bench]") {
  Prng random(1);
  std::vector<Update> updates;
  for (int batch = 0; batch < 20; ++batch) {
    Update& update = updates.emplace_back();
    for (int i = 0; i < 500; ++i) {
      EntryPtr entry;
      do entry = random_entry(random);
      while (!entry->is_file());
      update.entries.push_back({"some/directory/" + random_text(random, 20), entry});
    }
  }
  using Ms = std::chrono::duration<double, std::milli>;
  for (int round = 0; round < 3; ++round) {
    auto begin = std::chrono::steady_clock::now();
    std::vector<Bytes> encoded;
    for (const Update& update : updates) encoded.push_back(encode_message(update));
    auto middle = std::chrono::steady_clock::now();
    std::size_t entries = 0;
    for (const Bytes& bytes : encoded)
      entries += std::get<Update>(*decode_message(bytes)).entries.size();
    auto end = std::chrono::steady_clock::now();
    WARN("encode " << Ms(middle - begin).count() << " ms, decode " << Ms(end - middle).count()
                   << " ms");
    CHECK(entries == 10000);
  }
}

TEST_CASE(
    "a vector that is too long, or counts too far, is refused in every message that has one") {
  auto entry = std::make_shared<Entry>();
  entry->version.raise(1, 1);
  entry->md5.bytes.fill(0xBB);
  std::vector<Message> messages{one_entry("a", entry), Push{{{"a", entry}}}};
  for (VerdictKind kind :
       {VerdictKind::kAccept, VerdictKind::kHave, VerdictKind::kConflict, VerdictKind::kRefuse}) {
    messages.push_back(Verdict{kind, {{"a", entry, {}}}});
  }
  messages.push_back(Done{{}, {{"a", entry}}});
  auto of_size = [](std::size_t size) {
    std::vector<VersionVector::Part> parts;
    for (std::uint64_t id = 1; id <= size; ++id) parts.push_back({id, 1});
    return parts;
  };
  using Parts = std::vector<VersionVector::Part>;
  const std::uint64_t limit = std::uint64_t{1} << 62;
  for (const Message& message : messages) {
    INFO(message_type(message));
    auto decodes = [&](const Parts& parts) {
      RawValue raw = raw_of(message);
      set_vectors(raw, parts);
      return decode_message(bytes_of(raw)).has_value();
    };
    CHECK(decodes(of_size(1)));
    CHECK(decodes(of_size(512)));
    CHECK(decodes({{1, limit - 1}}));
    CHECK(decodes({{~std::uint64_t{0}, 1}}));
    for (std::size_t size : {0, 513, 1023, 1024, 1025, 4096}) CHECK_FALSE(decodes(of_size(size)));
    for (std::uint64_t count :
         {std::uint64_t{0}, limit, limit + 1, std::uint64_t{1} << 63, ~std::uint64_t{0}}) {
      CHECK_FALSE(decodes({{1, count}}));
      CHECK_FALSE(decodes({{1, 1}, {2, count}}));
    }
    CHECK_FALSE(decodes({{2, 1}, {1, 1}}));
    CHECK_FALSE(decodes({{2, 1}, {2, 1}}));
  }
}

TEST_CASE("a kind of entry that nobody could carry out is refused") {
  auto entry = std::make_shared<Entry>();
  entry->kind = EntryKind::kTombstone;
  entry->mode = 0;
  entry->version.raise(1, 1);
  RawValue raw = raw_of(Message(Push{{{"a", entry}}}));
  CHECK(decode_message(bytes_of(raw)));
  for (std::uint64_t kind : {0, 5, 6, 255}) {
    raw.at("items").list[0].at("kind") = RawValue::of(kind);
    CHECK_FALSE(decode_message(bytes_of(raw)));
  }
}
