#include "base/version_vector.h"

#include "support/catch.h"

using namespace lansync;

TEST_CASE("a vector that has seen more is newer, one that has seen other edits is concurrent") {
  VersionVector a({{1, 2}, {5, 1}});
  VersionVector b({{1, 1}, {5, 1}});
  VersionVector c({{1, 1}, {7, 1}});
  CHECK(a.compare(a) == Order::kEqual);
  CHECK(a.compare(b) == Order::kNewer);
  CHECK(b.compare(a) == Order::kOlder);
  CHECK(a.compare(c) == Order::kConcurrent);
  CHECK(VersionVector().compare(b) == Order::kOlder);
  CHECK(VersionVector().compare(VersionVector()) == Order::kEqual);
}

TEST_CASE("a merged vector covers both and nothing more") {
  VersionVector a({{1, 2}, {5, 1}});
  VersionVector c({{1, 1}, {7, 3}});
  VersionVector m = VersionVector::merged(a, c);
  CHECK(m == VersionVector({{1, 2}, {5, 1}, {7, 3}}));
  CHECK(m.covers(a));
  CHECK(m.covers(c));
}

TEST_CASE("a vector from the wire is sorted, without zeros and doubles") {
  VersionVector v({{9, 1}, {3, 0}, {9, 4}, {2, 2}});
  CHECK(v.parts() == std::vector<VersionVector::Part>{{2, 2}, {9, 4}});
  CHECK(v.count_of(9) == 4);
  CHECK(v.count_of(3) == 0);
  v.raise(3, 1);
  CHECK(v.parts() == std::vector<VersionVector::Part>{{2, 2}, {3, 1}, {9, 4}});
}

TEST_CASE("no number that came from outside makes a vector that cannot be") {
  const std::uint64_t limit = kCountLimit;
  VersionVector v({{3, 7}});
  CHECK_FALSE(v.raise(3, 7));
  CHECK_FALSE(v.raise(3, 0));
  CHECK_FALSE(v.raise(4, 0));
  CHECK_FALSE(v.raise(3, limit));
  CHECK_FALSE(v.raise(3, ~std::uint64_t{0}));
  CHECK(v == VersionVector({{3, 7}}));
  CHECK(v.raise(3, limit - 1));
  for (std::uint64_t claimed : {std::uint64_t{7}, limit - 1, limit, ~std::uint64_t{0}}) {
    const VersionVector before({{3, claimed}});
    auto next = VersionVector::next(before, 3, 7, kMaxVectorSize);
    REQUIRE(next);
    CHECK(next->compare(before) == Order::kNewer);
    CHECK(next->parts().size() == 2);
  }
  CHECK(VersionVector::next(VersionVector({{3, 7}}), 3, 8, 1) == VersionVector({{3, 8}}));
  CHECK_FALSE(VersionVector::next(VersionVector({{3, 7}}), 4, 1, 1));
  CHECK_FALSE(VersionVector::next(VersionVector(), 4, limit, kMaxVectorSize));
}

TEST_CASE("who claims an id and all that are derived from it gets the edit refused") {
  VersionVector claimed({{3, kCountLimit - 1}});
  int edits = 0;
  while (auto next = VersionVector::next(claimed, 3, kCountLimit - 1, kMaxVectorSize)) {
    claimed = *next;
    REQUIRE(++edits < 100);
  }
  CHECK(edits == 8);
}
