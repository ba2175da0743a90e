#include "app/run_node.h"

#include <unistd.h>

#include <iostream>

#include "app/environment.h"
#include "app/first_screen.h"
#include "app/running_node.h"
#include "app/terminal_view.h"
#include "platform/spdlog_log.h"

namespace lansync {
namespace {

int fail(const Error& error) {
  std::cerr << "lansync: " << error.detail << '\n';
  return 1;
}

}  // namespace

int run_node(const RunOptions& options) {
  Environment environment = process_environment();
  auto log = SpdlogLog::create(options.log_level, options.log_file);
  if (!log) return fail(log.error());
  for (const std::string& warning : options.warnings) (*log)->warn(warning);
  auto running = RunningNode::open(options, environment, **log);
  if (!running) return fail(running.error());
  std::cerr << first_screen(options) << std::flush;
  std::unique_ptr<TerminalView> view;
  if (TerminalView::can_start(STDOUT_FILENO, environment)) {
    view = std::make_unique<TerminalView>(STDOUT_FILENO, environment);
    TerminalView* shown = view.get();
    (*log)->set_tap(
        [shown](LogLevel level, std::string_view line) { shown->add_log_line(level, line); });
  }
  int code = (*running)->run(view.get());
  (*log)->set_tap(nullptr);
  view.reset();
  running->reset();
  return code;
}

}  // namespace lansync
