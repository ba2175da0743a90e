// The one author of what a first scan finds: the same file found by two nodes gets the same vector,
// so that two equal folders that meet cost digests and not listings (docs/architecture.md,
// Imports).
//
// Invariant: it depends on the path and on what an entry says of the file, and on nothing else.
#pragma once

#include <string>

#include "base/entry.h"

namespace lansync {

ShortId import_id(const std::string& path, const Entry& entry);

}  // namespace lansync
