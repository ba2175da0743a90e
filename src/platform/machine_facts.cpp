#include "platform/machine_facts.h"

#include <sys/resource.h>
#include <unistd.h>

#include <array>
#include <charconv>
#include <thread>

#include "platform/posix.h"

namespace lansync {
namespace {

std::string first_line_of(const std::string& path) {
  auto text = read_small_file(path, 4096);
  return text ? text->substr(0, text->find('\n')) : std::string();
}

std::string short_hostname() {
  std::array<char, 256> name{};
  if (::gethostname(name.data(), name.size() - 1) != 0) return "unnamed";
  std::string text(name.data());
  text = text.substr(0, text.find('.'));
  return text.empty() ? "unnamed" : text;
}

}  // namespace

std::int64_t read_kernel_setting(const std::string& name) {
  std::string text = first_line_of("/proc/sys/" + name);
  std::int64_t value = -1;
  auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), value);
  return failed == std::errc() && end == text.data() + text.size() ? value : -1;
}

MachineFacts read_machine_facts() {
  MachineFacts facts;
  facts.machine_id = first_line_of("/etc/machine-id");
  facts.kernel_boot_id = first_line_of("/proc/sys/kernel/random/boot_id");
  facts.hostname = short_hostname();
  facts.uid = ::geteuid();
  facts.cpus = std::max(1u, std::thread::hardware_concurrency());
  facts.inotify_watches = read_kernel_setting("fs/inotify/max_user_watches");
  facts.inotify_instances = read_kernel_setting("fs/inotify/max_user_instances");
  facts.inotify_queue = read_kernel_setting("fs/inotify/max_queued_events");
  facts.socket_receive_max = read_kernel_setting("net/core/rmem_max");
  facts.socket_send_max = read_kernel_setting("net/core/wmem_max");
  return facts;
}

std::uint64_t raise_open_file_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return 0;
  rlimit wanted{limit.rlim_max, limit.rlim_max};
  if (limit.rlim_cur < limit.rlim_max && ::setrlimit(RLIMIT_NOFILE, &wanted) == 0)
    return wanted.rlim_cur;
  return limit.rlim_cur;
}

}  // namespace lansync
