// A clock that a test sets by hand, and a log that keeps its lines.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/log.h"
#include "base/time.h"

namespace lansync {

class HandClock final : public Clock {
 public:
  Instant now() const override { return at; }
  WallTime wall() const override { return WallTime{1'700'000'000'000'000'000}; }
  Instant at{1h};
};

class LineLog final : public Log {
 public:
  void write(LogLevel, std::string_view line) override { lines.emplace_back(line); }
  std::vector<std::string> lines;
};

}  // namespace lansync
