#include "platform/network_facts.h"

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>
#include <limits>
#include <string>

#include "base/address.h"
#include "base/ids.h"

namespace lansync {
namespace {

constexpr std::size_t kMaxTable = 256 * 1024;

std::vector<std::string_view> words_of(std::string_view line) {
  std::vector<std::string_view> words;
  while (!line.empty()) {
    std::size_t begin = line.find_first_not_of(" \t");
    if (begin == std::string_view::npos) break;
    std::size_t end = std::min(line.find_first_of(" \t", begin), line.size());
    words.push_back(line.substr(begin, end - begin));
    line.remove_prefix(end);
  }
  return words;
}

template <typename Take>
void each_line(std::string_view text, Take take) {
  while (!text.empty()) {
    std::size_t end = std::min(text.find('\n'), text.size());
    take(words_of(text.substr(0, end)));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
}

bool parse(std::string_view text, int base, std::uint32_t& out) {
  auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), out, base);
  return failed == std::errc() && end == text.data() + text.size() && !text.empty();
}

// Iface Destination Gateway Flags RefCnt Use Metric Mask ...: addresses as the kernel holds them,
// in network order, printed as one hexadecimal number.
std::uint32_t default_gateway(std::string_view routes, const std::string& interface) {
  std::uint32_t best = 0;
  std::uint32_t best_metric = std::numeric_limits<std::uint32_t>::max();
  each_line(routes, [&](const std::vector<std::string_view>& words) {
    std::uint32_t to = 0;
    std::uint32_t gateway = 0;
    std::uint32_t metric = 0;
    std::uint32_t mask = 0;
    if (words.size() < 8 || words[0] != interface || !parse(words[1], 16, to) ||
        !parse(words[2], 16, gateway) || !parse(words[6], 10, metric) || !parse(words[7], 16, mask))
      return;
    if (to != 0 || mask != 0 || gateway == 0 || metric >= best_metric) return;
    best = ntohl(gateway);
    best_metric = metric;
  });
  return best;
}

// "IP address  HW type  Flags  HW address  Mask  Device"; flag 2: the address is known.
MacAddress mac_of(std::string_view neighbours, std::uint32_t ip, const std::string& interface) {
  MacAddress mac{};
  const std::string wanted = ip_to_string(ip);
  each_line(neighbours, [&](const std::vector<std::string_view>& words) {
    if (words.size() < 6 || words[0] != wanted || words[5] != interface) return;
    std::string_view flags = words[2].substr(words[2].starts_with("0x") ? 2 : 0);
    std::uint32_t value = 0;
    if (!parse(flags, 16, value) || (value & 2) == 0) return;
    std::string digits(words[3]);
    std::erase(digits, ':');
    MacAddress found{};
    if (from_hex(digits, found)) mac = found;
  });
  return mac;
}

}  // namespace

std::vector<Network> networks_of(const std::vector<Interface>& interfaces, std::string_view routes,
                                 std::string_view neighbours) {
  std::vector<Network> out;
  for (const Interface& interface : interfaces) {
    if (interface.is_loopback) continue;
    Network network;
    network.interface = interface.name;
    network.address = interface.address;
    network.netmask = interface.netmask;
    std::uint32_t gateway = default_gateway(routes, interface.name);
    // An interface with two addresses has one default gateway, in one of the two subnets.
    auto others = std::count_if(interfaces.begin(), interfaces.end(), [&](const Interface& other) {
      return other.name == interface.name;
    });
    if (network.contains(gateway) || others == 1) network.gateway = gateway;
    if (network.gateway != 0)
      network.gateway_mac = mac_of(neighbours, network.gateway, interface.name);
    out.push_back(network);
  }
  return out;
}

std::vector<Network> read_networks(const std::vector<Interface>& interfaces) {
  auto routes = read_small_file("/proc/self/net/route", kMaxTable);
  auto neighbours = read_small_file("/proc/self/net/arp", kMaxTable);
  return networks_of(interfaces, routes ? *routes : std::string(),
                     neighbours ? *neighbours : std::string());
}

}  // namespace lansync
