// Our own bugs. Checked in release builds too: a node that goes on after its own state is wrong can
// lose a file; one that stops is restarted and recovers.
#pragma once

namespace lansync {

// Prints "file:line: assertion failed: text (what)" to stderr and aborts.
[[noreturn]] void assertion_failed(const char* file, int line, const char* text);

}  // namespace lansync

#define LS_ASSERT(condition)                                       \
  do {                                                             \
    if (!(condition)) [[unlikely]]                                 \
      ::lansync::assertion_failed(__FILE__, __LINE__, #condition); \
  } while (false)
