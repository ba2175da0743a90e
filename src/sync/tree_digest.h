// A tree of entries as a few kilobytes, so that two large equal folders find out that they are
// equal without sending their listings (message index_get).
//
// Paths fall into buckets by the FNV-1a hash of their bytes (64 bits, then the finaliser of
// splitmix64, the lowest bits count): stable across machines and versions, and part of the
// protocol. A bucket's digest is the XOR of the first 16 bytes of each of its entry_digest()s: it
// does not depend on the order of arrival, and an entry is taken out by putting it in again. A
// member could forge a XOR collision; a member can also just lie about what it has, so nothing is
// lost by it. Driven by the replica: one for the hub's tree, kept up to date entry by entry.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/entry.h"

namespace lansync {

inline constexpr std::uint32_t kMaxBuckets = 4096;
inline constexpr std::size_t kBucketDigestBytes = 16;

// About 16 entries a bucket; a power of two from 1 to kMaxBuckets.
std::uint32_t bucket_count_for(std::size_t entries);
// Requires: bucket_count is a power of two.
std::uint32_t bucket_of(const std::string& path, std::uint32_t bucket_count);

class TreeDigest {
 public:
  // Requires: bucket_count is a power of two, 1..kMaxBuckets.
  explicit TreeDigest(std::uint32_t bucket_count = 1);

  // add() of an entry that is in already takes it out: call remove() with the old one first.
  void add(const std::string& path, const Entry& entry);
  void remove(const std::string& path, const Entry& entry);
  void replace(const std::string& path, const EntryPtr& before, const EntryPtr& after);

  std::uint32_t bucket_count() const { return static_cast<std::uint32_t>(buckets_.size()); }
  // bucket_count() * 16 bytes.
  Bytes digests() const;
  // The numbers of the buckets that differ from theirs, ascending; all of them if `theirs` does not
  // have our size (then the two cannot be compared).
  std::vector<std::uint32_t> differing(ByteView theirs) const;

 private:
  using Digest = std::array<std::uint8_t, kBucketDigestBytes>;
  void toggle(const std::string& path, const Entry& entry);
  std::vector<Digest> buckets_;
};

// The bucket count that `digest_bytes` bytes of digests mean; nullopt if it is not a legal one.
std::optional<std::uint32_t> bucket_count_of_digests(std::size_t digest_bytes);

}  // namespace lansync
