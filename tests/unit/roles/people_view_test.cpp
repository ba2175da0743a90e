// What people are told: who was turned away, who is behind, how long it still takes, what is
// missing.
#include "roles/people_view.h"

#include "support/catch.h"

using namespace lansync;

namespace {

constexpr Address kAnna{0x0a000001, 27801};
constexpr Address kBert{0x0a000002, 27801};
const Instant kStart = Instant{} + 1h;
const BootId kFirst = [] {
  BootId boot;
  boot.bytes[0] = 1;
  return boot;
}();
const BootId kSecond = [] {
  BootId boot;
  boot.bytes[0] = 2;
  return boot;
}();

EntryPtr file_entry(std::uint8_t content, std::uint64_t size, std::uint64_t count = 1) {
  auto entry = std::make_shared<Entry>();
  entry->kind = EntryKind::kFile;
  entry->size = size;
  entry->content.bytes[0] = content;
  NodeId author;
  author.bytes[0] = 7;
  entry->version.raise(short_id(author), count);
  return entry;
}

bool holds(const std::string& text, const std::string& part) {
  INFO(text);
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("those with another password are named, with the option that mends it") {
  Refusals refusals("family", false, 2);
  CHECK(refusals.kept_out({}, kStart).what.empty());
  CHECK(refusals.note(kAnna, DialFailure::kWrongPassword, 0, kStart));
  CHECK_FALSE(refusals.note(kAnna, DialFailure::kWrongPassword, 0, kStart + 1s));
  refusals.note_beacon(kAnna, "anna", kFirst, false, kStart);
  // A member beside a hub that refuses was not asked, and has that hub's password.
  const Complaint two = refusals.kept_out({"bert"}, kStart + 1s);
  CHECK(two.what == "anna and bert have another password for the group family, or none");
  CHECK(holds(two.advice, "--password-file"));
  CHECK(holds(two.advice, "LANSYNC_PASSWORD"));
  CHECK(holds(two.advice, "without one"));
  CHECK(refusals.kept_out({"anna"}, kStart + 1s).what ==
        "anna has another password for the group family, or none");
  // Heard of by an address alone, and then no more.
  Refusals dialled("family", true, 2);
  dialled.note(kBert, DialFailure::kWrongPassword, 0, kStart);
  CHECK(holds(dialled.kept_out({}, kStart).what, "10.0.0.2"));
  CHECK(holds(dialled.kept_out({}, kStart).what, "this node has none"));
  CHECK(dialled.kept_out({}, kStart + Refusals::kLife).what.empty());
}

TEST_CASE("a member says whom the group turns away, and what that one has to do") {
  Refusals refusals("family", false, 2);
  refusals.note(kBert, DialFailure::kWrongPassword, 0, kStart);
  refusals.note_beacon(kBert, "bert", kFirst, false, kStart);
  refusals.note(kAnna, DialFailure::kProtocol, 3, kStart);
  const std::vector<Complaint> said = refusals.turned_away(kStart);
  REQUIRE(said.size() == 2);
  CHECK(holds(said[0].what, "protocol 3"));
  CHECK(holds(said[0].what, "here"));
  CHECK(holds(said[1].what, "bert (10.0.0.2)"));
  CHECK(holds(said[1].advice, "another --group"));
  // Its name stays known when it is gone, and the row goes in the end.
  refusals.prune(kStart + 5min);
  REQUIRE(refusals.find(kBert) != nullptr);
  CHECK(refusals.find(kBert)->name == "bert");
  refusals.prune(kStart + Refusals::kForgotten + 1s);
  CHECK(refusals.find(kBert) == nullptr);
}

TEST_CASE("who has the right password by now is not called turned away, however long it is heard") {
  // Only the hub has a session with it: its tagged beacon says that it is in the group.
  Refusals member("family", false, 2);
  member.note(kBert, DialFailure::kWrongPassword, 0, kStart);
  member.note_beacon(kBert, "bert", kFirst, false, kStart);
  member.note_beacon(kBert, "bert", kSecond, true, kStart + 5s);
  CHECK(member.find(kBert) == nullptr);
  // Another start, and no tag: it is turned away again soon, or never.
  Refusals open("family", true, 2);
  open.note(kBert, DialFailure::kWrongPassword, 0, kStart);
  open.note_beacon(kBert, "bert", kFirst, false, kStart);
  open.note_beacon(kBert, "bert", kSecond, false, kStart + 5s);
  CHECK_FALSE(open.turned_away(kStart + 6s).empty());
  open.note_beacon(kBert, "bert", kSecond, false, kStart + 6s + Refusals::kRetried);
  CHECK(open.turned_away(kStart + 6s + Refusals::kRetried).empty());
  CHECK(open.find(kBert) == nullptr);
  // And one that is turned away again stays.
  open.note(kBert, DialFailure::kWrongPassword, 0, kStart + 2min);
  open.note_beacon(kBert, "bert", kSecond, false, kStart + 2min);
  open.note_beacon(kBert, "bert", kSecond, false, kStart + 10min);
  CHECK_FALSE(open.turned_away(kStart + 10min).empty());
}

TEST_CASE("of very many that were turned away the latest are kept") {
  Refusals refusals("family", false, 2);
  for (std::uint32_t i = 0; i < 1000; ++i)
    refusals.note({i + 1, 1}, DialFailure::kWrongPassword, 0, kStart + Duration(i));
  CHECK(refusals.rows().size() == Refusals::kMost);
  CHECK(refusals.find({1000, 1}) != nullptr);
  CHECK(refusals.find({1, 1}) == nullptr);
}

TEST_CASE("a member has what it said to have, also when it is gone") {
  MemberProgress members;
  CHECK_FALSE(members.has(1, 0));
  members.on_ping(1, Ping{0, 4, 3, 500, Obstacle::kPaused}, true);
  CHECK_FALSE(members.has(1, 0));
  REQUIRE(members.told(1));
  CHECK(members.told(1)->files == 3);
  CHECK(holds(to_words(members.told(1)->obstacle), "resume"));
  members.on_ping(1, Ping{8}, true);
  CHECK(members.has(1, 7));
  CHECK_FALSE(members.has(1, 8));
  // What it had it has, whatever a late word says.
  members.on_ping(1, Ping{6}, true);
  CHECK(members.has(1, 7));
  CHECK(members.best() == 7);
  // Who keeps only some counts for no one's copy.
  members.on_ping(2, Ping{20}, false);
  CHECK(members.best() == 7);
  members.on_down(1);
  CHECK_FALSE(members.has(1, 7));
  CHECK(members.best() == 7);
  members.begin_reign();
  CHECK(members.best() == 0);
  CHECK_FALSE(members.told(2));
}

TEST_CASE("a member that was in sync and lost its folder, or cannot hold a file, has not all") {
  for (const Obstacle obstacle : {Obstacle::kHeld, Obstacle::kError, Obstacle::kCannot}) {
    MemberProgress members;
    members.on_ping(1, Ping{8}, true);
    CHECK(members.complete(1, 7));
    members.on_ping(1, Ping{8, 7, 1, 0, obstacle}, true);
    CHECK(members.has(1, 7));
    CHECK_FALSE(members.complete(1, 7));
    CHECK_FALSE(to_words(obstacle).empty());
    members.on_ping(1, Ping{8, 7}, true);
    CHECK(members.complete(1, 7));
  }
  // What a member cannot hold is on no other machine for that it is in sync.
  MemberProgress limited;
  limited.on_ping(1, Ping{8, 7, 1, 0, Obstacle::kCannot}, true);
  CHECK(limited.has(1, 7));
  CHECK(limited.best() == 0);
  // Who pauses, or has no room for what is not there yet, has what it has.
  for (const Obstacle obstacle : {Obstacle::kPaused, Obstacle::kNoRoom}) {
    MemberProgress members;
    members.on_ping(1, Ping{8, 7, 0, 0, obstacle}, true);
    CHECK(members.complete(1, 7));
    CHECK_FALSE(members.complete(1, 8));
  }
}

TEST_CASE("a long task has a total, a rate and a time left") {
  Progress progress;
  Instant now = kStart;
  // 50,000 files of 1000 bytes, 500 of them a second.
  for (int i = 0; i <= 20; ++i, now += 500ms)
    progress.sample(50'000 - 250 * i, (50'000 - 250 * i) * 1000ULL, now);
  const Progress::Report report = progress.report(45'000, 45'000'000);
  CHECK(report.files == 50'000);
  CHECK(report.bytes == 50'000'000);
  CHECK(report.files_per_second > 490);
  CHECK(report.files_per_second < 510);
  CHECK(report.bytes_per_second > 490'000);
  REQUIRE(report.seconds_left);
  CHECK(*report.seconds_left >= 85);
  CHECK(*report.seconds_left <= 95);
  // Between two samples the total does not go back either.
  CHECK(progress.report(44'900, 44'900'000).files == 50'000);
  CHECK(progress.report(44'900, 44'900'000).bytes == 50'000'000);
  // Nothing is left: nothing is said; what comes after a rest is another task.
  CHECK_FALSE(progress.report(0, 0).seconds_left);
  progress.sample(0, 0, now);
  progress.sample(3, 30, now + 10s);
  CHECK(progress.report(3, 30).files == 3);
}

TEST_CASE("what is found meanwhile adds to the total and is no step back") {
  Progress progress;
  progress.sample(10, 100, kStart);
  progress.sample(4, 40, kStart + 1s);
  progress.sample(24, 240, kStart + 2s);
  const Progress::Report report = progress.report(24, 240);
  CHECK(report.files == 30);
  CHECK(report.files_per_second == 3.0);
  CHECK(report.seconds_left);
}

TEST_CASE("a bar never goes back") {
  Bars bars;
  const Bars::Key in{false, "", "film", 1000};
  CHECK(bars.shown(in, 180, kStart) == 180);
  // The session was lost, and the transfer begins anew.
  CHECK(bars.shown(in, 0, kStart + 1s) == 180);
  CHECK(bars.shown(in, 500, kStart + 2s) == 500);
  CHECK(bars.shown(in, 1000, kStart + 3s) == 1000);
  // Whole: what begins at nothing after that is another version.
  CHECK(bars.shown(in, 10, kStart + 4s) == 10);
  // What is sent in parts: one after the other counts on.
  const Bars::Key out{true, "bob", "film", 1000};
  CHECK(bars.shown(out, 200, kStart) == 200);
  CHECK(bars.shown(out, 0, kStart) == 200);
  CHECK(bars.shown(out, 300, kStart) == 500);
  CHECK(bars.shown({true, "cora", "film", 1000}, 5, kStart) == 5);
  // And is forgotten in the end.
  CHECK(bars.shown(out, 1, kStart + Bars::kRemembered + 1s) == 1);
}

TEST_CASE("what was being fetched when its holder went is named until it is here") {
  Index index;
  index.set_remote("film", file_entry(1, 1000));
  index.set_remote("text", file_entry(2, 10));
  index.set_remote("here", file_entry(3, 10));
  index.set_local("here", file_entry(3, 10), FileStat{});
  index.set_remote("huge", file_entry(4, 5000));
  Unfinished unfinished;
  CHECK(unfinished.text().empty());
  unfinished.on_hub_gone(index, {{"film", 220}}, 4000, "anna", kStart);
  CHECK(unfinished.rows().size() == 2);
  index.clear_remote();
  unfinished.settle(index, kStart + 1s);
  const std::string said = unfinished.text();
  CHECK(holds(said, "film is here by 22 %"));
  CHECK(holds(said, "anna, which held it, is gone"));
  CHECK(holds(said, "1 file more"));
  index.set_local("text", file_entry(2, 10), FileStat{});
  // Somebody has a later version of it: that is waited for like anything.
  index.set_remote("film", file_entry(9, 700, 2));
  unfinished.settle(index, kStart + 2s);
  CHECK(unfinished.text().empty());
}

TEST_CASE("what nobody brings is forgotten after a day, and never more than some are kept") {
  Index index;
  for (int i = 0; i < 1500; ++i) index.set_remote(str("f", i), file_entry(1, 10));
  Unfinished unfinished;
  unfinished.on_hub_gone(index, {}, 0, "anna", kStart);
  CHECK(unfinished.rows().size() == Unfinished::kMost);
  CHECK(holds(unfinished.text(), "and 1499 files more"));
  index.clear_remote();
  unfinished.settle(index, kStart + Unfinished::kRemembered + 1s);
  CHECK(unfinished.text().empty());
}
