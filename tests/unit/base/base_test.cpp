#include <limits>

#include "base/address.h"
#include "base/bytes.h"
#include "base/log.h"
#include "base/random.h"
#include "base/time.h"
#include "support/catch.h"

using namespace lansync;

TEST_CASE("times are read and written as ISO 8601 UTC, before 1970 too") {
  auto time = parse_time("2026-11-21T12:30:05Z");
  REQUIRE(time);
  CHECK(time->ns == 1795264205LL * 1'000'000'000);
  CHECK(to_iso8601(*time) == "2026-11-21T12:30:05Z");
  CHECK(to_file_stamp(*time) == "2026-11-21 12.30.05");
  CHECK(parse_time("1795264205") == time);
  CHECK(parse_time("2026-11-21T14:30:05+02:00") == time);
  CHECK(to_iso8601(WallTime{-1}) == "1969-12-31T23:59:59Z");
  CHECK(parse_time("2026-11-21")->ns == 1795219200LL * 1'000'000'000);
  // What no time can be is the end, with room to add to it.
  CHECK(parse_time("99999999999") == parse_time("9999-12-31T23:59:59Z"));
  CHECK(parse_time("-99999999999") == parse_time("0001-01-01"));
  CHECK(parse_time("99999999999")->ns < std::numeric_limits<std::int64_t>::max() - 1'000'000'000);
  CHECK(parse_time("99999999999")->ns > 9'000'000'000LL * 1'000'000'000);
  CHECK(parse_time("0001-01-01")->ns < -9'000'000'000LL * 1'000'000'000);
  CHECK_FALSE(parse_time("2026-13-01"));
  CHECK_FALSE(parse_time("yesterday"));
  CHECK_FALSE(parse_time(""));
}

TEST_CASE("durations take the four units of the manual and nothing else") {
  CHECK(parse_duration("500ms") == Duration(500'000));
  CHECK(parse_duration("2s") == Duration(2'000'000));
  CHECK(parse_duration("10m") == Duration(600'000'000));
  CHECK(parse_duration("1h") == Duration(3'600'000'000));
  CHECK(parse_duration("0") == Duration(0));
  for (const char* bad : {"", "2", "s", "-1s", "1d", "2 s", "99999999999999h"}) {
    CHECK_FALSE(parse_duration(bad));
  }
  CHECK(to_string(Duration(90'000'000)) == "90s");
  CHECK(to_string(Duration(1'500'000)) == "1500ms");
}

TEST_CASE("bytes of others are escaped before a person sees them") {
  CHECK(printable("plain \xc3\xa9") == "plain \xc3\xa9");
  CHECK(printable("a\x1b[2Jb\n") == "a\\x1b[2Jb\\x0a");
  CHECK(printable("\xff\xfe") == "\\xff\\xfe");
  CHECK(printable("\xe2\x80\xae") == "\\xe2\\x80\\xae");
  CHECK(printable("abcdef", 3) == "abc...");
}

TEST_CASE("letters that nobody sees are escaped, but for those that pictures and scripts need") {
  CHECK(printable("a\xe2\x80\x8b"
                  "b") == "a\\xe2\\x80\\x8bb");                   // zero width space
  CHECK(printable("\xef\xbb\xbfname") == "\\xef\\xbb\\xbfname");  // byte order mark
  CHECK(printable("a\xe2\x80\x8f") == "a\\xe2\\x80\\x8f");        // right-to-left mark
  CHECK(printable("\xd8\x9c"
                  "a") ==
        "\\xd8\\x9c"
        "a");  // Arabic letter mark
  CHECK(printable("soft\xc2\xadhyphen") == "soft\\xc2\\xadhyphen");
  CHECK(printable("a\xe2\x80\x8d"
                  "b") ==
        "a\\xe2\\x80\\x8d"
        "b");  // joiner that only hides
  const std::string family = "\xf0\x9f\x91\xa8\xe2\x80\x8d\xf0\x9f\x91\xa9";
  CHECK(printable(family) == family);
  const std::string persian = "\xd9\x85\xdb\x8c\xe2\x80\x8c\xd8\xb1\xd9\x88\xd9\x85";
  CHECK(printable(persian) == persian);
}

TEST_CASE("a log line of one key is written once in the interval and counts the rest") {
  LogLimiter limiter(10s);
  std::uint64_t left_out = 0;
  Instant start(Duration(1'000'000));
  CHECK(limiter.allow("bob", start, left_out));
  CHECK_FALSE(limiter.allow("bob", start + 9s, left_out));
  CHECK(limiter.allow("carol", start + 9s, left_out));
  CHECK(limiter.allow("bob", start + 10s, left_out));
  CHECK(left_out == 1);
}

TEST_CASE("addresses are four numbers and a port") {
  CHECK(parse_address("192.168.1.7", 27801) == Address{0xc0a80107, 27801});
  CHECK(parse_address("10.0.0.1:99", 1) == Address{0x0a000001, 99});
  CHECK(to_string(Address{0x0a000001, 99}) == "10.0.0.1:99");
  for (const char* bad :
       {"", "1.2.3", "1.2.3.256", "1.2.3.4:0", "1.2.3.4:99999", "1.2.3.4x", "host"}) {
    CHECK_FALSE(parse_address(bad, 1));
  }
}

TEST_CASE("a reader past the end gives zeros and says so") {
  Bytes bytes{0, 1, 2};
  ByteReader reader(bytes);
  CHECK(reader.u16() == 1);
  CHECK(reader.u16() == 0);
  CHECK_FALSE(reader.ok());
  CHECK(reader.u8() == 0);
}

TEST_CASE("the same seed gives the same numbers") {
  Prng a(42), b(42), c(43);
  std::uint64_t x = a.next();
  CHECK(x == b.next());
  CHECK(x != c.next());
  for (int i = 0; i < 1000; ++i) REQUIRE(a.below(10) < 10);
}

TEST_CASE("hex goes both ways and refuses what is not hex") {
  std::array<std::uint8_t, 2> out{};
  CHECK(to_hex(std::span<const std::uint8_t>(out)) == "0000");
  CHECK(from_hex("aBcD", out));
  CHECK(out == std::array<std::uint8_t, 2>{0xab, 0xcd});
  CHECK_FALSE(from_hex("abc", out));
  CHECK_FALSE(from_hex("abxd", out));
}
