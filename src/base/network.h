// A network that this machine is on, as the system describes it: passed in by platform, judged by
// roles (NetworkGuard). Addresses in host order.
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "base/time.h"

namespace lansync {

using MacAddress = std::array<std::uint8_t, 6>;

struct Network {
  std::string interface;
  std::uint32_t address = 0;  // ours on it
  std::uint32_t netmask = 0;
  std::uint32_t gateway = 0;  // 0: none
  MacAddress gateway_mac{};   // zero: not known (yet)
  // Since the gateway last showed that it has that address. What the system remembers may be of the
  // place where the machine was before.
  Duration gateway_age{};
  bool operator==(const Network&) const = default;

  bool contains(std::uint32_t ip) const { return (ip & netmask) == (address & netmask); }
};

}  // namespace lansync
