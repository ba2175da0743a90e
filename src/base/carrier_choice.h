// How content may travel, as a person or a request asks for it (CONTRACT, --carrier).
// Invariant: the numbers are those of the `request` message.
#pragma once

#include <cstdint>

namespace lansync {

enum class CarrierChoice : std::uint8_t { kAuto = 0, kEnet = 1, kLane = 2, kTcp = 3 };

constexpr const char* to_string(CarrierChoice carrier) {
  switch (carrier) {
    case CarrierChoice::kEnet:
      return "enet";
    case CarrierChoice::kLane:
      return "lane";
    case CarrierChoice::kTcp:
      return "tcp";
    case CarrierChoice::kAuto:
      break;
  }
  return "auto";
}

}  // namespace lansync
