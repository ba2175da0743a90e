#include "sync/ignore_rules.h"

#include <algorithm>
#include <cctype>
#include <optional>

#include "base/log.h"
#include "sync/conflict_name.h"

namespace lansync {
namespace {

constexpr std::string_view kBuiltIn =
    ".*.sw[a-p]\n"
    "4913\n"
    "~$*\n"
    ".#*\n"
    ".~lock.*#\n"
    ".goutputstream-*\n";

unsigned char byte_at(std::string_view text, std::size_t i) {
  return static_cast<unsigned char>(text[i]);
}

// In the C locale, as git does it.
std::optional<bool> in_class(std::string_view name, unsigned char c) {
  if (c > 0x7F) c = 0;
  if (name == "alnum") return std::isalnum(c) != 0;
  if (name == "alpha") return std::isalpha(c) != 0;
  if (name == "blank") return c == ' ' || c == '\t';
  if (name == "cntrl") return std::iscntrl(c) != 0;
  if (name == "digit") return std::isdigit(c) != 0;
  if (name == "graph") return std::isgraph(c) != 0;
  if (name == "lower") return std::islower(c) != 0;
  if (name == "print") return std::isprint(c) != 0;
  if (name == "punct") return std::ispunct(c) != 0;
  if (name == "space") return std::isspace(c) != 0;
  if (name == "upper") return std::isupper(c) != 0;
  if (name == "xdigit") return std::isxdigit(c) != 0;
  return std::nullopt;
}

// Matches a bracket expression whose '[' is at `at` against `c`; moves `at` behind its ']'.
// nullopt: it is malformed, and a pattern with such a thing matches nothing.
std::optional<bool> match_bracket(std::string_view pattern, std::size_t& at, unsigned char c) {
  std::size_t i = at + 1;
  bool negated = i < pattern.size() && (pattern[i] == '!' || pattern[i] == '^');
  if (negated) ++i;
  bool matched = false;
  int previous = -1;  // the start of a range, if one can start
  // A ']' in the first place is a member.
  for (bool first = true; first || i >= pattern.size() || pattern[i] != ']'; first = false) {
    if (i >= pattern.size()) return std::nullopt;
    if (pattern[i] == '[' && i + 1 < pattern.size() && pattern[i + 1] == ':') {
      std::size_t end = pattern.find(']', i + 2);
      if (end == std::string_view::npos) return std::nullopt;
      if (end > i + 2 && pattern[end - 1] == ':') {
        auto member = in_class(pattern.substr(i + 2, end - i - 3), c);
        if (!member) return std::nullopt;
        matched = matched || *member;
        previous = -1;
        i = end + 1;
        continue;
      }
      // No ":]": the '[' is a member like others.
    }
    if (pattern[i] == '-' && previous >= 0 && i + 1 < pattern.size() && pattern[i + 1] != ']') {
      ++i;
      if (pattern[i] == '\\' && ++i >= pattern.size()) return std::nullopt;
      matched = matched || (c >= previous && c <= byte_at(pattern, i));
      previous = -1;
      ++i;
      continue;
    }
    if (pattern[i] == '\\' && ++i >= pattern.size()) return std::nullopt;
    previous = byte_at(pattern, i);
    matched = matched || c == previous;
    ++i;
  }
  at = i + 1;
  return matched != negated;
}

// One part of a path against one part of a pattern. Only the last star is ever tried again: what an
// earlier one took is as good as anything else it could have taken. So the time is at most
// pattern length * text length.
bool match_part(std::string_view pattern, std::string_view text) {
  std::size_t p = 0;
  std::size_t t = 0;
  std::size_t star = std::string_view::npos;
  std::size_t star_text = 0;
  while (t < text.size() || p < pattern.size()) {
    bool matched = false;
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      star_text = t;
      continue;
    }
    if (p < pattern.size() && t < text.size()) {
      std::size_t next = p;
      switch (pattern[p]) {
        case '?':
          matched = true;
          ++next;
          break;
        case '[': {
          auto member = match_bracket(pattern, next, byte_at(text, t));
          if (!member) return false;
          matched = *member;
          break;
        }
        case '\\':
          if (++next >= pattern.size()) return false;
          [[fallthrough]];
        default:
          matched = pattern[next] == text[t];
          ++next;
      }
      if (matched) {
        p = next;
        ++t;
        continue;
      }
    }
    if (star == std::string_view::npos || star_text >= text.size()) return false;
    p = star + 1;
    t = ++star_text;
  }
  return true;
}

std::vector<std::string_view> split(std::string_view path) {
  std::vector<std::string_view> parts;
  while (true) {
    std::size_t slash = path.find('/');
    parts.push_back(path.substr(0, slash));
    if (slash == std::string_view::npos) return parts;
    path.remove_prefix(slash + 1);
  }
}

// A pattern split at its slashes, except those within a bracket expression (which match nothing). A
// slash may be quoted ("a\\/b" is "a/b"). nullopt: a bracket expression is malformed, so that the
// pattern can match nothing.
std::optional<std::vector<std::string>> split_pattern(std::string_view pattern) {
  std::vector<std::string> parts(1);
  for (std::size_t i = 0; i < pattern.size();) {
    bool quoted = pattern[i] == '\\' && i + 1 < pattern.size();
    if (quoted && pattern[i + 1] == '/') ++i;
    if (pattern[i] == '/') {
      parts.emplace_back();
      ++i;
      continue;
    }
    std::size_t end = i;
    if (pattern[i] == '[') {
      if (!match_bracket(pattern, end, 0)) return std::nullopt;
    } else {
      end += quoted ? 2 : 1;
    }
    parts.back() += pattern.substr(i, end - i);
    i = end;
  }
  return parts;
}

// Git's rule: spaces at the end do not count unless a backslash quotes them.
std::string_view trim_trailing_spaces(std::string_view line) {
  std::size_t end = 0;
  for (std::size_t i = 0; i < line.size(); ++i) {
    if (line[i] == '\\') {
      if (++i >= line.size()) return line;
      end = i + 1;
    } else if (line[i] != ' ') {
      end = i + 1;
    }
  }
  return line.substr(0, end);
}

}  // namespace

