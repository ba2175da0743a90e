// What an entry that comes over the wire has to have.
#include <memory>

#include "base/entry.h"
#include "support/catch.h"
#include "transport/message.h"

namespace lansync {
namespace {

TEST_CASE("a file without its MD5 is refused: published, it would fail each download") {
  auto entry = std::make_shared<Entry>();
  entry->version.raise(1, 1);
  const auto push_of = [&] { return encode_message(Push{{{"a", entry}}}); };
  CHECK_FALSE(decode_message(push_of()));
  entry->md5.bytes[15] = 1;
  CHECK(decode_message(push_of()));
}

}  // namespace
}  // namespace lansync
