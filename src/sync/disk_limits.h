// What the disk under a folder cannot hold (FAT, exFAT, NTFS, casefolding ext4, a share): found by
// a probe at start, handed in as a value.
//
// Invariant: what this disk cannot hold is not its to say. What it shows instead is nobody's edit,
// and two names that it takes for one never cost the other its bytes. Used by the replica.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/entry.h"

namespace lansync {

struct DiskLimits {
  bool keeps_modes = true;
  bool makes_links = true;
  bool tells_case = true;          // Readme and README are two files
  bool tells_forms = true;         // a letter with its accent in one code point or in two
  bool keeps_ends = true;          // names that end in a dot or a space
  bool reserves_names = false;     // con, nul, com1 ... name devices
  std::string refused;             // characters that no name may have
  std::uint64_t name_bytes = 255;  // of one part of a path
  std::uint64_t file_bytes = UINT64_MAX;
  std::int64_t mtime_step_ns = 1;  // times are cut to a multiple of it, also of a change
  // A change has a time that nobody can set. On exFAT it is the mtime, which each `touch -r` sets.
  bool own_change_time = true;
  bool operator==(const DiskLimits&) const = default;
  // No two names of the group are one there.
  bool tells_names() const { return tells_case && tells_forms; }
};

// Equal for names that a disk which does not tell case takes for one.
std::string fold_name(std::string_view path);
// The same for one that takes names for one as `limits` say.
std::string fold_name(std::string_view path, const DiskLimits& limits);

// `seen` was read from the disk; `known` is what it was there before, or what the group has of it
// (null: nothing).
void keep_what_disk_cannot(const DiskLimits& limits, Entry& seen, const Entry* known);

// Why `entry` cannot stand at `path` there, as far as it is known without a try.
std::optional<std::string> why_not_held(const DiskLimits& limits, const std::string& path,
                                        const Entry& entry);

// One line each, for people; empty: the disk holds everything.
std::vector<std::string> describe(const DiskLimits& limits);

}  // namespace lansync
