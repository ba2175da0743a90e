#include "app/read_progress.h"

#include "support/catch.h"

using namespace lansync;

TEST_CASE("a check of every file tells how many of about how many, how fast, and how long yet") {
  ReadProgress progress(5000);
  Instant now{100s};
  CHECK(progress.line(1, now) == "1 of about 5000 files read");
  std::string line;
  for (int i = 1; i <= 20; ++i)
    line = progress.line(1 + 100U * static_cast<unsigned>(i), now + i * 250ms);
  CHECK(line == "2001 of about 5000 files read, 400 files/s, 8 s left");
  // The guess was too low.
  CHECK(progress.line(6000, now + 6s).starts_with("6000 of about 6000 files read"));
}

TEST_CASE("where nobody can guess how many files there are they are counted") {
  ReadProgress progress(0);
  CHECK(progress.line(17, Instant{100s}) == "17 files read");
  CHECK(progress.line(1700, Instant{103s}) == "1700 files read");
}
