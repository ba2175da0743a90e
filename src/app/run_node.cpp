#include "app/run_node.h"

#include <malloc.h>
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

// Content goes through memory in blocks of 256 KB, made in one thread and given up in another. With
// glibc's defaults each is mapped and zeroed by the kernel anew: 160,000 page faults a GiB at both
// ends, 8 % of a transfer's CPU time; so 6,000. What may stay unused is 16 MiB in each of two
// arenas.
void tune_allocator() {
  mallopt(M_MMAP_THRESHOLD, 1024 * 1024);
  mallopt(M_TRIM_THRESHOLD, 16 * 1024 * 1024);
  mallopt(M_ARENA_MAX, 2);
}

}  // namespace

int run_node(const RunOptions& options) {
  tune_allocator();
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
