#include "sync/disk_limits.h"

#include <utf8proc.h>

#include <algorithm>
#include <array>
#include <cstddef>

#include "base/log.h"
#include "base/rel_path.h"

namespace lansync {
namespace {

// Simple case folding of the alphabets that file names are in; what is missing here is met as a
// name that is taken, and reported as that.
std::uint32_t fold(std::uint32_t c) {
  if (c >= 'A' && c <= 'Z') return c + 0x20;
  if (c >= 0xC0 && c <= 0xDE && c != 0xD7) return c + 0x20;
  const bool even_is_upper = (c >= 0x100 && c <= 0x137) || (c >= 0x14A && c <= 0x177) ||
                             (c >= 0x460 && c <= 0x4FF) || (c >= 0x1E00 && c <= 0x1EFF);
  if (even_is_upper && c % 2 == 0) return c + 1;
  const bool odd_is_upper = (c >= 0x139 && c <= 0x148) || (c >= 0x179 && c <= 0x17E);
  if (odd_is_upper && c % 2 == 1) return c + 1;
  if (c >= 0x391 && c <= 0x3A9) return c + 0x20;
  if (c >= 0x410 && c <= 0x42F) return c + 0x20;
  if (c >= 0x400 && c <= 0x40F) return c + 0x50;
  return c;
}

void append(std::string& out, std::uint32_t c) {
  if (c < 0x80) {
    out += static_cast<char>(c);
  } else if (c < 0x800) {
    out += static_cast<char>(0xC0 | c >> 6);
    out += static_cast<char>(0x80 | (c & 0x3F));
  } else {
    out += static_cast<char>(0xE0 | c >> 12);
    out += static_cast<char>(0x80 | (c >> 6 & 0x3F));
    out += static_cast<char>(0x80 | (c & 0x3F));
  }
}

// `c` as its base letter and its marks (NFD). A letter with an accent is one code point or two, and
// some disks take both for one name: a Mac's, by a share; casefolding ext4; ZFS with normalization.
std::u32string decomposed(std::uint32_t c) {
  std::array<utf8proc_int32_t, 8> letters{};  // four at most, for any
  const auto count = utf8proc_decompose_char(
      static_cast<utf8proc_int32_t>(c), letters.data(), letters.size(),
      static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_DECOMPOSE), nullptr);
  const auto end = letters.begin() + std::clamp<std::ptrdiff_t>(count, 0, letters.size());
  // Half a surrogate pair is no letter, and append() writes three bytes at most.
  if (count <= 0 || std::any_of(letters.begin(), end, [](auto one) { return one > 0xFFFF; }))
    return {static_cast<char32_t>(c)};
  return {letters.begin(), end};
}

constexpr std::uint64_t kOftenMet = std::uint64_t{1} << 40;  // larger limits meet nobody

// con, nul.txt, COM1 ...: devices of DOS, with any ending.
bool is_reserved(std::string_view name) {
  std::string stem;
  for (const char c : name.substr(0, name.find('.')))
    stem += c >= 'A' && c <= 'Z' ? static_cast<char>(c + 0x20) : c;
  while (stem.ends_with(' ')) stem.pop_back();
  if (stem == "con" || stem == "prn" || stem == "aux" || stem == "nul") return true;
  const bool numbered = stem.size() == 4 && (stem.starts_with("com") || stem.starts_with("lpt"));
  return numbered && stem[3] >= '1' && stem[3] <= '9';
}

}  // namespace

std::string fold_name(std::string_view path) {
  DiskLimits limits;
  limits.tells_case = false;
  return fold_name(path, limits);
}

