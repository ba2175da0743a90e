// Sizes and rates as people write and read them. Pure functions; used by options and by rendering.
//
// k, M, G, T are powers of 1000 and Ki, Mi, Gi, Ti powers of 1024, as in the SI and IEC standards
// and in what disks and links are sold by.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/time.h"

namespace lansync {

// The times that options take, for who wrote something else.
inline constexpr const char* kTimeForms =
    "2026-11-21, 2026-11-21T12:00, 2026-11-21T12:00:00Z or epoch seconds (UTC unless a zone "
    "stands there)";

// "1500", "20M", "1.5G", "64Ki", each with an optional "B" at its end. nullopt for anything else,
// and on overflow.
std::optional<std::uint64_t> parse_size(std::string_view text);
// The same, with an optional "/s". Zero is no rate.
std::optional<std::uint64_t> parse_rate(std::string_view text);

std::string format_size(std::uint64_t bytes);                  // "0 B", "999 B", "1.5 kB", "20 MB"
std::string format_rate(std::uint64_t bytes_per_second);       // "20 MB/s"
std::string format_seconds(std::uint64_t seconds);             // "7 s", "2 min", "3 h 20 min"
std::string counted(std::uint64_t count, const char* things);  // "1 file", "2 files"

}  // namespace lansync
