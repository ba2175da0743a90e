#include "transport/sealer.h"

#include <ctime>
#include <iostream>

#include "support/catch.h"
#include "unit/transport/security_support.h"

namespace lansync {
namespace {

SessionKeys some_keys(Suite suite) {
  Hash32 th{};
  th.fill(0x22);
  SessionKeys keys = derive_session_keys(suite, Bytes(16, 0x11), th);
  keys.ra.fill(0xAA);
  keys.rb.fill(0xBB);
  return keys;
}

struct Two {
  explicit Two(Suite suite = Suite::kAes256Gcm)
      : a(some_keys(suite), true), b(some_keys(suite), false) {}
  Sealer a;
  Sealer b;
};

Bytes of(std::string_view text) {
  ByteView view = as_bytes(text);
  return {view.begin(), view.end()};
}

TEST_CASE("the key schedule is that of an independent HKDF") {
  SessionKeys keys = some_keys(Suite::kAes256Gcm);
  CHECK(to_hex(keys.prk) == "f719dc0c32ed3585014d8570ba8f39773b036804b2e6c2638a25f9eb2a082b76");
  CHECK(to_hex(keys.k_ab) == "cc37347378635d30a82ddd9292feb0d70bdd60272c46c1e507838a38d8f1f60a");
  CHECK(to_hex(keys.k_ba) == "a3522555ba4c5b57edb44a74d29bbb231851f95833d8ffa152a4b67086e84651");
  CHECK(to_hex(keys.sid) == "1a396bd80bfdbdac0a980566647a4832");
  std::array<std::uint8_t, 8> id{0, 1, 2, 3, 4, 5, 6, 7};
  CHECK(to_hex(derive_carrier_key(keys, Direction::kAtoB, CarrierKind::kLane, id)) ==
        "c405e309f5da90c5928d699f4b05456bef928cd8d830f1281d899ba891bf5f2f");
  CHECK(to_hex(derive_carrier_key(keys, Direction::kBtoA, CarrierKind::kTcp, id)) ==
        "38ca23b19123d3952fd0f574546dd8b35881807e906d051e42825aff926e342e");
}

TEST_CASE("a record is byte for byte that of an independent implementation") {
  Bytes out;
  Two aes(Suite::kAes256Gcm);
  aes.a.seal(Channel::kMessages, as_bytes("abc"), out);
  CHECK(to_hex(out) == "158660b7957ea2b7da90970b471ec57df8ed9b");
  Two chacha(Suite::kChaCha20Poly1305);
  chacha.a.seal(Channel::kMessages, as_bytes("abc"), out);
  CHECK(to_hex(out) == "900cafea25ceb179991519564f478e7f76a4a6");
}

TEST_CASE("records open in order, on each channel and in both directions by themselves") {
  for (Suite suite : {Suite::kAes256Gcm, Suite::kChaCha20Poly1305}) {
    Two two(suite);
    Bytes record, plain;
    for (int i = 0; i < 100; ++i)
      for (Channel channel : {Channel::kHandshake, Channel::kMessages, Channel::kContent}) {
        Bytes sent(static_cast<std::size_t>(i * 11), static_cast<std::uint8_t>(i));
        two.a.seal(channel, sent, record);
        REQUIRE(record.size() == sent.size() + kSealOverhead);
        REQUIRE(two.b.open(channel, record, plain));
        REQUIRE(plain == sent);
        two.b.seal(channel, sent, record);
        REQUIRE(two.a.open(channel, record, plain));
        REQUIRE(plain == sent);
      }
  }
}

TEST_CASE("a record that was changed, cut, repeated, skipped or moved does not open") {
  for (Suite suite : {Suite::kAes256Gcm, Suite::kChaCha20Poly1305}) {
    Two two(suite);
    Bytes first, second, plain;
    two.a.seal(Channel::kContent, as_bytes("first"), first);
    two.a.seal(Channel::kContent, as_bytes("second"), second);
    for (std::size_t i = 0; i < first.size(); ++i) {
      Bytes bad = first;
      bad[i] ^= 1;
      REQUIRE_FALSE(two.b.open(Channel::kContent, bad, plain));
      REQUIRE(plain.empty());
      bad = first;
      bad.resize(i);
      REQUIRE_FALSE(two.b.open(Channel::kContent, bad, plain));
    }
    CHECK_FALSE(two.b.open(Channel::kContent, second, plain));
    CHECK_FALSE(two.b.open(Channel::kMessages, first, plain));
    CHECK_FALSE(two.a.open(Channel::kContent, first, plain));  // reflected
    CHECK(two.b.open(Channel::kContent, first, plain));
    CHECK_FALSE(two.b.open(Channel::kContent, first, plain));
    CHECK(two.b.open(Channel::kContent, second, plain));
    CHECK(plain == of("second"));
  }
}

TEST_CASE("a record larger than any message is not opened") {
  Two two;
  Bytes plain;
  CHECK_FALSE(two.b.open(Channel::kContent, Bytes(kMaxMessageBytes + kSealOverhead + 1), plain));
}

TEST_CASE("records are sealed and opened in place") {
  Two two;
  Bytes buffer = of("in place, and long enough to be more than one block of the cipher");
  Bytes before = buffer;
  buffer.resize(before.size() + kSealOverhead);
  two.a.seal_into(Channel::kContent, ByteView(buffer).first(before.size()), buffer);
  CHECK_FALSE(std::equal(before.begin(), before.end(), buffer.begin()));
  CHECK(two.b.open_into(Channel::kContent, buffer, std::span(buffer).first(before.size())));
  buffer.resize(before.size());
  CHECK(buffer == before);
}

TEST_CASE("the sniffer goes on after records that it missed") {
  Two two;
  Bytes record, plain;
  for (int i = 0; i < 5; ++i) two.a.seal(Channel::kMessages, as_bytes("x"), record);
  CHECK_FALSE(two.b.open(Channel::kMessages, record, plain));
  CHECK_FALSE(two.b.open_at(Channel::kMessages, 3, record, plain));
  CHECK(two.b.open_at(Channel::kMessages, 4, record, plain));
  two.a.seal(Channel::kMessages, as_bytes("next"), record);
  CHECK(two.b.open(Channel::kMessages, record, plain));
}

TEST_CASE("a keylog line gives back the keys, and nothing else is taken for one") {
  SessionKeys keys = some_keys(Suite::kAes256Gcm);
  std::string line = keylog_line(keys);
  auto parsed = parse_keylog_line(line);
  REQUIRE(parsed);
  CHECK(*parsed == keys);
  CHECK(parse_keylog_line(line + "\n"));
  CHECK(parse_keylog_line(line + "\r\n"));
  CHECK_FALSE(parse_keylog_line(line + " 00"));
  CHECK_FALSE(parse_keylog_line(" " + line));
  CHECK_FALSE(parse_keylog_line("LANSYNC1" + line.substr(8)));
  for (std::size_t i = 0; i < line.size(); ++i) {
    CHECK_FALSE(parse_keylog_line(line.substr(0, i)));
    std::string bad = line;
    bad[i] = '~';
    CHECK_FALSE(parse_keylog_line(bad));
  }
}

TEST_CASE("ChaCha20 is always offered, AES where the processor has it") {
  CHECK(offered_suites(false) == 1);
  CHECK(offered_suites(true) == 3);
}

double processor_seconds() { return static_cast<double>(std::clock()) / CLOCKS_PER_SEC; }

// Hidden: `unit_transport "[.bench]"` in a release build. Processor time, so that what else runs
// does not count.
TEST_CASE("how fast 1000-byte records are sealed and opened", "[.bench]") {
  constexpr int kRecords = 500'000;
  for (Suite suite : {Suite::kAes256Gcm, Suite::kChaCha20Poly1305}) {
    Two two(suite);
    Bytes plain(1000), record(1016);
    double begin = processor_seconds();
    for (int i = 0; i < kRecords; ++i) two.a.seal_into(Channel::kContent, plain, record);
    double seal = processor_seconds() - begin;
    Two other(suite);
    bool all = true;
    begin = processor_seconds();
    for (int i = 0; i < kRecords; ++i) {
      other.a.seal_into(Channel::kContent, plain, record);
      all = other.b.open_into(Channel::kContent, record, plain) && all;
    }
    double both = processor_seconds() - begin;
    CHECK(all);
    std::cout << "suite " << static_cast<int>(suite) << ": seal " << kRecords / seal / 1e6
              << " GB/s, seal and open " << kRecords / both / 1e6 << " GB/s\n";
  }
}

}  // namespace
}  // namespace lansync
