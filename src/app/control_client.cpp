#include "app/control_client.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <utility>

#include "app/control_path.h"
#include "app/options.h"
#include "base/log.h"
#include "platform/posix.h"

namespace lansync {
namespace {

// An index of a million conflicts is well below this; a node that sends more is no node.
constexpr std::size_t kMaxAnswerBytes = std::size_t{1} << 30;

class Deadline {
 public:
  explicit Deadline(std::optional<Duration> timeout) {
    if (timeout) end_ = std::chrono::steady_clock::now() + *timeout;
  }
  // For poll(): -1 without a deadline.
  int milliseconds_left() const {
    if (!end_) return -1;
    auto left =
        std::chrono::ceil<std::chrono::milliseconds>(*end_ - std::chrono::steady_clock::now());
    return static_cast<int>(std::clamp<std::int64_t>(left.count(), 0, 1 << 30));
  }
  bool passed() const { return end_ && milliseconds_left() == 0; }

 private:
  std::optional<std::chrono::steady_clock::time_point> end_;
};

// True when `fd` is ready; false at the deadline.
bool wait_for(int fd, short events, const Deadline& deadline) {
  for (;;) {
    pollfd item{fd, events, 0};
    int ready = ::poll(&item, 1, deadline.milliseconds_left());
    if (ready > 0) return true;
    if (ready == 0 && deadline.passed()) return false;
    if (ready < 0 && errno != EINTR) return true;  // the read or write tells what is wrong
  }
}

ControlAnswer failed(int exit_code, std::string line) {
  ControlAnswer answer;
  answer.exit_code = exit_code;
  answer.error = std::move(line);
  return answer;
}

ControlAnswer timed_out() {
  ControlAnswer answer = failed(
      kExitFailed,
      "the node did not answer in time: it may be very busy, or its disk does not answer; try "
      "again");
  answer.timed_out = true;
  return answer;
}

ControlAnswer hung_up() {
  ControlAnswer answer = failed(kExitFailed, "the node went away before it answered");
  answer.hung_up = true;
  return answer;
}

enum class Io { kDone, kTimeout, kClosed };

Io send_all(int fd, const std::string& text, const Deadline& deadline) {
  for (std::size_t sent = 0; sent < text.size();) {
    if (!wait_for(fd, POLLOUT, deadline)) return Io::kTimeout;
    ssize_t count = ::send(fd, text.data() + sent, text.size() - sent, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (count >= 0)
      sent += static_cast<std::size_t>(count);
    else if (errno != EINTR && errno != EAGAIN)
      return Io::kClosed;
  }
  return Io::kDone;
}

// Cuts what comes into lines; what follows a line is kept for the next.
class LineReader {
 public:
  explicit LineReader(int fd) : fd_(fd) {}

  Io next(std::string& line, const Deadline& deadline) {
    line.clear();
    while (line.size() < kMaxAnswerBytes) {
      std::size_t end = rest_.find('\n', at_);
      line.append(rest_, at_, end == std::string::npos ? end : end - at_);
      at_ = end == std::string::npos ? rest_.size() : end + 1;
      if (end != std::string::npos) return Io::kDone;
      if (Io io = fill(deadline); io != Io::kDone) return io;
    }
    return Io::kClosed;
  }

 private:
  Io fill(const Deadline& deadline) {
    char buffer[64 * 1024];
    for (;;) {
      if (!wait_for(fd_, POLLIN, deadline)) return Io::kTimeout;
      ssize_t count = ::recv(fd_, buffer, sizeof buffer, MSG_DONTWAIT);
      if (count == 0) return Io::kClosed;
      if (count < 0 && errno != EINTR && errno != EAGAIN) return Io::kClosed;
      if (count < 0) continue;
      rest_.assign(buffer, static_cast<std::size_t>(count));
      at_ = 0;
      return Io::kDone;
    }
  }

  int fd_;
  std::string rest_;
  std::size_t at_ = 0;
};

// The socket closes a moment before the process ends, and the folder's lock goes with the process:
// whoever starts the next node must not meet the old one's lock.
void wait_until_gone(LineReader& reader, int process, const Deadline& deadline) {
  std::string ignored;
  while (reader.next(ignored, deadline) == Io::kDone) {
  }
  if (process >= 0) wait_for(process, POLLIN, deadline);
}

int open_process_of(int fd) {
  ucred peer{};
  socklen_t size = sizeof peer;
  // In another pid namespace the node has no number here: then the closed socket has to do.
  if (::getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0 || peer.pid <= 0 ||
      peer.pid == ::getpid())
    return -1;
  return static_cast<int>(::syscall(SYS_pidfd_open, peer.pid, 0));
}

ControlAnswer parse_answer(const Json& document) {
  ControlAnswer answer;
  auto field = [&document](const char* key) {
    return document.is_object() && document.contains(key) ? document[key] : Json();
  };
  if (Json ok = field("ok"); !ok.is_boolean())
    return failed(kExitFailed, "the node gave an answer that is not understood");
  else if (ok.get<bool>())
    answer.result = field("result");
  else {
    Json code = field("exit");
    Json error = field("error");
    answer.exit_code = code.is_number_integer() ? code.get<int>() : kExitFailed;
    if (answer.exit_code == kExitDone) answer.exit_code = kExitFailed;
    answer.error = error.is_string() ? printable(error.get<std::string>()) : "the node failed";
  }
  return answer;
}

}  // namespace

ControlAnswer ask_node(const std::string& dir, const std::string& command, const Json& arguments,
                       std::optional<Duration> timeout, bool until_gone, const PartSink& on_part) {
  Deadline deadline(timeout);
  Result<int> connected = connect_control_in_time(dir);
  if (!connected)
    return failed(connected.error().code == ErrorCode::kNotFound ? kExitNoNode : kExitFailed,
                  connected.error().detail);
  UniqueFd socket(*connected);
  UniqueFd process(until_gone ? open_process_of(*connected) : -1);
  Json request = {{"command", command}, {"args", arguments}};
  // A node that has too many connections answers before it was asked: read even if sending fails.
  Io sent = send_all(socket.get(), json_line(request) + "\n", deadline);
  if (sent == Io::kTimeout) return timed_out();
  LineReader reader(socket.get());
  std::string line;
  for (;;) {
    Io io = reader.next(line, deadline);
    if (io == Io::kTimeout) return timed_out();
    if (io == Io::kClosed) return hung_up();
    Json document = Json::parse(line, nullptr, false);
    if (document.is_object() && document.contains("part")) {
      if (on_part) on_part(document["part"]);
      continue;
    }
    ControlAnswer answer = parse_answer(document);
    if (until_gone && answer.exit_code == kExitDone)
      wait_until_gone(reader, process.get(), deadline);
    return answer;
  }
}

}  // namespace lansync
