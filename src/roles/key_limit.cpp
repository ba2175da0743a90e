#include "roles/key_limit.h"

#include <algorithm>
#include <charconv>

namespace lansync {
namespace {

constexpr const char* kLeft = "new_key_wait";     // seconds still to wait
constexpr const char* kWritten = "new_key_wall";  // the wall clock's seconds when that was written
constexpr std::int64_t kNsPerSecond = 1'000'000'000;

std::int64_t number(const std::map<std::string, std::string>& meta, const char* key) {
  std::int64_t value = 0;
  auto at = meta.find(key);
  if (at == meta.end()) return 0;
  std::from_chars(at->second.data(), at->second.data() + at->second.size(), value);
  return value;
}

}  // namespace

void KeyLimit::load(const std::map<std::string, std::string>& meta, Instant now, WallTime wall) {
  constexpr std::int64_t kMost =
      std::chrono::duration_cast<std::chrono::seconds>(kInterval).count();
  constexpr std::int64_t kDay = 24 * 3600;
  const std::int64_t left = std::clamp<std::int64_t>(number(meta, kLeft), 0, kMost);
  const std::int64_t gap =
      std::clamp<std::int64_t>(wall.ns / kNsPerSecond - number(meta, kWritten), 0, kDay);
  allowed_at_ = left > gap ? now + std::chrono::seconds(left - gap) : Instant{};
}

std::map<std::string, std::string> KeyLimit::meta(Instant now, WallTime wall) const {
  if (allows(now)) return {{kLeft, ""}, {kWritten, ""}};
  // Rounded up: a wait never shrinks by being written.
  const auto left = std::chrono::duration_cast<std::chrono::seconds>(allowed_at_ - now).count() + 1;
  return {{kLeft, std::to_string(left)}, {kWritten, std::to_string(wall.ns / kNsPerSecond)}};
}

}  // namespace lansync
