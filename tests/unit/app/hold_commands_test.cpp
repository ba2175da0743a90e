#include "app/hold_commands.h"

#include "support/catch.h"

namespace lansync {
namespace {

HoldReport deletes(const std::string& run, std::uint64_t number) {
  HoldReport hold;
  hold.kind = HoldKind::kDeletes;
  hold.run = run;
  hold.number = number;
  hold.names = {"a.txt", "b\x1b.txt"};
  hold.author = "anna";
  hold.since = WallTime{1'000'000'000};
  hold.says = std::to_string(number) + " deletes by anna";
  return hold;
}
HoldReport network() {
  HoldReport hold;
  hold.kind = HoldKind::kNetwork;
  hold.number = 1;
  hold.says = "strangers";
  return hold;
}

TEST_CASE("without a word the one kind that is held is meant, with all its runs") {
  auto choice = choose_hold({deletes("11112222", 60), deletes("33334444", 70)}, {});
  REQUIRE(choice);
  CHECK(choice->kind == HoldKind::kDeletes);
  CHECK(choice->run.empty());
  CHECK(choice->holds.size() == 2);
  auto none = choose_hold({}, {});
  REQUIRE(!none);
  CHECK(none.error().code == ErrorCode::kNotFound);
}

TEST_CASE("of two kinds that are held one has to be named, and both are listed") {
  const std::vector<HoldReport> held{network(), deletes("11112222", 60)};
  auto both = choose_hold(held, {});
  REQUIRE(!both);
  CHECK(both.error().code == ErrorCode::kRefused);
  CHECK(both.error().detail.find("confirm network") != std::string::npos);
  CHECK(both.error().detail.find("60 deletes by anna") != std::string::npos);
  CHECK(choose_hold(held, {"network"})->kind == HoldKind::kNetwork);
  CHECK(choose_hold(held, {"deletes"})->holds.size() == 1);
}

TEST_CASE("a run is named alone or with its kind, by its first digits") {
  const std::vector<HoldReport> held{deletes("11112222", 60), deletes("33334444", 70), network()};
  for (const std::vector<std::string>& words :
       {std::vector<std::string>{"3333"}, {"deletes", "33334444"}, {"deletes", "3333"}}) {
    auto choice = choose_hold(held, words);
    REQUIRE(choice);
    REQUIRE(choice->holds.size() == 1);
    CHECK(choice->holds[0].number == 70);
    CHECK(choice->run == words.back());
  }
  CHECK(!choose_hold(held, {"deletes", "9999"}));
  CHECK(!choose_hold(held, {"network", "3333"}));
  CHECK(!choose_hold(held, {"a", "b", "c"}));
}

TEST_CASE("what cannot be held here, and names that nothing has, are refused in a line") {
  const std::vector<HoldReport> held{deletes("11112222", 60)};
  for (const char* word : {"network", "room", "absence", "strays", "photo.jpg", "333"}) {
    INFO(word);
    auto choice = choose_hold(held, {word});
    REQUIRE(!choice);
    CHECK(choice.error().code == ErrorCode::kNotFound);
    CHECK(choice.error().detail.find('\n') == std::string::npos);
  }
}

TEST_CASE("a hold is one line with number, author, since, run and first names") {
  const std::string line = hold_line(deletes("11112222", 60));
  for (const char* part :
       {"60 deletes by anna", "1970-01-01T00:00:01Z", "run 11112222", "a.txt, b", ", ..."})
    CHECK(line.find(part) != std::string::npos);
  CHECK(line.find('\x1b') == std::string::npos);
}

TEST_CASE("what became of a run that was undone is said, and what is missing is named") {
  RejectReport report;
  for (int i = 0; i < 30; ++i)
    report.rows.push_back({"gone" + std::to_string(i), RejectOutcome::kMissing});
  report.rows.push_back({"back", RejectOutcome::kBack});
  report.rows.push_back({"left", RejectOutcome::kLeft});
  const std::string text = render_reject(report);
  CHECK(text.find("1 file is back\n") == 0);
  CHECK(text.find("1 live again and were left alone: left") != std::string::npos);
  CHECK(text.find("30 are on no node") != std::string::npos);
  CHECK(text.find("and 10 more") != std::string::npos);
}

}  // namespace
}  // namespace lansync
