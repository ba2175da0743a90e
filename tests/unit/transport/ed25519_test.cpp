// Ed25519 against RFC 8032 §7.1, and the keys that must not be taken.
#include "transport/ed25519.h"

#include <string>

#include "support/catch.h"

namespace lansync {
namespace {

Bytes unhex(std::string_view text) {
  Bytes bytes(text.size() / 2);
  REQUIRE(from_hex(text, bytes));
  return bytes;
}

template <typename Id>
Id id_of(std::string_view text) {
  Id id;
  REQUIRE(from_hex(text, id.bytes));
  return id;
}

struct Vector {
  std::string_view seed, key, message, signature;
};

// RFC 8032 §7.1, TEST 1, 2, 3 and SHA(abc).
constexpr Vector kVectors[] = {
    {"9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
     "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
     "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b"
     "46b"
     "d25bf5f0595bbe24655141438e7a100b"},
    {"4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
     "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72",
     "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11"
     "d8c"
     "387b2eaeb4302aeeb00d291612bb0c00"},
    {"c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
     "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025", "af82",
     "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc"
     "659"
     "4a7c15e9716ed28dc027beceea1ec40a"},
    {"833fe62409237b9d62ec77587520911e9a759cec1d19755b7da901b96dca3d42",
     "ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf",
     "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3fee"
     "bbd"
     "454d4423643ce80e2a9ac94fa54ca49f",
     "dc2a4459e7369633a52b1bf277839a00201009a3efbf3ecb69bea2186c26b58909351fc9ac90b3ecfdfbc7c66431e"
     "030"
     "3dca179c138ac17ad9bef1177331a704"},
};

}  // namespace

TEST_CASE("ed25519: the vectors of RFC 8032 sign and verify") {
  for (const Vector& vector : kVectors) {
    KeySeed seed{};
    REQUIRE(from_hex(vector.seed, seed));
    const SigningKey key(seed);
    CHECK(to_hex(key.public_key()) == vector.key);
    const Bytes message = unhex(vector.message);
    CHECK(to_hex(key.sign(message)) == vector.signature);
    CHECK(verify_signature(key.public_key(), message, id_of<Signature>(vector.signature)));
  }
}

TEST_CASE("ed25519: a flipped bit of key, message or signature does not verify") {
  Prng random(7);
  const SigningKey key = SigningKey::generate(random);
  Bytes message = {1, 2, 3, 4};
  const Signature good = key.sign(message);
  REQUIRE(verify_signature(key.public_key(), message, good));
  for (std::size_t i = 0; i < good.bytes.size() * 8; ++i) {
    Signature bad = good;
    bad.bytes[i / 8] ^= static_cast<std::uint8_t>(1 << i % 8);
    CHECK_FALSE(verify_signature(key.public_key(), message, bad));
  }
  for (std::size_t i = 0; i < 256; ++i) {
    PublicKey other = key.public_key();
    other.bytes[i / 8] ^= static_cast<std::uint8_t>(1 << i % 8);
    CHECK_FALSE(verify_signature(other, message, good));
  }
  message[0] ^= 1;
  CHECK_FALSE(verify_signature(key.public_key(), message, good));
}

TEST_CASE("ed25519: keys of small order and keys that are not canonical are refused") {
  // The list of "Taming the many EdDSAs" (Chalkias, Garillot, Nikolaenko 2020), table 1.
  for (std::string_view text : {
           "0100000000000000000000000000000000000000000000000000000000000000",
           "0100000000000000000000000000000000000000000000000000000000000080",
           "0000000000000000000000000000000000000000000000000000000000000000",
           "0000000000000000000000000000000000000000000000000000000000000080",
           "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
           "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
           "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
           "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
           "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
           "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
           "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
           "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
           "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
           "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
           "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
       }) {
    CHECK_FALSE(acceptable_key(id_of<PublicKey>(text)));
  }
  Prng random(1);
  for (int i = 0; i < 64; ++i) CHECK(acceptable_key(SigningKey::generate(random).public_key()));
}

TEST_CASE("ed25519: the same random source gives the same key, and the key the node id") {
  Prng one(3);
  Prng other(3);
  const SigningKey key = SigningKey::generate(one);
  CHECK(key.public_key() == SigningKey::generate(other).public_key());
  CHECK(SigningKey(key.seed()).public_key() == key.public_key());
  CHECK(to_hex(node_id_of(id_of<PublicKey>(kVectors[0].key))) ==
        "21fe31dfa154a261626bf854046fd227");
}

}  // namespace lansync
