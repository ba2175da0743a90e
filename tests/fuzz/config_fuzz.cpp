// config.toml and the command line: any text is taken or refused in one printable line.
#include <string>

#include "app/options.h"
#include "app/settings.h"
#include "fuzz/fuzz_check.h"

using namespace lansync;

namespace {

void check_line(const std::string& line) {
  FUZZ_CHECK(!line.empty());
  for (char c : line) FUZZ_CHECK(static_cast<unsigned char>(c) >= 0x20 && c != 0x7f);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  auto parsed = parse_config(text, "config.toml");
  if (!parsed) {
    check_line(parsed.error().detail);
  } else {
    for (const auto& [key, values] : *parsed) FUZZ_CHECK(find_setting(key) != nullptr);
  }
  // The same bytes as arguments, one a line; a folder that is not there, so that no file is read.
  std::vector<std::string> arguments{"-C", "/nonexistent/lansync-fuzz"};
  std::string word;
  for (char c : text) {
    if (c != '\n') {
      word += c;
      continue;
    }
    if (word.find("-file") == std::string::npos) arguments.push_back(word);
    word.clear();
    if (arguments.size() > 32) break;
  }
  Environment environment;
  environment.variable = [](const std::string&) { return std::optional<std::string>(); };
  environment.home = "/nonexistent";
  environment.current_directory = "/nonexistent";
  ParsedCommandLine line = parse_command_line(arguments, environment);
  if (!line.error.empty()) check_line(line.error);
  FUZZ_CHECK(line.command.has_value() || line.exit_code != 0 || !line.out.empty());
  return 0;
}
