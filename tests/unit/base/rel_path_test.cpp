#include "base/rel_path.h"

#include <string>
#include <vector>

#include "support/catch.h"

using namespace lansync;

namespace {

std::string repeated(const std::string& part, std::size_t times, char between) {
  std::string out;
  for (std::size_t i = 0; i < times; ++i) {
    if (i > 0) out += between;
    out += part;
  }
  return out;
}

}  // namespace

TEST_CASE("a name that stays below the folder is accepted") {
  const std::vector<std::string> good = {
      "a",
      "a/b",
      "a b",
      ".hidden",
      "..a",
      "a..",
      "...",
      ".lansyncignore",
      ".lansync2/x",
      "trailing.",
      "trailing ",
      "back\\slash",
      "c:colon",
      "-rf",
      "caf\xC3\xA9",
      "\xE2\x82\xAC",
      "\xF0\x9F\x98\x80",
      "\xF4\x8F\xBF\xBF",
      "\xC2\xA0",
      std::string(255, 'x'),
      repeated("a", kMaxPathDepth, '/'),
      // 15 parts of 255, 15 slashes and 255 more: exactly 4095 bytes.
      repeated(std::string(255, 'y'), 16, '/'),
  };
  for (const std::string& path : good) {
    INFO(path);
    CHECK(broken_path_rule(path) == nullptr);
    CHECK(validate_relpath(path).has_value());
  }
}

TEST_CASE("a name that could leave the folder, or drive a terminal, is refused with the rule") {
  struct Row {
    std::string path;
    std::string rule;
  };
  const std::vector<Row> bad = {
      {"", "is empty"},
      {"/", "is absolute"},
      {"/etc/x", "is absolute"},
      {"..", "has a part . or .."},
      {".", "has a part . or .."},
      {"../x", "has a part . or .."},
      {"a/../../x", "has a part . or .."},
      {"a/./b", "has a part . or .."},
      {"a/..", "has a part . or .."},
      {"a//b", "has an empty part"},
      {"a/", "has an empty part"},
      {std::string("a\0b", 3), "has a control byte"},
      {std::string("\0", 1), "has a control byte"},
      {"a\nb", "has a control byte"},
      {"\x1b[2J", "has a control byte"},
      {"a\x7f", "has a control byte"},
      {"a\xC2\x9B"
       "2J",
       "has a control byte"},
      {"\xFF", "is not valid UTF-8"},
      {"\xC3", "is not valid UTF-8"},
      {"\xC0\xAF", "is not valid UTF-8"},
      {"\xE0\x80\xAF", "is not valid UTF-8"},
      {"\xED\xA0\x80", "is not valid UTF-8"},
      {"\xF4\x90\x80\x80", "is not valid UTF-8"},
      {"\xF0\x80\x80\x80", "is not valid UTF-8"},
      {"a\xE2\x82", "is not valid UTF-8"},
      {"a\xE2\x82/b", "is not valid UTF-8"},
      {"\x80", "is not valid UTF-8"},
      {".lansync", "is within .lansync"},
      {".lansync/index.db", "is within .lansync"},
      {"a/.lansync", "is within .lansync"},
      {"a/.lansync/b", "is within .lansync"},
      {std::string(256, 'x'), "has a part of more than 255 bytes"},
      {"a/" + std::string(256, 'x'), "has a part of more than 255 bytes"},
      {repeated(std::string(255, 'y'), 15, '/') + "/" + std::string(254, 'y') + "/z",
       "is longer than 4095 bytes"},
      {std::string(5000, 'x'), "is longer than 4095 bytes"},
      {repeated("a", kMaxPathDepth + 1, '/'), "is more than 64 directories deep"},
  };
  for (const Row& row : bad) {
    INFO(row.path << " should be refused: " << row.rule);
    const char* rule = broken_path_rule(row.path);
    REQUIRE(rule != nullptr);
    CHECK(std::string(rule) == row.rule);
    Status status = validate_relpath(row.path);
    REQUIRE_FALSE(status.has_value());
    CHECK(status.error().code == ErrorCode::kRefused);
    CHECK(status.error().detail.find(row.rule) != std::string::npos);
  }
}

TEST_CASE("the error about a hostile name shows it escaped") {
  Status status = validate_relpath("x\x1b[2J");
  REQUIRE_FALSE(status.has_value());
  CHECK(status.error().detail.find('\x1b') == std::string::npos);
  CHECK(status.error().detail.find("x\\x1b[2J") != std::string::npos);
}

TEST_CASE("a path splits into its parent and its last part") {
  CHECK(parent_path("a/b/c") == "a/b");
  CHECK(parent_path("a") == "");
  CHECK(parent_path("") == "");
  CHECK(last_part("a/b/c") == "c");
  CHECK(last_part("a") == "a");
  CHECK(last_part("") == "");
}

TEST_CASE("a sibling with the same beginning is not within a directory") {
  CHECK(is_within("a/b", "a"));
  CHECK(is_within("a", "a"));
  CHECK(is_within("a", ""));
  CHECK(is_within("", ""));
  CHECK(is_within("a/b/c", "a/b"));
  CHECK_FALSE(is_within("ab", "a"));
  CHECK_FALSE(is_within("a", "a/b"));
  CHECK_FALSE(is_within("", "a"));
}
TEST_CASE("what some disk takes for .lansync or .lansyncignore is no name, on any disk") {
  for (const char* name :
       {".LANSYNC", ".Lansync", ".lansync.", ".lansync ", ".lansync. .", ".lan\xC5\xBFync",
        ".\xEF\xBD\x8C"
        "ansync",
        ".lan\xE2\x80\x8Csync", "LANSYN~1", "lansyn~12", "notes/.LANSYNC", ".LANSYNC/config.toml",
        ".LanSyncIgnore", ".lansyncignore."}) {
    INFO(name);
    CHECK_FALSE(validate_relpath(name));
  }
  for (const char* name : {".lansyncignore", "lansync", "LANSYNC", ".lansync2", ".lansyncs",
                           "lansyn~", "lansyn~1a", "notes/.LanSyncIgnore", ".lansyncignore.txt",
                           ".l\xC3\xA4nsync", "\xE6\x97\xA5\xE6\x9C\xAC"}) {
    INFO(name);
    CHECK(validate_relpath(name));
  }
}
