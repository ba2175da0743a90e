#include "base/address.h"

#include <charconv>

namespace lansync {

std::string ip_to_string(std::uint32_t ip) {
  std::string out;
  for (int shift = 24; shift >= 0; shift -= 8) {
    out += std::to_string(ip >> shift & 0xff);
    if (shift > 0) out += '.';
  }
  return out;
}

std::string to_string(const Address& address) {
  return ip_to_string(address.ip) + ':' + std::to_string(address.port);
}

std::optional<Address> parse_address(std::string_view text, std::uint16_t default_port) {
  Address address{0, default_port};
  const char* at = text.data();
  const char* end = at + text.size();
  for (int part = 0; part < 4; ++part) {
    std::uint32_t value = 0;
    auto [next, error] = std::from_chars(at, end, value);
    if (error != std::errc() || value > 255 || next - at > 3) return std::nullopt;
    address.ip = address.ip << 8 | value;
    at = next;
    if (part < 3) {
      if (at == end || *at != '.') return std::nullopt;
      ++at;
    }
  }
  if (at == end) return address;
  if (*at != ':') return std::nullopt;
  std::uint32_t port = 0;
  auto [next, error] = std::from_chars(at + 1, end, port);
  if (error != std::errc() || next != end || port == 0 || port > 65535) return std::nullopt;
  address.port = static_cast<std::uint16_t>(port);
  return address;
}

}  // namespace lansync
