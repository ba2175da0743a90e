// The secrets that `lansync --keylog` wrote, found by what stands in a handshake. Invariant: what
// is not exactly such a line is counted and otherwise ignored. Driven by Connections and main.
#pragma once

#include <functional>
#include <map>
#include <string_view>
#include <utility>

#include "transport/key_schedule.h"

namespace lansync::sniff {

class Keylog {
 public:
  static constexpr std::size_t kMaxSessions = 100000;

  // Whole lines; others are counted in bad_lines().
  void add(std::string_view text);
  // nullptr if there is none. Asks on_missing once and looks again.
  const SessionKeys* find(const HandshakeRandom& ra, const HandshakeRandom& rb);
  // Live, the session may have been logged after the file was read last.
  void set_on_missing(std::function<void()> on_missing) { on_missing_ = std::move(on_missing); }
  std::size_t bad_lines() const { return bad_lines_; }
  std::size_t size() const { return sessions_.size(); }

 private:
  std::map<std::pair<HandshakeRandom, HandshakeRandom>, SessionKeys> sessions_;
  std::function<void()> on_missing_;
  std::size_t bad_lines_ = 0;
};

}  // namespace lansync::sniff
