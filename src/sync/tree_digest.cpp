#include "sync/tree_digest.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "base/assert.h"
#include "sync/entry_codec.h"

namespace lansync {

std::uint32_t bucket_count_for(std::size_t entries) {
  constexpr std::size_t kEntriesPerBucket = 16;
  std::size_t wanted = std::min<std::size_t>(entries / kEntriesPerBucket, kMaxBuckets);
  return static_cast<std::uint32_t>(std::bit_ceil(std::max<std::size_t>(wanted, 1)));
}

std::uint32_t bucket_of(const std::string& path, std::uint32_t bucket_count) {
  LS_ASSERT(std::has_single_bit(bucket_count));
  std::uint64_t hash = 0xcbf29ce484222325;  // FNV-1a, 64 bits
  for (char c : path) {
    hash ^= static_cast<std::uint8_t>(c);
    hash *= 0x100000001b3;
  }
  // FNV's low bits alone depend on the low bits of the text alone; splitmix64's finaliser mixes
  // all.
  hash = (hash ^ (hash >> 30)) * 0xbf58476d1ce4e5b9;
  hash = (hash ^ (hash >> 27)) * 0x94d049bb133111eb;
  hash ^= hash >> 31;
  return static_cast<std::uint32_t>(hash & (bucket_count - 1));
}

std::optional<std::uint32_t> bucket_count_of_digests(std::size_t digest_bytes) {
  std::size_t count = digest_bytes / kBucketDigestBytes;
  if (digest_bytes % kBucketDigestBytes != 0 || count > kMaxBuckets) return std::nullopt;
  if (!std::has_single_bit(count)) return std::nullopt;
  return static_cast<std::uint32_t>(count);
}

TreeDigest::TreeDigest(std::uint32_t bucket_count) : buckets_(bucket_count) {
  LS_ASSERT(std::has_single_bit(bucket_count) && bucket_count <= kMaxBuckets);
}

void TreeDigest::add(const std::string& path, const Entry& entry) { toggle(path, entry); }
void TreeDigest::remove(const std::string& path, const Entry& entry) { toggle(path, entry); }

void TreeDigest::replace(const std::string& path, const EntryPtr& before, const EntryPtr& after) {
  if (before) toggle(path, *before);
  if (after) toggle(path, *after);
}

void TreeDigest::toggle(const std::string& path, const Entry& entry) {
  ContentId digest = entry_digest(path, entry);
  Digest& bucket = buckets_[bucket_of(path, bucket_count())];
  for (std::size_t i = 0; i < kBucketDigestBytes; ++i) bucket[i] ^= digest.bytes[i];
}

Bytes TreeDigest::digests() const {
  Bytes out;
  out.reserve(buckets_.size() * kBucketDigestBytes);
  for (const Digest& bucket : buckets_) out.insert(out.end(), bucket.begin(), bucket.end());
  return out;
}

std::vector<std::uint32_t> TreeDigest::differing(ByteView theirs) const {
  std::vector<std::uint32_t> numbers;
  bool comparable = theirs.size() == buckets_.size() * kBucketDigestBytes;
  for (std::uint32_t i = 0; i < bucket_count(); ++i) {
    if (comparable && std::memcmp(theirs.data() + i * kBucketDigestBytes, buckets_[i].data(),
                                  kBucketDigestBytes) == 0)
      continue;
    numbers.push_back(i);
  }
  return numbers;
}

}  // namespace lansync
