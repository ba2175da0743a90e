// The node's end of its control socket: one JSON request line per connection, one answer line.
//
// Bounds: 64 connections, 1 MiB of request, 30 s to send a request or take an answer; only the
// node's own user and root are heard. A client that goes away cancels what it asked for. Driven by
// the asio loop, on the control thread.
#pragma once

#include <cstddef>
#include <memory>
#include <string>

#include "app/control_path.h"
#include "base/log.h"
#include "base/result.h"
#include "base/time.h"
#include "roles/node_control.h"

namespace asio {
class io_context;
}

namespace lansync {

class ControlServer {
 public:
  struct Limits {
    std::size_t connections = 64;
    std::size_t request_bytes = 1024 * 1024;
    Duration idle = 30s;
  };
  // Requires: the lock of `dir` is held (see listen_control). `node` outlives the server.
  static Result<std::unique_ptr<ControlServer>> open(asio::io_context& io, NodeControl& node,
                                                     Log& log, const std::string& dir,
                                                     const RuntimeDir& runtime_dir,
                                                     const Limits& limits);
  // For a node whose folder is gone, and the socket in it (listen_refuge).
  static Result<std::unique_ptr<ControlServer>> open_refuge(asio::io_context& io, NodeControl& node,
                                                            Log& log, const std::string& dir,
                                                            const RuntimeDir& runtime_dir,
                                                            const Limits& limits);
  // Closes every connection, cancels what is under way, removes the socket.
  ~ControlServer();
  ControlServer(const ControlServer&) = delete;
  ControlServer& operator=(const ControlServer&) = delete;

  std::size_t connections() const;
  // See is_in_place: to be called by whom that may take its time.
  std::function<bool()> look_in_place() const;
  bool in_place() const { return look_in_place()(); }

 private:
  class Impl;
  static std::unique_ptr<ControlServer> serve(asio::io_context& io, NodeControl& node, Log& log,
                                              const ControlListener& listener,
                                              const Limits& limits);
  explicit ControlServer(std::shared_ptr<Impl> impl);
  std::shared_ptr<Impl> impl_;
};

}  // namespace lansync
