// Words for a node that is heard but does not answer: which direction is blocked, which ports have
// to be let through and where, and the way round it. Pure text, from what its beacons say.
//
// Invariant: every sentence names the node, the ports and something to do. Used by the election's
// reasons, `status` and `doctor`.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/address.h"

namespace lansync {

struct SilentNode {
  std::string name;
  Address address;               // where it listens for sessions
  std::optional<bool> hears_us;  // what its beacons say of ours
  bool is_hub = false;
  bool answers = false;  // it answered the first word of a dial, and nothing after it
};

struct OurPorts {
  std::uint16_t session = 0;
  std::uint16_t beacon = 0;
};

// "27801-27802": sessions and the lane beside them.
std::string session_ports(std::uint16_t port);
// What is the matter, in one line.
std::string why_silent(const SilentNode& node, const OurPorts& ports);
// It answers, and takes nobody just now.
std::string why_busy(const SilentNode& node);
// What to do about it.
std::string silence_advice(const SilentNode& node, const OurPorts& ports);

}  // namespace lansync
