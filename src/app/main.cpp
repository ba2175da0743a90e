// The program: parses the command line, then runs a node or asks one.
#include <sys/random.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <iostream>
#include <thread>

#include "app/commands.h"
#include "app/options.h"
#include "app/run_node.h"
#include "base/assert.h"

namespace {

// For genpass: a process that makes one password and no node needs nothing of platform.
class KernelRandom final : public lansync::RandomSource {
 public:
  void fill(std::span<std::uint8_t> out) override {
    while (!out.empty()) {
      ssize_t count = getrandom(out.data(), out.size(), 0);
      if (count < 0 && errno == EINTR) continue;
      LS_ASSERT(count > 0);
      out = out.subspan(static_cast<std::size_t>(count));
    }
  }
};

// Until the loop hears signals: a node that has told nobody of itself yet has no goodbye to say.
void end_quietly(int) { _exit(0); }

void hear_signals(void (*handler)(int)) {
  for (int number : {SIGINT, SIGTERM, SIGHUP}) std::signal(number, handler);
}

}  // namespace

int main(int argc, char** argv) {
  using namespace lansync;
  hear_signals(end_quietly);
  // A reader that goes away (`lansync status | head`) is seen as a write error, not as a signal.
  std::signal(SIGPIPE, SIG_IGN);
  std::vector<std::string> arguments(argv + std::min(argc, 1), argv + argc);
  ParsedCommandLine parsed = parse_command_line(arguments, process_environment());
  if (!parsed.command) {
    std::cout << parsed.out << std::flush;
    if (!parsed.error.empty()) std::cerr << "lansync: " << parsed.error << '\n';
    const bool json = std::find(arguments.begin(), arguments.end(), "--json") != arguments.end();
    if (json && !parsed.error.empty())
      std::cout << error_document(parsed.error, parsed.exit_code) << std::endl;
    return parsed.exit_code;
  }
  if (parsed.command->command == "run") return run_node(parsed.command->run);
  hear_signals(SIG_DFL);
  KernelRandom random;
  CommandStreams streams{std::cout, std::cerr, isatty(STDOUT_FILENO) != 0, [] {
                           std::this_thread::sleep_for(std::chrono::seconds(1));
                           return static_cast<bool>(std::cout);
                         }};
  if (isatty(STDIN_FILENO) != 0 && streams.terminal) {
    streams.ask = [](const std::string& question) {
      std::cout << question << std::flush;
      std::string line;
      std::getline(std::cin, line);
      return line;
    };
  }
  if (isatty(STDERR_FILENO) != 0) {
    streams.progress = [](const std::string& line) {
      std::cerr << "\r\x1b[K" << line << std::flush;
    };
  }
  return run_command(*parsed.command, random, streams);
}
