#include "sync/conflict_name.h"

#include "base/random.h"
#include "base/rel_path.h"
#include "support/catch.h"

namespace lansync {
namespace {

const WallTime kTime = *parse_time("2026-11-21T12:30:05Z");

ContentId content(std::uint8_t fill) {
  ContentId id;
  id.bytes.fill(fill);
  return id;
}

std::string plain(const std::string& path, std::string_view host = "desk") {
  return conflict_name(path, host, kTime, content(0x1a), ConflictNameStep::kPlain);
}
std::string with_id(const std::string& path, std::uint8_t fill = 0x1a) {
  return conflict_name(path, "desk", kTime, content(fill), ConflictNameStep::kShortId);
}

TEST_CASE("a conflict copy is named after host and time, before the extension") {
  CHECK(plain("report.txt") == "report (conflict desk 2026-11-21 12.30.05).txt");
  CHECK(plain("a/b c/report.txt") == "a/b c/report (conflict desk 2026-11-21 12.30.05).txt");
  CHECK(plain("Makefile") == "Makefile (conflict desk 2026-11-21 12.30.05)");
  CHECK(plain(".bashrc") == ".bashrc (conflict desk 2026-11-21 12.30.05)");
  CHECK(plain("a.d/.bashrc") == "a.d/.bashrc (conflict desk 2026-11-21 12.30.05)");
  CHECK(plain(".config.json") == ".config (conflict desk 2026-11-21 12.30.05).json");
  CHECK(plain("x.tar.gz") == "x.tar (conflict desk 2026-11-21 12.30.05).gz");
  CHECK(plain("odd.") == "odd. (conflict desk 2026-11-21 12.30.05)");
  CHECK(plain("a.b/file") == "a.b/file (conflict desk 2026-11-21 12.30.05)");
}

TEST_CASE("where that name is held by other bytes, the content id makes it another") {
  CHECK(with_id("report.txt") == "report (conflict desk 2026-11-21 12.30.05 1a1a1a1a).txt");
  std::string full =
      conflict_name("report.txt", "desk", kTime, content(0x1a), ConflictNameStep::kFullId);
  CHECK(full == "report (conflict desk 2026-11-21 12.30.05 " + to_hex(content(0x1a)) + ").txt");
  CHECK(is_conflict_name(full));
}

TEST_CASE("a conflict copy that loses a conflict gets no second suffix") {
  std::string first = plain("d/report.txt", "other host");
  CHECK(plain(first) == "d/report (conflict other host 2026-11-21 12.30.05 1a1a1a1a).txt");
  CHECK(with_id(first) == plain(first));
  CHECK(with_id(with_id(first), 0x2b) ==
        "d/report (conflict other host 2026-11-21 12.30.05 2b2b2b2b).txt");
}

TEST_CASE("names of conflict copies are recognised, and what only looks like one is not") {
  CHECK(is_conflict_name(plain("report.txt")));
  CHECK(is_conflict_name(plain("Makefile")));
  CHECK(is_conflict_name(with_id("d/.bashrc")));
  CHECK(!is_conflict_name("report.txt"));
  CHECK(!is_conflict_name("report (conflict).txt"));
  CHECK(!is_conflict_name("report (conflict of interest).txt"));
  CHECK(!is_conflict_name("report (conflict desk 2026-11-21 12:30:05).txt"));
  CHECK(!is_conflict_name("report (conflict desk 2026-11-21 12.30.05) final"));
  CHECK(!is_conflict_name("report (conflict desk 2026-11-21 12.30.05"));
  CHECK(!is_conflict_name("report (conflict 2026-11-21 12.30.05).txt"));
  CHECK(!is_conflict_name(plain("directory") + "/report.txt"));
}

TEST_CASE("a host's name cannot add directories, control bytes or invalid UTF-8 to the path") {
  CHECK(plain("f", "../../etc") == "f (conflict ....etc 2026-11-21 12.30.05)");
  CHECK(plain("f", "a\x1b[31m\n(b)\x7f") == "f (conflict a[31mb 2026-11-21 12.30.05)");
  CHECK(plain("f", "\xC3\xBC\xFF\xC3") == "f (conflict \xC3\xBC 2026-11-21 12.30.05)");
  CHECK(plain("f", "\xED\xA0\x80") == "f (conflict unknown 2026-11-21 12.30.05)");
  CHECK(plain("f", "") == "f (conflict unknown 2026-11-21 12.30.05)");
}

TEST_CASE("a name that would be too long is shortened before its extension, at a character") {
  std::string umlauts;
  while (umlauts.size() < 250) umlauts += "\xC3\xBC";
  std::string name = plain(umlauts + ".txt");
  CHECK(name.size() <= kMaxPartBytes);
  CHECK(name.size() >= kMaxPartBytes - 1);
  CHECK(name.ends_with("\xC3\xBC (conflict desk 2026-11-21 12.30.05).txt"));
  CHECK(is_valid_utf8(name));
  CHECK(validate_relpath(name));
}

TEST_CASE("a path that would be too long moves up to a directory that leaves room") {
  std::string deep;
  for (int i = 0; i < 20; ++i) deep += std::string(200, 'd') + "/";
  std::string path = deep + std::string(kMaxPathBytes - deep.size(), 'f');
  REQUIRE(validate_relpath(path));
  std::string name = plain(path);
  CHECK(validate_relpath(name));
  CHECK(is_conflict_name(name));
  CHECK(name.starts_with(std::string(200, 'd') + "/"));
}

TEST_CASE("the name of any valid path, by any host, is a valid path that is recognised") {
  Prng random(11);
  const std::string alphabet[] = {"a", "b",        ".",        " ",           "(", ")",
                                  "/", "\xC3\xBC", "conflict", " (conflict ", "0", "-"};
  for (int i = 0; i < 20'000; ++i) {
    std::string path;
    std::string host;
    for (std::uint64_t n = random.below(60) + 1; n > 0; --n) path += alphabet[random.below(12)];
    for (std::uint64_t n = random.below(100); n > 0; --n)
      host += static_cast<char>(random.below(256));
    if (!validate_relpath(path)) continue;
    ContentId id = random.id<ContentId>();
    WallTime time{static_cast<std::int64_t>(random.next())};
    for (auto step :
         {ConflictNameStep::kPlain, ConflictNameStep::kShortId, ConflictNameStep::kFullId}) {
      std::string name = conflict_name(path, host, time, id, step);
      INFO(path << " -> " << name);
      const char* broken = broken_path_rule(name);
      REQUIRE(std::string(broken ? broken : "") == "");
      REQUIRE(is_conflict_name(name));
      REQUIRE(conflict_name(name, host, time, id, ConflictNameStep::kShortId).size() <= 4095);
    }
  }
}

TEST_CASE("a conflict copy's name tells file, host and time, with a content id in it or without") {
  const WallTime edited = *parse_time("2026-11-21 12:30:05");
  Prng random(12);
  const ContentId id = random.id<ContentId>();
  for (const std::string path : {"d/report.txt", "notes", "a/b/x (1).tar", "laptop 8"}) {
    for (const std::string host : {"laptop", "my 2nd box", "box 1234abcd"}) {
      for (auto step :
           {ConflictNameStep::kPlain, ConflictNameStep::kShortId, ConflictNameStep::kFullId}) {
        const std::string name = conflict_name(path, host, edited, id, step);
        INFO(name);
        const auto told = parse_conflict_name(name);
        REQUIRE(told.has_value());
        CHECK(told->of == path);
        CHECK(told->host == host);
        CHECK(told->edited == edited);
      }
    }
  }
  CHECK_FALSE(parse_conflict_name("d (conflict here)/report.txt").has_value());
  CHECK_FALSE(parse_conflict_name("report (conflict laptop yesterday).txt").has_value());
}

}  // namespace

}  // namespace lansync
