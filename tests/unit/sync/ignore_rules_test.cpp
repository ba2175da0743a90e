#include "sync/ignore_rules.h"

#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>

#include "base/random.h"
#include "support/catch.h"

namespace lansync {
namespace {

struct Row {
  const char* rules;
  const char* path;
  bool is_directory;
  bool ignored;
};

// From gitignore(5) and git's t3070-wildmatch.
const Row kTable[] = {
    // A name without a slash is found anywhere.
    {"foo", "foo", false, true},
    {"foo", "a/b/foo", false, true},
    {"foo", "foo/x", false, true},
    {"foo", "food", false, false},
    {"*.o", "a/b.o", false, true},
    {"*.o", "a/b.oo", false, false},
    // A slash at its start or in its middle binds it to the root.
    {"/foo", "foo", false, true},
    {"/foo", "a/foo", false, false},
    {"a/foo", "a/foo", false, true},
    {"a/foo", "b/a/foo", false, false},
    {"a/*.o", "a/x.o", false, true},
    {"a/*.o", "a/b/x.o", false, false},
    // A slash at its end means directories.
    {"foo/", "foo", true, true},
    {"foo/", "foo", false, false},
    {"foo/", "a/foo/x", false, true},
    {"/foo/", "a/foo", true, false},
    {"a/foo/", "a/foo/b", false, true},
    // Comments, blank lines, spaces at the end.
    {"# foo\n\n", "# foo", false, false},
    {"\\#foo", "#foo", false, true},
    {"\\!foo", "!foo", false, true},
    {"foo   ", "foo", false, true},
    {"foo\\ ", "foo ", false, true},
    {"foo\\ ", "foo", false, false},
    {"foo\\  ", "foo ", false, true},
    {" foo", " foo", false, true},
    {" foo", "foo", false, false},
    {"foo\r\nbar\r\n", "foo", false, true},
    {"\xEF\xBB\xBF"
     "foo",
     "foo", false, true},
    // The last match wins; a file below an excluded directory is not brought back.
    {"*.o\n!keep.o", "keep.o", false, false},
    {"*.o\n!keep.o", "a/keep.o", false, false},
    {"!keep.o\n*.o", "keep.o", false, true},
    {"d/\n!d/keep", "d/keep", false, true},
    {"d/*\n!d/keep", "d/keep", false, false},
    {"/*\n!/foo\n/foo/*\n!/foo/bar", "foo/bar/x", false, false},
    {"/*\n!/foo\n/foo/*\n!/foo/bar", "foo/baz/x", false, true},
    // Stars, double stars.
    {"**/foo", "foo", false, true},
    {"**/foo", "a/b/foo", false, true},
    {"**/foo/bar", "a/foo/bar", false, true},
    {"**/foo/bar", "a/foo/x/bar", false, false},
    {"abc/**", "abc", true, false},
    {"abc/**", "abc/x/y", false, true},
    {"abc/**", "d/abc/x", false, false},
    {"a/**/b", "a/b", false, true},
    {"a/**/b", "a/x/b", false, true},
    {"a/**/b", "a/x/y/b", false, true},
    {"a/**/b", "a/xb", false, false},
    {"a/**/*.o", "a/x/y/b.o", false, true},
    {"a**b", "axxb", false, true},
    {"x/a**b", "x/a/b", false, false},
    {"**", "anything/at/all", false, true},
    {"/**", "anything", false, true},
    {"foo/*", "foo", true, false},
    {"foo/**/", "foo/x", true, true},
    {"foo/**/", "foo/x", false, false},
    // Question marks and brackets: of bytes, never a slash.
    {"f?o", "foo", false, true},
    {"f?o", "fo", false, false},
    {"a?b/c", "a/b/c", false, false},
    {"[a-c]x", "bx", false, true},
    {"[a-c]x", "dx", false, false},
    {"[!a-c]x", "dx", false, true},
    {"[^a-c]x", "bx", false, false},
    {"[]]x", "]x", false, true},
    {"[]-]x", "-x", false, true},
    {"[!]a-]x", "bx", false, true},
    {"[!]a-]x", "]x", false, false},
    {"[a\\-c]x", "-x", false, true},
    {"[a\\-c]x", "bx", false, false},
    {"[[:digit:]]x", "5x", false, true},
    {"[[:digit:][:upper:]]x", "Qx", false, true},
    {"[[:digit:]]x", "ax", false, false},
    {"[[:nosuch:]]x", "ax", false, false},
    {"[[:]x", ":x", false, true},
    {"[a", "[a", false, false},
    {"[a", "a", false, false},
    {"a[/]b", "a/b", false, false},
    {"foo\\*", "foo*", false, true},
    {"foo\\*", "foox", false, false},
    {"foo\\", "foo\\", false, false},
    {"foo\\", "foo", false, false},
    {"a\\/b", "a/b", false, true},
    {"/", "a", true, false},
    {"!", "a", false, false},
};

TEST_CASE("patterns mean what gitignore(5) says") {
  for (const Row& row : kTable) {
    INFO("rules: " << row.rules << "   path: " << row.path);
    CHECK(IgnoreRules::parse(row.rules).ignored(row.path, row.is_directory) == row.ignored);
  }
}

TEST_CASE("temporary files of editors are ignored without being named") {
  IgnoreRules rules;
  for (const char* path : {".a.txt.swp", "d/.a.swo", "4913", "~$report.docx", ".#main.c",
                           "d/.~lock.sheet.ods#", ".goutputstream-ABC123"}) {
    INFO(path);
    CHECK(rules.ignored(path, false));
  }
  for (const char* path : {"a.txt~", "a.swp", "49131", "~report", "#main.c#", ".bashrc", ".swp"}) {
    INFO(path);
    CHECK(!rules.ignored(path, false));
  }
}

TEST_CASE("a built-in rule can be taken back") {
  CHECK(!IgnoreRules::parse("!4913\n").ignored("4913", false));
}

TEST_CASE("the rules' own file is never ignored, the private directory always") {
  IgnoreRules rules = IgnoreRules::parse("*\n!.lansync\n");
  CHECK(!rules.ignored(".lansyncignore", false));
  CHECK(rules.ignored("d/.lansyncignore", false));
  CHECK(rules.ignored(".lansync", true));
  CHECK(rules.ignored(".lansync/index.db", false));
}

TEST_CASE("what exceeds the bounds is left out and said") {
  std::string many;
  for (int i = 0; i < 5000; ++i) many += "p" + std::to_string(i) + "\n";
  IgnoreRules rules = IgnoreRules::parse(many);
  CHECK(rules.size() == IgnoreRules::kMaxPatterns);
  REQUIRE(rules.problems().size() == 1);
  CHECK(rules.ignored("p4000", false));
  CHECK(!rules.ignored("p4999", false));

  std::string lines = "first\n" + std::string(IgnoreRules::kMaxFileBytes, '#') + "\nlast\n";
  rules = IgnoreRules::parse(lines);
  CHECK(rules.ignored("first", false));
  CHECK(!rules.ignored("last", false));
  CHECK(rules.problems().size() == 1);
  CHECK(IgnoreRules::parse("a\nb\n").problems().empty());
}

// Backtracking over every star would take 2^60 steps here.
TEST_CASE("a pattern that is made to hang a matcher does not") {
  std::string stars;
  for (int i = 0; i < 60; ++i) stars += "a*";
  std::string parts = "**";
  for (int i = 0; i < 30; ++i) parts += "/**/a";
  IgnoreRules rules = IgnoreRules::parse(stars + "b\n" + parts + "/b\n");
  std::string path = "a";
  for (int i = 0; i < 60; ++i) path += "/a";
  CHECK(!rules.ignored(std::string(255, 'a'), false));
  CHECK(!rules.ignored(path, false));
  CHECK(rules.ignored(std::string(254, 'a') + "b", false));
}

// A directory of its own below the system's temporary one, removed at the end.
class Scratch {
 public:
  Scratch() {
    std::string form = (std::filesystem::temp_directory_path() / "lansync-ignore-XXXXXX").string();
    if (mkdtemp(form.data())) path_ = form;
  }
  ~Scratch() {
    std::error_code error;
    if (!path_.empty()) std::filesystem::remove_all(path_, error);
  }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

std::string random_text(Prng& random, std::initializer_list<const char*> pieces, int max) {
  std::string text;
  for (std::uint64_t n = random.below(static_cast<std::uint64_t>(max)) + 1; n > 0; --n)
    text += pieces.begin()[random.below(pieces.size())];
  return text;
}

// Two stars that are not a whole part are one by gitignore(5), but git cuts a pattern's literal
// beginning off first and then takes "b**/c" for "b" and "**/c". The page is what people read.
bool git_misreads(const std::string& rule) {
  std::string bounded = "/" + rule + "/";
  for (std::size_t at = bounded.find("**"); at != std::string::npos;
       at = bounded.find("**", at + 2)) {
    if (bounded[at - 1] != '/' || bounded[at + 2] != '/') return true;
  }
  return false;
}

// git itself is the oracle: patterns and files are drawn from the few letters that make them meet.
TEST_CASE("random patterns ignore what git ignores") {
  if (std::system("git --version >/dev/null 2>&1") != 0) return;
  Scratch scratch;
  REQUIRE(!scratch.path().empty());
  std::string cd = "cd '" + scratch.path() + "' && ";
  REQUIRE(std::system((cd + "git init -q . && git config core.excludesFile /dev/null").c_str()) ==
          0);
  Prng random(42);
  int ignored = 0;
  int asked = 0;
  std::vector<std::string> files;
  for (int i = 0; i < 60; ++i) {
    std::string path = random_text(random, {"a", "b", "ab", "a/", "b/", "c", "-", "]"}, 6) + "f";
    std::error_code error;
    auto full = std::filesystem::path(scratch.path()) / path;
    std::filesystem::create_directories(full.parent_path(), error);
    if (!error && !std::filesystem::is_directory(full) && std::ofstream(full).good())
      files.push_back(path);
  }
  REQUIRE(files.size() > 20);
  for (int round = 0; round < 150; ++round) {
    std::string rules;
    for (std::uint64_t n = random.below(4) + 1; n > 0; --n) {
      std::string rule = random_text(random,
                                     {"a", "b", "f", "*", "**", "/", "?", "[a-b]", "[!a]", "[",
                                      "\\", "/**/", "ab", "-", "]", "**/", " "},
                                     6);
      if (git_misreads(rule)) continue;
      rules += (random.chance(1, 4) ? "!" : "") + rule + "\n";
    }
    std::ofstream(scratch.path() + "/.gitignore") << rules;
    std::ofstream(scratch.path() + "/.git/list") << [&] {
      std::string list;
      for (const std::string& file : files) list += file + "\n";
      return list;
    }();
    std::string command =
        cd + "git check-ignore --no-index --stdin <.git/list >.git/out 2>/dev/null; true";
    REQUIRE(std::system(command.c_str()) == 0);
    std::set<std::string> by_git;
    std::ifstream out(scratch.path() + "/.git/out");
    for (std::string line; std::getline(out, line);) by_git.insert(line);
    IgnoreRules mine = IgnoreRules::parse(rules);
    for (const std::string& file : files) {
      INFO("rules:\n" << rules << "path: " << file);
      CHECK(mine.ignored(file, false) == (by_git.count(file) != 0));
      ++asked;
      ignored += by_git.count(file) != 0 ? 1 : 0;
    }
  }
  // The oracle did answer both ways.
  CHECK(ignored > asked / 20);
  CHECK(ignored < asked);
}

TEST_CASE(
    "a conflict copy is left out where its original is, whatever a rule says of its own name") {
  const IgnoreRules one = IgnoreRules::parse("*\n!*/\n!/notes/plan.txt\n");
  CHECK_FALSE(one.ignored("notes/plan.txt", false));
  CHECK_FALSE(one.ignored("notes/plan (conflict bert 2026-11-21 12.30.05).txt", false));
  CHECK_FALSE(one.ignored("notes/plan (conflict bert 2026-11-21 12.30.05 01234567).txt", false));
  CHECK(one.ignored("notes/other (conflict bert 2026-11-21 12.30.05).txt", false));
  CHECK(one.ignored("notes/plan (conflict).txt", false));
  CHECK_FALSE(one.ignored(".lansyncignore (conflict bert 2026-11-21 12.30.05)", false));
  const IgnoreRules copies = IgnoreRules::parse("*(conflict*\n");
  CHECK_FALSE(copies.ignored("plan (conflict bert 2026-11-21 12.30.05).txt", false));
  CHECK(copies.ignored("a film (conflict of laws).mkv", false));
}

}  // namespace
}  // namespace lansync
