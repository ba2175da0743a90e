// One file's bytes into another: shared by the file system where it can, else copied, holes kept.
//
// Invariant: on success the target has the size that the source had at the start, or the answer is
// kChanged. Called on workers, by confined_file_system.
#pragma once

#include "base/result.h"
#include "platform/confined_directory.h"

namespace lansync {

// `to` is empty. 100 GiB with one byte in it costs one block and a few calls.
Status copy_file(int from, int to, const FileSystemLimits& limits);

// pread and pwrite of all bytes, with EINTR and short counts seen to. read: fewer only at the end.
Result<std::size_t> read_fully(int fd, std::uint64_t offset, std::span<std::uint8_t> out);
Status write_fully(int fd, std::uint64_t offset, ByteView bytes);

}  // namespace lansync
