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
