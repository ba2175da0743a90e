// Finds out what the file system below a directory cannot hold, by trying it there: neither its
// name nor its mount options tell (a casefolding directory of ext4, a share, FUSE).
#pragma once

#include "sync/disk_limits.h"

namespace lansync {

// Makes and removes a few files in the open directory. What cannot be tried counts as held.
DiskLimits probe_disk(int directory_fd);

}  // namespace lansync
