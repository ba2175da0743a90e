#include "sync/unfetched.h"

#include "support/catch.h"

using namespace lansync;

namespace {

ContentId content(std::uint8_t number) {
  ContentId id;
  id.bytes[0] = number;
  return id;
}

const Error kGone{ErrorCode::kNotFound, "gone there"};
const Error kChanged{ErrorCode::kChanged, "changed there"};

}  // namespace

TEST_CASE("nobody has a content of which everybody said so three times in a row") {
  Unfetched unfetched;
  CHECK(unfetched.on_failed(content(1), kGone) == "gone there");
  CHECK(unfetched.on_failed(content(1), kGone) == "gone there");
  CHECK_FALSE(unfetched.nobody_has(content(1)));
  CHECK(unfetched.on_failed(content(1), kGone).find("nobody who is here has") == 0);
  CHECK(unfetched.nobody_has(content(1)));
  CHECK_FALSE(unfetched.nobody_has(content(2)));
}

TEST_CASE("nobody has a content that failed otherwise for a while, from the first word of it on") {
  Unfetched unfetched;
  for (int i = 0; i < 5; ++i) {
    CHECK(unfetched.on_failed(content(1), kChanged) == "changed there");
    CHECK_FALSE(unfetched.nobody_has(content(1)));
  }
  CHECK(unfetched.on_failed(content(1), kGone).find("nobody who is here has") == 0);
  CHECK(unfetched.nobody_has(content(1)));
}

TEST_CASE("another failure takes the word back, an arrival or a lost interest the whole count") {
  Unfetched unfetched;
  for (int i = 0; i < 5; ++i) unfetched.on_failed(content(1), kGone);
  CHECK(unfetched.on_failed(content(1), kChanged) == "changed there");
  CHECK_FALSE(unfetched.nobody_has(content(1)));
  unfetched.on_failed(content(1), kGone);
  CHECK(unfetched.nobody_has(content(1)));
  unfetched.forget(content(1));
  CHECK(unfetched.empty());
  CHECK(unfetched.on_failed(content(1), kGone) == "gone there");
}

TEST_CASE("what was said of a path is taken back once") {
  Unfetched unfetched;
  unfetched.said("f", "gone there");
  CHECK(unfetched.take_said("g").empty());
  CHECK(unfetched.take_said("f") == "gone there");
  CHECK(unfetched.take_said("f").empty());
}
