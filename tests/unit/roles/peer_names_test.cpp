#include "roles/peer_names.h"

#include "support/catch.h"

namespace lansync {
namespace {

NodeId node(const char* hex) {
  NodeId id;
  std::string digits(hex);
  digits.resize(32, '0');
  REQUIRE(from_hex(digits, id.bytes));
  return id;
}

TEST_CASE("names that only one node has are shown as they are") {
  auto shown = shown_names({{node("1a2b"), {"alice"}}, {node("ffff"), {"bob"}}});
  CHECK(shown[node("1a2b")] == "alice");
  CHECK(shown[node("ffff")] == "bob");
}

TEST_CASE("two of one name are told apart by the first digits of their ids") {
  auto shown =
      shown_names({{node("1a2b"), {"pc"}}, {node("9c00"), {"pc"}}, {node("77"), {"other"}}});
  CHECK(shown[node("1a2b")] == "pc~1a2b");
  CHECK(shown[node("9c00")] == "pc~9c00");
  CHECK(shown[node("77")] == "other");
}

TEST_CASE("ids that begin alike get as many digits as it takes") {
  auto shown = shown_names({{node("1a2b3c"), {"pc"}}, {node("1a2b3d"), {"pc"}}});
  CHECK(shown[node("1a2b3c")] == "pc~1a2b3c");
  CHECK(shown[node("1a2b3d")] == "pc~1a2b3d");
}

TEST_CASE("who is gone takes nobody's name away") {
  auto shown = shown_names({{node("1a2b"), {"pc", false}}, {node("9c00"), {"pc"}}});
  CHECK(shown[node("9c00")] == "pc");
  CHECK(shown[node("1a2b")] == "pc~1a2b");
  shown = shown_names({{node("1a2b"), {"pc", false}}, {node("9c00"), {"pc", false}}});
  CHECK(shown[node("9c00")] == "pc~9c00");
  CHECK(shown[node("1a2b")] == "pc~1a2b");
}

TEST_CASE("beacons of whoever likes make no member's name longer or ambiguous") {
  const std::map<NodeId, NamedPeer> peers = {
      {node("1a2b"), {"pc"}},  {node("1a2b5"), {"pc", false}}, {node("9c00"), {"pc"}},
      {node("5555"), {"box"}}, {node("6666"), {"box", false}}, {node("55557"), {"x", false}}};
  auto shown = shown_names(peers);
  CHECK(shown[node("1a2b")] == "pc~1a2b");
  CHECK(shown[node("5555")] == "box");
  CHECK(find_named(peers, "box").value() == node("5555"));
  CHECK(find_named(peers, "pc~1a2b").value() == node("1a2b"));
  CHECK(find_named(peers, "5555").value() == node("5555"));
}

TEST_CASE("a name that looks like another's suffix is still one node's") {
  std::map<NodeId, NamedPeer> peers{
      {node("1a2b"), {"pc"}}, {node("9c00"), {"pc"}}, {node("33"), {"pc~1a2b"}}};
  auto shown = shown_names(peers);
  CHECK(shown[node("1a2b")] != shown[node("33")]);
  for (const auto& [id, name] : shown) CHECK(*find_named(peers, name) == id);
}

TEST_CASE("a node is found by its shown name, its only name, or the beginning of its id") {
  std::map<NodeId, NamedPeer> peers{
      {node("1a2b"), {"pc"}}, {node("9c00"), {"pc"}}, {node("77aa"), {"other"}}};
  CHECK(*find_named(peers, "pc~9c00") == node("9c00"));
  CHECK(*find_named(peers, "other") == node("77aa"));
  CHECK(*find_named(peers, "77aa0") == node("77aa"));
}

TEST_CASE("a name that several have, or nobody, is answered with the choices") {
  std::map<NodeId, NamedPeer> peers{
      {node("1a2b"), {"pc"}}, {node("9c00"), {"pc"}}, {node("77aa"), {"other"}}};
  auto both = find_named(peers, "pc");
  REQUIRE_FALSE(both);
  CHECK(both.error().code == ErrorCode::kRefused);
  CHECK(both.error().detail.find("pc~1a2b") != std::string::npos);
  CHECK(both.error().detail.find("pc~9c00") != std::string::npos);
  CHECK(both.error().detail.find("other") == std::string::npos);
  auto nobody = find_named(peers, "carol");
  REQUIRE_FALSE(nobody);
  CHECK(nobody.error().code == ErrorCode::kNotFound);
  CHECK(nobody.error().detail.find("other") != std::string::npos);
  // Three digits could be a name that was typed wrong.
  CHECK_FALSE(find_named(peers, "77a"));
  CHECK_FALSE(find_named({}, "x"));
}

TEST_CASE("nobody is told that the node itself might have been meant") {
  std::map<NodeId, NamedPeer> peers{{node("1a2b"), {"mine"}}, {node("77aa"), {"other"}}};
  const auto wrong = find_named(peers, "carol", node("1a2b"));
  REQUIRE_FALSE(wrong);
  CHECK(wrong.error().detail.find("known are: other") != std::string::npos);
  CHECK(wrong.error().detail.find("mine") == std::string::npos);
  CHECK(*find_named(peers, "mine", node("1a2b")) == node("1a2b"));
}

TEST_CASE("a thousand choices make one line") {
  std::map<NodeId, NamedPeer> peers;
  for (int i = 0; i < 1000; ++i) {
    NodeId id;
    id.bytes[0] = static_cast<std::uint8_t>(i >> 8);
    id.bytes[1] = static_cast<std::uint8_t>(i);
    peers[id] = {"pc"};
  }
  auto found = find_named(peers, "pc");
  REQUIRE_FALSE(found);
  CHECK(found.error().detail.size() < 400);
}

}  // namespace
}  // namespace lansync
