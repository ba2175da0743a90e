#include "discovery/beacon.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>

#include <algorithm>
#include <bit>
#include <string_view>

#include "base/assert.h"

namespace lansync {
namespace {

constexpr std::string_view kMagic = "LSYN";
constexpr std::uint8_t kKnownFlags =
    Beacon::kSeek | Beacon::kGoodbye | Beacon::kHasData | Beacon::kHubLost;
// 2^63 GiB is more than any disk; a larger number is not a logarithm that was measured.
constexpr std::uint8_t kMaxDiskLog2 = 63;

BeaconTag make_tag(ByteView covered, const BeaconKey& key) {
  std::array<std::uint8_t, SHA256_DIGEST_LENGTH> mac{};
  unsigned int size = 0;
  LS_ASSERT(HMAC(EVP_sha256(), key.bytes.data(), static_cast<int>(key.bytes.size()), covered.data(),
                 covered.size(), mac.data(), &size) != nullptr);
  BeaconTag tag;
  std::copy_n(mac.begin(), BeaconTag::kSize, tag.bytes.begin());
  return tag;
}

// At most kMaxBeaconName bytes, cut between UTF-8 sequences and not within one.
std::string_view cut_name(std::string_view name) {
  if (name.size() <= kMaxBeaconName) return name;
  std::size_t end = kMaxBeaconName;
  while (end > 0 && (static_cast<std::uint8_t>(name[end]) & 0xC0) == 0x80) --end;
  return name.substr(0, end);
}

}  // namespace

GroupTag group_tag(std::string_view group) {
  std::string text = "lansync group";
  text += group;
  std::array<std::uint8_t, SHA256_DIGEST_LENGTH> digest{};
  SHA256(as_bytes(text).data(), text.size(), digest.data());
  GroupTag tag;
  std::copy_n(digest.begin(), GroupTag::kSize, tag.bytes.begin());
  return tag;
}

std::uint64_t heard_mark(const NodeId& node) {
  // Ids are random: their bytes are as good as a hash.
  return std::uint64_t{1} << (node.bytes[0] & 63) | std::uint64_t{1} << (node.bytes[1] & 63);
}

std::optional<bool> hears(std::uint64_t filter, const NodeId& node) {
  constexpr int kCrowded = 32;  // a hit by chance is then one in four
  std::uint64_t mark = heard_mark(node);
  if ((filter & mark) != mark) return false;
  if (std::popcount(filter) > kCrowded) return std::nullopt;
  return true;
}

Bytes encode_beacon(const Beacon& beacon, const std::optional<BeaconKey>& key) {
  ByteWriter out;
  out.raw(as_bytes(kMagic));
  out.u8(beacon.version);
  out.u8(beacon.flags);
  out.raw(beacon.group);
  out.raw(beacon.node);
  out.raw(beacon.boot);
  out.u64(beacon.counter);
  out.u8(static_cast<std::uint8_t>(beacon.role));
  out.u8(static_cast<std::uint8_t>(beacon.manual));
  out.u8(beacon.full_replica ? 1 : 0);
  out.u8(beacon.disk_log2);
  out.u64(beacon.term);
  out.u64(beacon.index_seq);
  out.u16(beacon.port);
  out.u64(beacon.heard);
  out.u32(beacon.time);
  std::string_view name = cut_name(beacon.name);
  out.u8(static_cast<std::uint8_t>(name.size()));
  out.raw(as_bytes(name));
  out.raw(key ? make_tag(out.bytes(), *key) : BeaconTag{});
  LS_ASSERT(out.bytes().size() <= kMaxBeaconBytes);
  return out.take();
}

bool beacon_tag_valid(ByteView datagram, const BeaconKey& key) {
  if (datagram.size() <= BeaconTag::kSize) return false;
  std::size_t covered = datagram.size() - BeaconTag::kSize;
  BeaconTag wanted = make_tag(datagram.first(covered), key);
  return CRYPTO_memcmp(wanted.bytes.data(), datagram.data() + covered, BeaconTag::kSize) == 0;
}

std::optional<Beacon> decode_beacon(ByteView bytes) {
  if (bytes.size() > kMaxBeaconBytes) return std::nullopt;
  ByteReader in(bytes);
  ByteView magic = in.raw(kMagic.size());
  if (!in.ok() || as_text(magic) != kMagic) return std::nullopt;
  Beacon beacon;
  beacon.version = in.u8();
  beacon.flags = in.u8();
  beacon.group = in.id<GroupTag>();
  beacon.node = in.id<NodeId>();
  beacon.boot = in.id<BootId>();
  if (!in.ok()) return std::nullopt;
  // What another version means by the rest is not ours to guess.
  if (beacon.version != kProtocolVersion) return beacon;
  beacon.counter = in.u64();
  std::uint8_t role = in.u8();
  std::uint8_t manual = in.u8();
  std::uint8_t replica = in.u8();
  beacon.disk_log2 = in.u8();
  beacon.term = in.u64();
  beacon.index_seq = in.u64();
  beacon.port = in.u16();
  beacon.heard = in.u64();
  beacon.time = in.u32();
  std::uint8_t name_size = in.u8();
  if (name_size > kMaxBeaconName) return std::nullopt;
  beacon.name = as_text(in.raw(name_size));
  beacon.tag = in.id<BeaconTag>();
  if (!in.finished()) return std::nullopt;
  if ((beacon.flags & ~kKnownFlags) != 0 || role > 3 || manual > 3 || replica > 1 ||
      beacon.disk_log2 > kMaxDiskLog2 || beacon.port == 0 || beacon.node.is_zero())
    return std::nullopt;
  beacon.role = static_cast<Role>(role);
  beacon.manual = static_cast<ManualRole>(manual);
  beacon.full_replica = replica == 1;
  return beacon;
}

}  // namespace lansync
