// The few pieces of OpenSSL's curve interface that password.cpp and spake2.cpp share. Included by
// .cpp files only. Invariant: scalars carry BN_FLG_CONSTTIME and are cleared when freed.
#pragma once

#include <openssl/bn.h>
#include <openssl/ec.h>

#include <cstdint>
#include <memory>
#include <span>

#include "base/bytes.h"

namespace lansync::p256 {

struct Free {
  void operator()(BIGNUM* number) const { BN_clear_free(number); }
  void operator()(BN_CTX* context) const { BN_CTX_free(context); }
  void operator()(EC_POINT* point) const { EC_POINT_clear_free(point); }
  void operator()(EC_GROUP* group) const { EC_GROUP_free(group); }
};
using Number = std::unique_ptr<BIGNUM, Free>;
using Context = std::unique_ptr<BN_CTX, Free>;
using Point = std::unique_ptr<EC_POINT, Free>;

// The group P-256, built once a process and never changed.
const EC_GROUP* group();
// BN_CTX whose numbers are cleared when it goes.
Context new_context();
// 40 bytes, big-endian, mod the order: 64 bits more than the order has, so that the remainder is
// uniform to 2^-64 (RFC 9382, section 3.2 asks for that).
Number scalar_from_wide(ByteView wide40);
Number scalar_from_bytes(ByteView bytes32);

}  // namespace lansync::p256
