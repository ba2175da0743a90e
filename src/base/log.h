// Where log lines go. Passed by reference; no global logger, so that twenty nodes in one simulation
// keep their lines apart.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <type_traits>

#include "base/time.h"

namespace lansync {

enum class LogLevel { kTrace, kDebug, kInfo, kWarn, kError };

class Log {
 public:
  virtual ~Log() = default;
  // One line, no newline at its end. Bytes from others must have passed printable().
  virtual void write(LogLevel level, std::string_view line) = 0;
  virtual bool enabled(LogLevel) const { return true; }

  void trace(std::string_view line) { write(LogLevel::kTrace, line); }
  void debug(std::string_view line) { write(LogLevel::kDebug, line); }
  void info(std::string_view line) { write(LogLevel::kInfo, line); }
  void warn(std::string_view line) { write(LogLevel::kWarn, line); }
  void error(std::string_view line) { write(LogLevel::kError, line); }
};

// At most one line each `interval` for a key; tells how many were left out since. Holds at most
// 1024 keys (an attacker picks them), the stalest goes first.
class LogLimiter {
 public:
  explicit LogLimiter(Duration interval = 10s) : interval_(interval) {}
  // True: write it now; `suppressed` is set to how many were not written since the last.
  bool allow(std::string_view key, Instant now, std::uint64_t& suppressed);

 private:
  struct Slot {
    Instant last;
    std::uint64_t suppressed = 0;
  };
  Duration interval_;
  std::map<std::string, Slot, std::less<>> slots_;
};

// `text` with control bytes, DEL, invalid UTF-8 and bidirectional overrides as \xNN, so that a
// hostile file or node name cannot drive a terminal. Cut to `max_bytes` with "..." at its end.
std::string printable(std::string_view text, std::size_t max_bytes = 4096);

// Text of all arguments together: str("port ", 27801, " is busy").
namespace detail {
inline void append_to(std::string& out, std::string_view text) { out += text; }
inline void append_to(std::string& out, const char* text) { out += text; }
inline void append_to(std::string& out, const std::string& text) { out += text; }
inline void append_to(std::string& out, char c) { out += c; }
template <typename T>
requires std::is_arithmetic_v<T>
void append_to(std::string& out, T number) { out += std::to_string(number); }
}  // namespace detail
template <typename... Args>
std::string str(const Args&... args) {
  std::string out;
  (detail::append_to(out, args), ...);
  return out;
}

}  // namespace lansync
