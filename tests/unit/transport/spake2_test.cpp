#include "transport/spake2.h"

#include "support/catch.h"
#include "transport/crypto.h"
#include "transport/p256.h"
#include "unit/transport/security_support.h"

namespace lansync {
namespace {

using test::hex;
using test::ScriptedRandom;
using test::wide;

// RFC 9382, appendix B.
struct Vector {
  const char *a, *b, *w, *x, *pa, *y, *pb, *ke, *kca, *kcb, *confirm_a, *confirm_b;
};
const Vector kVectors[] = {
    {"server", "client", "2ee57912099d31560b3a44b1184b9b4866e904c49d12ac5042c97dca461b1a5f",
     "43dd0fd7215bdcb482879fca3220c6a968e66d70b1356cac18bb26c84a78d729",
     "04a56fa807caaa53a4d28dbb9853b9815c61a411118a6fe516a8798434751470f9010153ac33d0d5f2047ffdb1a3e"
     "42c9b4e6be662766e1eeb4116988ede5f912c",
     "dcb60106f276b02606d8ef0a328c02e4b629f84f89786af5befb0bc75b6e66be",
     "0406557e482bd03097ad0cbaa5df82115460d951e3451962f1eaf4367a420676d09857ccbc522686c83d1852abfa8"
     "ed6e4a1155cf8f1543ceca528afb591a1e0b7",
     "0e0672dc86f8e45565d338b0540abe69", "00c12546835755c86d8c0db7851ae86f",
     "a9fa3406c3b781b93d804485430ca27a",
     "58ad4aa88e0b60d5061eb6b5dd93e80d9c4f00d127c65b3b35b1b5281fee38f0",
     "d3e2e547f1ae04f2dbdbf0fc4b79f8ecff2dff314b5d32fe9fcef2fb26dc459b"},
    {"", "client", "0548d8729f730589e579b0475a582c1608138ddf7054b73b5381c7e883e2efae",
     "403abbe3b1b4b9ba17e3032849759d723939a27a27b9d921c500edde18ed654b",
     "04a897b769e681c62ac1c2357319a3d363f610839c4477720d24cbe32f5fd85f44fb92ba966578c1b712be6962498"
     "834078262caa5b441ecfa9d4a9485720e918a",
     "903023b6598908936ea7c929bd761af6039577a9c3f9581064187c3049d87065",
     "04e0f816fd1c35e22065d5556215c097e799390d16661c386e0ecc84593974a61b881a8c82327687d0501862970c6"
     "4565560cb5671f696048050ca66ca5f8cc7fc",
     "642f05c473c2cd79909f9a841e2f30a7", "c6be376fc7cd1301fd0a13adf3e7bffd",
     "b7243f4ae60440a49b3f8cab3c1fba07",
     "47d29e6666af1b7dd450d571233085d7a9866e4d49d2645e2df975489521232b",
     "3313c5cefc361d27fb16847a91c2a73b766ffa90a4839122a9b70a2f6bd1d6df"},
    {"server", "", "626e0cdc7b14c9db3e52a0b1b3a768c98e37852d5db30febe0497b14eae8c254",
     "07adb3db6bc623d3399726bfdbfd3d15a58ea776ab8a308b00392621291f9633",
     "04f88fb71c99bfffaea370966b7eb99cd4be0ff1a7d335caac4211c4afd855e2e15a873b298503ad8ba1d9cbb9a39"
     "2d2ba309b48bfd7879aefd0f2cea6009763b0",
     "b6a4fc8dbb629d4ba51d6f91ed1532cf87adec98f25dd153a75accafafedec16",
     "040c269d6be017dccb15182ac6bfcd9e2a14de019dd587eaf4bdfd353f031101e7cca177f8eb362a6e83e7d5e729c"
     "0732e1b528879c086f39ba0f31a9661bd34db",
     "005184ff460da2ce59062c87733c299c", "f3da53604f0aeecea5a33be7bddf6edf",
     "9e3f86848736f159bd92b6e107ec6799",
     "bc9f9bbe99f26d0b2260e6456e05a86196a3307ec6663a18bf6ac825736533b2",
     "c2370e1bf813b086dff0d834e74425a06e6390f48f5411900276dcccc5a297ec"},
    {"", "", "7bf46c454b4c1b25799527d896508afd5fc62ef4ec59db1efb49113063d70cca",
     "8cef65df64bb2d0f83540c53632de911b5b24b3eab6cc74a97609fd659e95473",
     "04a65b367a3f613cf9f0654b1b28a1e3a8a40387956c8ba6063e8658563890f46ca1ef6a676598889fc28de2950ab"
     "8120b79a5ef1ea4c9f44bc98f585634b46d66",
     "d7a66f64074a84652d8d623a92e20c9675c61cb5b4f6a0063e4648a2fdc02d53",
     "04589f13218822710d98d8b2123a079041052d9941b9cf88c6617ddb2fcc0494662eea8ba6b64692dc318250030c6"
     "af045cb738bc81ba35b043c3dcb46adf6f58d",
     "fc6374762ba5cf11f4b2caa08b2cd1b9", "5dbd2f477166b7fb6d61febbd77a5563",
     "7689b4654407a5faeffdc8f18359d8a3",
     "dfb4db8d48ae5a675963ea5e6c19d98d4ea028d8e898dad96ea19a80ade95dca",
     "d0f0609d1613138d354f7e95f19fb556bf52d751947241e8c7118df5ef0ae175"}};

PasswordKey key_from(const char* text) {
  std::array<std::uint8_t, 32> w{};
  REQUIRE(from_hex(text, w));
  return PasswordKey(w);
}

TEST_CASE("SPAKE2 gives the shares, keys and confirmations of RFC 9382's four vectors") {
  for (const Vector& v : kVectors) {
    PasswordKey w = key_from(v.w);
    ScriptedRandom x(wide(v.x));
    ScriptedRandom y(wide(v.y));
    Spake2 a(PakeSide::kA, w, x);
    Spake2 b(PakeSide::kB, w, y);
    CHECK(to_hex(a.share()) == v.pa);
    CHECK(to_hex(b.share()) == v.pb);
    auto at_a = a.finish(b.share(), as_bytes(v.a), as_bytes(v.b), {});
    auto at_b = b.finish(a.share(), as_bytes(v.a), as_bytes(v.b), {});
    REQUIRE(at_a);
    REQUIRE(at_b);
    for (const PakeSecrets* secrets : {&*at_a, &*at_b}) {
      CHECK(to_hex(secrets->ke) == v.ke);
      CHECK(to_hex(secrets->kca) == v.kca);
      CHECK(to_hex(secrets->kcb) == v.kcb);
      CHECK(to_hex(secrets->confirm_a) == v.confirm_a);
      CHECK(to_hex(secrets->confirm_b) == v.confirm_b);
    }
  }
}

TEST_CASE("SPAKE2 refuses a share that is no point, and its own") {
  Prng random(1);
  PasswordKey w = key_from(kVectors[0].w);
  Bytes good = hex(kVectors[0].pb);
  auto refused = [&](ByteView share) {
    return !Spake2(PakeSide::kA, w, random).finish(share, {}, {}, {});
  };
  CHECK_FALSE(refused(good));
  Bytes off_curve = good;
  off_curve[64] ^= 1;
  CHECK(refused(off_curve));
  Bytes hybrid = good;
  hybrid[0] = static_cast<std::uint8_t>(6 | (good[64] & 1));
  CHECK(refused(hybrid));
  Bytes compressed(good.begin(), good.begin() + 33);
  compressed[0] = static_cast<std::uint8_t>(2 | (good[64] & 1));
  CHECK(refused(compressed));
  CHECK(refused(Bytes{0}));  // infinity
  CHECK(refused(Bytes(65)));
  CHECK(refused({}));
  Bytes beyond_field = good;
  std::fill(beyond_field.begin() + 1, beyond_field.begin() + 33, std::uint8_t{0xFF});
  CHECK(refused(beyond_field));
  Spake2 own(PakeSide::kA, w, random);
  PakeShare share = own.share();
  CHECK_FALSE(own.finish(share, {}, {}, {}));
}

TEST_CASE("SPAKE2 refuses a share that is the mask alone: the shared point would be infinity") {
  PasswordKey w = key_from(kVectors[0].w);
  Bytes n = hex("03d8bbd6c639c62937b04d997f38c3770719c629d7014d49a24b4f98baa1292b49");
  p256::Context context = p256::new_context();
  p256::Point point(EC_POINT_new(p256::group()));
  REQUIRE(EC_POINT_oct2point(p256::group(), point.get(), n.data(), n.size(), context.get()) == 1);
  p256::Number scalar = p256::scalar_from_bytes(w.bytes());
  REQUIRE(EC_POINT_mul(p256::group(), point.get(), nullptr, point.get(), scalar.get(),
                       context.get()) == 1);
  Bytes share(65);
  REQUIRE(EC_POINT_point2oct(p256::group(), point.get(), POINT_CONVERSION_UNCOMPRESSED,
                             share.data(), share.size(), context.get()) == 65);
  Prng random(1);
  CHECK_FALSE(Spake2(PakeSide::kA, w, random).finish(share, {}, {}, {}));
}

TEST_CASE("SPAKE2 draws again when its scalar comes up zero") {
  PasswordKey w = key_from(kVectors[0].w);
  Bytes one(40);
  one[39] = 1;
  Bytes zero_then_one(80);
  zero_then_one[79] = 1;
  ScriptedRandom direct(one);
  ScriptedRandom again(zero_then_one);
  CHECK(Spake2(PakeSide::kB, w, again).share() == Spake2(PakeSide::kB, w, direct).share());
}

TEST_CASE("the password's scalar is that of an independent scrypt, mod the order") {
  auto key = derive_password_key("correct horse", "lansync");
  REQUIRE(key);
  CHECK(to_hex(key->bytes()) == "b8e52feb909014b321328d08ab9889c4dee6df5b2d542276ff08a2a597f8ed99");
  auto open = derive_password_key("", "lansync");
  REQUIRE(open);
  CHECK(to_hex(open->bytes()) ==
        "6da544c99d952f9d4042891684f0398beb43e8065a81fb9532028c1ded2bd5bf");
  auto other = derive_password_key("", "lansync2");
  REQUIRE(other);
  CHECK(to_hex(other->bytes()) != to_hex(open->bytes()));
}

TEST_CASE("HKDF gives RFC 5869's first case and HMAC RFC 4231's long key") {
  Hash32 prk = hkdf_extract(hex("000102030405060708090a0b0c"), Bytes(22, 0x0b));
  CHECK(to_hex(prk) == "077709362c2e32df0ddc3f0dc47bba6390b6c73bb50f9c3122ec844ad7c2b3e5");
  Bytes okm(42);
  hkdf_expand(prk, hex("f0f1f2f3f4f5f6f7f8f9"), okm);
  CHECK(to_hex(okm) ==
        "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865");
  CHECK(to_hex(hmac_sha256(Bytes(131, 0xaa),
                           {as_bytes("Test Using Larger Than Block-Size Key - Hash Key First")})) ==
        "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
}

}  // namespace
}  // namespace lansync