IgnoreRules::IgnoreRules() { add_lines(kBuiltIn); }

IgnoreRules IgnoreRules::parse(std::string_view text) {
  IgnoreRules rules;
  constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";
  if (text.starts_with(kByteOrderMark)) text.remove_prefix(kByteOrderMark.size());
  if (text.size() > kMaxFileBytes) {
    rules.problems_.push_back(str(kFileName, " is longer than ", kMaxFileBytes,
                                  " bytes: the lines after that are not obeyed"));
    std::size_t end = text.rfind('\n', kMaxFileBytes - 1);
    text = text.substr(0, end == std::string_view::npos ? 0 : end + 1);
  }
  rules.add_lines(text);
  return rules;
}

void IgnoreRules::add_lines(std::string_view text) {
  std::size_t number = 0;
  while (!text.empty()) {
    ++number;
    std::size_t end = text.find('\n');
    std::string_view line = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    if (end != std::string_view::npos && line.ends_with('\r')) line.remove_suffix(1);
    if (rules_.size() >= kMaxPatterns) {
      problems_.push_back(str(kFileName, " has more than ", kMaxPatterns,
                              " patterns: those from line ", number, " on are not obeyed"));
      return;
    }
    add_line(line);
  }
}

void IgnoreRules::add_line(std::string_view line) {
  if (line.empty() || line[0] == '#') return;
  line = trim_trailing_spaces(line);
  Rule rule;
  if (line.starts_with('!')) {
    rule.negated = true;
    line.remove_prefix(1);
  }
  if (line.ends_with('/')) {
    rule.directory_only = true;
    line.remove_suffix(1);
  }
  rule.anchored = line.find('/') != std::string_view::npos;
  if (line.starts_with('/')) line.remove_prefix(1);
  if (line.empty()) return;
  auto parts = split_pattern(line);
  if (!parts) return;
  rule.parts = std::move(*parts);
  rules_.push_back(std::move(rule));
}

bool IgnoreRules::matches(const Rule& rule, const std::vector<std::string_view>& parts) {
  if (!rule.anchored) return match_part(rule.parts.back(), parts.back());
  // The same loop as match_part's, with parts for characters and "**" for the star.
  const std::vector<std::string>& pattern = rule.parts;
  std::size_t p = 0;
  std::size_t t = 0;
  std::size_t star = std::string_view::npos;
  std::size_t star_part = 0;
  while (t < parts.size() || p < pattern.size()) {
    if (p < pattern.size() && pattern[p] == "**") {
      // "a/**" is what is in a, not a itself.
      if (p + 1 == pattern.size()) return t < parts.size();
      star = p++;
      star_part = t;
      continue;
    }
    if (p < pattern.size() && t < parts.size() && match_part(pattern[p], parts[t])) {
      ++p;
      ++t;
      continue;
    }
    if (star == std::string_view::npos || star_part >= parts.size()) return false;
    p = star + 1;
    t = ++star_part;
  }
  return true;
}

bool IgnoreRules::ignored_here(std::string_view path, bool is_directory) const {
  if (path == kFileName) return false;
  if (path == ".lansync") return true;
  // A conflict whose copy no rule lets in could never be settled: it would be offered again and
  // again. (`*` and `!notes.txt`: the copy of notes.txt has another name. Simulator's seed 993.)
  if (const auto copy = parse_conflict_name(path); copy && copy->of != path)
    return ignored_here(copy->of, is_directory);
  std::vector<std::string_view> parts = split(path);
  for (auto rule = rules_.rbegin(); rule != rules_.rend(); ++rule) {
    if (rule->directory_only && !is_directory) continue;
    if (matches(*rule, parts)) return !rule->negated;
  }
  return false;
}

bool IgnoreRules::ignored(std::string_view path, bool is_directory) const {
  for (std::size_t slash = path.find('/'); slash != std::string_view::npos;
       slash = path.find('/', slash + 1)) {
    if (ignored_here(path.substr(0, slash), true)) return true;
  }
  return ignored_here(path, is_directory);
}

}  // namespace lansync
