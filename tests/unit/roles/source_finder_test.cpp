#include "roles/source_finder.h"

#include "support/catch.h"

namespace lansync {
namespace {

constexpr Instant kStart{1000s};

NodeId node(std::uint8_t number) {
  NodeId id;
  id.bytes.fill(number);
  return id;
}

ContentId content(std::uint8_t number) {
  ContentId id;
  id.bytes.fill(number);
  return id;
}

WantedContent wanted(std::uint8_t number) { return {content(number), 10'000'000, {}, "f"}; }

HolderRow row(std::uint8_t number, bool part = false) {
  return {node(number), {0x0a000000u + number, 27801}, part};
}

Holders holders(std::uint8_t hash, std::vector<HolderRow> rows) {
  HolderItem item;
  item.hash = content(hash);
  item.nodes = std::move(rows);
  return {{item}};
}

}  // namespace

TEST_CASE("the hub is asked about each content at once, then each 2 s while it is wanted") {
  SourceFinder finder;
  CHECK(finder.idle());
  finder.set_wanted({wanted(1), wanted(2)});
  CHECK(finder.to_ask(kStart).size() == 2);
  CHECK(finder.to_ask(kStart + 1s).empty());
  finder.set_wanted({wanted(2), wanted(3)});
  CHECK(finder.to_ask(kStart + 1s) == std::vector<ContentId>{content(3)});
  CHECK(finder.to_ask(kStart + 2s) == std::vector<ContentId>{content(2)});
  finder.set_wanted({});
  CHECK(finder.idle());
  CHECK(finder.to_ask(kStart + 9s).empty());
}

TEST_CASE(
    "holders are dialled, whole ones first, none that is connected and no more than are free") {
  SourceFinder finder;
  finder.set_wanted({wanted(1)});
  finder.on_holders(holders(1, {row(1, true), row(2), row(3), row(9)}), node(9));
  finder.on_holders(holders(7, {row(4)}), node(9));  // nobody asked about that
  CHECK(finder.holders().at(content(1)).size() == 3);
  auto dials = finder.to_dial(kStart, {node(3)}, 1);
  REQUIRE(dials.size() == 1);
  CHECK(dials[0].node == node(2));
  // It is under way: it takes a place, and is not dialled twice.
  CHECK(finder.to_dial(kStart + 1s, {node(3)}, 1).empty());
  dials = finder.to_dial(kStart + 1s, {node(3)}, 2);
  REQUIRE(dials.size() == 1);
  CHECK(dials[0].node == node(1));
}

TEST_CASE("a holder that does not answer is left alone for 30 s") {
  SourceFinder finder;
  finder.set_wanted({wanted(1)});
  finder.on_holders(holders(1, {row(2)}), node(9));
  REQUIRE(finder.to_dial(kStart, {}, 6).size() == 1);
  finder.on_dial_failed(node(2), kStart + 1s);
  CHECK(finder.to_dial(kStart + 30s, {}, 6).empty());
  CHECK(finder.to_dial(kStart + 31s, {}, 6).size() == 1);
}

TEST_CASE("a holder without an address, and ourselves, are no holders") {
  SourceFinder finder;
  finder.set_wanted({wanted(1)});
  HolderRow nowhere = row(3);
  nowhere.address.port = 0;
  finder.on_holders(holders(1, {row(9), nowhere, {NodeId{}, {1, 1}, false}}), node(9));
  CHECK(finder.holders().at(content(1)).empty());
}

}  // namespace lansync
