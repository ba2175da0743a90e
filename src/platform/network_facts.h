// Which networks this machine is on, and by which gateway each is left: what tells one café's
// 192.168.1.0/24 from another's. Read from /proc; the parsing is pure.
#pragma once

#include <string_view>
#include <vector>

#include "base/network.h"
#include "platform/interfaces.h"

namespace lansync {

// `routes` and `neighbours` as /proc/net/route and /proc/net/arp show them. Lines that do not parse
// are left out.
std::vector<Network> networks_of(const std::vector<Interface>& interfaces, std::string_view routes,
                                 std::string_view neighbours);

// The same, as the system says now.
std::vector<Network> read_networks(const std::vector<Interface>& interfaces);

}  // namespace lansync
