// What this machine says about itself: for names shown to people, and for telling a cloned disk
// from the original (DESIGN, Identity). Read once at start, by app.
#pragma once

#include <cstdint>
#include <string>

namespace lansync {

struct MachineFacts {
  std::string machine_id;  // /etc/machine-id; empty where there is none (some containers)
  std::string kernel_boot_id;
  std::string hostname;  // short, never empty
  std::uint32_t uid = 0;
  unsigned cpus = 1;
  // Limits that doctor and the watcher's messages quote; -1 where not told.
  std::int64_t inotify_watches = -1;
  std::int64_t inotify_instances = -1;
  std::int64_t inotify_queue = -1;
  std::int64_t socket_receive_max = -1;  // net.core.rmem_max
  std::int64_t socket_send_max = -1;
};

MachineFacts read_machine_facts();
// A number in /proc/sys, "fs/inotify/max_user_watches"; -1 if it cannot be read.
std::int64_t read_kernel_setting(const std::string& name);
// Raises the soft limit of open files to the hard one (many systems say 1024). Returns the limit.
std::uint64_t raise_open_file_limit();

}  // namespace lansync
