#include "app/terminal_view.h"

#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include <algorithm>

#include "app/render.h"
#include "support/catch.h"
#include "unit/app/fake_node.h"

using namespace lansync;

namespace {

Environment terminal_environment(const std::string& kind) {
  Environment environment;
  environment.variable = [kind](const std::string& name) -> std::optional<std::string> {
    return name == "TERM" && !kind.empty() ? std::optional<std::string>(kind) : std::nullopt;
  };
  return environment;
}

std::string read_now(int fd) {
  std::string out;
  char buffer[4096];
  pollfd item{fd, POLLIN, 0};
  while (::poll(&item, 1, 0) > 0 && (item.revents & POLLIN) != 0) {
    ssize_t count = ::read(fd, buffer, sizeof buffer);
    if (count <= 0) break;
    out.append(buffer, static_cast<std::size_t>(count));
  }
  return out;
}

}  // namespace

TEST_CASE("a frame never has more lines or columns than the terminal") {
  StatusReport report = sample_status();
  report.peers.resize(50, report.peers[0]);
  report.transfers.resize(50, report.transfers[0]);
  report.transfers[0].name = std::string(500, 'x');
  std::deque<std::string> log(100, std::string(300, 'l'));
  const std::vector<OfferReport> offers(3, {1, std::string(300, 'o'), 5, "bob", WallTime{}});
  for (ViewSize size :
       {ViewSize{1, 1}, ViewSize{10, 3}, ViewSize{20, 10}, ViewSize{80, 24}, ViewSize{300, 100}}) {
    std::string frame = render_frame(report, offers, log, size, false);
    INFO(size.columns << " x " << size.rows);
    std::size_t lines = 1;
    std::size_t begin = 0;
    for (std::size_t at = frame.find('\n'); at != std::string::npos; at = frame.find('\n', begin)) {
      CHECK(display_width(frame.substr(begin, at - begin)) <= size.columns);
      begin = at + 1;
      ++lines;
    }
    CHECK(display_width(frame.substr(begin)) <= size.columns);
    CHECK(lines <= size.rows);
  }
}

TEST_CASE("a frame tells role and why, state, peers, transfers, conflicts and the last log lines") {
  StatusReport report = sample_status();
  report.transfers[0].size = 100'000'000;
  report.transfers[0].done = 50'000'000;
  std::string frame = render_frame(report, {}, {"first", "last line"}, {100, 30}, false);
  for (const char* part : {"server: nobody else was heard", "syncing", "bob", "50%", "a.txt",
                           "16 conflict copies", "15 deletes", "last line", "(OPEN)"})
    CHECK(frame.find(part) != std::string::npos);
  CHECK(frame.find('\x1b') == std::string::npos);
  CHECK(render_frame(sample_status(), {}, {}, {100, 30}, true).find("\x1b[33m") !=
        std::string::npos);
}

TEST_CASE("small files have no bars that flicker by: they are counted in one line") {
  StatusReport report = sample_status();
  report.left_files = 40'000;
  report.total_files = 50'000;
  report.left_bytes = 160'000'000;
  report.files_per_second = 500;
  report.seconds_left = 80;
  const std::string frame = render_frame(report, {}, {}, {100, 30}, false);
  CHECK(frame.find("a.txt") == std::string::npos);
  CHECK(frame.find("to go   40000 of 50000 files, 160 MB to go, 500 files/s, 80 s left") !=
        std::string::npos);
}

TEST_CASE("who was turned away and who is behind stand in the view") {
  StatusReport report = sample_status();
  report.peers[0].behind = {2, 3'000'000, ""};
  PeerReport refused;
  refused.name = "cora";
  refused.state = PeerState::kRefused;
  refused.why = "it has another password for this group";
  report.peers.push_back(refused);
  const std::string frame = render_frame(report, {}, {}, {120, 30}, false);
  CHECK(frame.find("1 other node, 1 turned away") != std::string::npos);
  CHECK(frame.find("behind by 2 files, 3 MB") != std::string::npos);
  CHECK(frame.find("another password") != std::string::npos);
}

TEST_CASE("the view says why a member stands still, and what is here alone") {
  StatusReport report = sample_status();
  report.peers[0].behind = {0, 0, "it is paused there"};
  report.only_here = 2;
  const std::string frame = render_frame(report, {}, {}, {160, 30}, false);
  CHECK(frame.find("it is paused there") != std::string::npos);
  CHECK(frame.find("2 files are on no other machine yet") != std::string::npos);
}

TEST_CASE("what is no terminal gets no view") {
  int ends[2];
  REQUIRE(::pipe(ends) == 0);
  CHECK_FALSE(TerminalView::can_start(ends[1], terminal_environment("xterm")));
  ::close(ends[0]);
  ::close(ends[1]);
}

namespace {

// A terminal of our own: what a person types goes into the master, what is drawn comes out of it.
struct Terminal {
  Terminal() {
    REQUIRE(master >= 0);
    REQUIRE(::grantpt(master) == 0);
    REQUIRE(::unlockpt(master) == 0);
    slave = ::open(::ptsname(master), O_RDWR | O_NOCTTY);
    REQUIRE(slave >= 0);
  }
  ~Terminal() {
    ::close(slave);
    ::close(master);
  }
  void type(const std::string& keys) { REQUIRE(::write(master, keys.data(), keys.size()) > 0); }

