#include "transport/key_schedule.h"

#include <cstring>

#if defined(__aarch64__)
#include <asm/hwcap.h>
#include <sys/auxv.h>
#endif

#include "base/log.h"

namespace lansync {
namespace {

constexpr std::string_view kKeylogTag = "LANSYNC2";

void expand(const Hash32& prk, std::string_view info, std::span<std::uint8_t> out) {
  hkdf_expand(prk, as_bytes(info), out);
}

// Takes the next word of `line`; empty at its end.
std::string_view next_word(std::string_view& line) {
  std::size_t end = line.find(' ');
  std::string_view word = line.substr(0, end);
  line = end == std::string_view::npos ? std::string_view() : line.substr(end + 1);
  return word;
}

}  // namespace

bool cpu_has_aes() {
#if defined(__x86_64__) || defined(__i386__)
  return __builtin_cpu_supports("aes") && __builtin_cpu_supports("pclmul");
#elif defined(__aarch64__)
  unsigned long flags = getauxval(AT_HWCAP);
  return (flags & HWCAP_AES) != 0 && (flags & HWCAP_PMULL) != 0;
#else
  return false;
#endif
}

SessionKeys::~SessionKeys() {
  wipe(k_ab);
  wipe(k_ba);
  wipe(prk);
}

SessionKeys derive_session_keys(Suite suite, ByteView ke, const Hash32& th) {
  SessionKeys keys;
  keys.suite = suite;
  keys.prk = hkdf_extract(th, ke);
  expand(keys.prk, "lansync/2 a2b", keys.k_ab);
  expand(keys.prk, "lansync/2 b2a", keys.k_ba);
  expand(keys.prk, "lansync/2 sid", keys.sid.bytes);
  return keys;
}

Key32 derive_carrier_key(const SessionKeys& keys, Direction direction, CarrierKind carrier,
                         const std::array<std::uint8_t, 8>& id8) {
  std::string info = carrier == CarrierKind::kLane ? "lansync/2 lane" : "lansync/2 tcp";
  info += direction == Direction::kAtoB ? "a2b" : "b2a";
  info += as_text(id8);
  Key32 key{};
  expand(keys.prk, info, key);
  return key;
}

std::string keylog_line(const SessionKeys& keys) {
  return str(kKeylogTag, ' ', to_hex(keys.sid), ' ', static_cast<int>(keys.suite), ' ',
             to_hex(keys.k_ab), ' ', to_hex(keys.k_ba), ' ', to_hex(keys.prk), ' ', to_hex(keys.ra),
             ' ', to_hex(keys.rb));
}

std::optional<SessionKeys> parse_keylog_line(std::string_view line) {
  for (char end : {'\n', '\r'})
    if (!line.empty() && line.back() == end) line.remove_suffix(1);
  if (next_word(line) != kKeylogTag) return std::nullopt;
  SessionKeys keys;
  if (!from_hex(next_word(line), keys.sid.bytes)) return std::nullopt;
  std::string_view suite = next_word(line);
  if (suite != "1" && suite != "2") return std::nullopt;
  keys.suite = suite == "1" ? Suite::kChaCha20Poly1305 : Suite::kAes256Gcm;
  for (Key32* value : {&keys.k_ab, &keys.k_ba, &keys.prk, &keys.ra})
    if (!from_hex(next_word(line), *value)) return std::nullopt;
  // The last takes the rest of the line, so that anything after it is refused.
  if (!from_hex(line, keys.rb)) return std::nullopt;
  return keys;
}

}  // namespace lansync
