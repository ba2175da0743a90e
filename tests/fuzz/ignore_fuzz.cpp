// .lansyncignore, which any member may have written: any text is rules within the bounds, what is
// below an excluded directory is excluded, and the file itself never is.
#include <string>

#include "fuzz/fuzz_check.h"
#include "sync/ignore_rules.h"

using namespace lansync;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  const IgnoreRules rules = IgnoreRules::parse(text);
  FUZZ_CHECK(rules.size() <= IgnoreRules::kMaxPatterns + 64);  // and the built-in ones
  FUZZ_CHECK(!rules.ignored(IgnoreRules::kFileName, false));
  FUZZ_CHECK(rules.ignored(".lansync", true));
  for (const char* path : {"a", "a/b", "a/b/c.txt", "build/x", "[a]", "a*b", "\\", "x/**/y"}) {
    const bool directory = rules.ignored(path, true);
    if (rules.ignored_here(path, true)) FUZZ_CHECK(directory);
    if (directory) FUZZ_CHECK(rules.ignored(std::string(path) + "/below", false));
  }
  return 0;
}
