// Which networks this machine is on, and by which gateway each is left: what tells one café's
// 192.168.1.0/24 from another's. Routes are read from /proc, hardware addresses by netlink, which
// says how old they are. The parsing is pure.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/network.h"
#include "base/time.h"
#include "platform/interfaces.h"
#include "platform/posix.h"

namespace lansync {

// An address on an interface's wire whose hardware address the kernel holds for valid.
struct NeighbourRow {
  std::uint32_t interface = 0;  // index
  std::uint32_t ip = 0;
  MacAddress mac{};
  Duration age{};  // since it was confirmed; 0 for what was set by hand
  bool operator==(const NeighbourRow&) const = default;
};

// Messages as the kernel answers RTM_GETNEIGH. What does not parse is left out; `done` is set at
// the dump's end.
std::vector<NeighbourRow> parse_neighbours(ByteView messages, bool* done = nullptr);

// `routes` as /proc/net/route shows them. Lines that do not parse are left out.
std::vector<Network> networks_of(const std::vector<Interface>& interfaces, std::string_view routes,
                                 const std::vector<NeighbourRow>& neighbours);

// What the system says now; and asks each gateway whose hardware address is unknown or was not
// confirmed lately: a datagram makes the kernel send ARP, and an answer to it (port unreachable)
// shows that the address still holds. Nothing waits: the answer is in a later read().
class NetworkReader {
 public:
  std::vector<Network> read(const std::vector<Interface>& interfaces, Instant now);
  // The machine may be elsewhere: what was answered before counts no more.
  void restart() { questions_.clear(); }

 private:
  using Key = std::pair<std::uint32_t, std::uint32_t>;  // interface index, gateway
  struct Question {
    UniqueFd discard;
    UniqueFd domain;
    MacAddress mac{};  // to which it went
    std::optional<Instant> began;
    std::optional<Instant> asked;
    std::optional<Instant> answered;
  };
  void ask(const Interface& interface, Network& network, Instant now);

  std::map<Key, Question> questions_;
};

}  // namespace lansync
