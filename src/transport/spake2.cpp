#include "transport/spake2.h"

#include <cstring>

#include "base/assert.h"
#include "transport/p256.h"

namespace lansync {
namespace {

// RFC 9382, section 6: M and N of P-256, compressed. Nobody knows their discrete logarithms.
constexpr std::array<std::uint8_t, 33> kM = {0x02, 0x88, 0x6e, 0x2f, 0x97, 0xac, 0xe4, 0x6e, 0x55,
                                             0xba, 0x9d, 0xd7, 0x24, 0x25, 0x79, 0xf2, 0x99, 0x3b,
                                             0x64, 0xe1, 0x6e, 0xf3, 0xdc, 0xab, 0x95, 0xaf, 0xd4,
                                             0x97, 0x33, 0x3d, 0x8f, 0xa1, 0x2f};
constexpr std::array<std::uint8_t, 33> kN = {0x03, 0xd8, 0xbb, 0xd6, 0xc6, 0x39, 0xc6, 0x29, 0x37,
                                             0xb0, 0x4d, 0x99, 0x7f, 0x38, 0xc3, 0x77, 0x07, 0x19,
                                             0xc6, 0x29, 0xd7, 0x01, 0x4d, 0x49, 0xa2, 0x4b, 0x4f,
                                             0x98, 0xba, 0xa1, 0x29, 0x2b, 0x49};

p256::Point new_point() {
  p256::Point point(EC_POINT_new(p256::group()));
  LS_ASSERT(point);
  return point;
}

// The mask of a side: M hides A's share, N hides B's.
p256::Point mask_of(PakeSide side, BN_CTX* context) {
  const auto& bytes = side == PakeSide::kA ? kM : kN;
  p256::Point point = new_point();
  LS_ASSERT(EC_POINT_oct2point(p256::group(), point.get(), bytes.data(), bytes.size(), context) ==
            1);
  return point;
}

PakeShare encode_point(const EC_POINT* point, BN_CTX* context) {
  PakeShare out{};
  std::size_t size = EC_POINT_point2oct(p256::group(), point, POINT_CONVERSION_UNCOMPRESSED,
                                        out.data(), out.size(), context);
  LS_ASSERT(size == out.size());
  return out;
}

// A peer's share, or null. OpenSSL checks the curve's equation in oct2point already; asked again
// because everything rests on it.
p256::Point decode_point(ByteView bytes, BN_CTX* context) {
  if (bytes.size() != sizeof(PakeShare) || bytes[0] != 0x04) return nullptr;
  p256::Point point = new_point();
  if (EC_POINT_oct2point(p256::group(), point.get(), bytes.data(), bytes.size(), context) != 1 ||
      EC_POINT_is_on_curve(p256::group(), point.get(), context) != 1 ||
      EC_POINT_is_at_infinity(p256::group(), point.get()) == 1)
    return nullptr;
  return point;
}

void append_with_length(Bytes& out, ByteView part) {
  for (int i = 0; i < 8; ++i)
    out.push_back(static_cast<std::uint8_t>(std::uint64_t{part.size()} >> (8 * i)));
  out.insert(out.end(), part.begin(), part.end());
}

}  // namespace

PakeSecrets::~PakeSecrets() {
  wipe(ke);
  wipe(kca);
  wipe(kcb);
  wipe(confirm_a);
  wipe(confirm_b);
}

struct Spake2::State {
  PakeSide side;
  PasswordKey key;
  p256::Number secret;  // x or y
  PakeShare share{};
  bool finished = false;

