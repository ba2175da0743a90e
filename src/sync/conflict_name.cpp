#include "sync/conflict_name.h"

#include <algorithm>
#include <optional>

namespace lansync {
namespace {

// As in validate_relpath. Repeated here because a name made here must pass there whatever is fed.
constexpr std::size_t kPathBytes = 4095;
constexpr std::size_t kPartBytes = 255;
constexpr std::size_t kHostBytes = 64;
// Longer than any extension in use; what is longer is not one, and is shortened with the rest.
constexpr std::size_t kExtensionBytes = 64;
constexpr std::string_view kOpening = " (conflict ";
constexpr std::size_t kStampBytes = 19;  // "2026-11-21 12.30.05"
constexpr std::size_t kShortIdDigits = 8;
constexpr std::size_t kFullIdDigits = 64;

bool is_continuation(char c) { return (static_cast<unsigned char>(c) & 0xC0) == 0x80; }

// Length of the valid UTF-8 character at the start of `text`, 0 if there is none (RFC 3629 table).
std::size_t character_length(std::string_view text) {
  auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  if (text.empty()) return 0;
  unsigned char lead = byte(0);
  if (lead < 0x80) return 1;
  std::size_t length = lead >= 0xC2 && lead <= 0xDF   ? 2
                       : lead >= 0xE0 && lead <= 0xEF ? 3
                       : lead >= 0xF0 && lead <= 0xF4 ? 4
                                                      : 0;
  if (length == 0 || text.size() < length) return 0;
  for (std::size_t i = 1; i < length; ++i) {
    if (!is_continuation(text[i])) return 0;
  }
  if (lead == 0xE0 && byte(1) < 0xA0) return 0;  // overlong
  if (lead == 0xED && byte(1) > 0x9F) return 0;  // surrogates
  if (lead == 0xF0 && byte(1) < 0x90) return 0;  // overlong
  if (lead == 0xF4 && byte(1) > 0x8F) return 0;  // beyond U+10FFFF
  return length;
}

std::string_view cut_at_character(std::string_view text, std::size_t max_bytes) {
  if (text.size() <= max_bytes) return text;
  std::size_t end = max_bytes;
  while (end > 0 && is_continuation(text[end])) --end;
  return text.substr(0, end);
}

std::string clean_host(std::string_view host) {
  std::string clean;
  while (!host.empty()) {
    std::size_t length = character_length(host);
    std::string_view character = host.substr(0, std::max<std::size_t>(length, 1));
    host.remove_prefix(character.size());
    char first = character[0];
    // Parentheses would make the end of the suffix ambiguous for is_conflict_name.
    bool control = static_cast<unsigned char>(first) < 0x20 || first == 0x7F ||
                   (length == 2 && character < "\xC2\xA0");  // C1: a terminal obeys them too
    bool bad = length == 0 || control || first == '/' || first == '(' || first == ')';
    if (!bad) clean += character;
  }
  clean = cut_at_character(clean, kHostBytes);
  return clean.empty() ? "unknown" : clean;
}

struct Parts {
  std::string_view directory;  // without its '/', "" at the root
  std::string_view stem;
  std::string_view extension;  // with its dot, or ""
};

Parts split(std::string_view path) {
  Parts parts;
  std::size_t slash = path.rfind('/');
  std::string_view name = path;
  if (slash != std::string_view::npos) {
    parts.directory = path.substr(0, slash);
    name = path.substr(slash + 1);
  }
  std::size_t dot = name.rfind('.');
  // ".bashrc" is a name, not an extension; "name." has none; "Mr. X" neither (and an extension with
  // spaces could look like the suffix itself).
  bool has_extension = dot != std::string_view::npos && dot > 0 && dot + 1 < name.size() &&
                       name.size() - dot <= kExtensionBytes &&
                       name.find(' ', dot) == std::string_view::npos;
  parts.stem = has_extension ? name.substr(0, dot) : name;
  parts.extension = has_extension ? name.substr(dot) : std::string_view();
  return parts;
}

bool all_of_digits(std::string_view text, std::string_view digits) {
  return text.find_first_not_of(digits) == std::string_view::npos;
}

bool is_stamp(std::string_view text) {
  constexpr std::string_view kForm = "dddd-dd-dd dd.dd.dd";
  if (text.size() != kForm.size()) return false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    bool digit = text[i] >= '0' && text[i] <= '9';
    if (kForm[i] == 'd' ? !digit : text[i] != kForm[i]) return false;
  }
  return true;
}

// A conflict copy's name taken apart: "stem (conflict HOST STAMP[ ID]).ext".
struct Recognised {
  std::string_view stem;
  std::string_view host_and_stamp;
  std::string_view extension;
};

std::optional<Recognised> recognise(std::string_view name) {
  std::size_t opening = name.rfind(kOpening);
  if (opening == std::string_view::npos) return std::nullopt;
  std::string_view inner = name.substr(opening + kOpening.size());
  std::size_t closing = inner.find(')');
  if (closing == std::string_view::npos) return std::nullopt;
  std::string_view extension = inner.substr(closing + 1);
  if (!extension.empty() && extension[0] != '.') return std::nullopt;
  inner = inner.substr(0, closing);
  for (std::size_t digits : {kShortIdDigits, kFullIdDigits}) {
    if (inner.size() <= digits + 1 || inner[inner.size() - digits - 1] != ' ') continue;
    std::string_view id = inner.substr(inner.size() - digits);
    if (!all_of_digits(id, "0123456789abcdef")) continue;
    inner = inner.substr(0, inner.size() - digits - 1);
    break;
  }
  if (inner.size() < kStampBytes + 2) return std::nullopt;  // a host and a space at least
  if (!is_stamp(inner.substr(inner.size() - kStampBytes))) return std::nullopt;
  if (inner[inner.size() - kStampBytes - 1] != ' ') return std::nullopt;
  return Recognised{name.substr(0, opening), inner, extension};
}

std::string_view last_part_of(std::string_view path) {
  std::size_t slash = path.rfind('/');
  return slash == std::string_view::npos ? path : path.substr(slash + 1);
}

}  // namespace

