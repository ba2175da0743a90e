#include "sync/tree_digest.h"

#include <algorithm>
#include <set>

#include "base/random.h"
#include "support/catch.h"

namespace lansync {
namespace {

EntryPtr file(std::uint64_t number) {
  auto entry = std::make_shared<Entry>();
  entry->size = number;
  entry->content.bytes[0] = static_cast<std::uint8_t>(number);
  entry->version = VersionVector({{1, number + 1}});
  return entry;
}

std::string path(int i) { return "directory/file " + std::to_string(i) + ".txt"; }

TEST_CASE("the bucket count is a power of two near a sixteenth of the entries, 4096 at most") {
  CHECK(bucket_count_for(0) == 1);
  CHECK(bucket_count_for(31) == 1);
  CHECK(bucket_count_for(32) == 2);
  CHECK(bucket_count_for(1000) == 64);
  CHECK(bucket_count_for(65536) == 4096);
  CHECK(bucket_count_for(10'000'000) == 4096);
}

TEST_CASE("a size of digests is legal for a power of two of buckets only") {
  CHECK(bucket_count_of_digests(16) == 1u);
  CHECK(bucket_count_of_digests(4096 * 16) == 4096u);
  CHECK(!bucket_count_of_digests(0));
  CHECK(!bucket_count_of_digests(3 * 16));
  CHECK(!bucket_count_of_digests(17));
  CHECK(!bucket_count_of_digests(8192 * 16));
}

// These numbers are part of the protocol: another hash here means another protocol version.
TEST_CASE("the bucket of a path is fixed for all time") {
  CHECK(bucket_of("", 4096) == 2203);
  CHECK(bucket_of("a", 4096) == 248);
  CHECK(bucket_of("directory/file 1.txt", 4096) == 2665);
  CHECK(bucket_of("directory/file 1.txt", 16) == 2665 % 16);
  CHECK(bucket_of("anything", 1) == 0);
}

TEST_CASE("paths spread evenly over the buckets") {
  std::vector<int> counts(64);
  for (int i = 0; i < 64 * 100; ++i) ++counts[bucket_of(path(i), 64)];
  // 100 expected with a deviation of 10: six deviations either way.
  CHECK(*std::min_element(counts.begin(), counts.end()) > 40);
  CHECK(*std::max_element(counts.begin(), counts.end()) < 160);
}

TEST_CASE("the digest of a tree does not depend on the order in which it was made") {
  TreeDigest forward(32);
  TreeDigest backward(32);
  for (int i = 0; i < 500; ++i) forward.add(path(i), *file(i));
  for (int i = 499; i >= 0; --i) backward.add(path(i), *file(i));
  CHECK(forward.digests() == backward.digests());
  CHECK(forward.differing(backward.digests()).empty());
}

TEST_CASE("one changed entry makes its bucket differ and no other") {
  TreeDigest mine(32);
  TreeDigest theirs(32);
  for (int i = 0; i < 500; ++i) {
    mine.add(path(i), *file(i));
    theirs.add(path(i), *file(i));
  }
  theirs.replace(path(77), file(77), file(78));
  CHECK(mine.differing(theirs.digests()) == std::vector<std::uint32_t>{bucket_of(path(77), 32)});
  theirs.replace(path(77), file(78), file(77));
  CHECK(mine.differing(theirs.digests()).empty());
}

TEST_CASE("taking out what was put in gives the digest of before") {
  Prng random(5);
  TreeDigest digest(16);
  Bytes empty = digest.digests();
  CHECK(empty == Bytes(16 * kBucketDigestBytes, 0));
  std::set<int> in;
  for (int i = 0; i < 2000; ++i) {
    int number = static_cast<int>(random.below(100));
    if (in.insert(number).second) {
      digest.add(path(number), *file(number));
    } else {
      in.erase(number);
      digest.remove(path(number), *file(number));
    }
  }
  TreeDigest again(16);
  for (int number : in) again.add(path(number), *file(number));
  CHECK(again.digests() == digest.digests());
  for (int number : in) digest.replace(path(number), file(number), nullptr);
  CHECK(digest.digests() == empty);
}

TEST_CASE("digests of another size differ in every bucket") {
  TreeDigest mine(4);
  CHECK(mine.differing(TreeDigest(8).digests()) == std::vector<std::uint32_t>{0, 1, 2, 3});
  CHECK(mine.differing({}).size() == 4);
}

}  // namespace
}  // namespace lansync