  Bytes transcript(const PakeShare& a, const PakeShare& b, const PakeShare& k, ByteView id_a,
                   ByteView id_b) const;
};

Spake2::Spake2(PakeSide side, const PasswordKey& key, RandomSource& random)
    : state_(new State{side, key, nullptr, {}, false}) {
  do {
    std::array<std::uint8_t, 40> wide{};
    random.fill(wide);
    state_->secret = p256::scalar_from_wide(wide);
    wipe(wide);
  } while (BN_is_zero(state_->secret.get()));
  p256::Context context = p256::new_context();
  p256::Number w = p256::scalar_from_bytes(key.bytes());
  // Two multiplications of one scalar each: only those are constant-time in every build of OpenSSL;
  // the one that takes both scalars may fall back to a method that is not.
  p256::Point share = new_point();
  p256::Point masked = new_point();
  p256::Point mask = mask_of(side, context.get());
  LS_ASSERT(EC_POINT_mul(p256::group(), share.get(), state_->secret.get(), nullptr, nullptr,
                         context.get()) == 1);
  LS_ASSERT(
      EC_POINT_mul(p256::group(), masked.get(), nullptr, mask.get(), w.get(), context.get()) == 1);
  LS_ASSERT(EC_POINT_add(p256::group(), share.get(), share.get(), masked.get(), context.get()) ==
            1);
  state_->share = encode_point(share.get(), context.get());
}

Spake2::Spake2(Spake2&&) noexcept = default;
Spake2& Spake2::operator=(Spake2&&) noexcept = default;
Spake2::~Spake2() = default;

const PakeShare& Spake2::share() const { return state_->share; }

Bytes Spake2::State::transcript(const PakeShare& a, const PakeShare& b, const PakeShare& k,
                                ByteView id_a, ByteView id_b) const {
  Bytes out;
  // All at once: a vector that grows leaves copies of K and w behind in freed memory.
  out.reserve(6 * 8 + id_a.size() + id_b.size() + 3 * sizeof(PakeShare) + 32);
  for (ByteView part : {id_a, id_b, ByteView(a), ByteView(b), ByteView(k), key.bytes()})
    append_with_length(out, part);
  return out;
}

std::optional<PakeSecrets> Spake2::finish(ByteView peer_share, ByteView id_a, ByteView id_b,
                                          ByteView aad) {
  LS_ASSERT(!state_->finished);
  state_->finished = true;
  bool is_a = state_->side == PakeSide::kA;
  p256::Context context = p256::new_context();
  p256::Point peer = decode_point(peer_share, context.get());
  if (!peer || std::memcmp(peer_share.data(), state_->share.data(), peer_share.size()) == 0)
    return std::nullopt;

  // K = secret * (peer's share - w * peer's mask).
  p256::Number w = p256::scalar_from_bytes(state_->key.bytes());
  p256::Point mask = mask_of(is_a ? PakeSide::kB : PakeSide::kA, context.get());
  p256::Point shared = new_point();
  LS_ASSERT(
      EC_POINT_mul(p256::group(), shared.get(), nullptr, mask.get(), w.get(), context.get()) == 1);
  LS_ASSERT(EC_POINT_invert(p256::group(), shared.get(), context.get()) == 1);
  LS_ASSERT(EC_POINT_add(p256::group(), shared.get(), peer.get(), shared.get(), context.get()) ==
            1);
  LS_ASSERT(EC_POINT_mul(p256::group(), shared.get(), nullptr, shared.get(), state_->secret.get(),
                         context.get()) == 1);
  if (EC_POINT_is_at_infinity(p256::group(), shared.get()) == 1) return std::nullopt;
  PakeShare k = encode_point(shared.get(), context.get());
  PakeShare theirs{};
  std::memcpy(theirs.data(), peer_share.data(), theirs.size());
  Bytes tt = state_->transcript(is_a ? state_->share : theirs, is_a ? theirs : state_->share, k,
                                id_a, id_b);
  wipe(k);

  PakeSecrets secrets;
  Hash32 ke_ka = sha256({tt});
  ByteView ka = ByteView(ke_ka).subspan(16);
  std::memcpy(secrets.ke.data(), ke_ka.data(), 16);
  Bytes info;
  ByteView label = as_bytes("ConfirmationKeys");
  info.insert(info.end(), label.begin(), label.end());
  info.insert(info.end(), aad.begin(), aad.end());
  Hash32 prk = hkdf_extract({}, ka);
  std::array<std::uint8_t, 32> confirmation{};
  hkdf_expand(prk, info, confirmation);
  std::memcpy(secrets.kca.data(), confirmation.data(), 16);
  std::memcpy(secrets.kcb.data(), confirmation.data() + 16, 16);
  secrets.confirm_a = hmac_sha256(secrets.kca, {tt});
  secrets.confirm_b = hmac_sha256(secrets.kcb, {tt});
  wipe(tt);
  wipe(ke_ka);
  wipe(prk);
  wipe(confirmation);
  return secrets;
}

}  // namespace lansync
