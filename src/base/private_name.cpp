#include "base/private_name.h"

#include <utf8proc.h>

#include <algorithm>
#include <array>

#include "base/rel_path.h"

namespace lansync {
namespace {

constexpr std::string_view kRules = ".lansyncignore";

// `part` as the most generous of disks compares it, as long as it goes along with `name`; true if
// it is `name` then. Dots and spaces at the end are nothing (Windows' rules), nor is what
// Unicode calls ignorable (HFS+).
bool folds_to(std::string_view part, std::string_view name) {
  while (!part.empty() && (part.back() == '.' || part.back() == ' ')) part.remove_suffix(1);
  std::size_t matched = 0;
  while (!part.empty()) {
    utf8proc_int32_t c = 0;
    const auto took = utf8proc_iterate(reinterpret_cast<const utf8proc_uint8_t*>(part.data()),
                                       static_cast<utf8proc_ssize_t>(part.size()), &c);
    if (took <= 0) return false;
    part.remove_prefix(static_cast<std::size_t>(took));
    std::array<utf8proc_int32_t, 20> letters{};  // 18 at most, for U+FDFA
    const auto count = utf8proc_decompose_char(
        c, letters.data(), letters.size(),
        static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_DECOMPOSE | UTF8PROC_COMPAT |
                                       UTF8PROC_CASEFOLD | UTF8PROC_IGNORE),
        nullptr);
    if (count < 0 || count > static_cast<utf8proc_ssize_t>(letters.size())) return false;
    for (utf8proc_ssize_t i = 0; i < count; ++i) {
      if (matched >= name.size() || letters[static_cast<std::size_t>(i)] != name[matched])
        return false;
      ++matched;
    }
  }
  return matched == name.size();
}

// LANSYN~1 is what vfat makes of both, the number by the order in which they came.
bool is_short_name(std::string_view part) {
  constexpr std::string_view kStem = "lansyn~";
  if (part.size() <= kStem.size() || !folds_to(part.substr(0, kStem.size()), kStem)) return false;
  return std::all_of(part.begin() + kStem.size(), part.end(),
                     [](char c) { return c >= '0' && c <= '9'; });
}

}  // namespace

bool is_other_spelling_of_private(std::string_view part) {
  return part != kPrivateDirectory && (folds_to(part, kPrivateDirectory) || is_short_name(part));
}

bool is_other_spelling_of_rules(std::string_view part) {
  return part != kRules && folds_to(part, kRules);
}

}  // namespace lansync