  int master = ::posix_openpt(O_RDWR | O_NOCTTY);
  int slave = -1;
};

}  // namespace

TEST_CASE("a person answers the offer that stands on the screen, and none that came a moment ago") {
  Terminal terminal;
  TerminalView view(terminal.slave, terminal_environment("xterm"));
  const OfferReport first{7, "holiday.jpg", 1024, "bob", WallTime{}};
  OfferReport second = first;
  second.id = 8;
  StatusReport report = sample_status();
  Instant now{1s};
  view.tick(report, {}, now);
  terminal.type("y");
  CHECK_FALSE(view.take_answer(now));  // there is no question
  now += 1s;
  view.tick(report, {first, second}, now);
  CHECK(read_now(terminal.master).find("bob offers holiday.jpg") != std::string::npos);
  terminal.type("y");  // typed as the question came up: meant for something else
  CHECK_FALSE(view.take_answer(now + TerminalView::kReadingTime - 1ms));
  now += 1s;
  terminal.type("xq");
  CHECK_FALSE(view.take_answer(now));
  terminal.type("y");
  auto answer = view.take_answer(now);
  REQUIRE(answer);
  CHECK((answer->id == 7 && answer->allow));
  // One key answers one offer, and the next reads the same but for its number.
  terminal.type("n");
  CHECK_FALSE(view.take_answer(now));
  view.tick(report, {second}, now + 1s);
  terminal.type("N");
  answer = view.take_answer(now + 2s);
  REQUIRE(answer);
  CHECK((answer->id == 8 && !answer->allow));
}

TEST_CASE("a terminal is redrawn four times a second at most, and put back at the end") {
  Terminal terminal;
  const int master = terminal.master;
  const int slave = terminal.slave;
  winsize window{};
  window.ws_col = 60;
  window.ws_row = 20;
  ::ioctl(slave, TIOCSWINSZ, &window);
  termios before{};
  ::tcgetattr(slave, &before);
  CHECK_FALSE(TerminalView::can_start(slave, terminal_environment("dumb")));
  // Not the terminal that controls this process: a job in the background.
  CHECK_FALSE(TerminalView::can_start(slave, terminal_environment("xterm")));
  {
    TerminalView view(slave, terminal_environment("xterm"));
    CHECK(read_now(master).find("\x1b[?1049h") != std::string::npos);
    StatusReport report = sample_status();
    Instant now{1s};
    view.tick(report, {}, now);
    CHECK(read_now(master).find("alice") != std::string::npos);
    report.name = "changed";
    view.tick(report, {}, now + 249ms);
    CHECK(read_now(master).empty());
    view.tick(report, {}, now + 250ms);
    CHECK(read_now(master).find("changed") != std::string::npos);
    view.tick(report, {}, now + 1s);
    CHECK(read_now(master).empty());
    window.ws_col = 40;
    ::ioctl(slave, TIOCSWINSZ, &window);
    view.tick(report, {}, now + 2s);
    CHECK(read_now(master).find("\x1b[2J") != std::string::npos);
    view.add_log_line(LogLevel::kWarn, "evil\x1b[2J");
    view.tick(report, {}, now + 3s);
    CHECK(read_now(master).find("evil\\x1b[2J") != std::string::npos);
  }
  std::string end = read_now(master);
  CHECK(end.find("\x1b[?1049l") != std::string::npos);
  CHECK(end.find("\x1b[?25h") != std::string::npos);
  termios after{};
  ::tcgetattr(slave, &after);
  CHECK(after.c_lflag == before.c_lflag);
  CHECK(after.c_cc[VSUSP] == before.c_cc[VSUSP]);
}

TEST_CASE("a line as wide as the terminal keeps its last letter when it is drawn again") {
  const std::string text = redraw_text("0123456789\nabc", {10, 4}, false);
  // A terminal without wrap, as far as it matters: its cursor stays on the last column.
  std::vector<std::string> screen(4, std::string(10, '#'));
  std::size_t row = 0;
  std::size_t column = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const std::string_view rest = std::string_view(text).substr(i);
    if (rest.starts_with("\x1b[H")) {
      row = column = 0;
      i += 2;
    } else if (rest.starts_with("\x1b[K") || rest.starts_with("\x1b[J")) {
      screen[row].replace(column, std::string::npos, std::string(10 - column, ' '));
      for (std::size_t r = row + 1; rest[2] == 'J' && r < screen.size(); ++r)
        screen[r] = std::string(10, ' ');
      i += 2;
    } else if (rest[0] == '\r') {
      column = 0;
    } else if (rest[0] == '\n') {
      row = std::min<std::size_t>(row + 1, screen.size() - 1);
    } else {
      screen[row][column] = rest[0];
      column = std::min<std::size_t>(column + 1, 9);
    }
  }
  CHECK(screen[0] == "0123456789");
  CHECK(screen[1] == "abc       ");
  CHECK(screen[2] == std::string(10, ' '));
  CHECK(screen[3] == std::string(10, ' '));
}
