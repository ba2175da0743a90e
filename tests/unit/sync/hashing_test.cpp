#include "sync/hashing.h"

#include <openssl/evp.h>

#include "support/catch.h"
#include "sync/hash_blocks.h"

namespace lansync {
namespace {

Bytes pattern(std::size_t size) {
  Bytes bytes(size);
  for (std::size_t i = 0; i < size; ++i) bytes[i] = static_cast<std::uint8_t>(i * 31 + i / 251);
  return bytes;
}

TEST_CASE("the digests of abc are those of RFC 1321 and FIPS 180-4") {
  ContentDigests digests = digests_of(as_bytes("abc"));
  CHECK(to_hex(digests.md5) == "900150983cd24fb0d6963f7d28e17f72");
  CHECK(to_hex(digests.content) ==
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  CHECK(content_id_of(as_bytes("abc")) == digests.content);
}

TEST_CASE("an empty content has digests too") {
  CHECK(to_hex(ContentHasher().finish().md5) == "d41d8cd98f00b204e9800998ecf8427e");
  CHECK(to_hex(content_id_of({})) ==
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

TEST_CASE("the digests do not depend on how the content is cut into blocks") {
  Bytes bytes = pattern(100'000);
  ContentDigests whole = digests_of(bytes);
  for (std::size_t step : {1, 7, 63, 64, 65, 1000, 16 * 1024, 16 * 1024 + 1, 99'999}) {
    ContentHasher hasher;
    for (std::size_t at = 0; at < bytes.size(); at += step)
      hasher.update(ByteView(bytes).subspan(at, std::min(step, bytes.size() - at)));
    CHECK(hasher.finish() == whole);
  }
}

TEST_CASE("a hasher starts anew after finish, reset and move") {
  ContentDigests abc = digests_of(as_bytes("abc"));
  ContentHasher hasher;
  hasher.update(as_bytes("something else"));
  hasher.finish();
  hasher.update(as_bytes("abc"));
  CHECK(hasher.finish() == abc);
  hasher.update(as_bytes("half"));
  hasher.reset();
  hasher.update(as_bytes("ab"));
  ContentHasher moved = std::move(hasher);
  moved.update(as_bytes("c"));
  CHECK(moved.finish() == abc);
}

TEST_CASE("both digests in one pass are OpenSSL's, for every length and cut") {
  if (!has_dual_hash()) {
    WARN("this processor has no SHA instructions: nothing to compare");
    return;
  }
  const Bytes bytes = pattern(100'000);
  std::vector<std::size_t> sizes{4096, 16'384, 99'999};
  for (std::size_t size = 0; size <= 260; ++size) sizes.push_back(size);
  for (const std::size_t size : sizes) {
    const ByteView all = ByteView(bytes).first(size);
    Md5 md5;
    unsigned length = 0;
    REQUIRE(EVP_Digest(all.data(), all.size(), md5.bytes.data(), &length, EVP_md5(), nullptr) == 1);
    for (const std::size_t cut :
         {std::size_t{1}, std::size_t{63}, std::size_t{64}, std::size_t{100}}) {
      DualHasher hasher;
      for (std::size_t at = 0; at < size; at += cut)
        hasher.update(all.subspan(at, std::min(cut, size - at)));
      const ContentDigests digests = hasher.finish();
      REQUIRE(digests.md5 == md5);
      REQUIRE(digests.content == content_id_of(all));
      REQUIRE(hasher.finish() == DualHasher().finish());
    }
  }
}

}  // namespace
}  // namespace lansync
