#include "transport/ed25519.h"

#include <openssl/evp.h>

#include <algorithm>
#include <cstring>
#include <memory>

#include "base/assert.h"
#include "transport/crypto.h"

namespace lansync {
namespace {

struct KeyFree {
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
};
using KeyPtr = std::unique_ptr<EVP_PKEY, KeyFree>;

struct ContextFree {
  void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
};
using ContextPtr = std::unique_ptr<EVP_MD_CTX, ContextFree>;

constexpr std::uint8_t kSignBit = 0x80;

// y of the points whose order divides 8, in little-endian order, sign bit off: 0 (order 4), 1 (the
// neutral element), p - 1 (order 2), and the two y of order 8. (The non-canonical p and p + 1 are
// refused as such.)
constexpr std::array<std::array<std::uint8_t, 32>, 5> kSmallOrder = {{
    {0x00},
    {0x01},
    {0xec, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
     0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
     0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f},
    {0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4,
     0x89, 0xf2, 0xef, 0x98, 0xf0, 0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6,
     0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05},
    {0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b,
     0x76, 0x0d, 0x10, 0x67, 0x0f, 0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39,
     0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a},
}};

// y < p = 2^255 - 19, of a little-endian y without its sign bit.
bool below_p(const std::array<std::uint8_t, 32>& y) {
  if (y[31] != 0x7f) return true;
  if (std::any_of(y.begin() + 1, y.end() - 1, [](std::uint8_t byte) { return byte != 0xff; }))
    return true;
  return y[0] < 0xed;
}

}  // namespace

SigningKey SigningKey::generate(RandomSource& random) {
  KeySeed seed{};
  random.fill(seed);
  SigningKey key(seed);
  wipe(seed);
  return key;
}

SigningKey::SigningKey(const KeySeed& seed) : seed_(seed) {
  KeyPtr key(EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, nullptr, seed_.data(), seed_.size()));
  std::size_t size = public_key_.bytes.size();
  LS_ASSERT(key && EVP_PKEY_get_raw_public_key(key.get(), public_key_.bytes.data(), &size) == 1);
  LS_ASSERT(size == public_key_.bytes.size());
}

SigningKey::~SigningKey() { wipe(seed_); }

Signature SigningKey::sign(ByteView message) const {
  KeyPtr key(EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, nullptr, seed_.data(), seed_.size()));
  ContextPtr context(EVP_MD_CTX_new());
  Signature signature;
  std::size_t size = signature.bytes.size();
  LS_ASSERT(key && context);
  LS_ASSERT(EVP_DigestSignInit(context.get(), nullptr, nullptr, nullptr, key.get()) == 1);
  LS_ASSERT(EVP_DigestSign(context.get(), signature.bytes.data(), &size, message.data(),
                           message.size()) == 1);
  LS_ASSERT(size == signature.bytes.size());
  return signature;
}

bool acceptable_key(const PublicKey& key) {
  std::array<std::uint8_t, 32> y = key.bytes;
  y[31] &= static_cast<std::uint8_t>(~kSignBit);
  if (!below_p(y)) return false;
  return std::find(kSmallOrder.begin(), kSmallOrder.end(), y) == kSmallOrder.end();
}

bool verify_signature(const PublicKey& key, ByteView message, const Signature& signature) {
  if (!acceptable_key(key)) return false;
  KeyPtr pkey(
      EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nullptr, key.bytes.data(), key.bytes.size()));
  ContextPtr context(EVP_MD_CTX_new());
  if (!pkey || !context) return false;
  if (EVP_DigestVerifyInit(context.get(), nullptr, nullptr, nullptr, pkey.get()) != 1) return false;
  return EVP_DigestVerify(context.get(), signature.bytes.data(), signature.bytes.size(),
                          message.data(), message.size()) == 1;
}

NodeId node_id_of(const PublicKey& key) {
  const Hash32 hash = sha256({ByteView(key.bytes)});
  NodeId node;
  std::copy_n(hash.begin(), node.bytes.size(), node.bytes.begin());
  return node;
}

}  // namespace lansync
