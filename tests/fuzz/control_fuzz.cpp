// A line on the control socket: whatever it is, it is answered by one document that is JSON, or a
// command runs that is answered later.
#include <string>

#include "app/control_commands.h"
#include "app/options.h"
#include "fuzz/fuzz_check.h"
#include "unit/app/fake_node.h"

using namespace lansync;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string line(reinterpret_cast<const char*>(data), size);
  FakeNode node;
  int answers = 0;
  StartedCommand started =
      start_command(node, line,
                    ControlReply(
                        [&](const Json& document) {
                          ++answers;
                          FUZZ_CHECK(document.contains("ok"));
                          FUZZ_CHECK(Json::parse(json_line(document), nullptr, false).is_object());
                          const bool good = document["ok"].get<bool>();
                          FUZZ_CHECK(good == document.contains("result"));
                          if (!good) FUZZ_CHECK(document["exit"].get<int>() != kExitDone);
                        },
                        [](const Json& document, const ControlReply::Taken& taken) {
                          FUZZ_CHECK(Json::parse(json_line(document), nullptr, false).is_object());
                          if (taken) taken();
                        }));
  FUZZ_CHECK(answers <= 1);
  FUZZ_CHECK(answers == 1 || started.token != 0);
  return 0;
}
