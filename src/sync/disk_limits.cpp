#include "sync/disk_limits.h"

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

}  // namespace

std::string fold_name(std::string_view path) {
  std::string out;
  out.reserve(path.size());
  for (std::size_t i = 0; i < path.size();) {
    const auto byte = [&](std::size_t at) -> std::uint32_t {
      return at < path.size() ? static_cast<std::uint8_t>(path[at]) : 0;
    };
    const std::uint32_t first = byte(i);
    if (first < 0x80) {
      append(out, fold(first));
      i += 1;
    } else if (first < 0xE0) {
      append(out, fold((first & 0x1F) << 6 | (byte(i + 1) & 0x3F)));
      i += 2;
    } else if (first < 0xF0) {
      append(out, fold((first & 0x0F) << 12 | (byte(i + 1) & 0x3F) << 6 | (byte(i + 2) & 0x3F)));
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

std::optional<std::string> why_not_held(const DiskLimits& limits, const std::string&,
                                        const Entry& entry) {
  if (entry.is_symlink() && !limits.makes_links) return "this disk makes no symbolic links";
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
  if (limits.mtime_step_ns >= 1'000'000'000)
    out.push_back("keeps times in whole seconds only: the group's stay as others set them");
  return out;
}

}  // namespace lansync
