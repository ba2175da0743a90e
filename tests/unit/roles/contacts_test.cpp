#include "roles/contacts.h"

#include "support/catch.h"

namespace lansync {
namespace {

constexpr std::int64_t kDayNs = 24LL * 3600 * 1'000'000'000;

NodeId node(std::uint8_t n) {
  NodeId id;
  id.bytes.fill(n);
  return id;
}

}  // namespace

TEST_CASE("contacts are told as long ago, and outlast a restart") {
  Contacts before;
  before.note_shared(5 * kDayNs);
  before.confirm_absence();
  before.note_synced(node(1), 2 * kDayNs);
  before.note_seen(node(1), 6 * kDayNs);
  before.note_seen(node(2), 3 * kDayNs);
  Contacts contacts;
  contacts.load(before.text());
  CHECK(contacts.text() == before.text());
  CHECK(contacts.seen_ago(node(1), 10 * kDayNs) == 4 * kDayNs);
  CHECK(contacts.synced_ago(node(1), 10 * kDayNs) == 8 * kDayNs);
  CHECK(contacts.seen_ago(node(2), 10 * kDayNs) == 7 * kDayNs);
  CHECK_FALSE(contacts.synced_ago(node(2), 10 * kDayNs));
  CHECK_FALSE(contacts.seen_ago(node(3), 10 * kDayNs));
  CHECK(contacts.shared_ago(10 * kDayNs) == 5 * kDayNs);
  CHECK_FALSE(Contacts{}.shared_ago(10 * kDayNs));
  CHECK(contacts.absence_confirmed());
  contacts.note_shared(11 * kDayNs);
  CHECK_FALSE(contacts.absence_confirmed());
}

TEST_CASE("contacts from an index that holds anything are none, and never too many") {
  Contacts good;
  good.note_seen(node(1), 7);
  const std::string whole = good.text();
  for (std::size_t size = 0; size < whole.size(); ++size) {
    Contacts cut;
    cut.load(whole.substr(0, size));
    CHECK_FALSE(cut.seen_ago(node(1), 9));
  }
  Contacts many;
  for (std::size_t i = 0; i < Contacts::kMaxNodes + 10; ++i) {
    NodeId id;
    id.bytes[0] = static_cast<std::uint8_t>(i);
    id.bytes[1] = static_cast<std::uint8_t>(i >> 8);
    many.note_seen(id, static_cast<std::int64_t>(i));
  }
  NodeId first;
  CHECK_FALSE(many.seen_ago(first, 9'999'999));
  Contacts again;
  again.load(many.text());
  CHECK(again.text() == many.text());
}

TEST_CASE(
    "long absence is judged by the hub's record, else by the own mark; without one it is none") {
  const std::int64_t year = 365 * kDayNs;
  CHECK(was_long_away(year + 1, kDayNs, 0));
  CHECK_FALSE(was_long_away(year, 3 * year, 3 * year));
  CHECK(was_long_away(std::nullopt, year + 1, 0));
  CHECK_FALSE(was_long_away(std::nullopt, year - 1, 0));
  // Nobody vouches for what the calendar says, or it went back.
  CHECK(was_long_away(std::nullopt, kDayNs, year));
  CHECK_FALSE(was_long_away(std::nullopt, kDayNs, 30 * kDayNs));
  CHECK(was_long_away(std::nullopt, 0, INT64_MAX / 4));
  // A first join.
  CHECK_FALSE(was_long_away(std::nullopt, std::nullopt, INT64_MAX / 4));
}

TEST_CASE("a mark that cannot be read any more is no first join: a long absence is assumed") {
  Contacts before;
  before.note_shared(5 * kDayNs);
  before.note_synced(node(1), 5 * kDayNs);
  const std::string whole = before.text();
  Contacts fresh;
  fresh.load("");
  CHECK_FALSE(fresh.shared_ago(6 * kDayNs));
  for (std::size_t size = 1; size < whole.size(); ++size) {
    Contacts cut;
    cut.load(whole.substr(0, size));
    // What was cut behind a whole line is whole.
    if (cut.shared_ago(6 * kDayNs) == kDayNs) continue;
    CHECK(was_long_away(std::nullopt, cut.shared_ago(6 * kDayNs), 0));
    CHECK_FALSE(was_long_away(kDayNs, cut.shared_ago(6 * kDayNs), 0));
    cut.note_shared(6 * kDayNs);
    CHECK(cut.shared_ago(7 * kDayNs) == kDayNs);
  }
  Contacts broken;
  broken.load("rubbish");
  CHECK(was_long_away(std::nullopt, broken.shared_ago(6 * kDayNs), 0));
}

}  // namespace lansync
