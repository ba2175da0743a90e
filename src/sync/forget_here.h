// This disk has nothing at a path, and has agreed on nothing there: what the group has is absent
// here, like what never came. Driven by Replica.
#pragma once

#include <string>

#include "sync/index.h"

namespace lansync {

inline void forget_here(Index& index, const std::string& path) {
  index.set_local(path, nullptr, FileStat{});
  index.set_synced(path, nullptr);
}

}  // namespace lansync
