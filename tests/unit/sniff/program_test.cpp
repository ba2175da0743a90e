// The program itself, on the recorded run of two nodes: what it says beside its lines.
#include <sys/wait.h>

#include <array>
#include <cstdio>
#include <string>

#include "support/catch.h"

namespace {

const std::string kData = std::string(LANSYNC_SOURCE_DIR) + "/tests/unit/sniff/data/";

struct Said {
  int code = -1;
  std::string text;
};

// Its stdout, or (`errors`) its stderr.
Said sniff(const std::string& arguments, bool errors) {
  const std::string command = std::string("'") + LANSYNC_SNIFF + "' -r '" + kData +
                              "two_nodes.pcap' " + arguments +
                              (errors ? " 2>&1 >/dev/null" : " 2>/dev/null");
  Said said;
  std::FILE* pipe = popen(command.c_str(), "r");
  REQUIRE(pipe != nullptr);
  std::array<char, 4096> part;
  for (std::size_t got = 0; (got = std::fread(part.data(), 1, part.size(), pipe)) > 0;)
    said.text.append(part.data(), got);
  const int status = pclose(pipe);
  said.code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  return said;
}

int times(const std::string& text, const std::string& part) {
  int count = 0;
  for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1))
    ++count;
  return count;
}

}  // namespace

TEST_CASE("a session whose keys are not given is advised of once, on stderr, however it is shown") {
  for (const char* shown : {"", "-V", "--json"}) {
    INFO(shown);
    const Said lines = sniff(shown, false);
    CHECK(lines.code == 0);
    CHECK(times(lines.text, "sealed") > 20);
    CHECK(times(lines.text, "restart that node") == 0);
    const Said said = sniff(shown, true);
    CHECK(times(said.text, "lansync --keylog FILE") == 1);
    CHECK(times(said.text, "\n") == 1);
  }
}

TEST_CASE("where all keys are given there is nothing to advise") {
  const Said said = sniff("--keylog '" + kData + "two_nodes.keylog'", true);
  CHECK(said.code == 0);
  CHECK(said.text.empty());
}
