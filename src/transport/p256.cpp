#include "transport/p256.h"

#include <openssl/obj_mac.h>

#include "base/assert.h"

namespace lansync::p256 {

const EC_GROUP* group() {
  static const std::unique_ptr<EC_GROUP, Free> group(
      EC_GROUP_new_by_curve_name(NID_X9_62_prime256v1));
  LS_ASSERT(group);
  return group.get();
}

Context new_context() {
  Context context(BN_CTX_secure_new());
  LS_ASSERT(context);
  return context;
}

Number scalar_from_wide(ByteView wide40) {
  LS_ASSERT(wide40.size() == 40);
  Number wide(BN_bin2bn(wide40.data(), static_cast<int>(wide40.size()), nullptr));
  Number scalar(BN_new());
  LS_ASSERT(wide && scalar);
  BN_set_flags(wide.get(), BN_FLG_CONSTTIME);
  Context context = new_context();
  LS_ASSERT(BN_mod(scalar.get(), wide.get(), EC_GROUP_get0_order(group()), context.get()) == 1);
  BN_set_flags(scalar.get(), BN_FLG_CONSTTIME);
  return scalar;
}

Number scalar_from_bytes(ByteView bytes32) {
  Number scalar(BN_bin2bn(bytes32.data(), static_cast<int>(bytes32.size()), nullptr));
  LS_ASSERT(scalar);
  BN_set_flags(scalar.get(), BN_FLG_CONSTTIME);
  return scalar;
}

}  // namespace lansync::p256
