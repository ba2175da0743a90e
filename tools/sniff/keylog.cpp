#include "sniff/keylog.h"

namespace lansync::sniff {

void Keylog::add(std::string_view text) {
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    const std::string_view line = text.substr(0, end);
    text = end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
    if (line.empty()) continue;
    auto keys = parse_keylog_line(line);
    if (!keys || sessions_.size() >= kMaxSessions) {
      ++bad_lines_;
      continue;
    }
    // Both sides of a session write it, and files may be concatenated.
    sessions_.insert_or_assign({keys->ra, keys->rb}, *keys);
  }
}

const SessionKeys* Keylog::find(const HandshakeRandom& ra, const HandshakeRandom& rb) {
  auto at = sessions_.find({ra, rb});
  if (at == sessions_.end() && on_missing_) {
    on_missing_();
    at = sessions_.find({ra, rb});
  }
  return at == sessions_.end() ? nullptr : &at->second;
}

}  // namespace lansync::sniff
