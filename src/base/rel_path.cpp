#include "base/rel_path.h"

#include <cstdint>

#include "base/log.h"
#include "base/private_name.h"

namespace lansync {
namespace {

// C0, DEL, and the C1 range as UTF-8 encodes it (U+0080..U+009F = C2 80..C2 9F): a terminal obeys
// U+009B as it obeys ESC [.
bool has_control(std::string_view text) {
  for (std::size_t i = 0; i < text.size(); ++i) {
    auto byte = static_cast<std::uint8_t>(text[i]);
    if (byte < 0x20 || byte == 0x7F) return true;
    if (byte == 0xC2 && i + 1 < text.size() && static_cast<std::uint8_t>(text[i + 1]) < 0xA0)
      return true;
  }
  return false;
}

const char* broken_part_rule(std::string_view part) {
  if (part.empty()) return "has an empty part";
  if (part == "." || part == "..") return "has a part . or ..";
  if (part.size() > kMaxPartBytes) return "has a part of more than 255 bytes";
  return nullptr;
}

}  // namespace

bool is_valid_utf8(std::string_view text) {
  std::size_t i = 0;
  while (i < text.size()) {
    auto lead = static_cast<std::uint8_t>(text[i++]);
    if (lead < 0x80) continue;
    int more = 0;
    std::uint32_t code = 0;
    std::uint32_t least = 0;
    if (lead >= 0xC2 && lead <= 0xDF) {
      more = 1, code = lead & 0x1Fu, least = 0x80;
    } else if (lead >= 0xE0 && lead <= 0xEF) {
      more = 2, code = lead & 0x0Fu, least = 0x800;
    } else if (lead >= 0xF0 && lead <= 0xF4) {
      more = 3, code = lead & 0x07u, least = 0x10000;
    } else {
      return false;
    }
    for (; more > 0; --more) {
      if (i == text.size()) return false;
      auto next = static_cast<std::uint8_t>(text[i++]);
      if ((next & 0xC0) != 0x80) return false;
      code = code << 6 | (next & 0x3Fu);
    }
    if (code < least || code > 0x10FFFF || (code >= 0xD800 && code <= 0xDFFF)) return false;
  }
  return true;
}

const char* broken_path_rule(std::string_view path) {
  if (path.empty()) return "is empty";
  if (path.size() > kMaxPathBytes) return "is longer than 4095 bytes";
  if (path.front() == '/') return "is absolute";
  if (has_control(path)) return "has a control byte";
  if (!is_valid_utf8(path)) return "is not valid UTF-8";
  std::size_t depth = 0;
  std::size_t begin = 0;
  while (begin <= path.size()) {
    std::size_t end = path.find('/', begin);
    if (end == std::string_view::npos) end = path.size();
    std::string_view part = path.substr(begin, end - begin);
    if (const char* rule = broken_part_rule(part)) return rule;
    if (++depth > kMaxPathDepth) return "is more than 64 directories deep";
    if (part == kPrivateDirectory) return "is within .lansync";
    if (is_other_spelling_of_private(part)) return "has a part that some disks take for .lansync";
    begin = end + 1;
  }
  if (depth == 1 && is_other_spelling_of_rules(path))
    return "is another spelling of .lansyncignore, which some disks take for it";
  return nullptr;
}

Status validate_relpath(std::string_view path) {
  const char* rule = broken_path_rule(path);
  if (rule == nullptr) return {};
  return Error{ErrorCode::kRefused, str("the name \"", printable(path, 200), "\" ", rule)};
}

std::string_view parent_path(std::string_view path) {
  std::size_t slash = path.rfind('/');
  return slash == std::string_view::npos ? std::string_view() : path.substr(0, slash);
}

std::string_view last_part(std::string_view path) {
  std::size_t slash = path.rfind('/');
  return slash == std::string_view::npos ? path : path.substr(slash + 1);
}

bool is_within(std::string_view path, std::string_view directory) {
  if (directory.empty() || path == directory) return true;
  return path.size() > directory.size() && path.starts_with(directory) &&
         path[directory.size()] == '/';
}

}  // namespace lansync
