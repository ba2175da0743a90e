#include "transport/password.h"

#include <openssl/evp.h>

#include "base/assert.h"
#include "transport/crypto.h"
#include "transport/p256.h"

namespace lansync {
namespace {

constexpr std::uint64_t kCost = 1u << 15;
constexpr std::uint64_t kBlockSize = 8;
constexpr std::uint64_t kParallel = 1;
// The default limit is 32 MiB, which N = 2^15 and r = 8 exceed by a few KiB: scrypt then fails with
// "memory limit exceeded".
constexpr std::uint64_t kMaxMemory = 64u << 20;

}  // namespace

PasswordKey::~PasswordKey() { wipe(w_); }

Result<PasswordKey> derive_password_key(std::string_view password, std::string_view group) {
  // The NUL ends the label, so that no group name can continue it.
  static constexpr std::string_view kLabel("lansync/2 mhf\0", 14);
  Hash32 salt = sha256({as_bytes(kLabel), as_bytes(group)});
  std::array<std::uint8_t, 40> wide{};
  // A null pointer asks EVP_PBE_scrypt only to check its parameters; the empty password is "".
  const char* text = password.empty() ? "" : password.data();
  int ok = EVP_PBE_scrypt(text, password.size(), salt.data(), salt.size(), kCost, kBlockSize,
                          kParallel, kMaxMemory, wide.data(), wide.size());
  if (ok != 1) return Error{ErrorCode::kNoSpace, "no 32 MiB of memory to derive the group's key"};
  p256::Number w = p256::scalar_from_wide(wide);
  wipe(wide);
  // Zero would make the shares independent of the password; it comes up once in 2^256.
  LS_ASSERT(!BN_is_zero(w.get()));
  std::array<std::uint8_t, 32> bytes{};
  LS_ASSERT(BN_bn2binpad(w.get(), bytes.data(), static_cast<int>(bytes.size())) == 32);
  PasswordKey key(bytes);
  wipe(bytes);
  return key;
}

}  // namespace lansync
