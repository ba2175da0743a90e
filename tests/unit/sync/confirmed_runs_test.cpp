#include "sync/confirmed_runs.h"

#include <algorithm>

#include "support/catch.h"

namespace lansync {
namespace {

VersionVector vector_of(ShortId id, std::uint64_t count) { return VersionVector({{id, count}}); }

std::vector<DeleteLeaf> leaves_of(const std::vector<std::string>& paths, std::uint64_t count) {
  std::vector<DeleteLeaf> leaves;
  for (const std::string& path : paths) leaves.push_back(delete_leaf(path, vector_of(7, count)));
  std::sort(leaves.begin(), leaves.end());
  return leaves;
}

TEST_CASE("a confirmed run covers its own paths with their own versions and nothing else") {
  ConfirmedRuns runs;
  runs.add(1, leaves_of({"a", "b", "d/e"}, 5));
  CHECK(runs.covers(1, "a", vector_of(7, 5)));
  CHECK(runs.covers(1, "d/e", vector_of(7, 5)));
  CHECK_FALSE(runs.covers(1, "c", vector_of(7, 5)));
  // A later delete of the same path, or one that somebody else made.
  CHECK_FALSE(runs.covers(1, "a", vector_of(7, 6)));
  CHECK_FALSE(runs.covers(1, "a", vector_of(8, 5)));
  CHECK_FALSE(runs.covers(1, "a", VersionVector({{7, 5}, {8, 1}})));
  // Another run's tombstone of the same path and version.
  CHECK_FALSE(runs.covers(2, "a", vector_of(7, 5)));
  // Where one name ends and the next begins is part of what is signed.
  CHECK(delete_leaf("ab", {}) != delete_leaf("a", {}));
  CHECK(delete_leaf("a", vector_of(1, 0x62)) != delete_leaf("a", vector_of(0x62, 1)));
}

TEST_CASE("a run may be confirmed in parts, and is forgotten whole") {
  ConfirmedRuns runs;
  runs.add(1, leaves_of({"a"}, 5));
  runs.add(1, leaves_of({"b"}, 5));
  CHECK(runs.covers(1, "a", vector_of(7, 5)));
  CHECK(runs.covers(1, "b", vector_of(7, 5)));
  runs.forget(1);
  CHECK_FALSE(runs.covers(1, "a", vector_of(7, 5)));
}

TEST_CASE("the digest of a run is over all its leaves in their order") {
  auto leaves = leaves_of({"a", "b", "c"}, 5);
  CHECK(is_sorted_set(leaves));
  const ContentId digest = digest_of_leaves(leaves);
  auto fewer = leaves;
  fewer.pop_back();
  CHECK(digest_of_leaves(fewer) != digest);
  std::swap(leaves[0], leaves[1]);
  CHECK_FALSE(is_sorted_set(leaves));
  CHECK(digest_of_leaves(leaves) != digest);
  leaves[1] = leaves[0];
  CHECK_FALSE(is_sorted_set(leaves));
}

}  // namespace
}  // namespace lansync
