// Where a node's control socket is: DIR/.lansync/control.sock, or, on a file system without
// sockets, a private directory that DIR/.lansync/control.path names.
//
// A path too long for sockaddr_un (107 bytes) is reached through /proc/self/fd/N/control.sock, so
// that a long DIR needs no other place. Used by ControlServer and ControlClient; blocking, short.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "base/result.h"

namespace lansync {

// A socket bound and listening, close-on-exec, non-blocking.
struct ControlListener {
  int fd = -1;
  std::string path;         // of the socket
  std::string pointer;      // of the control.path file; "" if none
  std::string private_dir;  // made for the socket, to be removed with it; "" if none
  std::uint64_t inode = 0;  // of the socket: what stands there later may be another node's
};

// Where sockets go when DIR cannot hold one: $XDG_RUNTIME_DIR if that is set.
using RuntimeDir = std::optional<std::string>;

// Removes what a dead node left. Requires: the caller holds the lock of `dir`, so no live node's
// socket is removed; DIR/.lansync exists. `avoid_dir` is for tests: behave as where no socket can
// be made.
Result<ControlListener> listen_control(const std::string& dir, const RuntimeDir& runtime_dir,
                                       bool avoid_dir = false);
// A second one, for a node whose folder was moved or removed with the socket in it: where
// connect_control(dir) looks when nothing is in `dir`. `dir` as the node knows it: without links.
Result<ControlListener> listen_refuge(const std::string& dir, const RuntimeDir& runtime_dir);
void close_control(const ControlListener& listener);
// Whether who looks in `dir` still finds it: not if the folder was moved, or the socket removed.
bool is_in_place(const ControlListener& listener);

// A connected, close-on-exec, blocking socket. kNotFound: no node runs there. kDenied: not ours.
// Of a node whose folder or socket is gone, its refuge.
Result<int> connect_control(const std::string& dir);
// The same, within some seconds also if the disk of `dir` does not answer (kBusy): whoever looks a
// path up there stands still. A node whose disk it is listens at its refuge meanwhile.
Result<int> connect_control_in_time(const std::string& dir);
// A node that had `dir` runs, and has its refuge.
bool has_refuge(const std::string& dir);

}  // namespace lansync
