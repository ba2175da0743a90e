// What a term may be: the number of a hub's reign. Pure functions.
//
// Invariant: no statement of one node brings the group's terms near the end of their range. A claim
// deposes a live hub by a small step only, who joins takes the hub's term, and where nobody is hub
// numbers that somebody drove up begin anew.
#pragma once

#include <algorithm>
#include <cstdint>

namespace lansync {

// A reign each second for 8 million years.
inline constexpr std::uint64_t kLargestTerm = std::uint64_t{1} << 48;
// How far above a live hub's term a claim may be that deposes it (DESIGN, Security).
inline constexpr std::uint64_t kTermStep = 1000;

// A larger one is nobody's honest word.
inline bool believable(std::uint64_t term) { return term <= kLargestTerm; }
inline bool within_step(std::uint64_t term, std::uint64_t above) {
  return term <= above || term - above <= kTermStep;
}
// Of a claim made while no hub is known: nobody's term has to be passed, so it may begin anew.
inline std::uint64_t next_term(std::uint64_t known) {
  return known >= kLargestTerm ? 1 : known + 1;
}
// Of a hub that stays when it meets another one.
inline std::uint64_t term_above(std::uint64_t a, std::uint64_t b) {
  return std::min(std::max(a, b) + 1, kLargestTerm);
}

}  // namespace lansync
