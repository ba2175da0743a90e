// Names that some disk takes for one of lansync's own: exFAT, NTFS, vfat, HFS+ and ext4 with
// casefold find `.lansync` by `.LANSYNC` as well, some of them with a dot at the end, with a letter
// that looks like one of these or with one that nobody sees, and vfat by LANSYN~1 (the same that
// let .GIT in: CVE-2014-9390). Such a name is taken from nobody and told to nobody, on any disk: it
// would be the node's key and settings on another. Pure.
#pragma once

#include <string_view>

namespace lansync {

// `part`, one part of a path in valid UTF-8, may be `.lansync`, and is spelled otherwise.
bool is_other_spelling_of_private(std::string_view part);
// The same of the rules' file, `.lansyncignore`, which a folding disk would obey there alone.
bool is_other_spelling_of_rules(std::string_view part);

}  // namespace lansync
