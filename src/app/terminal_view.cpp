#include "app/terminal_view.h"

#include <poll.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <vector>

#include "app/render.h"
#include "app/report_json.h"
#include "app/units.h"

namespace lansync {
namespace {

constexpr std::size_t kLogLines = 100;
constexpr std::size_t kMaxPeersShown = 8;
constexpr Duration kRedraw = 250ms;
constexpr std::uint64_t kLeastBar = 1024 * 1024;

// Other screen, no cursor, no line wrap; and back.
constexpr char kEnter[] = "\x1b[?1049h\x1b[?25l\x1b[?7l";
constexpr char kLeave[] = "\x1b[?7h\x1b[?25h\x1b[?1049l";

// What a signal handler needs to put the terminal back; there is one terminal in a process.
int terminal_fd = -1;
termios terminal_before;

void write_all(int fd, std::string_view text) {
  while (!text.empty()) {
    ssize_t count = ::write(fd, text.data(), text.size());
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return;  // a terminal that is gone or stopped: nothing depends on it
    text.remove_prefix(static_cast<std::size_t>(count));
  }
}

// Only async-signal-safe calls.
void restore_terminal() {
  if (terminal_fd < 0) return;
  write_all(terminal_fd, std::string_view(kLeave, sizeof kLeave - 1));
  ::tcsetattr(terminal_fd, TCSANOW, &terminal_before);
  terminal_fd = -1;
}

void on_crash(int signal) {
  restore_terminal();
  ::raise(signal);  // SA_RESETHAND: the default now, with its core
}

const char* state_color(NodeState state) {
  switch (state) {
    case NodeState::kInSync:
      return "\x1b[32m";
    case NodeState::kError:
    case NodeState::kHeld:
      return "\x1b[31m";
    default:
      return "\x1b[33m";
  }
}

// Lines of one screen, each cut to the width as it is added.
class Frame {
 public:
  Frame(ViewSize size, bool color) : size_(size), color_(color) {}

  void line(std::string_view text, const char* color = "") {
    if (lines_.size() >= size_.rows) return;
    std::string cut = cut_to_width(text, size_.columns);
    lines_.push_back(color_ && *color ? color + cut + "\x1b[0m" : cut);
  }
  std::size_t columns() const { return size_.columns; }
  std::size_t rows_left() const { return size_.rows - lines_.size(); }
  std::string text() const {
    std::string out;
    for (std::size_t i = 0; i < lines_.size(); ++i) out += (i == 0 ? "" : "\n") + lines_[i];
    return out;
  }

