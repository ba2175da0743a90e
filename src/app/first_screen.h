// What a node says when it starts: the folder, the group, whether it is open and how to close it.
#pragma once

#include <string>

#include "app/settings.h"

namespace lansync {

std::string first_screen(const RunOptions& options);

}  // namespace lansync
