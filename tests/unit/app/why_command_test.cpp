#include "app/why_command.h"

#include "base/log.h"
#include "support/catch.h"
#include "sync/ignore_rules.h"

namespace lansync {
namespace {

// The lines that an advice names, between back quotes.
std::string lines_of(const std::string& advice) {
  std::string lines;
  for (std::size_t from = advice.find('`'); from != std::string::npos;) {
    const std::size_t end = advice.find('`', from + 1);
    lines += advice.substr(from + 1, end - from - 1) + '\n';
    from = advice.find('`', end + 1);
  }
  return lines;
}

TEST_CASE("what is advised for an ignored path brings it back, and nothing else beside it") {
  struct Row {
    const char* rules;
    const char* path;
    const char* beside;
  };
  for (const Row& row : {Row{"*.o\n", "a/x.o", "a/y.o"}, Row{"/build/\n", "build/o", "build/p"},
                         Row{"build\n", "a/build/b/o", "a/build/b/p"},
                         Row{"/build/\n*.o\n", "build/a/x.o", "build/a/y.o"},
                         Row{"*.txt", "a [1] *.txt", "a 1 b.txt"}}) {
    INFO(row.rules << ' ' << row.path);
    REQUIRE(IgnoreRules::parse(row.rules).ignored(row.path, false));
    const std::string advice = advice_on_ignored(row.rules, row.path, false);
    INFO(advice);
    const IgnoreRules after = IgnoreRules::parse(str(row.rules, '\n', lines_of(advice)));
    CHECK_FALSE(after.ignored(row.path, false));
    CHECK(after.ignored(row.beside, false));
  }
}

}  // namespace
}  // namespace lansync
