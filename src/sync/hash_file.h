// A whole file read once for its digests. Blocks: for workers.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "base/result.h"
#include "sync/file_system.h"
#include "sync/hashing.h"

namespace lansync {

// Of all that `file` reads until its end; the error with which it was opened, or stopped. The end
// is where the read ends, not where a stat says: a file may grow meanwhile.
template <class File>  // ReadFile, TempFile
Result<ContentDigests> digests_of_file(const Result<std::unique_ptr<File>>& file) {
  if (!file) return file.error();
  ContentHasher hasher;
  std::vector<std::uint8_t> buffer(256 * 1024);
  for (std::uint64_t offset = 0;;) {
    auto size = (*file)->read(offset, buffer);
    if (!size) return size.error();
    if (*size == 0) return hasher.finish();
    hasher.update(ByteView(buffer).first(*size));
    offset += *size;
  }
}

}  // namespace lansync
