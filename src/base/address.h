// An IPv4 address and a port, both in host order.
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace lansync {

struct Address {
  std::uint32_t ip = 0;
  std::uint16_t port = 0;
  auto operator<=>(const Address&) const = default;
};

std::string ip_to_string(std::uint32_t ip);
std::string to_string(const Address& address);  // "192.168.1.7:27801"
// "a.b.c.d" or "a.b.c.d:port" (default_port where none stands). Names are resolved in platform.
std::optional<Address> parse_address(std::string_view text, std::uint16_t default_port);

}  // namespace lansync