std::string conflict_name(const std::string& path, std::string_view host, WallTime edited,
                          const ContentId& content, ConflictNameStep step) {
  Parts parts = split(path);
  std::string inner;
  if (auto old = recognise(last_part_of(path))) {
    parts.stem = old->stem;
    parts.extension = old->extension;
    inner = old->host_and_stamp;
    if (step == ConflictNameStep::kPlain) step = ConflictNameStep::kShortId;
  } else {
    inner = clean_host(host) + ' ' + to_file_stamp(edited);
  }
  if (step != ConflictNameStep::kPlain) {
    std::string id = to_hex(content);
    if (step == ConflictNameStep::kShortId) id.resize(kShortIdDigits);
    inner += ' ';
    inner += id;
  }
  std::string tail = std::string(kOpening) + inner + ')';
  tail += parts.extension;
  // The last resort for a copy of a name that was found, not made: its extension may be of any
  // length.
  if (tail.size() > kPartBytes) tail.resize(cut_at_character(tail, kPartBytes).size());
  std::string_view directory = parts.directory;
  while (!directory.empty() && directory.size() + 1 + tail.size() > kPathBytes) {
    std::size_t slash = directory.rfind('/');
    directory = slash == std::string_view::npos ? std::string_view() : directory.substr(0, slash);
  }
  std::size_t room = kPathBytes - tail.size() - (directory.empty() ? 0 : directory.size() + 1);
  room = std::min(room, kPartBytes - tail.size());
  std::string name(directory);
  if (!name.empty()) name += '/';
  name += cut_at_character(parts.stem, room);
  return name + tail;
}

bool is_conflict_name(std::string_view path) { return recognise(last_part_of(path)).has_value(); }

std::optional<ConflictNameParts> parse_conflict_name(std::string_view path) {
  const std::string_view name = last_part_of(path);
  const std::optional<Recognised> seen = recognise(name);
  if (!seen) return std::nullopt;
  ConflictNameParts parts;
  parts.of = path.substr(0, path.size() - name.size());
  parts.of += seen->stem;
  parts.of += seen->extension;
  if (seen->stem.empty() && seen->extension.empty()) parts.of = path;
  const std::string_view inner = seen->host_and_stamp;
  parts.host = inner.substr(0, inner.size() - kStampBytes - 1);
  std::string stamp(inner.substr(inner.size() - kStampBytes));
  std::replace(stamp.begin(), stamp.end(), '.', ':');
  parts.edited = parse_time(stamp).value_or(WallTime{});
  return parts;
}

}  // namespace lansync
