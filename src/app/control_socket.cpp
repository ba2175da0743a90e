#include "app/control_socket.h"

#include <sys/socket.h>
#include <unistd.h>

#include <asio.hpp>
#include <map>
#include <utility>
#include <vector>

#include "app/control_commands.h"
#include "app/options.h"

namespace lansync {
namespace {

using Socket = asio::local::stream_protocol::socket;

bool from_our_user(Socket& socket) {
  ucred peer{};
  socklen_t size = sizeof peer;
  return ::getsockopt(socket.native_handle(), SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 &&
         (peer.uid == ::geteuid() || peer.uid == 0);
}

}  // namespace

// Handlers hold a weak_ptr to the Impl: the server may end while the loop goes on.
class ControlServer::Impl : public std::enable_shared_from_this<ControlServer::Impl> {
 public:
  Impl(asio::io_context& io, NodeControl& node, Log& log, const ControlListener& listener,
       const Limits& limits)
      : io_(io),
        node_(node),
        log_(log),
        listener_(listener),
        limits_(limits),
        acceptor_(io, asio::local::stream_protocol(), listener.fd),
        retry_(io) {}

  void start() { accept(); }
  void shut_down();
  std::size_t connections() const { return connections_.size(); }
  const ControlListener& listener() const { return listener_; }

 private:
  enum class Stage { kReading, kRunning, kWriting, kEnding };
  struct Connection {
    Connection(asio::io_context& io, Socket accepted) : socket(std::move(accepted)), idle(io) {}
    Socket socket;
    asio::steady_timer idle;
    std::string in;
    std::string out;
    std::string parts;  // lines that go out while the command runs
    std::string parts_writing;
    std::vector<ControlReply::Taken> taken;  // to be told when `parts` are out
    std::vector<ControlReply::Taken> taken_writing;
    char hangup = 0;  // where the byte goes that a client should not send any more
    Stage stage = Stage::kReading;
    NodeControl::Token token = 0;
    bool starting = false;  // within start_command
    bool ends_node = false;
  };
  using Id = std::uint64_t;

  void accept();
  void take(Socket socket);
  void read(Id id);
  void run(Id id, const std::string& line);
  void watch_hangup(Id id);
  void answer(Id id, const Json& document);
  void part(Id id, const Json& document, ControlReply::Taken taken);
  void write_parts(Id id);
  void begin_write(Id id);
  void arm(Id id, Connection& connection);
  void drop(Id id);
  Connection* find(Id id) {
    auto at = connections_.find(id);
    return at == connections_.end() ? nullptr : at->second.get();
  }

