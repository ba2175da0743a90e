// --max-deletes: how many deletes may go without a person's word (CONTRACT, Guards).
//
// The one form that the option has, from the command line to the guard, and its one parser: a
// second form of it once read 0 as "no bound". Invariant: no bound at all is the only form that is
// never exceeded. Read once at start, by app.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace lansync {

inline constexpr std::uint64_t kDefaultMaxDeletes = 50;
inline constexpr std::uint32_t kDefaultMaxDeletePercent = 50;

// Over the limit = over every bound that is set. Neither set = never held.
struct MaxDeletes {
  std::optional<std::uint64_t> count;
  std::optional<std::uint32_t> percent;

  bool exceeded_by(std::uint64_t deletes, std::uint64_t files_at_start) const;
  // Every delete is held, also one that does not count.
  bool holds_all() const { return (count && *count == 0) || (!count && percent && *percent == 0); }
  bool operator==(const MaxDeletes&) const = default;
};
inline MaxDeletes default_max_deletes() { return {kDefaultMaxDeletes, kDefaultMaxDeletePercent}; }

// "N", or "P%" with P from 0 to 100 (100%: never held); nullopt for anything else.
std::optional<MaxDeletes> parse_max_deletes(std::string_view text);

}  // namespace lansync
