#include "sniff/folder.h"

#include "sniff/render.h"
#include "support/catch.h"

using namespace lansync;
using namespace lansync::sniff;

namespace {

Item item_of(const std::string& type, std::int64_t ms, std::uint16_t port = 1) {
  return {WallTime{1'795'262'400'000'000'000 + ms * 1'000'000},
          Address{0x0a000001, port},
          Address{0x0a000002, 27801},
          type,
          {{"number", std::uint64_t{7}}}};
}

}  // namespace

TEST_CASE("a train of packets is shown once and then counted, and what comes between is shown") {
  LineFolder folder;
  CHECK(folder.add({}).empty());
  CHECK(folder.add({item_of("sealed", 0)}) == render_line({item_of("sealed", 0)}));
  for (int i = 1; i <= 30; ++i) CHECK(folder.add({item_of("sealed", i)}).empty());
  const std::string beacon = folder.add({item_of("beacon", 40)});
  CHECK(
      beacon ==
      "12:00:00.030000 10.0.0.1:1 > 10.0.0.2:27801 sealed and 30 more packets like it in 30 ms\n" +
          render_line({item_of("beacon", 40)}));
  CHECK(folder.flush().empty());
}

TEST_CASE("trains end with a second, with another sender, and with the capture") {
  LineFolder folder;
  folder.add({item_of("chunk", 0)});
  CHECK(folder.add({item_of("chunk", 999)}).empty());
  CHECK(folder.add({item_of("chunk", 1000)}).find("1 more packet like it") != std::string::npos);
  CHECK_FALSE(folder.add({item_of("chunk", 1001, 2)}).empty());
  CHECK(folder.add({item_of("chunk", 1002, 2)}).empty());
  CHECK(folder.flush().find("1 more packet like it") != std::string::npos);
  CHECK(folder.flush().empty());
}

TEST_CASE("a packet with sixty chunks is a line that one can read") {
  const std::vector<Item> items(60, item_of("chunk", 0));
  const std::string line = render_line(items);
  CHECK(line.find("and 57 more chunk") != std::string::npos);
  CHECK(line.size() < 200);
}
