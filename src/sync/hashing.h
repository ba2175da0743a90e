// Content as digests: MD5 (closes a transfer) and SHA-256 (is the identity), in one pass, because a
// file is read once and never twice.
//
// Invariant: what finish() returns covers exactly the bytes given since construction or reset().
// Driven by workers (hashing a file on disk) and by the receiver of a transfer.
#pragma once

#include <memory>

#include "base/bytes.h"
#include "base/ids.h"

namespace lansync {

struct ContentDigests {
  Md5 md5;
  ContentId content;
  bool operator==(const ContentDigests&) const = default;
};

class ContentHasher {
 public:
  ContentHasher();
  ~ContentHasher();
  ContentHasher(ContentHasher&&) noexcept;
  ContentHasher& operator=(ContentHasher&&) noexcept;

  void update(ByteView bytes);
  // The digests of everything since the last reset; the hasher is reset by it.
  ContentDigests finish();
  void reset();

 private:
  struct Contexts;
  std::unique_ptr<Contexts> contexts_;
};

// SHA-256 of bytes in memory (a symlink's target, a small file).
ContentId content_id_of(ByteView bytes);
ContentDigests digests_of(ByteView bytes);
// An id that follows from a digest: of versions that no single node is the author of.
ShortId short_id_from(const ContentId& digest);

}  // namespace lansync
