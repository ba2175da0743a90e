#include "sync/activity.h"

#include "support/catch.h"

using namespace lansync;

namespace {

using Kind = Activity::Kind;
const Instant kStart{1'000s};

}  // namespace

TEST_CASE("each file that came or went is named, with who did it, within two seconds") {
  Activity activity;
  CHECK(activity.deadline() == kNever);
  activity.note(Kind::kCame, "notes/todo.txt", "anna", kStart);
  activity.note(Kind::kDeleted, "old.txt", "bert", kStart + 1s);
  activity.note(Kind::kChangedHere, "mine.txt", "", kStart + 1s);
  CHECK(activity.deadline() == kStart + 2s);
  CHECK(activity.take_lines(kStart + 1999ms).empty());
  CHECK(activity.take_lines(kStart + 2s) ==
        std::vector<std::string>{"came from anna: notes/todo.txt",
                                 "deleted by bert, now in the trash: old.txt",
                                 "changed here: mine.txt"});
  CHECK(activity.deadline() == kNever);
  CHECK(activity.take_lines(kStart + 9s).empty());
}

TEST_CASE("a burst of files is one line with their number, and names are made printable") {
  Activity activity;
  for (int i = 0; i < 50'000; ++i)
    activity.note(Kind::kCame, "d\x1b/" + std::to_string(i), "an\nna", kStart);
  CHECK(activity.take_lines(kStart + 2s) ==
        std::vector<std::string>{"50000 came from an\\x0ana: d\\x1b/0, d\\x1b/1, d\\x1b/2, ..."});
}

TEST_CASE("very many authors at once share a line") {
  Activity activity;
  for (int i = 0; i < 1000; ++i)
    activity.note(Kind::kCame, "f" + std::to_string(i), "node" + std::to_string(i), kStart);
  CHECK(activity.take_lines(kStart + 2s).size() == Activity::kAuthors + 1);
}
