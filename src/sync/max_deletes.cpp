#include "sync/max_deletes.h"

#include <charconv>

namespace lansync {

bool MaxDeletes::exceeded_by(std::uint64_t deletes, std::uint64_t files_at_start) const {
  if (!count && !percent) return false;
  if (count && deletes <= *count) return false;
  return !percent || deletes * 100 > *percent * files_at_start;
}

std::optional<MaxDeletes> parse_max_deletes(std::string_view text) {
  bool percent = !text.empty() && text.back() == '%';
  if (percent) text.remove_suffix(1);
  std::uint64_t number = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  MaxDeletes limit;
  if (!percent) {
    limit.count = number;
    return limit;
  }
  if (number > 100) return std::nullopt;
  if (number < 100) limit.percent = static_cast<std::uint32_t>(number);
  return limit;
}

}  // namespace lansync
