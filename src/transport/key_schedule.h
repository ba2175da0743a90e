// The keys of one session and how they are derived (reliability.md §4.1, step 3), and the line that
// --keylog writes so that lansync-sniff can open what it recorded. Invariant: no two of the keys
// are equal, whatever channel, direction or carrier they are for. Driven by Handshake, Sealer,
// carriers.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/ids.h"
#include "transport/crypto.h"

namespace lansync {

// The bits of M1's set; M2 holds exactly one of them.
enum class Suite : std::uint8_t { kChaCha20Poly1305 = 1, kAes256Gcm = 2 };
inline constexpr std::uint8_t kAllSuites = 3;

// True if AES-GCM runs on instructions of this processor. Without them ChaCha20 is faster, and has
// no tables to leak through the cache.
bool cpu_has_aes();
// What a node offers: ChaCha20 always, AES-256-GCM where the processor is made for it.
constexpr std::uint8_t offered_suites(bool has_aes) {
  return static_cast<std::uint8_t>(has_aes ? 3 : 1);
}

using SessionTag = TaggedBytes<struct SessionTagTag, 16>;  // "sid"
using Key32 = std::array<std::uint8_t, 32>;
using HandshakeRandom = std::array<std::uint8_t, 32>;

// Who sends: the initiator (a) or the responder (b).
enum class Direction : std::uint8_t { kAtoB, kBtoA };

struct SessionKeys {
  Suite suite = Suite::kChaCha20Poly1305;
  SessionTag sid;
  Key32 k_ab{};
  Key32 k_ba{};
  Key32 prk{};           // carriers' keys come from it
  HandshakeRandom ra{};  // of M1 and M2: not secret; find the session in a capture
  HandshakeRandom rb{};

  SessionKeys() = default;
  SessionKeys(const SessionKeys&) = default;
  SessionKeys& operator=(const SessionKeys&) = default;
  ~SessionKeys();  // wipes
  bool operator==(const SessionKeys&) const = default;
};

// `ke` from the PAKE, `th` = SHA-256(M1 | M2 | M3 | M4). ra and rb are left to the caller.
SessionKeys derive_session_keys(Suite suite, ByteView ke, const Hash32& th);

// The key of a carrier's socket: Expand(PRK, "lansync/2 lane" | "lansync/2 tcp", then "a2b" or
// "b2a", then id8). `id8` is fresh for each socket; the nonce is the packet's number in it.
enum class CarrierKind : std::uint8_t { kLane, kTcp };
Key32 derive_carrier_key(const SessionKeys& keys, Direction direction, CarrierKind carrier,
                         const std::array<std::uint8_t, 8>& id8);

// One line, no newline: "LANSYNC2 <sid> <suite> <k_ab> <k_ba> <prk> <ra> <rb>", all hex but suite
// (1 or 2). A reader finds the session by ra and rb, which stand in M1 and M2 on the wire.
std::string keylog_line(const SessionKeys& keys);
// nullopt for anything else than exactly such a line (one trailing "\r" or "\n" allowed).
std::optional<SessionKeys> parse_keylog_line(std::string_view line);

}  // namespace lansync
