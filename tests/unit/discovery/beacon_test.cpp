#include "discovery/beacon.h"

#include "support/catch.h"

using namespace lansync;

namespace {

Beacon sample() {
  Beacon beacon;
  beacon.flags = Beacon::kSeek | Beacon::kHasData;
  beacon.group = group_tag("lansync");
  for (std::uint8_t i = 0; i < 16; ++i) beacon.node.bytes[i] = static_cast<std::uint8_t>(i + 1);
  for (std::uint8_t i = 0; i < 8; ++i) beacon.boot.bytes[i] = static_cast<std::uint8_t>(0xB0 + i);
  beacon.counter = 0x0102030405060708;
  beacon.role = Role::kServer;
  beacon.manual = ManualRole::kProxy;
  beacon.full_replica = true;
  beacon.disk_log2 = 9;
  beacon.term = 0xFFFFFFFFFFFFFFFE;
  beacon.index_seq = 300;
  beacon.port = 27801;
  beacon.heard = 0x8000000000000401;
  beacon.time = 0x6920A5D0;
  beacon.name = "alice";
  return beacon;
}

BeaconKey key_of(std::uint8_t fill) {
  BeaconKey key;
  key.bytes.fill(fill);
  return key;
}

}  // namespace

TEST_CASE("the group tag is the start of SHA-256 of the group with its prefix") {
  // printf 'lansync grouplansync' | sha256sum
  CHECK(to_hex(group_tag("lansync")) == "a0793673ceefdd68");
  CHECK(group_tag("a") != group_tag("b"));
}

TEST_CASE("a beacon's bytes are those of docs/protocol.md") {
  Bytes bytes = encode_beacon(sample(), std::nullopt);
  CHECK(to_hex(bytes) ==
        "4c53594e"
        "02"
        "05"
        "a0793673ceefdd68"
        "0102030405060708090a0b0c0d0e0f10"
        "b0b1b2b3b4b5b6b7"
        "0102030405060708"
        "01"
        "02"
        "01"
        "09"
        "fffffffffffffffe"
        "000000000000012c"
        "6c99"
        "8000000000000401"
        "6920a5d0"
        "05"
        "616c696365"
        "00000000000000000000000000000000");
  // The tag: HMAC-SHA256 over all before it, cut to 16 bytes.
  Bytes tagged = encode_beacon(sample(), key_of(0x11));
  REQUIRE(tagged.size() == bytes.size());
  CHECK(to_hex(ByteView(tagged).last(16)) == "0b92e9cc5d2dac45de09625efb490412");
  CHECK(to_hex(ByteView(tagged).first(86)) == to_hex(ByteView(bytes).first(86)));
}

TEST_CASE("a beacon comes back as it was") {
  Bytes bytes = encode_beacon(sample(), key_of(1));
  auto back = decode_beacon(bytes);
  REQUIRE(back);
  CHECK(back->name == "alice");
  CHECK(back->counter == 0x0102030405060708);
  CHECK(back->role == Role::kServer);
  CHECK(back->manual == ManualRole::kProxy);
  CHECK(back->port == 27801);
  CHECK(back->term == 0xFFFFFFFFFFFFFFFE);
  CHECK(back->index_seq == 300);
  CHECK(back->disk_log2 == 9);
  CHECK(back->heard == 0x8000000000000401);
  CHECK(back->time == 0x6920A5D0);
  CHECK(encode_beacon(*back, key_of(1)) == bytes);
}

TEST_CASE("a beacon that is cut at any byte is refused, and so is one with a byte too many") {
  Bytes bytes = encode_beacon(sample(), key_of(1));
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    INFO(size);
    CHECK_FALSE(decode_beacon(ByteView(bytes).first(size)));
  }
  bytes.push_back(0);
  CHECK_FALSE(decode_beacon(bytes));
}

TEST_CASE("a beacon with any bit flipped has no valid tag") {
  const Bytes good = encode_beacon(sample(), key_of(1));
  REQUIRE(beacon_tag_valid(good, key_of(1)));
  for (std::size_t bit = 0; bit < good.size() * 8; ++bit) {
    Bytes bad = good;
    bad[bit / 8] = static_cast<std::uint8_t>(bad[bit / 8] ^ (1u << (bit % 8)));
    INFO(bit);
    CHECK_FALSE(beacon_tag_valid(bad, key_of(1)));
    auto decoded = decode_beacon(bad);
    if (decoded && decoded->version == kProtocolVersion) {
      Bytes again = encode_beacon(*decoded, std::nullopt);
      // Everything but the tag survives decoding: nothing of a datagram is silently dropped.
      CHECK(std::equal(again.begin(), again.end() - 16, bad.begin()));
    }
  }
}

TEST_CASE("a tag under another key, or no tag, is not valid") {
  CHECK_FALSE(beacon_tag_valid(encode_beacon(sample(), key_of(1)), key_of(2)));
  CHECK_FALSE(beacon_tag_valid(encode_beacon(sample(), std::nullopt), key_of(1)));
  CHECK_FALSE(beacon_tag_valid(Bytes{}, key_of(1)));
  CHECK_FALSE(beacon_tag_valid(Bytes(16), key_of(1)));
}

TEST_CASE("values that no node sends are refused") {
  auto refused = [](std::size_t offset, std::uint8_t value) {
    Bytes bytes = encode_beacon(sample(), std::nullopt);
    bytes[offset] = value;
    return !decode_beacon(bytes);
  };
  CHECK(refused(0, 'l'));   // magic
  CHECK(refused(5, 0x10));  // flag
  CHECK(refused(46, 4));    // role
  CHECK(refused(47, 4));    // manual role
  CHECK(refused(48, 2));    // full replica
  CHECK(refused(49, 64));   // log2 of GiB
  CHECK(refused(80, 33));   // name length
  CHECK(refused(80, 4));    // a length that is not the name's
  Beacon no_port = sample();
  no_port.port = 0;
  CHECK_FALSE(decode_beacon(encode_beacon(no_port, std::nullopt)));
}

TEST_CASE("a beacon of another version tells its version, group and node") {
  Bytes bytes = encode_beacon(sample(), std::nullopt);
  bytes[4] = 9;
  bytes.resize(60);  // another version may be shorter or longer
  auto beacon = decode_beacon(bytes);
  REQUIRE(beacon);
  CHECK(beacon->version == 9);
  CHECK(beacon->group == sample().group);
  CHECK(beacon->node == sample().node);
  CHECK(beacon->name.empty());
  bytes.resize(37);
  CHECK_FALSE(decode_beacon(bytes));
}

TEST_CASE("a long name is cut between characters and the beacon stays small") {
  Beacon beacon = sample();
  beacon.name = std::string(31, 'x') + "\xC3\xA9" + std::string(400, 'y');
  Bytes bytes = encode_beacon(beacon, std::nullopt);
  CHECK(bytes.size() <= kMaxBeaconBytes);
  auto back = decode_beacon(bytes);
  REQUIRE(back);
  CHECK(back->name == std::string(31, 'x'));
}
