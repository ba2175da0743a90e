#include "app/run_node.h"

#include <malloc.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <iostream>

#include "app/control_path.h"
#include "app/environment.h"
#include "app/first_screen.h"
#include "app/running_node.h"
#include "app/terminal_view.h"
#include "base/log.h"
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

// A core file holds the group's password, the node's key and those of all sessions, and is often
// sent away by the machine's crash reporter. What is lost: another program of the same user cannot
// attach a debugger either, root still can. LANSYNC_DUMPABLE=1 is for whoever debugs lansync.
void forbid_core_files(const Environment& environment) {
  if (!environment.variable("LANSYNC_DUMPABLE")) (void)::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
}

// It was read. The tools that `doctor` asks are our children, and need not inherit it.
void forget_password_variable() {
  if (char* value = std::getenv("LANSYNC_PASSWORD")) {
    std::fill(value, value + std::strlen(value), '\0');
    ::unsetenv("LANSYNC_PASSWORD");
  }
}

}  // namespace

int run_node(const RunOptions& options) {
  tune_allocator();
  Environment environment = process_environment();
  forbid_core_files(environment);
  forget_password_variable();
  auto log = SpdlogLog::create(options.log_level, options.log_file);
  if (!log) return fail(log.error());
  // The first screen says them on stderr; a log file would not have them.
  if (!options.log_file.empty()) {
    for (const std::string& warning : options.warnings) (*log)->warn(warning);
  }
  // The folder of a running node that was moved or removed: another of that name beside it would
  // have the group's files twice, or none.
  if (has_refuge(options.dir)) {
    const std::string dir = printable(options.dir, 500);
    return fail({ErrorCode::kBusy, str("the node that has ", dir,
                                       " still runs, and its folder was moved or removed: put it "
                                       "back, or end that node first: lansync -C ",
                                       dir, " stop")});
  }
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
