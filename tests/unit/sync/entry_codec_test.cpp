#include "sync/entry_codec.h"

#include <functional>

#include "base/bytes.h"
#include "base/random.h"
#include "support/catch.h"

namespace lansync {
namespace {

Entry sample() {
  Entry entry;
  entry.mode = 0640;
  entry.size = 123456789012;
  entry.mtime_ns = -5;
  entry.content.bytes.fill(0xAB);
  entry.md5.bytes.fill(0xCD);
  entry.version = VersionVector({{7, 3}, {9, 1}});
  entry.edits = {{7, 3}, {9, 1}, {7, 2}};
  entry.author = 7;
  entry.author_name = "desk";
  entry.edited.ns = 1795264205000000000;
  return entry;
}

bool same(const Entry& a, const Entry& b) {
  return a.kind == b.kind && a.mode == b.mode && a.was == b.was && a.run == b.run &&
         a.size == b.size && a.mtime_ns == b.mtime_ns && a.content == b.content && a.md5 == b.md5 &&
         a.target == b.target && a.version == b.version && a.edits == b.edits &&
         a.author == b.author && a.author_name == b.author_name && a.edited == b.edited;
}

TEST_CASE("an entry of any kind survives the way to bytes and back") {
  for (int kind = 1; kind <= 5; ++kind) {
    Entry entry = sample();
    entry.kind = static_cast<EntryKind>(kind);
    if (kind == 4) entry.was = EntryKind::kSymlink;
    if (kind == 4) entry.run = 0x1234567890abcdef;
    entry.target = kind == 3 ? "../else/where" : "";
    EntryPtr back = decode_entry(encode_entry(entry));
    REQUIRE(back);
    CHECK(same(*back, entry));
  }
}

TEST_CASE("the bytes of an entry are those of format 2") {
  Entry entry;
  entry.kind = EntryKind::kDirectory;
  entry.mode = 0755;
  entry.version = VersionVector({{2, 1}});
  entry.edits.mode = {2, 1};
  entry.author = 2;
  entry.author_name = "b";
  entry.edited.ns = 16;
  const std::string bytes = encode_entry(entry);
  CHECK(to_hex(as_bytes(bytes)) ==
        "02"
        "02"
        "04"
        "0000000000000000"
        "01ed"
        "0000000000000000"
        "0000000000000000"
        "0000000000000000000000000000000000000000000000000000000000000000"
        "00000000000000000000000000000000"
        "00000000"
        "0001"
        "0000000000000002"
        "0000000000000001"
        "00000000000000000000000000000000"
        "00000000000000020000000000000001"
        "00000000000000000000000000000000"
        "0000000000000002"
        "0000000162"
        "0000000000000010");
}

TEST_CASE("an entry that is cut at any byte, or has bytes after its end, is refused") {
  std::string bytes = encode_entry(sample());
  for (std::size_t size = 0; size < bytes.size(); ++size)
    CHECK(!decode_entry(bytes.substr(0, size)));
  CHECK(!decode_entry(bytes + '\0'));
}

TEST_CASE("what decodes after a bit was flipped encodes to the same bytes again") {
  std::string bytes = encode_entry(sample());
  int accepted = 0;
  for (std::size_t bit = 0; bit < bytes.size() * 8; ++bit) {
    std::string flipped = bytes;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << (bit % 8)));
    EntryPtr entry = decode_entry(flipped);
    if (!entry) continue;
    ++accepted;
    CHECK(encode_entry(*entry) == flipped);
  }
  CHECK(accepted > 0);
}

TEST_CASE("a vector that is unsorted, doubled, has a zero count or is too long is refused") {
  Entry entry;
  entry.version = VersionVector({{1, 1}, {2, 1}});
  std::string good = encode_entry(entry);
  std::size_t at = good.size() - 8 - 4 - 8 - 48 - 32;  // of the first part
  auto changed = [&](std::size_t offset, char value) {
    std::string bytes = good;
    bytes[at + offset] = value;
    return decode_entry(bytes);
  };
  CHECK(decode_entry(good));
  CHECK(!changed(7, 2));   // ids 2, 2
  CHECK(!changed(7, 3));   // ids 3, 2
  CHECK(!changed(15, 0));  // a zero count
  std::vector<VersionVector::Part> parts;
  for (ShortId id = 1; id <= kMaxVectorSize; ++id) parts.push_back({id, 1});
  entry.version = VersionVector(parts);
  CHECK(decode_entry(encode_entry(entry)));
  parts.push_back({kMaxVectorSize + 1, 1});
  entry.version = VersionVector(parts);
  CHECK(encode_entry(entry).empty());
}

TEST_CASE("what could not be read again is not encoded") {
  const std::vector<std::function<void(Entry&)>> changes = {
      [](Entry& e) {
        e.version = VersionVector({{1, kCountLimit}});
      },
      [](Entry& e) { e.mode = 01000; },
      [](Entry& e) { e.target = std::string(4096, 't'); },
      [](Entry& e) { e.author_name = std::string(256, 'n'); },
  };
  for (const auto& change : changes) {
    Entry entry = sample();
    change(entry);
    CHECK(encode_entry(entry).empty());
  }
  Entry highest = sample();
  highest.version = VersionVector({{1, kCountLimit - 1}});
  CHECK(decode_entry(encode_entry(highest)));
}

TEST_CASE(
    "an edit that the vector does not have is refused, and written as one that is not known") {
  Entry entry = sample();
  entry.edits.content = {8, 1};
  EntryPtr back = decode_entry(encode_entry(entry));
  REQUIRE(back);
  CHECK(back->edits.content == Edit{});
  CHECK(back->edits.mode == Edit{9, 1});
  std::string bytes = encode_entry(sample());
  const std::size_t mtime_count = bytes.size() - 8 - (4 + 4) - 8 - 1;
  bytes[mtime_count] = 4;
  CHECK(!decode_entry(bytes));
}

TEST_CASE("random bytes never crash the decoder and hardly ever pass it") {
  Prng random(20261121);
  for (int i = 0; i < 20'000; ++i) {
    std::string bytes(random.below(200), '\0');
    for (char& c : bytes) c = static_cast<char>(random.below(256));
    if (!bytes.empty()) bytes[0] = 2;
    CHECK(!decode_entry(bytes));
  }
}

TEST_CASE("the digest depends on the path and everything that two nodes have to agree on") {
  const std::vector<std::function<void(Entry&)>> changes = {
      [](Entry& e) { e.kind = EntryKind::kSymlink; },
      [](Entry& e) { e.mode = 0600; },
      [](Entry& e) { e.was = EntryKind::kDirectory; },
      [](Entry& e) { e.run = 7; },
      [](Entry& e) { e.size = 1; },
      [](Entry& e) { e.mtime_ns = 1; },
      [](Entry& e) { e.content.bytes[31] ^= 1; },
      [](Entry& e) { e.target = "t"; },
      [](Entry& e) { e.version.raise(9, 2); },
  };
  ContentId digest = entry_digest("a", sample());
  for (const auto& change : changes) {
    Entry entry = sample();
    change(entry);
    CHECK(entry_digest("a", entry) != digest);
  }
  CHECK(entry_digest("b", sample()) != digest);
}

TEST_CASE("the digest does not depend on who made the edit and when") {
  Entry entry = sample();
  entry.author = 1;
  entry.author_name = "other";
  entry.edited.ns = 0;
  entry.md5 = Md5{};
  CHECK(entry_digest("a", entry) == entry_digest("a", sample()));
}

}  // namespace
}  // namespace lansync
