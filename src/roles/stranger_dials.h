// How often nodes may be dialled that only an untagged beacon, which anybody can send, told of
// (reliability.md §4.1, step 0: four a second).
//
// Invariant: whoever sends many beacons from one address takes no more than that address's share,
// so that a real node beside it is dialled within a second or two; and bounded memory. Pure; driven
// by the election.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <vector>

#include "base/address.h"
#include "base/time.h"

namespace lansync {

class StrangerDials {
 public:
  static constexpr std::size_t kMaxEachSecond = 4;
  static constexpr std::size_t kMaxAddresses = 256;
  // One host may hold several nodes: so many at once, then one a second.
  static constexpr int kBurstEachHost = 3;
  static constexpr Duration kHostInterval = 1s;
  static constexpr Duration kHintInterval = 10s;

  // True: a dial to `ip` may begin now, and is counted.
  bool take(std::uint32_t ip, Instant now);
  // The same for an address of which the node id is not known: not twice in 10 s.
  bool take_hint(const Address& address, Instant now);
  // When `ip` was dialled last; the longest ago has the next turn.
  Instant last(std::uint32_t ip) const;

 private:
  struct Host {
    Instant last{};
    int in_hand = kBurstEachHost;  // dials that it has left
    Instant refilled{};
  };
  Host& host(std::uint32_t ip, Instant now);

  std::vector<Instant> dials_;  // of the last second
  std::map<std::uint32_t, Host> hosts_;
  std::map<Address, Instant> hints_;
};

}  // namespace lansync