std::string fold_name(std::string_view path, const DiskLimits& limits) {
  const auto put = [&limits](std::string& out, std::uint32_t c) {
    if (limits.tells_forms) return append(out, limits.tells_case ? c : fold(c));
    for (const char32_t letter : decomposed(c))
      append(out, limits.tells_case ? letter : fold(letter));
  };
  std::string out;
  out.reserve(path.size());
  for (std::size_t i = 0; i < path.size();) {
    const auto byte = [&](std::size_t at) -> std::uint32_t {
      return at < path.size() ? static_cast<std::uint8_t>(path[at]) : 0;
    };
    const std::uint32_t first = byte(i);
    if (first < 0x80) {
      put(out, first);
      i += 1;
    } else if (first < 0xE0) {
      put(out, (first & 0x1F) << 6 | (byte(i + 1) & 0x3F));
      i += 2;
    } else if (first < 0xF0) {
      put(out, (first & 0x0F) << 12 | (byte(i + 1) & 0x3F) << 6 | (byte(i + 2) & 0x3F));
      i += 3;
    } else {
      out += path.substr(i, 4);
      i += 4;
    }
  }
  return out;
}

void keep_what_disk_cannot(const DiskLimits& limits, Entry& seen, const Entry* known) {
  const bool same_kind = known != nullptr && known->kind == seen.kind;
  if (!limits.keeps_modes && !seen.is_symlink()) {
    // What is new here gets what a person's umask would give it, not what a mount option says.
    seen.mode = same_kind ? known->mode : seen.is_directory() ? 0755 : 0644;
  }
  if (limits.mtime_step_ns > 1 && same_kind && seen.is_file()) {
    const auto cut = [&](std::int64_t ns) { return ns - ns % limits.mtime_step_ns; };
    if (same_content(seen, *known) && cut(seen.mtime_ns) == cut(known->mtime_ns))
      seen.mtime_ns = known->mtime_ns;
  }
}

// The last part alone: what stands above it is an entry of its own.
std::optional<std::string> why_not_held(const DiskLimits& limits, const std::string& path,
                                        const Entry& entry) {
  if (entry.is_symlink() && !limits.makes_links) return "this disk makes no symbolic links";
  if (entry.is_file() && entry.size > limits.file_bytes)
    return str("this disk holds no files above ", limits.file_bytes, " bytes");
  const std::string_view name = last_part(path);
  if (const std::size_t at = name.find_first_of(limits.refused); at != std::string_view::npos)
    return str("this disk holds no names with ", name[at], ": rename it to have it here");
  if (!limits.keeps_ends && (name.ends_with('.') || name.ends_with(' ')))
    return "this disk holds no names that end in a dot or a space: rename it to have it here";
  if (limits.reserves_names && is_reserved(name))
    return "its name is a device's on this disk: rename it to have it here";
  if (name.size() > limits.name_bytes)
    return str("its name is too long for this disk, which has ", limits.name_bytes,
               " bytes for it: rename it to have it here");
  return std::nullopt;
}

std::vector<std::string> describe(const DiskLimits& limits) {
  std::vector<std::string> out;
  if (!limits.keeps_modes) out.push_back("keeps no modes: the group's stay as others set them");
  if (!limits.makes_links)
    out.push_back("makes no symbolic links: those of the group are not here");
  if (!limits.tells_case)
    out.push_back(
        "takes names that differ in case alone for one: where the group has both, one is not here");
  if (!limits.tells_forms)
    out.push_back(
        "takes an accent in its letter and one beside it for the same: where the group has both "
        "names, one is not here");
  if (!limits.refused.empty())
    out.push_back(
        str("holds no names with ", limits.refused, ": such files of the group are not here"));
  if (!limits.keeps_ends)
    out.push_back("holds no names that end in a dot or a space: those of the group are not here");
  if (limits.reserves_names)
    out.push_back("holds no files named con, nul, com1 and the like: those are not here");
  if (limits.name_bytes < 255)
    out.push_back(str("holds no names above ", limits.name_bytes, " bytes: those are not here"));
  if (limits.file_bytes < kOftenMet)
    out.push_back(str("holds no files above ", limits.file_bytes, " bytes: those are not here"));
  if (limits.mtime_step_ns >= 1'000'000'000)
    out.push_back("keeps times in whole seconds only: the group's stay as others set them");
  return out;
}

}  // namespace lansync
