// Terms and sequences as the index keeps them: what a damaged one says there must not be told to
// others, who would take it for an offence and drop the session, again and again. Pure.
#pragma once

#include <charconv>
#include <cstdint>
#include <string>

namespace lansync {

// 0 for what is no number, or one that cannot be.
inline std::uint64_t stored_number(const std::string& text, std::uint64_t largest) {
  std::uint64_t value = 0;
  const auto read = std::from_chars(text.data(), text.data() + text.size(), value);
  const bool whole = read.ec == std::errc{} && read.ptr == text.data() + text.size();
  return whole && value <= largest ? value : 0;
}

}  // namespace lansync
