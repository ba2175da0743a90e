// A person's regular expression over names, in bounded time: RE2's syntax and automata.
//
// Invariant: matching one name costs at most cost() steps, whatever the pattern; compile() refuses
// what would need a larger program. Immutable after compile(); cheap to move.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"

namespace lansync {

class NamePattern {
 public:
  static constexpr std::size_t kMaxBytes = 1000;
  // Instructions. With a name of 4095 bytes the slowest engine then takes 8 million steps, some
  // 50 ms; "(a|b){500}" has 2000.
  static constexpr int kMaxProgram = 2000;

  // The error says what is wrong with the pattern.
  static Result<NamePattern> compile(std::string_view pattern);
  NamePattern(NamePattern&&) noexcept;
  NamePattern& operator=(NamePattern&&) noexcept;
  ~NamePattern();

  // True if it occurs anywhere in `name`.
  bool matches(std::string_view name) const;
  std::uint64_t cost(std::string_view name) const;

 private:
  struct Compiled;
  explicit NamePattern(std::unique_ptr<Compiled> compiled);
  std::unique_ptr<Compiled> compiled_;
};

}  // namespace lansync
