#include "sync/hash_blocks.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "base/assert.h"

#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>
#endif

namespace lansync {
namespace {

constexpr std::size_t kBlock = 64;

#if defined(__x86_64__)

// RFC 1321.
alignas(64) constexpr std::array<std::uint32_t, 64> kMd5Sine = {
    0xd76aa478, 0xe8c7b756, 0x242070db, 0xc1bdceee, 0xf57c0faf, 0x4787c62a, 0xa8304613, 0xfd469501,
    0x698098d8, 0x8b44f7af, 0xffff5bb1, 0x895cd7be, 0x6b901122, 0xfd987193, 0xa679438e, 0x49b40821,
    0xf61e2562, 0xc040b340, 0x265e5a51, 0xe9b6c7aa, 0xd62f105d, 0x02441453, 0xd8a1e681, 0xe7d3fbc8,
    0x21e1cde6, 0xc33707d6, 0xf4d50d87, 0x455a14ed, 0xa9e3e905, 0xfcefa3f8, 0x676f02d9, 0x8d2a4c8a,
    0xfffa3942, 0x8771f681, 0x6d9d6122, 0xfde5380c, 0xa4beea44, 0x4bdecfa9, 0xf6bb4b60, 0xbebfbc70,
    0x289b7ec6, 0xeaa127fa, 0xd4ef3085, 0x04881d05, 0xd9d4d039, 0xe6db99e5, 0x1fa27cf8, 0xc4ac5665,
    0xf4292244, 0x432aff97, 0xab9423a7, 0xfc93a039, 0x655b59c3, 0x8f0ccc92, 0xffeff47d, 0x85845dd1,
    0x6fa87e4f, 0xfe2ce6e0, 0xa3014314, 0x4e0811a1, 0xf7537e82, 0xbd3af235, 0x2ad7d2bb, 0xeb86d391};

// FIPS 180-4.
alignas(64) constexpr std::array<std::uint32_t, 64> kShaRound = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

constexpr int kShift[4][4] = {{7, 12, 17, 22}, {5, 9, 14, 20}, {4, 11, 16, 23}, {6, 10, 15, 21}};

template <int Step>
[[gnu::always_inline]] inline void md5_step(std::uint32_t& a, std::uint32_t b, std::uint32_t c,
                                            std::uint32_t d, const std::uint8_t* block) {
  constexpr int kRound = Step / 16;
  constexpr int kWord = kRound == 0   ? Step
                        : kRound == 1 ? (5 * Step + 1) % 16
                        : kRound == 2 ? (3 * Step + 5) % 16
                                      : (7 * Step) % 16;
  std::uint32_t word;
  std::memcpy(&word, block + 4 * kWord, 4);
  a += word + kMd5Sine[Step];
  // Of b, which is the newest, as little as possible hangs on the way to the sum.
  if constexpr (kRound == 0) {
    a += d ^ (b & (c ^ d));
  } else if constexpr (kRound == 1) {
    a += c & ~d;
    a += b & d;
  } else if constexpr (kRound == 2) {
    a += b ^ (c ^ d);
  } else {
    a += c ^ (b | ~d);
  }
  a = std::rotl(a, kShift[kRound][Step % 4]) + b;
}

struct Lanes {
  std::uint32_t a, b, c, d;
  __m128i abef, cdgh;
  __m128i w[4];
};

// Four rounds of SHA-256 and four steps of MD5.
template <int Group>
[[gnu::always_inline, gnu::target("sha,sse4.1,ssse3")]] inline void group(
    Lanes& s, const std::uint8_t* block) {
  __m128i& w = s.w[Group % 4];
  if constexpr (Group < 4) {
    const __m128i swap = _mm_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203);
    w = _mm_shuffle_epi8(_mm_loadu_si128(reinterpret_cast<const __m128i*>(block + 16 * Group)),
                         swap);
  } else {
    const __m128i w1 = s.w[(Group - 3) % 4];
    const __m128i w2 = s.w[(Group - 2) % 4];
    const __m128i w3 = s.w[(Group - 1) % 4];
    w = _mm_sha256msg2_epu32(_mm_add_epi32(_mm_sha256msg1_epu32(w, w1), _mm_alignr_epi8(w3, w2, 4)),
                             w3);
  }
  const __m128i k = _mm_load_si128(reinterpret_cast<const __m128i*>(kShaRound.data() + 4 * Group));
  const __m128i wk = _mm_add_epi32(w, k);
  s.cdgh = _mm_sha256rnds2_epu32(s.cdgh, s.abef, wk);
  md5_step<4 * Group>(s.a, s.b, s.c, s.d, block);
  md5_step<4 * Group + 1>(s.d, s.a, s.b, s.c, block);
  s.abef = _mm_sha256rnds2_epu32(s.abef, s.cdgh, _mm_shuffle_epi32(wk, 0x0e));
  md5_step<4 * Group + 2>(s.c, s.d, s.a, s.b, block);
  md5_step<4 * Group + 3>(s.b, s.c, s.d, s.a, block);
}

[[gnu::target("sha,sse4.1,ssse3")]] void hash_blocks(std::array<std::uint32_t, 4>& md5,
                                                     std::array<std::uint32_t, 8>& sha,
                                                     const std::uint8_t* block, std::size_t count) {
  Lanes s{};
  s.a = md5[0], s.b = md5[1], s.c = md5[2], s.d = md5[3];
  const __m128i dcba = _mm_loadu_si128(reinterpret_cast<const __m128i*>(sha.data()));
  const __m128i hgfe = _mm_loadu_si128(reinterpret_cast<const __m128i*>(sha.data() + 4));
  const __m128i cdab = _mm_shuffle_epi32(dcba, 0xb1);
  const __m128i efgh = _mm_shuffle_epi32(hgfe, 0x1b);
  s.abef = _mm_alignr_epi8(cdab, efgh, 8);
  s.cdgh = _mm_blend_epi16(efgh, cdab, 0xf0);
  for (; count > 0; --count, block += kBlock) {
    const Lanes before = s;
    group<0>(s, block);
    group<1>(s, block);
    group<2>(s, block);
    group<3>(s, block);
    group<4>(s, block);
    group<5>(s, block);
    group<6>(s, block);
    group<7>(s, block);
    group<8>(s, block);
    group<9>(s, block);
    group<10>(s, block);
    group<11>(s, block);
    group<12>(s, block);
    group<13>(s, block);
    group<14>(s, block);
    group<15>(s, block);
    s.a += before.a, s.b += before.b, s.c += before.c, s.d += before.d;
    s.abef = _mm_add_epi32(s.abef, before.abef);
    s.cdgh = _mm_add_epi32(s.cdgh, before.cdgh);
  }
  md5 = {s.a, s.b, s.c, s.d};
  const __m128i feba = _mm_shuffle_epi32(s.abef, 0x1b);
  const __m128i dchg = _mm_shuffle_epi32(s.cdgh, 0xb1);
  _mm_storeu_si128(reinterpret_cast<__m128i*>(sha.data()), _mm_blend_epi16(feba, dchg, 0xf0));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(sha.data() + 4), _mm_alignr_epi8(dchg, feba, 8));
}