 private:
  ViewSize size_;
  bool color_;
  std::vector<std::string> lines_;
};

void add_head(const StatusReport& report, Frame& frame) {
  frame.line(str("lansync  ", printable(report.name, 100), "  ", printable(report.folder)),
             "\x1b[1m");
  // What a person has to do stands at the end of the reason: it is wrapped, not cut.
  for (const std::string& line : wrapped("state   " + state_line(report), frame.columns(), 8))
    frame.line(line, state_color(report.state));
  if (std::string progress = progress_line(report); !progress.empty())
    frame.line("to go   " + progress, "\x1b[1m");
  std::string role = str("role    ", to_string(report.role));
  if (!report.why_role.empty()) role += ": " + printable(report.why_role, 300);
  frame.line(role);
  std::string hub = !report.hub                   ? "none"
                    : report.hub->id == report.id ? "this node"
                                                  : printable(report.hub->name, 100);
  frame.line(str("hub     ", hub, "   group ", printable(report.group, 100),
                 report.open ? " (OPEN): close it with --password-file" : ""),
             report.open ? "\x1b[33m" : "");
  std::string folder =
      str("folder  ", counted(report.files, "files"), ", ", format_size(report.bytes));
  if (report.on_demand) {
    folder += str("; ", counted(report.absent_files, "files"), ", ",
                  format_size(report.absent_bytes), " known and not here");
  }
  if (std::string alone = here_alone(report); !alone.empty()) folder += "; " + alone;
  frame.line(folder);
  if (report.held_deletes != 0)
    frame.line(str("HELD    ", counted(report.held_deletes, "deletes"),
                   ": lansync confirm, or lansync reject"),
               "\x1b[31m");
  if (report.conflicts != 0)
    frame.line(str("        ", counted(report.conflicts, "conflict copies"), ": lansync conflicts"),
               "\x1b[33m");
}

// High on the screen, so that a small one shows it too.
void add_offer(const std::vector<OfferReport>& offers, Frame& frame) {
  if (offers.empty()) return;
  const OfferReport& first = offers.front();
  frame.line("");
  for (const std::string& line :
       wrapped(str("offer   ", printable(first.from, 64), " offers ", printable(first.name, 300),
                   " (", format_size(first.size), "): y takes it into this folder, n does not"),
               frame.columns(), 8))
    frame.line(line, "\x1b[1;36m");
  if (offers.size() > 1)
    frame.line(str("        and ", offers.size() - 1, " more after it: lansync uploads"));
}

std::string peer_note(const PeerReport& peer) {
  const std::string why = printable(peer.behind.why, 300);
  if (peer.state == PeerState::kConnected && peer.behind.files > 0)
    return str("behind by ", counted(peer.behind.files, "files"),
               peer.behind.bytes > 0 ? ", " + format_size(peer.behind.bytes) : std::string(),
               why.empty() ? "" : ": ", why);
  if (!why.empty()) return why;
  return peer.state == PeerState::kRefused ? printable(peer.why, 300) : "";
}

void add_peers(const StatusReport& report, Frame& frame) {
  frame.line("");
  const auto refused = static_cast<std::size_t>(
      std::count_if(report.peers.begin(), report.peers.end(),
                    [](const PeerReport& peer) { return peer.state == PeerState::kRefused; }));
  std::string title = counted(report.peers.size() - refused, "other nodes");
  if (refused > 0) title += str(", ", refused, " turned away");
  frame.line(title, "\x1b[1m");
  std::size_t room = std::min(kMaxPeersShown, frame.rows_left() / 2);
  std::size_t shown = report.peers.size() <= room ? report.peers.size() : room > 0 ? room - 1 : 0;
  std::vector<std::vector<std::string>> rows;
  for (std::size_t i = 0; i < shown; ++i) {
    const PeerReport& peer = report.peers[i];
    rows.push_back({"  " + printable(peer.name, 64), to_string(peer.role), to_string(peer.state),
                    peer.address.empty() ? "-" : str(printable(peer.address, 64), ":", peer.port),
                    peer.rtt_ms ? str(*peer.rtt_ms, " ms") : "", peer_note(peer)});
  }
  std::string text = table(rows);
  while (!text.empty()) {
    std::size_t end = text.find('\n');
    frame.line(text.substr(0, end));
    text.erase(0, end + 1);
  }
  if (shown < report.peers.size() && room > 0)
    frame.line(str("  and ", report.peers.size() - shown, " more: lansync peers"));
}

void add_transfers(const StatusReport& report, std::size_t columns, Frame& frame) {
  // What comes and goes within a moment cannot be read: the line "to go" counts it.
  std::vector<const TransferReport*> large;
  for (const TransferReport& transfer : report.transfers)
    if (transfer.size >= kLeastBar) large.push_back(&transfer);
  if (large.empty()) return;
  frame.line("");
  frame.line(counted(large.size(), "transfers"), "\x1b[1m");
  std::size_t room = frame.rows_left() * 2 / 3;
  std::size_t shown = std::min(room, large.size());
  for (std::size_t i = 0; i < shown; ++i)
    frame.line("  " + transfer_line(*large[i], columns > 2 ? columns - 2 : 0));
}

}  // namespace

std::string render_frame(const StatusReport& report, const std::vector<OfferReport>& offers,
                         const std::deque<std::string>& log_lines, ViewSize size, bool color) {
  Frame frame(size, color);
  add_head(report, frame);
  add_offer(offers, frame);
  add_peers(report, frame);
  add_transfers(report, size.columns, frame);
  if (frame.rows_left() >= 2 && !log_lines.empty()) {
    frame.line("");
    std::size_t count = std::min(frame.rows_left(), log_lines.size());
    for (std::size_t i = log_lines.size() - count; i < log_lines.size(); ++i)
      frame.line(log_lines[i], "\x1b[2m");
  }
  return frame.text();
}

void TerminalView::leave_at_once() { restore_terminal(); }

bool TerminalView::can_start(int fd, const Environment& environment) {
  if (!::isatty(fd)) return false;
  std::string kind = environment.variable("TERM").value_or("");
  if (kind.empty() || kind == "dumb") return false;
  // A background job that changes the terminal's settings is stopped by SIGTTOU.
  return ::tcgetpgrp(fd) == ::getpgrp();
}

TerminalView::TerminalView(int fd, const Environment& environment)
    : fd_(fd), color_(environment.variable("NO_COLOR").value_or("").empty()) {
  if (::tcgetattr(fd_, &terminal_before) == 0) {
    termios quiet = terminal_before;
    quiet.c_lflag &= ~static_cast<tcflag_t>(ECHO | ICANON);
    // A node that is stopped with Ctrl-Z is lost to its group, and leaves its screen behind.
    quiet.c_cc[VSUSP] = _POSIX_VDISABLE;
    ::tcsetattr(fd_, TCSANOW, &quiet);
    terminal_fd = fd_;
    struct sigaction action {};
    action.sa_handler = on_crash;
    action.sa_flags = static_cast<int>(SA_RESETHAND | SA_NODEFER);
    for (int signal : {SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL})
      ::sigaction(signal, &action, nullptr);
  }
  write_all(fd_, std::string_view(kEnter, sizeof kEnter - 1));
}

TerminalView::~TerminalView() {
  // What was typed meanwhile was meant for us, not for the shell.
  ::tcflush(fd_, TCIFLUSH);
  restore_terminal();
  for (int signal : {SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL}) std::signal(signal, SIG_DFL);
  // The last lines stay readable after the other screen is gone.
  std::size_t count = std::min<std::size_t>(log_lines_.size(), 5);
  for (std::size_t i = log_lines_.size() - count; i < log_lines_.size(); ++i)
    write_all(fd_, log_lines_[i] + "\n");
}

// Each line is cleared before its text and what is below the frame from a line of its own: behind a
// line that is as wide as the terminal the cursor stands on its last letter, and clearing to the
// end of the line would take that.
std::string redraw_text(const std::string& frame, ViewSize size, bool resized) {
  std::string out = resized ? "\x1b[2J\x1b[H" : "\x1b[H\x1b[K";
  for (char c : frame) {
    if (c == '\n')
      out += "\r\n\x1b[K";
    else
      out += c;
  }
  const auto lines = static_cast<std::size_t>(std::count(frame.begin(), frame.end(), '\n')) + 1;
  if (lines < size.rows) out += "\r\n\x1b[J";
  return out;
}

bool TerminalView::due(Instant now) const { return !drawn_ || now - last_ >= kRedraw; }

void TerminalView::tick(const StatusReport& report, const std::vector<OfferReport>& offers,
                        Instant now) {
  if (!due(now)) return;
  last_ = now;
  ViewSize size;
  winsize window{};
  if (::ioctl(fd_, TIOCGWINSZ, &window) == 0 && window.ws_col > 0 && window.ws_row > 0)
    size = {window.ws_col, window.ws_row};
  bool resized = !drawn_ || size.columns != shown_size_.columns || size.rows != shown_size_.rows;
  std::string frame = render_frame(report, offers, log_lines_, size, color_);
  // An offer may read like the one that was just answered.
  std::uint64_t asked = offers.empty() ? 0 : offers.front().id;
  if (!resized && frame == shown_ && asked == asked_) return;
  write_all(fd_, redraw_text(frame, size, resized));
  shown_ = std::move(frame);
  shown_size_ = size;
  drawn_ = true;
  if (asked == asked_) return;
  asked_ = asked;
  asked_at_ = now;
}

std::optional<OfferAnswer> TerminalView::take_answer(Instant now) {
  std::optional<OfferAnswer> answer;
  pollfd item{fd_, POLLIN, 0};
  char key = 0;
  // Everything is read, so that what is typed into nothing does not answer the next question.
  while (::poll(&item, 1, 0) > 0 && (item.revents & POLLIN) != 0 && ::read(fd_, &key, 1) == 1) {
    if (asked_ == 0 || answer || now - asked_at_ < kReadingTime) continue;
    if (key == 'y' || key == 'Y') answer = OfferAnswer{asked_, true};
    if (key == 'n' || key == 'N') answer = OfferAnswer{asked_, false};
  }
  if (answer) asked_ = 0;
  return answer;
}

void TerminalView::add_log_line(LogLevel level, std::string_view line) {
  const char* mark = level == LogLevel::kError  ? "error: "
                     : level == LogLevel::kWarn ? "warn: "
                                                : "";
  log_lines_.push_back(mark + printable(line, 1000));
  if (log_lines_.size() > kLogLines) log_lines_.pop_front();
}

void ViewLog::write(LogLevel level, std::string_view line) {
  if (level >= least_) view_.add_log_line(level, line);
  if (next_ && next_->enabled(level)) next_->write(level, line);
}

bool ViewLog::enabled(LogLevel level) const {
  return level >= least_ || (next_ && next_->enabled(level));
}

}  // namespace lansync
