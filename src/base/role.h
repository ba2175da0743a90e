// What a node is, as others see it: in beacons, hello, status.
#pragma once

#include <cstdint>

namespace lansync {

// In beacon and hello; another version is shown in `peers` and refused in clear words.
inline constexpr std::uint8_t kProtocolVersion = 2;

enum class Role : std::uint8_t { kNone = 0, kServer = 1, kProxy = 2, kClient = 3 };
// What the person asked for with --role.
enum class ManualRole : std::uint8_t { kAuto = 0, kServer = 1, kProxy = 2, kClient = 3 };

const char* to_string(Role role);        // none, server, proxy, client
const char* to_string(ManualRole role);  // auto, server, proxy, client
inline bool is_hub(Role role) { return role == Role::kServer || role == Role::kProxy; }

}  // namespace lansync