  asio::io_context& io_;
  NodeControl& node_;
  Log& log_;
  ControlListener listener_;
  Limits limits_;
  asio::local::stream_protocol::acceptor acceptor_;
  asio::steady_timer retry_;
  std::map<Id, std::shared_ptr<Connection>> connections_;
  Id next_id_ = 1;
};

void ControlServer::Impl::shut_down() {
  std::error_code ignored;
  acceptor_.close(ignored);
  listener_.fd = -1;  // the acceptor's
  retry_.cancel();
  while (!connections_.empty()) drop(connections_.begin()->first);
  close_control(listener_);
}

void ControlServer::Impl::accept() {
  acceptor_.async_accept([weak = weak_from_this()](std::error_code error, Socket socket) {
    auto self = weak.lock();
    if (!self || error == asio::error::operation_aborted) return;
    if (!error) {
      self->take(std::move(socket));
      self->accept();
      return;
    }
    // Out of descriptors: accept() at once would spin.
    self->log_.warn(str("control socket: ", error.message()));
    self->retry_.expires_after(1s);
    self->retry_.async_wait([weak](std::error_code cancelled) {
      auto again = weak.lock();
      if (again && !cancelled) again->accept();
    });
  });
}

void ControlServer::Impl::take(Socket socket) {
  if (!from_our_user(socket)) {
    log_.warn("control socket: a connection of another user was refused");
    return;
  }
  std::error_code error;
  socket.non_blocking(true, error);
  if (connections_.size() >= limits_.connections) {
    // What fits into the socket's buffer is enough for one line; nobody waits for it.
    std::string line =
        json_line(error_answer(kExitFailed, "the node answers too many already: try again")) + "\n";
    socket.write_some(asio::buffer(line), error);
    return;
  }
  Id id = next_id_++;
  auto connection = std::make_shared<Connection>(io_, std::move(socket));
  connections_.emplace(id, connection);
  arm(id, *connection);
  read(id);
}

void ControlServer::Impl::read(Id id) {
  std::shared_ptr<Connection> connection = connections_.at(id);
  asio::async_read_until(
      connection->socket, asio::dynamic_buffer(connection->in, limits_.request_bytes), '\n',
      [weak = weak_from_this(), id, connection](std::error_code error, std::size_t size) {
        auto self = weak.lock();
        if (!self || !self->find(id)) return;
        if (error == asio::error::not_found) {
          self->answer(id, error_answer(kExitUsage, "the request is too long"));
        } else if (error) {
          self->drop(id);
        } else {
          std::string line = connection->in.substr(0, size - 1);
          connection->in.clear();
          self->run(id, line);
        }
      });
}

void ControlServer::Impl::run(Id id, const std::string& line) {
  Connection& connection = *find(id);
  connection.stage = Stage::kRunning;
  connection.starting = true;
  connection.idle.cancel();
  StartedCommand started = start_command(
      node_, line,
      ControlReply(
          [weak = weak_from_this(), id](const Json& document) {
            if (auto self = weak.lock()) self->answer(id, document);
          },
          [weak = weak_from_this(), id](const Json& document, ControlReply::Taken taken) {
            if (auto self = weak.lock()) self->part(id, document, std::move(taken));
          }));
  Connection* now = find(id);
  if (!now) return;
  now->starting = false;
  now->ends_node = started.ends_node;
  if (now->stage == Stage::kRunning) {
    now->token = started.token;
    watch_hangup(id);
  } else {
    begin_write(id);
  }
}

// A read that ends tells that the client went away; it has nothing more to say.
void ControlServer::Impl::watch_hangup(Id id) {
  std::shared_ptr<Connection> connection = connections_.at(id);
  connection->socket.async_read_some(
      asio::buffer(&connection->hangup, 1),
      [weak = weak_from_this(), id, connection](std::error_code error, std::size_t) {
        auto self = weak.lock();
        Connection* now = self ? self->find(id) : nullptr;
        if (!now || now->stage == Stage::kWriting) return;
        if (error)
          self->drop(id);
        else
          self->watch_hangup(id);
      });
}

void ControlServer::Impl::answer(Id id, const Json& document) {
  Connection* connection = find(id);
  if (!connection || connection->stage == Stage::kWriting) return;
  connection->stage = Stage::kWriting;
  connection->token = 0;
  connection->out = json_line(document) + "\n";
  // While start_command runs, run() writes afterwards: it knows by then whether the node ends.
  if (!connection->starting) begin_write(id);
}

void ControlServer::Impl::part(Id id, const Json& document, ControlReply::Taken taken) {
  Connection* connection = find(id);
  if (!connection || connection->stage != Stage::kRunning) return;
  // Progress that nobody has read yet is not worth a queue.
  if (!taken && !connection->parts.empty()) return;
  connection->parts += json_line(Json{{"part", document}}) + "\n";
  if (taken) connection->taken.push_back(std::move(taken));
  if (connection->parts_writing.empty()) write_parts(id);
}

void ControlServer::Impl::write_parts(Id id) {
  std::shared_ptr<Connection> connection = connections_.at(id);
  connection->parts_writing = std::exchange(connection->parts, {});
  connection->taken_writing = std::exchange(connection->taken, {});
  // No limit of time: rows that somebody reads in a pager wait for him.
  asio::async_write(connection->socket, asio::buffer(connection->parts_writing),
                    [weak = weak_from_this(), id, connection](std::error_code error, std::size_t) {
                      auto self = weak.lock();
                      Connection* now = self ? self->find(id) : nullptr;
                      if (!now) return;
                      if (error) {
                        self->drop(id);
                        return;
                      }
                      now->parts_writing.clear();
                      for (const auto& taken : std::exchange(now->taken_writing, {})) taken();
                      // What was told may have brought more, or the answer, or the end.
                      now = self->find(id);
                      if (!now || !now->parts_writing.empty()) return;
                      if (!now->parts.empty()) {
                        self->write_parts(id);
                      } else if (now->stage == Stage::kWriting && !now->starting) {
                        self->begin_write(id);
                      }
                    });
}

void ControlServer::Impl::begin_write(Id id) {
  std::shared_ptr<Connection> connection = connections_.at(id);
  // Parts keep their place before the answer: their last write goes on with it.
  if (!connection->parts_writing.empty()) return;
  if (!connection->parts.empty()) {
    write_parts(id);
    return;
  }
  arm(id, *connection);
  asio::async_write(connection->socket, asio::buffer(connection->out),
                    [weak = weak_from_this(), id, connection](std::error_code error, std::size_t) {
                      auto self = weak.lock();
                      Connection* now = self ? self->find(id) : nullptr;
                      if (!now) return;
                      if (error || !now->ends_node) {
                        self->drop(id);
                        return;
                      }
                      // `lansync stop` returns when this end closes: when the node is gone.
                      now->stage = Stage::kEnding;
                      now->idle.cancel();
                      self->watch_hangup(id);
                    });
}

void ControlServer::Impl::arm(Id id, Connection& connection) {
  connection.idle.expires_after(limits_.idle);
  connection.idle.async_wait([weak = weak_from_this(), id](std::error_code cancelled) {
    auto self = weak.lock();
    if (self && !cancelled) self->drop(id);
  });
}

void ControlServer::Impl::drop(Id id) {
  auto at = connections_.find(id);
  if (at == connections_.end()) return;
  std::shared_ptr<Connection> connection = at->second;
  connections_.erase(at);
  std::error_code ignored;
  connection->idle.cancel();
  connection->socket.close(ignored);
  if (connection->token != 0) node_.cancel(connection->token);
}

ControlServer::ControlServer(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}

ControlServer::~ControlServer() { impl_->shut_down(); }

std::size_t ControlServer::connections() const { return impl_->connections(); }

std::function<bool()> ControlServer::look_in_place() const {
  return [listener = impl_->listener()] { return is_in_place(listener); };
}

Result<std::unique_ptr<ControlServer>> ControlServer::open(asio::io_context& io, NodeControl& node,
                                                           Log& log, const std::string& dir,
                                                           const RuntimeDir& runtime_dir,
                                                           const Limits& limits) {
  Result<ControlListener> listener = listen_control(dir, runtime_dir);
  if (!listener) return listener.error();
  return serve(io, node, log, *listener, limits);
}

Result<std::unique_ptr<ControlServer>> ControlServer::open_refuge(asio::io_context& io,
                                                                  NodeControl& node, Log& log,
                                                                  const std::string& dir,
                                                                  const RuntimeDir& runtime_dir,
                                                                  const Limits& limits) {
  Result<ControlListener> listener = listen_refuge(dir, runtime_dir);
  if (!listener) return listener.error();
  return serve(io, node, log, *listener, limits);
}

std::unique_ptr<ControlServer> ControlServer::serve(asio::io_context& io, NodeControl& node,
                                                    Log& log, const ControlListener& listener,
                                                    const Limits& limits) {
  auto impl = std::make_shared<Impl>(io, node, log, listener, limits);
  impl->start();
  return std::unique_ptr<ControlServer>(new ControlServer(std::move(impl)));
}

}  // namespace lansync
