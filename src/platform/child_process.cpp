#include "platform/child_process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>

#include "platform/posix.h"

namespace lansync {
namespace {

struct Child {
  pid_t pid = -1;
  UniqueFd output;
};

std::string find_program(const std::string& name) {
  for (const char* directory : {"/usr/sbin/", "/usr/bin/", "/sbin/", "/bin/"}) {
    std::string path = directory + name;
    if (::access(path.c_str(), X_OK) == 0) return path;
  }
  return {};
}

Child start(const std::string& path, const std::vector<std::string>& command) {
  Child child;
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return child;
  UniqueFd read_end(ends[0]);
  UniqueFd write_end(ends[1]);
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  if (::posix_spawn_file_actions_init(&actions) != 0) return child;
  if (::posix_spawnattr_init(&attributes) != 0) {
    ::posix_spawn_file_actions_destroy(&actions);
    return child;
  }
  ::posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  ::posix_spawn_file_actions_adddup2(&actions, write_end.get(), 1);
  ::posix_spawn_file_actions_adddup2(&actions, write_end.get(), 2);
  // ENet opens its socket without CLOEXEC: a child that lives a little longer would keep the port.
  ::posix_spawn_file_actions_addclosefrom_np(&actions, 3);
  sigset_t defaults;
  ::sigemptyset(&defaults);
  for (int number : {SIGPIPE, SIGINT, SIGTERM, SIGHUP}) ::sigaddset(&defaults, number);
  sigset_t mask;
  ::sigemptyset(&mask);
  ::posix_spawnattr_setsigdefault(&attributes, &defaults);
  ::posix_spawnattr_setsigmask(&attributes, &mask);
  ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
  std::vector<char*> arguments;
  for (const std::string& part : command) arguments.push_back(const_cast<char*>(part.c_str()));
  arguments.push_back(nullptr);
  char language[] = "LC_ALL=C";
  char where[] = "PATH=/usr/sbin:/usr/bin:/sbin:/bin";
  std::array<char*, 3> environment{language, where, nullptr};
  pid_t pid = -1;
  if (::posix_spawn(&pid, path.c_str(), &actions, &attributes, arguments.data(),
                    environment.data()) == 0) {
    child.pid = pid;
    child.output = std::move(read_end);
  }
  ::posix_spawnattr_destroy(&attributes);
  ::posix_spawn_file_actions_destroy(&actions);
  return child;
}

// False at its end.
bool take_some(Child& child, ChildOutput& out) {
  std::array<char, 16384> buffer;
  ssize_t size = ::read(child.output.get(), buffer.data(), buffer.size());
  if (size < 0) return errno == EINTR || errno == EAGAIN;
  std::size_t room = kMaxChildOutput - out.text.size();
  out.text.append(buffer.data(), std::min(room, static_cast<std::size_t>(size)));
  return size > 0;
}

}  // namespace

std::vector<ChildOutput> run_children(const std::vector<std::vector<std::string>>& commands,
                                      Duration limit) {
  const auto end = std::chrono::steady_clock::now() + limit;
  std::vector<ChildOutput> outputs(commands.size());
  std::vector<Child> children(commands.size());
  for (std::size_t i = 0; i < commands.size(); ++i) {
    std::string path = commands[i].empty() ? std::string() : find_program(commands[i][0]);
    if (!path.empty()) children[i] = start(path, commands[i]);
    outputs[i].found = children[i].pid > 0;
  }
  for (;;) {
    std::vector<pollfd> waiting;
    std::vector<std::size_t> whose;
    for (std::size_t i = 0; i < children.size(); ++i) {
      if (!children[i].output.valid()) continue;
      waiting.push_back({children[i].output.get(), POLLIN, 0});
      whose.push_back(i);
    }
    auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
        end - std::chrono::steady_clock::now());
    if (waiting.empty() || left.count() <= 0) break;
    if (::poll(waiting.data(), waiting.size(), static_cast<int>(left.count())) <= 0) continue;
    for (std::size_t i = 0; i < waiting.size(); ++i) {
      if (waiting[i].revents == 0) continue;
      if (!take_some(children[whose[i]], outputs[whose[i]])) children[whose[i]].output = UniqueFd();
    }
  }
  for (std::size_t i = 0; i < children.size(); ++i) {
    if (children[i].pid <= 0) continue;
    int status = 0;
    pid_t ended = 0;
    // Its output is at its end, so it is about to go; one that is not has used up its time.
    while ((ended = ::waitpid(children[i].pid, &status, WNOHANG)) == 0 &&
           std::chrono::steady_clock::now() < end) {
      ::poll(nullptr, 0, 2);
    }
    if (ended == 0) {
      ::kill(children[i].pid, SIGKILL);
      while (::waitpid(children[i].pid, &status, 0) < 0 && errno == EINTR) {
      }
    }
    if (WIFEXITED(status)) outputs[i].exit_code = WEXITSTATUS(status);
  }
  return outputs;
}

}  // namespace lansync