bool detect() {
  unsigned a = 0, b = 0, c = 0, d = 0;
  if (__get_cpuid(1, &a, &b, &c, &d) == 0) return false;
  const bool sse = (c & bit_SSSE3) != 0 && (c & bit_SSE4_1) != 0;
  if (__get_cpuid_count(7, 0, &a, &b, &c, &d) == 0) return false;
  return sse && (b & bit_SHA) != 0;
}

#else

void hash_blocks(std::array<std::uint32_t, 4>&, std::array<std::uint32_t, 8>&, const std::uint8_t*,
                 std::size_t) {
  LS_ASSERT(false);
}

bool detect() { return false; }

#endif

}  // namespace

bool has_dual_hash() {
  static const bool has = detect();
  return has;
}

void DualHasher::reset() {
  md5_ = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476};
  sha_ = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
          0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
  tail_size_ = 0;
  total_ = 0;
}

void DualHasher::update(ByteView bytes) {
  total_ += bytes.size();
  if (tail_size_ > 0) {
    const std::size_t take = std::min(kBlock - tail_size_, bytes.size());
    std::copy_n(bytes.begin(), take, tail_.begin() + static_cast<std::ptrdiff_t>(tail_size_));
    tail_size_ += take;
    bytes = bytes.subspan(take);
    if (tail_size_ < kBlock) return;
    hash_blocks(md5_, sha_, tail_.data(), 1);
    tail_size_ = 0;
  }
  hash_blocks(md5_, sha_, bytes.data(), bytes.size() / kBlock);
  bytes = bytes.subspan(bytes.size() / kBlock * kBlock);
  std::copy(bytes.begin(), bytes.end(), tail_.begin());
  tail_size_ = bytes.size();
}

ContentDigests DualHasher::finish() {
  // 0x80, zeros, and the length in bits: little-endian for MD5, big-endian for SHA-256. The last
  // block is so different for the two, and is run for each, the other's result thrown away.
  std::array<std::uint8_t, 2 * kBlock> pad{};
  std::copy_n(tail_.begin(), tail_size_, pad.begin());
  pad[tail_size_] = 0x80;
  const std::size_t blocks = tail_size_ + 9 > kBlock ? 2 : 1;
  const std::uint64_t bits = total_ * 8;
  std::uint8_t* length = pad.data() + blocks * kBlock - 8;
  for (std::size_t i = 0; i < 8; ++i) length[i] = static_cast<std::uint8_t>(bits >> (8 * i));
  auto md5 = md5_;
  auto sha = sha_;
  hash_blocks(md5, sha, pad.data(), blocks);
  std::reverse(length, length + 8);
  auto ignored = md5_;
  sha = sha_;
  hash_blocks(ignored, sha, pad.data(), blocks);
  ContentDigests out;
  for (std::size_t i = 0; i < 4; ++i)
    for (std::size_t j = 0; j < 4; ++j)
      out.md5.bytes[4 * i + j] = static_cast<std::uint8_t>(md5[i] >> (8 * j));
  for (std::size_t i = 0; i < 8; ++i)
    for (std::size_t j = 0; j < 4; ++j)
      out.content.bytes[4 * i + j] = static_cast<std::uint8_t>(sha[i] >> (24 - 8 * j));
  reset();
  return out;
}

}  // namespace lansync
