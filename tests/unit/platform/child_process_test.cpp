#include "platform/child_process.h"

#include "platform/system_clock.h"
#include "support/catch.h"

using namespace lansync;

TEST_CASE("programs run side by side, without a shell, and what is not there is said") {
  auto outputs = run_children(
      {{"echo", "$HOME; ls"}, {"no-such-program-here"}, {"sh", "-c", "echo no >&2; exit 3"}, {}},
      10s);
  REQUIRE(outputs.size() == 4);
  CHECK(outputs[0].text == "$HOME; ls\n");
  CHECK(outputs[0].exit_code == 0);
  CHECK_FALSE(outputs[1].found);
  CHECK(outputs[2].text == "no\n");
  CHECK(outputs[2].exit_code == 3);
  CHECK_FALSE(outputs[3].found);
}

TEST_CASE("a program that hangs is killed at the limit, one that talks on is cut") {
  SystemClock clock;
  const Instant begin = clock.now();
  // The second closes its output and lives on; the third never stops talking.
  auto outputs =
      run_children({{"sleep", "60"}, {"sh", "-c", "exec >&- 2>&-; exec sleep 60"}, {"yes"}}, 300ms);
  CHECK(clock.now() - begin < 20s);
  for (const ChildOutput& output : outputs) {
    CHECK(output.found);
    CHECK(output.exit_code == -1);
  }
  CHECK(outputs[2].text.size() <= kMaxChildOutput);
}
