// Moving content, seen from sync: what a receiver asks for and what a source answers. roles carries
// these over sessions; sync knows no transport.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/ids.h"
#include "sync/file_system.h"

namespace lansync {

inline constexpr std::uint64_t kContentChunk =
    1000;  // equals transport's kChunkBytes (asserted in roles)

// Names the node at the other end (roles uses the session id).
using SourceId = std::uint64_t;

// How content came or goes: 0 is the session itself, in chunks; what other numbers mean is roles'.
using Via = std::uint8_t;

struct RangeRequest {
  std::uint32_t transfer = 0;
  ContentId content;
  std::string name;  // a path where it probably is
  std::uint64_t size = 0;
  std::vector<ByteRange> ranges;  // begin on a chunk border; end on one or at size
};

struct TransferResult {
  std::uint32_t transfer = 0;
  bool ok = true;
  Md5 md5;
  std::string reason;
};

// One line in status.transfers.
struct TransferProgress {
  std::string name;
  bool incoming = true;
  SourceId peer = 0;
  std::uint64_t size = 0;
  std::uint64_t done = 0;
  double rate = 0;  // bytes per second over the last seconds
  Via via = 0;      // how the last part of it went
};

}  // namespace lansync
