// The live view of `lansync run` on a terminal: role and why, peers, transfers, conflicts, offered
// uploads, the last log lines; redrawn at most 4 times a second. Takes a person's y or n to an
// offer.
//
// Invariant: from start to destruction the terminal is ours (other screen, no cursor, no echo), and
// it is put back also when the program aborts. Driven by run_node on the control thread: it calls
// tick() every 250 ms with a new report. Where there is no fit terminal, can_start() is false and
// log lines are all there is.
#pragma once

#include <cstddef>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "app/environment.h"
#include "base/log.h"
#include "roles/node_control.h"

namespace lansync {

struct ViewSize {
  std::size_t columns = 80;
  std::size_t rows = 24;
};

// One screen, `size.rows` lines at most, none wider than `size.columns`. Of the offers that wait
// the first is asked about. Pure.
std::string render_frame(const StatusReport& report, const std::vector<OfferReport>& offers,
                         const std::deque<std::string>& log_lines, ViewSize size, bool color);

// What makes a terminal that shows another frame (or, after a resize, anything) show this one.
// Pure.
std::string redraw_text(const std::string& frame, ViewSize size, bool resized);

struct OfferAnswer {
  std::uint64_t id = 0;
  bool allow = false;
};

class TerminalView {
 public:
  // For whoever ends the process in haste, on any thread: a view that there is leaves the terminal.
  static void leave_at_once();

  // True if `fd` is a terminal that can be redrawn and belongs to us (not a background job).
  static bool can_start(int fd, const Environment& environment);

  // Requires: can_start(fd, environment).
  TerminalView(int fd, const Environment& environment);
  ~TerminalView();
  TerminalView(const TerminalView&) = delete;
  TerminalView& operator=(const TerminalView&) = delete;

  // 250 ms after the last tick(). A report walks the whole index: it is made for a screen that is
  // due, not for each turn of the loop.
  bool due(Instant now) const;
  // Draws if something changed. The size is asked anew each time, so that a resized window needs no
  // signal.
  void tick(const StatusReport& report, const std::vector<OfferReport>& offers, Instant now);
  // What a person typed, to the offer that the screen shows. A key that was hit before the question
  // stood there, or within kReadingTime of it, answers nothing.
  std::optional<OfferAnswer> take_answer(Instant now);
  static constexpr Duration kReadingTime = 400ms;
  void add_log_line(LogLevel level, std::string_view line);

 private:
  int fd_;
  bool color_;
  std::deque<std::string> log_lines_;
  std::string shown_;
  ViewSize shown_size_;
  Instant last_{};  // tick
  bool drawn_ = false;
  std::uint64_t asked_ = 0;  // the offer on the screen; 0: none
  Instant asked_at_{};
};

// A log that goes to the view while there is one, and to another log (a file, stderr).
class ViewLog final : public Log {
 public:
  ViewLog(TerminalView& view, LogLevel least, Log* next)
      : view_(view), least_(least), next_(next) {}
  void write(LogLevel level, std::string_view line) override;
  bool enabled(LogLevel level) const override;

 private:
  TerminalView& view_;
  LogLevel least_;
  Log* next_;  // may be null
};

}  // namespace lansync
