// A fake node with its control socket on a thread of its own, and what a command says to it.
#pragma once

#include <asio.hpp>
#include <future>
#include <memory>
#include <sstream>
#include <string>
#include <thread>

#include "app/commands.h"
#include "app/control_client.h"
#include "app/control_socket.h"
#include "support/catch.h"
#include "unit/app/fake_node.h"

namespace lansync {

class NoLog final : public Log {
 public:
  void write(LogLevel, std::string_view) override {}
};

// A fake node with its control socket, on a thread of its own.
class RunningNode {
 public:
  explicit RunningNode(const std::string& dir, ControlServer::Limits limits = {}) {
    // As a node that stops: its end of the socket closes.
    node.on_stop = [this] { asio::post(io_, [this] { server_.reset(); }); };
    auto opened = ControlServer::open(io_, node, log_, dir, std::nullopt, limits);
    REQUIRE(opened);
    server_ = std::move(*opened);
    thread_ = std::thread([this] { io_.run(); });
  }
  ~RunningNode() {
    on_loop([this] { server_.reset(); });
    work_.reset();
    io_.stop();
    thread_.join();
  }
  // Runs `what` on the node's thread and waits for it: a task of the loop comes after those before.
  template <typename Function>
  std::invoke_result_t<Function> on_loop(Function what) {
    std::packaged_task<std::invoke_result_t<Function>()> task(what);
    auto result = task.get_future();
    asio::post(io_, [&task] { task(); });
    return result.get();
  }
  // Asks on the node's thread until it is so; each question is a turn of its loop.
  template <typename Condition>
  bool eventually(Condition condition) {
    for (int i = 0; i < 200'000; ++i) {
      if (on_loop(condition)) return true;
      std::this_thread::yield();
    }
    return false;
  }
  ControlServer* server() { return server_.get(); }
  FakeNode node;

 private:
  NoLog log_;
  asio::io_context io_;
  asio::executor_work_guard<asio::io_context::executor_type> work_ = asio::make_work_guard(io_);
  std::unique_ptr<ControlServer> server_;
  std::thread thread_;
};

struct Outcome {
  int code;
  std::string out;
  std::string error;
};

inline CommandLine command_in(const std::string& dir, const std::string& name, bool json = false) {
  CommandLine command;
  command.command = name;
  command.dir = dir;
  command.json = json;
  return command;
}

inline Outcome run(const CommandLine& command) {
  Prng random(1);
  std::ostringstream out;
  std::ostringstream error;
  CommandStreams streams{out, error, false, {}};
  int code = run_command(command, random, streams);
  return {code, out.str(), error.str()};
}

inline Outcome run(const std::string& dir, const std::string& name, bool json = false) {
  return run(command_in(dir, name, json));
}

}  // namespace lansync
