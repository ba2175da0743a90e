// A recorded run of two nodes: start, first sync of two files, a directory and a link, an edit from
// the other side, a rename, a removal, both ends. Recorded by data/record.py.
#include "sniff/capture.h"

#include <algorithm>
#include <fstream>
#include <iterator>
#include <map>
#include <nlohmann/json.hpp>

#include "sniff/decoder.h"
#include "sniff/render.h"
#include "support/catch.h"

using namespace lansync;
using sniff::Capture;
using sniff::Decoder;
using sniff::Frame;
using sniff::Item;
using sniff::Keylog;

namespace {

const std::string kData = std::string(LANSYNC_SOURCE_DIR) + "/tests/unit/sniff/data/";

struct Stored {
  Frame frame;
  Bytes bytes;
};

std::vector<Stored> frames() {
  auto capture = Capture::open_file(kData + "two_nodes.pcap");
  REQUIRE(capture);
  std::vector<Stored> all;
  for (;;) {
    Stored stored;
    auto got = (*capture)->read(stored.frame);
    REQUIRE(got);
    if (*got != Capture::Got::kFrame) return all;
    stored.bytes.assign(stored.frame.bytes.begin(), stored.frame.bytes.end());
    all.push_back(std::move(stored));
  }
}

std::string keylog_text() {
  std::ifstream in(kData + "two_nodes.keylog");
  return {std::istreambuf_iterator<char>(in), {}};
}

using Counts = std::map<std::string, int>;

struct Decoded {
  Counts counts;
  std::vector<Item> items;
};

// `skip`: that frame was lost; `twice`: every frame was captured twice.
Decoded decode(const std::vector<Stored>& all, bool with_keys, std::size_t skip = SIZE_MAX,
               bool twice = false) {
  Keylog keylog;
  if (with_keys) keylog.add(keylog_text());
  Decoder decoder(keylog);
  Decoded run;
  auto keep = [&](std::vector<Item> items) {
    for (Item& item : items) {
      ++run.counts[item.type];
      run.items.push_back(std::move(item));
    }
  };
  for (std::size_t i = 0; i < all.size(); ++i) {
    if (i == skip) continue;
    Frame frame = all[i].frame;
    frame.bytes = all[i].bytes;
    keep(decoder.on_frame(frame));
    if (twice) keep(decoder.on_frame(frame));
  }
  keep(decoder.finish());
  CHECK(decoder.held_bytes() == 0);
  return run;
}

const Counts kWhole = {{"accept", 1}, {"auth", 6},   {"beacon", 24}, {"bye", 1},
                       {"chunk", 5},  {"cookie", 3}, {"done", 4},    {"download", 3},
                       {"enet", 46},  {"hello", 1},  {"hi", 19},     {"index_get", 1},
                       {"mark", 6},   {"ping", 8},   {"push", 2},    {"request", 2},
                       {"roster", 2}, {"runs", 2},   {"update", 5}};

int messages(const Counts& counts) {
  int sum = 0;
  for (const auto& [type, count] : counts)
    if (type != "beacon" && type != "cookie" && type != "enet" && type != "auth") sum += count;
  return sum;
}

}  // namespace

TEST_CASE("with its secrets every record of a recorded session opens and is shown by its name") {
  CHECK(decode(frames(), true).counts == kWhole);
}

TEST_CASE("without secrets everything after the handshake is sealed") {
  Counts expected;
  for (const char* type : {"beacon", "cookie", "enet", "auth"}) expected[type] = kWhole.at(type);
  // M1 to M4 are in the clear, the two proofs are records.
  expected["auth"] = 4;
  expected["sealed"] = messages(kWhole) + 2;
  CHECK(decode(frames(), false).counts == expected);
}

TEST_CASE("a message is shown with the names of its own fields") {
  bool seen = false;
  for (const Item& item : decode(frames(), true).items) {
    if (item.type != "update") continue;
    const auto json = nlohmann::json::parse(sniff::render_json(item));
    for (const auto& entry : json["entries"]) {
      if (entry["name"] != "sub/two.bin") continue;
      seen = true;
      CHECK(entry["kind"] == "file");
      CHECK(entry["size"] == 3000);
      CHECK(entry["hash"].get<std::string>().size() == 64);
    }
  }
  CHECK(seen);
}

TEST_CASE("a capture that saw each packet twice shows each message once") {
  Decoded run = decode(frames(), true, SIZE_MAX, true);
  CHECK(messages(run.counts) == messages(kWhole));
  CHECK(run.counts["hello"] == 1);
  CHECK(run.counts["unknown"] == 0);
  CHECK(run.counts["malformed"] == 0);
}

TEST_CASE("a capture that missed any one packet loses what was in it and nothing after it") {
  const auto all = frames();
  for (std::size_t skip = 0; skip < all.size(); ++skip) {
    Decoded run = decode(all, true, skip);
    CAPTURE(skip);
    CHECK(run.counts["unknown"] == 0);
    CHECK(run.counts["malformed"] == 0);
    // The start of the session is needed: CONNECT and its answer, M1 and M2.
    const bool start = run.counts["auth"] < kWhole.at("auth") || run.counts["sealed"] != 0;
    if (!start) CHECK(messages(run.counts) >= messages(kWhole) - 5);
  }
  // Most packets are not the session's start.
  int opened = 0;
  for (std::size_t skip = 0; skip < all.size(); ++skip)
    if (decode(all, true, skip).counts["sealed"] == 0) ++opened;
  CHECK(opened >= static_cast<int>(all.size()) - 4);
}

TEST_CASE("a capture cut at 220 bytes a packet is shown as far as it goes") {
  auto all = frames();
  for (Stored& stored : all) stored.bytes.resize(std::min<std::size_t>(stored.bytes.size(), 220));
  Decoded run = decode(all, true);
  CHECK(run.counts["auth"] == kWhole.at("auth"));
  // Some came at the end of longer packets.
  CHECK(run.counts["ping"] <= kWhole.at("ping"));
  CHECK(run.counts["ping"] >= kWhole.at("ping") - 4);
  CHECK(run.counts["malformed"] == 0);
}

TEST_CASE("a damaged capture gives what stands before the damage, then an error") {
  std::ifstream in(kData + "two_nodes.pcap", std::ios::binary);
  std::string bytes{std::istreambuf_iterator<char>(in), {}};
  bytes.resize(bytes.size() - 7);
  std::FILE* file = fmemopen(bytes.data(), bytes.size(), "rb");
  REQUIRE(file != nullptr);
  auto capture = Capture::open_stream(file, "cut");
  REQUIRE(capture);
  Frame frame;
  int good = 0;
  for (;;) {
    auto got = (*capture)->read(frame);
    if (!got) break;
    REQUIRE(*got == Capture::Got::kFrame);
    ++good;
  }
  CHECK(good == static_cast<int>(frames().size()) - 1);
}
