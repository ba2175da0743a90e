// A keylog, as lansync-sniff reads it: what is a line of one is written again the same, all else is
// counted, and what was read is found.
#include <string>

#include "fuzz/fuzz_check.h"
#include "sniff/keylog.h"
#include "transport/key_schedule.h"

using namespace lansync;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  sniff::Keylog log;
  log.add(text);
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    const std::string line = text.substr(begin, end - begin);
    begin = end + 1;
    auto keys = parse_keylog_line(line);
    if (!keys) continue;
    auto again = parse_keylog_line(keylog_line(*keys));
    FUZZ_CHECK(again.has_value());
    FUZZ_CHECK(keylog_line(*again) == keylog_line(*keys));
    FUZZ_CHECK(log.find(keys->ra, keys->rb) != nullptr);
  }
  return 0;
}
