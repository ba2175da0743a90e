// Log lines to stderr or a file, by spdlog.
//
// Invariant: write() never throws and never blocks on another line for long; any thread may call
// it. Made once by app.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/log.h"
#include "base/result.h"

namespace lansync {

class SpdlogLog final : public Log {
 public:
  // No file: stderr, coloured on a terminal. The file is appended to, and turned over at 16 MiB,
  // three old ones kept: a node runs for months.
  static Result<std::unique_ptr<SpdlogLog>> create(LogLevel level, const std::string& file = {});
  ~SpdlogLog() override;

  void write(LogLevel level, std::string_view line) override;
  bool enabled(LogLevel level) const override { return level >= level_; }
  void flush();
  // Lines go here instead of to stderr (the live view owns the terminal); a log file still gets
  // them. Set it from the control thread before others log.
  void set_tap(std::function<void(LogLevel, std::string_view)> tap) { tap_ = std::move(tap); }

 private:
  struct Impl;
  SpdlogLog(LogLevel level, std::unique_ptr<Impl> impl);
  LogLevel level_;
  std::unique_ptr<Impl> impl_;
  std::function<void(LogLevel, std::string_view)> tap_;
};

// trace, debug, info, warn, error; nullopt otherwise.
std::optional<LogLevel> parse_log_level(std::string_view text);

}  // namespace lansync
