#include "transport/lane/lane_sealer.h"

#include <openssl/evp.h>

#include <array>
#include <cstring>

#include "base/assert.h"
#include "transport/lane/lane_packet.h"

namespace lansync {
namespace {

// The key is set once; a datagram sets the nonce only (see sealer.cpp for what that saves).
LaneCipher new_cipher(Suite suite, const Key32& key, bool seal) {
  LaneCipher context(EVP_CIPHER_CTX_new());
  const EVP_CIPHER* cipher =
      suite == Suite::kAes256Gcm ? EVP_aes_256_gcm() : EVP_chacha20_poly1305();
  LS_ASSERT(context && EVP_CipherInit_ex(context.get(), cipher, nullptr, key.data(), nullptr,
                                         seal ? 1 : 0) == 1);
  return context;
}

void begin(EVP_CIPHER_CTX* context, const std::uint8_t* header) {
  std::array<std::uint8_t, 12> nonce{};
  std::memcpy(nonce.data() + 6, header + 4, 6);
  int size = 0;
  LS_ASSERT(EVP_CipherInit_ex(context, nullptr, nullptr, nullptr, nonce.data(), -1) == 1);
  LS_ASSERT(EVP_CipherUpdate(context, nullptr, &size, header, kLaneHeaderBytes) == 1);
}

}  // namespace

void LaneCipherFree::operator()(evp_cipher_ctx_st* context) const { EVP_CIPHER_CTX_free(context); }

Key32 lane_key(const SessionKeys& keys, bool sender_is_initiator, const CarrierId& sender) {
  return derive_carrier_key(keys, sender_is_initiator ? Direction::kAtoB : Direction::kBtoA,
                            CarrierKind::kLane, sender);
}

LaneSealer::LaneSealer(Suite suite, const Key32& key, const CarrierId& own)
    : cipher_(new_cipher(suite, key, true)) {
  std::memcpy(tag_, own.data(), sizeof tag_);
}

std::uint64_t LaneSealer::seal(std::span<std::uint8_t> datagram) {
  LS_ASSERT(datagram.size() > kLaneHeaderBytes + kLaneSealBytes &&
            datagram.size() <= kLaneMaxDatagram);
  LS_ASSERT(next_ <= kLaneMaxNumber);
  std::uint64_t number = next_++;
  std::uint8_t* at = datagram.data();
  std::memcpy(at, tag_, sizeof tag_);
  for (int i = 0; i < 6; ++i) at[4 + i] = static_cast<std::uint8_t>(number >> (40 - 8 * i));
  EVP_CIPHER_CTX* context = cipher_.get();
  begin(context, at);
  std::uint8_t* body = at + kLaneHeaderBytes;
  std::size_t body_size = datagram.size() - kLaneHeaderBytes - kLaneSealBytes;
  int size = 0;
  LS_ASSERT(EVP_CipherUpdate(context, body, &size, body, static_cast<int>(body_size)) == 1);
  LS_ASSERT(EVP_CipherFinal_ex(context, body + size, &size) == 1);
  LS_ASSERT(EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, static_cast<int>(kLaneSealBytes),
                                body + body_size) == 1);
  return number;
}

LaneOpener::LaneOpener(Suite suite, const Key32& key) : cipher_(new_cipher(suite, key, false)) {}

std::optional<ByteView> LaneOpener::open(std::span<std::uint8_t> datagram) {
  if (datagram.size() <= kLaneHeaderBytes + kLaneSealBytes || datagram.size() > kLaneMaxDatagram)
    return std::nullopt;
  EVP_CIPHER_CTX* context = cipher_.get();
  begin(context, datagram.data());
  std::uint8_t* body = datagram.data() + kLaneHeaderBytes;
  std::size_t body_size = datagram.size() - kLaneHeaderBytes - kLaneSealBytes;
  int size = 0;
  LS_ASSERT(EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, static_cast<int>(kLaneSealBytes),
                                body + body_size) == 1);
  LS_ASSERT(EVP_CipherUpdate(context, body, &size, body, static_cast<int>(body_size)) == 1);
  std::uint8_t none = 0;  // both are stream modes: nothing comes out at the end
  if (EVP_CipherFinal_ex(context, &none, &size) != 1) return std::nullopt;
  return ByteView(body, body_size);
}

}  // namespace lansync
