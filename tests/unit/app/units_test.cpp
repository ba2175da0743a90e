#include "app/units.h"

#include "app/genpass.h"
#include "support/catch.h"

using namespace lansync;

TEST_CASE("sizes are read in powers of 1000 and of 1024") {
  CHECK(parse_size("0") == 0u);
  CHECK(parse_size("1500") == 1500u);
  CHECK(parse_size("20M") == 20'000'000u);
  CHECK(parse_size("20MB") == 20'000'000u);
  CHECK(parse_size("1G") == 1'000'000'000u);
  CHECK(parse_size("1.5k") == 1500u);
  CHECK(parse_size("64Ki") == 65536u);
  CHECK(parse_size("1.5KiB") == 1536u);
  CHECK(parse_size("18446744073709551615") == 18446744073709551615u);
}

TEST_CASE("what is no size is refused") {
  for (const char* text : {"", "M", "-1", "1.", ".5", "1.2.3", "1X", "1 M", "1Mib", "0x10", "1e9",
                           "1.5", "18446744073709551616", "99999999T", "1.1234567G"}) {
    INFO(text);
    CHECK_FALSE(parse_size(text));
  }
}

TEST_CASE("a rate may say per second, and is never zero") {
  CHECK(parse_rate("20M") == 20'000'000u);
  CHECK(parse_rate("20MB/s") == 20'000'000u);
  CHECK_FALSE(parse_rate("0"));
  CHECK_FALSE(parse_rate("/s"));
}

TEST_CASE("sizes are written with at most four signs") {
  CHECK(format_size(0) == "0 B");
  CHECK(format_size(999) == "999 B");
  CHECK(format_size(1500) == "1.5 kB");
  CHECK(format_size(20'000'000) == "20 MB");
  CHECK(format_size(999'999) == "1 MB");
  CHECK(format_size(18446744073709551615u) == "18.4 EB");
  CHECK(counted(1, "files") == "1 file");
  CHECK(counted(2, "files") == "2 files");
  CHECK(counted(1, "directories") == "1 directory");
}

TEST_CASE("a made password has 80 bits and differs from the next") {
  Prng random(1);
  std::string first = generate_password(random);
  CHECK(first.size() == 19);
  CHECK(first.find_first_not_of("0123456789abcdefghjkmnpqrstvwxyz-") == std::string::npos);
  CHECK(first != generate_password(random));
}
