#include "sim/seed_runner.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cinttypes>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <optional>
#include <sstream>
#include <utility>

#include "base/log.h"
#include "sim/scenario.h"

namespace lansync::sim {
namespace {

// Far above what any scenario takes, for one that never ends: a node whose turn does not return.
constexpr unsigned kSecondsForOne = 300;

std::string hex(std::uint64_t number) {
  char text[17];
  std::snprintf(text, sizeof text, "%016" PRIx64, number);
  return text;
}

std::string repeat_line(std::uint64_t seed) {
  return str("repeat with: lansync-sim --seed ", seed, " --verbose\n");
}

// In the child: the outcome goes into the pipe, then it is over.
[[noreturn]] void run_one(std::uint64_t seed, const SeedRunOptions& options, int out) {
  alarm(kSecondsForOne);
  std::function<void(const std::string&)> trace;
  if (options.verbose) trace = [](const std::string& line) { std::puts(line.c_str()); };
  const ScenarioResult result = run_scenario(seed, trace, options.datagrams);
  std::fflush(stdout);
  std::string text = str("seed ", seed, ": ", result.passed ? "ok" : "FAILED", ": ", result.summary,
                         ", ", result.virtual_ms, " ms of virtual time, ", result.datagrams,
                         " datagrams, trace ", hex(result.trace_hash), "\n");
  if (!result.passed) text += result.verdict;
  text.insert(0, result.passed ? "+" : "-");
  for (std::size_t at = 0; at < text.size();) {
    const ssize_t wrote = ::write(out, text.data() + at, text.size() - at);
    if (wrote < 0) break;
    at += static_cast<std::size_t>(wrote);
  }
  _exit(0);
}

struct Child {
  std::uint64_t seed = 0;
  pid_t pid = -1;
  int pipe = -1;
  std::string said;
};

std::optional<Child> start(std::uint64_t seed, const SeedRunOptions& options) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return std::nullopt;
  std::fflush(stdout);
  const pid_t pid = fork();
  if (pid == 0) {
    close(ends[0]);
    run_one(seed, options, ends[1]);
  }
  close(ends[1]);
  if (pid < 0) {
    close(ends[0]);
    return std::nullopt;
  }
  return Child{seed, pid, ends[0], {}};
}

// True: it said all that it had to say.
bool read_some(Child& child) {
  char buffer[65536];
  const ssize_t got = ::read(child.pipe, buffer, sizeof buffer);
  if (got < 0) return errno != EINTR;
  child.said.append(buffer, static_cast<std::size_t>(got));
  return got == 0;
}

SeedOutcome end(Child& child) {
  close(child.pipe);
  int status = 0;
  while (waitpid(child.pid, &status, 0) < 0 && errno == EINTR) {
  }
  SeedOutcome outcome;
  if (!child.said.empty() && WIFEXITED(status)) {
    outcome.passed = child.said[0] == '+';
    outcome.text = child.said.substr(1);
  } else if (WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM) {
    outcome.text =
        str("seed ", child.seed, ": FAILED: not over after ", kSecondsForOne, " seconds\n");
  } else if (WIFSIGNALED(status)) {
    outcome.text = str("seed ", child.seed,
                       ": FAILED: a node ended the process: ", strsignal(WTERMSIG(status)), "\n");
  } else {
    outcome.text = str("seed ", child.seed, ": FAILED: the process ended with exit code ",
                       WIFEXITED(status) ? WEXITSTATUS(status) : -1, "\n");
  }
  if (!outcome.passed) outcome.text += repeat_line(child.seed);
  return outcome;
}

// The outcomes in the order of seeds, whichever is over first.
class InOrder {
 public:
  InOrder(std::uint64_t first, std::function<bool(std::uint64_t, const SeedOutcome&)> done)
      : next_(first), done_(std::move(done)) {}
  bool take(std::uint64_t seed, SeedOutcome outcome) {
    waiting_.emplace(seed, std::move(outcome));
    bool more = true;
    while (!waiting_.empty() && waiting_.begin()->first == next_) {
      more = done_(next_, waiting_.begin()->second) && more;
      waiting_.erase(waiting_.begin());
      ++next_;
    }
    return more;
  }

 private:
  std::uint64_t next_;
  std::function<bool(std::uint64_t, const SeedOutcome&)> done_;
  std::map<std::uint64_t, SeedOutcome> waiting_;
};

}  // namespace

void run_seeds(const SeedRange& range, const SeedRunOptions& options,
               const std::function<bool(std::uint64_t, const SeedOutcome&)>& done) {
  const auto began = std::chrono::steady_clock::now();
  const auto in_time = [&] {
    return options.seconds == 0 ||
           std::chrono::steady_clock::now() - began < std::chrono::seconds(options.seconds);
  };
  InOrder outcomes(range.first, done);
  std::vector<Child> children;
  std::uint64_t next = range.first;
  bool more = true;
  const auto may_begin = [&] { return more && next <= range.last && next >= range.first; };
  for (;;) {
    while (may_begin() && in_time() && children.size() < options.jobs) {
      auto child = start(next, options);
      if (!child) {
        more = outcomes.take(next, {false, str("seed ", next, ": FAILED: no process for it\n")});
      } else {
        children.push_back(std::move(*child));
      }
      if (next++ == range.last) more = false;
    }
    if (children.empty()) return;
    std::vector<pollfd> waits;
    for (const Child& child : children) waits.push_back({child.pipe, POLLIN, 0});
    if (poll(waits.data(), waits.size(), -1) < 0) continue;
    for (std::size_t i = children.size(); i-- > 0;) {
      if (waits[i].revents == 0 || !read_some(children[i])) continue;
      const std::uint64_t seed = children[i].seed;
      more = outcomes.take(seed, end(children[i])) && more;
      children.erase(children.begin() + static_cast<std::ptrdiff_t>(i));
    }
  }
}

bool read_known_seeds(const std::string& path, KnownSeeds& known, std::string& error) {
  std::ifstream file(path);
  if (!file.good()) {
    error = str("cannot read ", path);
    return false;
  }
  int number = 0;
  for (std::string line; std::getline(file, line);) {
    ++number;
    if (line.empty() || line[0] == '#') continue;
    std::istringstream fields(line);
    std::uint64_t seed = 0;
    KnownSeed entry;
    fields >> seed >> entry.id;
    std::getline(fields >> std::ws, entry.words);
    if (fields.bad() || entry.id.empty() || entry.words.empty()) {
      error = str(path, ":", number, ": a line is a seed, an id and what is wrong: ", line);
      return false;
    }
    known[seed] = std::move(entry);
  }
  return true;
}

}  // namespace lansync::sim
