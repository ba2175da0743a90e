// A thread that no signal is given to: those are for the control thread.
#pragma once

#include <functional>
#include <thread>

#include "base/result.h"

namespace lansync {

// kBusy: the system has no room for one more.
Result<std::thread> start_thread(std::function<void()> run);

}  // namespace lansync
