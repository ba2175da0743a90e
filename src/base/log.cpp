#include "base/log.h"

#include <algorithm>

namespace lansync {
namespace {

constexpr std::size_t kMaxKeys = 1024;

// Length of the well-formed UTF-8 sequence at the front of `text` (Unicode 15, table 3-7), 0 if
// none; sets the code point.
std::size_t utf8_length(std::string_view text, std::uint32_t& code) {
  auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  unsigned char first = byte(0);
  if (first < 0x80) {
    code = first;
    return 1;
  }
  std::size_t length = first >= 0xc2 && first <= 0xdf   ? 2
                       : first >= 0xe0 && first <= 0xef ? 3
                       : first >= 0xf0 && first <= 0xf4 ? 4
                                                        : 0;
  if (length == 0 || text.size() < length) return 0;
  code = first & (0xffu >> (length + 1));
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return 0;
    code = code << 6 | (byte(i) & 0x3fu);
  }
  bool overlong = (length == 3 && code < 0x800) || (length == 4 && code < 0x10000);
  bool surrogate = code >= 0xd800 && code <= 0xdfff;
  return overlong || surrogate || code > 0x10ffff ? 0 : length;
}

// Controls (C0, DEL, C1) and what reorders a line (bidirectional overrides, UAX #9).
bool harmful(std::uint32_t code) {
  return code < 0x20 || (code >= 0x7f && code < 0xa0) || (code >= 0x202a && code <= 0x202e) ||
         (code >= 0x2066 && code <= 0x2069) || code == 0x2028 || code == 0x2029;
}

// What is not seen at all: two names that look the same, or a part of one that is not where it
// seems to be.
bool invisible(std::uint32_t code) {
  return code == 0xad || code == 0x34f || code == 0x61c || code == 0x115f || code == 0x1160 ||
         code == 0x17b4 || code == 0x17b5 || (code >= 0x180b && code <= 0x180f) || code == 0x200b ||
         code == 0x200e || code == 0x200f || (code >= 0x2060 && code <= 0x206f) || code == 0x3164 ||
         code == 0xfeff || code == 0xffa0 || (code >= 0xfff9 && code <= 0xfffb) ||
         (code >= 0x1d173 && code <= 0x1d17a) || (code >= 0xe0000 && code <= 0xe0fff);
}

// The joiners belong to some scripts and to pictures; after a letter of ASCII they only hide.
bool joiner(std::uint32_t code) { return code == 0x200c || code == 0x200d; }

}  // namespace

bool LogLimiter::allow(std::string_view key, Instant now, std::uint64_t& suppressed) {
  auto at = slots_.find(key);
  if (at == slots_.end()) {
    if (slots_.size() >= kMaxKeys) {
      slots_.erase(std::min_element(slots_.begin(), slots_.end(), [](const auto& a, const auto& b) {
        return a.second.last < b.second.last;
      }));
    }
    slots_.emplace(std::string(key), Slot{now, 0});
    suppressed = 0;
    return true;
  }
  Slot& slot = at->second;
  if (now - slot.last < interval_) {
    ++slot.suppressed;
    return false;
  }
  suppressed = slot.suppressed;
  slot = Slot{now, 0};
  return true;
}

std::string printable(std::string_view text, std::size_t max_bytes) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string out;
  std::uint32_t before = 0;
  while (!text.empty()) {
    std::uint32_t code = 0;
    std::size_t length = utf8_length(text, code);
    std::string part;
    const bool hides = invisible(code) || (joiner(code) && (before < 0x80 || joiner(before)));
    before = code;
    if (length != 0 && !harmful(code) && !hides) {
      part = text.substr(0, length);
    } else {
      length = std::max<std::size_t>(length, 1);
      for (std::size_t i = 0; i < length; ++i) {
        auto byte = static_cast<unsigned char>(text[i]);
        part += "\\x";
        part += kDigits[byte >> 4];
        part += kDigits[byte & 15];
      }
    }
    if (out.size() + part.size() > max_bytes) return out + "...";
    out += part;
    text.remove_prefix(length);
  }
  return out;
}

}  // namespace lansync
