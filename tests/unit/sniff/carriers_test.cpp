#include "sniff/carriers.h"

#include <nlohmann/json.hpp>

#include "base/random.h"
#include "sniff/render.h"
#include "support/catch.h"
#include "transport/lane/lane_connection.h"

using namespace lansync;
using sniff::Carriers;
using sniff::Item;
using sniff::Packet;

namespace {

constexpr Address kAnna{0x0A000001, 27802};
constexpr Address kBert{0x0A000002, 27802};

CarrierPeer peer(bool initiator) {
  CarrierPeer out;
  out.session = 1;
  out.own.fill(initiator ? 1 : 2);
  out.theirs.fill(initiator ? 2 : 1);
  Hash32 th{};
  out.keys = derive_session_keys(Suite::kAes256Gcm, Bytes(16, 3), th);
  out.initiator = initiator;
  return out;
}

Carrier message(bool initiator, bool tcp) {
  Carrier out;
  out.tcp = tcp;
  out.port = 27802;
  out.id = peer(initiator).own;
  return out;
}

void learn_both(Carriers& carriers, bool tcp) {
  carriers.learn(message(true, tcp), kAnna.ip, true, peer(true).keys);
  carriers.learn(message(false, tcp), kBert.ip, false, peer(true).keys);
}

Packet packet_of(ByteView payload, std::uint32_t sequence = 0, std::uint8_t flags = 16) {
  Packet out;
  out.src = kAnna;
  out.dst = kBert;
  out.payload = payload;
  out.tcp_sequence = sequence;
  out.tcp_flags = flags;
  return out;
}

nlohmann::json json_of(const std::vector<Item>& items) {
  nlohmann::json out = nlohmann::json::array();
  for (const Item& item : items) out.push_back(nlohmann::json::parse(sniff::render_json(item)));
  return out;
}

// What both say to each other on a lane while `blocks` go over, as datagrams of the first one, and
// trains of them as the kernel hands them to a capture.
std::vector<Bytes> lane_bursts() {
  Instant now{1s};
  LaneConnection a(peer(true), now);
  LaneConnection b(peer(false), now);
  std::vector<Bytes> out;
  bool sent = false;
  for (int i = 0; i < 2000; ++i, now += 100us) {
    LaneBurst burst;
    for (auto [from, to] : {std::pair{&a, &b}, {&b, &a}}) {
      while (from->produce(now, burst)) {
        if (from == &a) out.push_back(burst.bytes);
        for (std::size_t at = 0; at < burst.bytes.size(); at += burst.segment) {
          std::size_t size = std::min(burst.segment, burst.bytes.size() - at);
          to->on_datagram(std::span(burst.bytes).subspan(at, size), now);
        }
        // on_datagram opens in place: what was kept is the sealed copy.
      }
    }
    if (!sent && a.room() > 0) {
      a.send({9, 5, Bytes(20'500, 4)});
      sent = true;
    }
  }
  return out;
}

}  // namespace

TEST_CASE("lane: chunks, probes and reports are shown, of each datagram in a train") {
  Carriers carriers;
  learn_both(carriers, false);
  CHECK(carriers.is_lane(kAnna));
  CHECK(carriers.is_lane(kBert));
  CHECK_FALSE(carriers.is_tcp(kAnna));
  std::vector<Item> items;
  for (const Bytes& burst : lane_bursts()) carriers.on_lane(packet_of(burst), Item{}, items);
  std::set<std::uint64_t> chunks;
  int probes = 0;
  int reports = 0;
  for (const auto& item : json_of(items)) {
    if (item["type"] == "chunk") {
      CHECK(item["transfer"] == 9);
      CHECK(item["carrier"] == "lane");
      chunks.insert(item["number"].get<std::uint64_t>());
      CHECK(item["size"] == (item["number"] == 25 ? 500 : 1000));
      continue;
    }
    CHECK(item["type"] == "lane");
    if (item.value("record", "") == "probe") ++probes;
    if (item.value("record", "") == "report") ++reports;
  }
  CHECK(chunks.size() == 21);
  CHECK(*chunks.begin() == 5);
  CHECK(probes > 0);
  CHECK(reports > 0);
}

TEST_CASE("lane: without the keys, damaged or cut, it is still a lane's") {
  std::vector<Bytes> bursts = lane_bursts();
  Carriers stranger;
  std::vector<Item> items;
  stranger.on_lane(packet_of(bursts[0]), Item{}, items);
  REQUIRE(items.size() == 1);
  CHECK(items[0].type == "lane");

  Carriers carriers;
  learn_both(carriers, false);
  items.clear();
  Bytes damaged = bursts[0];
  damaged[20] ^= 1;
  carriers.on_lane(packet_of(damaged), Item{}, items);
  CHECK(json_of(items)[0]["why"] == "does not open");
  Prng prng(3);
  for (std::size_t size = 0; size < 3000; size += 7) {
    Bytes noise(size);
    prng.fill(noise);
    items.clear();
    carriers.on_lane(packet_of(noise), Item{}, items);
    CHECK_FALSE(items.empty());
    for (const Item& item : items) CHECK(item.type == "lane");
  }
  Packet cut = packet_of(bursts[0]);
  cut.missing = 10;
  items.clear();
  carriers.on_lane(cut, Item{}, items);
  CHECK(items.back().type == "malformed");
}

TEST_CASE("tcp: a stream is opened, whatever segments it comes in and in what order") {
  TcpConnection a(peer(true));
  TcpConnection b(peer(false));
  Bytes stream = a.opening();
  REQUIRE(a.attach(b.opening()));
  a.send({9, 5, Bytes(20'500, 4)});
  Bytes more(64 * 1024);
  more.resize(a.produce(more));
  stream.insert(stream.end(), more.begin(), more.end());

  for (std::size_t piece : {1UL, 50UL, 1448UL, 60'000UL}) {
    CAPTURE(piece);
    Carriers carriers;
    learn_both(carriers, true);
    std::vector<Item> items;
    std::uint32_t sequence = 0xFFFFFF00;  // wraps within
    carriers.on_tcp(packet_of({}, sequence - 1, 2), Item{}, items);
    std::vector<std::pair<std::size_t, std::size_t>> parts;
    for (std::size_t at = 0; at < stream.size(); at += piece)
      parts.emplace_back(at, std::min(piece, stream.size() - at));
    // Every other pair the wrong way round, and each first one twice.
    for (std::size_t i = 0; i + 1 < parts.size(); i += 4) std::swap(parts[i], parts[i + 1]);
    for (std::size_t i = 0; i < parts.size(); i += 3) parts.push_back(parts[i]);
    for (auto [at, size] : parts)
      carriers.on_tcp(
          packet_of(ByteView(stream).subspan(at, size), sequence + static_cast<std::uint32_t>(at)),
          Item{}, items);
    int chunks = 0;
    std::vector<std::string> records;
    for (const auto& item : json_of(items)) {
      if (item["type"] == "chunk") {
        ++chunks;
        CHECK(item["carrier"] == "tcp");
        CHECK(item["size"] == (item["number"] == 25 ? 500 : 1000));
      } else {
        CHECK(item["type"] == "tcp");
        if (item.contains("record")) records.push_back(item["record"].get<std::string>());
      }
    }
    CHECK(chunks == 21);
    CHECK(records == std::vector<std::string>{"opening", "hello", "block"});
    CHECK(carriers.held_bytes() == 0);
  }
}

TEST_CASE("tcp: a stream that is damaged, nobody's, or never complete holds a bounded amount") {
  Carriers carriers;
  learn_both(carriers, true);
  std::vector<Item> items;
  Prng prng(5);
  Bytes noise(60'000);
  prng.fill(noise);
  for (std::uint16_t port = 1; port < 3000; ++port) {
    Packet syn = packet_of({}, 100, 2);
    syn.src.port = port;
    carriers.on_tcp(syn, Item{}, items);
    for (std::uint32_t at : {200'000u, 400'000u}) {  // never what comes next
      Packet segment = packet_of(noise, at);
      segment.src.port = port;
      carriers.on_tcp(segment, Item{}, items);
    }
    REQUIRE(carriers.held_bytes() <= Carriers::kMaxHeldBytes);
    items.clear();
  }
  Packet syn = packet_of({}, 0, 2);
  carriers.on_tcp(syn, Item{}, items);
  carriers.on_tcp(packet_of(noise, 1), Item{}, items);
  CHECK(items.back().type == "tcp");
  carriers.finish();
  CHECK(carriers.held_bytes() == 0);
}
