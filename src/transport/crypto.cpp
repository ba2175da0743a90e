#include "transport/crypto.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include <algorithm>
#include <cstring>
#include <memory>

#include "base/assert.h"

namespace lansync {
namespace {

struct MdFree {
  void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
};
using MdContext = std::unique_ptr<EVP_MD_CTX, MdFree>;

constexpr std::size_t kBlock = 64;  // of SHA-256

}  // namespace

Hash32 sha256(std::initializer_list<ByteView> parts) {
  MdContext context(EVP_MD_CTX_new());
  LS_ASSERT(context && EVP_DigestInit_ex(context.get(), EVP_sha256(), nullptr) == 1);
  for (ByteView part : parts)
    LS_ASSERT(EVP_DigestUpdate(context.get(), part.data(), part.size()) == 1);
  Hash32 out{};
  LS_ASSERT(EVP_DigestFinal_ex(context.get(), out.data(), nullptr) == 1);
  return out;
}

// HMAC by hand (RFC 2104): EVP_MAC fetches its algorithm by name each time, which costs more than
// the two hashes, and a cookie is made for every stranger's datagram.
Hash32 hmac_sha256(ByteView key, std::initializer_list<ByteView> parts) {
  std::array<std::uint8_t, kBlock> pad{};
  if (key.size() > kBlock) {
    Hash32 hashed = sha256({key});
    std::copy(hashed.begin(), hashed.end(), pad.begin());
    wipe(hashed);
  } else {
    std::copy(key.begin(), key.end(), pad.begin());
  }
  for (std::uint8_t& byte : pad) byte ^= 0x36;
  MdContext context(EVP_MD_CTX_new());
  LS_ASSERT(context && EVP_DigestInit_ex(context.get(), EVP_sha256(), nullptr) == 1);
  LS_ASSERT(EVP_DigestUpdate(context.get(), pad.data(), pad.size()) == 1);
  for (ByteView part : parts)
    LS_ASSERT(EVP_DigestUpdate(context.get(), part.data(), part.size()) == 1);
  Hash32 inner{};
  LS_ASSERT(EVP_DigestFinal_ex(context.get(), inner.data(), nullptr) == 1);
  for (std::uint8_t& byte : pad) byte ^= 0x36 ^ 0x5c;
  Hash32 out = sha256({pad, inner});
  wipe(pad);
  wipe(inner);
  return out;
}

Hash32 hkdf_extract(ByteView salt, ByteView ikm) {
  // An empty key and 32 zero bytes are the same to HMAC, which pads with zeros.
  return hmac_sha256(salt, {ikm});
}

void hkdf_expand(ByteView prk, ByteView info, std::span<std::uint8_t> out) {
  LS_ASSERT(out.size() <= 255 * sizeof(Hash32));
  Hash32 block{};
  ByteView previous;
  std::uint8_t number = 0;
  while (!out.empty()) {
    ++number;
    block = hmac_sha256(prk, {previous, info, ByteView(&number, 1)});
    previous = block;
    std::size_t size = std::min(out.size(), block.size());
    std::memcpy(out.data(), block.data(), size);
    out = out.subspan(size);
  }
  wipe(block);
}

bool equal_constant_time(ByteView a, ByteView b) {
  return a.size() == b.size() && (a.empty() || CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0);
}

void wipe(std::span<std::uint8_t> secret) { OPENSSL_cleanse(secret.data(), secret.size()); }

}  // namespace lansync
